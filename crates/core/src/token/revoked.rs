//! Tokens that were revoked one by one. Each is remembered until it would have expired for everybody.
use super::Jti;
use crate::time::UnixMillis;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// So many tables, so that readers seldom meet the one writer.
const SHARDS: usize = 64;
/// The bits that choose the table. Within one, the lowest bits choose the place and the highest tell neighbours apart.
const SHARD_SHIFT: u32 = 40;
/// How long a revocation is remembered after its token has expired, in milliseconds: a day, which is longer than the clock of
/// any node is wrong together with the leeway that verifiers give. A clock that is ahead by less, and set right again, has
/// nothing forgotten too early; nothing that was revoked lives again.
pub const KEPT_AFTER_EXPIRY_MS: i64 = 24 * 60 * 60 * 1000;

/// The name of a token, and when it expires.
type Shard = HashTable<(Jti, UnixMillis)>;

/// The revoked tokens that have not expired.
pub(super) struct Revoked {
    shards: Box<[RwLock<Shard>]>,
    count: AtomicUsize,
}

impl Default for Revoked {
    fn default() -> Revoked {
        Revoked { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), count: AtomicUsize::new(0) }
    }
}

// A panic while a lock is held leaves whole entries behind.
fn read(lock: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
fn write(lock: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// The table of a token.
fn shard_of(jti: Jti) -> usize {
    (jti.spread() >> SHARD_SHIFT) as usize % SHARDS
}

/// Whether it is new.
fn add_to(shard: &mut Shard, jti: Jti, expires_at: UnixMillis) -> bool {
    match shard.entry(jti.spread(), |(j, _)| *j == jti, |(j, _)| j.spread()) {
        Entry::Occupied(mut there) => {
            let until = &mut there.get_mut().1;
            *until = expires_at.max(*until);
            false
        }
        Entry::Vacant(place) => {
            place.insert((jti, expires_at));
            true
        }
    }
}

impl Revoked {
    pub(super) fn add(&self, jti: Jti, expires_at: UnixMillis) {
        let mut shard = write(&self.shards[shard_of(jti)]);
        // Counted before it can be missed.
        self.count.fetch_add(1, Ordering::SeqCst);
        if !add_to(&mut shard, jti, expires_at) {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Takes these in the place of all there are. What is in both is never missing in between.
    pub(super) fn replace(&self, all: impl IntoIterator<Item = (Jti, UnixMillis)>) {
        let mut new: Vec<Shard> = (0..SHARDS).map(|_| Shard::new()).collect();
        for (jti, expires_at) in all {
            add_to(&mut new[shard_of(jti)], jti, expires_at);
        }
        for (lock, new) in self.shards.iter().zip(new) {
            let mut shard = write(lock);
            self.count.fetch_add(new.len(), Ordering::SeqCst);
            let old = std::mem::replace(&mut *shard, new);
            self.count.fetch_sub(old.len(), Ordering::SeqCst);
        }
    }

    pub(super) fn has(&self, jti: Jti) -> bool {
        // Mostly nothing is, and then nobody takes a lock.
        self.len() > 0 && read(&self.shards[shard_of(jti)]).find(jti.spread(), |(j, _)| *j == jti).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub(super) fn sweep(&self, now: UnixMillis) -> usize {
        let until = now.plus_ms(-KEPT_AFTER_EXPIRY_MS);
        let mut gone = 0;
        for lock in &self.shards {
            // Looking keeps nobody waiting.
            if !read(lock).iter().any(|(_, expires_at)| *expires_at < until) {
                continue;
            }
            let mut shard = write(lock);
            let before = shard.len();
            shard.retain(|(_, expires_at)| *expires_at >= until);
            let left = shard.len();
            // What a wave of revocations took is given back.
            if shard.capacity() > 4 * left.max(16) {
                shard.shrink_to(left, |(j, _)| j.spread());
            }
            gone += before - left;
            self.count.fetch_sub(before - left, Ordering::SeqCst);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jti(n: u64) -> Jti {
        // Spread as random bytes are.
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&mixed.to_be_bytes());
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        Jti::new(bytes)
    }

    /// S7519-2: what was revoked does not come back while anybody may still take its token for unexpired.
    #[test]
    fn the_revoked_stay_until_their_tokens_are_over_for_everybody() {
        let set = Revoked::default();
        assert!(!set.has(jti(0)) && set.len() == 0);
        for n in 0..1_000 {
            set.add(jti(n), UnixMillis(n as i64));
            set.add(jti(n), UnixMillis(n as i64 - 5));
        }
        set.add(jti(0), UnixMillis(20_000));
        assert_eq!(set.len(), 1_000);
        assert!((0..1_000).all(|n| set.has(jti(n))) && !set.has(jti(1_000)));
        assert_eq!(set.sweep(UnixMillis(KEPT_AFTER_EXPIRY_MS + 1)), 0);
        assert_eq!(set.sweep(UnixMillis(KEPT_AFTER_EXPIRY_MS + 400)), 399, "to the millisecond");
        assert!(set.has(jti(0)), "the later of two times counts");
        assert!(!set.has(jti(399)) && set.has(jti(400)));
        assert_eq!(set.len(), 601);
        set.replace([(jti(1), UnixMillis(5)), (jti(1), UnixMillis(6)), (jti(2), UnixMillis(5))]);
        assert_eq!((set.len(), set.has(jti(2)), set.has(jti(400))), (2, true, false));
        set.replace([]);
        assert!(set.len() == 0 && !set.has(jti(1)));
    }

    #[test]
    fn names_that_share_their_first_half_are_told_apart() {
        let set = Revoked::default();
        let (mut a, mut b) = ([7; 16], [7; 16]);
        (a[15], b[15]) = (1, 2);
        set.add(Jti::new(a), UnixMillis(5));
        assert!(set.has(Jti::new(a)) && !set.has(Jti::new(b)));
        set.add(Jti::new(b), UnixMillis(5));
        assert_eq!(set.len(), 2);
    }

    /// Whoever reads meanwhile never misses what is in the former and in the new ones.
    #[test]
    fn a_reader_sees_the_revoked_while_all_are_replaced() {
        let set = Revoked::default();
        set.add(jti(7), UnixMillis(0));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 0..1_000 {
                    set.replace([(jti(7), UnixMillis(0)), (jti(n), UnixMillis(0))]);
                }
            });
            while !writer.is_finished() {
                assert!(set.has(jti(7)));
            }
        });
    }
}
