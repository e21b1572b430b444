//! The way to an upstream: a place at one of its addresses, and a connection there. Nothing of the request is sent meanwhile,
//! so that an address that can't be reached leaves it to the next one.
use crate::backend::{Choice, Group, Seat};
use crate::clock::Slot;
use crate::failure::Failure;
use crate::h2;
use crate::io::Io;
use crate::places;
use crate::pool::Dial;
use crate::worker::Worker;
use doorward_core::reason::Reason;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

/// How long all attempts to connect for one request may take together, in times of what one of them may.
const ATTEMPTS: u64 = 2;

/// Every address has as many requests as it may have, or as its connections have room for.
const FULL: Failure = Failure::Refused(Reason::Overloaded, "upstream-connections");

/// A connection, and the place that it takes.
pub(crate) struct Reached<I> {
    pub(crate) seat: Seat<I>,
    pub(crate) io: I,
    /// It carried other requests before.
    pub(crate) reused: bool,
}

/// Finds the way for one request.
pub(crate) struct Reach<'a, D: Dial> {
    worker: &'a Rc<Worker<D>>,
    slot: &'a Slot,
    group: Rc<Group<D::Io>>,
    /// The addresses that could not be reached.
    tried: u32,
    /// Those whose HTTP/2 connections had no room when they were looked at last.
    full: u32,
    /// The tick until which is waited for room there; 0: nothing was yet.
    room_until: u32,
    /// The tick from which on no further one is tried; 0: none was yet.
    until: u32,
}

impl<'a, D: Dial> Reach<'a, D> {
    pub(crate) fn new(worker: &'a Rc<Worker<D>>, group: Rc<Group<D::Io>>, slot: &'a Slot) -> Reach<'a, D> {
        Reach { worker, slot, group, tried: 0, full: 0, room_until: 0, until: 0 }
    }

    /// A place at the best address. Waits where all of them are full.
    ///
    /// # Errors
    /// There is none in time; `None`: every address was tried.
    pub(crate) async fn seat(&mut self) -> Result<Seat<D::Io>, Option<Failure>> {
        let clock = self.worker.clocks.monotonic_ms;
        match self.group.choose(self.tried, clock) {
            Choice::This(seat) => return Ok(seat),
            Choice::Nothing => return Err(None),
            Choice::Full => {}
        }
        self.slot.set(self.worker.clock.after(self.worker.settings.timeouts.upstream_wait_ms));
        let (group, slot, worker, tried) = (&self.group, self.slot, self.worker, self.tried);
        let found = poll_fn(|cx| match group.choose(tried, clock) {
            Choice::This(seat) => Poll::Ready(Ok(seat)),
            Choice::Full | Choice::Nothing => {
                group.wait(cx.waker().clone());
                slot.pending(cx, &worker.clock)
            }
        });
        found.await.map_err(|_| Some(FULL))
    }

    /// A connection for a request that takes that place: one that is kept, or a new one.
    pub(crate) async fn connection(&mut self, seat: Seat<D::Io>) -> Result<Reached<D::Io>, Failure> {
        let pool = &self.worker.pool;
        match seat.take(self.worker.clock.now(), pool.ticks) {
            Some(io) => Ok(Reached { seat, io, reused: true }),
            None => self.fresh(seat).await,
        }
    }

    /// A new connection, to another address where this one can't be reached.
    pub(crate) async fn fresh(&mut self, mut seat: Seat<D::Io>) -> Result<Reached<D::Io>, Failure> {
        loop {
            let failure = match self.connect(&seat).await {
                Ok(io) => return Ok(Reached { seat, io, reused: false }),
                Err(failure) => failure,
            };
            let worker = self.worker;
            if failure == FULL {
                self.full |= seat.bit();
                drop(seat);
                seat = self.room().await?;
                continue;
            }
            self.tried |= seat.bit();
            // What this node lacks says nothing about an address.
            if let Failure::Refused(reason, what) = failure
                && reason != Reason::Overloaded
            {
                seat.failed(what, (worker.clocks.monotonic_ms)());
            }
            if worker.is_cut_off() || self.until <= worker.clock.now() {
                return Err(failure);
            }
            drop(seat);
            seat = self.seat().await.map_err(|other| other.unwrap_or(failure))?;
            if let Some(io) = seat.take(worker.clock.now(), worker.pool.ticks) {
                return Ok(Reached { seat, io, reused: true });
            }
        }
    }

    /// A place at an address whose HTTP/2 connections may have room, where there is one; else at any that was reached, a
    /// little later. A stream that ends tells nobody, so that those who wait look again with each tick.
    async fn room(&mut self) -> Result<Seat<D::Io>, Failure> {
        let (worker, slot, group, tried) = (self.worker, self.slot, &self.group, self.tried);
        let now_ms = worker.clocks.monotonic_ms;
        if let Choice::This(seat) = group.choose(tried | self.full, now_ms) {
            return Ok(seat);
        }
        if self.room_until == 0 {
            self.room_until = worker.clock.after(worker.settings.timeouts.upstream_wait_ms);
        }
        slot.set(self.room_until);
        self.full = 0;
        let mut looked_at = worker.clock.now();
        let found = poll_fn(|cx| {
            let now = worker.clock.now();
            if std::mem::replace(&mut looked_at, now) != now
                && let Choice::This(seat) = group.choose(tried, now_ms)
            {
                return Poll::Ready(Ok(seat));
            }
            group.wait(cx.waker().clone());
            slot.pending(cx, &worker.clock)
        });
        found.await.map_err(|_| FULL)
    }

    async fn connect(&mut self, seat: &Seat<D::Io>) -> Result<D::Io, Failure> {
        let (worker, slot) = (self.worker, self.slot);
        let connect_ms = worker.settings.timeouts.connect_ms;
        if self.until == 0 {
            self.until = worker.clock.after(connect_ms.saturating_mul(ATTEMPTS));
        }
        slot.set(worker.clock.after(connect_ms).min(self.until));
        let backend = seat.backend();
        let dial = async || {
            let mut dialing = std::pin::pin!(h2::connect(worker, &backend.address, seat.http2()));
            let connected = poll_fn(|cx| match dialing.as_mut().poll(cx) {
                Poll::Pending => slot.pending(cx, &worker.clock),
                ready => ready,
            });
            connected.await
        };
        let mut connected = dial().await;
        if connected.as_ref().is_err_and(places::no_descriptors) {
            // Connections that are kept for later are no reason to refuse somebody now.
            worker.pool.clear();
            connected = dial().await;
        }
        connected.map_err(|e| match e.kind() {
            _ if h2::is_full(&e) => FULL,
            _ if places::no_descriptors(&e) => Failure::Refused(Reason::Overloaded, "file-descriptors"),
            io::ErrorKind::TimedOut => Failure::Refused(Reason::UpstreamTimeout, "upstream-connect-timeout"),
            io::ErrorKind::ConnectionRefused => {
                Failure::Refused(Reason::UpstreamFailed, "upstream-connection-refused")
            }
            _ => {
                tracing::debug!(upstream = %backend.address, error = %e, "connecting failed");
                Failure::Refused(Reason::UpstreamFailed, "upstream-unreachable")
            }
        })
    }
}

/// Gives a connection back whose last answer has ended.
pub(crate) fn keep<I: Io, D: Dial<Io = I>>(worker: &Worker<D>, seat: &Seat<I>, io: I) {
    seat.keep(io, worker.clock.now(), worker.pool.most);
}
