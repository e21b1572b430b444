//! The command line of `doorward captcha`.
use super::{Output, Place};
use clap::{Args, Subcommand};
use doorward_core::captcha::Provider;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Captcha {
    /// Have a workspace's captchas checked by a provider, in the place of what was said before
    Set {
        #[command(flatten)]
        of: OfWorkspace,
        /// recaptcha, hcaptcha or turnstile
        #[arg(long, value_parser = Provider::parse)]
        provider: Provider,
        /// The host of a page that shows the captcha, without scheme and port; may be given again
        #[arg(long = "hostname", value_name = "HOST", required = true)]
        hostnames: Vec<String>,
        /// The secret that the provider knows the workspace by is in this file; `-` for standard input
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
    },
    /// How a workspace's captchas are checked, without the secret
    Show(OfWorkspace),
    /// Accept no captcha of a workspace any more: routes that ask for one are closed
    Remove(OfWorkspace),
}

#[derive(Debug, Args)]
pub(crate) struct OfWorkspace {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The workspace
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: String,
    #[command(flatten)]
    pub(crate) output: Output,
}
