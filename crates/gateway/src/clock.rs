//! A coarse clock a core: setting a deadline is storing a number, and one ticker looks at all of them.
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
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
/// Where there is a crowd, a connection on which nothing has come yet makes room after this long, in milliseconds,
const CROWDED_NEW_MS: u64 = 1_000;
/// and one between two requests after this long.
const CROWDED_KEPT_MS: u64 = 5_000;
/// So many are woken at a time: a crowd that came together is due together, and ending it takes long enough to be noticed.
const WOKEN_AT_A_TIME: usize = 2;
/// One of so many, where that is more: on a busy core a large crowd would be late by seconds, and all who are due after it.
const WOKEN_OF: usize = 128;

/// The deadline of one connection.
pub(crate) struct Slot {
    due: Cell<u32>,
    /// Between two requests: to be ended when the node drains, or to make room.
    idle: Cell<bool>,
    /// It has to know when the node drains, whatever it does.
    drains: Cell<bool>,
    /// The first tick that found it idle.
    idle_since: Cell<u32>,
    /// Something has come on it.
    used: Cell<bool>,
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
    /// Those who are due and not yet woken.
    late: RefCell<VecDeque<Waker>>,
}

impl Clock {
    /// A deadline for a new connection.
    pub(crate) fn slot(&self) -> Rc<Slot> {
        let slot = Rc::new(Slot {
            due: Cell::new(NEVER),
            idle: Cell::new(false),
            drains: Cell::new(false),
            idle_since: Cell::new(NEVER),
            used: Cell::new(false),
            waker: RefCell::new(None),
        });
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

    /// Goes on by one tick. Whoever is due, and with `drain` whoever is idle, is to be woken by [`Clock::wake_some`].
    pub(crate) fn tick(&self, drain: bool) {
        let now = self.now.get().saturating_add(1);
        self.now.set(now);
        let mut late = self.late.borrow_mut();
        // Those of the last tick come first, and the next one finds whoever is due by then.
        let all_woken = late.is_empty();
        self.slots.borrow_mut().retain(|slot| {
            if slot.idle.get() && slot.idle_since.get() == NEVER {
                slot.idle_since.set(now);
            }
            if all_woken && (slot.due.get() <= now || drain && (slot.idle.get() || slot.drains.get())) {
                late.extend(slot.waker.borrow().clone());
            }
            // A slot that nobody else holds belongs to a connection that is gone.
            Rc::strong_count(slot) > 1
        });
    }

    /// Wakes a few of those who are due; whether there are more. Whatever else waits for this core comes in between.
    pub(crate) fn wake_some(&self) -> bool {
        let mut late = self.late.borrow_mut();
        let some = late.len().div_ceil(WOKEN_OF).max(WOKEN_AT_A_TIME).min(late.len());
        late.drain(..some).for_each(Waker::wake);
        !late.is_empty()
    }

    /// Ends up to so many idle connections: those on which nothing has come first, then others that are idle for long.
    pub(crate) fn make_room(&self, wanted: usize) {
        let mut left = wanted;
        for (used, ms) in [(false, CROWDED_NEW_MS), (true, CROWDED_KEPT_MS)] {
            let ticks = u32::try_from(ms / TICK_MS).unwrap_or(NEVER);
            for slot in self.slots.borrow().iter() {
                let idle_for = self.now.get().saturating_sub(slot.idle_since.get());
                if left == 0 {
                    return;
                }
                if slot.idle.get() && slot.used.get() == used && idle_for >= ticks {
                    slot.due.set(0);
                    if let Some(waker) = &*slot.waker.borrow() {
                        waker.wake_by_ref();
                    }
                    left -= 1;
                }
            }
        }
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
        self.idle_since.set(NEVER);
    }

    /// The same again and again: it is idle since it was first said to be.
    pub(crate) fn keep_idle(&self, idle: bool) {
        if self.idle.get() != idle {
            self.set_idle(idle);
        }
    }

    /// Has the connection woken at each tick while the node drains.
    pub(crate) fn set_drains(&self) {
        self.drains.set(true);
    }

    /// Whether it was told to end at once, as to make room.
    pub(crate) fn is_over(&self) -> bool {
        self.due.get() == 0
    }

    /// Says that something has come on the connection.
    pub(crate) fn set_used(&self) {
        self.used.set(true);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A crowd that is due together is woken one after the other, each once, and nobody is left out.
    #[test]
    fn a_crowd_is_not_woken_at_once() {
        #[derive(Default)]
        struct Woken(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let (clock, woken) = (Clock::default(), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let crowd = 2 * WOKEN_AT_A_TIME + 1;
        let slots: Vec<_> = (0..crowd).map(|_| clock.slot()).collect();
        for slot in &slots {
            slot.set(clock.after(TICK_MS));
            slot.register(&Context::from_waker(&waker));
        }
        let count = || woken.0.load(std::sync::atomic::Ordering::Relaxed);
        clock.tick(false);
        assert!(!clock.wake_some());
        assert_eq!(count(), 0, "nobody is due");
        clock.tick(false);
        assert!(clock.wake_some());
        assert_eq!(count(), WOKEN_AT_A_TIME);
        // A tick in between wakes nobody twice.
        clock.tick(false);
        assert!(clock.wake_some());
        assert!(!clock.wake_some());
        assert_eq!(count(), crowd);
    }

    /// However many are due, a few hundred turns of others are enough to wake them all.
    #[test]
    fn a_large_crowd_is_woken_soon() {
        let clock = Clock::default();
        let slots: Vec<_> = (0..10_000).map(|_| clock.slot()).collect();
        for slot in &slots {
            slot.set(0);
            slot.register(&Context::from_waker(Waker::noop()));
        }
        clock.tick(false);
        let mut turns = 1;
        while clock.wake_some() {
            turns += 1;
        }
        assert!((WOKEN_OF..1_000).contains(&turns), "{turns}");
    }

    #[test]
    fn silent_connections_make_room_before_those_that_were_used() {
        let clock = Clock::default();
        let slots: Vec<_> = (0..4).map(|_| clock.slot()).collect();
        slots.iter().for_each(|slot| slot.set(NEVER));
        slots[0].set_used();
        slots[1].set_used();
        slots[..3].iter().for_each(|slot| slot.set_idle(true));
        let over = || slots.iter().map(|slot| slot.due.get() == 0).collect::<Vec<_>>();
        clock.make_room(9);
        (0..=CROWDED_NEW_MS / TICK_MS).for_each(|_| clock.tick(false));
        clock.make_room(9);
        assert_eq!(over(), [false, false, true, false]);
        (0..CROWDED_KEPT_MS / TICK_MS).for_each(|_| clock.tick(false));
        slots[2].set_idle(false);
        clock.make_room(1);
        assert_eq!(over(), [true, false, true, false]);
        // The one that is busy stays.
        clock.make_room(9);
        assert_eq!(over(), [true, true, true, false]);
    }
}
