//! What an exchange waits for, and how long.
use super::{Exchange, Phase};
use crate::clock::Slot;
use crate::deadlines::{Why, due};
use crate::failure::{Stop, refused, too_late};
use crate::io::Io;
use crate::pool::Dial;
use crate::pump::Waiting;
use doorward_core::reason::Reason;
use std::task::{Context, Poll};

impl<S: Io, D: Dial> Exchange<'_, S, D> {
    pub(super) fn poll_deadlines(&mut self, cx: &mut Context<'_>, slot: &Slot) -> Poll<Result<(), Stop>> {
        let up = match self.up.waiting {
            Waiting::Source if self.uploading => Why::CallerSends,
            Waiting::Sink if self.uploading => Why::UpstreamTakes,
            _ => Why::Nothing,
        };
        let down = match (self.phase, self.down.waiting) {
            (Phase::Answered | Phase::Upgraded, _) => Why::Nothing,
            (_, Waiting::Sink) => Why::CallerTakes,
            // An upstream that reads on may well be silent meanwhile: the upload has its own deadline.
            (_, _) if self.uploading => Why::Nothing,
            (Phase::Head, _) => Why::UpstreamAnswers,
            (Phase::Body, _) => Why::UpstreamSends,
        };
        // A caller that is behind comes on by what it takes alone.
        let read = if down == Why::CallerTakes { 0 } else { self.down.taken };
        let now = [(up, self.up.taken + self.up.sent), (down, read + self.down.sent)];
        let (clock, settings) = (&self.worker.clock, &self.worker.settings);
        let due = |why, since, moved| match why {
            Why::CallerSends => due(why, clock, settings, self.started_tick, self.up.taken),
            _ => due(why, clock, settings, since, moved),
        };
        if self.worker.is_cut_off() {
            return Poll::Ready(Err(refused(Reason::Unavailable, "node-stops")));
        }
        match self.waits.look(now, clock.now(), due) {
            Ok(next) => {
                slot.set(next);
                slot.register(cx);
                Poll::Pending
            }
            Err(late) => Poll::Ready(Err(too_late(late))),
        }
    }
}
