//! The command line of what takes a whole store: `doorward backup`, `restore` and `migrate`.
use super::{Output, Place};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The new file; the master key is not in it
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) place: Place,
    /// What `doorward backup` wrote
    #[arg(long, value_name = "FILE", required_unless_present = "in_place", conflicts_with = "in_place")]
    pub(crate) from: Option<PathBuf>,
    /// The store was put back already, by other means: look it over, and have every node load it anew
    #[arg(long)]
    pub(crate) in_place: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// The old store: its address, or a file of settings that names it
    ///
    /// Addresses are sqlite:/path/to/doorward.db and postgres://user@host/database, without a password.
    // Kept as it is: a mistake in it must not be told along with a password.
    #[arg(long, value_name = "STORE")]
    pub(crate) from: String,
    /// The new store, likewise; there must be nothing in it
    #[arg(long, value_name = "STORE")]
    pub(crate) to: String,
    /// The file with the master key; left out, the one that the settings name
    #[arg(long, value_name = "FILE")]
    pub(crate) master_key_file: Option<PathBuf>,
    /// The file with the password for the address of the old store
    #[arg(long, value_name = "FILE")]
    pub(crate) from_password_file: Option<PathBuf>,
    /// The file with the password for the address of the new store
    #[arg(long, value_name = "FILE")]
    pub(crate) to_password_file: Option<PathBuf>,
    /// Look at both, tell what would be moved, and move nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}
