//! The command line of `doorward report`.
use super::{Output, Place};
use clap::{Args, Subcommand};
use doorward_core::policy::Rule;

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// Who would be refused if the rules that are observed were enforced now
    ///
    /// For every workspace and API, and each rule that is observed there: the credentials that it would have refused, how
    /// often, when first and last, and some of their calls.
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
    /// This rule alone: signatures, network, scope, licence, limits or captcha
    #[arg(long, value_parser = Rule::parse)]
    pub(crate) rule: Option<Rule>,
    #[command(flatten)]
    pub(crate) output: Output,
}
