//! Tokens that were revoked one by one. Each is remembered until it would have expired.
use super::Jti;
use crate::time::UnixMillis;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::{PoisonError, RwLock};

/// So many tables, so that readers seldom meet the one writer.
const SHARDS: usize = 64;
/// The bits that choose the table. Within one, the lowest bits choose the place and the highest tell neighbours apart.
const SHARD_SHIFT: u32 = 40;
/// How long a token is remembered after it has expired, in seconds: nodes need not agree to the second on what time it is.
pub const KEPT_AFTER_EXPIRY_S: i64 = 300;

/// The name of a token, and when it expires, in seconds.
type Shard = HashTable<(Jti, i64)>;

/// The revoked tokens that have not expired.
pub(super) struct Revoked(Box<[RwLock<Shard>]>);

impl Default for Revoked {
    fn default() -> Revoked {
        Revoked((0..SHARDS).map(|_| RwLock::default()).collect())
    }
}

fn add_to(shard: &mut Shard, jti: Jti, expires_s: i64) {
    match shard.entry(jti.spread(), |(j, _)| *j == jti, |(j, _)| j.spread()) {
        Entry::Occupied(mut there) => {
            let until = &mut there.get_mut().1;
            *until = expires_s.max(*until);
        }
        Entry::Vacant(place) => {
            place.insert((jti, expires_s));
        }
    }
}

// A panic while a lock is held leaves whole entries behind.
impl Revoked {
    fn shard(&self, jti: Jti) -> &RwLock<Shard> {
        &self.0[(jti.spread() >> SHARD_SHIFT) as usize % SHARDS]
    }

    pub(super) fn add(&self, jti: Jti, expires_s: i64) {
        add_to(&mut self.shard(jti).write().unwrap_or_else(PoisonError::into_inner), jti, expires_s);
    }

    pub(super) fn has(&self, jti: Jti) -> bool {
        let shard = self.shard(jti).read().unwrap_or_else(PoisonError::into_inner);
        shard.find(jti.spread(), |(j, _)| *j == jti).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|s| s.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    pub(super) fn sweep(&self, now: UnixMillis) -> usize {
        let over = now.0.div_euclid(1000).saturating_sub(KEPT_AFTER_EXPIRY_S);
        let sweep = |shard: &RwLock<Shard>| {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let before = shard.len();
            shard.retain(|(_, expires_s)| *expires_s > over);
            let left = shard.len();
            // What a wave of revocations took is given back.
            if shard.capacity() > 4 * left.max(16) {
                shard.shrink_to(left, |(j, _)| j.spread());
            }
            before - left
        };
        self.0.iter().map(sweep).sum()
    }
}
