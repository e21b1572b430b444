//! Signs a request that is being made: the mirror of detection and verification.
use super::config::{Config, Flavour, field_name};
use super::detect::{METHODS, PAYLOAD_FIELD};
use super::{Declared, Form, Presented, SigningSecret};
use crate::canonical::{BodyDigest, CanonicalRequest, Hash, StringToSign, push_encoded, push_hex};
use crate::credential::MAX_ID_BYTES;
use crate::request::{Field, FieldKind, RequestView, Span, Transport};
use crate::time::UnixMillis;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Who signs.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: SigningSecret,
}

/// A request that is being made. It has no `Host` among its fields, and no signature yet.
#[derive(Clone)]
pub struct ToSign {
    /// The method.
    pub method: String,
    /// Host and, where it is not the usual one, port: exactly as it will be sent.
    pub host: String,
    /// Path and query, exactly as they will be sent.
    pub target: String,
    /// Header fields that will be sent; only those that [`How::fields`] names are signed.
    pub headers: Vec<(String, String)>,
    /// The body's digest. Its hash is the one that the signature uses.
    pub body: BodyDigest,
}

impl std::fmt::Debug for ToSign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ToSign({} to {})", self.method, self.host)
    }
}

/// How a date is written in a header field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateForm {
    /// `20150830T123600Z`.
    #[default]
    IsoBasic,
    /// `Sun, 30 Aug 2015 12:36:00 GMT`.
    Http,
}

/// What a signer may choose.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// The form of a date that is added.
    pub date_form: DateForm,
    /// The fields that are signed beside host and date; in any case, in any order.
    pub fields: Vec<String>,
    /// Whether the digest of the body is sent in a field as well (Signature Version 4).
    pub payload_field: bool,
}

/// A signed request: what is to be added to it, and what was signed.
#[derive(Clone)]
pub struct Signed {
    /// Path and query, with the signature if it stands there.
    pub target: String,
    /// Header fields to add, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What was hashed.
    pub canonical_request: CanonicalRequest,
    /// What was signed.
    pub string_to_sign: StringToSign,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signed({} header fields)", self.headers.len())
    }
}

/// A request can't be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The method.
    #[error("this method can't be signed")]
    Method,
    /// Path, query or host.
    #[error(
        "the target must begin with `/`, the host must be named, and neither may have control characters"
    )]
    Target,
    /// The id or the secret.
    #[error("the id or the secret is empty, or has characters that can't be sent")]
    Credential,
    /// A header field.
    #[error("the header field `{0}` can't be signed: it is missing, or it can't be sent")]
    Field(String),
    /// The date that is there already.
    #[error("the date in `{0}` is not the one that is to be signed")]
    Date(String),
    /// The hash.
    #[error("this way of signing does not use this hash")]
    Hash,
    /// A presigned address lives one second at least.
    #[error("a signed address must be good for 1 to 999999999 seconds")]
    Expires,
    /// The request is too large to be one.
    #[error("the header fields are too large")]
    TooLarge,
}

/// Signs in a header field, at the second of `now`.
///
/// # Errors
/// See [`SignError`].
pub fn sign(
    config: &Config,
    signer: &Signer,
    req: &ToSign,
    how: &How,
    now: UnixMillis,
) -> Result<Signed, SignError> {
    let date = whole_second(now);
    let field = &*config.date_field;
    let mut added = Vec::new();
    match req.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(field)) {
        Some((_, value)) => {
            let there = UnixMillis::parse_iso_basic(value).or_else(|| UnixMillis::parse_http_date(value));
            if there != Some(date) {
                return Err(SignError::Date(field.to_owned()));
            }
        }
        None => {
            let value = match how.date_form {
                DateForm::IsoBasic => date.iso_basic(),
                DateForm::Http => date.http_date(),
            };
            added.push((field.to_owned(), value));
        }
    }
    let mut fields = how.fields.clone();
    fields.push(field.to_owned());
    if how.payload_field && config.flavour == Flavour::SigV4 {
        added.push((PAYLOAD_FIELD.to_owned(), req.body.digest().to_string()));
        fields.push(PAYLOAD_FIELD.to_owned());
    }
    let mut all = req.clone();
    all.headers.extend(added.iter().cloned());
    let made = make(config, signer, &all, &fields, Form::Header, date)?;
    let algorithm = algorithm(config, req.body.hash());
    let Made { day, signed, signature, .. } = &made;
    added.push((
        config.auth_field.to_string(),
        format!(
            "{algorithm} Credential={}/{day}/{}, SignedHeaders={signed}, Signature={signature}",
            signer.id, config.scope
        ),
    ));
    Ok(Signed {
        target: all.target,
        headers: added,
        canonical_request: made.canonical_request,
        string_to_sign: made.string_to_sign,
    })
}

/// Signs in the query, at the second of `now`: an address that is good for `expires_s` seconds. With Escher for GET
/// without a body, alone.
///
/// # Errors
/// See [`SignError`].
pub fn presign(
    config: &Config,
    signer: &Signer,
    req: &ToSign,
    how: &How,
    expires_s: i64,
    now: UnixMillis,
) -> Result<Signed, SignError> {
    if config.flavour == Flavour::Escher && req.method != "GET" {
        return Err(SignError::Method);
    }
    if !(1..=999_999_999).contains(&expires_s) {
        return Err(SignError::Expires);
    }
    let date = whole_second(now);
    let names = &config.parameters;
    let fields = signed_names(&how.fields);
    let credential = format!("{}/{}/{}", signer.id, &date.iso_basic()[..8], config.scope);
    let mut all = req.clone();
    for (name, value) in [
        (&names.algorithm, algorithm(config, req.body.hash())),
        (&names.credential, credential),
        (&names.date, date.iso_basic()),
        (&names.expires, expires_s.to_string()),
        (&names.signed, fields.join(";")),
    ] {
        append(&mut all.target, name, &value);
    }
    let made = make(config, signer, &all, &how.fields, Form::Query { expires_s }, date)?;
    append(&mut all.target, &names.signature, &made.signature);
    Ok(Signed {
        target: all.target,
        headers: Vec::new(),
        canonical_request: made.canonical_request,
        string_to_sign: made.string_to_sign,
    })
}

fn whole_second(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.div_euclid(1000) * 1000)
}

fn algorithm(config: &Config, hash: Hash) -> String {
    format!("{}-HMAC-{}", config.prefix, hash.name())
}

fn append(target: &mut String, name: &str, value: &str) {
    let separator = match target.find('?') {
        None => "?",
        Some(at) if at + 1 == target.len() || target.ends_with('&') => "",
        Some(_) => "&",
    };
    let mut encoded = Vec::new();
    value.bytes().for_each(|b| push_encoded(&mut encoded, b));
    target.push_str(separator);
    target.push_str(name);
    target.push('=');
    target.push_str(&String::from_utf8_lossy(&encoded));
}

/// The names of the signed fields: lower case, sorted, each once, `host` among them.
fn signed_names(fields: &[String]) -> Vec<String> {
    let mut names: Vec<String> = fields.iter().map(|f| f.to_ascii_lowercase()).collect();
    names.push("host".to_owned());
    names.sort_unstable();
    names.dedup();
    names
}

struct Made {
    day: String,
    signed: String,
    signature: String,
    canonical_request: CanonicalRequest,
    string_to_sign: StringToSign,
}

fn make(
    config: &Config,
    signer: &Signer,
    req: &ToSign,
    fields: &[String],
    form: Form,
    date: UnixMillis,
) -> Result<Made, SignError> {
    let hash = req.body.hash();
    let id_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let id = &signer.id;
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.bytes().all(id_byte) || signer.secret.is_empty() {
        return Err(SignError::Credential);
    }
    if !config.hashes().contains(&hash) {
        return Err(SignError::Hash);
    }
    let known = config.flavour == Flavour::SigV4 || METHODS.contains(&&*req.method);
    if !known || req.method.is_empty() || !req.method.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(SignError::Method);
    }
    let clean = |text: &str| !text.bytes().any(|b| b.is_ascii_control());
    if !req.target.starts_with('/') || req.host.is_empty() || !clean(&req.target) || !clean(&req.host) {
        return Err(SignError::Target);
    }
    let names = signed_names(fields);
    for name in names.iter().filter(|name| *name != "host") {
        let mut sent = req.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).peekable();
        if sent.peek().is_none()
            || !field_name(name)
            || !sent.all(|(_, value)| clean(&value.replace('\t', " ")))
        {
            return Err(SignError::Field(name.clone()));
        }
    }
    let head = Head::of(&req.headers)?;
    let (path, query) = match req.target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (&*req.target, None),
    };
    let view = RequestView {
        raw: &head.raw,
        method: req.method.as_bytes(),
        path: path.as_bytes(),
        query,
        host: req.host.as_bytes(),
        fields: &head.fields,
        client: None,
        transport: Transport::Secure,
        now: date,
    };
    let in_query = matches!(form, Form::Query { .. });
    let presented = Presented {
        config,
        form,
        hash,
        id: Cow::Borrowed(id),
        day: date.iso_basic()[..8].to_owned().into(),
        scope: Cow::Borrowed(&config.scope),
        signed: names.iter().map(|n| Cow::Borrowed(&**n)).collect(),
        signature: SmallVec::new(),
        date,
        date_field: if in_query { "" } else { &config.date_field },
        declared: match config.flavour {
            Flavour::Escher if in_query => Declared::Unsigned,
            _ => Declared::Nothing,
        },
        token: false,
    };
    let canonical_request = presented.canonical(&view, &req.body, config.reading());
    let string_to_sign = presented.string_to_sign(&canonical_request);
    let mut signature = Vec::new();
    push_hex(&mut signature, presented.key(Some(&signer.secret)).sign(string_to_sign.as_bytes()).as_ref());
    Ok(Made {
        day: presented.day.into_owned(),
        signed: names.join(";"),
        signature: String::from_utf8_lossy(&signature).into_owned(),
        canonical_request,
        string_to_sign,
    })
}

/// Header fields as a request view wants them.
struct Head {
    raw: Vec<u8>,
    fields: Vec<Field>,
}

impl Head {
    fn of(headers: &[(String, String)]) -> Result<Head, SignError> {
        let raw: Vec<u8> =
            headers.iter().flat_map(|(n, v)| [n.as_bytes(), v.as_bytes()]).flatten().copied().collect();
        if raw.len() > usize::from(u16::MAX) {
            return Err(SignError::TooLarge);
        }
        let mut at = 0;
        let mut next = |len: usize| {
            at += len;
            Span::of(&raw, &raw[at - len..at])
        };
        let fields = headers
            .iter()
            .map(|(name, value)| Field {
                name: next(name.len()),
                value: next(value.len()),
                kind: FieldKind::Other,
            })
            .collect();
        Ok(Head { raw, fields })
    }
}
