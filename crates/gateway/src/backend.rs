//! The addresses of an upstream as one core uses them: which one is next, and the connections it keeps to each.
use crate::condition::{Condition, Load, Standing};
use crate::io::{Io, poll_read};
use doorward_core::policy::{Address, Upstream};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

/// One address.
pub(crate) struct Backend<I> {
    pub(crate) address: Arc<Address>,
    pub(crate) condition: Arc<Condition>,
    load: Arc<Load>,
    /// Idle connections, the youngest on top, each with the tick it was given back.
    idle: RefCell<Vec<(I, u32)>>,
}

impl<I: Io> Backend<I> {
    pub(crate) fn new(address: Arc<Address>, condition: Arc<Condition>) -> Backend<I> {
        let load = condition.join();
        Backend { address, condition, load, idle: RefCell::default() }
    }

    /// A connection on which nothing has happened since it was given back, at most `ticks` ago.
    fn take(&self, now: u32, ticks: u32) -> Option<I> {
        let mut idle = self.idle.borrow_mut();
        while let Some((mut io, since)) = idle.pop() {
            if now.saturating_sub(since) >= ticks {
                idle.clear();
                return None;
            }
            // An end or a stray byte makes it useless. Costs a system call only where there is something.
            let mut cx = Context::from_waker(Waker::noop());
            if poll_read(&mut io, &mut cx, &mut [0]).is_pending() {
                return Some(io);
            }
        }
        None
    }

    /// Closes what was idle for too long.
    pub(crate) fn sweep(&self, now: u32, ticks: u32) {
        self.idle.borrow_mut().retain(|(_, since)| now.saturating_sub(*since) < ticks);
    }

    /// Closes all that is idle.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
    }

    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.idle.borrow().len()
    }
}

/// All addresses of one upstream.
pub(crate) struct Group<I> {
    /// Kept, so that its place in memory stays its own.
    pub(crate) upstream: Arc<Upstream>,
    backends: Box<[Rc<Backend<I>>]>,
    /// Where the next choice begins, so that ties take turns.
    next: Cell<usize>,
    /// Who waits for a place.
    waiting: RefCell<VecDeque<Waker>>,
}

/// What comes of a choice.
pub(crate) enum Choice<I> {
    This(Seat<I>),
    /// Every address that is left has as many requests as it may have.
    Full,
    /// None is left.
    Nothing,
}

impl<I: Io> Group<I> {
    pub(crate) fn new(upstream: Arc<Upstream>, backends: Box<[Rc<Backend<I>>]>) -> Group<I> {
        Group { upstream, backends, next: Cell::new(0), waiting: RefCell::default() }
    }

    /// A place at the address that is best for the next request. `tried` has a bit for each that is out of the question;
    /// there are at most [`doorward_core::policy::MAX_ADDRESSES`].
    #[inline]
    pub(crate) fn choose(self: &Rc<Group<I>>, tried: u32, now_ms: fn() -> u64) -> Choice<I> {
        if self.backends.len() == 1 && self.upstream.connections.is_none() && tried == 0 {
            return Choice::This(self.seat(0, false));
        }
        self.choose_among(tried, now_ms)
    }

    /// One that is due for a trial, which only one request makes; else the least loaded of those that are well; else the one
    /// that is well soonest. What is only guessed to be down is tried before a request is refused.
    fn choose_among(self: &Rc<Group<I>>, tried: u32, now_ms: fn() -> u64) -> Choice<I> {
        let (count, alone) = (self.backends.len(), self.backends.len() == 1);
        let first = self.next.get();
        self.next.set((first + 1) % count);
        let mut out = tried;
        let mut full = false;
        loop {
            let mut best: Option<(Standing, u32, usize)> = None;
            for at in (first..count).chain(0..first).filter(|at| out & 1 << at == 0) {
                let backend = &self.backends[at];
                let standing = if alone { Standing::Well } else { backend.condition.standing(now_ms) };
                let this = (standing, backend.load.in_flight(), at);
                if best.is_none_or(|(standing, load, _)| (this.0, this.1) < (standing, load)) {
                    best = Some(this);
                }
            }
            let Some((standing, _, at)) = best else {
                return if full { Choice::Full } else { Choice::Nothing };
            };
            let condition = &self.backends[at].condition;
            if self.upstream.connections.is_some_and(|most| !condition.take(most)) {
                (out, full) = (out | 1 << at, true);
                continue;
            }
            let trial = match standing {
                Standing::Due(was) => condition.try_it(was, now_ms()),
                _ => false,
            };
            if trial || !matches!(standing, Standing::Due(_)) {
                return Choice::This(self.seat(at, trial));
            }
            // Another core tries it just now: it rests again, and the others are looked at anew.
            if self.upstream.connections.is_some() {
                condition.give_back();
            }
        }
    }

    fn seat(self: &Rc<Group<I>>, at: usize, trial: bool) -> Seat<I> {
        self.backends[at].load.begin();
        Seat { group: Rc::clone(self), at, trial }
    }

    /// Has `waker` woken when there may be a place.
    pub(crate) fn wait(&self, waker: Waker) {
        self.waiting.borrow_mut().push_back(waker);
    }

    /// Wakes everybody who waits: other cores do not tell when they give a place back.
    pub(crate) fn wake_all(&self) {
        for waker in std::mem::take(&mut *self.waiting.borrow_mut()) {
            waker.wake();
        }
    }

    /// Whether the policy still leads here.
    pub(crate) fn is_used(&self) -> bool {
        Arc::strong_count(&self.upstream) > 1
    }
}

/// A place for one request at an address; given back when dropped.
pub(crate) struct Seat<I> {
    group: Rc<Group<I>>,
    at: usize,
    trial: bool,
}

impl<I> Seat<I> {
    pub(crate) fn backend(&self) -> &Rc<Backend<I>> {
        &self.group.backends[self.at]
    }
    /// Its bit in what [`Group::choose`] leaves out.
    pub(crate) fn bit(&self) -> u32 {
        1 << self.at
    }
    /// Whether it is spoken to in HTTP/2.
    pub(crate) fn http2(&self) -> bool {
        self.group.upstream.http2
    }
    /// The address, where there are others as well.
    pub(crate) fn one_of_many(&self) -> Option<&Arc<Condition>> {
        (self.group.backends.len() > 1).then(|| &self.backend().condition)
    }
    /// It answered.
    pub(crate) fn fine(&self) {
        self.backend().condition.fine();
    }
    /// It could not be reached, or cut an answer short.
    #[cold]
    pub(crate) fn failed(&self, what: &str, now_ms: u64) {
        self.backend().condition.failed(what, self.trial, now_ms);
    }
}

impl<I: Io> Seat<I> {
    /// A kept connection.
    pub(crate) fn take(&self, now: u32, ticks: u32) -> Option<I> {
        self.backend().take(now, ticks)
    }
    /// Keeps a connection whose last answer has ended, where there are not `most` already.
    pub(crate) fn keep(&self, io: I, now: u32, most: usize) {
        let mut idle = self.backend().idle.borrow_mut();
        if idle.len() < most {
            idle.push((io, now));
        }
    }
}

impl<I> Drop for Seat<I> {
    fn drop(&mut self) {
        let backend = &self.group.backends[self.at];
        backend.load.end();
        if self.group.upstream.connections.is_some() {
            backend.condition.give_back();
            if let Some(waker) = self.group.waiting.borrow_mut().pop_front() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
#[path = "backend_tests.rs"]
mod tests;
