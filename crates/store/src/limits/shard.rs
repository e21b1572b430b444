//! A part of what is owed, under one lock.
use doorward_core::limits::Bucket;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Entries below which nobody looks for those that can be forgotten.
const FEW: usize = 256;
/// How often a part that is full of addresses is looked through at most, in milliseconds.
const CROWDED_SWEEP_MS: u64 = 1_000;

/// What is remembered under a key: 32 bytes with it.
#[derive(Clone, Copy)]
struct Entry {
    bucket: Bucket,
    /// Units that are paid back in a millisecond.
    requests: u32,
    /// Whether callers choose the key by where they call from.
    address: bool,
}

/// The keys come from a keyed hash, and need no other.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // Never called: keys are numbers. Whatever came, equal ones would be equal.
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// What is owed, by the hash of what owes it. An entry that owes nothing any more is as good as none.
#[derive(Default)]
pub(super) struct Shard {
    entries: HashMap<u64, Entry, BuildHasherDefault<AsItIs>>,
    addresses: usize,
    /// How many entries there may be before it is looked through again.
    sweep_at: usize,
    /// When it may be looked through again for room for addresses.
    crowded_until_ms: u64,
}

impl Shard {
    /// What is owed under a key.
    pub(super) fn get(&self, key: u64) -> Bucket {
        self.entries.get(&key).map_or_else(Bucket::default, |entry| entry.bucket)
    }

    /// Whether another address may have an entry of its own, of `most`.
    pub(super) fn admits(&mut self, key: u64, most: usize, now_ms: u64) -> bool {
        if self.addresses < most || self.entries.contains_key(&key) {
            return true;
        }
        if now_ms >= self.crowded_until_ms {
            self.crowded_until_ms = now_ms.saturating_add(CROWDED_SWEEP_MS);
            self.sweep(now_ms);
        }
        self.addresses < most
    }

    /// Notes what is owed under a key.
    pub(super) fn put(&mut self, key: u64, bucket: Bucket, requests: u32, address: bool, now_ms: u64) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.bucket = bucket;
            return;
        }
        if self.entries.len() >= self.sweep_at.max(FEW) {
            self.sweep(now_ms);
        }
        self.addresses += usize::from(address);
        self.entries.insert(key, Entry { bucket, requests, address });
    }

    /// Forgets what owes nothing any more, and gives room back that is much too large.
    pub(super) fn sweep(&mut self, now_ms: u64) {
        self.entries.retain(|_, entry| entry.bucket.debt(entry.requests, now_ms) > 0);
        self.addresses = self.entries.values().filter(|entry| entry.address).count();
        // Each look-through is paid for by as many new entries as it found.
        self.sweep_at = self.entries.len() * 2;
        if self.entries.capacity() > (self.entries.len() * 4).max(FEW) {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap, about.
    pub(super) fn heap_bytes(&self) -> usize {
        self.entries.capacity() * (size_of::<(u64, Entry)>() + 1)
    }
}
