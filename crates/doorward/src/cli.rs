//! The command line.
use crate::role::Role;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

mod captcha;
mod credential;
mod explain;
mod hushed;
mod report;
mod sign;
mod token;
mod whole;
pub(crate) use captcha::Captcha;
pub(crate) use credential::{Create, Credential, Import, Limit, List, Network, One, Set};
pub(crate) use explain::{Explain, Rules};
pub(crate) use hushed::hushed;
pub(crate) use report::{Readiness, Report};
pub(crate) use sign::{DateChoice, HashChoice, Names, SchemeChoice, Shape, Sign};
pub(crate) use token::{Issue, Key, Revoke, Token, TokenList};
pub(crate) use whole::{Backup, Migrate, Restore};

/// Stands in front of HTTP APIs and answers who is calling, and whether they may.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What the log on standard error tells: off, error, warn, info, debug or trace (also: DOORWARD_LOG)
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything on a store of its own with a sample upstream, to try things out
    Demo(Demo),
    /// Run a node
    Serve {
        /// The file of settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// gateway (serves callers), control (manages, and keeps the store tidy) or all; left out, what the settings say
        #[arg(long, value_parser = Role::parse)]
        role: Option<Role>,
        /// Write the addresses there, as JSON, once requests are answered
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
    },
    /// Tell every mistake in a file of settings, then look the store over
    Check {
        /// The file of settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// The key that seals what must be kept secret
    #[command(subcommand)]
    MasterKey(MasterKey),
    /// Make the workspaces and APIs of a file the policy in force
    Apply {
        #[command(flatten)]
        place: Place,
        /// The policy (TOML); `-` for standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Tell what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Print the policy in force, in the form that `apply` reads
    Export {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Print the JSON schema of the policy file, for editors that help to write one
    Schema,
    /// Who may call
    #[command(subcommand)]
    Credential(Credential),
    /// What the captchas of workspaces are checked with
    #[command(subcommand)]
    Captcha(Captcha),
    /// Access tokens, and what they are signed with
    #[command(subcommand)]
    Token(Token),
    /// Sign a request: print what to add to it, or a curl command, or send it
    Sign(Sign),
    /// Tell why a signed request is refused, and where the client's signature differs
    Explain(Explain),
    /// Copy the store into a file while it is in use
    Backup(Backup),
    /// Put a backup in the place of the store
    Restore(Restore),
    /// Move everything to another store, which may have another engine
    Migrate(Migrate),
    /// Who runs on the store
    #[command(subcommand)]
    Node(Node),
    /// What was counted
    #[command(subcommand)]
    Report(Report),
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where to keep everything; left out, a temporary folder that goes with the process
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where plain HTTP is served
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) gateway: SocketAddr,
    /// Where HTTPS is served
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub(crate) gateway_tls: SocketAddr,
    /// Write addresses, credentials and examples there, as JSON, once requests are answered
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Allow addresses that other machines reach: a demo's secrets are no secrets
    #[arg(long)]
    pub(crate) allow_remote: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MasterKey {
    /// Make one
    Create {
        /// The file, which must not exist yet
        file: PathBuf,
    },
    /// Have another master key open the store, and seal every secret anew; nodes go on serving
    Rotate(Rotate),
    /// Have a former master key open nothing any more
    Retire(Retire),
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The file of the other master key, made by `master-key create`
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Retire {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) former: Former,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A former master key.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Former {
    /// Its fingerprint, as `rotate` prints it
    #[arg(value_name = "FINGERPRINT")]
    pub(crate) fingerprint: Option<String>,
    /// Its file
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// Where the store is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Place {
    /// The folder of a store: doorward.db and master.key
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The file of settings that names the store
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Output {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// Every node, and what has become of it
    List {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
