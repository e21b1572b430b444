//! One file a command. What they do is in `doorward_control::actions`; here is only what is read and printed.
use crate::Failure;
use crate::cli::{Cli, Command};
use crate::demo;

mod apply;
mod backup;
mod captcha;
mod check;
mod credential;
mod explain;
mod export;
mod import;
mod list;
mod master_key;
mod migrate;
mod node;
mod print;
mod report;
mod restore;
mod schema;
mod serve;
mod sign;
mod signing;
mod token;
mod usage;

/// Who the change table names for what is done from the command line.
const ACTOR: &str = "command-line";

/// A command has said what there is to say, and it was no.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(crate) struct Said;

/// Runs what was asked for.
///
/// # Errors
/// Why it could not be done.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Demo(options) => demo::run(options).await,
        Command::Serve { config, role, ready_file } => serve::run(&config, role, ready_file.as_deref()).await,
        Command::Check { config } => check::run(&config).await,
        Command::MasterKey(command) => master_key::run(command).await,
        Command::Apply { place, file, dry_run, output } => apply::run(&place, &file, dry_run, output).await,
        Command::Export { place, output } => export::run(&place, output).await,
        Command::Schema => schema::run(),
        Command::Credential(command) => credential::run(command).await,
        Command::Captcha(command) => captcha::run(command).await,
        Command::Token(command) => token::run(command).await,
        Command::Sign(options) => sign::run(&options),
        Command::Explain(options) => explain::run(&options).await,
        Command::Backup(options) => backup::run(&options).await,
        Command::Restore(options) => restore::run(&options).await,
        Command::Migrate(options) => migrate::run(&options).await,
        Command::Node(command) => node::run(command).await,
        Command::Report(command) => report::run(command).await,
    }
}
