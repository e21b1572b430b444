//! What was spent, on a Redis server, for all nodes of a store. One script spends, in one atomic step and by the server's
//! clock. While the server is away or can't count, each node counts its share of each limit by itself.
mod keeper;
mod script;

use super::MemoryLimiter;
use crate::Store;
use crate::ledger::RedisServer;
use doorward_core::limits::{Levels, Spend, Spends, Spent};
use doorward_core::ports::{Limiter, Spending};
use script::Names;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use tokio::sync::{mpsc, oneshot};

pub use keeper::LimiterKeeper;
#[cfg(test)]
pub(in crate::limits) use script::SPEND;

/// Requests that wait to be counted; more are counted here.
const QUEUE: usize = 16_384;

/// Why limits can't be counted on the server.
#[derive(Debug, thiserror::Error)]
#[error("the Redis server {server} does not count limits: {why}")]
pub struct LimiterError {
    /// Its address.
    pub server: String,
    /// The reason.
    pub why: String,
}

/// A request on its way.
struct Asked {
    spends: Spends,
    /// Dropped where there is no answer.
    answer: oneshot::Sender<Levels>,
}

/// Counts on a server. Its [`LimiterKeeper`] has to run.
pub struct RedisLimiter {
    queue: mpsc::Sender<Asked>,
    up: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    local: Arc<MemoryLimiter>,
}

impl std::fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisLimiter(up: {})", self.is_up())
    }
}

impl RedisLimiter {
    /// The limits of a store on a server, and who looks after them. Meanwhile, and whenever the server is away, `local`
    /// counts this node's share. Nothing is begun yet.
    #[must_use]
    pub fn new(
        store: &Store,
        server: RedisServer,
        local: Arc<MemoryLimiter>,
    ) -> (RedisLimiter, LimiterKeeper) {
        let (queue, asked) = mpsc::channel(QUEUE);
        let (up, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let flags = keeper::Flags { up: Arc::clone(&up), failed: Arc::clone(&failed) };
        let keeper = LimiterKeeper::new(server, Names::new(&store.installation), flags, asked);
        (RedisLimiter { queue, up, failed, local }, keeper)
    }

    /// Requests that the server could not count, though it counts others.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Whether the server counts at the moment.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(SeqCst)
    }

    /// One spend as the server is asked for it: addresses that are too many are one there, as they are here.
    fn bounded(&self, spend: &Spend) -> Spend {
        match self.local.tells_apart(spend) {
            true => spend.clone(),
            false => Spend { key: spend.key.of_the_crowd(), ..spend.clone() },
        }
    }

    /// Counts what is this node's share.
    #[must_use]
    pub fn alone(&self, spends: &[Spend]) -> Spent {
        Spent { shared: true, ..self.local.spend_now(spends) }
    }
}

impl Limiter for RedisLimiter {
    fn spend<'s>(&'s self, spends: &'s [Spend]) -> Spending<'s> {
        if !self.is_up() {
            return Spending::Now(self.alone(spends));
        }
        let (answer, answered) = oneshot::channel();
        if self
            .queue
            .try_send(Asked { spends: spends.iter().map(|spend| self.bounded(spend)).collect(), answer })
            .is_err()
        {
            return Spending::Now(self.alone(spends));
        }
        Spending::Later(Box::pin(async move {
            match answered.await {
                Ok(levels) => Spent { levels, shared: false },
                Err(_) => self.alone(spends),
            }
        }))
    }
}
