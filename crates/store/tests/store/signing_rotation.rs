//! Other keys below what signs: nothing is lost, whoever was doing what.
use crate::following::Node;
use crate::place::on_both_engines;
use crate::signing::{FIRST, block, held, replace};
use crate::support::*;
use doorward_core::credential::Status;
use doorward_core::keyring::MasterKey;
use doorward_store::{Display, Purpose, Rotation, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

on_both_engines!(
    a_rotation_covers_what_signs_and_can_be_broken_off,
    nodes_sign_on_through_rotations,
    a_node_whose_master_key_was_retired_keeps_what_it_opened,
);

fn next() -> MasterKey {
    MasterKey::new([8; 32])
}

async fn open_with(place: &Place, master: &MasterKey) -> Store {
    Store::open(place.db().url(), master, Purpose::Own, NOW).await.unwrap()
}

async fn versions(place: &Place, table: &str) -> Vec<String> {
    ask(&place.db(), &format!("SELECT DISTINCT CAST(key_version AS TEXT) FROM {table} ORDER BY 1")).await
}

async fn filled(count: usize) -> (Place, Store) {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let mut write = store.write("setup", NOW).await.unwrap();
    for n in 0..count {
        let (id, secret) = (format!("a{n}"), format!("secret {n}"));
        let display = Some(Display { secret: secret.clone(), until: None });
        let c = signer(&store.keys(), &id, &secret);
        write.create_credential(&new(c, display)).await.unwrap();
    }
    write.commit().await.unwrap();
    (place, store)
}

async fn all_open(store: &Store, count: usize) {
    assert_eq!(store.check().await.unwrap().sealed, 2 * count as i64);
    for n in [0, count / 2, count - 1] {
        let (id, secret) = (format!("a{n}"), Some(format!("secret {n}")));
        assert_eq!(
            (signs_with(store, &id).await, store.reveal(&id, NOW).await.unwrap()),
            (secret.clone(), secret)
        );
    }
}

async fn a_rotation_covers_what_signs_and_can_be_broken_off() {
    const COUNT: usize = 600;
    let (place, store) = filled(COUNT).await;
    // 500 and 100 copies, 500 of what signs; then it is broken off.
    let mut rotation = Rotation::begin(&store, &next(), "ann", NOW).await.unwrap();
    for _ in 0..3 {
        assert!(rotation.reseal_some().await.unwrap());
    }
    drop(rotation);
    let seals = (versions(&place, "secret_display").await, versions(&place, "signing_secret").await);
    assert_eq!(seals, (vec!["2".to_owned()], vec!["1".to_owned(), "2".to_owned()]));
    for master in [master(), next()] {
        all_open(&open_with(&place, &master).await, COUNT).await;
    }
    // One that ended without what signs would leave it behind.
    let mut early = Rotation::begin(&store, &next(), "ann", NOW).await.unwrap();
    assert_eq!(early.end(NOW).await.unwrap(), None);
    let rotated = store.rotate(&next(), "ann", NOW).await.unwrap();
    assert_eq!(rotated.resealed, 100);
    assert_eq!(versions(&place, "signing_secret").await, ["2"]);
    let new = open_with(&place, &next()).await;
    assert!(new.retire(master().fingerprint(), "ann", NOW).await.unwrap());
    all_open(&new, COUNT).await;
    // A secret that does not open stands in the way, and is named.
    sql(&place.db(), "UPDATE signing_secret SET sealed = {z40} WHERE credential = 'a7'").await;
    let refused = new.rotate(&master(), "ann", NOW).await.unwrap_err().to_string();
    assert!(refused.contains("the signing secret of credential `a7` does not open; regenerate"), "{refused}");
    replace(&new, "a7", FIRST).await;
    new.rotate(&master(), "ann", NOW).await.unwrap();
    assert_eq!(signs_with(&open_with(&place, &master()).await, "a7").await.as_deref(), Some(FIRST));
}

/// Nodes follow changes of credentials that sign while the keys change below them.
async fn nodes_sign_on_through_rotations() {
    const COUNT: usize = 200;
    let (place, store) = filled(COUNT).await;
    // One looks seldom, so that what it reads may be sealed with keys of which it has not heard.
    let mut nodes = Vec::new();
    for poll_ms in [5, 200] {
        let mut node = Node::start(place.store().await, poll_ms, 60_000);
        node.ready().await;
        nodes.push(node);
    }
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, done) = (place.store().await, Arc::clone(&done));
        async move {
            let mut n = 0;
            while !done.load(Ordering::SeqCst) || n < 30 {
                replace(&store, &format!("a{}", n % 20), &format!("secret {}, made anew", n % 20)).await;
                create_signer(&store, &format!("w{n}"), FIRST).await;
                n += 1;
            }
            n
        }
    });
    // Each gives another key to seal with. Whoever writes and both nodes hold the first master key, so that one stays.
    for n in 10..14 {
        let to = MasterKey::new([n; 32]);
        store.rotate(&to, "ann", NOW).await.unwrap();
        store.retire(to.fingerprint(), "ann", NOW).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let written = writer.await.unwrap();
    // The copies of what was made anew are gone.
    assert_eq!(store.check().await.unwrap().sealed, (2 * COUNT - 20 + written) as i64);
    assert_eq!(store.keys().seals().newest(), 5);
    let seq = store.head().await.unwrap().seq;
    for node in &nodes {
        node.soon("the last change", |live| live.seq() == seq).await;
        for n in 0..COUNT {
            let anew = if n < 20 { ", made anew" } else { "" };
            assert_eq!(held(&node.live, &format!("a{n}")), Some(format!("secret {n}{anew}")));
        }
        for n in 0..written {
            assert_eq!(held(&node.live, &format!("w{n}")).as_deref(), Some(FIRST), "w{n}");
        }
    }
}

/// It learns no newer keys. What it opened once is good for as long as the secret is the same, and no longer.
async fn a_node_whose_master_key_was_retired_keeps_what_it_opened() {
    let (place, store) = filled(3).await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    store.rotate(&next(), "ann", NOW).await.unwrap();
    let new = open_with(&place, &next()).await;
    new.retire(master().fingerprint(), "ann", NOW).await.unwrap();
    let third = MasterKey::new([9; 32]);
    new.rotate(&third, "ann", NOW).await.unwrap();
    let new = open_with(&place, &third).await;
    block(&new, "a0").await;
    replace(&new, "a1", FIRST).await;
    create_signer(&new, "late", FIRST).await;
    // Changes of one look come in in any order; the number comes last.
    let seq = store.head().await.unwrap().seq;
    node.soon("the last change", |live| live.seq() == seq).await;
    assert_eq!(node.live.directory.get("a0").unwrap().status, Status::Blocked);
    assert_eq!(held(&node.live, "a0").as_deref(), Some("secret 0"), "only its status changed");
    assert_eq!((held(&node.live, "a1"), held(&node.live, "late")), (None, None), "what it can't open");
    assert_eq!(held(&node.live, "a2").as_deref(), Some("secret 2"));
    // The same when all is loaded anew.
    let seq = new.begin_epoch("ann", NOW).await.unwrap().seq;
    node.soon("another epoch", |live| live.seq() == seq).await;
    assert_eq!(held(&node.live, "a0").as_deref(), Some("secret 0"));
    assert_eq!((held(&node.live, "a1"), held(&node.live, "late")), (None, None));
}
