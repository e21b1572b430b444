//! One permitted request: sent to its upstream, answered to its caller, both bodies streamed at the same time.
//!
//! A request is sent once. Only where a kept connection takes not a single byte of it is a fresh one tried.
use crate::clock::Slot;
use crate::deadlines::{Waits, Why, due};
use crate::failure::{Failure, Stop, gone, refused, too_late, why};
use crate::h2;
use crate::headers;
use crate::input::Input;
use crate::io::{Io, poll_read};
use crate::pool::Dial;
use crate::pump::{Body, Broken, Pump, Waiting};
use crate::wire::{self, Framing, Head};
use crate::worker::Worker;
use doorward_core::decide::Forward;
use doorward_core::policy::Policy;
use doorward_core::reason::Reason;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

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
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    Body,
    /// The answer is complete, the request is not.
    Answered,
}

/// The two sides and what is between them.
struct Exchange<'x, S, D: Dial> {
    worker: &'x Worker<D>,
    plan: &'x Plan<'x>,
    caller: &'x mut S,
    input: &'x mut Input,
    upstream: D::Io,
    reply: &'x mut Input,
    up: &'x mut Pump,
    down: &'x mut Pump,
    head: &'x mut Head,
    reused: bool,
    phase: Phase,
    uploading: bool,
    interim: usize,
    answered_early: bool,
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
    let mut kept = worker.pool.take(&plan.to.upstream().addresses[0], worker.clock.now());
    let mut expects_continue = plan.expects_continue;
    loop {
        let reused = kept.is_some();
        let upstream = match kept.take() {
            Some(io) => io,
            None => match connect(worker, plan, slot).await {
                Ok(io) => io,
                Err(failure) => return Ended { failure: Some(failure), ..Ended::default() },
            },
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
            reply,
            up,
            down,
            head,
            reused,
            phase: Phase::Head,
            uploading: true,
            interim: 0,
            answered_early: false,
            started,
            started_tick: worker.clock.now(),
            waits: Waits::default(),
            ended: Ended { keep: plan.keep, ..Ended::default() },
        };
        x.reply.restart_head();
        match poll_fn(|cx| x.poll(cx, slot)).await {
            Ok(()) => {}
            Err(Stop::NotSent) => {
                expects_continue &= x.down.sent == 0;
                continue;
            }
            Err(Stop::Failed(failure)) => x.ended.failure = Some(failure),
        }
        return x.end();
    }
}

async fn connect<D: Dial>(worker: &Rc<Worker<D>>, plan: &Plan<'_>, slot: &Slot) -> Result<D::Io, Failure> {
    slot.set(worker.clock.after(worker.settings.timeouts.connect_ms));
    let upstream = plan.to.upstream();
    let mut dialing = std::pin::pin!(h2::connect(worker, &upstream.addresses[0], upstream.http2));
    let connected = poll_fn(|cx| match dialing.as_mut().poll(cx) {
        Poll::Pending => slot.pending(cx, &worker.clock),
        ready => ready,
    });
    connected.await.map_err(|e| match e.kind() {
        io::ErrorKind::TimedOut => Failure::Refused(Reason::UpstreamTimeout, "upstream-connect-timeout"),
        io::ErrorKind::ConnectionRefused => {
            Failure::Refused(Reason::UpstreamFailed, "upstream-connection-refused")
        }
        _ => {
            tracing::debug!(upstream = %plan.to.upstream().addresses[0], error = %e, "connecting failed");
            Failure::Refused(Reason::UpstreamFailed, "upstream-unreachable")
        }
    })
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
            match std::task::ready!(poll_read(&mut self.upstream, cx, self.reply.space())) {
                Ok(0) if self.reply.is_empty() => {
                    return Poll::Ready(Err(refused(Reason::UpstreamFailed, "upstream-closed")));
                }
                Ok(0) => return Poll::Ready(Err(refused(Reason::UpstreamFailed, "upstream-closed-in-head"))),
                Err(_) => return Poll::Ready(Err(refused(Reason::UpstreamFailed, "upstream-reset"))),
                Ok(n) => self.reply.filled(n),
            }
        };
        let at = self.reply.consume(end);
        let raw = &self.reply.raw()[at];
        wire::response(raw, self.plan.to_head, limits, self.head).map_err(bad)?;
        self.down.out.clear();
        match self.head.status {
            101 => return Poll::Ready(Err(refused(Reason::UpstreamFailed, "upstream-upgrade"))),
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
        headers::response(&mut self.down.out, raw, self.head, plan, self.down.chunk, self.ended.keep);
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

    fn poll_deadlines(&mut self, cx: &mut Context<'_>, slot: &Slot) -> Poll<Result<(), Stop>> {
        let up = match self.up.waiting {
            Waiting::Source if self.uploading => Why::CallerSends,
            Waiting::Sink if self.uploading => Why::UpstreamTakes,
            _ => Why::Nothing,
        };
        let down = match (self.phase, self.down.waiting) {
            (Phase::Answered, _) => Why::Nothing,
            (_, Waiting::Sink) => Why::CallerTakes,
            // An upstream that reads on may well be silent meanwhile: the upload has its own deadline.
            (_, _) if self.uploading => Why::Nothing,
            (Phase::Head, _) => Why::UpstreamAnswers,
            (Phase::Body, _) => Why::UpstreamSends,
        };
        let now = [(up, self.up.taken + self.up.sent), (down, self.down.taken + self.down.sent)];
        let (clock, settings) = (&self.worker.clock, &self.worker.settings);
        let due = |why| due(why, clock, settings, self.started_tick, self.up.taken);
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

    /// Gives back what may be used again.
    fn end(mut self) -> Ended {
        self.ended.begun |= self.down.sent > 0 && (self.phase != Phase::Head || self.down.is_torn());
        let whole = self.ended.failure.is_none() && self.phase == Phase::Answered;
        let sent = !self.uploading && self.up.done();
        // An upstream that answers before it has the whole request may not have read it at all.
        let in_step = self.plan.share && !self.answered_early;
        if whole && sent && in_step && !self.head.close && self.reply.is_empty() {
            self.worker.pool.give(
                &self.plan.to.upstream().addresses[0],
                self.upstream,
                self.worker.clock.now(),
            );
        }
        self.reply.discard(&self.worker.buffers);
        self.ended.keep &= whole;
        self.ended
    }
}
