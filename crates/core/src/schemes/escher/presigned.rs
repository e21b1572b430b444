//! The signature in the query.
use super::config::{Config, Flavour};
use super::{Refusal, quoted};
use crate::canonical::decoded;
use crate::request::RequestView;
use crate::schemes::key::{disguised, parameters};

/// The parameters of a presigned address, decoded.
pub(super) struct Parameters {
    pub(super) algorithm: String,
    pub(super) credential: String,
    pub(super) date: String,
    pub(super) expires: String,
    pub(super) signed: String,
    pub(super) signature: String,
    pub(super) token: bool,
    /// The digest of the body as the query has it.
    pub(super) payload: Option<String>,
}

/// Whether the query holds what only a signature needs.
pub(super) fn is_there(config: &Config, req: &RequestView<'_>) -> Result<bool, Refusal> {
    let names = &config.parameters;
    let telling = [&*names.algorithm, &*names.credential, &*names.signature];
    let mut found = false;
    let Some(query) = req.query else { return Ok(false) };
    for (name, _) in pairs(query) {
        found |= telling.iter().any(|t| t.as_bytes() == name);
    }
    for (name, _) in parameters(query) {
        let exact = telling.iter().any(|t| t.as_bytes() == name);
        // What some server takes for one of ours must be ours, or it would not be removed.
        if exact && !found || !exact && telling.iter().any(|t| disguised(name, t)) {
            let note = format!("The query parameter {} must be written plainly.", quoted(name));
            return Err(Refusal::malformed("parameter-disguised", note));
        }
    }
    Ok(found)
}

/// Reads them all.
pub(super) fn read(config: &Config, query: &[u8]) -> Result<Parameters, Refusal> {
    let names = &config.parameters;
    let value = |name: &str| -> Result<Option<String>, Refusal> {
        if parameters(query).filter(|(n, _)| *n == name.as_bytes()).count() > 1 {
            let note = format!("The query parameter {name} was sent more than once.");
            return Err(Refusal::malformed("parameter-repeated", note));
        }
        let found = pairs(query).find(|(n, _)| *n == name.as_bytes());
        let Some((_, value)) = found else { return Ok(None) };
        String::from_utf8(decoded(value, config.reading())).map(Some).map_err(|_| {
            Refusal::malformed("parameter-not-utf8", format!("The query parameter {name} is no UTF-8."))
        })
    };
    let needed = |name: &str| {
        value(name)?.ok_or_else(|| {
            let all = names.needed().join(", ");
            let note = format!("The query parameter {name} is missing; a signed address has {all}.");
            Refusal::malformed("parameter-missing", note)
        })
    };
    let optional = |name: &Option<Box<str>>| name.as_ref().map_or(Ok(None), |name| value(name));
    // A name in disguise would be signed as something else than what an upstream takes it for.
    for (name, _) in parameters(query) {
        if let Some(own) =
            config.credential_parameters().find(|own| name != own.as_bytes() && disguised(name, own))
        {
            let note = format!("The query parameter {own} must be written plainly.");
            return Err(Refusal::malformed("parameter-disguised", note));
        }
    }
    Ok(Parameters {
        algorithm: needed(&names.algorithm)?,
        credential: needed(&names.credential)?,
        date: needed(&names.date)?,
        expires: needed(&names.expires)?,
        signed: needed(&names.signed)?,
        signature: needed(&names.signature)?,
        token: optional(&names.token)?.is_some(),
        payload: optional(&names.payload)?,
    })
}

/// Name and value of each parameter, as they are signed: only `&` separates.
fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|b| *b == b'&').map(|p| match p.iter().position(|b| *b == b'=') {
        Some(at) => (&p[..at], &p[at + 1..]),
        None => (p, &p[..0]),
    })
}

/// How long the address is good: a whole number of seconds, and not more than the configuration allows.
pub(super) fn expires(config: &Config, text: &str, max_s: i64) -> Result<i64, Refusal> {
    let name = &config.parameters.expires;
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(s) if digits && (1..=max_s).contains(&s) => Ok(s),
        _ => Err(Refusal::malformed(
            "expires",
            format!("{name} is {}; it must be 1 to {max_s} seconds.", quoted(text.as_bytes())),
        )),
    }
}

/// Whether a method may be presigned.
pub(super) fn method_allowed(config: &Config, method: &[u8]) -> bool {
    config.flavour == Flavour::SigV4 || method.eq_ignore_ascii_case(b"GET")
}
