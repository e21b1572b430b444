//! The clock that commands read, once each, and the watch that a node keeps over its own.
use doorward_core::clock::JumpWatch;
use doorward_core::live::Live;
use doorward_core::time::UnixMillis;
use doorward_gateway::monotonic_ms;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the clocks are compared.
const EVERY: Duration = Duration::from_millis(200);
/// Two readings of the clocks that are this far apart, in milliseconds, say nothing: the process was held up in between.
const HELD_UP_MS: u64 = 50;

/// Now. A clock that is set before 1970 counts as 1970.
pub(crate) fn now() -> UnixMillis {
    doorward_gateway::now()
}

/// Compares the wall clock with the steady one, for ever: a jump is told and counted.
pub(crate) async fn watch(live: Arc<Live>) {
    let mut jumps = JumpWatch::default();
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let (before, wall, steady_ms) = (monotonic_ms(), now(), monotonic_ms());
        if steady_ms.saturating_sub(before) > HELD_UP_MS {
            continue;
        }
        // Also where nobody calls, the highest time is known.
        let behind_ms = live.clock.behind_ms(wall, steady_ms);
        let Some(by_ms) = jumps.look(wall, steady_ms) else { continue };
        live.clock.jumped();
        if by_ms > 0 {
            tracing::warn!(by_ms, behind_ms, "the clock was set forward; what is over by it is over");
        } else {
            tracing::warn!(
                by_ms,
                behind_ms,
                "the clock was set back; what expires is judged by the time that it would show otherwise, until it has \
                 caught up or this program is started again"
            );
        }
    }
}
