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
}

/// The two directions.
pub(crate) struct Waits([Wait; 2]);

impl Default for Waits {
    fn default() -> Waits {
        Waits([Wait { why: Why::Nothing, progress: 0, due: NEVER }; 2])
    }
}

impl Waits {
    /// Takes what both directions wait for now and how far they have come; each step on gives a new deadline. The next
    /// deadline, or what was waited for in vain.
    pub(crate) fn look(
        &mut self,
        now: [(Why, u64); 2],
        tick: u32,
        due: impl Fn(Why) -> u32,
    ) -> Result<u32, Why> {
        for (wait, (why, progress)) in self.0.iter_mut().zip(now) {
            if (wait.why, wait.progress) != (why, progress) {
                *wait = Wait { why, progress, due: due(why) };
            }
        }
        match self.0.iter().find(|wait| wait.due <= tick) {
            Some(late) => Err(late.why),
            None => Ok(self.0[0].due.min(self.0[1].due)),
        }
    }
}

/// The deadline of a wait that begins now. `since` is when the exchange began, `taken` how much of the caller's body
/// has come since.
pub(crate) fn due(why: Why, clock: &Clock, settings: &Settings, since: u32, taken: u64) -> u32 {
    let t = &settings.timeouts;
    match why {
        Why::Nothing => NEVER,
        Why::CallerTakes | Why::UpstreamTakes | Why::Ends => clock.after(t.write_ms),
        Why::AnySends => clock.after(t.upgraded_idle_ms),
        Why::UpstreamAnswers => clock.after(t.response_ms),
        Why::UpstreamSends => clock.after(t.response_body_ms),
        Why::CallerSends => {
            // A caller that sends a byte now and then never stalls, but is too slow on average.
            let rate = settings.limits.min_body_rate_bytes_per_s;
            let at_that_rate_ms = (taken.saturating_mul(1000)).checked_div(rate).unwrap_or(u64::MAX);
            let ticks = u32::try_from(t.body_ms.saturating_add(at_that_rate_ms) / TICK_MS).unwrap_or(NEVER);
            clock.after(t.body_ms).min(since.saturating_add(1).saturating_add(ticks))
        }
    }
}
