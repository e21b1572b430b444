//! What a node counts limits with: where nodes share a Redis server, there; else, and while that is away, its share of each
//! in memory.
use crate::Failure;
use crate::clock;
use crate::config::{Config, LedgerPlace};
use crate::ledger::redis;
use crate::role::Role;
use doorward_control::actions::nodes::LOST_AFTER_MS;
use doorward_core::limits::{Spend, Spent};
use doorward_core::ports::{Limiter, Spending};
use doorward_gateway::monotonic_ms;
use doorward_store::Store;
use doorward_store::limits::{LimiterError, LimiterKeeper, MemoryLimiter, RedisLimiter, Sharers};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often nodes are counted, and what is not owed any more is forgotten.
const EVERY: Duration = Duration::from_secs(5);
/// How long counting nodes may take.
const COUNTING: Duration = Duration::from_secs(4);

/// What was spent so far, as metrics name it.
pub(crate) const OUTCOMES: [&str; 2] = ["room", "no_room"];

/// How limits are, for metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    /// Whether all nodes count together, as they are meant to.
    pub(crate) up: bool,
    /// Limits of which something is owed in this node's memory.
    pub(crate) entries: u64,
    /// Requests for which limits were asked, in the order of [`OUTCOMES`].
    pub(crate) spent: [u64; OUTCOMES.len()],
    /// How many of them counted by this node's share.
    pub(crate) degraded: u64,
    /// How many of those the server could not count, though it counts others.
    pub(crate) failed: u64,
    /// Addresses that spent together with others, since there were too many.
    pub(crate) crowded: u64,
    /// How many nodes share each limit, as far as this one knows.
    pub(crate) sharers: u32,
}

/// The limits of a node.
pub(crate) struct Limits {
    local: Arc<MemoryLimiter>,
    shared: Option<RedisLimiter>,
    spent: [AtomicU64; OUTCOMES.len()],
    degraded: AtomicU64,
}

impl Limits {
    fn told(&self, spent: Spent) -> Spent {
        let outcome = usize::from(spent.levels.iter().any(|level| !level.room));
        self.spent[outcome].fetch_add(1, Relaxed);
        if spent.shared {
            self.degraded.fetch_add(1, Relaxed);
        }
        spent
    }

    /// How they are.
    pub(crate) fn status(&self) -> Status {
        let sharers = self.local.sharers().get();
        Status {
            up: self.shared.as_ref().map_or(sharers == 1, RedisLimiter::is_up),
            entries: self.local.entries() as u64,
            spent: std::array::from_fn(|at| self.spent[at].load(Relaxed)),
            degraded: self.degraded.load(Relaxed),
            failed: self.shared.as_ref().map_or(0, RedisLimiter::failed),
            crowded: self.local.crowded(),
            sharers,
        }
    }
}

impl Limiter for Limits {
    fn spend<'s>(&'s self, spends: &'s [Spend]) -> Spending<'s> {
        match &self.shared {
            None => Spending::Now(self.told(self.local.spend_now(spends))),
            Some(shared) => match shared.spend(spends) {
                Spending::Now(spent) => Spending::Now(self.told(spent)),
                Spending::Later(later) => Spending::Later(Box::pin(async move { self.told(later.await) })),
            },
        }
    }
}

/// Starts counting, and gives the tasks that look after it.
///
/// # Errors
/// A file that the settings name can't be used.
pub(crate) fn start(config: &Config, store: &Store) -> Result<(Arc<Limits>, Vec<JoinHandle<()>>), Failure> {
    let sharers = Sharers::default();
    let local = Arc::new(MemoryLimiter::new(Arc::new(monotonic_ms), sharers.clone()));
    let mut tasks = Vec::new();
    let shared = match &config.ledger.place {
        LedgerPlace::Memory { .. } => None,
        LedgerPlace::Redis { url, password_file, ca_file } => {
            let server = redis::server(url, password_file.as_deref(), ca_file.as_deref())?;
            let (shared, keeper) = RedisLimiter::new(store, server, Arc::clone(&local));
            tasks.push(tokio::spawn(keep(keeper)));
            Some(shared)
        }
    };
    tasks.push(tokio::spawn(look_after(store.clone(), Arc::clone(&local), sharers)));
    let limits = Limits { local, shared, spent: Default::default(), degraded: AtomicU64::new(0) };
    Ok((Arc::new(limits), tasks))
}

async fn keep(keeper: LimiterKeeper) {
    let mut away = false;
    let told = move |tried: Result<(), LimiterError>| match tried {
        Ok(()) => {
            if std::mem::replace(&mut away, false) {
                tracing::info!("limits are counted for all nodes together again");
            }
        }
        // Once for each time that it goes away, whatever is said of it meanwhile.
        Err(why) if !std::mem::replace(&mut away, true) => tracing::warn!(
            "limits are not counted for all nodes together, so this one counts its share; trying on: {why}"
        ),
        Err(why) => tracing::debug!("limits are still not counted for all nodes together: {why}"),
    };
    keeper.keep(told).await;
}

/// Counts the nodes that take callers, this one included.
async fn look_after(store: Store, local: Arc<MemoryLimiter>, sharers: Sharers) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        local.tidy();
        // While the store is away, there are as many as there were.
        let Ok(Ok(nodes)) = timeout(COUNTING, store.nodes()).await else { continue };
        let seen_after = clock::now().plus_ms(-LOST_AFTER_MS);
        let takes = |role: &str| Role::parse(role).is_ok_and(Role::takes_callers);
        sharers.set(nodes.iter().filter(|node| node.seen_at > seen_after && takes(&node.role)).count());
    }
}
