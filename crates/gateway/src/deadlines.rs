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
    /// The tick since which it waits for the same, and how far it had come by then.
    since: (u32, u64),
}

/// The two directions.
pub(crate) struct Waits([Wait; 2]);

impl Default for Waits {
    fn default() -> Waits {
        Waits([Wait { why: Why::Nothing, progress: 0, due: NEVER, since: (0, 0) }; 2])
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
                let since = if wait.why == why { wait.since } else { (tick, progress) };
                *wait =
                    Wait { why, progress, due: due(why, since.0, progress.saturating_sub(since.1)), since };
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

/// A caller that moves a byte now and then never stalls, but is too slow on average.
fn on_average(clock: &Clock, wait_ms: u64, rate_bytes_per_s: u64, since: u32, moved: u64) -> u32 {
    let at_that_rate_ms = moved.saturating_mul(1000).checked_div(rate_bytes_per_s).unwrap_or(u64::MAX);
    let ticks = u32::try_from(wait_ms.saturating_add(at_that_rate_ms) / TICK_MS).unwrap_or(NEVER);
    clock.after(wait_ms).min(since.saturating_add(1).saturating_add(ticks))
}
