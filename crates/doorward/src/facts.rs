//! What the gateway learns about credentials on the way is written down now and then, not with each request.
use crate::outage::Outage;
use doorward_core::live::Live;
use doorward_gateway::Fact;
use doorward_store::{Store, StoreError};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// How often it is written down.
const EVERY: Duration = Duration::from_secs(2);
/// Most facts that wait; what comes on top is dropped, and learned again with the next request.
pub(crate) const QUEUE: usize = 16_384;

/// Facts written down in one transaction.
const BATCH: usize = 500;

/// Gathers facts, the latest of each credential, and writes them down, until nobody sends any more.
pub(crate) async fn keep(store: Store, live: Arc<Live>, mut facts: Receiver<Fact>) {
    let mut waiting = HashMap::new();
    let mut outage = Outage::default();
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let last = tokio::select! {
            fact = facts.recv() => match fact {
                Some(fact) => { note(&mut waiting, fact); continue }
                None => true,
            },
            _ = every.tick() => false,
        };
        if !waiting.is_empty() {
            match write_down(&store, &mut waiting).await {
                Ok(()) => outage.over(),
                Err(e) => outage.goes_on(&live, "when credentials were used can't be written down", &e),
            }
        }
        if last {
            return;
        }
    }
}

/// Writes down what waits, in small transactions: after a while without a store there may be a million, and whoever wants
/// to block a credential must not wait for all of them.
async fn write_down(
    store: &Store,
    waiting: &mut HashMap<String, doorward_store::Fact>,
) -> Result<(), StoreError> {
    let mut all: Vec<_> = waiting.values().cloned().collect();
    // Nodes that write down the same credentials take them in the same order, and never wait for each other in a circle.
    all.sort_unstable_by(|a, b| a.credential.cmp(&b.credential));
    for batch in all.chunks(BATCH) {
        store.record(batch).await?;
        for fact in batch {
            waiting.remove(&fact.credential);
        }
    }
    Ok(())
}

fn note(waiting: &mut HashMap<String, doorward_store::Fact>, fact: Fact) {
    let exposed_at = fact.exposed_at;
    match waiting.entry(fact.credential.to_string()) {
        Entry::Vacant(place) => {
            let credential = place.key().clone();
            place.insert(doorward_store::Fact { credential, last_used: fact.at, exposed_at });
        }
        Entry::Occupied(mut known) => {
            let known = known.get_mut();
            known.last_used = known.last_used.max(fact.at);
            known.exposed_at = known.exposed_at.max(exposed_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::time::UnixMillis;

    #[test]
    fn the_latest_of_each_credential_is_kept() {
        let mut waiting = HashMap::new();
        for (id, at, exposed_at) in [("a", 5, Some(4)), ("b", 6, None), ("a", 9, None), ("a", 7, None)] {
            note(
                &mut waiting,
                Fact {
                    credential: id.into(),
                    at: UnixMillis(at),
                    exposed_at: exposed_at.map(UnixMillis),
                    unsigned: Vec::new(),
                },
            );
        }
        assert_eq!(waiting.len(), 2);
        let a = &waiting["a"];
        assert_eq!((a.last_used, a.exposed_at), (UnixMillis(9), Some(UnixMillis(4))));
        assert_eq!(waiting["b"].exposed_at, None);
    }
}
