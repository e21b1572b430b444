//! Which tokens are dead before they expire: those of another generation, and those that were revoked one by one.
//!
//! A token names the generation in which it was issued. All tokens of a credential die when the credential's generation
//! changes, and all tokens there are when the store is put back from a backup; neither needs a list.
use crate::time::UnixMillis;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Random bytes in a token's id.
pub const TOKEN_ID_BYTES: usize = 16;
/// How long a revocation is remembered after its token has expired, in milliseconds: longer than the clock of any node is
/// wrong together with the leeway that verifiers give. Nothing that was revoked lives again while others still wait for its
/// end.
pub const KEPT_AFTER_EXPIRY_MS: i64 = 10 * 60 * 1000;

/// Characters of an id as text: 22 of six bits each, the last four of which are zero.
const TEXT_CHARS: usize = 22;
/// Of base64url (RFC 4648, 5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// So many tables share the revocations, so that whoever adds one keeps few readers waiting.
const SHARDS: usize = 16;

/// The `jti` of a token: 128 random bits, which the claim has in base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; TOKEN_ID_BYTES]);

/// A text is no token's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token's id has {TEXT_CHARS} characters: letters, digits, `-` and `_`")]
pub struct NoTokenId;

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        for n in 0..TEXT_CHARS {
            let six = if n + 1 < TEXT_CHARS { bits >> (122 - 6 * n) } else { bits << 4 };
            f.write_char(char::from(ALPHABET[(six & 63) as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

impl FromStr for TokenId {
    type Err = NoTokenId;

    /// Reads what [`TokenId`] shows, and nothing else that means the same.
    fn from_str(text: &str) -> Result<TokenId, NoTokenId> {
        let value = |c: &u8| ALPHABET.iter().position(|a| a == c).map(|at| at as u128).ok_or(NoTokenId);
        let (last, all) = text.as_bytes().split_last().ok_or(NoTokenId)?;
        let last = value(last)?;
        if text.len() != TEXT_CHARS || last & 15 != 0 {
            return Err(NoTokenId);
        }
        let bits = all.iter().try_fold(0, |bits: u128, c| Ok(bits << 6 | value(c)?))?;
        Ok(TokenId((bits << 2 | last >> 4).to_be_bytes()))
    }
}

/// The claim `gen` of a token: the epoch of the store, and the number of the change that created its credential or last
/// revoked all of its tokens.
#[must_use]
pub fn generation(epoch: &str, tokens_since: i64) -> String {
    format!("{epoch}.{tokens_since}")
}

type Shard = HashMap<TokenId, UnixMillis>;

/// Tokens that were revoked one by one, each until it would have expired. Readers don't wait for each other.
#[derive(Default)]
pub struct RevokedSet {
    shards: [RwLock<Shard>; SHARDS],
    count: AtomicUsize,
}

impl fmt::Debug for RevokedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevokedSet({})", self.len())
    }
}

// A panic while a lock is held leaves whole entries behind: each is put in one step.
fn read(lock: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
fn write(lock: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl RevokedSet {
    /// Ids are random, so any byte of them chooses well.
    fn shard(&self, id: TokenId) -> &RwLock<Shard> {
        &self.shards[usize::from(id.0[0]) % SHARDS]
    }

    /// Whether a token was revoked.
    #[must_use]
    pub fn contains(&self, id: TokenId) -> bool {
        // Mostly nothing is, and then nobody takes a lock.
        !self.is_empty() && read(self.shard(id)).contains_key(&id)
    }

    /// Adds a token that would expire at that instant.
    pub fn put(&self, id: TokenId, expires_at: UnixMillis) {
        let mut shard = write(self.shard(id));
        // Counted before it can be missed.
        self.count.fetch_add(1, Ordering::SeqCst);
        if shard.insert(id, expires_at).is_some() {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Takes these in the place of all there are. What is in both is never missing in between.
    pub fn replace(&self, all: impl IntoIterator<Item = (TokenId, UnixMillis)>) {
        let mut new: [Shard; SHARDS] = Default::default();
        for (id, expires_at) in all {
            new[usize::from(id.0[0]) % SHARDS].insert(id, expires_at);
        }
        for (lock, new) in self.shards.iter().zip(new) {
            let mut shard = write(lock);
            self.count.fetch_add(new.len(), Ordering::SeqCst);
            let old = std::mem::replace(&mut *shard, new);
            self.count.fetch_sub(old.len(), Ordering::SeqCst);
        }
    }

    /// Forgets those that expired [`KEPT_AFTER_EXPIRY_MS`] before `now`, and returns how many.
    pub fn sweep(&self, now: UnixMillis) -> usize {
        let until = now.plus_ms(-KEPT_AFTER_EXPIRY_MS);
        let mut gone = 0;
        for lock in &self.shards {
            // Looking keeps nobody waiting.
            if !read(lock).values().any(|expires_at| *expires_at < until) {
                continue;
            }
            let mut shard = write(lock);
            let before = shard.len();
            shard.retain(|_, expires_at| *expires_at >= until);
            let left = shard.len();
            shard.shrink_to(left * 2);
            gone += before - left;
            self.count.fetch_sub(before - left, Ordering::SeqCst);
        }
        gone
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> TokenId {
        TokenId(n.to_be_bytes())
    }

    /// S7515-2: one text for one id.
    #[test]
    fn an_id_is_written_in_one_way() {
        for (n, text) in [
            (0, "AAAAAAAAAAAAAAAAAAAAAA"),
            (1, "AAAAAAAAAAAAAAAAAAAAAQ"),
            (u128::MAX, "_____________________w"),
            (0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f, "AAECAwQFBgcICQoLDA0ODw"),
        ] {
            assert_eq!((id(n).to_string().as_str(), text.parse()), (text, Ok(id(n))));
        }
        for text in [
            "",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAA+A",
            "AAAAAAAAAAAAAAAAAAAA\u{e4}A",
        ] {
            assert_eq!(text.parse::<TokenId>(), Err(NoTokenId), "{text}");
        }
    }

    #[test]
    fn a_generation_is_one_of_an_epoch_and_a_credential() {
        assert_eq!(generation("e", 7), "e.7");
    }

    /// S7519-2: what was revoked does not come back while anybody may still take its token for unexpired.
    #[test]
    fn the_revoked_stay_until_their_tokens_are_over_for_everybody() {
        let set = RevokedSet::default();
        assert!(!set.contains(id(0)) && set.is_empty());
        let many = |n: u128| n << 96 | n;
        for n in 0..1_000 {
            set.put(id(many(n)), UnixMillis(n as i64));
            set.put(id(many(n)), UnixMillis(n as i64));
        }
        assert_eq!(set.len(), 1_000);
        assert!((0..1_000).all(|n| set.contains(id(many(n)))) && !set.contains(id(many(1_000))));
        assert_eq!(set.sweep(UnixMillis(KEPT_AFTER_EXPIRY_MS)), 0);
        assert_eq!(set.sweep(UnixMillis(KEPT_AFTER_EXPIRY_MS + 400)), 400);
        assert!(!set.contains(id(many(399))) && set.contains(id(many(400))));
        assert_eq!(set.len(), 600);
        set.replace([(id(1), UnixMillis(5)), (id(1), UnixMillis(6)), (id(2), UnixMillis(5))]);
        assert_eq!((set.len(), set.contains(id(2)), set.contains(id(many(400)))), (2, true, false));
        set.replace([]);
        assert!(set.is_empty() && !set.contains(id(1)));
    }

    /// Whoever reads meanwhile never misses what is in the former and in the new ones.
    #[test]
    fn a_reader_sees_the_revoked_while_all_are_replaced() {
        let set = RevokedSet::default();
        set.put(id(7), UnixMillis(0));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for n in 0..2_000_u128 {
                    set.replace([(id(7), UnixMillis(0)), (id(n << 100), UnixMillis(0))]);
                }
            });
            while !writer.is_finished() {
                assert!(set.contains(id(7)));
            }
        });
    }
}
