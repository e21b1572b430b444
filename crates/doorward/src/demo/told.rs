//! What the demo prints once it answers.
use super::{Told, events_file};
use std::io::{self, Write};
use std::path::Path;

/// Prints addresses, credentials and examples.
///
/// # Errors
/// Nobody reads any more.
pub(super) fn print(told: &Told<'_>, folder: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "Doorward demo\n")?;
    let places = [
        ("gateway", told.gateway.to_owned()),
        ("over TLS", told.gateway_tls.to_owned()),
        ("authority", told.ca_file.display().to_string()),
        ("operations", format!("{0}/metrics {0}/readyz", told.operations)),
        ("events", events_file(folder).display().to_string()),
        ("manage with", format!("doorward credential list --data {}", folder.display())),
    ];
    for (name, value) in places {
        writeln!(out, "  {name:<12} {value}")?;
    }
    writeln!(out, "\nCredentials (a demo's: keep nothing behind them)\n")?;
    for w in &told.workspaces {
        writeln!(out, "  {} ({}, {})", w.name, w.id, w.environment)?;
        for told in told.credentials.iter().filter(|c| c.view.workspace == w.id) {
            let c = told.view;
            let weak = if c.weak { ", weak: the id alone opens doors" } else { "" };
            writeln!(out, "    {} ({}, {}{weak})", c.name, c.kind, c.dialect)?;
            writeln!(out, "      id     {}", c.id)?;
            if let Some(secret) = &c.secret {
                writeln!(out, "      secret {}", secret.0)?;
            }
            if let Some(scope) = &told.credential_scope {
                writeln!(out, "      signs  for {scope}")?;
            }
            if !c.origins.is_empty() {
                writeln!(out, "      from   {}", c.origins.join(" "))?;
            }
        }
    }
    writeln!(out, "\nTry\n")?;
    for example in &told.examples {
        writeln!(out, "  # {}\n  {}\n", example.name, example.curl)?;
    }
    writeln!(out, "Ctrl-C stops it.")?;
    out.flush()
}
