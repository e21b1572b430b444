//! `escher`: a request is signed with a secret that is never sent. Escher itself, and AWS Signature Version 4, from which
//! it comes; a [`Config`] holds what differs.
//!
//! [`detect`] reads what was presented and refuses all that is wrong without knowing anybody. [`check_time`] judges its
//! date. [`verify`] judges the signature, in constant time, and takes the same steps where the id is unknown. [`sign`]
//! and [`presign`] are their mirror: `verify(detect(sign(r)))` is Ok.
use crate::canonical::{
    BodyDigest, CanonicalRequest, Hash, Payload, QueryReading, Recipe, StringToSign, UNSIGNED_PAYLOAD,
};
use crate::request::RequestView;
use crate::time::UnixMillis;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::fmt;

mod authorization;
mod config;
mod detect;
mod kept;
mod key;
mod presigned;
mod sign;
mod verify;

pub use crate::reason::Reason;
pub use crate::refusal::Refusal;
pub use config::{Config, ConfigError, Flavour};
pub use detect::detect;
pub use detect::parse;
pub(crate) use detect::settle;
pub use kept::KeptKeys;
pub(crate) use kept::shares;
pub use key::{SigningKey, SigningSecret};
pub use sign::{DateForm, How, SignError, Signed, Signer, ToSign, presign, sign};
pub(crate) use verify::body_fits;
pub use verify::{Proof, check_time, verify, verify_with};

/// Default of how far a date may be from now, in either direction.
pub const DEFAULT_SKEW_MS: i64 = 300_000;
/// Default of how long a presigned address is good when it is made.
pub const DEFAULT_EXPIRES_S: i64 = 86_400;
/// Most header fields that one signature may cover.
pub const MAX_SIGNED_FIELDS: usize = 64;

/// Where the signature stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In a header field.
    Header,
    /// In the query: a presigned address.
    Query {
        /// How long it is good, in seconds from its date on.
        expires_s: i64,
    },
}

/// What a request says about its body besides sending it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    Nothing,
    /// The digest, SHA-256.
    Digest(SmallVec<[u8; 64]>),
    /// That it is not signed.
    Unsigned,
}

/// A signature as presented, not yet proved.
#[derive(Clone)]
pub struct Presented<'a> {
    config: &'a Config,
    form: Form,
    hash: Hash,
    id: Cow<'a, str>,
    day: Cow<'a, str>,
    scope: Cow<'a, str>,
    /// Names in lower case, sorted, each once.
    signed: Vec<Cow<'a, str>>,
    signature: SmallVec<[u8; 64]>,
    date: UnixMillis,
    /// The field with the date; empty for a presigned address.
    date_field: &'a str,
    declared: Declared,
    /// Whether a session token stands in the query.
    token: bool,
}

/// Shows neither id nor signature.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presented({}-HMAC-{}, {:?})", self.config.prefix, self.hash.name(), self.form)
    }
}

impl<'a> Presented<'a> {
    /// The id of who claims to have signed.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
    /// The configuration under which it was read.
    #[must_use]
    pub fn config(&self) -> &'a Config {
        self.config
    }
    /// Where it stood.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }
    /// What the body has to be hashed with.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }
    /// The instant that was signed; whole seconds.
    #[must_use]
    pub fn date(&self) -> UnixMillis {
        self.date
    }
    /// The day of the credential, `YYYYMMDD`: what a signing key is good for.
    #[must_use]
    pub fn day(&self) -> &str {
        &self.day
    }
    /// Whether the signature covers the body. A presigned address of Escher does not, and goes without a body.
    #[must_use]
    pub fn covers_body(&self) -> bool {
        self.declared != Declared::Unsigned
    }
    /// The last instant at which [`check_time`] lets it pass: so long it has to be remembered.
    #[must_use]
    pub fn accepted_until(&self, skew_ms: i64) -> UnixMillis {
        match self.form {
            Form::Header => self.date.plus_ms(skew_ms),
            Form::Query { expires_s } => self.date.plus_ms(expires_s.saturating_mul(1000)),
        }
    }

    /// The canonical request as this server builds it, the query read in one way.
    pub(crate) fn canonical(
        &self,
        req: &RequestView<'_>,
        body: &BodyDigest,
        reading: QueryReading,
    ) -> CanonicalRequest {
        let in_query = matches!(self.form, Form::Query { .. });
        let words;
        let payload = match (self.covers_body(), self.config.flavour) {
            (true, _) => Payload::Body(body.digest()),
            // Escher takes the words for the body, and hashes them.
            (false, Flavour::Escher) => {
                words = self.hash.of(UNSIGNED_PAYLOAD.as_bytes());
                Payload::Body(&words)
            }
            (false, Flavour::SigV4) => Payload::Unsigned,
        };
        CanonicalRequest::of(
            req,
            &Recipe {
                form: self.config.form,
                signed: &self.signed,
                date_field: self.date_field,
                signature_parameter: in_query.then_some(&*self.config.parameters.signature),
                token_parameter: self.config.parameters.token.as_deref(),
                payload,
                reading,
            },
        )
    }

    /// The string to sign over a canonical request.
    pub(crate) fn string_to_sign(&self, canonical: &CanonicalRequest) -> StringToSign {
        let scope = [&*self.day, &*self.scope];
        StringToSign::of(&self.config.prefix, self.hash, self.date, &scope, &canonical.digest(self.hash))
    }

    /// The ways in which the query may have been read by who signed.
    pub(crate) fn readings(&self, req: &RequestView<'_>) -> SmallVec<[QueryReading; 4]> {
        let in_header = self.form == Form::Header;
        self.config.readings(req.path, req.query.unwrap_or_default(), self.token, in_header)
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }
    pub(crate) fn signed_names(&self) -> &[Cow<'a, str>] {
        &self.signed
    }
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }
    pub(crate) fn signature_parameter(&self) -> &'a str {
        &self.config.parameters.signature
    }
    pub(crate) fn date_field(&self) -> &'a str {
        self.date_field
    }

    /// The key that should have signed it.
    #[must_use]
    pub fn key(&self, secret: Option<&SigningSecret>) -> SigningKey {
        SigningKey::derive(self.hash, &self.config.prefix, secret, &self.day, &self.scope)
    }
}

/// Bytes of a caller, fit for a sentence: printable, and not too many.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    const MOST: usize = 80;
    let shown = bytes[..bytes.len().min(MOST)].escape_ascii();
    format!("`{shown}{}`", if bytes.len() > MOST { "..." } else { "" })
}
