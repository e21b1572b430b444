//! How busy a core is, and whom it turns away when it is too busy.
//!
//! What counts is how long a task waits in the core's queue until it is its turn: a probe joins the end of the queue with
//! each tick, and again at once where it had to wait for too long. Only where every probe of two ticks had to, requests
//! are turned away, those of the callers with the most of them first: each address may have so many in a tick, and that
//! number sinks until the queue is short again. Whoever asks for less than that notices nothing.
//!
//! Many requests that come at once make a queue that is long for a moment only, and nobody has to be turned away for that.
//! After such a moment whoever asks for much is served in [`turns`](crate::turns), with everybody else in between.
use crate::clock::TICK_MS;
use crate::settle::network;
use crate::turns::{Turns, behind_all_others};
use hashbrown::DefaultHashBuilder;
use std::cell::Cell;
use std::hash::BuildHasher;
use std::net::IpAddr;
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
/// From this wait on the queue is long for a moment, in microseconds.
const LONG_US: u64 = 2_000;
/// For so long after that, in ticks, those who ask for much are served in turns:
const TURNS_TICKS: u32 = (1_000 / TICK_MS) as u32;
/// whoever has had more than one in so many requests of a tick.
const MUCH: u32 = 16;
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
    /// Whoever spends more than this in a tick is served in turns.
    much: Cell<u32>,
    /// Until this tick.
    in_turns: Cell<u32>,
    turns: Turns,
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
            much: Cell::new(0),
            in_turns: Cell::new(0),
            turns: Turns::default(),
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

    /// Waits for the turn of a caller whose time was just spent; at once for those who do not ask for much.
    pub(crate) async fn turn(&self, caller: IpAddr) {
        if self.tick.get() < self.in_turns.get() && self.spent[self.place(caller)].get() > self.much.get() {
            self.turns.wait().await;
        }
    }

    /// Gives those who wait for their turn what they wait for, for as long as the core runs.
    pub(crate) async fn give_turns(&self) {
        self.turns.give().await;
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
        self.much.set((all / MUCH).max(FEW));
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
            match self.tick.get() < self.in_turns.get() {
                // Those who wait for their turn are a part of the queue.
                true => self.turns.wait().await,
                false => behind_all_others().await,
            }
            let waited = began.elapsed();
            self.waited(waited);
            if waited.as_micros() as u64 <= self.most_wait_us {
                return;
            }
        }
    }

    fn waited(&self, wait: Duration) {
        let wait_us = wait.as_micros() as u64;
        self.least_wait_us.set(self.least_wait_us.get().min(wait_us));
        if wait_us > LONG_US {
            self.in_turns.set(self.tick.get().saturating_add(TURNS_TICKS));
        }
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
