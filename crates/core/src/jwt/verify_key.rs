//! A public key, ready to verify with.
use super::json::Object;
use super::jwk::{COORDINATE_BYTES, Public};
use super::{Algorithm, KeyFault, MAX_KID_BYTES};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use std::fmt;

/// A public key that was looked over, with its name and its one algorithm.
pub struct VerifyKey {
    kid: Box<str>,
    alg: Algorithm,
    parsed: ParsedPublicKey,
    thumbprint: Box<str>,
    jwk: Box<str>,
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyKey({}, {:?})", self.alg.name(), self.kid)
    }
}

impl VerifyKey {
    /// Reads a public key (RFC 7517). One that has no name is named by its thumbprint.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_jwk(text: &str) -> Result<VerifyKey, KeyFault> {
        VerifyKey::from_object(&Object::read(text.as_bytes()).ok_or(KeyFault::Json)?)
    }

    pub(super) fn from_object(jwk: &Object<'_>) -> Result<VerifyKey, KeyFault> {
        let public = Public::read(jwk)?;
        match jwk.text("kid").map_err(KeyFault::Member)? {
            Some(kid) if kid.is_empty() || kid.len() > MAX_KID_BYTES => Err(KeyFault::Member("kid")),
            kid => VerifyKey::new(&public, kid),
        }
    }

    pub(super) fn new(public: &Public, kid: Option<&str>) -> Result<VerifyKey, KeyFault> {
        public.look_over()?;
        let parsed = match public {
            Public::Es256(x, y) => {
                // An uncompressed point (SEC 1 2.3.3).
                let mut point = [4; 1 + 2 * COORDINATE_BYTES];
                point[1..=COORDINATE_BYTES].copy_from_slice(x);
                point[1 + COORDINATE_BYTES..].copy_from_slice(y);
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .map_err(|_| KeyFault::Weak("the point is not on P-256"))?
            }
            Public::Rs256(n, e) => RsaPublicKeyComponents { n, e }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .map_err(|_| KeyFault::Weak("the library takes no such RSA key"))?,
            Public::EdDsa(x) => ParsedPublicKey::new(&ED25519, x)
                .map_err(|_| KeyFault::Weak("the library takes no such Ed25519 key"))?,
        };
        let thumbprint = public.thumbprint();
        let kid = kid.unwrap_or(&thumbprint);
        Ok(VerifyKey {
            kid: kid.into(),
            alg: public.alg(),
            parsed,
            jwk: public.jwk(kid).into(),
            thumbprint: thumbprint.into(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The only algorithm that it verifies.
    #[must_use]
    pub fn alg(&self) -> Algorithm {
        self.alg
    }

    /// The SHA-256 thumbprint (RFC 7638), in base64url.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The key as it is published: a JWK with `kid`, `use` and `alg`.
    #[must_use]
    pub fn jwk(&self) -> &str {
        &self.jwk
    }

    /// Whether `signature` is one of `message` by this key.
    #[must_use]
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}
