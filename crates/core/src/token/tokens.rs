//! What the data plane knows of tokens. One task writes it; every core reads it.
use super::revoked::Revoked;
use super::{Issuer, Jti};
use crate::jwt::KeySet;
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

    /// Holds tokens to another epoch or other keys from now on.
    pub fn replace(&self, epoch: &str, keys: &KeySet) {
        self.trust.rcu(|old| Trust {
            epoch: epoch.into(),
            keys: keys.clone(),
            generation: old.generation + 1,
        });
    }

    /// Takes one token no more. `expires_s`: when it would have expired, in seconds.
    pub fn revoke(&self, jti: Jti, expires_s: i64) {
        self.revoked.add(jti, expires_s);
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

#[cfg(test)]
mod tests {
    use super::super::KEPT_AFTER_EXPIRY_S;
    use super::*;

    fn jti(n: u64) -> Jti {
        // Spread as random bytes are.
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&mixed.to_be_bytes());
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        Jti::new(bytes)
    }

    /// S7519-2: a revoked token is never forgotten before it is expired for everybody.
    #[test]
    fn revoked_tokens_are_remembered_until_they_have_expired() {
        let tokens = Tokens::default();
        for n in 0..1_000 {
            tokens.revoke(jti(n), 10_000 + n as i64);
        }
        tokens.revoke(jti(0), 20_000);
        tokens.revoke(jti(0), 1);
        assert_eq!(tokens.revoked(), 1_000);
        let at = |s: i64| UnixMillis((s + KEPT_AFTER_EXPIRY_S) * 1000);
        assert_eq!(tokens.sweep(at(10_000)), 0);
        assert_eq!(tokens.sweep(UnixMillis(at(10_501).0 - 1)), 500, "to the millisecond");
        assert!(tokens.is_revoked(jti(0)), "the later of two times counts");
        assert!(!tokens.is_revoked(jti(500)) && tokens.is_revoked(jti(501)));
        assert_eq!((tokens.sweep(at(30_000)), tokens.revoked()), (500, 0));
        assert!(!tokens.is_revoked(jti(0)));
    }

    #[test]
    fn names_that_share_their_first_half_are_told_apart() {
        let tokens = Tokens::default();
        let (mut a, mut b) = ([7; 16], [7; 16]);
        (a[15], b[15]) = (1, 2);
        tokens.revoke(Jti::new(a), 5);
        assert!(tokens.is_revoked(Jti::new(a)) && !tokens.is_revoked(Jti::new(b)));
        tokens.revoke(Jti::new(b), 5);
        assert_eq!(tokens.revoked(), 2);
    }
}
