//! What was spent, in this node's memory.
use super::shard::Shard;
use doorward_core::limits::{Bucket, Levels, MAX_SHARERS, MAX_SPENDS, Spend, Spent, settle};
use doorward_core::ports::{Limiter, Spending};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts, each with a lock. A power of two.
const SHARDS: usize = 64;
/// The most client addresses that a node tells apart at a time, about: they take 16 MiB. Only those that called lately
/// count. Beyond, new ones spend from one limit together, that of one address.
pub const MAX_ADDRESSES: usize = 400_000;

/// Milliseconds of a clock that is never set.
pub type SteadyClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How many nodes share each limit. Clones are one.
#[derive(Clone, Debug)]
pub struct Sharers(Arc<AtomicU32>);

impl Default for Sharers {
    fn default() -> Sharers {
        Sharers(Arc::new(AtomicU32::new(1)))
    }
}

impl Sharers {
    /// So many from now on, at least this one.
    pub fn set(&self, nodes: usize) {
        let nodes = u32::try_from(nodes).unwrap_or(u32::MAX).clamp(1, MAX_SHARERS);
        self.0.store(nodes, Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// Counts in memory, for one node. Where there are others, each counts its share.
pub struct MemoryLimiter {
    shards: [Part; SHARDS],
    /// Keyed at random: nobody outside can look for addresses that fall into one place. Two limits of a million fall into one
    /// with a probability of 2^-25, and are as one then.
    hasher: RandomState,
    clock: SteadyClock,
    sharers: Sharers,
    most_addresses: usize,
    crowded: AtomicU64,
}

impl std::fmt::Debug for MemoryLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryLimiter({} entries)", self.entries())
    }
}

/// A lock in a cache line of its own: cores that spend from different limits don't wait for each other's memory.
#[derive(Default)]
#[repr(align(64))]
struct Part(Mutex<Shard>);

fn lock(Part(shard): &Part) -> MutexGuard<'_, Shard> {
    // A panic behind the lock would have been one in arithmetic: what is there is whole.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn place(key: u64) -> usize {
    // Its ends find the entry in its part.
    (key >> 32) as usize % SHARDS
}

/// Where one spend is looked up.
#[derive(Clone, Copy, Default)]
struct At {
    key: u64,
    /// Where that is one of too many addresses: what stands for all of them.
    crowd: Option<u64>,
}

impl MemoryLimiter {
    /// Nothing was spent so far.
    #[must_use]
    pub fn new(clock: SteadyClock, sharers: Sharers) -> MemoryLimiter {
        MemoryLimiter {
            shards: std::array::from_fn(|_| Part::default()),
            hasher: RandomState::new(),
            clock,
            sharers,
            most_addresses: MAX_ADDRESSES,
            crowded: AtomicU64::new(0),
        }
    }

    /// The same, telling fewer addresses apart.
    #[must_use]
    pub fn with_addresses(self, most: usize) -> MemoryLimiter {
        MemoryLimiter { most_addresses: most, ..self }
    }

    /// The rate belongs to the key: what was spent of a limit says nothing about another one. It is mixed in afterwards, since
    /// operators choose it, and callers don't.
    fn hash(&self, bytes: &[u8], requests: u32, cost: u64) -> u64 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut hasher = self.hasher.build_hasher();
        hasher.write(bytes);
        let rate = cost.wrapping_mul(ODD) ^ u64::from(requests);
        hasher.finish() ^ rate.wrapping_mul(ODD)
    }

    /// Spends at once what there is to spend, as one of so many nodes.
    #[must_use]
    pub fn spend_now(&self, spends: &[Spend]) -> Spent {
        let sharers = self.sharers.get();
        let spends = &spends[..spends.len().min(MAX_SPENDS)];
        let mut ats = [At::default(); MAX_SPENDS];
        for (at, spend) in ats.iter_mut().zip(spends) {
            let pace = spend.rate.pace(sharers);
            let of = |bytes| self.hash(bytes, pace.requests, pace.cost);
            *at = At { key: of(spend.key.bytes()), crowd: spend.key.crowd().map(of) };
        }
        let ats = &mut ats[..spends.len()];
        let levels = loop {
            match self.try_spend(spends, ats, sharers) {
                Ok(levels) => break levels,
                // Nobody has two addresses, and what stands for all of them is always admitted.
                Err(crowded) => {
                    self.crowded.fetch_add(1, Relaxed);
                    let at = &mut ats[crowded];
                    *at = At { key: at.crowd.unwrap_or(at.key), crowd: None };
                }
            }
        };
        Spent { levels, shared: sharers > 1 }
    }

    /// Spends under the locks of all parts that are concerned; the error is the place of an address that is too many.
    fn try_spend(&self, spends: &[Spend], ats: &[At], sharers: u32) -> Result<Levels, usize> {
        let mut locked: [Option<MutexGuard<'_, Shard>>; MAX_SPENDS] = Default::default();
        // Which of the locks each one is under: a part that two of them are in is locked once.
        let mut under = [0; MAX_SPENDS];
        let mut order = [0, 1, 2];
        let order = &mut order[..ats.len()];
        // Always in the same order, so that nobody waits for one who waits for him.
        order.sort_unstable_by_key(|number| place(ats[*number].key));
        let mut before = None;
        for number in order.iter().copied() {
            let here = place(ats[number].key);
            under[number] = match before {
                Some((place, lock)) if place == here => lock,
                _ => number,
            };
            if under[number] == number {
                locked[number] = Some(lock(&self.shards[here]));
            }
            before = Some((here, under[number]));
        }
        let now_ms = (self.clock)();
        let most = self.most_addresses.div_ceil(SHARDS);
        let mut buckets = [Bucket::default(); MAX_SPENDS];
        for (number, at) in ats.iter().enumerate() {
            let Some(shard) = &mut locked[under[number]] else { continue };
            if at.crowd.is_some() && !shard.admits(at.key, most, now_ms) {
                return Err(number);
            }
            buckets[number] = shard.get(at.key);
        }
        let before = buckets;
        let levels = settle(&mut buckets[..ats.len()], spends, sharers, now_ms);
        for (number, at) in ats.iter().enumerate() {
            let Some(shard) = &mut locked[under[number]] else { continue };
            if buckets[number] != before[number] {
                let requests = spends[number].rate.requests();
                shard.put(at.key, buckets[number], requests, at.crowd.is_some(), now_ms);
            }
        }
        Ok(levels)
    }

    /// Whether this node tells the address of a spend apart from others, where that is counted elsewhere. It is
    /// remembered here for about as long as it is there, so that callers can't fill that place with addresses either. What
    /// is no address always is told apart.
    pub(in crate::limits) fn tells_apart(&self, spend: &Spend) -> bool {
        if spend.key.crowd().is_none() {
            return true;
        }
        let pace = spend.rate.pace(1);
        // What is counted here is another matter, under another key.
        let key = self.hash(spend.key.bytes(), pace.requests, !pace.cost);
        let mut shard = lock(&self.shards[place(key)]);
        let now_ms = (self.clock)();
        if !shard.admits(key, self.most_addresses.div_ceil(SHARDS), now_ms) {
            self.crowded.fetch_add(1, Relaxed);
            return false;
        }
        let mut bucket = shard.get(key);
        let before = bucket;
        bucket.take(&pace, now_ms, true);
        if bucket != before {
            shard.put(key, bucket, pace.requests, true, now_ms);
        }
        true
    }

    /// Forgets what owes nothing any more. Called now and then.
    pub fn tidy(&self) {
        let now_ms = (self.clock)();
        self.shards.iter().for_each(|shard| lock(shard).sweep(now_ms));
    }

    /// Limits of which something is owed, about.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Bytes of memory that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<MemoryLimiter>() + self.shards.iter().map(|shard| lock(shard).heap_bytes()).sum::<usize>()
    }

    /// How often an address was one too many, and spent together with others.
    #[must_use]
    pub fn crowded(&self) -> u64 {
        self.crowded.load(Relaxed)
    }

    /// How many nodes share each limit.
    #[must_use]
    pub fn sharers(&self) -> &Sharers {
        &self.sharers
    }
}

impl Limiter for MemoryLimiter {
    fn spend<'s>(&'s self, spends: &'s [Spend]) -> Spending<'s> {
        Spending::Now(self.spend_now(spends))
    }
}
