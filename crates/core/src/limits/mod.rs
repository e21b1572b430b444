//! How many requests come through in a time: what operators write ([`Rate`]), what is kept of it ([`Bucket`]), and how
//! several limits are spent from at once ([`settle`]). All of it is integers, and time is an argument.
mod bucket;
mod rate;
mod spend;

pub use bucket::{Bucket, Level, MAX_SHARERS, Pace};
pub use rate::{MAX_BURST, MAX_PER_S, MAX_REQUESTS, Rate};
pub use spend::{Levels, LimitName, MAX_SPENDS, Spend, SpendKey, Spends, Spent, settle};
