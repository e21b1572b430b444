//! What limits are held against.
use doorward_core::limits::Rate;
use std::collections::VecDeque;

/// Numbers that look random and are the same in each run (xorshift).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// A rate: mostly small, now and then as large as rates get.
    pub(crate) fn rate(&mut self) -> Rate {
        let most = |n: &mut Numbers, large: u64| match n.below(4) {
            0 => 3,
            1 => 20,
            2 => 1_000,
            _ => large,
        };
        let (requests, per_s) = (most(self, 1_000_000), most(self, 2_678_400));
        let burst = most(self, 1_000);
        let mut one = |most: u64| 1 + self.below(most) as u32;
        Rate::new(one(requests), one(per_s), one(burst)).expect("within bounds")
    }
}

/// A bucket of tokens, as anybody would draw it: it fills up evenly, and a request takes one out. Tokens are counted in
/// fractions whose denominator is that of the rate, so they are exact too, but in other units and the other way round.
pub(crate) struct Tokens {
    rate: Rate,
    /// Tokens, times `per_s` and 1000.
    held: u128,
    at_ms: u64,
}

impl Tokens {
    pub(crate) fn full(rate: Rate) -> Tokens {
        Tokens { rate, held: u128::from(rate.burst()) * Tokens::one(rate), at_ms: 0 }
    }

    fn one(rate: Rate) -> u128 {
        u128::from(rate.per_s()) * 1_000
    }

    pub(crate) fn take(&mut self, now_ms: u64) -> bool {
        let most = u128::from(self.rate.burst()) * Tokens::one(self.rate);
        let more = u128::from(now_ms - self.at_ms) * u128::from(self.rate.requests());
        self.held = (self.held + more).min(most);
        self.at_ms = now_ms;
        let fits = self.held >= Tokens::one(self.rate);
        if fits {
            self.held -= Tokens::one(self.rate);
        }
        fits
    }

    pub(crate) fn left(&self) -> u32 {
        u32::try_from(self.held / Tokens::one(self.rate)).expect("never more than the burst")
    }
}

/// Remembers when each request came through. No window of time whatsoever may hold more than a burst and what is due
/// in it.
#[derive(Default)]
pub(crate) struct Windows(VecDeque<u64>);

impl Windows {
    /// Whether every window that ends now and begins with one of the last requests is within the limit.
    pub(crate) fn hold(&mut self, rate: Rate, now_ms: u64) -> bool {
        const KEPT: usize = 500;
        self.0.push_back(now_ms);
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
        self.0.iter().rev().enumerate().all(|(before, from)| {
            let count = before as u128 + 1;
            let due = u128::from(now_ms - from) * u128::from(rate.requests());
            let one = u128::from(rate.per_s()) * 1_000;
            // count <= burst + due / one, without dividing.
            count * one <= u128::from(rate.burst()) * one + due
        })
    }
}
