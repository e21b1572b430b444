//! Judges a signature.
use super::{Declared, Form, Presented, Reason, Refusal, SigningKey, SigningSecret};
use crate::canonical::{BodyDigest, CanonicalRequest, QueryReading, StringToSign};
use crate::request::RequestView;
use crate::time::UnixMillis;
use smallvec::SmallVec;

/// A request was signed by who knows the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    string_to_sign: StringToSign,
    canonical_request: CanonicalRequest,
    reading: QueryReading,
    form: Form,
}

impl Proof {
    /// The string that was signed. With the credential, it names this request: what is spelt otherwise and signed the
    /// same has the same.
    #[must_use]
    pub fn string_to_sign(&self) -> &StringToSign {
        &self.string_to_sign
    }
    /// The canonical request behind it.
    #[must_use]
    pub fn canonical_request(&self) -> &CanonicalRequest {
        &self.canonical_request
    }
    /// How the query had been read by who signed it.
    #[must_use]
    pub fn reading(&self) -> QueryReading {
        self.reading
    }
    /// Whether it may be called once-only. A presigned address is made to be used again.
    #[must_use]
    pub fn once(&self) -> bool {
        self.form == Form::Header
    }
}

/// Whether the signature's date is close enough to `now`: within `skew_ms` of it in either direction, both ends included;
/// for a presigned address, from `skew_ms` before its date until it has expired.
///
/// # Errors
/// `signature_expired`.
pub fn check_time(presented: &Presented<'_>, now: UnixMillis, skew_ms: i64) -> Result<(), Refusal> {
    let date = presented.date;
    let early = now < date.plus_ms(-skew_ms);
    if !early && now <= presented.accepted_until(skew_ms) {
        return Ok(());
    }
    let away_s = (now.0 - date.0).unsigned_abs() / 1000;
    let (detail, note) = match presented.form {
        _ if early => ("date-ahead", format!("is {away_s} s ahead of this server's clock")),
        Form::Header => ("date-behind", format!("is {away_s} s behind this server's clock")),
        Form::Query { expires_s } => ("expired", format!("was good for {expires_s} s")),
    };
    let note = format!("The signature is dated {date} and {note} ({now}).");
    Err(Refusal::new(Reason::SignatureExpired, detail).saying(note))
}

/// Whether the signature is that of this request, body included, by who has `secret`. Unknown ids have none: the same steps
/// are taken, with the same answer as for a wrong signature. The signatures are compared in constant time.
///
/// # Errors
/// `digest_invalid`: the body is not the one that the request announces, or there is one where none may be.
/// `signature_invalid`: unknown, or a wrong signature.
pub fn verify(
    presented: &Presented<'_>,
    req: &RequestView<'_>,
    body: &BodyDigest,
    secret: Option<&SigningSecret>,
) -> Result<Proof, Refusal> {
    verify_with(presented, req, body, &presented.key(secret), secret.is_some())
}

/// The same with a key that was derived before. `known`: whether it is anybody's.
///
/// # Errors
/// As for [`verify`].
pub fn verify_with(
    presented: &Presented<'_>,
    req: &RequestView<'_>,
    body: &BodyDigest,
    key: &SigningKey,
    known: bool,
) -> Result<Proof, Refusal> {
    body_fits(presented, body)?;
    let mut proof = None;
    for reading in presented.readings(req) {
        let canonical_request = presented.canonical(req, body, reading);
        let string_to_sign = presented.string_to_sign(&canonical_request);
        if key.signed(&string_to_sign, presented.signature()) {
            proof = Some(Proof { string_to_sign, canonical_request, reading, form: presented.form });
            break;
        }
    }
    match proof {
        Some(proof) if known => Ok(proof),
        _ if known => Err(Refusal::new(Reason::SignatureInvalid, "wrong-signature")),
        _ => Err(Refusal::new(Reason::SignatureInvalid, "unknown")),
    }
}

/// The same with a key that may be at hand, and one that is derived only where the first one does not fit; each with
/// whether it is anybody's. What was signed is put together once for both. Returns the second key where it was the one.
pub(super) fn verify_either(
    presented: &Presented<'_>,
    req: &RequestView<'_>,
    body: &BodyDigest,
    first: (&SigningKey, bool),
    second: impl FnOnce() -> (SigningKey, bool),
) -> Result<(Proof, Option<SigningKey>), Refusal> {
    body_fits(presented, body)?;
    let mut others: SmallVec<[Proof; 2]> = SmallVec::new();
    for reading in presented.readings(req) {
        let canonical_request = presented.canonical(req, body, reading);
        let string_to_sign = presented.string_to_sign(&canonical_request);
        let fits = first.0.signed(&string_to_sign, presented.signature());
        let proof = Proof { string_to_sign, canonical_request, reading, form: presented.form };
        if fits && first.1 {
            return Ok((proof, None));
        }
        others.push(proof);
    }
    let (key, known) = second();
    let found = others.into_iter().find(|p| key.signed(&p.string_to_sign, presented.signature()));
    match found.filter(|_| known) {
        Some(proof) => Ok((proof, Some(key))),
        None if known => Err(Refusal::new(Reason::SignatureInvalid, "wrong-signature")),
        None => Err(Refusal::new(Reason::SignatureInvalid, "unknown")),
    }
}

/// Whether the body is the one that the request speaks of, as far as it does so outside the signature.
pub(crate) fn body_fits(presented: &Presented<'_>, body: &BodyDigest) -> Result<(), Refusal> {
    let invalid = |detail| Refusal::new(Reason::DigestInvalid, detail);
    if body.hash() != presented.hash {
        return Err(invalid("another-hash"));
    }
    match &presented.declared {
        Declared::Unsigned if !body.is_of_nothing() => {
            Err(invalid("unsigned-body").saying("The signature does not cover a body, so none may be sent."))
        }
        Declared::Digest(sent) if sent[..] != *body.digest().bytes() => {
            Err(invalid("other-body")
                .saying("The body is not the one whose digest is in x-amz-content-sha256."))
        }
        _ => Ok(()),
    }
}
