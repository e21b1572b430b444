//! The operator's log: plain lines on standard error. Events of requests do not pass here.
use crate::cli::Command;
use crate::{Failure, config};
use std::io;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

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
    // The database driver has a log of its own, which would tell of an outage over and over. Whoever looks for a mistake
    // may want it.
    let of_driver = if level > LevelFilter::INFO { level } else { LevelFilter::OFF };
    let told = Targets::new().with_default(level).with_target("sqlx", of_driver);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(told)).init();
    Ok(())
}
