//! One connection may bring a hundred requests: in a round a few of each go on, and whatever else the core has to do is done
//! before the next round. So nobody waits for a hundred requests that are begun, answered or taken back together.
use crate::turns::Line;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// So often the requests of one connection go on in a round,
const SHARE: u32 = 8;
/// and those of a trusted proxy's, which has many callers.
const SHARE_OF_MANY: u32 = 32;
/// So many connections have that in a round. Where more wait for the next one each has less, down to a half.
const FULL_SHARES: u32 = 2;

/// One of them.
#[derive(Clone, Copy, Default)]
struct Round {
    nth: u64,
    /// Of how many connections requests waited for it.
    crowd: u32,
}

/// The rounds of one core.
#[derive(Default)]
pub(crate) struct Rounds {
    now: Cell<Round>,
    /// Whose requests go on in the next round.
    late: RefCell<Vec<Rc<Share>>>,
    /// Who is woken behind them. There may be some twice, and some that are gone.
    waiting: RefCell<Vec<Waker>>,
    giver: RefCell<Option<Waker>>,
}

/// What there is a few of in each round.
pub(crate) struct Few {
    most: u32,
    nth: Cell<u64>,
    had: Cell<u32>,
}

impl Few {
    /// Of the caller of a connection, or of the `many` that a proxy has.
    pub(crate) fn of(many: bool) -> Few {
        Few::new(if many { SHARE_OF_MANY } else { SHARE })
    }

    /// So many in each round.
    pub(crate) fn new(most: u32) -> Few {
        Few { most, nth: Cell::default(), had: Cell::default() }
    }

    /// How many there are in such a round.
    fn most(&self, round: Round) -> u32 {
        let (most, crowd) = (self.most, round.crowd.max(1));
        (most * FULL_SHARES / crowd).clamp(most.div_ceil(2), most)
    }

    fn is_left(&self, round: Round) -> bool {
        if self.nth.replace(round.nth) != round.nth {
            self.had.set(0);
        }
        self.had.get() < self.most(round)
    }

    /// Whether there is one more in this round.
    fn take(&self, round: Round) -> bool {
        let more = self.is_left(round);
        self.had.set(self.had.get() + u32::from(more));
        more
    }

    /// So many were had in this round; there may be more of them than are left.
    pub(crate) fn spend(&self, some: u32) {
        self.had.set(self.had.get().saturating_add(some));
    }
}

/// The share that the requests of one connection have in each round.
pub(crate) struct Share {
    few: Few,
    line: Line,
}

impl Share {
    pub(crate) fn of(many: bool) -> Share {
        Share { few: Few::of(many), line: Line::default() }
    }

    /// Whether some wait for the next round.
    pub(crate) fn is_late(&self) -> bool {
        !self.line.is_empty()
    }
}

impl Rounds {
    /// Whether one more may be begun in this round; where not, the task is woken for the next one.
    pub(crate) fn may_begin(&self, few: &Few, cx: &Context<'_>) -> bool {
        let may = few.take(self.now.get());
        if !may {
            self.wait(cx);
        }
        may
    }

    /// Whether any are left in this round; where not, the task is woken for the next one.
    pub(crate) fn are_left(&self, few: &Few, cx: &Context<'_>) -> bool {
        let left = few.is_left(self.now.get());
        if !left {
            self.wait(cx);
        }
        left
    }

    /// Wakes a task in the next round, behind the requests that go on in it.
    pub(crate) fn wait(&self, cx: &Context<'_>) {
        self.waiting.borrow_mut().push(cx.waker().clone());
        self.wake_giver();
    }

    /// Goes on with a request, within the share of its connection. `ticket` is its place where it waits.
    pub(crate) fn go_on<F: Future>(
        &self,
        share: &Rc<Share>,
        ticket: &mut Option<u64>,
        request: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let first = ticket.is_none() && share.line.is_empty();
        if !(first && share.few.take(self.now.get())) {
            if first {
                self.late.borrow_mut().push(Rc::clone(share));
                self.wake_giver();
            }
            std::task::ready!(share.line.wait(ticket, cx));
        }
        request.poll(cx)
    }

    fn wake_giver(&self) {
        self.giver.take().into_iter().for_each(Waker::wake);
    }

    /// Begins one round after the other, for as long as there is one to wait for. `others`: comes back once everything else
    /// that the core has to do was done.
    pub(crate) async fn give(&self, others: impl AsyncFn()) {
        loop {
            poll_fn(|cx| {
                if self.late.borrow().is_empty() && self.waiting.borrow().is_empty() {
                    *self.giver.borrow_mut() = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            others().await;
            let crowd = u32::try_from(self.late.borrow().len()).unwrap_or(u32::MAX);
            let round = Round { nth: self.now.get().nth + 1, crowd };
            self.now.set(round);
            self.late.borrow_mut().retain(|share| {
                share.few.nth.set(round.nth);
                share.few.had.set(share.line.let_on(share.few.most(round) as usize) as u32);
                share.is_late()
            });
            self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turns::behind_all_others;
    use std::future::ready;
    use std::pin::pin;

    /// How many of so many requests of a connection that end whenever they may go on do so in each round from now on.
    fn gone_on(
        rounds: &Rounds,
        giver: &mut Pin<&mut impl Future>,
        share: &Rc<Share>,
        requests: u32,
    ) -> Vec<u32> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut all: Vec<_> = (0..requests).map(|_| (None, Box::pin(ready(())))).collect();
        let mut gone_on = Vec::new();
        while !all.is_empty() {
            let before = all.len();
            // Waking one twice brings it nothing.
            for _ in 0..2 {
                let mut waits = |ticket: &mut _, request: &mut Pin<_>| {
                    rounds.go_on(share, ticket, Pin::as_mut(request), &mut cx).is_pending()
                };
                let order: Vec<_> = all.iter_mut().map(|(ticket, request)| waits(ticket, request)).collect();
                assert!(order.is_sorted(), "those who came first go on first");
                all.drain(..order.iter().filter(|waits| !**waits).count());
            }
            gone_on.extend(Some((before - all.len()) as u32).filter(|some| *some > 0));
            assert!(giver.as_mut().poll(&mut cx).is_pending());
        }
        gone_on
    }

    #[test]
    fn a_few_of_each_connection_go_on_in_a_round() {
        let rounds = Rounds::default();
        let (many, one) = (Rc::new(Share::of(false)), Rc::new(Share::of(false)));
        let mut giver = pin!(rounds.give(behind_all_others));
        assert!(giver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(gone_on(&rounds, &mut giver, &many, 2 * SHARE + 1), [SHARE, SHARE, 1]);
        assert_eq!(gone_on(&rounds, &mut giver, &many, SHARE), [SHARE - 1, 1], "it is the same round");
        assert_eq!(gone_on(&rounds, &mut giver, &one, SHARE), [SHARE], "another has a share of its own");
        let proxy = Rc::new(Share::of(true));
        assert_eq!(gone_on(&rounds, &mut giver, &proxy, SHARE_OF_MANY + 1), [SHARE_OF_MANY, 1]);
        assert!(rounds.late.borrow().is_empty());
    }

    #[test]
    fn where_many_wait_each_has_less() {
        let few = |crowd: u32, most: u32| Few::new(most).most(Round { nth: 1, crowd });
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 1_000, u32::MAX].map(|crowd| few(crowd, SHARE)),
            [8, 8, 8, 5, 4, 4, 4, 4]
        );
        assert_eq!([few(4, SHARE_OF_MANY), few(4, 1), few(1, 1)], [16, 1, 1]);

        let rounds = Rounds::default();
        let shares: Vec<_> = (0..4).map(|_| Rc::new(Share::of(false))).collect();
        let mut cx = Context::from_waker(Waker::noop());
        let mut giver = pin!(rounds.give(behind_all_others));
        assert!(giver.as_mut().poll(&mut cx).is_pending());
        let mut waiting: Vec<_> = shares.iter().flat_map(|share| vec![(share, None); 20]).collect();
        let mut gone_on = Vec::new();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain_mut(|(share, ticket)| {
                rounds.go_on(share, ticket, pin!(ready(())), &mut cx).is_pending()
            });
            gone_on.extend(Some(before - waiting.len()).filter(|some| *some > 0));
            assert!(giver.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(gone_on, [32, 16, 16, 16]);
    }

    #[test]
    fn there_are_so_many_in_a_round() {
        let rounds = Rounds::default();
        let (few, some) = (Few::of(false), Few::new(4));
        let mut cx = Context::from_waker(Waker::noop());
        let mut giver = pin!(rounds.give(behind_all_others));
        assert!(giver.as_mut().poll(&mut cx).is_pending());
        for _ in 0..3 {
            assert_eq!((0..20).filter(|_| rounds.may_begin(&few, &cx)).count(), SHARE as usize);
            assert!(!rounds.are_left(&few, &cx) && rounds.are_left(&some, &cx));
            some.spend(5);
            assert!(!rounds.are_left(&some, &cx));
            // It goes behind all others first.
            (0..2).for_each(|_| assert!(giver.as_mut().poll(&mut cx).is_pending()));
        }
    }
}
