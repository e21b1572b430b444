//! Doorward: stands in front of HTTP APIs and answers who is calling, and whether they may.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
mod base64;
mod callers;
mod captcha;
mod cli;
mod clock;
mod commands;
mod config;
mod demo;
mod facts;
mod files;
mod front;
mod harden;
mod heartbeat;
mod housekeeping;
mod ledger;
mod licences;
mod limits;
mod local;
mod log;
mod master_key;
mod metrics;
mod missing;
mod operations;
mod outage;
mod password;
mod place;
mod random;
mod role;
mod run;
mod shell;
mod signals;
mod token_keys;
mod url;

use clap::Parser;
use std::process::ExitCode;

/// Refused or failed.
const FAILED: u8 = 1;

/// Why a command ended without doing what it was asked: sentences for whoever typed it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    if let Err(e) = harden::no_core_dumps() {
        complain(&format!("the process can't be kept from dumping core: {e}"));
        return ExitCode::from(FAILED);
    }
    let cli = cli::Cli::try_parse().unwrap_or_else(|e| cli::hushed(e).exit());
    let runtime = match run::control_runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            complain(&format!("no runtime: {e}"));
            return ExitCode::from(FAILED);
        }
    };
    let done =
        log::start(cli.log.as_deref(), &cli.command).and_then(|()| runtime.block_on(commands::run(cli)));
    // Nothing that is still running there may hold up the end.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if broken_pipe(&*e) => ExitCode::SUCCESS,
        Err(e) => {
            if !e.is::<commands::Said>() {
                complain(&e.to_string());
            }
            ExitCode::from(FAILED)
        }
    }
}

/// Whoever read the output has seen enough.
fn broken_pipe(e: &(dyn std::error::Error + 'static)) -> bool {
    e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Says on standard error why a command failed.
fn complain(message: &str) {
    use std::io::Write as _;
    // Where standard error is gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}
