//! What a node decides from at this moment. One task follows the store and writes it; every core reads it.
use crate::decide::{Lease, World};
use crate::directory::Directory;
use crate::policy::Policy;
use crate::secret::Keys;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Policy, credentials, keys, and until when they may be relied on.
#[derive(Debug)]
pub struct Live {
    /// All credentials.
    pub directory: Directory,
    /// The keys.
    pub keys: Arc<Keys>,
    /// The policy in force; swapped whole.
    pub policy: ArcSwap<Policy>,
    lease_until_ms: AtomicU64,
    seq: AtomicI64,
}

impl Live {
    /// An empty world, which may not be relied on yet.
    #[must_use]
    pub fn new(keys: Arc<Keys>) -> Live {
        Live {
            directory: Directory::default(),
            keys,
            policy: ArcSwap::default(),
            lease_until_ms: AtomicU64::new(0),
            seq: AtomicI64::new(0),
        }
    }

    /// Says that everything up to change `seq` is in, and may be relied on until `until_ms` of a monotonic clock.
    pub fn renew(&self, seq: i64, until_ms: u64) {
        self.seq.store(seq, Ordering::Release);
        self.lease_until_ms.store(until_ms, Ordering::Release);
    }

    /// The last change that is in.
    #[must_use]
    pub fn seq(&self) -> i64 {
        self.seq.load(Ordering::Acquire)
    }

    /// Whether decisions may be made at `now_ms` of the same monotonic clock.
    #[must_use]
    pub fn lease(&self, now_ms: u64) -> Lease {
        if now_ms < self.lease_until_ms.load(Ordering::Acquire) { Lease::Held } else { Lease::Lapsed }
    }

    /// What a decision under `policy` is made from at `now_ms`.
    #[must_use]
    pub fn world<'a>(&'a self, policy: &'a Policy, now_ms: u64) -> World<'a> {
        World { policy, directory: &self.directory, keys: &self.keys, lease: self.lease(now_ms) }
    }
}
