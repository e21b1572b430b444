//! The compact form: three parts in base64url, and nothing else (RFC 7515 7.1).
use super::json::Object;
use super::{Algorithm, Claims, JwtFault, KeySet, MAX_KID_BYTES, MAX_TOKEN_BYTES, Part, decode};
use std::fmt;

/// Members of a header that change what is signed, bring a key along, or belong to encrypted tokens. A token with one of
/// them is not read as if it had none.
const NOT_TAKEN: [&str; 11] = ["crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "enc", "epk", "p2s", "p2c"];

/// A token that can be read. Whether to believe it is another question: [`Compact::verify`].
pub struct Compact<'t> {
    signed: &'t str,
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// What a token says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// How it says it is signed.
    pub alg: Algorithm,
    /// The name of the key, which means nothing but itself.
    pub kid: Box<str>,
    /// What kind of token it says it is.
    pub typ: Option<Box<str>>,
}

/// Shows what it says of itself alone: whoever has the rest has the token.
impl fmt::Debug for Compact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compact({:?}, ..)", self.header)
    }
}

/// A token whose signature is good.
pub struct Signed {
    header: Header,
    payload: Vec<u8>,
}

impl<'t> Compact<'t> {
    /// Reads a token.
    ///
    /// # Errors
    /// Every fault but those of a payload that is no object, of an unknown key, and of the signature.
    pub fn parse(token: &'t str) -> Result<Compact<'t>, JwtFault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwtFault::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwtFault::Parts);
        };
        if [header, payload, signature].contains(&"") {
            return Err(JwtFault::Parts);
        }
        let part = |text, part| decode(text).ok_or(JwtFault::Encoding(part));
        Ok(Compact {
            signed: &token[..header.len() + 1 + payload.len()],
            header: Header::read(&part(header, Part::Header)?)?,
            payload: part(payload, Part::Payload)?,
            signature: part(signature, Part::Signature)?,
        })
    }

    /// What it says of itself, believed or not.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Finds the key and holds the signature to it. The algorithm is the key's; the token must name the same.
    ///
    /// # Errors
    /// [`JwtFault::UnknownKey`], [`JwtFault::Algorithm`], [`JwtFault::Signature`].
    pub fn verify(self, keys: &KeySet) -> Result<Signed, JwtFault> {
        let key = keys.get(&self.header.kid).ok_or(JwtFault::UnknownKey)?;
        if key.alg() != self.header.alg {
            return Err(JwtFault::Algorithm);
        }
        if !key.signed(self.signed.as_bytes(), &self.signature) {
            return Err(JwtFault::Signature);
        }
        Ok(Signed { header: self.header, payload: self.payload })
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, JwtFault> {
        let object = Object::read(bytes).ok_or(JwtFault::Json(Part::Header))?;
        if let Some(name) = NOT_TAKEN.iter().find(|name| object.has(name)) {
            return Err(JwtFault::HeaderMember(name));
        }
        let needed = |name| object.text(name).ok().flatten().ok_or(JwtFault::Member(name));
        let alg = Algorithm::parse(needed("alg")?).map_err(|_| JwtFault::Algorithm)?;
        let kid = needed("kid")?;
        if kid.is_empty() || kid.len() > MAX_KID_BYTES {
            return Err(JwtFault::Member("kid"));
        }
        let typ = object.text("typ").map_err(JwtFault::Member)?.map(Into::into);
        Ok(Header { alg, kid: kid.into(), typ })
    }

    /// Whether the token says that it is of a kind, as in `at+jwt`. Media types are told without regard to case, and
    /// `application/` may be left out (RFC 7515 4.1.9).
    #[must_use]
    pub fn is_typ(&self, kind: &str) -> bool {
        const LEFT_OUT: &str = "application/";
        self.typ.as_deref().is_some_and(|typ| match typ.split_at_checked(LEFT_OUT.len()) {
            Some((before, rest)) if before.eq_ignore_ascii_case(LEFT_OUT) => rest.eq_ignore_ascii_case(kind),
            _ => typ.eq_ignore_ascii_case(kind),
        })
    }
}

/// Shows what it says of itself alone.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({:?}, ..)", self.header)
    }
}

impl Signed {
    /// What the token says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes that were signed, after the header.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The claims in it.
    ///
    /// # Errors
    /// [`JwtFault::Json`] or [`JwtFault::Member`].
    pub fn claims(&self) -> Result<Claims<'_>, JwtFault> {
        Claims::parse(&self.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let text = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJhIjoxfQ.c2lnbmF0dXJl";
        let read = Compact::parse(text).unwrap();
        let shown = format!("{read:?}");
        assert_eq!(shown, "Compact(Header { alg: Es256, kid: \"k\", typ: None }, ..)");
        let signed = Signed { header: read.header, payload: read.payload };
        assert_eq!(format!("{signed:?}"), shown.replace("Compact", "Signed"));
    }

    #[test]
    fn a_kind_is_told_by_its_media_type() {
        let header =
            |typ: Option<&str>| Header { alg: Algorithm::Es256, kid: "k".into(), typ: typ.map(Into::into) };
        for same in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/at+JWT"] {
            assert!(header(Some(same)).is_typ("at+jwt"), "{same}");
        }
        for other in ["", "JWT", "at+jwt ", "text/at+jwt", "application/", "application/application/at+jwt"] {
            assert!(!header(Some(other)).is_typ("at+jwt"), "{other}");
        }
        assert!(!header(None).is_typ("at+jwt"));
    }
}
