//! The generic cell rate algorithm (ITU-T I.371, annex A), kept as what is owed and since when.
//!
//! A request costs `cost` units, and `requests` units are paid back in each millisecond: with `cost` = seconds x 1000, so
//! many requests come through in so many seconds, and nothing is ever rounded. Never more than `burst` requests are owed.
use super::Rate;

/// The most nodes that a limit is shared among; of more, each has the share of this many.
pub const MAX_SHARERS: u32 = 1_000;

/// A rate in units: what a request costs, and how fast that is paid back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Units paid back in a millisecond.
    pub requests: u32,
    /// Units that a request costs. With `burst`, at most 2.7e18: sums of two such fit 64 bits.
    pub cost: u64,
    /// Requests that may be owed.
    pub burst: u32,
}

impl Rate {
    /// One of `sharers` equal shares: as many of them as there are let through no more than the limit, but for a request
    /// each, since a burst is at least one.
    #[must_use]
    pub fn pace(&self, sharers: u32) -> Pace {
        let sharers = sharers.clamp(1, MAX_SHARERS);
        Pace {
            requests: self.requests(),
            cost: u64::from(self.per_s()) * 1_000 * u64::from(sharers),
            burst: (self.burst() / sharers).max(1),
        }
    }
}

impl Pace {
    /// Units that may be owed.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.cost * u64::from(self.burst)
    }

    /// How long it takes to pay units back, in milliseconds, rounded up.
    fn in_ms(&self, units: u64) -> u64 {
        units.div_ceil(u64::from(self.requests))
    }

    /// What is told of a limit of which all is owed.
    #[must_use]
    pub fn full(&self) -> Level {
        self.level(self.capacity(), false)
    }

    /// What is told of a limit of which `debt` is owed, and whether it lets the request through.
    #[must_use]
    pub fn level(&self, debt: u64, room: bool) -> Level {
        let left = self.capacity().saturating_sub(debt);
        Level {
            room,
            remaining: u32::try_from(left / self.cost).unwrap_or(u32::MAX),
            full_in_ms: self.in_ms(debt),
            next_in_ms: if left >= self.cost { 0 } else { self.in_ms(debt + self.cost - self.capacity()) },
        }
    }
}

/// What is known of a limit after it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Whether the request fits.
    pub room: bool,
    /// How many more would fit now.
    pub remaining: u32,
    /// When nothing is owed any more, in milliseconds from now.
    pub full_in_ms: u64,
    /// When another one fits, in milliseconds from now; 0: it does now.
    pub next_in_ms: u64,
}

/// What is owed of one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    debt: u64,
    at_ms: u64,
}

impl Bucket {
    /// What is owed at an instant, in units. Whoever looked at the clock earlier than another pays nothing back.
    #[must_use]
    pub fn debt(&self, requests: u32, now_ms: u64) -> u64 {
        let paid = now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(requests));
        self.debt.saturating_sub(paid)
    }

    /// Whether one more request fits.
    #[must_use]
    pub fn fits(&self, pace: &Pace, now_ms: u64) -> bool {
        self.debt(pace.requests, now_ms) + pace.cost <= pace.capacity()
    }

    /// What is told of it: after a request that fits was spent, where `spend` says so.
    pub fn take(&mut self, pace: &Pace, now_ms: u64, spend: bool) -> Level {
        let debt = self.debt(pace.requests, now_ms);
        let room = debt + pace.cost <= pace.capacity();
        let owed = if room && spend { debt + pace.cost } else { debt };
        if owed != debt {
            *self = Bucket { debt: owed, at_ms: self.at_ms.max(now_ms) };
        }
        pace.level(owed, room)
    }
}
