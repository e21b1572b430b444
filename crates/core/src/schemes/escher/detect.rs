//! Finds a signature, and refuses all that is wrong with it without knowing anybody.
use super::authorization as auth;
use super::config::{Config, Flavour};
use super::{Declared, Form, Presented, Reason, Refusal, presigned, quoted};
use crate::canonical::{UNSIGNED_PAYLOAD, unhex};
use crate::request::{Lookup, RequestView};
use crate::time::UnixMillis;
use smallvec::SmallVec;

/// The methods that Escher knows. A caller may write them in lower case.
pub(super) const METHODS: [&str; 9] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT"];
/// The field in which Signature Version 4 sends the digest of the body.
pub(super) const PAYLOAD_FIELD: &str = "x-amz-content-sha256";

/// Looks for a signature. `None`: not mine.
///
/// # Errors
/// It is mine, but can't be read, or can't be right whoever signed it.
pub fn detect<'a>(config: &'a Config, req: &RequestView<'a>) -> Result<Option<Presented<'a>>, Refusal> {
    match parse(config, req)? {
        None => Ok(None),
        Some(presented) => settle(&presented, req).map(|()| Some(presented)),
    }
}

/// Reads a signature, and looks at nothing but its grammar. `None`: not mine.
///
/// # Errors
/// It is mine, but can't be read.
pub fn parse<'a>(config: &'a Config, req: &RequestView<'a>) -> Result<Option<Presented<'a>>, Refusal> {
    let field = &config.auth_field;
    let values: SmallVec<[&[u8]; 2]> = values(req, field).collect();
    let mine = values.iter().any(|value| auth::is_mine(config, value));
    let in_query = presigned::is_there(config, req)?;
    match (mine, in_query) {
        (false, false) => return Ok(None),
        (true, true) => {
            let note = format!("The request is signed in {field} and in the query; sign it once.");
            return Err(Refusal::ambiguous("signed-twice", note));
        }
        _ => {}
    }
    if values.len() > 1 {
        let note = format!("{field} was sent more than once.");
        return Err(Refusal::ambiguous("two-authorizations", note));
    }
    if config.flavour == Flavour::Escher
        && !METHODS.iter().any(|m| req.method.eq_ignore_ascii_case(m.as_bytes()))
    {
        return Err(Refusal::malformed("method", format!("{} can't be signed.", quoted(req.method))));
    }
    if in_query { from_query(config, req).map(Some) } else { from_field(config, req, values[0]).map(Some) }
}

fn values<'a>(req: &RequestView<'a>, lower: &str) -> impl Iterator<Item = &'a [u8]> {
    let (raw, name) = (req.raw, lower.as_bytes());
    req.fields.iter().filter(move |f| f.name.on(raw).eq_ignore_ascii_case(name)).map(move |f| f.value.on(raw))
}

fn from_field<'a>(
    config: &'a Config,
    req: &RequestView<'a>,
    value: &'a [u8],
) -> Result<Presented<'a>, Refusal> {
    let parts = auth::parts(config, value)?;
    let hash = auth::hash(config, parts.algorithm)?;
    let [id, day, scope] = auth::credential(config, parts.credential.into())?;
    let signed = auth::signed(config, parts.signed.into())?;
    let signature = auth::signature(hash, parts.signature.as_bytes())?;
    let (date_field, date) = date(config, req)?;
    let sent = match req.field(PAYLOAD_FIELD) {
        _ if config.flavour == Flavour::Escher => None,
        Lookup::Absent => None,
        Lookup::One(value) => Some(value),
        Lookup::Repeated => return Err(repeated(PAYLOAD_FIELD)),
    };
    let declared = declared(PAYLOAD_FIELD, sent, false)?;
    let form = Form::Header;
    Ok(Presented {
        config,
        form,
        hash,
        id,
        day,
        scope,
        signed,
        signature,
        date,
        date_field,
        declared,
        token: false,
    })
}

fn from_query<'a>(config: &'a Config, req: &RequestView<'a>) -> Result<Presented<'a>, Refusal> {
    let Some(max_s) = config.presigned_max_s else {
        return Err(Refusal::not_accepted(
            "presigned-off",
            format!("Signed addresses are not accepted here; sign in {}.", config.auth_field),
        ));
    };
    if !presigned::method_allowed(config, req.method) {
        return Err(Refusal::not_accepted("presigned-method", "A signed address is for GET alone."));
    }
    let query = presigned::read(config, req.query.unwrap_or_default())?;
    let hash = auth::hash(config, &query.algorithm)?;
    let [id, day, scope] = auth::credential(config, query.credential.into())?;
    let signed = auth::signed(config, query.signed.into())?;
    let signature = auth::signature(hash, query.signature.as_bytes())?;
    let date = UnixMillis::parse_iso_basic(&query.date)
        .ok_or_else(|| unreadable_date(&config.parameters.date, query.date.as_bytes(), "20150830T123600Z"))?;
    let expires_s = presigned::expires(config, &query.expires, max_s)?;
    let get = req.method == b"GET";
    let declared = match (config.flavour, req.field(PAYLOAD_FIELD), &query.payload) {
        (Flavour::Escher, ..) => Declared::Unsigned,
        (_, Lookup::Repeated, _) => return Err(repeated(PAYLOAD_FIELD)),
        (_, Lookup::One(_), Some(_)) => {
            let note = "The digest of the body was sent in the header and in the query.";
            return Err(Refusal::malformed("digest-twice", note));
        }
        (_, Lookup::One(value), None) => declared(PAYLOAD_FIELD, Some(value), get)?,
        (_, Lookup::Absent, sent) => declared("the query", sent.as_deref().map(str::as_bytes), get)?,
    };
    let form = Form::Query { expires_s };
    let token = query.token;
    Ok(Presented {
        config,
        form,
        hash,
        id,
        day,
        scope,
        signed,
        signature,
        date,
        date_field: "",
        declared,
        token,
    })
}

fn repeated(field: &str) -> Refusal {
    Refusal::malformed("field-repeated", format!("{field} was sent more than once."))
}

/// What Signature Version 4 says about the body.
fn declared(place: &str, sent: Option<&[u8]>, may_be_unsigned: bool) -> Result<Declared, Refusal> {
    let Some(value) = sent else { return Ok(Declared::Nothing) };
    if value == UNSIGNED_PAYLOAD.as_bytes() && may_be_unsigned {
        return Ok(Declared::Unsigned);
    }
    if value == UNSIGNED_PAYLOAD.as_bytes() || value.starts_with(b"STREAMING-") {
        return Err(Refusal::not_accepted(
            "payload-not-signed",
            format!("{place} says {}; here the whole body must be signed.", quoted(value)),
        ));
    }
    match unhex(value) {
        Some(digest) if digest.len() == 32 => Ok(Declared::Digest(digest)),
        _ => Err(Refusal::malformed(
            "digest-unreadable",
            format!("The digest of the body in {place} must be 64 hexadecimal digits in lower case."),
        )),
    }
}

/// The date that was signed, and the field that it stood in.
fn date<'a>(config: &'a Config, req: &RequestView<'a>) -> Result<(&'a str, UnixMillis), Refusal> {
    let own = &*config.date_field;
    let (name, value) = match (req.field(own), config.flavour) {
        (Lookup::Absent, Flavour::SigV4) => ("date", req.field("date")),
        (value, _) => (own, value),
    };
    let value = match value {
        Lookup::One(value) => value,
        Lookup::Repeated => return Err(repeated(name)),
        Lookup::Absent => {
            return Err(Refusal::malformed("date-missing", format!("The field {own} is missing.")));
        }
    };
    let text = std::str::from_utf8(value).unwrap_or_default();
    let both = name == "date" || config.flavour == Flavour::Escher;
    let read = UnixMillis::parse_iso_basic(text)
        .or_else(|| if both { UnixMillis::parse_http_date(text) } else { None });
    let forms = if both { "20150830T123600Z or Sun, 30 Aug 2015 12:36:00 GMT" } else { "20150830T123600Z" };
    read.map(|date| (name, date)).ok_or_else(|| unreadable_date(name, value, forms))
}

fn unreadable_date(name: &str, value: &[u8], forms: &str) -> Refusal {
    Refusal::malformed(
        "date-unreadable",
        format!("{name} is {}; it must be written like {forms}.", quoted(value)),
    )
}

/// What can be held against each other without knowing anybody.
pub(crate) fn settle(p: &Presented<'_>, req: &RequestView<'_>) -> Result<(), Refusal> {
    let config = p.config;
    let wrong = |detail, note: String| Err(Refusal::malformed(detail, note));
    let signed = |name: &str| p.signed.iter().any(|s| **s == *name);
    if *p.scope != *config.scope {
        return Err(Refusal::new(Reason::SignatureInvalid, "scope-foreign")
            .saying(format!("The credential scope is `{}`; here it is `{}`.", p.scope, config.scope)));
    }
    if p.date.iso_basic_bytes().is_none_or(|date| date[..8] != *p.day.as_bytes()) {
        let day = &p.date.iso_basic()[..8];
        let note = format!("The credential is for the day {}, but the request is dated {day}.", p.day);
        return wrong("day-differs", note);
    }
    if req.host.is_empty() {
        return wrong("host-missing", "The field host is missing.".to_owned());
    }
    let date_field = (!p.date_field.is_empty()).then_some(p.date_field);
    let always = std::iter::once("host").chain(date_field);
    for name in always.chain(config.must_sign.iter().map(|n| &**n)) {
        if !signed(name) {
            return wrong("field-not-signed", format!("The field {name} is not signed."));
        }
    }
    for name in p.signed.iter().filter(|name| &***name != "host") {
        if values(req, name).next().is_none() {
            return wrong("signed-field-absent", format!("The field {name} is signed, but was not sent."));
        }
        if **name == *config.auth_field {
            return wrong("signs-itself", format!("The field {name} can't be signed."));
        }
    }
    if config.flavour == Flavour::SigV4
        && req.field(PAYLOAD_FIELD) != Lookup::Absent
        && !signed(PAYLOAD_FIELD)
    {
        return wrong("field-not-signed", format!("The field {PAYLOAD_FIELD} is not signed."));
    }
    Ok(())
}
