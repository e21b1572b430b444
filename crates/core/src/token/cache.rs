//! Tokens that were verified before: one core's, without locks.
use super::check::{TokenFault, Verified, accept, read};
use super::{TokenRecord, Tokens};
use crate::time::UnixMillis;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::sync::Arc;

/// How many tokens a core remembers, unless a setting says otherwise: some 30 MB of them.
pub const DEFAULT_ENTRIES: usize = 32_768;

/// Longer tokens are verified each time, in bytes: whoever asks for such, with many and long resources, takes no more room
/// than others. Tokens with one resource, and with scopes that fill some lines, are far shorter.
pub const MOST_KEPT_BYTES: usize = 2 * 1024;

/// What was verified, and under which keys and epoch.
struct Entry {
    token: Box<str>,
    verified: Arc<Verified>,
    generation: u64,
}

/// Verified tokens, by the whole text of each.
///
/// Only what changes the text, the keys or the epoch changes what [`read`] says, so only that is remembered. Dialect,
/// audience, expiry and revocation are asked each time: no verdict on one API is another's.
///
/// An entry takes its token's length, which is [`MOST_KEPT_BYTES`] at most, and about 400 bytes: 0.9 kB with ES256, 1.2 kB with
/// RS256. There are two tables. New
/// entries and those that are met again are put into the young one; when it holds half of what may be held, it becomes the
/// old one, and whatever was not met for so long is forgotten with the old one before.
pub struct Cache<S = DefaultHashBuilder> {
    young: HashTable<Entry>,
    old: HashTable<Entry>,
    half: usize,
    hasher: S,
    hits: u64,
    misses: u64,
}

impl<S> std::fmt::Debug for Cache<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({})", self.len())
    }
}

impl<S> Cache<S> {
    /// How many tokens are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a token was known, and how often one had to be verified.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }
}

impl<S: BuildHasher> Cache<S> {
    /// Remembers so many tokens at most; with fewer than two, none. The hasher should be keyed at random.
    #[must_use]
    pub fn new(entries: usize, hasher: S) -> Cache<S> {
        let (young, old) = (HashTable::new(), HashTable::new());
        Cache { young, old, half: entries / 2, hasher, hits: 0, misses: 0 }
    }

    /// Does what [`super::check`] does, faster for a token that was seen before.
    ///
    /// # Errors
    /// The same.
    pub fn check(
        &mut self,
        token: &str,
        record: &TokenRecord,
        audiences: &[Box<str>],
        now: UnixMillis,
        tokens: &Tokens,
    ) -> Result<Arc<Verified>, TokenFault> {
        self.take(token, tokens, |verified| accept(verified, record, audiences, now, tokens))
    }

    /// Does what [`super::read`] does, faster for a token that was seen before, and then asks whether it is `good` here
    /// and now. That is asked each time, and nothing of it is remembered.
    ///
    /// # Errors
    /// Those of both.
    pub fn take(
        &mut self,
        token: &str,
        tokens: &Tokens,
        good: impl Fn(&Verified) -> Result<(), TokenFault>,
    ) -> Result<Arc<Verified>, TokenFault> {
        let trust = tokens.trust_now();
        let hash = self.hasher.hash_one(token);
        if let Some(verified) = self.find(hash, token, trust.generation()) {
            self.hits += 1;
            good(&verified)?;
            return Ok(verified);
        }
        self.misses += 1;
        let verified = Arc::new(read(token, tokens, &trust)?);
        // What is not good anywhere now is not worth a place.
        good(&verified)?;
        if token.len() <= MOST_KEPT_BYTES {
            let (token, generation) = (token.into(), trust.generation());
            self.put(hash, Entry { token, verified: Arc::clone(&verified), generation });
        }
        Ok(verified)
    }

    fn find(&mut self, hash: u64, token: &str, generation: u64) -> Option<Arc<Verified>> {
        let good = |e: &&Entry| e.generation == generation;
        let same = |e: &Entry| *e.token == *token;
        if let Some(entry) = self.young.find(hash, same) {
            return Some(entry).filter(good).map(|e| Arc::clone(&e.verified));
        }
        let (entry, _) = self.old.find_entry(hash, same).ok()?.remove();
        let verified = Some(&entry).filter(good).map(|e| Arc::clone(&e.verified))?;
        self.put(hash, entry);
        Some(verified)
    }

    fn put(&mut self, hash: u64, entry: Entry) {
        if self.half == 0 {
            return;
        }
        if let Some(there) = self.young.find_mut(hash, |e| e.token == entry.token) {
            *there = entry;
            return;
        }
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert_unique(hash, entry, |e| self.hasher.hash_one(&*e.token));
    }
}
