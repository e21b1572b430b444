//! What is left of requests that are not forwarded: callers that left, bodies that nobody needs.
use crate::event::{self, Outcome, Verdict};
use crate::io::{self as sockets, Io};
use crate::peer::Peer;
use crate::pool::Dial;
use crate::pump::Body;
use crate::request::view;
use crate::serve::{After, Connection};
use crate::stamp::RequestId;
use crate::worker::Scratch;
use doorward_core::decide::Facts;
use doorward_core::policy::Policy;
use doorward_core::time::UnixMillis;
use std::time::Instant;

impl<S: Io, D: Dial> Connection<S, D> {
    /// Tells of a caller that left before its body had come.
    pub(crate) fn left(
        &self,
        policy: &Policy,
        facts: &Facts,
        peer: &Peer,
        (now, id): (UnixMillis, &RequestId),
        started: Instant,
        s: &mut Scratch,
    ) -> After {
        let req = view(&s.raw, &s.head, peer, now);
        s.line.clear();
        let at = self.worker.instant(now);
        event::begin(&mut s.line, at.as_str(), id.as_str(), peer, Some((&req, policy, facts)));
        let outcome = Outcome {
            verdict: Verdict::Deny,
            reason: None,
            detail: Some("caller-closed-in-body"),
            rule: None,
            status: 0,
            complete: false,
            upstream_us: None,
            total_us: started.elapsed().as_micros() as u64,
            request_bytes: s.raw.len() as u64 + s.up.taken,
            response_bytes: 0,
        };
        self.record(&mut s.line, &outcome);
        After::Close
    }

    /// Reads and drops the body of a request that was answered, so that the connection can be kept.
    pub(crate) async fn pass_over(&mut self, s: &mut Scratch) -> After {
        let most = self.worker.settings.limits.unread_body_bytes;
        s.up.reset();
        s.up.body = Body::new(s.head.framing, &self.worker.wire);
        s.up.allowed = most;
        self.slot.set(self.worker.clock.after(self.worker.settings.timeouts.body_ms));
        loop {
            if s.up.take(&mut self.input, &|_| false).is_err() {
                return After::Linger;
            }
            s.up.drop_output();
            if s.up.body.done() {
                return After::Keep;
            }
            self.input.make_room(&self.worker.buffers);
            match sockets::read(&mut self.io, &self.worker.clock, &self.slot, self.input.space()).await {
                Ok(n) if n > 0 => self.input.filled(n),
                _ => return After::Close,
            }
        }
    }
}
