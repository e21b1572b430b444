//! Until when a lease was given.
use super::lease::{LEASE_MARGIN_MS, LEASE_MS};
use doorward_core::time::UnixMillis;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// The end of a lease, on two clocks: a clock may be set, and the steady clock of a machine that slept is late.
pub(super) struct Term {
    begin: Instant,
    /// In milliseconds since the beginning.
    steady_ms: AtomicU64,
    /// On the clock that requests are judged by.
    until: AtomicI64,
}

impl Term {
    /// One that is over.
    pub(super) fn over() -> Term {
        Term { begin: Instant::now(), steady_ms: AtomicU64::new(0), until: AtomicI64::new(i64::MIN) }
    }

    /// Whether it goes on.
    pub(super) fn holds(&self, now: UnixMillis) -> bool {
        let steady = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        now.0 < self.until.load(SeqCst) && steady < self.steady_ms.load(SeqCst)
    }

    /// The lease was asked for at this time, and given.
    pub(super) fn extend(&self, asked: Instant, asked_at: UnixMillis) {
        let lasts = LEASE_MS - LEASE_MARGIN_MS;
        let asked = asked.saturating_duration_since(self.begin) + Duration::from_millis(lasts);
        self.until.store(asked_at.plus_ms(lasts.cast_signed()).0, SeqCst);
        self.steady_ms.store(u64::try_from(asked.as_millis()).unwrap_or(u64::MAX), SeqCst);
    }

    /// It is over at once.
    pub(super) fn end(&self) {
        self.steady_ms.store(0, SeqCst);
    }
}
