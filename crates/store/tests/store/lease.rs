//! A lease has one holder.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_store::ledger::Lease;
use std::collections::HashSet;

on_both_engines!(a_lease_has_one_holder_and_counts_them, of_many_who_ask_at_once_one_has_it);

async fn a_lease_has_one_holder_and_counts_them() {
    let place = Place::new();
    let store = place.store().await;
    let first = Some(Lease { turn: 1, first: true });
    assert_eq!(store.take_lease("l", "a").await.unwrap(), first);
    assert_eq!(store.take_lease("l", "a").await.unwrap(), Some(Lease { turn: 1, first: false }));
    assert_eq!(store.take_lease("l", "b").await.unwrap(), None);
    assert_eq!(store.take_lease("m", "b").await.unwrap(), first);
    store.end_lease("l", "b").await.unwrap();
    assert_eq!(store.take_lease("l", "b").await.unwrap(), None, "it was not b's to end");
    store.end_lease("l", "a").await.unwrap();
    assert_eq!(store.take_lease("l", "b").await.unwrap(), Some(Lease { turn: 2, first: false }));
    assert_eq!(store.take_lease("l", "a").await.unwrap(), None);
    // A holder that vanished: its lease ends by the store's clock.
    let until = "SELECT CAST(until AS TEXT) FROM lease WHERE name = 'l'";
    let until: i64 = ask(&place.db(), until).await[0].parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let left = until - i64::try_from(now).unwrap();
    assert!((50_000..=61_000).contains(&left), "{left}");
    sql(&place.db(), "UPDATE lease SET until = until - 61000").await;
    assert_eq!(store.take_lease("l", "a").await.unwrap(), Some(Lease { turn: 3, first: false }));
    store.close().await;
}

async fn of_many_who_ask_at_once_one_has_it() {
    let place = Place::new();
    for round in 1..=20 {
        let mut tasks = Vec::new();
        for n in 0..8 {
            let store = place.store().await;
            tasks.push(tokio::spawn(async move {
                let holder = format!("{round}-{n}");
                let taken = store.take_lease("l", &holder).await.unwrap();
                store.close().await;
                taken
            }));
        }
        let mut turns = HashSet::new();
        for task in tasks {
            turns.extend(task.await.unwrap().map(|lease| lease.turn));
        }
        assert_eq!(turns, HashSet::from([round]));
        sql(&place.db(), "UPDATE lease SET until = 0").await;
    }
}
