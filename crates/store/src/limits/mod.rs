//! What was spent of limits: in this node's memory ([`MemoryLimiter`]), or for all nodes on a Redis server
//! ([`RedisLimiter`]), which falls back to a share of each limit in memory while the server is away.
//!
//! Nothing of it outlives a restart of what keeps it: a limit starts full again.
mod memory;
mod redis;
mod shard;
#[cfg(test)]
mod tests;

pub use memory::{MAX_ADDRESSES, MemoryLimiter, Sharers, SteadyClock};
pub use redis::{LimiterError, LimiterKeeper, RedisLimiter};
