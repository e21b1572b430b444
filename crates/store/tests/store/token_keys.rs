//! The keys that tokens are signed with.
use crate::following::Node;
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::jwt::{Algorithm, SigningKey};
use doorward_core::keyring::MasterKey;
use doorward_core::live::Live;
use doorward_core::time::UnixMillis;
use doorward_core::token_keys::{KeyState, TokenKey, Turn};
use doorward_store::{NewTokenKey, Purpose, Store, StoreError, Write};

on_both_engines!(
    a_key_is_published_signs_retires_and_goes,
    nodes_take_what_published_keys_have_signed,
    what_can_not_be_done_with_a_key_is_refused,
    a_key_that_was_put_there_by_others_is_not_believed,
    keys_are_sealed_anew_by_a_rotation,
    a_node_whose_master_key_was_retired_signs_on,
    of_two_who_start_at_once_one_makes_the_first_key,
);

/// Milliseconds for which tokens are good, here.
const VERIFY_MS: i64 = 5_000;

fn pkcs8(kid: &str) -> Vec<u8> {
    // Any bytes, line ends among them.
    format!("private\nhalf\nof {kid}").into_bytes()
}

pub(crate) async fn add(write: &mut Write, kid: &str, signs_from: UnixMillis) {
    let jwk = format!("{{\"kid\":\"{kid}\"}}");
    let new = NewTokenKey { kid, algorithm: "ES256", public_jwk: &jwk, pkcs8: &pkcs8(kid), signs_from };
    write.add_token_key(&new).await.unwrap();
}

async fn put(store: &Store, kid: &str, now: UnixMillis, signs_from: UnixMillis) {
    let mut write = store.write("ann", now).await.unwrap();
    add(&mut write, kid, signs_from).await;
    write.settle_token_keys(VERIFY_MS).await.unwrap();
    write.commit().await.unwrap();
}

async fn filled() -> (Place, Store) {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    put(&store, "first", NOW, NOW).await;
    (place, store)
}

/// The private half that a node would sign with.
fn signs_with(live: &Live, now: UnixMillis) -> Option<Vec<u8>> {
    let keys = live.token_keys.load();
    keys.signer("ES256", now).map(|key| key.private.as_ref().unwrap().as_bytes().to_vec())
}

fn states(keys: &[TokenKey]) -> Vec<(&str, KeyState)> {
    keys.iter().map(|key| (&*key.kid, key.state)).collect()
}

async fn a_key_is_published_signs_retires_and_goes() {
    let (place, store) = filled().await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    assert_eq!(signs_with(&node.live, NOW), Some(pkcs8("first")));
    // It is published before it signs.
    let later = NOW.plus_ms(1_000);
    put(&store, "second", NOW, later).await;
    node.soon("the next key", |live| live.token_keys.load().get("second").is_some()).await;
    assert_eq!(signs_with(&node.live, NOW), Some(pkcs8("first")));
    assert_eq!(signs_with(&node.live, later), Some(pkcs8("second")), "whoever notes it or not");
    let all = store.token_keys().await.unwrap();
    assert_eq!(states(&all), [("first", KeyState::Signing), ("second", KeyState::Next)]);
    assert!(all.iter().all(|key| key.private.is_none()));
    let settle = async |now| store.settle_token_keys("doorward", now, VERIFY_MS).await.unwrap();
    let head = store.head().await.unwrap();
    assert_eq!(settle(later.plus_ms(-1)).await, []);
    assert_eq!(store.head().await.unwrap(), head);
    let until = later.plus_ms(VERIFY_MS);
    let turns = [Turn::Retire("first".to_owned(), until), Turn::Sign("second".to_owned())];
    assert_eq!(settle(later).await, turns);
    assert_eq!(settle(later).await, []);
    let retired = |live: &Live| live.token_keys.load().get("first").map(|key| (key.state, key.verify_until));
    node.soon("the first one retires", |live| retired(live) == Some((KeyState::Retired, Some(until)))).await;
    assert!(node.live.token_keys.load().get("first").unwrap().verifies(until.plus_ms(-1)));
    store.check().await.unwrap();
    assert_eq!(settle(until).await, [Turn::Remove("first".to_owned())]);
    node.soon("the first one is gone", |live| live.token_keys.load().get("first").is_none()).await;
    // In a hurry.
    put(&store, "third", until, until.plus_ms(86_400_000)).await;
    let mut write = store.write("ann", until).await.unwrap();
    write.hasten_token_key("third").await.unwrap();
    write.settle_token_keys(VERIFY_MS).await.unwrap();
    write.commit().await.unwrap();
    node.soon("the third one", |live| signs_with(live, until) == Some(pkcs8("third"))).await;
    let mut write = store.write("ann", until).await.unwrap();
    write.remove_token_key("second").await.unwrap();
    write.commit().await.unwrap();
    node.soon("the second one is gone", |live| live.token_keys.load().0.len() == 1).await;
    let told = store.changes_after(0, 100).await.unwrap();
    let told: Vec<_> =
        told.iter().filter(|c| c.kind == "token_key").map(|c| (&*c.id, &*c.action, &*c.actor)).collect();
    let wanted = [
        ("first", "created", "ann"),
        ("first", "signing", "ann"),
        ("second", "created", "ann"),
        ("first", "retired", "doorward"),
        ("second", "signing", "doorward"),
        ("first", "deleted", "doorward"),
        ("third", "created", "ann"),
        ("third", "changed", "ann"),
        ("second", "retired", "ann"),
        ("third", "signing", "ann"),
        ("second", "deleted", "ann"),
    ];
    assert_eq!(told, wanted);
    for change in store.changes_after(0, 100).await.unwrap() {
        let told = format!("{change:?}");
        assert!(!told.contains("private") && !told.contains("half"), "{told}");
    }
    assert_eq!(store.check().await.unwrap().sealed, 1);
}

/// The data plane verifies with the public halves of those that still verify, whatever else is in the table.
async fn nodes_take_what_published_keys_have_signed() {
    let (place, store) = filled().await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    let kids = |live: &Live| -> Vec<String> {
        live.tokens.trust().keys.iter().map(|key| key.kid().to_owned()).collect()
    };
    assert_eq!(*node.live.tokens.trust().epoch, *store.head().await.unwrap().epoch);
    assert!(kids(&node.live).is_empty(), "the public half of `first` is none");
    let put = async |algorithm: &str, key: &SigningKey, kid: &str, now: UnixMillis| {
        let (jwk, pkcs8) = (key.public().jwk().to_owned(), pkcs8(kid));
        let new = NewTokenKey { kid, algorithm, public_jwk: &jwk, pkcs8: &pkcs8, signs_from: now };
        let mut write = store.write("ann", now).await.unwrap();
        write.add_token_key(&new).await.unwrap();
        write.settle_token_keys(VERIFY_MS).await.unwrap();
        write.commit().await.unwrap();
    };
    let (old, new) =
        (SigningKey::generate(Algorithm::Es256).unwrap(), SigningKey::generate(Algorithm::Es256).unwrap());
    put("ES256", &old, old.kid(), NOW).await;
    node.soon("a key", |live| kids(live) == [old.kid()]).await;
    let generation = node.live.tokens.trust().generation();
    // Neither the name nor the algorithm of another key is believed, and nothing has to be verified again for it.
    put("ES256", &new, "another", NOW.plus_ms(1)).await;
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    put("EdDSA", &other, other.kid(), NOW.plus_ms(1)).await;
    node.soon("keys that can't be read", |live| live.token_keys.load().0.len() == 4).await;
    assert_eq!(
        (kids(&node.live), node.live.tokens.trust().generation()),
        (vec![old.kid().to_owned()], generation)
    );
    put("ES256", &new, new.kid(), NOW.plus_ms(2)).await;
    let mut both = vec![old.kid().to_owned(), new.kid().to_owned()];
    both.sort();
    node.soon("both", |live| kids(live) == both).await;
    // Over is over, whether or not anybody takes the key out of the store.
    let until = node.live.token_keys.load().get(old.kid()).unwrap().verify_until.unwrap();
    node.live.forget_tokens(until.plus_ms(-1));
    assert_eq!(kids(&node.live), both);
    node.live.forget_tokens(until);
    assert_eq!(kids(&node.live), [new.kid()]);
}

async fn what_can_not_be_done_with_a_key_is_refused() {
    let (_place, store) = filled().await;
    let head = store.head().await.unwrap();
    let mut write = store.write("ann", NOW).await.unwrap();
    let new = NewTokenKey {
        kid: "other",
        algorithm: "ES256",
        public_jwk: "{\n}",
        pkcs8: b"secret",
        signs_from: NOW,
    };
    assert_eq!(format!("{new:?}"), "NewTokenKey(other, ES256)");
    let refused = write.add_token_key(&new).await.unwrap_err().to_string();
    assert!(refused.contains("take a line each"), "{refused}");
    let there = write.add_token_key(&NewTokenKey { kid: "first", public_jwk: "{}", ..new }).await;
    assert!(matches!(there, Err(StoreError::AlreadyExists { kind: "token_key", .. })), "{there:?}");
    let missing = [write.hasten_token_key("none").await, write.remove_token_key("none").await];
    assert!(missing.iter().all(|one| matches!(one, Err(StoreError::NotFound { kind: "token_key", .. }))));
    let refused = write.remove_token_key("first").await.unwrap_err().to_string();
    assert!(refused.contains("`first` signs; have another one sign"), "{refused}");
    let refused = write.hasten_token_key("first").await.unwrap_err().to_string();
    assert!(refused.contains("`first` is signing"), "{refused}");
    write.commit().await.unwrap();
    assert_eq!(store.head().await.unwrap(), head);
}

/// Whoever can write to the tables, and no more, can't have tokens of his own believed.
async fn a_key_that_was_put_there_by_others_is_not_believed() {
    let (place, store) = filled().await;
    put(&store, "second", NOW, NOW.plus_ms(9_000)).await;
    store.close().await;
    let all =
        "kid, alg, state, created_at, signs_from, retired_at, verify_until, public_jwk, sealed, key_version";
    for harm in [
        "UPDATE token_key SET public_jwk = 'mine' WHERE kid = 'second'".to_owned(),
        "UPDATE token_key SET alg = 'RS256' WHERE kid = 'second'".to_owned(),
        "UPDATE token_key SET sealed = {z40} WHERE kid = 'second'".to_owned(),
        "UPDATE token_key SET sealed = (SELECT f.sealed FROM token_key f WHERE f.kid = 'first') WHERE kid = 'second'"
            .to_owned(),
        format!("INSERT INTO token_key ({all}) SELECT 'mine', {} FROM token_key WHERE kid = 'first'", &all[5..]),
        "UPDATE token_key SET state = 'future' WHERE kid = 'second'".to_owned(),
        "UPDATE token_key SET key_version = 9 WHERE kid = 'second'".to_owned(),
    ] {
        let copy = place.copy().await;
        sql(&copy.db(), &harm).await;
        let store = copy.store().await;
        let found = store.check().await;
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{harm}: {found:?}");
        let mut node = Node::start(store, 20, 60_000);
        node.ready().await;
        let keys = node.live.token_keys.load_full();
        let kept = if harm.starts_with("INSERT") { vec!["first", "second"] } else { vec!["first"] };
        assert_eq!(keys.0.iter().map(|key| &*key.kid).collect::<Vec<_>>(), kept, "{harm}");
    }
    // What the change table does not bear out is found as well.
    for harm in [
        "UPDATE token_key SET state = 'retired' WHERE kid = 'first'",
        "UPDATE token_key SET verify_until = 1 WHERE kid = 'second'",
        "UPDATE token_key SET signs_from = 1 WHERE kid = 'second'",
        "DELETE FROM token_key WHERE kid = 'second'",
    ] {
        let copy = place.copy().await;
        sql(&copy.db(), harm).await;
        let found = copy.store().await.check().await;
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{harm}: {found:?}");
    }
}

fn next() -> MasterKey {
    MasterKey::new([8; 32])
}

async fn open_with(place: &Place, master: &MasterKey) -> Store {
    Store::open(place.db().url(), master, Purpose::Own, NOW).await.unwrap()
}

async fn keys_are_sealed_anew_by_a_rotation() {
    let (place, store) = filled().await;
    put(&store, "second", NOW, NOW.plus_ms(1_000)).await;
    create(&store, "k", "s", Some(doorward_store::Display { secret: "s".to_owned(), until: None })).await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    let mut early = doorward_store::Rotation::begin(&store, &next(), "ann", NOW).await.unwrap();
    assert!(early.reseal_some().await.unwrap(), "the copy");
    assert_eq!(early.end(NOW).await.unwrap(), None, "the keys of tokens are left");
    assert_eq!(store.rotate(&next(), "ann", NOW).await.unwrap().resealed, 2);
    let versions = "SELECT DISTINCT CAST(key_version AS TEXT) FROM token_key";
    assert_eq!(ask(&place.db(), versions).await, ["2"]);
    put(&store, "third", NOW, NOW.plus_ms(2_000)).await;
    let at = NOW.plus_ms(2_000);
    node.soon("a key that the new one sealed", |live| signs_with(live, at) == Some(pkcs8("third"))).await;
    let new = open_with(&place, &next()).await;
    assert!(new.retire(master().fingerprint(), "ann", NOW).await.unwrap());
    assert_eq!(new.check().await.unwrap().sealed, 4);
    let mut late = Node::start(new.clone(), 20, 60_000);
    late.ready().await;
    assert_eq!(signs_with(&late.live, NOW), Some(pkcs8("first")));
    // One that does not open stands in the way, and is named.
    sql(&place.db(), "UPDATE token_key SET sealed = {z40} WHERE kid = 'second'").await;
    let refused = new.rotate(&master(), "ann", NOW).await.unwrap_err().to_string();
    assert!(refused.contains("the token key `second` does not open"), "{refused}");
    let mut write = new.write("ann", NOW).await.unwrap();
    write.remove_token_key("second").await.unwrap();
    write.commit().await.unwrap();
    new.rotate(&master(), "ann", NOW).await.unwrap();
    open_with(&place, &master()).await.check().await.unwrap();
}

/// It can't open the key any more, and has it still.
async fn a_node_whose_master_key_was_retired_signs_on() {
    let (place, store) = filled().await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    store.rotate(&next(), "ann", NOW).await.unwrap();
    let new = open_with(&place, &next()).await;
    new.retire(master().fingerprint(), "ann", NOW).await.unwrap();
    let third = MasterKey::new([9; 32]);
    new.rotate(&third, "ann", NOW).await.unwrap();
    let new = open_with(&place, &third).await;
    let later = NOW.plus_ms(1_000);
    put(&new, "second", NOW, later).await;
    let seq = new.begin_epoch("ann", NOW).await.unwrap().seq;
    node.soon("the last change", |live| live.seq() == seq).await;
    assert_eq!(signs_with(&node.live, later), Some(pkcs8("first")));
    assert!(node.live.token_keys.load().get("second").is_none(), "it can't open that one");
}

async fn of_two_who_start_at_once_one_makes_the_first_key() {
    let place = Place::new();
    let mut tasks = Vec::new();
    for n in 0..4 {
        let store = place.store().await;
        tasks.push(tokio::spawn(async move {
            let mut write = store.write("doorward", NOW).await.unwrap();
            let made = write.token_keys().await.unwrap().is_empty();
            if made {
                add(&mut write, &format!("key{n}"), NOW).await;
                write.settle_token_keys(VERIFY_MS).await.unwrap();
            }
            write.commit().await.unwrap();
            made
        }));
    }
    let mut made = 0;
    for task in tasks {
        made += u32::from(task.await.unwrap());
    }
    let all = place.store().await.token_keys().await.unwrap();
    assert_eq!((made, all.len(), all[0].state), (1, 1, KeyState::Signing));
}
