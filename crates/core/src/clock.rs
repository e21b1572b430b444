//! The time that expiry is judged by. A clock that is set back must not bring back what was over.
use crate::time::UnixMillis;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// The highest time seen, kept as how far the wall clock was at most ahead of the steady one (which only goes forward, and
/// counts from anywhere). The two go at the same pace, also where the wall clock is slewed, so the difference changes only
/// when somebody sets the wall clock.
///
/// Set forward, the wall clock is believed at once: what expires by it is over. Set back, it is not: time goes on from the
/// highest one seen, at the steady clock's pace, until the wall clock has caught up or the program is started again. So a
/// clock that was ahead by an hour for a moment has whatever ends within an hour end that much early, and nothing else,
/// until then: wrong on the safe side, and told.
#[derive(Debug)]
pub struct HighWater {
    lead_ms: AtomicI64,
    jumps: AtomicU64,
}

impl Default for HighWater {
    fn default() -> HighWater {
        HighWater { lead_ms: AtomicI64::new(i64::MIN), jumps: AtomicU64::new(0) }
    }
}

/// How far the wall clock is ahead of the steady one. Whoever reads both reads the wall clock first: a pause in between
/// then makes less of the lead, which the highest one gets over.
fn lead(wall: UnixMillis, steady_ms: u64) -> i64 {
    wall.0.saturating_sub(i64::try_from(steady_ms).unwrap_or(i64::MAX))
}

impl HighWater {
    /// The time to judge by, when the clocks show this.
    #[must_use]
    pub fn judge(&self, wall: UnixMillis, steady_ms: u64) -> UnixMillis {
        let lead = lead(wall, steady_ms);
        let highest = self.lead_ms.load(Relaxed);
        if lead >= highest {
            // Mostly they are equal, and nobody writes to what every core reads.
            if lead > highest {
                self.lead_ms.fetch_max(lead, Relaxed);
            }
            return wall;
        }
        UnixMillis(wall.0.saturating_add(highest.saturating_sub(lead)))
    }

    /// The time to judge by, by the steady clock alone; the beginning of all time where no wall clock was ever shown.
    #[must_use]
    pub fn at(&self, steady_ms: u64) -> UnixMillis {
        let steady = i64::try_from(steady_ms).unwrap_or(i64::MAX);
        UnixMillis(self.lead_ms.load(Relaxed).saturating_add(steady))
    }

    /// By how many milliseconds the wall clock is behind the time that is judged by.
    #[must_use]
    pub fn behind_ms(&self, wall: UnixMillis, steady_ms: u64) -> u64 {
        self.judge(wall, steady_ms).0.saturating_sub(wall.0).unsigned_abs()
    }

    /// Counts a jump of the wall clock.
    pub fn jumped(&self) {
        self.jumps.fetch_add(1, Relaxed);
    }

    /// Jumps so far.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.jumps.load(Relaxed)
    }
}

/// Looks at both clocks now and then, and tells when the wall clock was set.
#[derive(Debug, Default)]
pub struct JumpWatch {
    last_lead_ms: Option<i64>,
}

impl JumpWatch {
    /// Less than this, in milliseconds, is no jump: time servers set a clock by that much.
    pub const TOLERANCE_MS: u64 = 500;

    /// By how many milliseconds the wall clock was set since the last look, where it was; negative: back.
    pub fn look(&mut self, wall: UnixMillis, steady_ms: u64) -> Option<i64> {
        let now = lead(wall, steady_ms);
        let by = now.saturating_sub(self.last_lead_ms.replace(now).unwrap_or(now));
        (by.unsigned_abs() > JumpWatch::TOLERANCE_MS).then_some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000_000;

    /// The wall clock is `set` milliseconds off when the steady one has gone `steady_ms`; what it is judged to be, less the
    /// true time.
    fn judged(high: &HighWater, set: i64, steady_ms: i64) -> i64 {
        high.judge(UnixMillis(START + steady_ms + set), steady_ms as u64).0 - START - steady_ms
    }

    #[test]
    fn time_goes_on_where_the_clock_is_set_back() {
        let high = HighWater::default();
        assert_eq!((judged(&high, 0, 0), judged(&high, 0, 1_000)), (0, 0));
        for back in [1, 500, 1_000, 600_000, 3_600_000] {
            assert_eq!(judged(&high, -back, 2_000), 0, "back by {back} ms");
            assert_eq!(judged(&high, -back, 900_000_000), 0, "and long after");
            let wall = UnixMillis(START + 2_000 - back);
            assert_eq!(high.behind_ms(wall, 2_000), back.unsigned_abs());
        }
        assert_eq!(judged(&high, 0, 3_000), 0, "it has caught up");
        assert_eq!(judged(&high, 3_600_000, 4_000), 3_600_000, "forward at once");
        assert_eq!(judged(&high, 0, 5_000), 3_600_000, "and not back");
        assert_eq!(judged(&high, 3_600_001, 6_000), 3_600_001);
        assert_eq!(high.behind_ms(UnixMillis(START + 6_000 + 3_600_001), 6_000), 0);
        let _ = (high.judge(UnixMillis(i64::MIN), u64::MAX), high.judge(UnixMillis(i64::MAX), 0));
    }

    #[test]
    fn each_jump_is_told_once() {
        let mut watch = JumpWatch::default();
        let mut look = |set: i64, steady_ms: i64| {
            watch.look(UnixMillis(START + steady_ms + set), u64::try_from(steady_ms).unwrap())
        };
        assert_eq!((look(0, 0), look(3, 200), look(-400, 400)), (None, None, None));
        assert_eq!((look(3_600_000, 600), look(3_600_000, 800)), (Some(3_600_400), None));
        assert_eq!((look(-1_000, 1_000), look(-1_000, 900_000)), (Some(-3_601_000), None));
    }
}
