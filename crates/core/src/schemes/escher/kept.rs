//! Keys that were derived today, so that a caller's next request costs one HMAC in place of five.
use super::verify::verify_either;
use super::{Presented, Proof, Refusal, SigningKey};
use crate::canonical::{BodyDigest, Hash};
use crate::credential::Credential;
use crate::ports::Shares;
use crate::request::RequestView;
use crate::secret::Keys;
use hashbrown::HashMap;
use std::cell::RefCell;
use std::sync::Arc;

/// So many keys are kept; then all are forgotten.
const MOST: usize = 10_000;

/// A key, and what it is good for.
struct Kept {
    /// Kept alive, so that nobody else comes to stand at its address.
    _credential: Arc<Credential>,
    day: Box<str>,
    scope: Box<str>,
    prefix: Box<str>,
    key: Arc<SigningKey>,
    /// Whose room its requests take in the ledger.
    shares: Shares,
}

/// The keys of one core, by the address of the credential. Only keys with which something was proved are kept.
#[derive(Default)]
pub struct KeptKeys(RefCell<HashMap<(usize, Hash), Kept>>);

impl std::fmt::Debug for KeptKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptKeys({})", self.0.borrow().len())
    }
}

impl KeptKeys {
    /// Judges a signature as [`super::verify`] does. Whoever is refused, known or not, has cost the same steps: one try
    /// with a key that was there, one with a key derived anew.
    ///
    /// # Errors
    /// As for [`super::verify`].
    pub fn verify(
        &self,
        presented: &Presented<'_>,
        req: &RequestView<'_>,
        body: &BodyDigest,
        known: Option<&Arc<Credential>>,
        keys: &Keys,
    ) -> Result<Proof, Refusal> {
        let secret = known.and_then(|c| c.signing.as_ref());
        let prefix = presented.config().prefix();
        let place = known.map(|c| (Arc::as_ptr(c) as usize, presented.hash()));
        let there = place.and_then(|place| {
            let kept = self.0.borrow();
            let fits = |k: &&Kept| {
                *k.day == *presented.day() && *k.scope == *presented.scope() && *k.prefix == *prefix
            };
            kept.get(&place).filter(fits).map(|k| Arc::clone(&k.key))
        });
        let (first, is_theirs) = match there {
            Some(key) => (key, true),
            None => (Arc::new(SigningKey::nobodys(presented.hash())), false),
        };
        let derived = || (presented.key(secret), secret.is_some());
        let first = (&*first, is_theirs && secret.is_some());
        let (proof, derived) = verify_either(presented, req, body, first, derived)?;
        if let (Some(key), Some(place), Some(credential)) = (derived, place, known) {
            let mut kept = self.0.borrow_mut();
            if kept.len() >= MOST {
                kept.clear();
            }
            let new = Kept {
                _credential: Arc::clone(credential),
                day: presented.day().into(),
                scope: presented.scope().into(),
                prefix: prefix.into(),
                key: Arc::new(key),
                shares: shares(keys, credential),
            };
            kept.insert(place, new);
        }
        Ok(proof)
    }

    /// Whose room a proved request takes in the ledger.
    #[must_use]
    pub fn shares(&self, presented: &Presented<'_>, credential: &Arc<Credential>, keys: &Keys) -> Shares {
        let place = (Arc::as_ptr(credential) as usize, presented.hash());
        self.0.borrow().get(&place).map_or_else(|| shares(keys, credential), |kept| kept.shares)
    }
}

/// The same, made anew.
pub(crate) fn shares(keys: &Keys, credential: &Credential) -> Shares {
    Shares {
        workspace: keys.workspace_share(&credential.workspace),
        credential: keys.credential_share(&credential.id),
    }
}
