//! Many writers, and whoever follows them.
use crate::place::on_both_engines;
use crate::support::*;
use std::time::{Duration, Instant};

on_both_engines!(every_change_is_seen_once_and_in_order, writes_are_quick);

const WRITERS: usize = 8;
const WRITES: usize = 25;
/// From so many writes on, the bounds of speed are held to.
const MANY: usize = 1_000;

/// Nothing is skipped and nothing is early, however writers get in each other's way.
async fn every_change_is_seen_once_and_in_order() {
    let place = Place::new();
    let reader = place.store().await;
    let start = put_policy(&reader).await;
    let end = start + (WRITERS * WRITES) as i64;
    let mut writers = Vec::new();
    for task in 0..WRITERS {
        // Each with connections of its own, as several processes have.
        let store = place.store().await;
        writers.push(tokio::spawn(async move {
            for n in 0..WRITES {
                create(&store, &format!("{task}-{n}"), "s", None).await;
            }
        }));
    }
    let mut last = start;
    let started = Instant::now();
    while last < end {
        assert!(started.elapsed() < Duration::from_secs(60), "{last} of {end}");
        let head = reader.head().await.unwrap().seq;
        let seen = reader.changes_after(last, 1_000).await.unwrap();
        assert!(head <= last + seen.len() as i64, "the head counted a change that is not there");
        for change in seen {
            assert_eq!(change.seq, last + 1);
            last = change.seq;
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(reader.check().await.unwrap().changes, end);
}

/// `DOORWARD_N` tells how many credentials are created; from a thousand on, 300 a second on a file and 500 on a server
/// are the least.
#[allow(clippy::print_stdout, reason = "figures are what a long run is for")]
async fn writes_are_quick() {
    let n: usize = std::env::var("DOORWARD_N").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let place = Place::new();
    let stores = [place.store().await, place.store().await, place.store().await, place.store().await];
    put_policy(&stores[0]).await;
    let started = Instant::now();
    let writers = stores.into_iter().enumerate().map(|(task, store)| {
        tokio::spawn(async move {
            for n in 0..n / 4 {
                create(&store, &format!("{task}-{n}"), "s", None).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let rate = n as f64 / started.elapsed().as_secs_f64();
    let least = if place.db().is_server() { 500.0 } else { 300.0 };
    println!("{n} credentials by four writers: {rate:.0} a second");
    assert!(n < MANY || rate >= least, "{rate:.0} a second");
}
