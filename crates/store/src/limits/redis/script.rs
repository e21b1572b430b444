//! The script: what it is told, and what it says.
use aws_lc_rs::digest::{Context, SHA256};
use doorward_core::limits::{Levels, Spend};
use redis::{Cmd, FromRedisValue as _, Value, cmd};
use std::fmt::Write as _;

pub(in crate::limits) const SPEND: &str = include_str!("spend.lua");

/// Bytes of a digest that name a limit.
const NAME_BYTES: usize = 16;

/// Names of the keys of one installation. They share a hash tag, so that a cluster has them on one node.
pub(super) struct Names(String);

impl Names {
    pub(super) fn new(installation: &str) -> Names {
        Names(format!("doorward:{{{installation}}}:limit:"))
    }

    /// The rate belongs to the name: what was spent of a limit says nothing about another one. No address can be read in it.
    pub(super) fn key(&self, spend: &Spend) -> String {
        let mut digest = Context::new(&SHA256);
        for part in [self.0.as_bytes(), spend.key.bytes()] {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.update(&spend.rate.requests().to_be_bytes());
        digest.update(&spend.rate.per_s().to_be_bytes());
        let mut key = self.0.clone();
        for byte in &digest.finish().as_ref()[..NAME_BYTES] {
            // Writing to a string can't fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }
}

/// The call that spends.
pub(super) fn spend(sha: &str, names: &Names, spends: &[Spend]) -> Cmd {
    let mut call = cmd("EVALSHA");
    call.arg(sha).arg(spends.len());
    for spend in spends {
        call.arg(names.key(spend));
    }
    for spend in spends {
        // The bounds of rates keep all of these below 2^53, where the script's numbers are exact.
        let pace = spend.rate.pace(1);
        call.arg(pace.requests).arg(pace.cost).arg(pace.capacity()).arg(i64::from(spend.enforced));
    }
    call
}

/// What the script said to that; `None`: nothing that it says.
pub(super) fn said(value: Value, spends: &[Spend]) -> Option<Levels> {
    let told = Vec::<u64>::from_redis_value(value).ok()?;
    if told.len() != spends.len() * 2 {
        return None;
    }
    let levels = spends.iter().zip(told.chunks_exact(2));
    Some(levels.map(|(spend, told)| spend.rate.pace(1).level(told[1], told[0] == 1)).collect())
}
