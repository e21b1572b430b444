//! The command line of `doorward sign`, and what it shares with `doorward explain`: how requests are signed.
use clap::{Args, ValueEnum};
use doorward_core::time::UnixMillis;
use std::path::PathBuf;

/// Whose way of signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemeChoice {
    /// Escher under Antavo's names: `ANTAVO-HMAC-SHA256`, the fields Authorization and Date
    Antavo,
    /// AWS Signature Version 4: `AWS4-HMAC-SHA256`, the fields Authorization and X-Amz-Date
    Aws4,
    /// Avanan: the fields x-av-req-id, x-av-app-id, x-av-date, x-av-sig, and with --token-file x-av-token
    Avanan,
    /// Escher under other names: --prefix, --vendor, --scope, and if need be --auth-header and --date-header
    Escher,
}

/// How requests are signed.
#[derive(Debug, Args)]
pub(crate) struct Names {
    /// Whose way of signing
    #[arg(long, value_enum, value_name = "SCHEME")]
    pub(crate) scheme: SchemeChoice,
    /// The credential scope, without the day: region, service and a last word
    ///
    /// Left out, it is us/api/antavo_request for antavo and us-east-1/execute-api/aws4_request for aws4. The server has one
    /// of its own, and refuses every other.
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,
    /// escher: the algorithm's prefix, as in ESR of ESR-HMAC-SHA256
    #[arg(long, value_name = "NAME")]
    pub(crate) prefix: Option<String>,
    /// escher: the vendor's key, as in Escher of X-Escher-Signature
    #[arg(long, value_name = "NAME")]
    pub(crate) vendor: Option<String>,
    /// escher: the header field of the signature; left out, X-VENDOR-Auth
    #[arg(long, value_name = "NAME")]
    pub(crate) auth_header: Option<String>,
    /// escher: the header field of the date; left out, X-VENDOR-Date
    #[arg(long, value_name = "NAME")]
    pub(crate) date_header: Option<String>,
}

/// The hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HashChoice {
    Sha256,
    /// Not for aws4
    Sha512,
}

/// How the date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DateChoice {
    /// 20150830T123600Z
    Iso,
    /// Sun, 30 Aug 2015 12:36:00 GMT; not for aws4
    Http,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// The header fields to add, a line each; with --presign the address
    Headers,
    /// A curl command that sends the request
    Curl,
    /// All of it, as JSON
    Json,
}

const EXAMPLES: &str = "\
Examples:
  doorward sign --scheme antavo --id dwi_1 --secret-file secret GET https://api.example/customers/8eb1b522
  doorward sign --scheme antavo --id dwi_1 --secret-file secret --output curl \\
      --header 'Content-Type: application/json' --sign content-type --data '{\"points\":325}' \\
      POST https://api.example/events
  doorward sign --scheme aws4 --id dwi_1 --secret-file secret --explain --send GET 'https://api.example/x?b=2&a=1'
  doorward sign --scheme antavo --id dwi_1 --secret-file secret --presign 3600 GET https://api.example/report.pdf
  doorward sign --scheme avanan --id US:dwi_1 --secret-file secret --send GET https://api.example/v1.0/auth
  doorward sign --scheme avanan --id US:dwi_1 --secret-file secret --token-file token --send \\
      GET https://api.example/v1.0/soar/entities?limit=2

Host and date are always signed, and so is the body (but by avanan, which signs path, query and date alone). Of the other header fields, those are signed that --sign names; a
server does not pass on what is not signed, unless it was told to. docs/signing.md teaches it step by step.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sign {
    #[command(flatten)]
    pub(crate) names: Names,
    /// The credential's id
    #[arg(long, value_name = "ID")]
    pub(crate) id: String,
    /// The file with its secret; `-` for standard input. The end of its line does not belong to it
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: PathBuf,
    /// The hash of the signature
    #[arg(long, value_enum, value_name = "HASH", default_value = "sha256")]
    pub(crate) hash: HashChoice,
    /// How the date's header field is written
    #[arg(long, value_enum, value_name = "FORM", default_value = "iso", conflicts_with = "presign")]
    pub(crate) date_form: DateChoice,
    /// A header field that is sent, as in 'Content-Type: application/json'; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// A header field that is signed, beside host and date; may be given more than once
    #[arg(long = "sign", value_name = "NAME")]
    pub(crate) signed: Vec<String>,
    /// The body, as it stands here
    #[arg(short, long, value_name = "TEXT", conflicts_with = "data_file")]
    pub(crate) data: Option<String>,
    /// The file with the body, byte for byte; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) data_file: Option<PathBuf>,
    /// Put the signature in the address, which is then good for so many seconds; servers take this only where they were
    /// told to
    #[arg(long, value_name = "SECONDS")]
    pub(crate) presign: Option<i64>,
    /// avanan: the id of the request, 8 to 64 hexadecimal digits and dashes; left out, a random one
    #[arg(long, value_name = "ID")]
    pub(crate) req_id: Option<String>,
    /// avanan: the file with the token that goes with the request; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// When it is signed, as in 2015-08-30T12:36:00Z; left out, now
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(crate) at: Option<UnixMillis>,
    /// What is printed
    #[arg(short, long, value_enum, value_name = "SHAPE", default_value = "headers")]
    pub(crate) output: Shape,
    /// Tell on standard error what was signed: the canonical request and the string to sign
    #[arg(long)]
    pub(crate) explain: bool,
    /// Send the request, and print the answer: status, header fields, body. An answer of 400 or more ends with exit code 1
    #[arg(long, conflicts_with = "output")]
    pub(crate) send: bool,
    /// With https, trust the certificates in this file (PEM) instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The method, in capitals
    #[arg(value_name = "METHOD")]
    pub(crate) method: String,
    /// The address with its query, encoded as it is to be sent
    #[arg(value_name = "URL")]
    pub(crate) url: String,
}

/// An instant, in either of the forms that people meet.
pub(crate) fn instant(text: &str) -> Result<UnixMillis, String> {
    UnixMillis::parse(text)
        .or_else(|| UnixMillis::parse_iso_basic(text))
        .ok_or_else(|| "write it as 2015-08-30T12:36:00Z".to_owned())
}
