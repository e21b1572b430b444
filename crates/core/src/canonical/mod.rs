//! The bytes that are signed, and what of them may be shown.
//!
//! Both types here are made without any secret. What they show of a request are its method, path, query and signed
//! header fields, with the values of those fields alone that the scheme itself needs or that never hold a secret; of
//! the others, that they are there. Answers, records and explanations take these types and no other.
use crate::request::RequestView;
use crate::time::UnixMillis;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;

mod digest;
mod header;
mod path;
mod query;

pub use digest::{BodyDigest, BodyHasher, Digest, Hash};
pub(crate) use digest::{push_hex, unhex};
pub use header::Spaces;
pub(crate) use header::push_value;
pub use path::PathForm;
pub(crate) use path::{normalised, only_as_sent, push_encoded, unreserved};
pub use query::{QueryOrder, QueryReading};
pub(crate) use query::{decoded, push_respelt};

/// What stands in the place of a value that is not shown.
pub const HIDDEN: &str = "<hidden>";
/// What stands in the place of the body's digest where a body is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// Signed fields that hold no secret, beside the date: their values are shown.
const SHOWN_FIELDS: [&str; 6] =
    ["content-length", "content-type", "date", "host", "x-amz-content-sha256", "x-amz-date"];

/// How a family of schemes writes its canonical request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanonicalForm {
    /// The method is written in upper case.
    pub method_upper: bool,
    /// The path.
    pub path: PathForm,
    /// The order of parameters.
    pub query_order: QueryOrder,
    /// The spaces in values.
    pub spaces: Spaces,
}

/// The last line of a canonical request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// The body's digest.
    Body(&'a Digest),
    /// The body is not signed.
    Unsigned,
}

/// What goes into one canonical request.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// How it is written.
    pub form: CanonicalForm,
    /// The names of the signed fields: lower case, sorted, each once.
    pub signed: &'a [Cow<'a, str>],
    /// The field with the date, in lower case: its value is shown.
    pub date_field: &'a str,
    /// The query parameter that is left out: the signature.
    pub signature_parameter: Option<&'a str>,
    /// The query parameter whose value is not shown: a session token.
    pub token_parameter: Option<&'a str>,
    /// The last line.
    pub payload: Payload<'a>,
    /// How the query is read.
    pub reading: QueryReading,
}

/// The canonical request: method, path, query, signed fields, their names, the body's digest; a line each.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalRequest {
    bytes: Vec<u8>,
    /// Which parts of `bytes` are not shown, in order.
    hidden: SmallVec<[(usize, usize); 4]>,
}

impl CanonicalRequest {
    /// Builds it from a request as received. A signed field that was not sent has an empty value.
    #[must_use]
    pub fn of(req: &RequestView<'_>, recipe: &Recipe<'_>) -> CanonicalRequest {
        let mut out = Vec::with_capacity(512);
        let mut hidden = SmallVec::new();
        out.extend_from_slice(req.method);
        if recipe.form.method_upper {
            out.make_ascii_uppercase();
        }
        out.push(b'\n');
        if recipe.reading.path_as_sent {
            out.extend_from_slice(req.path);
        } else {
            path::push(&mut out, req.path, recipe.form.path);
        }
        out.push(b'\n');
        let special = query::Special { signature: recipe.signature_parameter, token: recipe.token_parameter };
        query::push(
            &mut out,
            &mut hidden,
            req.query.unwrap_or_default(),
            recipe.form.query_order,
            recipe.reading,
            special,
        );
        out.push(b'\n');
        for name in recipe.signed {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            let start = out.len();
            push_values(&mut out, req, name, recipe.form.spaces);
            if !SHOWN_FIELDS.contains(&&**name) && **name != *recipe.date_field && out.len() > start {
                hidden.push((start, out.len()));
            }
            out.push(b'\n');
        }
        out.push(b'\n');
        for (i, name) in recipe.signed.iter().enumerate() {
            if i > 0 {
                out.push(b';');
            }
            out.extend_from_slice(name.as_bytes());
        }
        out.push(b'\n');
        match recipe.payload {
            Payload::Body(digest) => push_hex(&mut out, digest.bytes()),
            Payload::Unsigned => out.extend_from_slice(UNSIGNED_PAYLOAD.as_bytes()),
        }
        CanonicalRequest { bytes: out, hidden }
    }

    /// Exactly what is hashed. Not to be shown.
    pub(crate) fn as_hashed(&self) -> &[u8] {
        &self.bytes
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self, hash: Hash) -> Digest {
        hash.of(&self.bytes)
    }
}

/// All values of one field in the order sent, joined by commas. `host` is the authority as received.
fn push_values(out: &mut Vec<u8>, req: &RequestView<'_>, name: &str, spaces: Spaces) {
    if name == "host" {
        return header::push_value(out, req.host, spaces);
    }
    let mut first = true;
    for f in req.fields {
        if f.name.len() == name.len() && f.name.on(req.raw).eq_ignore_ascii_case(name.as_bytes()) {
            if !first {
                out.push(b',');
            }
            first = false;
            header::push_value(out, f.value.on(req.raw), spaces);
        }
    }
}

/// As it may be shown: lines, with [`HIDDEN`] for values that are nobody's business.
impl fmt::Display for CanonicalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut at = 0;
        for (start, end) in self.hidden.iter().copied() {
            write!(f, "{}{HIDDEN}", String::from_utf8_lossy(&self.bytes[at..start]))?;
            at = end;
        }
        f.write_str(&String::from_utf8_lossy(&self.bytes[at..]))
    }
}

impl fmt::Debug for CanonicalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The string to sign: algorithm, instant, scope, the canonical request's digest; a line each.
#[derive(Clone, PartialEq, Eq)]
pub struct StringToSign {
    bytes: Vec<u8>,
}

impl StringToSign {
    /// Puts it together. `scope` begins with the day.
    #[must_use]
    pub fn of(
        prefix: &str,
        hash: Hash,
        date: UnixMillis,
        scope: &[&str],
        canonical: &Digest,
    ) -> StringToSign {
        let mut bytes = Vec::with_capacity(192);
        for part in [prefix, "-HMAC-", hash.name(), "\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
        match date.iso_basic_bytes() {
            Some(date) => bytes.extend_from_slice(&date),
            None => bytes.extend_from_slice(date.iso_basic().as_bytes()),
        }
        bytes.push(b'\n');
        for (i, part) in scope.iter().enumerate() {
            if i > 0 {
                bytes.push(b'/');
            }
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.push(b'\n');
        push_hex(&mut bytes, canonical.bytes());
        StringToSign { bytes }
    }

    /// The same with another digest in its last line.
    pub(crate) fn with_digest(&self, canonical: &Digest) -> StringToSign {
        let last = self.bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let mut bytes = self.bytes[..last].to_vec();
        push_hex(&mut bytes, canonical.bytes());
        StringToSign { bytes }
    }

    /// Its bytes: what is signed, and what a ledger of what was used once is keyed with.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for StringToSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl fmt::Debug for StringToSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
