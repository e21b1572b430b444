//! The way to an upstream: a place at one of its addresses, and a connection there. Nothing of the request is sent meanwhile,
//! so that an address that can't be reached leaves it to the next one.
use crate::backend::{Choice, Group, Seat};
use crate::clock::Slot;
use crate::failure::Failure;
use crate::h2;
use crate::io::Io;
use crate::pool::Dial;
use crate::worker::Worker;
use doorward_core::reason::Reason;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

/// How long all attempts to connect for one request may take together, in times of what one of them may.
const ATTEMPTS: u64 = 2;

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
    /// The tick from which on no further one is tried; 0: none was yet.
    until: u32,
}

impl<'a, D: Dial> Reach<'a, D> {
    pub(crate) fn new(worker: &'a Rc<Worker<D>>, group: Rc<Group<D::Io>>, slot: &'a Slot) -> Reach<'a, D> {
        Reach { worker, slot, group, tried: 0, until: 0 }
    }

    /// A place at the best address. Waits where all of them are full.
    ///
    /// # Errors
    /// There is none in time; `None`: every address was tried.
    pub(crate) async fn seat(&mut self) -> Result<Seat<D::Io>, Option<Failure>> {
        let clock = self.worker.clocks.monotonic_ms;
        let full = match self.group.choose(self.tried, clock) {
            Choice::This(seat) => return Ok(seat),
            Choice::Nothing => return Err(None),
            Choice::Full => Failure::Refused(Reason::Overloaded, "upstream-connections"),
        };
        self.slot.set(self.worker.clock.after(self.worker.settings.timeouts.upstream_wait_ms));
        let (group, slot, worker, tried) = (&self.group, self.slot, self.worker, self.tried);
        let found = poll_fn(|cx| match group.choose(tried, clock) {
            Choice::This(seat) => Poll::Ready(Ok(seat)),
            Choice::Full | Choice::Nothing => {
                group.wait(cx.waker().clone());
                slot.pending(cx, &worker.clock)
            }
        });
        found.await.map_err(|_| Some(full))
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
            self.tried |= seat.bit();
            if let Failure::Refused(_, what) = failure {
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

    async fn connect(&mut self, seat: &Seat<D::Io>) -> Result<D::Io, Failure> {
        let (worker, slot) = (self.worker, self.slot);
        let connect_ms = worker.settings.timeouts.connect_ms;
        if self.until == 0 {
            self.until = worker.clock.after(connect_ms.saturating_mul(ATTEMPTS));
        }
        slot.set(worker.clock.after(connect_ms).min(self.until));
        let backend = seat.backend();
        let mut dialing = std::pin::pin!(h2::connect(worker, &backend.address, seat.http2()));
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
