//! Finds a signature, and checks the grammar of its fields before anything is hashed.
use super::{APP_ID, DATE, MAX_TOKEN_BYTES, Presented, REQ_ID, SIG, TOKEN, read_signature};
use crate::credential::MAX_ID_BYTES;
use crate::decide::Refusal;
use crate::request::{Lookup, RequestView};
use crate::time::UnixMillis;

/// Looks for a signature. `None`: not mine. The id of a request alone is no credential: other clients send one too.
///
/// # Errors
/// `credential_malformed`: a field is missing or repeated, or its grammar is another.
pub fn detect<'a>(req: &RequestView<'a>) -> Result<Option<Presented<'a>>, Refusal> {
    if [APP_ID, DATE, SIG, TOKEN].iter().all(|name| req.field(name) == Lookup::Absent) {
        return Ok(None);
    }
    let req_id = field(req, REQ_ID, "8 to 64 hexadecimal digits and dashes", is_req_id)?;
    let app_id = field(req, APP_ID, "US:myapp29, the region in front as it was given out", is_app_id)?;
    let date_text = field(req, DATE, "2021-04-10T00:00:00.000", |text| date(text).is_some())?;
    let sig =
        field(req, SIG, "64 hexadecimal digits in lower case", |s| read_signature(s.as_bytes()).is_some())?;
    let (Some(date), Some(signature)) = (date(date_text), read_signature(sig.as_bytes())) else {
        return Err(wrong(SIG, "64 hexadecimal digits in lower case"));
    };
    Ok(Some(Presented { req_id, app_id, date_text, date, signature, token: token(req)? }))
}

fn wrong(name: &str, like: &str) -> Refusal {
    Refusal::malformed(
        "field-unreadable",
        format!("{name} can't be read; it must be written like this: {like}."),
    )
}

fn repeated(name: &str) -> Refusal {
    Refusal::malformed("field-repeated", format!("{name} was sent more than once."))
}

/// A field that must be there once.
fn field<'a>(
    req: &RequestView<'a>,
    name: &str,
    like: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<&'a str, Refusal> {
    match req.field(name) {
        Lookup::One(value) => {
            std::str::from_utf8(value).ok().filter(|text| fits(text)).ok_or_else(|| wrong(name, like))
        }
        Lookup::Repeated => Err(repeated(name)),
        Lookup::Absent => Err(Refusal::malformed("half-a-set", format!("{name} is missing."))),
    }
}

fn token<'a>(req: &RequestView<'a>) -> Result<Option<&'a str>, Refusal> {
    match req.field(TOKEN) {
        Lookup::Absent | Lookup::One(b"") => Ok(None),
        Lookup::Repeated => Err(repeated(TOKEN)),
        Lookup::One(value) => {
            let plain = value.len() <= MAX_TOKEN_BYTES && value.iter().all(|b| matches!(b, 0x21..=0x7e));
            let text = std::str::from_utf8(value).ok().filter(|_| plain);
            text.map(Some).ok_or_else(|| wrong(TOKEN, "the token as it was given out"))
        }
    }
}

fn of_req_id(b: u8) -> bool {
    b.is_ascii_hexdigit() || b == b'-'
}

pub(super) fn is_req_id(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(of_req_id)
}

/// Whether a text is the id of a caller.
///
/// `US:myapp29`: two capitals and a colon, then the name; or the name alone. One that stands alone must not begin with what
/// the id of a request could end with, or nobody could tell where the one ends and the other begins.
#[must_use]
pub fn is_app_id(text: &str) -> bool {
    let (region, name) = match text.split_once(':') {
        Some((region, name)) => (Some(region), name),
        None => (None, text),
    };
    let of_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let begins = |b: &u8| match region {
        Some(_) => b.is_ascii_alphanumeric(),
        None => b.is_ascii_alphanumeric() && !of_req_id(*b),
    };
    region.is_none_or(|r| r.len() == 2 && r.bytes().all(|b| b.is_ascii_uppercase()))
        && text.len() <= MAX_ID_BYTES
        && name.as_bytes().first().is_some_and(begins)
        && name.bytes().all(of_name)
}

/// `2021-04-10T00:00:00`, with up to nine digits of a fraction, with `Z` or without: UTC in any case.
pub(super) fn date(text: &str) -> Option<UnixMillis> {
    if !text.contains('T') {
        return None;
    }
    UnixMillis::parse(&format!("{}Z", text.strip_suffix('Z').unwrap_or(text)))
}
