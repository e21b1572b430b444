//! What the data plane knows of tokens. One task writes it; every core reads it.
use super::revoked::Revoked;
use super::{Issuer, Jti};
use crate::jwt::{KeySet, VerifyKey};
use crate::time::UnixMillis;
use arc_swap::{ArcSwap, Guard};
use std::fmt;
use std::sync::Arc;

/// What tokens are held to at one moment.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Which history of the store it is; tokens of an earlier one are dead.
    pub epoch: Box<str>,
    /// The keys that may have signed.
    pub keys: KeySet,
    generation: u64,
}

impl Trust {
    /// Grows whenever keys or epoch change. What was verified under another one has to be verified again.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// The issuer, the keys, and what was revoked. By default there is no issuer, and no token is taken.
#[derive(Default)]
pub struct Tokens {
    issuer: Option<Issuer>,
    trust: ArcSwap<Trust>,
    revoked: Revoked,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.trust.load().keys.len();
        write!(f, "Tokens({:?}, {keys} keys, {} revoked)", self.issuer, self.revoked.len())
    }
}

impl Tokens {
    /// Takes the tokens of an issuer, once there are keys.
    #[must_use]
    pub fn new(issuer: Issuer) -> Tokens {
        Tokens { issuer: Some(issuer), ..Tokens::default() }
    }

    /// Whose tokens are taken.
    #[must_use]
    pub fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// What tokens are held to now.
    #[must_use]
    pub fn trust(&self) -> Arc<Trust> {
        self.trust.load_full()
    }

    /// The same, for as long as one check lasts.
    pub(super) fn trust_now(&self) -> Guard<Arc<Trust>> {
        self.trust.load()
    }

    /// Holds tokens to another epoch or other keys from now on. Where both are what they were, nothing has to be verified
    /// again.
    pub fn replace(&self, epoch: &str, keys: &KeySet) {
        let now = self.trust.load();
        if *now.epoch == *epoch && now.keys.iter().map(VerifyKey::jwk).eq(keys.iter().map(VerifyKey::jwk)) {
            return;
        }
        self.trust.rcu(|old| Trust {
            epoch: epoch.into(),
            keys: keys.clone(),
            generation: old.generation + 1,
        });
    }

    /// Takes one token no more, which would have expired at that instant.
    pub fn revoke(&self, jti: Jti, expires_at: UnixMillis) {
        self.revoked.add(jti, expires_at);
    }

    /// Takes these no more, in the place of those that were revoked before. What is in both is never taken in between.
    pub fn revoke_only(&self, all: impl IntoIterator<Item = (Jti, UnixMillis)>) {
        self.revoked.replace(all);
    }

    /// Whether a token was revoked by itself.
    #[must_use]
    pub fn is_revoked(&self, jti: Jti) -> bool {
        self.revoked.has(jti)
    }

    /// How many revoked tokens are remembered.
    #[must_use]
    pub fn revoked(&self) -> usize {
        self.revoked.len()
    }

    /// Forgets revoked tokens that have expired, some time ago; how many.
    pub fn sweep(&self, now: UnixMillis) -> usize {
        self.revoked.sweep(now)
    }
}
