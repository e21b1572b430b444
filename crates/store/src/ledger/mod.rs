//! The ledger: what may be used only once. Of one node: in memory, and in a journal for whoever comes after. Of many: on a
//! Redis server.
//!
//! What holds it together is the fence, a date: what is signed with an earlier one is refused, because it is not known any
//! more whether it was claimed. It rises as dates get too old for anybody; and it rises past the present where what was
//! claimed is lost. Whoever signs anew after that date is let in.
mod journal;
mod lease;
mod memory;
mod owners;
mod reach;
mod record;
mod recover;
mod redis;
mod start;
mod table;
mod term;
#[cfg(test)]
pub(crate) mod tests;

use doorward_core::ports::{Claim, Claiming, Ledger, Once};
use doorward_core::time::UnixMillis;
use journal::Journal;
use memory::Memory;
use reach::Reach;
use std::fs::File;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::task::Poll;
use term::Term;

pub use lease::{LEASE_MS, Lease, RENEW_MS};
pub use redis::{
    Address as RedisAddress, Keeper, RedisLedger, Server as RedisServer, look_at as look_at_redis,
};
pub(crate) use redis::{client as redis_client, fit as redis_fit};

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Requests remembered at one time.
    pub entries: usize,
    /// Of these, at most so many of one workspace.
    pub workspace_entries: usize,
    /// Of these, at most so many of one credential.
    pub credential_entries: usize,
    /// How far a request's date may be from the time, in milliseconds, for a start: where an API allows more, the ledger
    /// learns that from its first request, and has the store remember it. After a loss, dates up to then and so much
    /// later are refused.
    pub skew_ms: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            entries: 4_000_000,
            workspace_entries: 3_000_000,
            credential_entries: 2_000_000,
            skew_ms: 300_000,
        }
    }
}

/// What time it is, as requests are judged.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Why there is no ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process has the folder.
    #[error("the journal folder {0} is in use by another process: each node takes a folder of its own")]
    FolderTaken(PathBuf),
    /// Another ledger has the lease.
    #[error(
        "another ledger is in force for this store, that of another node's memory, or of another Redis server or an earlier \
         start of it: a node that shall run beside others needs the ledger that they share ([ledger] url = \
         \"redis://host:port/database\" on each); a ledger that nobody uses any more lets go after {} s",
        LEASE_MS / 1000
    )]
    HeldElsewhere,
    /// The server is none that can hold a ledger.
    #[error("the Redis server {server} can't hold the ledger: {why}")]
    Unfit {
        /// Its address.
        server: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The server does not do what it is asked.
    #[error("the Redis server {server} does not answer: {why}")]
    Away {
        /// Its address.
        server: String,
        /// The reason.
        why: String,
    },
    /// The folder can't be used.
    #[error("the journal folder {folder} can't be used: {why}")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// The reason.
        why: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::StoreError),
}

/// Remembers in memory, for the one node that holds the store's lease. Clones share it.
#[derive(Clone)]
pub struct MemoryLedger(Arc<Inner>);

struct Inner {
    memory: Memory,
    journal: Journal,
    clock: Clock,
    folder: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
    holder: String,
    turn: AtomicI64,
    term: Term,
    reach: Reach,
}

impl std::fmt::Debug for MemoryLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryLedger({})", self.0.folder.display())
    }
}

impl Ledger for MemoryLedger {
    fn claim<'c>(&'c self, once: &'c Once) -> Claiming<'c> {
        Box::pin(self.claim_with_others(once))
    }
}

/// Lets others have their turn.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl MemoryLedger {
    /// The same as [`Ledger::claim`], without a box: for who puts it into a future of its own.
    pub async fn claim_with_others(&self, once: &Once) -> Claim {
        if !self.0.reach.covers(&once.window) {
            self.0.reach.ask(&once.window).await;
            return self.claim_now(once);
        }
        match self.0.begin_claim(once) {
            Err(claim) => claim,
            Ok(batch) => {
                // Whoever is ready on this core goes first, so that one write serves all.
                yield_once().await;
                self.0.end_claim(once, &batch)
            }
        }
    }

    /// The same as [`Ledger::claim`], without giving way to others.
    #[must_use]
    pub fn claim_now(&self, once: &Once) -> Claim {
        match self.0.begin_claim(once) {
            Err(claim) => claim,
            Ok(batch) => self.0.end_claim(once, &batch),
        }
    }

    /// What is signed with an earlier date is refused.
    #[must_use]
    pub fn fence(&self) -> UnixMillis {
        self.0.memory.fence()
    }

    /// Whether it can claim at the moment.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.term.holds((self.0.clock)())
    }

    /// Requests that are remembered.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.0.memory.entries()
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.memory.bytes()
    }

    /// Forgets what is over, in memory and on the disk. Called now and then.
    pub fn tidy(&self) {
        self.0.memory.sweep((self.0.clock)());
        if let Err(e) = self.0.journal.tidy(self.fence()) {
            tracing::warn!(journal = %self.0.folder.display(), error = %e, "the journal can't be tidied");
        }
    }
}

impl Inner {
    fn begin_claim(&self, once: &Once) -> Result<Arc<journal::Batch>, Claim> {
        let now = (self.clock)();
        if !self.term.holds(now) || !self.reach.covers(&once.window) {
            return Err(Claim::Unavailable);
        }
        self.memory.claim(once, now)?;
        Ok(self.journal.enter(once))
    }

    fn end_claim(&self, once: &Once, batch: &journal::Batch) -> Claim {
        if self.journal.settle(batch, self.memory.fence()) {
            return Claim::New;
        }
        self.memory.take_back(once);
        Claim::Unavailable
    }
}
