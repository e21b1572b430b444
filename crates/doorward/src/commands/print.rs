//! Standard output.
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints a line. It has left the process when this returns.
///
/// # Errors
/// Nobody reads any more.
pub(crate) fn line(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints a line a row, in columns as wide as they have to be.
///
/// # Errors
/// Nobody reads any more.
pub(crate) fn table(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> io::Result<()> {
    let headings = headings.iter().map(|h| (*h).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
    let mut widths = vec![0; lines[0].len()];
    for (width, cell) in lines.iter().flat_map(|line| line.iter().enumerate()) {
        widths[width] = cell.chars().count().max(widths[width]);
    }
    lines.iter().try_for_each(|cells| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(padded.join("  ").trim_end())
    })
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// Nobody reads any more.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    line(serde_json::to_string(value)?)
}
