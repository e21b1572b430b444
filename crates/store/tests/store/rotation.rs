//! Another master key in the place of one.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::keyring::MasterKey;
use doorward_core::live::Live;
use doorward_core::time::UnixMillis;
use doorward_store::follow::{Follow, follow};
use doorward_store::{Display, Purpose, Rotation, Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

on_both_engines!(
    everything_goes_on_with_another_master_key,
    a_rotation_broken_off_anywhere_is_taken_up_again,
    whoever_opened_the_store_before_seals_nothing_that_is_lost,
    writers_and_readers_go_on_meanwhile,
    two_rotations_at_once_end_as_one,
    a_rotation_that_leads_nowhere_is_refused,
    what_was_made_by_the_first_schema_goes_on,
    a_keyring_that_was_tampered_with_opens_nothing,
    a_node_learns_of_new_keys_and_outlives_its_master_key,
);

fn next() -> MasterKey {
    MasterKey::new([8; 32])
}

async fn open_with(place: &Place, master: &MasterKey) -> Result<Store, StoreError> {
    Store::open(place.db().url(), master, Purpose::Own, NOW).await
}

fn always(secret: &str) -> Option<Display> {
    Some(Display { secret: secret.to_owned(), until: None })
}

/// Credentials `a0`, `a1` ... with the secrets `s0`, `s1` ...
async fn filled(count: usize) -> (Place, Store) {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let mut write = store.write("setup", NOW).await.unwrap();
    for n in 0..count {
        let c = credential(&format!("a{n}"), "s");
        write.create_credential(&new(c, always(&format!("s{n}")))).await.unwrap();
    }
    write.commit().await.unwrap();
    (place, store)
}

async fn all_open(store: &Store, count: usize) {
    assert_eq!(store.check().await.unwrap().sealed, count as i64);
    for n in [0, count / 2, count - 1] {
        let shown = store.reveal(&format!("a{n}"), NOW).await.unwrap();
        assert_eq!(shown, Some(format!("s{n}")));
    }
}

async fn versions(place: &Place) -> Vec<String> {
    ask(&place.db(), "SELECT DISTINCT CAST(key_version AS TEXT) FROM secret_display ORDER BY 1").await
}

async fn everything_goes_on_with_another_master_key() {
    let (place, store) = filled(3).await;
    let (hash, pseudonym) = (store.keys().hash(b"id", b"s"), store.keys().pseudonym("id"));
    let sealed = place.bytes().await;
    let rotated = store.rotate(&next(), "ann", NOW).await.unwrap();
    assert_eq!((rotated.from.as_str(), rotated.to.as_str()), (master().fingerprint(), next().fingerprint()));
    assert_eq!((rotated.resealed, versions(&place).await), (3, vec!["2".to_owned()]));
    assert_ne!(place.bytes().await, sealed);
    let both = [master(), next()];
    for master in &both {
        let store = open_with(&place, master).await.unwrap();
        all_open(&store, 3).await;
        assert_eq!(store.check().await.unwrap().master_keys, 2);
        let keys = store.keys();
        assert!(keys.hash(b"id", b"s") == hash && keys.pseudonym("id") == pseudonym);
    }
    let new = open_with(&place, &next()).await.unwrap();
    assert!(new.retire(master().fingerprint(), "bob", NOW).await.unwrap());
    assert!(!new.retire(master().fingerprint(), "bob", NOW).await.unwrap(), "it was done before");
    let refused = open_with(&place, &master()).await;
    assert!(matches!(refused, Err(StoreError::WrongMasterKey)), "{refused:?}");
    assert_eq!(new.check().await.unwrap().master_keys, 1);
    // Whoever had opened it with the former one goes on; so do both with what they write.
    create(&store, "late", "s", always("late")).await;
    assert_eq!(new.reveal("late", NOW).await.unwrap().as_deref(), Some("late"));
    let all = new.changes_after(0, 100).await.unwrap();
    let told: Vec<_> =
        all.iter().filter(|c| c.kind == "store").map(|c| (&*c.action, &*c.id, &*c.actor)).collect();
    let (from, to) = (master(), next());
    assert_eq!(
        told,
        [
            ("rotating", to.fingerprint(), "ann"),
            ("rotated", to.fingerprint(), "ann"),
            ("retired", from.fingerprint(), "bob")
        ]
    );
    // And on it goes, also back to a master key that was used before.
    assert_eq!(new.rotate(&master(), "ann", NOW).await.unwrap().resealed, 4);
    assert_eq!(versions(&place).await, ["3"]);
    assert_eq!(open_with(&place, &master()).await.unwrap().check().await.unwrap().sealed, 4);
}

/// Each step is broken off before it, in it and after it; whoever begins again finishes.
async fn a_rotation_broken_off_anywhere_is_taken_up_again() {
    const COUNT: usize = 1_100;
    for broken_off_after in 0..=5 {
        let (place, store) = filled(COUNT).await;
        for first in [true, false] {
            let mut rotation = Rotation::begin(&store, &next(), "ann", NOW).await.unwrap();
            for step in 0..broken_off_after {
                let more = rotation.reseal_some().await.unwrap();
                assert!(!first || more == (step < 3), "500, 500, 100");
            }
            if broken_off_after == 5 {
                assert!(rotation.end(NOW).await.unwrap().is_some());
            }
            // A transaction that is dropped half-way, as a process that is killed leaves it.
            let half =
                tokio::time::timeout(std::time::Duration::from_micros(300), rotation.reseal_some()).await;
            drop(half);
        }
        for master in [master(), next()] {
            all_open(&open_with(&place, &master).await.unwrap(), COUNT).await;
        }
        let again = place.store().await.rotate(&next(), "ann", NOW).await.unwrap();
        assert!(again.resealed <= COUNT as u64);
        assert_eq!(versions(&place).await, ["2"], "after {broken_off_after}");
        let new = open_with(&place, &next()).await.unwrap();
        assert_eq!(new.rotate(&next(), "ann", NOW).await.unwrap().from, master().fingerprint(), "it is done");
        assert!(new.retire(master().fingerprint(), "ann", NOW).await.unwrap());
        all_open(&new, COUNT).await;
        assert!(open_with(&place, &master()).await.is_err());
    }
    // Where the file is lost half-way, the rotation is given up by retiring what was to be the new one.
    let (place, store) = filled(600).await;
    let mut rotation = Rotation::begin(&store, &next(), "ann", NOW).await.unwrap();
    assert!(rotation.reseal_some().await.unwrap());
    assert!(store.retire(next().fingerprint(), "ann", NOW).await.unwrap());
    assert!(open_with(&place, &next()).await.is_err());
    all_open(&place.store().await, 600).await;
    assert_eq!(versions(&place).await, ["2"]);
    assert!(rotation.end(NOW).await.is_err());
}

/// Two processes have the store open. What the one seals after the other's rotation can be opened by all.
async fn whoever_opened_the_store_before_seals_nothing_that_is_lost() {
    let (place, store) = filled(1).await;
    // Opened before, and told nothing since.
    let before = [place.store().await, place.store().await, place.store().await];
    let mut rotation = Rotation::begin(&store, &next(), "ann", NOW).await.unwrap();
    create(&before[0], "b0", "s", always("in the midst")).await;
    while rotation.reseal_some().await.unwrap() {}
    // What a program of the first schema writes: it knows of no versions.
    sql(&place.db(), "UPDATE secret_display SET key_version = 1 WHERE credential = 'b0'").await;
    let refused = rotation.end(NOW).await;
    assert!(matches!(refused, Ok(None)), "{refused:?}: the first key is needed still");
    sql(&place.db(), "UPDATE secret_display SET key_version = 2 WHERE credential = 'b0'").await;
    assert!(rotation.end(NOW).await.unwrap().is_some());
    create(&before[1], "b1", "s", always("afterwards")).await;
    // A key of which it has never heard.
    assert_eq!(before[2].reveal("b1", NOW).await.unwrap().as_deref(), Some("afterwards"));
    assert_eq!(versions(&place).await, ["2"]);
    let new = open_with(&place, &next()).await.unwrap();
    for store in before.iter().chain([&store, &new]) {
        for (id, secret) in [("a0", "s0"), ("b0", "in the midst"), ("b1", "afterwards")] {
            assert_eq!(store.reveal(id, NOW).await.unwrap().as_deref(), Some(secret));
        }
        store.check().await.unwrap();
    }
    // Another rotation, of which one whose master key was retired can't learn: it must not seal any more.
    new.retire(master().fingerprint(), "ann", NOW).await.unwrap();
    new.rotate(&MasterKey::new([9; 32]), "ann", NOW).await.unwrap();
    let mut write = before[0].write("late", NOW).await.unwrap();
    let refused = write.create_credential(&new_one("b2")).await;
    assert!(matches!(refused, Err(StoreError::WrongMasterKey)), "{refused:?}");
    assert!(write.commit().await.is_err());
    new.check().await.unwrap();
}

fn new_one(id: &str) -> doorward_store::NewCredential {
    new(credential(id, "s"), always("s"))
}

async fn writers_and_readers_go_on_meanwhile() {
    const COUNT: usize = 1_200;
    let (place, store) = filled(COUNT).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for task in 0..3 {
        let (other, done) = (place.store().await, done.clone());
        tasks.push(tokio::spawn(async move {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) || n < 5 {
                let id = format!("w{task}-{n}");
                create(&other, &id, "s", always(&id)).await;
                assert_eq!(other.reveal(&id, NOW).await.unwrap().as_ref(), Some(&id));
                let (a, s) = (format!("a{}", n * 7 % COUNT), format!("s{}", n * 7 % COUNT));
                assert_eq!(other.reveal(&a, NOW).await.unwrap(), Some(s));
                n += 1;
            }
            n
        }));
    }
    let mut from = store;
    for n in 10..14 {
        let to = MasterKey::new([n; 32]);
        let rotated = from.rotate(&to, "ann", NOW).await.unwrap();
        assert!(rotated.resealed >= COUNT as u64);
        let new = open_with(&place, &to).await.unwrap();
        // The others hold the first one, so it stays until they are done.
        if n > 10 {
            new.retire(&rotated.from, "ann", NOW).await.unwrap();
        } else {
            done.store(true, Ordering::Relaxed);
            let mut written = 0;
            for task in tasks.drain(..) {
                written += task.await.unwrap();
            }
            assert!(written >= 15);
            new.retire(&rotated.from, "ann", NOW).await.unwrap();
        }
        new.check().await.unwrap();
        from = new;
    }
    assert_eq!(versions(&place).await, ["5"]);
    all_open_at_least(&from, COUNT).await;
}

async fn all_open_at_least(store: &Store, count: usize) {
    assert!(store.check().await.unwrap().sealed > count as i64);
}

async fn two_rotations_at_once_end_as_one() {
    let (place, store) = filled(1_500).await;
    let (other, to) = (place.store().await, next());
    let (one, two) = tokio::join!(store.rotate(&to, "ann", NOW), other.rotate(&to, "bob", NOW));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.resealed + two.resealed, 1_500, "none was sealed twice");
    assert_eq!(versions(&place).await, ["2"]);
    let new = open_with(&place, &next()).await.unwrap();
    all_open(&new, 1_500).await;
    let told = new.changes_after(0, 10_000).await.unwrap();
    assert_eq!(told.iter().filter(|c| c.kind == "store").count(), 2, "begun once, ended once");
}

async fn a_rotation_that_leads_nowhere_is_refused() {
    let (place, store) = filled(1).await;
    let refusal = |done: Result<String, StoreError>, words: &str| {
        let told = done.unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    };
    let rotate =
        async |store: &Store, to: &MasterKey| store.rotate(to, "ann", NOW).await.map(|r| format!("{r:?}"));
    let retire =
        async |store: &Store, one: &str| store.retire(one, "ann", NOW).await.map(|r| format!("{r:?}"));
    let before = (store.head().await.unwrap(), versions(&place).await);
    refusal(rotate(&store, &master()).await, "is the one that the store has already");
    refusal(
        retire(&store, master().fingerprint()).await,
        "is the one that this command opened the store with",
    );
    refusal(retire(&store, next().fingerprint()).await, "does not open this store; those that do: ");
    refusal(retire(&store, "nonsense").await, "master key nonsense does not open this store");
    assert_eq!((store.head().await.unwrap(), versions(&place).await), before, "nothing was written");
    assert_eq!(store.master_keys().await.unwrap(), [master().fingerprint()]);
    Rotation::begin(&store, &next(), "ann", NOW).await.unwrap();
    let (new, third) = (open_with(&place, &next()).await.unwrap(), MasterKey::new([9; 32]));
    refusal(rotate(&store, &third).await, next().fingerprint());
    refusal(rotate(&new, &next()).await, &format!("retire {}", master().fingerprint()));
    refusal(rotate(&new, &third).await, master().fingerprint());
    // To retire the old one is to finish.
    assert!(new.retire(master().fingerprint(), "ann", NOW).await.unwrap());
    assert_eq!(versions(&place).await, ["2"]);
    all_open(&new, 1).await;
    // A secret that does not open stands in the way, and is named.
    sql(&place.db(), "UPDATE secret_display SET sealed = {z40}").await;
    refusal(rotate(&new, &third).await, "the copy of the secret of credential `a0` does not open");
    new.write("ann", NOW).await.unwrap().commit().await.unwrap();
    let mut write = new.write("ann", NOW).await.unwrap();
    write.delete_credential("a0").await.unwrap();
    write.commit().await.unwrap();
    rotate(&new, &third).await.unwrap();
    assert!(open_with(&place, &third).await.is_ok());
}

/// Nothing has to be issued anew: secrets fit, copies open, the chain goes on; and the first keys can be rotated away.
async fn what_was_made_by_the_first_schema_goes_on() {
    let place = of_the_first_schema().await;
    let wrong = open_with(&place, &next()).await;
    assert!(matches!(wrong, Err(StoreError::WrongMasterKey)), "{wrong:?}");
    assert_eq!(ask(&place.db(), "SELECT value FROM meta WHERE key = 'schema'").await, ["1"]);
    let store = place.store().await;
    let k = store.credential("k").await.unwrap().unwrap().credential;
    assert!(
        store.keys().fits(b"k", b"s", Some(&k.secret)) && !store.keys().fits(b"k", b"t", Some(&k.secret))
    );
    assert_eq!(store.reveal("k", NOW).await.unwrap().as_deref(), Some("s"));
    create(&store, "l", "s", always("l")).await;
    assert_eq!((store.check().await.unwrap().sealed, versions(&place).await), (2, vec!["1".to_owned()]));
    assert_eq!(store.rotate(&next(), "ann", NOW).await.unwrap().resealed, 2);
    let new = open_with(&place, &next()).await.unwrap();
    new.retire(master().fingerprint(), "ann", NOW).await.unwrap();
    assert!(matches!(open_with(&place, &master()).await, Err(StoreError::WrongMasterKey)));
    assert!(new.keys().fits(b"k", b"s", Some(&k.secret)));
    assert_eq!(new.reveal("k", UnixMillis(NOW.0 + 1)).await.unwrap().as_deref(), Some("s"));
    // What the first master key gives by itself opens nothing in it now.
    let first = master().first_keyring();
    assert_eq!(new.keys().seals().newest(), 2);
    assert_ne!(new.keys().seals().name(), first.name());
    assert_eq!(new.check().await.unwrap().sealed, 2);
}

async fn a_keyring_that_was_tampered_with_opens_nothing() {
    let (place, store) = filled(1).await;
    store.close().await;
    let (other, store) = filled(1).await;
    store.close().await;
    let locked = "SELECT CAST(sealed AS TEXT) FROM keyring";
    let locked = if place.db().is_server() { locked } else { "SELECT hex(sealed) FROM keyring" };
    let locked = ask(&other.db(), locked).await.remove(0);
    let literal = if place.db().is_server() { format!("'{locked}'::bytea") } else { format!("x'{locked}'") };
    for (harm, why) in [
        (format!("UPDATE keyring SET sealed = {literal}"), "its keyring does not open"),
        ("UPDATE keyring SET sealed = {z40}".to_owned(), "its keyring does not open"),
        ("UPDATE meta SET value = '2-00' WHERE key = 'seal'".to_owned(), "and it says 2-00"),
        ("DELETE FROM keyring".to_owned(), "its keyring is missing"),
    ] {
        // The copies of a server's template are one installation; its keyring fits them all.
        if harm.contains(&locked) && place.db().is_server() {
            continue;
        }
        let copy = place.copy().await;
        sql(&copy.db(), &harm).await;
        let refused = open(&copy.db()).await;
        assert!(
            matches!(&refused, Err(StoreError::Damaged(told)) if told.contains(why)),
            "{harm}: {refused:?}"
        );
    }
}

/// Whoever follows the store has the keys that it has, without opening anything; one whose master key was retired goes on
/// with what it knew.
async fn a_node_learns_of_new_keys_and_outlives_its_master_key() {
    let (place, store) = filled(2).await;
    let (node, live) = (place.store().await, Arc::new(Live::new(store.keys())));
    let settings =
        Follow { region: None, poll: Duration::from_millis(5), max_staleness: Duration::from_secs(60) };
    let (ready_to, _ready) = tokio::sync::watch::channel(false);
    let following = follow(node.clone(), live.clone(), settings, Arc::new(Notify::new()), || 1, ready_to);
    let following = tokio::spawn(following);
    let until = async |what: &str, so: &dyn Fn() -> bool| {
        let begun = std::time::Instant::now();
        while !so() {
            assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let newest = || node.keys().seals().newest();
    until("loaded", &|| live.directory.get("a0").is_some()).await;
    assert_eq!(newest(), 1);
    store.rotate(&next(), "ann", NOW).await.unwrap();
    until("the new key", &|| newest() == 2).await;
    let new = open_with(&place, &next()).await.unwrap();
    new.retire(master().fingerprint(), "ann", NOW).await.unwrap();
    new.rotate(&MasterKey::new([9; 32]), "ann", NOW).await.unwrap();
    create(&new, "late", "s", None).await;
    until("a change after its master key was retired", &|| live.directory.get("late").is_some()).await;
    assert_eq!(newest(), 2);
    following.abort();
}
