//! The registry of nodes.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::live::Live;
use doorward_core::time::UnixMillis;
use doorward_store::follow::{Follow, follow};
use doorward_store::{Node, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

on_both_engines!(
    nodes_come_tell_more_and_go,
    only_nodes_that_are_long_gone_are_forgotten,
    telling_is_no_change,
    changes_are_obeyed_while_nodes_tell,
);

fn node(id: &str, name: &str, seen_at: i64) -> Node {
    Node {
        id: id.to_owned(),
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        role: "gateway".to_owned(),
        region: None,
        started_at: UnixMillis(NOW.0 - 1_000),
        seen_at: UnixMillis(seen_at),
        seq: 0,
        age_ms: None,
    }
}

async fn ids(store: &Store) -> Vec<String> {
    store.nodes().await.unwrap().into_iter().map(|node| node.id).collect()
}

async fn nodes_come_tell_more_and_go() {
    let place = Place::new();
    let store = place.store().await;
    assert_eq!(store.nodes().await.unwrap(), []);
    let first = node("01", "zoe", NOW.0);
    let second =
        Node { region: Some("us".to_owned()), seq: 5, age_ms: Some(80), ..node("02", "adam", NOW.0) };
    store.put_node(&first).await.unwrap();
    store.put_node(&second).await.unwrap();
    assert_eq!(store.nodes().await.unwrap(), [second.clone(), first.clone()], "by name");

    let later = Node { seen_at: UnixMillis(NOW.0 + 5_000), seq: 9, age_ms: Some(i64::MAX), ..first.clone() };
    store.put_node(&later).await.unwrap();
    assert_eq!(store.nodes().await.unwrap(), [second.clone(), later.clone()], "told anew, and no row more");
    let again = Node { age_ms: None, ..later.clone() };
    store.put_node(&again).await.unwrap();
    assert_eq!(place.store().await.nodes().await.unwrap(), [second, again], "it is the store that remembers");

    // Two of one name are two nodes.
    store.put_node(&node("03", "zoe", NOW.0)).await.unwrap();
    assert_eq!(ids(&store).await, ["02", "01", "03"]);
    store.remove_node("01").await.unwrap();
    store.remove_node("01").await.unwrap();
    assert_eq!(ids(&store).await, ["02", "03"]);
}

async fn only_nodes_that_are_long_gone_are_forgotten() {
    let place = Place::new();
    let store = place.store().await;
    for (id, seen_at) in [("01", NOW.0 - 1), ("02", NOW.0), ("03", NOW.0 + 1), ("04", 0)] {
        store.put_node(&node(id, id, seen_at)).await.unwrap();
    }
    assert_eq!(store.forget_nodes(NOW).await.unwrap(), 2);
    assert_eq!(ids(&store).await, ["02", "03"]);
    assert_eq!(store.forget_nodes(NOW).await.unwrap(), 0);
}

/// A node that tells that it runs changes nothing: not the head, not the change table, and a writer in the midst of a
/// change keeps its number.
async fn telling_is_no_change() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let before = store.head().await.unwrap();
    for beat in 0..20 {
        store.put_node(&node("01", "n", NOW.0 + beat)).await.unwrap();
        store.forget_nodes(UnixMillis(0)).await.unwrap();
    }
    store.remove_node("01").await.unwrap();
    assert_eq!(store.head().await.unwrap(), before);
    assert_eq!(store.changes_after(before.seq, 10).await.unwrap(), []);
    create(&store, "k", "s", None).await;
    assert_eq!(store.head().await.unwrap().seq, before.seq + 1);
    store.check().await.unwrap();
}

/// A look that finds nothing new in the store's files costs no query. Telling writes to the same files, all the time here,
/// and hides no change.
async fn changes_are_obeyed_while_nodes_tell() {
    fn clock() -> u64 {
        NOW.0 as u64
    }
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let (telling, live) = (place.store().await, Arc::new(Live::new(keys())));
    let settings =
        Follow { region: None, poll: Duration::from_millis(10), max_staleness: Duration::from_secs(60) };
    let (tell, mut ready) = watch::channel(false);
    let following = follow(place.store().await, Arc::clone(&live), settings, Arc::default(), clock, tell);
    let following = tokio::spawn(following);
    let telling = tokio::spawn(async move {
        for beat in 0.. {
            telling.put_node(&node("01", "n", NOW.0 + beat)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
    ready.wait_for(|ready| *ready).await.unwrap();
    for n in 0..20 {
        let id = format!("k{n}");
        create(&store, &id, "s", None).await;
        let start = Instant::now();
        while live.directory.get(&id).is_none() {
            assert!(start.elapsed() < Duration::from_secs(5), "{id} is not obeyed");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert_eq!(live.store(), (true, 0), "nobody kept the store from answering");
    assert_eq!(store.nodes().await.unwrap().len(), 1);
    telling.abort();
    following.abort();
}
