//! What a node remembers requests with that are accepted only once. A node whose ledger can't claim serves everything else.
mod memory;
pub(crate) mod redis;
mod told;

use crate::config::{Config, LedgerPlace};
use crate::{Failure, clock};
use doorward_core::live::Live;
use doorward_core::ports::{Claim, Claiming, Ledger, Once, Share};
use doorward_core::time::UnixMillis;
use doorward_store::Store;
use doorward_store::ledger::{Clock, MemoryLedger, RedisLedger};
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a node that stops tries to let go of its ledger.
const LEAVING: Duration = Duration::from_secs(2);

/// What a claim may come to, as metrics name it.
pub(crate) const OUTCOMES: [&str; 9] = [
    "new",
    "replayed",
    "credential_full",
    "workspace_full",
    "ledger_full",
    "too_early",
    "too_late",
    "fenced",
    "unavailable",
];

fn outcome(claim: &Claim) -> usize {
    match claim {
        Claim::New => 0,
        Claim::Replayed => 1,
        Claim::Full(Share::Credential) => 2,
        Claim::Full(Share::Workspace) => 3,
        Claim::Full(Share::Ledger) => 4,
        Claim::TooEarly { .. } => 5,
        Claim::TooLate { .. } => 6,
        Claim::Fenced { .. } => 7,
        Claim::Unavailable => 8,
    }
}

/// How a ledger is, for metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    /// Whether it can claim at the moment.
    pub(crate) up: bool,
    /// Requests that are remembered.
    pub(crate) entries: u64,
    /// What is dated earlier is refused; `None`: nothing is.
    pub(crate) fence: Option<UnixMillis>,
    /// Claims so far, in the order of [`OUTCOMES`].
    pub(crate) claims: [u64; OUTCOMES.len()],
}

/// The ledger of a node, as soon as it has one: until then nothing can be claimed.
#[derive(Default)]
pub(crate) struct OnceOnly {
    place: OnceLock<Place>,
    claims: [AtomicU64; OUTCOMES.len()],
}

enum Place {
    Memory(MemoryLedger),
    Redis(RedisLedger),
}

impl OnceOnly {
    fn told(&self, claim: Claim) -> Claim {
        self.claims[outcome(&claim)].fetch_add(1, Relaxed);
        claim
    }

    /// How it is.
    pub(crate) fn status(&self) -> Status {
        let (up, entries, fence) = match self.place.get() {
            None => (false, 0, UnixMillis(i64::MIN)),
            Some(Place::Memory(ledger)) => (ledger.is_up(), ledger.entries() as u64, ledger.fence()),
            Some(Place::Redis(ledger)) => (ledger.is_up(), ledger.entries(), ledger.fence()),
        };
        let claims = std::array::from_fn(|at| self.claims[at].load(Relaxed));
        Status { up, entries, fence: (fence.0 > 0).then_some(fence), claims }
    }
}

impl Ledger for OnceOnly {
    fn claim<'c>(&'c self, once: &'c Once) -> Claiming<'c> {
        match self.place.get() {
            None => Box::pin(ready(self.told(Claim::Unavailable))),
            Some(Place::Memory(ledger)) => {
                Box::pin(async move { self.told(ledger.claim_with_others(once).await) })
            }
            Some(Place::Redis(ledger)) => Box::pin(async move { self.told(ledger.claim(once).await) }),
        }
    }
}

/// A ledger, and what looks after it.
pub(crate) struct Running {
    /// What callers' requests are claimed with.
    pub(crate) ledger: Arc<OnceOnly>,
    keeping: Option<JoinHandle<()>>,
}

/// Starts the ledger that the settings name. Where it can't be had yet, a task goes on trying.
///
/// # Errors
/// What no waiting can mend.
pub(crate) async fn start(config: &Config, store: &Store, live: &Arc<Live>) -> Result<Running, Failure> {
    let ledger = Arc::new(OnceOnly::default());
    let (settings, now): (_, Clock) = (config.ledger.settings, Arc::new(clock::now));
    let keeping = match &config.ledger.place {
        LedgerPlace::Memory { journal: Some(folder) } => {
            let journal = memory::Journal { folder: folder.clone(), settings, clock: now };
            Some(memory::start(journal, store.clone(), Arc::clone(live), Arc::clone(&ledger)).await)
        }
        LedgerPlace::Memory { journal: None } => {
            tracing::warn!(
                "this node can't remember which requests it accepted, so it refuses those that are accepted only once; \
                 name a server for all nodes ([ledger] url = \"redis://host:port/database\"), or, for one node alone, a \
                 folder ([ledger] journal = \"/var/lib/doorward/ledger\")"
            );
            None
        }
        LedgerPlace::Redis { url, password_file, ca_file } => {
            let server = redis::server(url, password_file.as_deref(), ca_file.as_deref())?;
            let (shared, keeper) = RedisLedger::new(store, server, settings, now);
            // Nobody else sets it.
            let _ = ledger.place.set(Place::Redis(shared));
            Some(redis::start(keeper, Arc::clone(live)).await?)
        }
    };
    Ok(Running { ledger, keeping })
}

impl Running {
    /// Lets go of it, so that another node need not wait. Nothing is claimed any more.
    pub(crate) async fn stop(self, store: &Store) {
        self.keeping.iter().for_each(JoinHandle::abort);
        match self.ledger.place.get() {
            Some(Place::Memory(ledger)) => match timeout(LEAVING, ledger.stop(store)).await {
                Ok(Ok(())) => (),
                Ok(Err(e)) => {
                    tracing::warn!("the lease of the ledger can't be given back, and ends by itself: {e}")
                }
                Err(_) => tracing::warn!("the store is away: the lease of the ledger ends by itself"),
            },
            // Other nodes may go on with it.
            Some(Place::Redis(_)) | None => (),
        }
    }
}
