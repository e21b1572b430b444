//! A ledger in this node's memory: one node at a time may have it.
use super::told::Told;
use super::{OnceOnly, Place};
use doorward_core::live::Live;
use doorward_store::Store;
use doorward_store::ledger::{Clock, LedgerError, MemoryLedger, Settings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often a node that has no ledger tries to get one.
const TRY_EVERY: Duration = Duration::from_secs(1);

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
    let mut opened = told.of(&live, journal.open(&store).await);
    // Nobody else sets it.
    let put = move |memory: &MemoryLedger| drop(ledger.place.set(Place::Memory(memory.clone())));
    opened.iter().for_each(&put);
    tokio::spawn(async move {
        let memory = loop {
            if let Some(memory) = opened {
                break memory;
            }
            tokio::time::sleep(TRY_EVERY).await;
            opened = told.of(&live, journal.open(&store).await);
            opened.iter().for_each(&put);
        };
        memory
            .keep(&store, |renewed| {
                told.of(&live, renewed);
            })
            .await;
    })
}
