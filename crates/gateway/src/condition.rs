//! How the addresses of upstreams are, as far as this node knows: all cores and the probes tell, all cores ask.
//!
//! An address that failed several times in a row rests, for longer each time; then one request tries it.
use doorward_core::policy::Address;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// After how many failures in a row an address rests.
pub(crate) const FAILURES_IN_A_ROW: u32 = 3;
/// How long it rests first, in milliseconds; twice as long each time that its trial fails as well.
pub(crate) const FIRST_REST_MS: u64 = 1_000;
/// How long it rests at most, in milliseconds.
pub(crate) const LONGEST_REST_MS: u64 = 60_000;
/// How long a trial may take before another request makes one, in milliseconds.
pub(crate) const TRIAL_MS: u64 = 10_000;

/// How one address is.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) name: Box<str>,
    /// In a row.
    failures: AtomicU32,
    /// How often in a row it was sent to rest.
    rests: AtomicU32,
    /// Until when it rests, on the monotonic clock; 0: it does not.
    until_ms: AtomicU64,
    /// How many probes say that it is ill.
    ill: AtomicU32,
    /// The requests on their way to it, where those are bounded.
    taken: AtomicU32,
    failed: AtomicU64,
    /// The requests that cores have sent which do not know it any more.
    past: AtomicU64,
    cores: Mutex<Vec<Arc<Load>>>,
}

/// What one core has to do with an address. Only that core writes it.
#[derive(Debug, Default)]
pub(crate) struct Load {
    in_flight: AtomicU32,
    requests: AtomicU64,
}

impl Load {
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }
    pub(crate) fn begin(&self) {
        self.in_flight.store(self.in_flight.load(Relaxed).wrapping_add(1), Relaxed);
        self.requests.store(self.requests.load(Relaxed).wrapping_add(1), Relaxed);
    }
    pub(crate) fn end(&self) {
        self.in_flight.store(self.in_flight.load(Relaxed).saturating_sub(1), Relaxed);
    }
}

/// What is to be made of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It has rested; one request is to try it. It was due at that instant.
    Due(u64),
    Well,
    /// It rests until then, or its probe says that it is ill (0).
    Unwell(u64),
}

impl Condition {
    fn new(address: &Address) -> Condition {
        Condition {
            name: address.to_string().into(),
            failures: AtomicU32::new(0),
            rests: AtomicU32::new(0),
            until_ms: AtomicU64::new(0),
            ill: AtomicU32::new(0),
            taken: AtomicU32::new(0),
            failed: AtomicU64::new(0),
            past: AtomicU64::new(0),
            cores: Mutex::default(),
        }
    }

    /// A core begins to send requests there.
    pub(crate) fn join(&self) -> Arc<Load> {
        let load = Arc::new(Load::default());
        let mut cores = self.cores.lock().unwrap_or_else(PoisonError::into_inner);
        cores.retain(|known| {
            let left = Arc::strong_count(known) == 1;
            if left {
                self.past.fetch_add(known.requests.load(Relaxed), Relaxed);
            }
            !left
        });
        cores.push(Arc::clone(&load));
        load
    }

    /// How it is at an instant of the monotonic clock, which is asked only where that matters.
    pub(crate) fn standing(&self, now_ms: impl FnOnce() -> u64) -> Standing {
        match (self.until_ms.load(Relaxed), self.ill.load(Relaxed)) {
            (0, 0) => Standing::Well,
            // Whoever probes it says when it is well again.
            (0, _) => Standing::Unwell(0),
            (until, 0) if until <= now_ms() => Standing::Due(until),
            (until, _) => Standing::Unwell(until),
        }
    }

    /// Takes the one trial of an address that was due; `false`: somebody else has.
    pub(crate) fn try_it(&self, was_due_ms: u64, now_ms: u64) -> bool {
        let until = now_ms.saturating_add(TRIAL_MS);
        self.until_ms.compare_exchange(was_due_ms, until, Relaxed, Relaxed).is_ok()
    }

    /// It answered.
    #[inline]
    pub(crate) fn fine(&self) {
        if self.failures.load(Relaxed) != 0 || self.until_ms.load(Relaxed) != 0 {
            self.recovered();
        }
    }

    #[cold]
    fn recovered(&self) {
        self.failures.store(0, Relaxed);
        self.rests.store(0, Relaxed);
        if self.until_ms.swap(0, Relaxed) != 0 {
            tracing::info!(upstream = %self.name, "the upstream answers again");
        }
    }

    /// It could not be reached, or cut an answer short. `trial`: see [`Condition::try_it`].
    #[cold]
    pub(crate) fn failed(&self, what: &str, trial: bool, now_ms: u64) {
        self.failed.fetch_add(1, Relaxed);
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if !trial && failures < FAILURES_IN_A_ROW {
            return;
        }
        let before = self.until_ms.load(Relaxed);
        // What was sent before it was sent to rest says nothing new.
        if !trial && before != 0 {
            return;
        }
        let rests = self.rests.load(Relaxed);
        let rest_ms = FIRST_REST_MS.saturating_mul(1 << rests.min(16)).min(LONGEST_REST_MS);
        let until = now_ms.saturating_add(rest_ms);
        if self.until_ms.compare_exchange(before, until, Relaxed, Relaxed).is_ok() {
            self.rests.store(rests.saturating_add(1), Relaxed);
            if !trial {
                tracing::warn!(upstream = %self.name, failures, last = what, "the upstream fails and rests");
            }
        }
    }

    /// A probe says how it is. `before`: what the same probe said last.
    pub(crate) fn probed(&self, ill: bool, before: bool) {
        if ill == before {
            return;
        }
        if ill {
            self.ill.fetch_add(1, Relaxed);
            tracing::warn!(upstream = %self.name, "the upstream's probe fails");
        } else {
            self.forget_probe();
            tracing::info!(upstream = %self.name, "the upstream's probe is answered again");
            self.fine();
        }
    }

    /// A probe that said ill says nothing any more.
    pub(crate) fn forget_probe(&self) {
        self.ill.fetch_sub(1, Relaxed);
    }

    /// Takes one of `most` places; `false`: there is none.
    pub(crate) fn take(&self, most: u32) -> bool {
        self.taken.fetch_update(Relaxed, Relaxed, |n| (n < most).then_some(n + 1)).is_ok()
    }

    pub(crate) fn give_back(&self) {
        self.taken.fetch_sub(1, Relaxed);
    }

    fn state(&self) -> UpstreamState {
        let cores = self.cores.lock().unwrap_or_else(PoisonError::into_inner);
        let requests: u64 = cores.iter().map(|load| load.requests.load(Relaxed)).sum();
        UpstreamState {
            name: self.name.to_string(),
            up: self.until_ms.load(Relaxed) == 0 && self.ill.load(Relaxed) == 0,
            in_flight: cores.iter().map(|load| u64::from(load.in_flight())).sum(),
            requests: requests + self.past.load(Relaxed),
            failures: self.failed.load(Relaxed),
        }
    }
}

/// How an address of an upstream is, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamState {
    /// `http://host:port`.
    pub name: String,
    /// Whether it is chosen as others are: it does not rest, and no probe says that it is ill.
    pub up: bool,
    /// Requests on their way to it.
    pub in_flight: u64,
    /// Requests that were sent to it, or were to be.
    pub requests: u64,
    /// Connections that could not be made, and answers that were cut short.
    pub failures: u64,
}

/// What this node knows of all addresses. Asked only where a core meets one for the first time.
#[derive(Debug, Default)]
pub(crate) struct Conditions(Mutex<HashMap<Address, Weak<Condition>>>);

impl Conditions {
    /// The condition of an address, for as long as anybody keeps it.
    pub(crate) fn of(&self, address: &Address) -> Arc<Condition> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(address).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, known| known.strong_count() > 0);
        let new = Arc::new(Condition::new(address));
        all.insert(address.clone(), Arc::downgrade(&new));
        new
    }

    /// How an address is; one that nobody has used yet is well.
    pub(crate) fn state(&self, address: &Address) -> UpstreamState {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(address).and_then(Weak::upgrade) {
            Some(known) => known.state(),
            None => UpstreamState { name: address.to_string(), up: true, ..UpstreamState::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition() -> Condition {
        Condition::new(&Address::parse("http://u:1").unwrap())
    }

    #[test]
    fn who_fails_in_a_row_rests_and_is_tried_once() {
        let c = condition();
        for _ in 0..2 {
            c.failed("x", false, 100);
        }
        c.fine();
        for _ in 0..2 {
            c.failed("x", false, 100);
            assert_eq!(c.standing(|| 100), Standing::Well, "an answer between them makes it no row");
        }
        c.failed("x", false, 100);
        assert_eq!(c.standing(|| 100), Standing::Unwell(1_100));
        c.failed("x", false, 900);
        assert_eq!(c.standing(|| 900), Standing::Unwell(1_100), "what was under way prolongs nothing");
        assert_eq!(c.standing(|| 1_100), Standing::Due(1_100));
        assert!(c.try_it(1_100, 1_200) && !c.try_it(1_100, 1_200), "one request tries it");
        assert_eq!(c.standing(|| 1_300), Standing::Unwell(11_200));
        c.failed("x", true, 1_400);
        assert_eq!(c.standing(|| 1_400), Standing::Unwell(3_400), "twice as long");
        for n in 0..20 {
            c.failed("x", true, n);
        }
        assert_eq!(c.standing(|| 0), Standing::Unwell(19 + LONGEST_REST_MS), "and no longer than that");
        assert_eq!(c.state().failures, 27);
        assert!(!c.state().up);
        c.fine();
        assert_eq!(c.standing(|| 0), Standing::Well);
        (0..3).for_each(|_| c.failed("x", false, 0));
        assert_eq!(c.standing(|| 0), Standing::Unwell(1_000), "the next rest is a first one again");
    }

    #[test]
    fn a_probe_decides_alone_and_ends_a_rest() {
        let c = condition();
        c.probed(true, false);
        assert_eq!(c.standing(|| 0), Standing::Unwell(0));
        (0..3).for_each(|_| c.failed("x", false, 0));
        assert_eq!(
            c.standing(|| 9_999),
            Standing::Unwell(1_000),
            "no request tries what a probe says is ill"
        );
        c.probed(true, true);
        c.probed(false, true);
        assert_eq!(c.standing(|| 0), Standing::Well);
        assert!(c.state().up);
    }

    #[test]
    fn places_are_counted_and_so_are_requests() {
        let c = condition();
        assert!(c.take(2) && c.take(2) && !c.take(2));
        c.give_back();
        assert!(c.take(2));
        let (one, other) = (c.join(), c.join());
        one.begin();
        other.begin();
        other.begin();
        other.end();
        assert_eq!((c.state().in_flight, c.state().requests), (2, 3));
        drop(other);
        let _third = c.join();
        assert_eq!((c.state().in_flight, c.state().requests), (1, 3), "what was counted stays counted");
        let all = Conditions::default();
        let address = Address::parse("http://u:1").unwrap();
        let kept = all.of(&address);
        assert!(Arc::ptr_eq(&kept, &all.of(&address)));
        kept.probed(true, false);
        assert!(!all.state(&address).up);
        drop(kept);
        assert!(all.state(&address).up);
    }
}
