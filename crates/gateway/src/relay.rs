//! One permitted request: sent to its upstream, answered to its caller, both bodies streamed at the same time.
//!
//! A request is sent once. Only where a kept connection takes not a single byte of it is a fresh one tried, and only where no
//! connection can be made is another address.
use crate::backend::Seat;
use crate::clock::Slot;
use crate::condition::Condition;
use crate::deadlines::Waits;
use crate::failure::{Failure, Stop, gone, refused, why};
use crate::headers;
use crate::hops::Via;
use crate::input::Input;
use crate::io::{Io, poll_read};
use crate::pool::Dial;
use crate::pump::{Body, Broken, Pump, Waiting};
use crate::reach::{self, Reach, Reached};
use crate::upgrade::Upgrade;
use crate::wire::{self, Framing, Head};
use crate::worker::Worker;
use doorward_core::decide::Forward;
use doorward_core::policy::Policy;
use doorward_core::reason::Reason;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

mod tunnel;
mod waits;

/// What the exchange has to know about the request.
pub(crate) struct Plan<'a> {
    pub(crate) to: &'a Forward,
    pub(crate) policy: &'a Policy,
    /// It is a HEAD request: its answer has no body.
    pub(crate) to_head: bool,
    /// The caller's version: 0 for HTTP/1.0.
    pub(crate) minor: u8,
    /// Whether the connection is meant to be kept.
    pub(crate) keep: bool,
    /// Whether the upstream's may be: see [`headers::unexpected_body`].
    pub(crate) share: bool,
    /// The caller waits for 100 before it sends its body.
    pub(crate) expects_continue: bool,
    /// Field lines of ours for the answer.
    pub(crate) extra: &'a [u8],
    /// Whether limits are told in them.
    pub(crate) limited: bool,
    /// How answers tell of this installation.
    pub(crate) via: &'a Via,
    /// The protocol that the connection is to change to, and whether it may stay what it then is.
    pub(crate) upgrade: Option<&'a Upgrade<'a>>,
}

/// How it ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// The status of the answer; 0 where none was begun.
    pub(crate) status: u16,
    /// The answer's head was written, at least in part.
    pub(crate) begun: bool,
    /// Why there is no answer, or none that is whole.
    pub(crate) failure: Option<Failure>,
    /// The connection may be kept, as far as this exchange is concerned.
    pub(crate) keep: bool,
    /// Time to the head of the answer, in microseconds.
    pub(crate) upstream_us: Option<u64>,
    /// The address that it was sent to, where there are several.
    pub(crate) upstream: Option<Arc<Condition>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Body,
    /// The answer is complete, the request is not.
    Answered,
    /// The connection has changed its protocol.
    Upgraded,
}

/// The two sides and what is between them.
struct Exchange<'x, S, D: Dial> {
    worker: &'x Worker<D>,
    plan: &'x Plan<'x>,
    caller: &'x mut S,
    input: &'x mut Input,
    upstream: D::Io,
    seat: Seat<D::Io>,
    reply: &'x mut Input,
    up: &'x mut Pump,
    down: &'x mut Pump,
    head: &'x mut Head,
    reused: bool,
    phase: Phase,
    uploading: bool,
    interim: usize,
    answered_early: bool,
    /// The upstream broke off what it had begun.
    cut: bool,
    started: Instant,
    started_tick: u32,
    waits: Waits,
    ended: Ended,
}

/// The memory that an exchange works in.
pub(crate) struct Room<'x> {
    pub(crate) input: &'x mut Input,
    pub(crate) reply: &'x mut Input,
    /// Holds the head for the upstream in its `out`, and the request's body.
    pub(crate) up: &'x mut Pump,
    pub(crate) down: &'x mut Pump,
    pub(crate) head: &'x mut Head,
}

/// Sends the request and brings the answer.
pub(crate) async fn exchange<S: Io, D: Dial>(
    worker: &Rc<Worker<D>>,
    plan: &Plan<'_>,
    caller: &mut S,
    slot: &Slot,
    room: Room<'_>,
) -> Ended {
    let Room { input, reply, up, down, head } = room;
    let started = Instant::now();
    let mut reach = Reach::new(worker, worker.pool.group(plan.to.upstream()), slot);
    let mut expects_continue = plan.expects_continue;
    let mut reached = match reach.seat().await {
        Ok(seat) => reach.connection(seat).await,
        Err(failure) => Err(failure.unwrap_or(Failure::Refused(Reason::UpstreamFailed, "upstream-none"))),
    };
    loop {
        let Reached { seat, io: upstream, reused } = match reached {
            Ok(reached) => reached,
            Err(failure) => return Ended { failure: Some(failure), ..Ended::default() },
        };
        down.reset();
        if expects_continue && !up.body.done() && input.is_empty() {
            down.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let mut x = Exchange {
            worker,
            plan,
            caller,
            input,
            upstream,
            seat,
            reply,
            up,
            down,
            head,
            reused,
            phase: Phase::Head,
            uploading: true,
            interim: 0,
            answered_early: false,
            cut: false,
            started,
            started_tick: worker.clock.now(),
            waits: Waits::default(),
            ended: Ended { keep: plan.keep, ..Ended::default() },
        };
        x.reply.restart_head();
        match poll_fn(|cx| x.poll(cx, slot)).await {
            // Boxed: few connections ever change their protocol, and all of them would have room for it.
            Ok(()) if x.phase == Phase::Upgraded => Box::pin(x.tunnel(slot)).await,
            Ok(()) => {}
            Err(Stop::NotSent) => {
                expects_continue &= x.down.sent == 0;
                let seat = x.seat;
                reached = reach.fresh(seat).await;
                continue;
            }
            Err(Stop::Failed(failure)) => x.ended.failure = Some(failure),
        }
        return x.end();
    }
}

impl<S: Io, D: Dial> Exchange<'_, S, D> {
    fn poll(&mut self, cx: &mut Context<'_>, slot: &Slot) -> Poll<Result<(), Stop>> {
        if self.uploading {
            self.poll_upload(cx)?;
        }
        while self.phase == Phase::Head {
            match self.poll_head(cx)? {
                Poll::Ready(()) => {}
                Poll::Pending => break,
            }
        }
        if self.phase == Phase::Body {
            self.poll_download(cx)?;
        }
        if self.phase == Phase::Upgraded {
            return Poll::Ready(Ok(()));
        }
        if self.phase == Phase::Answered && (!self.uploading || self.head.close) {
            return Poll::Ready(Ok(()));
        }
        if !self.uploading {
            self.watch_caller(cx)?;
        }
        self.poll_deadlines(cx, slot)
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        let policy = self.plan.policy;
        let from = (&mut *self.caller, &mut *self.input);
        let may_travel = |name: &[u8]| !headers::is_credential(policy, name);
        match self.up.poll(cx, from, &mut self.upstream, &self.worker.buffers, &may_travel) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.uploading = false;
                Ok(())
            }
            // The upstream takes no more. It may have answered before that, so its answer is still read.
            Poll::Ready(Err(Broken::Sink)) => {
                if self.reused
                    && self.upstream.tells_what_it_sent()
                    && self.up.sent == 0
                    && self.phase == Phase::Head
                    && self.reply.is_empty()
                {
                    return Err(Stop::NotSent);
                }
                self.uploading = false;
                Ok(())
            }
            Poll::Ready(Err(broken)) => Err(Stop::Failed(why(broken))),
        }
    }

    /// Reads one head: an interim answer, which is passed on, or the final one.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        std::task::ready!(self.down.poll_flush(cx, self.reply, self.caller))
            .map_err(|_| gone("caller-closed"))?;
        self.down.waiting = Waiting::Source;
        let limits = &self.worker.wire;
        let bad = |reject: wire::Reject| refused(Reason::UpstreamFailed, reject.detail());
        let end = loop {
            if !self.reply.is_empty()
                && let Some(end) = self.reply.head_end(limits).map_err(bad)?
            {
                break end;
            }
            self.reply.make_room(&self.worker.buffers);
            let detail = match std::task::ready!(poll_read(&mut self.upstream, cx, self.reply.space())) {
                Ok(0) if self.reply.is_empty() => "upstream-closed",
                Ok(0) => "upstream-closed-in-head",
                Err(_) => "upstream-reset",
                Ok(n) => {
                    self.reply.filled(n);
                    continue;
                }
            };
            // That a kept connection ends is no sign of anything.
            self.cut = !self.reused;
            return Poll::Ready(Err(refused(Reason::UpstreamFailed, detail)));
        };
        let at = self.reply.consume(end);
        let raw = &self.reply.raw()[at];
        wire::response(raw, self.plan.to_head, limits, self.head).map_err(bad)?;
        self.down.out.clear();
        match self.head.status {
            101 => self.begin_tunnel(end)?,
            100..=199 => {
                self.interim += 1;
                if self.interim > self.worker.settings.limits.interim_responses {
                    return Poll::Ready(Err(refused(Reason::UpstreamFailed, "upstream-interim-answers")));
                }
                // 100 is between this node and the upstream; HTTP/1.0 callers know no interim answers.
                self.down.reset();
                if self.plan.minor > 0 && self.head.status != 100 {
                    headers::interim(&mut self.down.out, raw, self.head);
                }
            }
            _ => self.begin_answer(end)?,
        }
        Poll::Ready(Ok(()))
    }

    fn begin_answer(&mut self, end: usize) -> Result<(), Stop> {
        let (worker, plan) = (self.worker, self.plan);
        let framing = self.head.framing;
        let unbounded = matches!(framing, Framing::Chunked | Framing::UntilClose);
        self.ended.upstream_us = Some(self.started.elapsed().as_micros() as u64);
        self.ended.status = self.head.status;
        self.answered_early = self.uploading;
        // An HTTP/1.0 caller sees where such a body ends by the end of the connection.
        self.ended.keep &= plan.minor > 0 || !unbounded;
        self.ended.keep &= !worker.draining();
        self.down.reset();
        self.down.body = Body::new(framing, &worker.wire);
        self.down.chunk = unbounded && plan.minor > 0;
        // `consume` has just moved past the head; it still stands right before the unused bytes.
        let raw = self.reply.before(end);
        let http2 = self.upstream.is_http2();
        headers::response(&mut self.down.out, raw, self.head, plan, http2, self.down.chunk, self.ended.keep);
        self.phase = Phase::Body;
        let broken = self.down.take(self.reply, &|_| true);
        broken.map_err(|_| refused(Reason::UpstreamFailed, "upstream-chunk"))
    }

    fn poll_download(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        let from = (&mut self.upstream, &mut *self.reply);
        let polled = self.down.poll(cx, from, self.caller, &self.worker.buffers, &|_| true);
        self.ended.begun |= self.down.sent > 0;
        match polled {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.phase = Phase::Answered;
                Ok(())
            }
            Poll::Ready(Err(Broken::Sink)) => {
                self.ended.begun = true;
                Err(gone("caller-closed-in-answer"))
            }
            Poll::Ready(Err(Broken::Source | Broken::TooLarge)) => {
                self.cut = true;
                Err(refused(Reason::UpstreamFailed, "upstream-cut"))
            }
            Poll::Ready(Err(Broken::Framing(reject))) => {
                Err(refused(Reason::UpstreamFailed, reject.detail()))
            }
        }
    }

    /// While the answer is awaited or sent: notices that the caller has left. What it sends meanwhile is its next
    /// request.
    fn watch_caller(&mut self, cx: &mut Context<'_>) -> Result<(), Stop> {
        if !self.up.body.done() {
            return Ok(());
        }
        if self.input.is_empty() {
            self.input.make_room(&self.worker.buffers);
        }
        while !self.input.space().is_empty() {
            match poll_read(self.caller, cx, self.input.space()) {
                Poll::Pending => break,
                Poll::Ready(Ok(0) | Err(_)) => return Err(gone("caller-closed")),
                Poll::Ready(Ok(n)) => self.input.filled(n),
            }
        }
        Ok(())
    }

    /// Gives back what may be used again.
    fn end(mut self) -> Ended {
        self.ended.begun |= self.down.sent > 0 && (self.phase != Phase::Head || self.down.is_torn());
        let whole = self.ended.failure.is_none() && self.phase == Phase::Answered;
        let sent = !self.uploading && self.up.done();
        // An upstream that answers before it has the whole request may not have read it at all.
        let in_step = self.plan.share && !self.answered_early;
        // What nobody waits for any more is broken off: an end in peace would keep its port for a minute, and callers that take
        // their requests back would use them all up.
        if self.ended.failure.is_some() && self.phase != Phase::Upgraded {
            self.upstream.abort();
        }
        if whole && sent && in_step && !self.head.close && self.reply.is_empty() {
            reach::keep(self.worker, &self.seat, self.upstream);
        }
        if whole {
            self.seat.fine();
        } else if let (true, Some(Failure::Refused(_, detail))) = (self.cut, &self.ended.failure) {
            self.seat.failed(detail, (self.worker.clocks.monotonic_ms)());
        }
        self.ended.upstream = self.seat.one_of_many().map(Arc::clone);
        self.reply.discard(&self.worker.buffers);
        self.ended.keep &= whole;
        self.ended
    }
}
