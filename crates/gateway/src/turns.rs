//! A few at a time: those who wait here go on in the order in which they came, and between any few of them everything else
//! that the core has to do is done.
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// Those who go on in one turn. Others wait for so many requests at most.
const TURN: usize = 16;

/// Places that a line keeps in which nobody waits.
const KEPT: usize = 16;

/// Those who wait, in order.
#[derive(Default)]
pub(crate) struct Line {
    /// One that is gone meanwhile is woken for nothing.
    waiting: RefCell<VecDeque<Waker>>,
    /// How many have come, and how many have gone on.
    come: Cell<u64>,
    gone_on: Cell<u64>,
}

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Waits behind all who wait already; `ticket` is the place that it has then.
    pub(crate) fn wait(&self, ticket: &mut Option<u64>, cx: &Context<'_>) -> Poll<()> {
        match *ticket {
            None => {
                *ticket = Some(self.come.get());
                self.come.set(self.come.get() + 1);
                self.waiting.borrow_mut().push_back(cx.waker().clone());
                Poll::Pending
            }
            Some(place) if place < self.gone_on.get() => {
                *ticket = None;
                Poll::Ready(())
            }
            Some(_) => Poll::Pending,
        }
    }

    /// Lets so many go on, where as many wait; how many that were.
    pub(crate) fn let_on(&self, most: usize) -> usize {
        let mut waiting = self.waiting.borrow_mut();
        let some = waiting.len().min(most);
        self.gone_on.set(self.gone_on.get() + some as u64);
        waiting.drain(..some).for_each(Waker::wake);
        if waiting.is_empty() && waiting.capacity() > KEPT {
            *waiting = VecDeque::new();
        }
        some
    }
}

/// Those who wait for their turn.
#[derive(Default)]
pub(crate) struct Turns {
    line: Line,
    giver: RefCell<Option<Waker>>,
}

impl Turns {
    /// Waits behind all who wait already.
    pub(crate) async fn wait(&self) {
        let mut ticket = None;
        poll_fn(|cx| {
            let waits = self.line.wait(&mut ticket, cx);
            self.giver.take().into_iter().for_each(Waker::wake);
            waits
        })
        .await;
    }

    /// Gives turns for ever.
    pub(crate) async fn give(&self) {
        loop {
            poll_fn(|cx| {
                if self.line.is_empty() {
                    *self.giver.borrow_mut() = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            behind_all_others().await;
            self.line.let_on(TURN);
        }
    }
}

/// Goes to the end of the core's queue: a task that wakes itself while it runs does.
pub(crate) async fn behind_all_others() {
    let mut queued = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut queued, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[test]
    fn a_few_go_on_in_order_with_everything_else_in_between() {
        let turns = Turns::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut giver = pin!(turns.give());
        assert!(giver.as_mut().poll(&mut cx).is_pending());
        let mut all: Vec<_> = (0..2 * TURN + 1).map(|_| Box::pin(turns.wait())).collect();
        let mut gone_on = |cx: &mut Context<'_>| {
            let before = all.len();
            let order: Vec<_> = all.iter_mut().map(|one| one.as_mut().poll(cx).is_ready()).collect();
            let ready = order.iter().filter(|ready| **ready).count();
            assert!(order[..ready].iter().all(|ready| *ready), "those who came first go first");
            all.drain(..ready);
            before - all.len()
        };
        assert_eq!(gone_on(&mut cx), 0);
        // Each time the giver goes behind all others first.
        assert!(giver.as_mut().poll(&mut cx).is_pending());
        assert_eq!(gone_on(&mut cx), 0);
        for expected in [TURN, TURN, 1, 0] {
            assert!(giver.as_mut().poll(&mut cx).is_pending());
            assert_eq!(gone_on(&mut cx), expected);
        }
    }
}
