//! A ledger in this node's memory: one node at a time may have it.
use super::{OnceOnly, Place};
use crate::outage::Outage;
use doorward_core::live::Live;
use doorward_store::Store;
use doorward_store::ledger::{Clock, LedgerError, MemoryLedger, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often a node that has no ledger tries to get one.
const TRY_EVERY: Duration = Duration::from_secs(1);
const CANT_RENEW: &str = "the lease of the ledger can't be renewed";

/// Where it is, and how large.
pub(super) struct Journal {
    pub(super) folder: PathBuf,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
}

impl Journal {
    async fn open(&self, store: &Store) -> Result<MemoryLedger, LedgerError> {
        MemoryLedger::start(store, &self.folder, self.settings, Arc::clone(&self.clock)).await
    }
}

/// Tries once, so that a node that is alone has its ledger when it begins to listen; then goes on trying, and looks after
/// it, in a task.
pub(super) async fn start(
    journal: Journal,
    store: Store,
    live: Arc<Live>,
    ledger: Arc<OnceOnly>,
) -> JoinHandle<()> {
    let mut told = Told::default();
    let first = journal.open(&store).await;
    let mut opened = told.open(&live, first);
    // Nobody else sets it.
    let put = move |memory: &MemoryLedger| drop(ledger.place.set(Place::Memory(memory.clone())));
    opened.iter().for_each(&put);
    tokio::spawn(async move {
        let memory = loop {
            if let Some(memory) = opened {
                break memory;
            }
            tokio::time::sleep(TRY_EVERY).await;
            opened = told.open(&live, journal.open(&store).await);
            opened.iter().for_each(&put);
        };
        memory.keep(&store, |renewed| told.renewed(&live, renewed)).await;
    })
}

/// What was said already.
#[derive(Default)]
struct Told {
    outage: Outage,
    last: Option<String>,
}

impl Told {
    fn open(&mut self, live: &Live, opened: Result<MemoryLedger, LedgerError>) -> Option<MemoryLedger> {
        match opened {
            Ok(ledger) => {
                if self.last.take().is_some() {
                    tracing::info!("this node keeps the ledger now");
                }
                self.outage.over();
                Some(ledger)
            }
            Err(e) => {
                self.failed(live, "there is no ledger", e);
                None
            }
        }
    }

    fn renewed(&mut self, live: &Live, renewed: Result<(), LedgerError>) {
        match renewed {
            Ok(()) => {
                if self.last.take().is_some() {
                    tracing::info!("the lease of the ledger is renewed again");
                }
                self.outage.over();
            }
            Err(e) => self.failed(live, CANT_RENEW, e),
        }
    }

    /// Once for each reason. That the store is away is told elsewhere.
    fn failed(&mut self, live: &Live, what: &str, e: LedgerError) {
        if let LedgerError::Store(e) = e {
            self.outage.goes_on(live, what, &e);
            return;
        }
        let why = e.to_string();
        if self.last.as_ref() != Some(&why) {
            tracing::error!(
                "{what}, so this node refuses requests that are accepted only once, and serves all others; trying on: {why}"
            );
        }
        self.last = Some(why);
    }
}
