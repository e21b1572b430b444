//! The operator's log: plain lines on standard error. Events of requests do not pass here.
use crate::cli::Command;
use crate::{Failure, config};
use std::io;
use tracing_subscriber::filter::LevelFilter;

/// Starts the log at the level that `--log`, or else `DOORWARD_LOG`, names. What runs on says what it does by default;
/// other commands speak up only when something is odd.
///
/// # Errors
/// A level that there is not.
pub(crate) fn start(told: Option<&str>, command: &Command) -> Result<(), Failure> {
    let runs_on = matches!(command, Command::Serve { .. });
    let level = match told.map(str::to_owned).or_else(config::log_level) {
        Some(name) => name
            .parse::<LevelFilter>()
            .map_err(|_| format!("`{name}` is none of off, error, warn, info, debug, trace"))?,
        None if runs_on => LevelFilter::INFO,
        None => LevelFilter::WARN,
    };
    tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(io::stderr).init();
    Ok(())
}
