//! Secrets, and the keys that are derived from them.
use crate::canonical::{Hash, StringToSign};
use aws_lc_rs::{constant_time, hmac};
use smallvec::SmallVec;
use std::fmt;

/// A secret that signs.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Box<[u8]>);

impl SigningSecret {
    /// Takes a secret as it was given out.
    #[must_use]
    pub fn new(secret: &[u8]) -> SigningSecret {
        SigningSecret(secret.into())
    }

    /// The secret, for whoever seals it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}

/// The key for one secret, algorithm, day and scope. Good until the day is over, so that it may be kept for it.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// What a key is derived with where nobody is known. It proves nothing: who has no secret has no proof.
const NOBODY: &[u8] = b"................................";

impl SigningKey {
    /// `HMAC(... HMAC(HMAC(prefix + secret, day), first part of the scope) ..., last part)`. Takes the same steps where
    /// there is no secret.
    #[must_use]
    pub fn derive(
        hash: Hash,
        prefix: &str,
        secret: Option<&SigningSecret>,
        day: &str,
        scope: &str,
    ) -> SigningKey {
        let secret = secret.map_or(NOBODY, |s| &s.0);
        let mut first: SmallVec<[u8; 96]> = SmallVec::from_slice(prefix.as_bytes());
        first.extend_from_slice(secret);
        let mut key = hmac::Key::new(hash.hmac(), &first);
        for part in std::iter::once(day).chain(scope.split('/')) {
            key = hmac::Key::new(hash.hmac(), hmac::sign(&key, part.as_bytes()).as_ref());
        }
        SigningKey(key)
    }

    /// A key that is nobody's.
    pub(super) fn nobodys(hash: Hash) -> SigningKey {
        SigningKey(hmac::Key::new(hash.hmac(), NOBODY))
    }

    /// The secret itself as the key: what signers get wrong.
    pub(crate) fn plain(hash: Hash, secret: Option<&SigningSecret>) -> SigningKey {
        SigningKey(hmac::Key::new(hash.hmac(), secret.map_or(NOBODY, |s| &s.0)))
    }

    pub(super) fn sign(&self, what: &[u8]) -> hmac::Tag {
        hmac::sign(&self.0, what)
    }

    /// Whether `signature` is that of `what`, in constant time.
    pub(crate) fn signed(&self, what: &StringToSign, signature: &[u8]) -> bool {
        self.signed_bytes(what.as_bytes(), signature)
    }

    pub(crate) fn signed_bytes(&self, what: &[u8], signature: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(self.sign(what).as_ref(), signature).is_ok()
    }
}
