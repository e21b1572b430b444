//! What a node decides from at this moment. One task follows the store and writes it; every core reads it.
use crate::captcha;
use crate::clock::HighWater;
use crate::decide::{Lease, World};
use crate::directory::Directory;
use crate::jwt::{KeySet, VerifyKey};
use crate::policy::Policy;
use crate::schemes::escher::KeptKeys;
use crate::secret::Keys;
use crate::time::UnixMillis;
use crate::token::{Cache, Issuer, Tokens};
use crate::token_keys::TokenKeys;
use arc_swap::ArcSwap;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Policy, credentials, keys, and until when they may be relied on.
#[derive(Debug)]
pub struct Live {
    /// All credentials.
    pub directory: Directory,
    /// The keys.
    pub keys: Arc<Keys>,
    /// The policy in force; swapped whole.
    pub policy: ArcSwap<Policy>,
    /// What tokens are held to: the epoch, the keys that verify, and what was revoked. Shared with whoever issues.
    pub tokens: Arc<Tokens>,
    /// The keys that tokens are signed with; swapped whole, see [`Live::take_token_keys`].
    pub token_keys: ArcSwap<TokenKeys>,
    /// What the captchas of workspaces are checked with; swapped whole.
    pub captchas: ArcSwap<HashMap<Box<str>, Arc<captcha::Settings>>>,
    /// What time it is at least.
    pub clock: HighWater,
    lease_until_ms: AtomicU64,
    /// When the store was last asked with success; 0: never.
    heard_ms: AtomicU64,
    seq: AtomicI64,
    store_answers: AtomicBool,
    outages: AtomicU64,
}

impl Live {
    /// An empty world, which may not be relied on yet, and takes no tokens.
    #[must_use]
    pub fn new(keys: Arc<Keys>) -> Live {
        Live::with_issuer(keys, None)
    }

    /// An empty world, which may not be relied on yet. Of that issuer tokens are taken.
    #[must_use]
    pub fn with_issuer(keys: Arc<Keys>, issuer: Option<Issuer>) -> Live {
        Live {
            directory: Directory::default(),
            keys,
            policy: ArcSwap::default(),
            tokens: Arc::new(issuer.map_or_else(Tokens::default, Tokens::new)),
            token_keys: ArcSwap::default(),
            captchas: ArcSwap::default(),
            clock: HighWater::default(),
            lease_until_ms: AtomicU64::new(0),
            heard_ms: AtomicU64::new(0),
            seq: AtomicI64::new(0),
            store_answers: AtomicBool::new(false),
            outages: AtomicU64::new(0),
        }
    }

    /// Says that everything up to change `seq` is in, which was all there was at `heard_ms` of a monotonic clock, and that
    /// it may be relied on for `lasts_ms` from then on.
    pub fn renew(&self, seq: i64, heard_ms: u64, lasts_ms: u64) {
        self.seq.store(seq, Ordering::Release);
        self.heard_ms.store(heard_ms, Ordering::Release);
        self.lease_until_ms.store(heard_ms.saturating_add(lasts_ms), Ordering::Release);
    }

    /// How old what decisions are made from is at `now_ms` of the same monotonic clock; `None` before the first load.
    #[must_use]
    pub fn age_ms(&self, now_ms: u64) -> Option<u64> {
        let heard_ms = self.heard_ms.load(Ordering::Acquire);
        (heard_ms > 0).then(|| now_ms.saturating_sub(heard_ms))
    }

    /// Notes that the store answered.
    pub fn store_answered(&self) {
        self.store_answers.store(true, Ordering::Relaxed);
    }

    /// Notes that the store did not answer, for the first time since it last did.
    pub fn store_lost(&self) {
        self.store_answers.store(false, Ordering::Relaxed);
        self.outages.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the store answered when it was last asked, and how often it has stopped answering.
    #[must_use]
    pub fn store(&self) -> (bool, u64) {
        (self.store_answers.load(Ordering::Relaxed), self.outages.load(Ordering::Relaxed))
    }

    /// The last change that is in.
    #[must_use]
    pub fn seq(&self) -> i64 {
        self.seq.load(Ordering::Acquire)
    }

    /// Whether decisions may be made at `now_ms` of the same monotonic clock.
    #[must_use]
    pub fn lease(&self, now_ms: u64) -> Lease {
        if now_ms >= self.lease_until_ms.load(Ordering::Acquire) {
            Lease::Lapsed
        } else if self.store_answers.load(Ordering::Relaxed) {
            Lease::Held
        } else {
            Lease::Unsure
        }
    }

    /// Takes the keys that tokens are signed with, as of an epoch of the store: tokens of another one are dead. Those that
    /// verify at `now` are the keys that tokens may be signed with. Returns the names of those that can't: what is
    /// published of them is no key of that name and algorithm, so nothing signed with them is taken.
    pub fn take_token_keys(&self, keys: TokenKeys, epoch: &str, now: UnixMillis) -> Vec<String> {
        let (set, broken) = verifying(&keys, now);
        self.token_keys.store(Arc::new(keys));
        self.tokens.replace(epoch, &set);
        broken
    }

    /// Forgets what is over at `now`: keys that verify no more, and tokens that were revoked and have expired since.
    /// Returns how many of those.
    pub fn forget_tokens(&self, now: UnixMillis) -> usize {
        let trust = self.tokens.trust();
        self.tokens.replace(&trust.epoch, &verifying(&self.token_keys.load(), now).0);
        self.tokens.sweep(now)
    }

    /// What a decision under `policy` is made from at `now_ms`, on a core that has met these keys and tokens before.
    #[must_use]
    pub fn world<'a>(
        &'a self,
        policy: &'a Policy,
        signing_keys: &'a KeptKeys,
        seen_tokens: &'a RefCell<Cache>,
        now_ms: u64,
    ) -> World<'a> {
        World {
            policy,
            directory: &self.directory,
            keys: &self.keys,
            signing_keys,
            tokens: &self.tokens,
            seen_tokens,
            lease: self.lease(now_ms),
        }
    }
}

/// The public halves of those that verify at `now`, and the names of those that can't be read.
fn verifying(keys: &TokenKeys, now: UnixMillis) -> (KeySet, Vec<String>) {
    let (mut set, mut broken) = (KeySet::default(), Vec::new());
    for key in keys.0.iter().filter(|key| key.verifies(now)) {
        let public = VerifyKey::from_jwk(&key.public_jwk).ok();
        let own = public.filter(|p| p.kid() == key.kid && p.alg().name() == key.algorithm);
        if own.is_none_or(|own| set.add(own).is_err()) {
            broken.push(key.kid.clone());
        }
    }
    (set, broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_lease_and_outages_are_told() {
        let live = Live::new(Arc::new(Keys::derive(&[1; 32])));
        assert_eq!((live.age_ms(5), live.lease(5), live.store()), (None, Lease::Lapsed, (false, 0)));
        live.store_answered();
        live.renew(3, 100, 50);
        assert_eq!((live.seq(), live.age_ms(100), live.age_ms(149)), (3, Some(0), Some(49)));
        assert_eq!((live.lease(149), live.lease(150)), (Lease::Held, Lease::Lapsed));
        live.store_lost();
        assert_eq!(live.store(), (false, 1));
        live.store_answered();
        live.renew(4, 200, u64::MAX);
        assert_eq!((live.lease(u64::MAX - 1), live.store()), (Lease::Held, (true, 1)));
        assert_eq!(live.age_ms(150), Some(0), "a clock that was read before the store was asked");
    }
}
