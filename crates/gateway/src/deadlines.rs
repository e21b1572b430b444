//! How long each direction of an exchange may wait, and for what.
use crate::clock::{Clock, NEVER, TICK_MS};
use crate::settings::Settings;

/// What a direction waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Why {
    #[default]
    Nothing,
    /// The caller's body.
    CallerSends,
    /// Room at the caller.
    CallerTakes,
    /// Room at the upstream.
    UpstreamTakes,
    /// The head of the upstream's answer.
    UpstreamAnswers,
    /// The body of the upstream's answer.
    UpstreamSends,
    /// Anything at all, in a connection that has changed its protocol.
    AnySends,
    /// The rest of such a connection, of which one side has ended.
    Ends,
}

/// How far a direction had come when it began to wait, and when it has waited for too long.
#[derive(Clone, Copy)]
struct Wait {
    why: Why,
    progress: u64,
    due: u32,
    /// The tick since which it waits for the same, and how far it had come by then. Where the caller takes an answer, all
    /// its waits are one, without what was waited for others in between.
    since: (u32, u64),
    behind: Option<Behind>,
}

/// A caller that was waited for to take what there was.
#[derive(Clone, Copy)]
struct Behind {
    /// How many ticks that took,
    waited: u32,
    /// how far it had come before the first of them,
    from: u64,
    /// and the tick at which it was over.
    until: u32,
}

impl Wait {
    fn go_on(&mut self, why: Why, progress: u64, tick: u32) {
        if self.why == Why::CallerTakes {
            let waited = tick.saturating_sub(self.since.0);
            self.behind = Some(Behind { waited, from: self.since.1, until: tick });
        }
        self.since = match self.behind {
            // A caller that takes a little now and then, so that the upstream is waited for at times, is as slow. One that
            // kept up for as long as it was behind has its time again.
            Some(Behind { waited, from, until }) if why == Why::CallerTakes && tick - until < waited => {
                (tick.saturating_sub(waited), from)
            }
            _ => (tick, progress),
        };
        self.why = why;
    }
}

/// The two directions.
pub(crate) struct Waits([Wait; 2]);

impl Default for Waits {
    fn default() -> Waits {
        Waits([Wait { why: Why::Nothing, progress: 0, due: NEVER, since: (0, 0), behind: None }; 2])
    }
}

impl Waits {
    /// Takes what both directions wait for now and how far they have come; each step on gives a new deadline, by since
    /// when it waits for the same and how far it has come since. The next deadline, or what was waited for in vain.
    pub(crate) fn look(
        &mut self,
        now: [(Why, u64); 2],
        tick: u32,
        due: impl Fn(Why, u32, u64) -> u32,
    ) -> Result<u32, Why> {
        for (wait, (why, progress)) in self.0.iter_mut().zip(now) {
            if (wait.why, wait.progress) != (why, progress) {
                if wait.why != why {
                    wait.go_on(why, progress, tick);
                }
                wait.progress = progress;
                wait.due = due(why, wait.since.0, progress.saturating_sub(wait.since.1));
            }
        }
        match self.0.iter().find(|wait| wait.due <= tick) {
            Some(late) => Err(late.why),
            None => Ok(self.0[0].due.min(self.0[1].due)),
        }
    }
}

/// The deadline of a wait that begins now. `since` is when the exchange began, or for an answer when its caller first
/// was behind; `moved` is how much of the body has come since.
pub(crate) fn due(why: Why, clock: &Clock, settings: &Settings, since: u32, moved: u64) -> u32 {
    let (t, limits) = (&settings.timeouts, &settings.limits);
    match why {
        Why::Nothing => NEVER,
        Why::CallerTakes => on_average(clock, t.write_ms, limits.min_answer_rate_bytes_per_s, since, moved),
        Why::UpstreamTakes | Why::Ends => clock.after(t.write_ms),
        Why::AnySends => clock.after(t.upgraded_idle_ms),
        Why::UpstreamAnswers => clock.after(t.response_ms),
        Why::UpstreamSends => clock.after(t.response_body_ms),
        Why::CallerSends => on_average(clock, t.body_ms, limits.min_body_rate_bytes_per_s, since, moved),
    }
}

/// A caller that moves a byte now and then never stalls, but is too slow on average: it has its time, and no more for the
/// little that it has moved.
fn on_average(clock: &Clock, wait_ms: u64, rate_bytes_per_s: u64, since: u32, moved: u64) -> u32 {
    let at_that_rate_ms = moved.saturating_mul(1000).checked_div(rate_bytes_per_s).unwrap_or(u64::MAX);
    let ticks = u32::try_from(wait_ms.max(at_that_rate_ms) / TICK_MS).unwrap_or(NEVER);
    clock.after(wait_ms).min(since.saturating_add(1).saturating_add(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the caller takes of an answer in bits, each of which the upstream is asked for, is summed.
    #[test]
    fn a_caller_that_is_behind_again_and_again_is_behind_all_that_time() {
        // Ten ticks for nothing, one for each byte.
        let due = |why, since: u32, moved: u64| match why {
            Why::CallerTakes => since + (moved as u32).max(10),
            _ => NEVER,
        };
        let mut waits = Waits::default();
        let mut look = |why, progress, tick| waits.look([(Why::Nothing, 0), (why, progress)], tick, due);
        assert_eq!(look(Why::CallerTakes, 5, 100), Ok(110));
        assert_eq!(look(Why::UpstreamSends, 6, 104), Ok(NEVER));
        // Six are left of ten, whatever the upstream took.
        assert_eq!(look(Why::CallerTakes, 6, 107), Ok(113));
        assert_eq!(look(Why::UpstreamSends, 25, 110), Ok(NEVER));
        assert_eq!(look(Why::CallerTakes, 25, 116), Ok(129), "20 bytes are 20 ticks, of which 7 are over");
        assert_eq!(look(Why::CallerTakes, 25, 129), Err(Why::CallerTakes));
        // Kept up for as long as it was behind.
        assert_eq!(look(Why::UpstreamSends, 26, 130), Ok(NEVER));
        assert_eq!(look(Why::CallerTakes, 26, 151), Ok(161));
    }
}
