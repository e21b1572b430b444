//! One file a command. What they do is in `doorward_control::actions`; here is only what is read and printed.
use crate::Failure;
use crate::cli::{Cli, Command, MasterKey};
use crate::{demo, master_key};

mod apply;
mod check;
mod credential;
mod export;
mod print;
mod serve;

/// Who the change table names for what is done from the command line.
const ACTOR: &str = "command-line";

/// Runs what was asked for.
///
/// # Errors
/// Why it could not be done.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Demo(options) => demo::run(options).await,
        Command::Serve { config, ready_file } => serve::run(&config, ready_file.as_deref()).await,
        Command::Check { config } => check::run(&config).await,
        Command::MasterKey(MasterKey::Create { file }) => Ok(master_key::create(&file)?),
        Command::Apply { place, file, dry_run, output } => apply::run(&place, &file, dry_run, output).await,
        Command::Export { place, output } => export::run(&place, output).await,
        Command::Credential(command) => credential::run(command).await,
    }
}
