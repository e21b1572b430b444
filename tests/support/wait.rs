//! Waiting with a deadline instead of sleeping for luck.
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long anything that must happen may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits until something is so, and tells how long it took.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    wait_for(what, || so().then_some(()));
    started.elapsed()
}

/// Watches for a while that something does not become so.
pub(crate) fn never_within(span: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let started = Instant::now();
    while started.elapsed() < span {
        assert!(!so(), "{what}");
        std::thread::sleep(PAUSE);
    }
}

/// A word that no other request of this run has.
pub(crate) fn tag() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("tag{:06}z", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Says that a test had nothing to work on. Goes past the harness, which would keep it to itself.
pub(crate) fn skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}

/// How much a test that can run for long has to do: `DOORWARD_N`, or what suits every day.
pub(crate) fn number_of_trials(every_day: u64) -> u64 {
    std::env::var("DOORWARD_N").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(every_day)
}
