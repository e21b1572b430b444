//! A connection that has changed its protocol: bytes go through in both directions, as they are.
use super::{Exchange, Phase};
use crate::clock::Slot;
use crate::deadlines::{Waits, Why, due};
use crate::failure::{Stop, gone, refused, too_late};
use crate::headers;
use crate::io::Io;
use crate::pool::Dial;
use crate::pump::{Body, Broken, Waiting};
use crate::wire;
use doorward_core::reason::Reason;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// How often is looked whether it may go on, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// How far one direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    /// Its source has ended; its sink is to be told.
    Ending,
    Ended,
}

/// Both directions, and when is looked next.
struct Tunnel {
    up: Way,
    down: Way,
    look: u32,
}

impl<S: Io, D: Dial> Exchange<'_, S, D> {
    /// Takes a 101 whose head of `end` bytes was read. Only the protocol that was asked for may follow (RFC 9110 7.8), and
    /// only once the whole request was sent.
    pub(super) fn begin_tunnel(&mut self, end: usize) -> Result<(), Stop> {
        let raw = self.reply.before(end);
        let told = wire::upgrade(raw, self.head);
        let asked = self.plan.upgrade.map(|upgrade| upgrade.protocol);
        let Some(protocol) = asked.filter(|protocol| {
            !self.uploading && told.is_some_and(|told| told.eq_ignore_ascii_case(protocol.as_bytes()))
        }) else {
            return Err(refused(Reason::UpstreamFailed, "upstream-upgrade"));
        };
        self.ended.upstream_us = Some(self.started.elapsed().as_micros() as u64);
        self.ended.status = self.head.status;
        self.ended.keep = false;
        self.down.reset();
        headers::upgraded(&mut self.down.out, raw, self.head, self.plan, protocol);
        self.up.reset();
        (self.up.body, self.down.body) = (Body::UntilClose, Body::UntilClose);
        self.seat.fine();
        self.phase = Phase::Upgraded;
        Ok(())
    }

    /// Moves bytes until both sides have ended.
    pub(super) async fn tunnel(&mut self, slot: &Slot) {
        let look = self.worker.clock.after(LOOK_MS);
        let mut t = Tunnel { up: Way::Open, down: Way::Open, look };
        self.waits = Waits::default();
        match poll_fn(|cx| self.poll_tunnel(cx, slot, &mut t)).await {
            Ok(()) => self.phase = Phase::Answered,
            Err(Stop::Failed(failure)) => self.ended.failure = Some(failure),
            // Only what was not begun can be begun again.
            Err(Stop::NotSent) => {}
        }
        self.input.discard(&self.worker.buffers);
    }

    fn poll_tunnel(&mut self, cx: &mut Context<'_>, slot: &Slot, t: &mut Tunnel) -> Poll<Result<(), Stop>> {
        let worker = self.worker;
        let buffers = &worker.buffers;
        if t.up == Way::Open {
            let from = (&mut *self.caller, &mut *self.input);
            match self.up.poll(cx, from, &mut self.upstream, buffers, &|_| true) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => t.up = Way::Ending,
                Poll::Ready(Err(Broken::Sink)) => {
                    self.cut = true;
                    return Poll::Ready(Err(refused(Reason::UpstreamFailed, "upstream-reset")));
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Err(gone("caller-closed"))),
            }
            // What is idle holds no memory.
            if self.up.waiting == Waiting::Source {
                self.up.drop_output();
                self.input.release(buffers);
            }
        }
        if t.down == Way::Open {
            let from = (&mut self.upstream, &mut *self.reply);
            let polled = self.down.poll(cx, from, self.caller, buffers, &|_| true);
            self.ended.begun |= self.down.sent > 0;
            match polled {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => t.down = Way::Ending,
                Poll::Ready(Err(Broken::Sink)) => return Poll::Ready(Err(gone("caller-closed"))),
                Poll::Ready(Err(_)) => {
                    self.cut = true;
                    return Poll::Ready(Err(refused(Reason::UpstreamFailed, "upstream-reset")));
                }
            }
            if self.down.waiting == Waiting::Source {
                self.down.drop_output();
                self.reply.release(buffers);
            }
        }
        // Whether the other side could be told changes nothing: it is told that the connection ends soon after.
        if t.up == Way::Ending && Pin::new(&mut self.upstream).poll_shutdown(cx).is_ready() {
            t.up = Way::Ended;
        }
        if t.down == Way::Ending && Pin::new(&mut *self.caller).poll_shutdown(cx).is_ready() {
            t.down = Way::Ended;
        }
        if (t.up, t.down) == (Way::Ended, Way::Ended) {
            return Poll::Ready(Ok(()));
        }
        if worker.is_cut_off() {
            return Poll::Ready(Err(refused(Reason::Unavailable, "node-stops")));
        }
        let now = worker.clock.now();
        if t.look <= now {
            t.look = worker.clock.after(LOOK_MS);
            if let Some(reason) = self.plan.upgrade.and_then(|upgrade| (upgrade.refused)()) {
                return Poll::Ready(Err(refused(reason, "upgraded-refused")));
            }
        }
        let all = self.up.taken + self.up.sent + self.down.taken + self.down.sent;
        let quiet = if (t.up, t.down) == (Way::Open, Way::Open) { Why::AnySends } else { Why::Ends };
        let of = |way: Way, waiting: Waiting, sink: Why, sent: u64| match (way, waiting) {
            (Way::Open, Waiting::Sink) => (sink, sent),
            _ => (quiet, all),
        };
        let waits = [
            of(t.up, self.up.waiting, Why::UpstreamTakes, self.up.sent),
            of(t.down, self.down.waiting, Why::CallerTakes, self.down.sent),
        ];
        let due = |why| due(why, &worker.clock, &worker.settings, self.started_tick, 0);
        match self.waits.look(waits, now, due) {
            Ok(next) => {
                slot.set(next.min(t.look));
                slot.register(cx);
                Poll::Pending
            }
            Err(late) => Poll::Ready(Err(too_late(late))),
        }
    }
}
