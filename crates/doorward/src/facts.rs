//! What the gateway learns about credentials on the way is written down now and then, not with each request.
use crate::outage::Outage;
use doorward_core::live::Live;
use doorward_core::observed::Observed;
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

/// Rows written in one transaction, about.
const BATCH_ROWS: usize = 500;

/// Gathers facts, all about one credential in one place, and writes them down, until nobody sends any more. While there is
/// no store, as many wait as there are credentials, each with the APIs that it called.
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
    waiting: &mut HashMap<Option<String>, doorward_store::Fact>,
) -> Result<(), StoreError> {
    let mut all: Vec<_> = waiting.values().cloned().collect();
    // Nodes that write down the same credentials take them in the same order, and never wait for each other in a circle.
    all.sort_unstable_by(|a, b| a.credential.cmp(&b.credential));
    let mut left = &all[..];
    while !left.is_empty() {
        let (batch, rest) = left.split_at(batch(left));
        // Where nobody can tell whether it was written, it is written again: calls may then count twice, but none is lost.
        store.record(batch).await?;
        for fact in batch {
            waiting.remove(&fact.credential);
        }
        left = rest;
    }
    Ok(())
}

/// How many rows are written for what was seen of the calls to one API.
fn rows_of(seen: &Observed) -> usize {
    seen.refused.iter().map(|refused| 1 + refused.samples.len()).sum::<usize>().max(1)
}

/// How many of these facts are written in one transaction: one at least.
fn batch(facts: &[doorward_store::Fact]) -> usize {
    let mut rows = 0;
    let fitting = facts.iter().take_while(|fact| {
        rows += 1 + fact.observed.iter().map(rows_of).sum::<usize>();
        rows <= BATCH_ROWS
    });
    fitting.count().max(1)
}

fn note(waiting: &mut HashMap<Option<String>, doorward_store::Fact>, fact: Fact) {
    let Fact { credential, at, exposed_at, mut observed } = fact;
    match waiting.entry(credential.as_deref().map(str::to_owned)) {
        Entry::Vacant(place) => {
            // Nodes take the rows of one credential in the same order, too.
            observed.sort_unstable_by(|a, b| a.api.cmp(&b.api));
            let credential = place.key().clone();
            place.insert(doorward_store::Fact { credential, last_used: at, exposed_at, observed });
        }
        Entry::Occupied(mut known) => {
            let known = known.get_mut();
            known.last_used = known.last_used.max(at);
            known.exposed_at = known.exposed_at.max(exposed_at);
            for seen in observed {
                match known.observed.binary_search_by(|o| o.api.cmp(&seen.api)) {
                    Ok(there) => known.observed[there].add(&seen),
                    Err(place) => known.observed.insert(place, seen),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::observed::Refused;
    use doorward_core::policy::Rule;
    use doorward_core::time::UnixMillis;

    fn fact(id: &str, at: i64, exposed_at: Option<i64>, observed: &[(&str, u64)]) -> Fact {
        let at = UnixMillis(at);
        let seen = |(api, calls): &(&str, u64)| {
            if *calls == 0 {
                return Observed { signed_at: Some(at), ..Observed::nothing(api) };
            }
            let (first_at, last_at) = (Some(at), Some(at));
            let refused = Refused { calls: *calls, first_at, last_at, ..Refused::nothing(Rule::Signatures) };
            Observed { refused: vec![refused], ..Observed::nothing(api) }
        };
        Fact {
            credential: Some(id.into()),
            at,
            exposed_at: exposed_at.map(UnixMillis),
            observed: observed.iter().map(seen).collect(),
        }
    }

    #[test]
    fn the_latest_of_each_credential_is_kept() {
        let mut waiting = HashMap::new();
        for (id, at, exposed_at) in [("a", 5, Some(4)), ("b", 6, None), ("a", 9, None), ("a", 7, None)] {
            note(&mut waiting, fact(id, at, exposed_at, &[]));
        }
        assert_eq!(waiting.len(), 2);
        let of = |id: &str| &waiting[&Some(id.to_owned())];
        let a = of("a");
        assert_eq!((a.last_used, a.exposed_at), (UnixMillis(9), Some(UnixMillis(4))));
        assert_eq!(of("b").exposed_at, None);
    }

    #[test]
    fn calls_without_a_signature_add_up_for_each_api() {
        let mut waiting = HashMap::new();
        note(&mut waiting, fact("a", 5, None, &[("shop", 2), ("club", 1)]));
        note(&mut waiting, fact("a", 9, None, &[("shop", 3), ("till", 4), ("club", 0)]));
        let a: Vec<_> = waiting[&Some("a".to_owned())]
            .observed
            .iter()
            .map(|o| {
                let r = &o.refused[0];
                (&*o.api, r.calls, r.first_at.map(|t| t.0), r.last_at.map(|t| t.0), o.signed_at.map(|t| t.0))
            })
            .collect();
        assert_eq!(
            a,
            [
                ("club", 1, Some(5), Some(5), Some(9)),
                ("shop", 5, Some(5), Some(9), None),
                ("till", 4, Some(9), Some(9), None)
            ]
        );
        // A transaction stays small, whoever calls how many APIs.
        let apis: Vec<String> = (0..600).map(|n| format!("api{n}")).collect();
        let many: Vec<_> = apis.iter().map(|api| (&**api, 1)).collect();
        let mut all: Vec<_> = waiting.into_values().collect();
        assert_eq!(batch(&all), 1);
        let mut waiting = HashMap::new();
        note(&mut waiting, fact("b", 5, None, &many));
        all.splice(0..0, waiting.into_values());
        assert_eq!((batch(&all), batch(&all[1..])), (1, 1));
        let mut waiting = HashMap::new();
        (0..600).for_each(|n| note(&mut waiting, fact(&n.to_string(), 5, None, &[("shop", 1)])));
        assert_eq!(batch(&waiting.into_values().collect::<Vec<_>>()), BATCH_ROWS / 2);
    }
}
