//! The command line of `doorward report`.
use super::{Output, Place};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// Who would be refused if signatures were enforced now
    ///
    /// For every workspace and API where signatures are observed: the credentials that were let through without one, how
    /// often, when first and last, and when they last signed.
    Readiness(Readiness),
}

#[derive(Debug, Args)]
pub(crate) struct Readiness {
    #[command(flatten)]
    pub(crate) place: Place,
    /// This workspace alone
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: Option<String>,
    /// This API alone
    #[arg(long, value_name = "ID")]
    pub(crate) api: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}
