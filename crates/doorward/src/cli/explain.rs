//! The command line of `doorward explain`.
use super::sign::instant;
use super::{Names, Output, Place, SchemeChoice};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use doorward_core::time::UnixMillis;
use std::net::IpAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  doorward explain --config doorward.toml < request          # a raw request, as it was sent
  pbpaste | doorward explain --data demo                     # a curl line
  doorward explain --checks --client 192.0.2.7 --config doorward.toml < request   # what each check says
  doorward explain --scheme antavo --secret-file secret --string-to-sign mine.txt < request

Nothing is claimed or kept: a request that was explained can still be sent. Neither the secret nor the signature that would
be right is ever shown.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Explain {
    /// The folder of a demo, or of a store without settings: API and secret are looked up there
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "scheme"])]
    data: Option<PathBuf>,
    /// The settings of the server: API and secret are looked up in its store
    #[arg(long, value_name = "FILE", conflicts_with = "scheme", required_unless_present_any = ["data", "scheme"])]
    config: Option<PathBuf>,
    /// Without a store: whose way of signing
    #[arg(long, value_name = "SCHEME", value_parser = canonical())]
    scheme: Option<SchemeChoice>,
    /// With --scheme: the credential scope, without the day
    #[arg(long, value_name = "SCOPE", requires = "scheme")]
    scope: Option<String>,
    /// With --scheme escher: the algorithm's prefix
    #[arg(long, value_name = "NAME", requires = "scheme")]
    prefix: Option<String>,
    /// With --scheme escher: the vendor's key
    #[arg(long, value_name = "NAME", requires = "scheme")]
    vendor: Option<String>,
    /// With --scheme escher: the header field of the signature
    #[arg(long, value_name = "NAME", requires = "scheme")]
    auth_header: Option<String>,
    /// With --scheme escher: the header field of the date
    #[arg(long, value_name = "NAME", requires = "scheme")]
    date_header: Option<String>,
    /// With --scheme: the file with the secret; `-` for standard input. Without it, causes are found that need no secret
    #[arg(long, value_name = "FILE", requires = "scheme")]
    pub(crate) secret_file: Option<PathBuf>,
    /// The file with the request, raw or as a curl line; left out or `-`, standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The file with the body, where it is not in the request
    #[arg(long, value_name = "FILE")]
    pub(crate) body_file: Option<PathBuf>,
    /// The file with the canonical request that the client computed
    #[arg(long, value_name = "FILE", conflicts_with = "string_to_sign")]
    pub(crate) canonical_request: Option<PathBuf>,
    /// The file with the string to sign that the client computed
    #[arg(long, value_name = "FILE")]
    pub(crate) string_to_sign: Option<PathBuf>,
    /// Walk the checks instead: what each says about the request and its credential, from the first to the last
    ///
    /// Nothing is proved, so no secret is needed. Limits, captchas and what is accepted once only are asked while a request
    /// is served, and not here.
    #[arg(long, conflicts_with_all = ["scheme", "canonical_request", "string_to_sign"])]
    pub(crate) checks: bool,
    /// With --checks: the id of the credential; left out, the one that the request names
    #[arg(long, value_name = "ID", requires = "checks")]
    pub(crate) credential: Option<String>,
    /// With --checks: the address that the request comes from
    #[arg(long, value_name = "ADDRESS", requires = "checks")]
    pub(crate) client: Option<IpAddr>,
    /// When the request arrived, as in 2015-08-30T12:36:00Z; left out, now
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) at: Option<UnixMillis>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Those with a canonical request, which can be held against the client's.
fn canonical() -> impl TypedValueParser<Value = SchemeChoice> {
    let names = [SchemeChoice::Antavo, SchemeChoice::Aws4, SchemeChoice::Escher];
    let names = names.iter().filter_map(ValueEnum::to_possible_value).collect::<Vec<_>>();
    PossibleValuesParser::new(names).try_map(|name| SchemeChoice::from_str(&name, false))
}

/// Where it is known how the request should have been signed.
pub(crate) enum Rules {
    /// On the command line.
    Told(Names),
    /// In a store.
    Stored(Place),
}

impl Explain {
    /// Where it is known how the request should have been signed.
    pub(crate) fn rules(&self) -> Rules {
        match self.scheme {
            Some(scheme) => Rules::Told(Names {
                scheme,
                scope: self.scope.clone(),
                prefix: self.prefix.clone(),
                vendor: self.vendor.clone(),
                auth_header: self.auth_header.clone(),
                date_header: self.date_header.clone(),
            }),
            None => Rules::Stored(Place { data: self.data.clone(), config: self.config.clone() }),
        }
    }
}
