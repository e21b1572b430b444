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

/// Prints a value as one line of JSON.
///
/// # Errors
/// Nobody reads any more.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    line(serde_json::to_string(value)?)
}
