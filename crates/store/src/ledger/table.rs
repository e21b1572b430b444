//! A set of keys, each with the number of its owner: 20 bytes a slot, open addressing, no slot per key besides.
use doorward_core::ports::{LEDGER_KEY_BYTES, LedgerKey};

/// Slots of a table with a first key in it.
const FIRST_SLOTS: usize = 8;
/// At most so many of so many slots are taken: above, looking through the neighbours gets long.
const FULL: (usize, usize) = (3, 4);
/// A table that is full becomes so much larger. Doubling would leave more than half of it empty.
const GROWTH: (usize, usize) = (3, 2);

/// No key's owner: the slot was never taken.
const EMPTY: u32 = u32::MAX;
/// No key's owner: the key was taken out. Those that were put behind it are still found.
const GONE: u32 = u32::MAX - 1;
/// Owners have smaller numbers than this.
pub(super) const MAX_OWNERS: u32 = GONE;

#[derive(Clone, Copy)]
struct Slot {
    key: [u8; LEDGER_KEY_BYTES],
    owner: u32,
}

const NOTHING: Slot = Slot { key: [0; LEDGER_KEY_BYTES], owner: EMPTY };

/// The keys of one span of dates in one shard.
#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    /// Slots that are not empty.
    taken: usize,
}

/// Where a key was not found.
pub(super) struct Vacancy(usize);

impl Table {
    /// The slot that a key belongs in, if it is free. Keys look random, so their bytes are as good as any hash.
    fn home(&self, key: &LedgerKey) -> usize {
        let [.., a, b, c, d] = *key.bytes();
        let part = u64::from(u32::from_be_bytes([a, b, c, d]));
        ((part * self.slots.len() as u64) >> 32) as usize
    }

    /// Looks for a key: `None` if it is there, or else where to put it.
    pub(super) fn vacancy(&mut self, key: &LedgerKey) -> Option<Vacancy> {
        if self.taken * FULL.1 >= self.slots.len() * FULL.0 {
            self.grow();
        }
        let mut at = self.home(key);
        let mut gone = None;
        loop {
            let slot = &self.slots[at];
            match slot.owner {
                EMPTY => return Some(Vacancy(gone.unwrap_or(at))),
                GONE => gone = gone.or(Some(at)),
                _ if slot.key == *key.bytes() => return None,
                _ => (),
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }

    /// Puts a key where it was not found just now.
    pub(super) fn fill(&mut self, vacancy: &Vacancy, key: &LedgerKey, owner: u32) {
        let slot = &mut self.slots[vacancy.0];
        self.taken += usize::from(slot.owner == EMPTY);
        *slot = Slot { key: *key.bytes(), owner };
    }

    /// Takes a key out, and returns its owner.
    pub(super) fn remove(&mut self, key: &LedgerKey) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(key);
        loop {
            let slot = &mut self.slots[at];
            match slot.owner {
                EMPTY => return None,
                GONE => (),
                owner if slot.key == *key.bytes() => {
                    slot.owner = GONE;
                    return Some(owner);
                }
                _ => (),
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }

    /// The owner of each key.
    pub(super) fn owners(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().map(|slot| slot.owner).filter(|owner| *owner < MAX_OWNERS)
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    fn grow(&mut self) {
        let kept = self.owners().count();
        // Many that are gone are no reason to grow.
        let wanted =
            if kept * 2 > self.taken { self.slots.len() * GROWTH.0 / GROWTH.1 } else { self.slots.len() };
        let mut larger = Vec::new();
        larger.reserve_exact(wanted.max(FIRST_SLOTS));
        larger.resize(wanted.max(FIRST_SLOTS), NOTHING);
        let old = std::mem::replace(&mut self.slots, larger);
        self.taken = kept;
        for slot in old.iter().filter(|slot| slot.owner < MAX_OWNERS) {
            let mut at = self.home(&LedgerKey::new(slot.key));
            while self.slots[at].owner != EMPTY {
                at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
            }
            self.slots[at] = *slot;
        }
    }
}
