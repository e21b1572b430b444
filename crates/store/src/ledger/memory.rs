//! What was claimed, in memory. Requests lie with those of the same dates, and a whole span of dates is forgotten at once
//! when nothing in it can be accepted any more; below that, the fence stands.
use super::Settings;
use super::owners::Owners;
use super::table::Table;
use doorward_core::ports::{Claim, Once};
use doorward_core::time::UnixMillis;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shards, each with a lock. A power of two.
const SHARDS: usize = 32;
/// The length of a span of dates in milliseconds.
const SPAN_MS: i64 = 32_000;

/// The tables of one shard, by the number of their span; few, the latest last.
type Shard = Vec<(i64, Table)>;

/// What was claimed, and by whom.
pub(super) struct Memory {
    settings: Settings,
    shards: [Mutex<Shard>; SHARDS],
    /// Taken after a shard's lock, never before.
    owners: Mutex<Owners>,
    /// Of earlier dates (milliseconds since 1970), nobody knows what was claimed. It only rises.
    fence: AtomicI64,
    /// The longest time after its date, in milliseconds, that any request could be accepted. It only rises.
    late_ms: AtomicI64,
    /// When to forget next.
    sweep_at: AtomicI64,
}

/// A panic while a lock was held would have been one in arithmetic: what is behind it is whole.
pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn span(date: UnixMillis) -> i64 {
    date.0.div_euclid(SPAN_MS)
}

impl Memory {
    pub(super) fn new(settings: Settings) -> Memory {
        Memory {
            settings,
            shards: std::array::from_fn(|_| Mutex::default()),
            owners: Mutex::default(),
            fence: AtomicI64::new(i64::MIN),
            late_ms: AtomicI64::new(i64::from(settings.skew_ms)),
            sweep_at: AtomicI64::new(i64::MIN),
        }
    }

    fn shard(&self, once: &Once) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(once.key.bytes()[0]) % SHARDS])
    }

    /// Claims a request, or says why not.
    pub(super) fn claim(&self, once: &Once, now: UnixMillis) -> Result<(), Claim> {
        let window = &once.window;
        if now < window.from() {
            return Err(Claim::TooEarly { now });
        }
        if now > window.until() {
            return Err(Claim::TooLate { now });
        }
        if now.0 >= self.sweep_at.load(SeqCst) {
            self.sweep(now);
        }
        // Known before it is looked for, so that nobody forgets its span in between.
        let late_ms = i64::from(window.late_ms());
        if late_ms > self.late_ms.load(SeqCst) {
            self.late_ms.fetch_max(late_ms, SeqCst);
        }
        let mut shard = self.shard(once);
        // Under the lock: whoever forgets a span raises the fence first.
        let fence = self.fence();
        if window.date() < fence {
            return Err(Claim::Fenced { until: fence });
        }
        let table = table(&mut shard, span(window.date()));
        let vacancy = table.vacancy(&once.key).ok_or(Claim::Replayed)?;
        let owner = lock(&self.owners).take(&once.owner, &self.settings).map_err(Claim::Full)?;
        table.fill(&vacancy, &once.key, owner);
        Ok(())
    }

    /// Remembers what was claimed before the last start, and tells whether it was new.
    pub(super) fn restore(&self, once: &Once) -> bool {
        self.late_ms.fetch_max(i64::from(once.window.late_ms()), SeqCst);
        let mut shard = self.shard(once);
        let table = table(&mut shard, span(once.window.date()));
        let Some(vacancy) = table.vacancy(&once.key) else { return false };
        let owner = lock(&self.owners).add(&once.owner);
        owner.is_some_and(|owner| {
            table.fill(&vacancy, &once.key, owner);
            true
        })
    }

    /// Takes back a claim that could not be written down.
    pub(super) fn take_back(&self, once: &Once) {
        let mut shard = self.shard(once);
        let at = span(once.window.date());
        let table = shard.iter_mut().rev().find(|(span, _)| *span == at);
        if let Some(owner) = table.and_then(|(_, table)| table.remove(&once.key)) {
            lock(&self.owners).give_back(owner);
        }
    }

    /// Forgets the spans of dates that are over.
    pub(super) fn sweep(&self, now: UnixMillis) {
        self.sweep_at.fetch_max(now.0.saturating_add(SPAN_MS), SeqCst);
        let over = span(now.plus_ms(-self.late_ms.load(SeqCst)));
        self.raise_fence(UnixMillis(over.saturating_mul(SPAN_MS)));
        for shard in &self.shards {
            let mut shard = lock(shard);
            let kept = shard.partition_point(|(span, _)| *span < over);
            for (_, table) in shard.drain(..kept) {
                let mut owners = lock(&self.owners);
                table.owners().for_each(|owner| owners.give_back(owner));
            }
        }
    }

    /// Of earlier dates, nobody knows what was claimed.
    pub(super) fn fence(&self) -> UnixMillis {
        UnixMillis(self.fence.load(SeqCst))
    }

    /// Refuses earlier dates from now on.
    pub(super) fn raise_fence(&self, to: UnixMillis) {
        self.fence.fetch_max(to.0, SeqCst);
    }

    /// The longest time after its date, in milliseconds, that any request could be accepted.
    pub(super) fn late_ms(&self) -> i64 {
        self.late_ms.load(SeqCst)
    }

    /// Requests that are remembered.
    pub(super) fn entries(&self) -> usize {
        lock(&self.owners).entries()
    }

    /// Bytes that all of it takes.
    pub(super) fn bytes(&self) -> usize {
        let tables = |shard: &Mutex<Shard>| {
            let shard = lock(shard);
            let tables: usize = shard.iter().map(|(_, table)| table.heap_bytes()).sum();
            tables + shard.capacity() * size_of::<(i64, Table)>()
        };
        size_of::<Memory>() + self.shards.iter().map(tables).sum::<usize>() + lock(&self.owners).heap_bytes()
    }
}

fn table(shard: &mut Shard, span: i64) -> &mut Table {
    // The latest are asked for most.
    let at = shard.iter().rposition(|(other, _)| *other <= span);
    let at = match at {
        Some(at) if shard[at].0 == span => at,
        before => {
            let at = before.map_or(0, |at| at + 1);
            shard.insert(at, (span, Table::default()));
            at
        }
    };
    &mut shard[at].1
}
