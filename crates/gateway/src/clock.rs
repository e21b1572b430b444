//! A coarse clock a core: setting a deadline is storing a number, and one ticker looks at all of them.
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// How exact deadlines are, in milliseconds.
pub(crate) const TICK_MS: u64 = 50;
/// A deadline that never comes.
pub(crate) const NEVER: u32 = u32::MAX;

/// The deadline of one connection.
pub(crate) struct Slot {
    due: Cell<u32>,
    /// Between two requests: to be ended when the node drains.
    idle: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Gives every core its ticks, until the last one has ended.
pub(crate) fn drive(mut cores: Vec<Arc<Notify>>) {
    while !cores.is_empty() {
        std::thread::sleep(Duration::from_millis(TICK_MS));
        cores.retain(|core| {
            core.notify_one();
            Arc::strong_count(core) > 1
        });
    }
}

/// Ticks since the core started, and every deadline.
#[derive(Default)]
pub(crate) struct Clock {
    now: Cell<u32>,
    slots: RefCell<Vec<Rc<Slot>>>,
}

impl Clock {
    /// A deadline for a new connection.
    pub(crate) fn slot(&self) -> Rc<Slot> {
        let slot = Rc::new(Slot { due: Cell::new(NEVER), idle: Cell::new(false), waker: RefCell::new(None) });
        self.slots.borrow_mut().push(Rc::clone(&slot));
        slot
    }

    /// The tick now.
    pub(crate) fn now(&self) -> u32 {
        self.now.get()
    }

    /// The first tick by which `ms` have passed for sure.
    pub(crate) fn after(&self, ms: u64) -> u32 {
        let ticks = u32::try_from(ms.div_ceil(TICK_MS)).unwrap_or(NEVER);
        self.now.get().saturating_add(1).saturating_add(ticks)
    }

    /// Makes every deadline be over, and wakes everybody.
    pub(crate) fn expire(&self) {
        for slot in self.slots.borrow().iter() {
            slot.due.set(0);
            if let Some(waker) = &*slot.waker.borrow() {
                waker.wake_by_ref();
            }
        }
    }

    /// Goes on by one tick and wakes whoever is due; `drain` wakes the idle ones as well.
    pub(crate) fn tick(&self, drain: bool) {
        let now = self.now.get().saturating_add(1);
        self.now.set(now);
        self.slots.borrow_mut().retain(|slot| {
            if (slot.due.get() <= now || drain && slot.idle.get())
                && let Some(waker) = &*slot.waker.borrow()
            {
                waker.wake_by_ref();
            }
            // A slot that nobody else holds belongs to a connection that is gone.
            Rc::strong_count(slot) > 1
        });
    }
}

impl Slot {
    /// Sets the deadline.
    pub(crate) fn set(&self, due: u32) {
        self.due.set(due);
    }

    /// Says whether the connection is between two requests.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.idle.set(idle);
    }

    /// Call when an operation is pending: the task is woken at its deadline.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Pending, or `TimedOut` once the deadline is over.
    pub(crate) fn pending<T>(&self, cx: &Context<'_>, clock: &Clock) -> Poll<io::Result<T>> {
        if self.due.get() <= clock.now() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.register(cx);
        Poll::Pending
    }
}
