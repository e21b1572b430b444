//! A node tells the store that it runs. Whatever becomes of that, nothing else is disturbed.
use crate::config::Config;
use crate::outage::Outage;
use crate::{clock, random};
use doorward_core::live::Live;
use doorward_gateway::monotonic_ms;
use doorward_store::{Node, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often a node tells that it runs.
const EVERY: Duration = Duration::from_secs(5);
/// How long telling may take: longer than the store waits for other writers.
const TELLING: Duration = Duration::from_secs(8);
/// How long a node that stops tries to take itself off the list.
const LEAVING: Duration = Duration::from_secs(2);
/// A node on a store that was moved says so again after so many times of telling that it runs: every minute.
const MOVED_TOLD_EVERY: u32 = 12;
const CANT_TELL: &str = "the store can't be told that this node runs";

/// The task that tells.
pub(crate) struct Heartbeat {
    leave: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Heartbeat {
    /// Tells at once, again when `ready` becomes true, and then every few seconds.
    pub(crate) fn start(
        config: &Config,
        store: Store,
        live: Arc<Live>,
        ready: watch::Receiver<bool>,
    ) -> Heartbeat {
        let now = clock::now();
        let node = Node {
            id: new_id(),
            name: config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: config.role.name().to_owned(),
            region: config.region.clone(),
            started_at: now,
            seen_at: now,
            seq: 0,
            age_ms: None,
        };
        let (leave, left) = oneshot::channel();
        Heartbeat { leave, task: tokio::spawn(beat(store, live, node, ready, left)) }
    }

    /// Takes the node off the list. A store that is away does not hold up the end for long.
    pub(crate) async fn leave(mut self) {
        // A task that has ended hears nothing any more, which is what the next line finds.
        let _ = self.leave.send(());
        if timeout(LEAVING, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the store is away: this node stays on the list, as one that was lost");
        }
    }
}

async fn beat(
    store: Store,
    live: Arc<Live>,
    mut node: Node,
    mut ready: watch::Receiver<bool>,
    mut left: oneshot::Receiver<()>,
) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut outage, mut since_told) = (Outage::default(), 0);
    loop {
        tokio::select! {
            _ = &mut left => break,
            _ = every.tick() => (),
            Ok(()) = ready.changed() => (),
        }
        node.seen_at = clock::now();
        node.seq = live.seq();
        node.age_ms = live.age_ms(monotonic_ms()).map(|age| i64::try_from(age).unwrap_or(i64::MAX));
        match timeout(TELLING, store.put_node(&node)).await {
            Ok(Ok(())) => {
                outage.over();
                warn_if_moved(&store, &mut since_told).await;
            }
            Ok(Err(e)) => {
                outage.goes_on(&live, CANT_TELL, &e);
            }
            Err(_) => {
                outage.goes_on(&live, CANT_TELL, &"it did not answer in time");
            }
        }
    }
    if let Err(e) = store.remove_node(&node.id).await {
        tracing::warn!("this node can't be taken off the list of nodes: {e}");
    }
}

/// A store that was moved answers for ever and never changes again: what is blocked at the new one stays open here. Only
/// people can tell how long that may last.
async fn warn_if_moved(store: &Store, since_told: &mut u32) {
    let Ok(Ok(Some(elsewhere))) = timeout(TELLING, store.moved_to()).await else { return };
    if *since_told == 0 {
        tracing::warn!(
            "the store was moved to {elsewhere}, and this node still obeys the old one: it learns of no change any more, \
             not even of a key that is blocked; name the new store in its settings (`store.url`) and start it again"
        );
    }
    *since_told = (*since_told + 1) % MOVED_TOLD_EVERY;
}

/// 128 random bits in hexadecimal digits.
fn new_id() -> String {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_128_bits_and_differ() {
        let ids: std::collections::HashSet<String> = (0..100).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
