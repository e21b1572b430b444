//! The two clocks that a node reads.
use doorward_core::time::UnixMillis;
use std::time::SystemTime;

/// Milliseconds of a clock that only goes forward: the one that leases are measured by. It goes on while the machine
/// sleeps, where the system has such a clock: what was known before must not count as fresh on waking.
#[must_use]
#[cfg(target_os = "linux")]
pub fn monotonic_ms() -> u64 {
    let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(since_boot.tv_sec).unwrap_or(0);
    // Not from 0: a lease until 0 is one that was never given.
    seconds * 1_000 + u64::try_from(since_boot.tv_nsec).unwrap_or(0) / 1_000_000 + 1
}

/// Milliseconds of a clock that only goes forward: the one that leases are measured by.
#[must_use]
#[cfg(not(target_os = "linux"))]
pub fn monotonic_ms() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    // Not from 0: a lease until 0 is one that was never given.
    START.get_or_init(std::time::Instant::now).elapsed().as_millis() as u64 + 1
}

/// The wall clock.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixMillis(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn the_steady_clock_goes_at_the_pace_of_time() {
        let (started, from) = (Instant::now(), monotonic_ms());
        assert!(from > 0);
        let mut last = from;
        while started.elapsed() < Duration::from_millis(30) {
            let now = monotonic_ms();
            assert!(now >= last);
            last = now;
        }
        // Each end is rounded down by itself.
        assert!(monotonic_ms() - from >= 29);
        assert!(u128::from(last - from) <= started.elapsed().as_millis() + 1);
    }
}
