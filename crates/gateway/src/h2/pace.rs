//! How much of a connection is done in a round: see [`rounds`](crate::rounds).
use super::MAX_STREAMS;
use crate::rounds::{Few, Rounds, Share};
use std::rc::Rc;
use std::task::Context;

/// What is to be sent waits for more of its kind until it is this much, in bytes,
const TOGETHER_BYTES: usize = 16 * 1024;
/// or so often.
const POSTPONED: u32 = 4;

/// One connection's pace.
pub(super) struct Pace {
    /// Requests that are read in a round, those that are begun, and those that go on.
    reads: Few,
    begins: Few,
    pub(super) share: Rc<Share>,
    /// So often what is to be sent has waited.
    postponed: u32,
}

impl Pace {
    /// Of the caller of a connection, or of the `many` that a proxy has.
    pub(super) fn of(many: bool) -> Pace {
        let share = Rc::new(Share::of(many));
        Pace { reads: Few::new(MAX_STREAMS as u32), begins: Few::of(many), share, postponed: 0 }
    }

    /// Whether there is time for another piece in this round: for no more requests than may be under way at a time, however
    /// fast they are taken back.
    pub(super) fn may_read(&self, rounds: &Rounds, cx: &Context<'_>) -> bool {
        rounds.are_left(&self.reads, cx)
    }

    /// So many requests were read.
    pub(super) fn read(&self, requests: u64) {
        self.reads.spend(u32::try_from(requests).unwrap_or(u32::MAX));
    }

    /// Whether one more request may be begun in this round.
    pub(super) fn may_begin(&self, rounds: &Rounds, cx: &Context<'_>) -> bool {
        rounds.may_begin(&self.begins, cx)
    }

    /// Whether the `bytes` that are to be sent wait for what the next round adds to them, so that they go out together.
    pub(super) fn postpones(&mut self, bytes: usize, rounds: &Rounds, cx: &Context<'_>) -> bool {
        let wait = bytes < TOGETHER_BYTES && self.postponed < POSTPONED && self.share.is_late();
        self.postponed = if wait { self.postponed + 1 } else { 0 };
        if wait {
            rounds.wait(cx);
        }
        wait
    }
}
