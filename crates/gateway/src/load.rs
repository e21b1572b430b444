//! How busy a core is, and whom it turns away when it is too busy.
//!
//! What counts is how long a task waits in the core's queue until it is its turn: a probe joins the end of the queue with
//! each tick, and again at once where it had to wait for too long. Only where every probe of two ticks had to, requests
//! are turned away, those of the callers with the most of them first: each address may have so many in a tick, and that
//! number sinks until the queue is short again. Whoever asks for less than that notices nothing.
use crate::clock::TICK_MS;
use crate::settle::network;
use hashbrown::DefaultHashBuilder;
use std::cell::Cell;
use std::future::poll_fn;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Addresses are counted in so many places, a power of two; whoever meets in one shares it. No more memory for any number of
/// callers.
const PLACES: usize = 1024;
/// What a request counts.
pub(crate) const REQUEST: u32 = 1;
/// What a TLS handshake counts: about as much work as so many requests.
pub(crate) const HANDSHAKE: u32 = 16;
/// With less than this in a tick, a long queue does not come from how many requests there are.
const FEW: u32 = 16;
/// Shares are counted in parts of a request, so that many callers may each have less than one in a tick.
const PARTS: u32 = 16;
/// Everybody has as much as they ask for.
const ALL: u32 = u32::MAX;
/// No probe has come through since the last tick.
const NONE: u64 = u64::MAX;
/// Ticks for which a connection is not read from once its caller was told to stay away for a second.
const PAUSE_TICKS: std::ops::RangeInclusive<u32> = 10..=(1_000 / TICK_MS) as u32;

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The core's queue is long, and this caller has had its share.
    Queue,
    /// As many requests are being served as may be.
    Requests,
}

impl Busy {
    /// For the log.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Busy::Queue => "queue",
            Busy::Requests => "requests",
        }
    }
}

/// The load of one core.
pub(crate) struct Load {
    /// How long a task may wait in the queue, in microseconds; 0: for as long as it takes.
    most_wait_us: u64,
    /// How many requests may be served at a time.
    most_serving: u32,
    serving: Cell<u32>,
    /// How many of them each place may have: one connection of HTTP/2 brings any number of them.
    most_of_one: u32,
    of_each: Box<[Cell<u32>]>,
    /// What each place has spent in this tick.
    spent: Box<[Cell<u32>]>,
    /// The most that a place may spend in a tick, in [`PARTS`].
    share: Cell<u32>,
    /// The shortest wait of a probe since the last tick.
    least_wait_us: Cell<u64>,
    /// The last tick was too long a wait already.
    late: Cell<bool>,
    tick: Cell<u32>,
    hasher: DefaultHashBuilder,
}

/// A request that counts with those of its caller.
#[derive(Debug)]
pub(crate) struct OfOne<'a>(Option<&'a Cell<u32>>);

impl Drop for OfOne<'_> {
    fn drop(&mut self) {
        self.0.inspect(|all| all.set(all.get() - 1));
    }
}

/// A request that is being served.
pub(crate) struct Serving<'a>(&'a Load);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.serving.set(self.0.serving.get() - 1);
    }
}

impl Load {
    /// `most_of_one`: how many requests one address may have served at a time.
    pub(crate) fn new(queue_ms: u64, most_serving: usize, most_of_one: usize) -> Load {
        let places = || vec![Cell::new(0); PLACES].into();
        Load {
            most_wait_us: queue_ms * 1000,
            most_serving: u32::try_from(most_serving).unwrap_or(u32::MAX),
            serving: Cell::new(0),
            most_of_one: u32::try_from(most_of_one).unwrap_or(u32::MAX).max(FEW),
            of_each: places(),
            spent: places(),
            share: Cell::new(ALL),
            least_wait_us: Cell::new(NONE),
            late: Cell::new(false),
            tick: Cell::new(0),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Takes a place among the requests that are served.
    pub(crate) fn serve(&self) -> Serving<'_> {
        self.serving.set(self.serving.get() + 1);
        Serving(self)
    }

    /// Whether there is time for a request of this caller, who is `many` where a proxy does not tell who it is; the request
    /// counts as being served already.
    pub(crate) fn admit(&self, caller: IpAddr, many: bool) -> Result<OfOne<'_>, Busy> {
        let place = self.place(caller);
        let own = &self.of_each[place];
        if self.serving.get() > self.most_serving || !many && own.get() >= self.most_of_one {
            return Err(Busy::Requests);
        }
        if !self.spend_at(place, REQUEST) {
            return Err(Busy::Queue);
        }
        if many {
            return Ok(OfOne(None));
        }
        own.set(own.get() + 1);
        Ok(OfOne(Some(own)))
    }

    fn place(&self, caller: IpAddr) -> usize {
        /// Spreads what differs in a few bits alone over the upper ones.
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let hash = self.hasher.hash_one(network(caller)).wrapping_mul(ODD);
        (hash >> (u64::BITS - PLACES.ilog2())) as usize
    }

    /// Spends a caller's time; `false`: it has had its share, and nothing was spent.
    pub(crate) fn spend(&self, caller: IpAddr, cost: u32) -> bool {
        self.spend_at(self.place(caller), cost)
    }

    fn spend_at(&self, place: usize, cost: u32) -> bool {
        let spent = &self.spent[place];
        let after = spent.get().saturating_add(cost);
        if self.share.get() != ALL && !self.within_share(place as u32, after) {
            return false;
        }
        spent.set(after);
        true
    }

    #[cold]
    fn within_share(&self, place: u32, after: u32) -> bool {
        let share = self.share.get();
        if share >= PARTS || after > REQUEST {
            return after.saturating_mul(PARTS) <= share;
        }
        // Less than one request in a tick is one request in some ticks, for each place in others.
        (place.wrapping_add(self.tick.get())) % PARTS < share
    }

    /// Whether callers are turned away.
    pub(crate) fn sheds(&self) -> bool {
        self.share.get() != ALL
    }

    /// For how many ticks a connection rests whose request was turned away; not the same for all, so that they do not
    /// come back together.
    pub(crate) fn pause_ticks(&self, connection: usize) -> u32 {
        let (least, most) = (*PAUSE_TICKS.start(), *PAUSE_TICKS.end());
        let chance = self.hasher.hash_one((connection, self.tick.get())) as u32;
        least + chance % (most - least + 1)
    }

    /// Counts on from one tick to the next; the shortest wait in the last one, in microseconds.
    pub(crate) fn next_tick(&self) -> u64 {
        let least_us = self.least_wait_us.replace(NONE);
        let (mut most, mut all) = (0, 0_u32);
        for place in &self.spent {
            let spent = place.replace(0);
            most = most.max(spent);
            all = all.saturating_add(spent);
        }
        self.tick.set(self.tick.get().wrapping_add(1));
        let late = self.most_wait_us > 0 && least_us > self.most_wait_us;
        let before = self.late.replace(late);
        let share = self.share.get();
        let asked = most.saturating_mul(PARTS);
        if late && before && all >= FEW {
            let from = u64::from(share.min(asked).max(1));
            // In proportion to how much too long it is, but neither by little nor by more than half.
            let wanted = from * self.most_wait_us / least_us;
            let share = wanted.clamp(from / 2, from * 7 / 8).max(1);
            self.share.set(u32::try_from(share).unwrap_or(ALL - 1));
        } else if !late && share != ALL {
            // Nobody comes near it any more: it is over.
            let over = share / 2 > asked;
            let more = share.saturating_add(share / 8).saturating_add(1);
            self.share.set(if over { ALL } else { more.min(ALL - 1) });
        }
        if least_us == NONE { TICK_MS * 1000 } else { least_us }
    }

    /// Measures how long the queue is, until it is short enough; to be called with each tick.
    pub(crate) async fn probe(&self) {
        if self.most_wait_us == 0 {
            return self.waited(Duration::ZERO);
        }
        loop {
            let began = Instant::now();
            behind_all_others().await;
            let waited = began.elapsed();
            self.waited(waited);
            if waited.as_micros() as u64 <= self.most_wait_us {
                return;
            }
        }
    }

    fn waited(&self, wait: Duration) {
        self.least_wait_us.set(self.least_wait_us.get().min(wait.as_micros() as u64));
    }
}

/// Goes to the end of the core's queue: a task that wakes itself while it runs does.
async fn behind_all_others() {
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

    const LIMIT_MS: u64 = 5;

    fn address(n: u8) -> IpAddr {
        [10, 0, n, 1].into()
    }

    /// One tick: so many requests of each caller, and how long the queue was; how many were let in.
    fn tick<const N: usize>(load: &Load, asked: [u32; N], wait_ms: u64) -> [u32; N] {
        load.waited(Duration::from_millis(wait_ms));
        let let_in = std::array::from_fn(|n| {
            (0..asked[n]).map(|_| u32::from(load.admit(address(n as u8), false).is_ok())).sum()
        });
        load.next_tick();
        let_in
    }

    #[test]
    fn a_long_queue_costs_those_who_made_it_long() {
        let load = Load::new(LIMIT_MS, 100, 100);
        let asked = [1_000, 10, 10];
        assert_eq!(tick(&load, asked, 20), asked, "one tick is no proof");
        assert_eq!(tick(&load, asked, 20), asked);
        let mut last = 1_000;
        for _ in 0..5 {
            let [flood, a, b] = tick(&load, asked, 20);
            assert!(flood <= last * 7 / 8 && flood > 10 && (a, b) == (10, 10), "{flood}, {a}, {b}");
            last = flood;
        }
        // It grows again once there is time, and ends with the flood.
        let [flood, ..] = tick(&load, asked, 1);
        let [more, ..] = tick(&load, asked, 1);
        assert!(more > flood && more < 1_000, "{more} after {flood}");
        for _ in 0..30 {
            tick(&load, [10, 10, 10], 1);
        }
        assert!(!load.sheds());
        assert_eq!(tick(&load, asked, 1), asked);
    }

    /// Where everybody asks for little and all of it is too much, everybody is let in now and then.
    #[test]
    fn many_who_ask_for_little_take_turns() {
        let load = Load::new(LIMIT_MS, 100, 100);
        let asked = [1; 200];
        for _ in 0..12 {
            tick(&load, asked, 40);
        }
        let mut let_in = [0; 200];
        for _ in 0..PARTS {
            let now = tick(&load, asked, 4);
            now.iter().zip(&mut let_in).for_each(|(now, all)| *all += now);
        }
        // A few share a place with another, who comes first.
        let with_a_turn = let_in.iter().filter(|n| **n > 0).count();
        let all: u32 = let_in.iter().sum();
        assert!(with_a_turn > 150 && all < 200 * PARTS, "{with_a_turn}, {all}");
    }

    #[test]
    fn a_queue_that_few_requests_make_long_is_no_reason() {
        let load = Load::new(LIMIT_MS, 100, 100);
        (0..10).for_each(|_| assert_eq!(tick(&load, [FEW - 1], 400), [FEW - 1]));
        let never = Load::new(0, 100, 100);
        (0..10).for_each(|_| assert_eq!(tick(&never, [1_000], 400), [1_000]));
    }

    #[test]
    fn requests_at_a_time_are_bounded() {
        let load = Load::new(LIMIT_MS, 2, 2);
        let (first, second) = (load.serve(), load.serve());
        assert!(load.admit(address(1), false).is_ok());
        let third = load.serve();
        assert_eq!(load.admit(address(1), false).unwrap_err(), Busy::Requests);
        drop((first, third));
        assert!(load.admit(address(1), false).is_ok());
        drop(second);
    }

    /// Any number of requests come over one connection of HTTP/2: those of one address leave room for others.
    #[test]
    fn no_address_has_all_requests_at_a_time() {
        let load = Load::new(LIMIT_MS, 100, 20);
        let mut held: Vec<_> = (0..20).map(|_| load.admit(address(1), false).unwrap()).collect();
        assert_eq!(load.admit(address(1), false).unwrap_err(), Busy::Requests);
        held.push(load.admit(address(2), false).unwrap());
        held.push(load.admit(address(1), true).unwrap());
        held.clear();
        assert!(load.admit(address(1), false).is_ok());
        assert!(load.of_each.iter().all(|own| own.get() == 0));
    }

    /// Addresses that one network gives itself are one caller.
    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        let load = Load::new(LIMIT_MS, 100, 100);
        let own = |n: u16| IpAddr::from([0x2001, 0xdb8, 1, 1, 0, 0, 0, n]);
        for _ in 0..6 {
            load.waited(Duration::from_millis(20));
            assert!((0..400).filter(|n| load.admit(own(*n), false).is_ok()).count() <= 400);
            load.next_tick();
        }
        let let_in = (0..400).filter(|n| load.admit(own(*n), false).is_ok()).count();
        assert!(let_in < 200, "{let_in}");
    }

    #[test]
    fn connections_come_back_one_after_the_other() {
        let load = Load::new(LIMIT_MS, 100, 100);
        let mut seen = std::collections::HashSet::new();
        for connection in 0..1_000 {
            let ticks = load.pause_ticks(connection);
            assert!(PAUSE_TICKS.contains(&ticks));
            seen.insert(ticks);
        }
        assert_eq!(seen.len(), PAUSE_TICKS.count());
    }
}
