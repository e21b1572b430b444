//! `doorward sign`.
use super::print;
use super::signing::{self, is_stdin};
use super::usage::usage;
use crate::cli::{DateChoice, HashChoice, SchemeChoice, Shape, Sign};
use crate::shell::capitals;
use crate::url::Url;
use crate::{Failure, clock};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::request::FieldKind;
use doorward_core::schemes::escher::{self, Config, DateForm, How, Signed, Signer, ToSign};
use doorward_gateway::wire;
use serde_json::{Map, Value, json};
use std::io::{self, Write as _};
use std::path::PathBuf;

mod avanan;
mod curl;
mod send;

/// Where a body came from.
enum Body {
    Text(String),
    File(PathBuf, Vec<u8>),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Body::Text(text) => text.as_bytes(),
            Body::File(_, bytes) => bytes,
        }
    }
}

/// A signed request.
struct Made {
    method: String,
    /// With the target as it was signed.
    url: Url,
    /// Every header field that is sent, in order, beside `Host` and what frames the message.
    headers: Vec<(String, String)>,
    body: Option<Body>,
    signed: Added,
}

/// What signing adds to a request.
struct Added {
    /// Path and query, with the signature if it stands there.
    target: String,
    /// Header fields, names in lower case.
    headers: Vec<(String, String)>,
    explained: Explained,
}

/// What was signed, as it may be shown.
struct Explained {
    canonical_request: Option<String>,
    string_to_sign: String,
}

impl From<Signed> for Added {
    fn from(signed: Signed) -> Added {
        let explained = Explained {
            canonical_request: Some(signed.canonical_request.to_string()),
            string_to_sign: signed.string_to_sign.to_string(),
        };
        Added { target: signed.target, headers: signed.headers, explained }
    }
}

pub(super) fn run(options: &Sign) -> Result<(), Failure> {
    let made = make(options)?;
    if options.explain {
        explain(&made.signed.explained)?;
    }
    if options.send {
        return send::send(&made, options.ca_file.as_deref());
    }
    match options.output {
        Shape::Curl => Ok(print::line(curl::line(&made, options.ca_file.as_deref())?)?),
        Shape::Json => Ok(print::json(&told(&made, options.explain))?),
        Shape::Headers if options.presign.is_some() => {
            Ok(print::line(made.url.with_target(&made.url.target))?)
        }
        Shape::Headers => {
            for (name, value) in &made.signed.headers {
                print::line(format_args!("{}: {value}", capitals(name)))?;
            }
            Ok(())
        }
    }
}

fn make(options: &Sign) -> Result<Made, Failure> {
    let mut url = Url::parse(&options.url).unwrap_or_else(|e| usage(e));
    let mut headers: Vec<_> = options.headers.iter().map(|text| field(text)).collect();
    let capitals_only = options.method.to_ascii_uppercase();
    if capitals_only != options.method {
        usage(format_args!("write the method in capitals, as it is signed and sent: {capitals_only}"));
    }
    if options.names.scheme == SchemeChoice::Aws4 && options.date_form == DateChoice::Http {
        usage("--date-form http is not for aws4, which writes its date as 20150830T123600Z");
    }
    let files = [Some(&options.secret_file), options.data_file.as_ref(), options.token_file.as_ref()];
    if files.into_iter().flatten().filter(|file| is_stdin(file)).count() > 1 {
        usage("only one of secret, body and token can come from standard input; put the others in files");
    }
    let signer = Signer { id: options.id.clone(), secret: signing::secret(&options.secret_file)? };
    let body = match (&options.data, &options.data_file) {
        (Some(text), _) => Some(Body::Text(text.clone())),
        (None, Some(file)) => Some(Body::File(file.clone(), signing::read(file)?)),
        (None, None) => None,
    };
    let signed = match options.names.scheme {
        SchemeChoice::Avanan => avanan::sign(options, &signer, &url)?,
        _ if options.req_id.is_some() || options.token_file.is_some() => {
            usage("--req-id and --token-file are for --scheme avanan")
        }
        _ => {
            let config = signing::config(&options.names);
            sign(options, &config, &signer, &url, &headers, body.as_ref()).into()
        }
    };
    if let Some((name, _)) =
        headers.iter().find(|(n, _)| signed.headers.iter().any(|(added, _)| added.eq_ignore_ascii_case(n)))
    {
        usage(format_args!("the header field {name} is written by the signature; leave it out"));
    }
    headers.extend(signed.headers.iter().map(|(name, value)| (capitals(name), value.clone())));
    url.target.clone_from(&signed.target);
    let made = Made { method: options.method.clone(), url, headers, body, signed };
    // What a server would not even read is not worth signing.
    let limits =
        wire::Limits { head_bytes: wire::MAX_HEAD_BYTES, fields: wire::MAX_FIELDS, ..Default::default() };
    if let Err(reject) = wire::request(&send::head(&made), &limits, &mut wire::Head::default()) {
        usage(reject.sentence());
    }
    Ok(made)
}

/// Signs. What can't be signed ends the process: all of it stands on the command line.
fn sign(
    options: &Sign,
    config: &Config,
    signer: &Signer,
    url: &Url,
    headers: &[(String, String)],
    body: Option<&Body>,
) -> Signed {
    let hash = match options.hash {
        HashChoice::Sha256 => Hash::Sha256,
        HashChoice::Sha512 => Hash::Sha512,
    };
    let req = ToSign {
        method: options.method.clone(),
        host: url.host.clone(),
        target: url.target.clone(),
        headers: headers.to_vec(),
        body: BodyDigest::of(hash, body.map_or(&[], Body::bytes)),
    };
    let how = How {
        date_form: match options.date_form {
            DateChoice::Iso => DateForm::IsoBasic,
            DateChoice::Http => DateForm::Http,
        },
        fields: options.signed.clone(),
        payload_field: false,
    };
    let now = options.at.unwrap_or_else(clock::now);
    let signed = match options.presign {
        None => escher::sign(config, signer, &req, &how, now),
        Some(_) if options.names.scheme != SchemeChoice::Aws4 && body.is_some() => {
            usage("an address signed with Escher goes without a body")
        }
        Some(expires_s) => escher::presign(config, signer, &req, &how, expires_s, now),
    };
    signed.unwrap_or_else(|e| usage(e))
}

/// A header field as the command line has it.
fn field(text: &str) -> (String, String) {
    let Some((name, value)) = text.split_once(':') else {
        usage(format_args!("the header field `{}` must be written as `Name: value`", text.escape_debug()));
    };
    let (name, value) = (name.trim_end().to_owned(), value.trim().to_owned());
    if value.contains(|c: char| c.is_control() && c != '\t') {
        usage(format_args!("the header field {} has a control character in its value", name.escape_debug()));
    }
    let why = match wire::kind(name.as_bytes()) {
        FieldKind::Host => "comes from the address",
        FieldKind::ContentLength
        | FieldKind::TransferEncoding
        | FieldKind::Connection
        | FieldKind::Expect
        | FieldKind::Hop => "is written by whoever sends the request",
        _ => return (name, value),
    };
    usage(format_args!("the header field {name} {why}; leave it out"))
}

/// Tells what was signed.
fn explain(signed: &Explained) -> io::Result<()> {
    let mut out = io::stderr().lock();
    if let Some(canonical) = &signed.canonical_request {
        writeln!(out, "Canonical request:\n{canonical}\n")?;
    }
    writeln!(out, "String to sign:\n{}\n", signed.string_to_sign)
}

fn told(made: &Made, explain: bool) -> Value {
    let headers: Map<String, Value> =
        made.signed.headers.iter().map(|(n, v)| (capitals(n), v.clone().into())).collect();
    let mut all = json!({
        "method": made.method,
        "url": made.url.with_target(&made.url.target),
        "host": made.url.host,
        "headers": headers,
    });
    if explain {
        let Explained { canonical_request, string_to_sign } = &made.signed.explained;
        if let Some(canonical) = canonical_request {
            all["canonical_request"] = canonical.clone().into();
        }
        all["string_to_sign"] = string_to_sign.clone().into();
    }
    all
}
