//! The command line.
use clap::{Args, Parser, Subcommand};
use doorward_core::credential::Kind;
use doorward_core::dialect::Dialect;
use doorward_core::time::UnixMillis;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// Run the gateway
    Serve {
        /// The file of settings
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
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
    /// Who may call
    #[command(subcommand)]
    Credential(Credential),
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
pub(crate) enum Credential {
    /// Make credentials; each secret is printed now
    Create(Create),
    /// Every credential, without secrets
    List {
        #[command(flatten)]
        place: Place,
        /// Those of this workspace
        #[arg(long, value_name = "ID")]
        workspace: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// One credential
    Show {
        #[command(flatten)]
        one: One,
        /// With its secret, while that may still be shown
        #[arg(long)]
        reveal: bool,
    },
    /// Let it open nothing until it is unblocked
    Block(One),
    /// Let a blocked one in again
    Unblock(One),
    /// Remove it for good
    Delete(One),
    /// Make a new secret for it; the old one opens nothing from then on
    Regenerate(One),
}

#[derive(Debug, Args)]
pub(crate) struct One {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The credential's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The workspace it belongs to
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: String,
    /// server, client or integration
    #[arg(long, value_parser = Kind::parse)]
    pub(crate) kind: Kind,
    /// The names under which it is sent: voucherify, antavo or standard; left out, the first that knows such keys
    #[arg(long, value_parser = Dialect::parse)]
    pub(crate) dialect: Option<&'static Dialect>,
    /// For people
    #[arg(long, default_value = "")]
    pub(crate) name: String,
    /// Let its id alone open APIs that allow it: weak, since ids are no secrets
    #[arg(long)]
    pub(crate) plain_key: bool,
    /// Where a client credential may be used, as in https://shop.example
    #[arg(long = "origin", value_name = "ORIGIN")]
    pub(crate) origins: Vec<String>,
    /// What it may do; upstreams are told
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// From when on it is expired, as in 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) expires: Option<UnixMillis>,
    /// Take over this id
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Take over the secret in this file; `-` for standard input
    #[arg(long, value_name = "FILE", requires = "id")]
    pub(crate) secret_file: Option<PathBuf>,
    /// How many
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000), conflicts_with = "id")]
    pub(crate) count: u32,
    #[command(flatten)]
    pub(crate) output: Output,
}

fn instant(text: &str) -> Result<UnixMillis, String> {
    UnixMillis::parse(text).ok_or_else(|| "write it as 2026-12-31T00:00:00Z".to_owned())
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
