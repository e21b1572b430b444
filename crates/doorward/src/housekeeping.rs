//! What is over is taken out of the store, by the nodes whose role that is.
use crate::clock;
use crate::outage::Outage;
use doorward_core::live::Live;
use doorward_core::time::UnixMillis;
use doorward_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How often. Secrets that may no longer be shown are not shown in between either.
const EVERY: Duration = Duration::from_secs(60);
/// A node that was not seen for so many milliseconds is no longer of interest: a day.
const FORGET_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

/// Looks after the store, for ever. Several nodes may do so at once.
pub(crate) async fn keep(store: Store, live: Arc<Live>) {
    let (mut erasing, mut forgetting) = (Outage::default(), Outage::default());
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        let now = clock::now();
        match store.erase_closed(now).await {
            Ok(_) => erasing.over(),
            Err(e) => erasing.goes_on(&live, "secrets that may no longer be shown can't be erased", &e),
        }
        match forget(&store, now).await {
            Ok(()) => forgetting.over(),
            Err(e) => forgetting.goes_on(&live, "nodes that are long gone can't be taken off the list", &e),
        }
    }
}

async fn forget(store: &Store, now: UnixMillis) -> Result<(), StoreError> {
    let gone = store.forget_nodes(UnixMillis(now.0.saturating_sub(FORGET_AFTER_MS))).await?;
    if gone > 0 {
        tracing::info!("{gone} nodes that were not seen for a day are off the list");
    }
    Ok(())
}
