//! The task that reads and writes a connection's socket, and ends it when it is time.
use super::frame::{self, Code};
use super::pace::Pace;
use super::state::{Born, Fatal, Role, Shared};
use super::{DRAIN_GRACE_MS, MAX_STREAMS, OUT_BYTES};
use crate::clock::{NEVER, Slot};
use crate::input::Input;
use crate::io::{self as sockets, Io};
use crate::pool::Dial;
use crate::rounds::Share;
use crate::serve::{LINGER_BYTES, LINGER_MS, OWN_ANSWER_MS};
use crate::worker::Worker;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Its streams, which have deadlines of their own.
    Nothing,
    /// Its first request, or the next one.
    Idle,
    /// The rest of a frame, or of a header block.
    Rest,
    /// The other side, which is to take what it is sent.
    Taking,
}

/// How far the drain has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drain {
    No,
    /// The other side was told at this tick to begin nothing more.
    Told(u32),
    /// And then what the last request was that is served.
    Final,
}

/// A connection and its socket.
pub(super) struct Driver<S, D: Dial> {
    worker: Rc<Worker<D>>,
    shared: Shared,
    io: S,
    input: Input,
    slot: Rc<Slot>,
    role: Role,
    idle_ms: u64,
    unflushed: bool,
    /// Frames were cut short by the socket: nothing more is read.
    ended: bool,
    wait: (Why, u64, u32),
    /// Until when a stream has to be begun, where there is none; frames that begin none put it off no further.
    idle_due: u32,
    written: u64,
    frames: u64,
    begun: u64,
    pace: Pace,
    drain: Drain,
}

impl<S: Io, D: Dial> Driver<S, D> {
    pub(super) fn new(worker: Rc<Worker<D>>, shared: Shared, io: S, input: Input, idle_ms: u64) -> Self {
        let slot = worker.clock.slot();
        let (role, of_many) = {
            let state = shared.borrow();
            (state.role, state.guard.of_many)
        };
        if role == Role::Server {
            slot.set_drains();
        }
        Driver {
            worker,
            shared,
            io,
            input,
            slot,
            role,
            idle_ms,
            unflushed: false,
            ended: false,
            wait: (Why::Nothing, 0, NEVER),
            idle_due: NEVER,
            written: 0,
            frames: 0,
            begun: 0,
            pace: Pace::of(of_many),
            drain: Drain::No,
        }
    }

    /// The share of each round that its requests have.
    pub(super) fn share(&self) -> Rc<Share> {
        Rc::clone(&self.pace.share)
    }

    /// Runs until the connection has ended. `begin` is given every request.
    pub(super) async fn run(mut self, mut begin: impl FnMut(Born)) {
        poll_fn(|cx| self.poll(cx, &mut begin)).await;
        {
            let mut state = self.shared.borrow_mut();
            state.end(Code::NoError);
            state.driver = None;
        }
        self.begin_refused(&mut begin);
        self.linger().await;
        self.input.discard(&self.worker.buffers);
    }

    fn poll(&mut self, cx: &mut Context<'_>, begin: &mut impl FnMut(Born)) -> Poll<()> {
        {
            let mut state = self.shared.borrow_mut();
            state.tick = self.worker.clock.now();
            if !state.driver.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
                state.driver = Some(cx.waker().clone());
            }
        }
        self.drain();
        let mut reading = true;
        loop {
            // Everything that there is time for is read first, so that its answers go out together.
            while reading && self.takes_more() {
                reading = self.pace.may_read(&self.worker.rounds, cx);
                if !reading {
                    break;
                }
                reading = match self.read(cx) {
                    Poll::Ready(Ok(())) => true,
                    Poll::Ready(Err(Fatal(code, what))) => {
                        if code != Code::NoError {
                            tracing::debug!(what, ?code, role = ?self.role, "an HTTP/2 connection is ended");
                        }
                        let mut state = self.shared.borrow_mut();
                        state.flooded = (code == Code::EnhanceYourCalm).then_some(what);
                        state.end(code);
                        false
                    }
                    Poll::Pending => false,
                };
            }
            self.begin_some(cx, begin);
            let full = !self.takes_more();
            if !full && self.postpones(cx) {
                break;
            }
            match self.flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => break,
            }
            // There is room again, for what is to be read as well.
            if !(full && reading && self.takes_more()) {
                break;
            }
        }
        let over = self.shared.borrow().over;
        if (over || self.ended) && self.shared.borrow().waiting() == 0 && !self.unflushed {
            return Poll::Ready(());
        }
        self.deadlines(cx)
    }

    /// Begins requests that have come, a few in each round.
    fn begin_some(&self, cx: &Context<'_>, begin: &mut impl FnMut(Born)) {
        let next = || {
            let mut state = self.shared.borrow_mut();
            let may = !state.over && !state.born.is_empty() && self.pace.may_begin(&self.worker.rounds, cx);
            if may { state.born.pop_front() } else { None }
        };
        std::iter::from_fn(next).for_each(begin);
    }

    fn postpones(&mut self, cx: &Context<'_>) -> bool {
        let state = self.shared.borrow();
        !state.over && self.pace.postpones(state.waiting(), &self.worker.rounds, cx)
    }

    /// Nothing more is begun but those that are refused, of which whoever runs the node is told. The others are taken back: no
    /// answer would reach anybody.
    fn begin_refused(&self, begin: &mut impl FnMut(Born)) {
        let left = std::mem::take(&mut self.shared.borrow_mut().born);
        for born in left {
            if born.wrong.is_some() {
                begin(born);
            } else {
                self.shared.borrow_mut().streams.remove(&born.stream);
            }
        }
    }

    fn takes_more(&self) -> bool {
        let state = self.shared.borrow();
        !state.over && !self.ended && state.waiting() < OUT_BYTES
    }

    /// Takes what was read, or reads; pending where nothing more can be done.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fatal>> {
        if !self.input.is_empty() {
            let mut state = self.shared.borrow_mut();
            let before = state.born.len();
            let fed = state.feed(self.input.bytes())?;
            self.input.consume(fed.used);
            self.frames += fed.used as u64;
            let born = (state.born.len() - before) as u64;
            self.begun += born;
            self.pace.read(born);
            state.leave_taken_back();
            if fed.held {
                // What had to wait for those that were taken back does not wait for anything now.
                return if state.streams.len() < MAX_STREAMS { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
        let w = &self.worker;
        self.input.make_room(&w.buffers);
        if self.input.space().is_empty() {
            return Poll::Pending;
        }
        match sockets::poll_read(&mut self.io, cx, self.input.space()) {
            Poll::Pending => {
                self.input.release(&w.buffers);
                Poll::Pending
            }
            Poll::Ready(Ok(n)) if n > 0 => {
                self.input.filled(n);
                self.shared.borrow_mut().heard += 1;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => {
                self.ended = true;
                Poll::Ready(Err(Fatal(Code::NoError, "closed")))
            }
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        loop {
            let mut state = self.shared.borrow_mut();
            if state.waiting() == 0 {
                state.out.clear();
                state.out_at = 0;
                state.shrink();
                if !self.unflushed {
                    return Poll::Ready(Ok(()));
                }
                std::task::ready!(Pin::new(&mut self.io).poll_flush(cx))?;
                self.unflushed = false;
                continue;
            }
            let had_room = state.waiting() < OUT_BYTES;
            let polled = Pin::new(&mut self.io).poll_write(cx, &state.out[state.out_at..]);
            let n = match polled {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            state.out_at += n;
            self.written += n as u64;
            self.unflushed = true;
            if !had_room || state.waiting() == 0 {
                state.wake_writers();
            }
            if state.out_at >= OUT_BYTES {
                let at = std::mem::take(&mut state.out_at);
                state.out.drain(..at);
            }
        }
    }

    /// Tells the other side that the node stops: first that nothing more is to be begun, then where the end was, so that
    /// requests which are on their way meanwhile are served.
    fn drain(&mut self) {
        if !self.worker.draining() || self.role != Role::Server {
            return;
        }
        let now = self.worker.clock.now();
        let mut state = self.shared.borrow_mut();
        let state = &mut *state;
        let nobody = state.streams.is_empty();
        match self.drain {
            Drain::No if !nobody => {
                frame::put_goaway(&mut state.out, frame::MAX_31, Code::NoError);
                self.drain = Drain::Told(self.worker.clock.after(DRAIN_GRACE_MS));
            }
            Drain::Told(until) if now < until && !nobody && !self.worker.is_cut_off() => {}
            Drain::No | Drain::Told(_) => {
                let last = state.last;
                state.closing = Some(last);
                frame::put_goaway(&mut state.out, last, Code::NoError);
                self.drain = Drain::Final;
            }
            Drain::Final => {}
        }
        self.ended |= self.drain == Drain::Final && nobody;
    }

    fn deadlines(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let t = &self.worker.settings.timeouts;
        let mut state = self.shared.borrow_mut();
        let cut = state.block.is_some() || !self.input.is_empty() && state.payload.is_none();
        let held = state.waiting() > 0 || self.unflushed;
        let gone = state.role != Role::Server && state.closing.is_some() && state.streams.is_empty();
        if gone {
            state.end(Code::NoError);
            return Poll::Ready(());
        }
        let idle_ms = if self.begun == 0 { t.head_ms.min(self.idle_ms) } else { self.idle_ms };
        let (why, progress, ms) = if held {
            (Why::Taking, self.written, if state.over { OWN_ANSWER_MS } else { t.write_ms })
        } else if cut && state.streams.len() < MAX_STREAMS {
            // A frame that began must come to its end; one that can't be taken yet waits for this side.
            (Why::Rest, self.frames, t.head_ms)
        } else if state.streams.is_empty() {
            (Why::Idle, self.begun, idle_ms)
        } else {
            (Why::Nothing, 0, 0)
        };
        let clock = &self.worker.clock;
        if !state.streams.is_empty() {
            self.idle_due = NEVER;
        } else if self.idle_due == NEVER {
            self.idle_due = clock.after(idle_ms);
        }
        if (self.wait.0, self.wait.1) != (why, progress) {
            let due = match why {
                Why::Nothing => NEVER,
                Why::Idle => self.idle_due,
                _ => clock.after(ms),
            };
            self.wait = (why, progress, due);
        }
        // One that nobody uses makes room where there is a crowd; see `Clock::make_room`.
        let idle = self.role == Role::Server && why == Why::Idle;
        self.slot.keep_idle(idle);
        if self.begun > 0 {
            self.slot.set_used();
        }
        if self.wait.2 > clock.now() && !(idle && self.slot.is_over()) {
            self.slot.set(self.wait.2);
            self.slot.register(cx);
            return Poll::Pending;
        }
        let code = if why == Why::Rest { Code::EnhanceYourCalm } else { Code::NoError };
        let was_over = state.over;
        state.end(code);
        drop(state);
        if why == Why::Taking || was_over {
            return Poll::Ready(());
        }
        match self.flush(cx) {
            Poll::Pending => self.deadlines(cx),
            Poll::Ready(_) => Poll::Ready(()),
        }
    }

    /// Says that nothing more comes, and reads a little, so that a reset does not overtake what was said last.
    async fn linger(&mut self) {
        let w = Rc::clone(&self.worker);
        self.slot.set_idle(false);
        self.slot.set(w.clock.after(LINGER_MS));
        let (io, slot) = (&mut self.io, &self.slot);
        let shut = poll_fn(|cx| match Pin::new(&mut *io).poll_shutdown(cx) {
            Poll::Pending => slot.pending(cx, &w.clock),
            ready => ready,
        });
        if shut.await.is_err() || self.ended && self.drain == Drain::No {
            return;
        }
        self.input.discard(&w.buffers);
        self.input.make_room(&w.buffers);
        let mut left = LINGER_BYTES;
        while left > 0 {
            match sockets::read(&mut self.io, &w.clock, &self.slot, self.input.space()).await {
                Ok(n) if n > 0 => left = left.saturating_sub(n),
                _ => break,
            }
        }
    }
}
