//! Tries in vain are counted by all nodes together, and outlive a start.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::guessing::{Delays, FORGOTTEN_AFTER_MS, GuessKey, Network};
use doorward_core::time::UnixMillis;
use doorward_store::Store;

on_both_engines!(tries_in_vain_make_the_next_one_wait, nodes_count_together, what_is_long_ago_is_forgotten,);

fn who(store: &Store, name: &str, last: u8) -> GuessKey {
    store.keys().guess_key(name, Network::V4([192, 0, 2, last]))
}

async fn allowed(store: &Store, who: GuessKey, now: UnixMillis) -> Option<UnixMillis> {
    store.guess_allowed(who, &Delays::default(), now).await.unwrap()
}

async fn failed(store: &Store, who: GuessKey, now: UnixMillis) -> Option<UnixMillis> {
    store.guess_failed(who, &Delays::default(), now).await.unwrap()
}

async fn tries_in_vain_make_the_next_one_wait() {
    let place = Place::new();
    let store = place.store().await;
    let ann = who(&store, "ann", 1);
    for _ in 0..5 {
        assert_eq!(allowed(&store, ann, NOW).await, None);
        assert_eq!(failed(&store, ann, NOW).await, None);
    }
    let mut now = NOW;
    for wait_ms in [1_000, 2_000, 4_000] {
        let until = Some(now.plus_ms(wait_ms));
        assert_eq!((failed(&store, ann, now).await, allowed(&store, ann, now).await), (until, until));
        now = now.plus_ms(wait_ms);
        assert_eq!(allowed(&store, ann, now.plus_ms(-1)).await, until);
        assert_eq!(allowed(&store, ann, now).await, None);
    }
    failed(&store, ann, now).await;
    // Nobody keeps ann out from elsewhere, nor others from here.
    for other in [who(&store, "ann", 2), who(&store, "bob", 1)] {
        assert_eq!(allowed(&store, other, now).await, None);
    }
    // A start forgets nothing, and nothing that can be read is written down.
    let again = place.store().await;
    assert_eq!(allowed(&again, ann, now).await, Some(now.plus_ms(8_000)));
    let kept = ask(&place.db(), "SELECT who FROM guess").await;
    assert_eq!(kept, [ann.to_string()]);
    assert!(kept[0].len() == 32 && kept[0].bytes().all(|b| b.is_ascii_hexdigit()));
    // Whoever gets it right begins anew.
    again.guess_succeeded(ann).await.unwrap();
    again.guess_succeeded(ann).await.unwrap();
    assert_eq!((allowed(&store, ann, now).await, failed(&store, ann, now).await), (None, None));
    assert_eq!(ask(&place.db(), "SELECT CAST(failures AS TEXT) FROM guess").await, ["1"]);
}

async fn nodes_count_together() {
    let place = Place::new();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let store = place.store().await;
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                failed(&store, who(&store, "nobody has this name", 1), NOW).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(ask(&place.db(), "SELECT CAST(failures AS TEXT) FROM guess").await, ["40"]);
    let store = place.store().await;
    let until = allowed(&store, who(&store, "nobody has this name", 1), NOW).await;
    assert_eq!(until, Some(NOW.plus_ms(300_000)));
}

async fn what_is_long_ago_is_forgotten() {
    let place = Place::new();
    let store = place.store().await;
    let (ann, bob) = (who(&store, "ann", 1), who(&store, "bob", 1));
    for _ in 0..9 {
        failed(&store, ann, NOW).await;
        failed(&store, bob, NOW).await;
    }
    let later = NOW.plus_ms(FORGOTTEN_AFTER_MS + 1);
    assert_eq!(failed(&store, ann, later).await, None, "it is the first one again");
    // A node whose clock is behind takes nothing back.
    failed(&store, ann, NOW).await;
    assert_eq!(store.sweep_guesses(later.plus_ms(-1)).await.unwrap(), 0);
    assert_eq!(store.sweep_guesses(later).await.unwrap(), 1);
    assert_eq!(
        ask(&place.db(), "SELECT who || CAST(failures AS TEXT) FROM guess").await,
        [format!("{ann}2")]
    );
}
