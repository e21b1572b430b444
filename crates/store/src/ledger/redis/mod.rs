//! The ledger of many nodes, on a Redis server. One script claims, in one atomic step and by the server's clock.
//!
//! What the data are worth is agreed in the store. The lease of the ledger names the server's start (its run id) and
//! database, so that one ledger is in force at a time; under it, the data bear a mark, which every claim names. Where turn,
//! mark or history of replication are not what the store knows, something may be lost: the data are marked anew, and the
//! fence rises past all that may have been accepted. A node that can't renew the lease claims nothing after its end.
mod address;
mod agreed;
mod fitness;
mod keeper;
mod link;
mod script;

use super::reach::Reach;
use super::term::Term;
use super::{Clock, Settings};
use crate::Store;
use doorward_core::ports::{Claim, Claiming, Ledger, Once};
use doorward_core::time::UnixMillis;
use link::Link;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use tokio::sync::{mpsc, oneshot, watch};

pub use address::Address;
pub use keeper::Keeper;
pub use link::look_at;
pub(crate) use link::{client, fit};

/// Claims that wait to be sent; more are refused.
const QUEUE: usize = 16_384;

/// A server, and how to get in.
#[derive(Clone)]
pub struct Server {
    address: Address,
    password: Option<String>,
    ca_pem: Option<Vec<u8>>,
    clock: script::Clock,
}

impl Server {
    /// At an address, with its password if it asks for one. With TLS, its certificate hangs on one of the authorities in
    /// `ca_pem`, or of the system's.
    #[must_use]
    pub fn new(address: Address, password: Option<String>, ca_pem: Option<Vec<u8>>) -> Server {
        Server { address, password, ca_pem, clock: script::Clock::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The same, with a clock that tests set.
    #[cfg(test)]
    pub(super) fn by_hand(self) -> Server {
        Server { clock: script::Clock::ByHand, ..self }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.address)
    }
}

/// A claim on its way.
struct Asked {
    once: Once,
    answer: oneshot::Sender<Claim>,
}

/// A connection on which claims can be made, under the mark of the data.
struct Ready {
    link: Link,
    mark: String,
    turn: i64,
}

struct Shared {
    store: Store,
    server: Server,
    settings: Settings,
    clock: Clock,
    term: Term,
    reach: Reach,
    ready: watch::Sender<Option<Arc<Ready>>>,
    entries: AtomicU64,
    fence: AtomicI64,
}

/// Remembers on a server, for all nodes of a store. Clones share it. Its [`Keeper`] has to run.
#[derive(Clone)]
pub struct RedisLedger {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Asked>,
}

impl std::fmt::Debug for RedisLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisLedger({})", self.shared.server.address)
    }
}

impl RedisLedger {
    /// The ledger of a store on a server, and who looks after it. Nothing is begun yet.
    #[must_use]
    pub fn new(store: &Store, server: Server, settings: Settings, clock: Clock) -> (RedisLedger, Keeper) {
        let shared = Arc::new(Shared {
            store: store.clone(),
            server,
            settings,
            clock,
            term: Term::over(),
            reach: Reach::new(i64::from(settings.skew_ms)),
            ready: watch::Sender::new(None),
            entries: AtomicU64::new(0),
            fence: AtomicI64::new(0),
        });
        let (queue, asked) = mpsc::channel(QUEUE);
        (RedisLedger { shared: Arc::clone(&shared), queue }, Keeper::new(shared, asked))
    }

    /// Whether it can claim at the moment.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.is_up()
    }

    /// Requests that are remembered, of all nodes, as of a few seconds ago.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.shared.entries.load(Relaxed)
    }

    /// What is signed with an earlier date is refused, as of a few seconds ago.
    #[must_use]
    pub fn fence(&self) -> UnixMillis {
        UnixMillis(self.shared.fence.load(Relaxed))
    }

    async fn send(&self, once: Once) -> Claim {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Asked { once, answer }) {
            Ok(()) => answered.await.unwrap_or(Claim::Unavailable),
            Err(_) => Claim::Unavailable,
        }
    }
}

impl Ledger for RedisLedger {
    fn claim<'c>(&'c self, once: &'c Once) -> Claiming<'c> {
        if !self.shared.is_up() {
            return Box::pin(ready(Claim::Unavailable));
        }
        if self.shared.reach.covers(&once.window) {
            return Box::pin(self.send(*once));
        }
        Box::pin(async move {
            self.shared.reach.ask(&once.window).await;
            self.send(*once).await
        })
    }
}

impl Shared {
    fn leased(&self) -> bool {
        self.term.holds((self.clock)())
    }

    fn is_up(&self) -> bool {
        self.ready.borrow().is_some() && self.leased()
    }
}
