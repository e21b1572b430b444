//! Signing by Avanan's rules: path and query, never the method or the body, and a token beside the signature.
use super::{Added, Explained};
use crate::cli::{DateChoice, HashChoice, Sign};
use crate::commands::signing;
use crate::commands::usage::usage;
use crate::url::Url;
use crate::{Failure, clock, random};
use doorward_core::schemes::avanan::{self, Covers, DateForm, ToSign};
use doorward_core::schemes::escher::Signer;
use std::path::Path;

/// Random bytes of the id that a request is given.
const REQ_ID_BYTES: usize = 16;

/// Signs. What can't be signed ends the process: all of it stands on the command line.
///
/// # Errors
/// The file with the token can't be read.
pub(super) fn sign(options: &Sign, signer: &Signer, url: &Url) -> Result<Added, Failure> {
    let names = &options.names;
    let foreign = [
        ("--scope", names.scope.is_some()),
        ("--prefix", names.prefix.is_some()),
        ("--vendor", names.vendor.is_some()),
        ("--auth-header", names.auth_header.is_some()),
        ("--date-header", names.date_header.is_some()),
        ("--sign", !options.signed.is_empty()),
        ("--presign", options.presign.is_some()),
        ("--hash sha512", options.hash == HashChoice::Sha512),
        ("--date-form http", options.date_form == DateChoice::Http),
    ];
    if let Some((option, _)) = foreign.iter().find(|(_, given)| *given) {
        usage(format_args!("{option} is not for avanan, whose signatures leave no choice"));
    }
    let token = options.token_file.as_deref().map(token).transpose()?;
    let mut bytes = [0; REQ_ID_BYTES];
    random::fill(&mut bytes);
    let req_id =
        options.req_id.clone().unwrap_or_else(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    let req = ToSign {
        target: &url.target,
        covers: Covers::Target,
        req_id: &req_id,
        date_form: DateForm::default(),
    };
    let now = options.at.unwrap_or_else(clock::now);
    let Ok(signed) = avanan::sign(signer, &req, token.as_deref(), now) else {
        usage(
            "this can't be signed: an id is like US:myapp29, the id of a request has 8 to 64 hexadecimal digits and dashes, \
             and path, query and token have neither spaces nor `#`",
        );
    };
    let date = signed.headers.iter().find(|(name, _)| name == "x-av-date").map_or("", |(_, date)| date);
    // The secret stands at its end, and is not shown.
    let string_to_sign = format!("{req_id}{}{date}{}<secret>", signer.id, url.target);
    Ok(Added {
        target: signed.target,
        headers: signed.headers,
        explained: Explained { canonical_request: None, string_to_sign },
    })
}

/// A token from a file; the end of its line does not belong to it.
fn token(file: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(signing::read(file)?).map_err(|_| format!("{}: no text", file.display()))?;
    let token = text.trim_end_matches(['\r', '\n']).to_owned();
    if token.is_empty() {
        Err(format!("{}: there is no token in it", file.display()).into())
    } else {
        Ok(token)
    }
}
