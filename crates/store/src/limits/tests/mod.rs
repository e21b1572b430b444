//! Limits in memory and on Redis servers of the tests' own, held against what the core says.
mod memory;
mod redis;

use super::*;
use doorward_core::limits::{LimitName, Spend, SpendKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A clock that is set by hand.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn limiter(&self) -> MemoryLimiter {
        self.sharing(Sharers::default())
    }

    fn sharing(&self, sharers: Sharers) -> MemoryLimiter {
        let hand = self.clone();
        MemoryLimiter::new(Arc::new(move || hand.0.load(SeqCst)), sharers)
    }

    fn pass(&self, ms: u64) -> u64 {
        self.0.fetch_add(ms, SeqCst) + ms
    }
}

fn of_credential(id: &str, rate: &str) -> Spend {
    let key = SpendKey::credential(id, None);
    Spend { name: LimitName::Credential, key, rate: rate.parse().unwrap(), enforced: true }
}

fn of_workspace(id: &str, rate: &str) -> Spend {
    let key = SpendKey::workspace(id, "v1");
    Spend { name: LimitName::Workspace, key, rate: rate.parse().unwrap(), enforced: true }
}

fn of_address(number: u32, rate: &str) -> Spend {
    let key = SpendKey::client(Some("acme"), "v1", Some(std::net::Ipv4Addr::from(number).into()));
    Spend { name: LimitName::Client, key, rate: rate.parse().unwrap(), enforced: true }
}

/// Numbers that look random and are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    /// Some limits of a small world, with different keys.
    fn spends(&mut self, rates: &[&str; 3]) -> Vec<Spend> {
        let mut all = vec![
            of_workspace(["a", "b"][self.below(2) as usize], rates[0]),
            of_credential(["k", "l", "m"][self.below(3) as usize], rates[1]),
            of_address(self.below(5) as u32, rates[2]),
        ];
        all.iter_mut().for_each(|spend| spend.enforced = self.below(3) > 0);
        let turn = self.below(3) as usize;
        all.rotate_left(turn);
        all.truncate(1 + self.below(3) as usize);
        all
    }
}
