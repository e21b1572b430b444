//! Secrets that requests are signed with: sealed where they are kept, opened where they are needed, and nowhere else.
use crate::following::Node;
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::credential::Status;
use doorward_core::keyring::MasterKey;
use doorward_core::live::Live;
use doorward_store::{Display, Purpose, Rotation, Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

on_both_engines!(
    a_signing_secret_lives_and_dies_with_its_secret,
    a_node_has_what_its_credentials_sign_with,
    what_does_not_belong_to_a_credential_does_not_open,
    a_rotation_covers_what_signs_and_can_be_broken_off,
    nodes_sign_on_through_rotations,
    a_node_whose_master_key_was_retired_keeps_what_it_opened,
    credentials_from_before_can_be_given_a_signing_secret,
);

const FIRST: &str = "dws_Zk3vQ8xT1mB7nR5pL2wY9cH4jF6gD0sA";
const SECOND: &str = "dws_Xe9uWq2yR7tB1nM4kJ8hG5fD3sA6pO0i";

fn next() -> MasterKey {
    MasterKey::new([8; 32])
}

async fn open_with(place: &Place, master: &MasterKey) -> Store {
    Store::open(place.db().url(), master, Purpose::Own, NOW).await.unwrap()
}

async fn replace(store: &Store, id: &str, secret: &str) {
    let c = signer(&store.keys(), id, secret);
    let mut write = store.write("ann", NOW).await.unwrap();
    write.replace_secret(id, c.secret, c.signing, None).await.unwrap();
    write.commit().await.unwrap();
}

async fn delete(store: &Store, id: &str) {
    let mut write = store.write("ann", NOW).await.unwrap();
    write.delete_credential(id).await.unwrap();
    write.commit().await.unwrap();
}

async fn block(store: &Store, id: &str) {
    let mut write = store.write("ann", NOW).await.unwrap();
    write.set_status(id, Status::Blocked).await.unwrap();
    write.commit().await.unwrap();
}

async fn rows(place: &Place) -> Vec<String> {
    ask(&place.db(), "SELECT credential FROM signing_secret ORDER BY credential").await
}

async fn versions(place: &Place, table: &str) -> Vec<String> {
    ask(&place.db(), &format!("SELECT DISTINCT CAST(key_version AS TEXT) FROM {table} ORDER BY 1")).await
}

fn held(live: &Live, id: &str) -> Option<String> {
    text(&*live.directory.get(id)?)
}

async fn a_signing_secret_lives_and_dies_with_its_secret() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "key", "s", None).await;
    create_signer(&store, "a", FIRST).await;
    create_signer(&store, "b", SECOND).await;
    assert_eq!(signs_with(&place.store().await, "a").await.as_deref(), Some(FIRST));
    let all = store.snapshot().await.unwrap().credentials;
    let all: Vec<_> = all.iter().map(text).collect();
    assert_eq!(all, [Some(FIRST.to_owned()), Some(SECOND.to_owned()), None]);
    assert_eq!((rows(&place).await, store.check().await.unwrap().sealed), (vec!["a".into(), "b".into()], 2));
    for listed in store.credentials_named(&["a", "b", "key"]).await.unwrap() {
        assert_eq!(listed.credential.signing, None, "a list has no need of it");
    }

    replace(&store, "a", SECOND).await;
    block(&store, "a").await;
    assert_eq!(signs_with(&store, "a").await.as_deref(), Some(SECOND));
    delete(&store, "b").await;
    assert_eq!(rows(&place).await, ["a"]);
    // A credential that stops signing keeps nothing to sign with.
    let mut write = store.write("ann", NOW).await.unwrap();
    write.replace_secret("a", store.keys().hash(b"a", b"s"), None, None).await.unwrap();
    write.commit().await.unwrap();
    assert!(rows(&place).await.is_empty() && signs_with(&store, "a").await.is_none());
    store.check().await.unwrap();

    let told = store.changes_after(3, 100).await.unwrap();
    let signs = |json: &Option<String>| json.as_ref().map(|json| json.contains("\"signs\":true"));
    let signs: Vec<_> =
        told.iter().map(|c| (&*c.id, &*c.action, signs(&c.before), signs(&c.after))).collect();
    assert_eq!(
        signs,
        [
            ("key", "created", None, Some(false)),
            ("a", "created", None, Some(true)),
            ("b", "created", None, Some(true)),
            ("a", "regenerated", Some(true), Some(true)),
            ("a", "blocked", Some(true), Some(true)),
            ("b", "deleted", Some(true), None),
            ("a", "regenerated", Some(true), Some(false)),
        ]
    );
    let told = format!("{told:?}");
    assert!(!told.contains(FIRST) && !told.contains(SECOND));

    // What the hash was not made of would never open.
    let mut write = store.write("ann", NOW).await.unwrap();
    let mut odd = signer(&store.keys(), "odd", FIRST);
    odd.signing = signer(&store.keys(), "odd", SECOND).signing;
    let refused = write.create_credential(&new(odd, None)).await.unwrap_err().to_string();
    assert!(refused.contains("is not the one that the hash was made of"), "{refused}");
    assert!(!refused.contains(FIRST) && !refused.contains(SECOND));
    assert!(write.commit().await.is_err());
    assert!(store.credential("odd").await.unwrap().is_none());
}

async fn a_node_has_what_its_credentials_sign_with() {
    let place = Place::new();
    let writer = place.store().await;
    put_policy(&writer).await;
    create(&writer, "key", "s", None).await;
    // More than are read at a time, among keys that don't sign.
    let mut write = writer.write("setup", NOW).await.unwrap();
    for n in 0..2_100 {
        let (id, secret) = (format!("n{n}"), format!("secret {n}"));
        let c = if n % 3 == 0 { credential(&id, &secret) } else { signer(&writer.keys(), &id, &secret) };
        write.create_credential(&new(c, None)).await.unwrap();
    }
    write.commit().await.unwrap();
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    for n in 0..2_100 {
        let expected = (n % 3 != 0).then(|| format!("secret {n}"));
        assert_eq!(held(&node.live, &format!("n{n}")), expected, "n{n}");
    }
    assert_eq!(held(&node.live, "key"), None);

    create_signer(&writer, "a", FIRST).await;
    node.soon("a new one", |live| held(live, "a").as_deref() == Some(FIRST)).await;
    replace(&writer, "a", SECOND).await;
    node.soon("another secret", |live| held(live, "a").as_deref() == Some(SECOND)).await;
    block(&writer, "a").await;
    node.soon("a block", |live| live.directory.get("a").unwrap().status == Status::Blocked).await;
    assert_eq!(held(&node.live, "a").as_deref(), Some(SECOND));
    delete(&writer, "a").await;
    node.soon("it is gone", |live| live.directory.get("a").is_none()).await;
    // All at once, as after a restore.
    let seq = writer.begin_epoch("ann", NOW).await.unwrap().seq;
    node.soon("the epoch", |live| live.seq() == seq).await;
    assert_eq!(held(&node.live, "n2097"), None);
    assert_eq!(held(&node.live, "n2098").as_deref(), Some("secret 2098"));
}

/// What the operator's log says.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push(format!("{field}={value:?}"));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, of: &tracing::Metadata<'_>) -> bool {
        of.target().starts_with("doorward")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let line = Log::default();
        event.record(&mut line.clone());
        let line = line.0.lock().unwrap().join(" ");
        self.0.lock().unwrap().push(line);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

impl Log {
    fn about(&self, id: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|line| line.contains("sign") && line.contains(id)).cloned().collect()
    }
}

/// Whatever is put in the place of what a credential signs with, that credential can't sign, the others can, the log says
/// so once, and a check finds it.
async fn what_does_not_belong_to_a_credential_does_not_open() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create_signer(&store, "odd", SECOND).await;
    sql(&place.db(), "CREATE TABLE before AS SELECT * FROM signing_secret").await;
    delete(&store, "odd").await;
    // Under the id, in the workspace and with the number of a secret that was there before.
    create_signer(&store, "odd", FIRST).await;
    create_signer(&store, "other", FIRST).await;
    create_signer(&store, "third", FIRST).await;
    let display = Some(Display { secret: FIRST.to_owned(), until: None });
    let mut write = store.write("setup", NOW).await.unwrap();
    let shown = signer(&store.keys(), "shown", FIRST);
    write.create_credential(&new(shown, display)).await.unwrap();
    write.commit().await.unwrap();
    store.close().await;
    let of = |id: &str| format!("(SELECT sealed FROM signing_secret WHERE credential = '{id}')");
    let put =
        |what: &str, id: &str| format!("UPDATE signing_secret SET sealed = {what} WHERE credential = '{id}'");
    let whose = |from: &str, to: &str| {
        format!("UPDATE signing_secret SET credential = '{to}' WHERE credential = '{from}'")
    };
    let swapped = [whose("odd", "x"), whose("other", "odd"), whose("x", "other")].join("; ");
    let unbound = place.db().either(
        "PRAGMA foreign_keys = OFF",
        "ALTER TABLE signing_secret DROP CONSTRAINT signing_secret_credential_fkey",
    );
    let cut = place.db().either("substr(sealed, 1, 20)", "substring(sealed FROM 1 FOR 20)");
    for (harm, broken) in [
        (put("{z40}", "odd"), &["odd"][..]),
        (put(cut, "odd"), &["odd"]),
        (put("{z1}", "odd"), &["odd"]),
        (put(&of("other"), "odd"), &["odd"]),
        (format!("{unbound}; {swapped}"), &["odd", "other"]),
        (put("(SELECT sealed FROM before)", "odd"), &["odd"]),
        (put("(SELECT sealed FROM secret_display)", "shown"), &["shown"]),
        ("DELETE FROM signing_secret WHERE credential = 'odd'".to_owned(), &["odd"]),
        ("UPDATE signing_secret SET key_version = 2 WHERE credential = 'odd'".to_owned(), &["odd"]),
        ("UPDATE credential SET workspace = 'acme-test' WHERE id = 'odd'".to_owned(), &["odd"]),
        ("UPDATE credential SET secret_version = 2 WHERE id = 'odd'".to_owned(), &["odd"]),
    ] {
        let copy = place.copy().await;
        sql(&copy.db(), &harm).await;
        let (store, log) = (copy.store().await, Log::default());
        let found = store.check().await;
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{harm}: {found:?}");
        // Tests run on one thread each, and so do the nodes that they start.
        let listening = tracing::subscriber::set_default(log.clone());
        let mut node = Node::start(store.clone(), 20, 60_000);
        node.ready().await;
        block(&copy.store().await, "third").await;
        node.soon("a change", |live| live.directory.get("third").unwrap().status == Status::Blocked).await;
        drop(listening);
        for id in ["odd", "other", "third", "shown"] {
            let expected = (!broken.contains(&id)).then(|| FIRST.to_owned());
            assert_eq!(held(&node.live, id), expected, "{id} after {harm}");
            assert_eq!(signs_with(&store, id).await, expected, "{id} after {harm}");
            assert!(node.live.directory.get(id).is_some());
            // A row that is gone is counted with those that never had one.
            let lines = log.about(&format!("credential={id:?}"));
            let told = usize::from(expected.is_none() && !harm.starts_with("DELETE"));
            assert_eq!(lines.len(), told, "{id} after {harm}: {lines:?}");
        }
        let all = log.0.lock().unwrap().join("\n");
        assert!(!all.contains(FIRST) && !all.contains(SECOND), "{all}");
        assert!(!harm.starts_with("DELETE") || all.contains("credentials=1"), "{all}");
    }
    // Regenerated, it signs again.
    let copy = place.copy().await;
    sql(&copy.db(), &put("{z40}", "odd")).await;
    let store = copy.store().await;
    replace(&store, "odd", SECOND).await;
    assert_eq!(signs_with(&store, "odd").await.as_deref(), Some(SECOND));
    store.check().await.unwrap();
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
    node.soon("the last change", |live| live.directory.get("late").is_some()).await;
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

/// A credential of a dialect that did not sign when it was made has nothing to sign with, which is no damage.
async fn credentials_from_before_can_be_given_a_signing_secret() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let mut former = signer(&store.keys(), "former", FIRST);
    former.signing = None;
    let mut write = store.write("setup", NOW).await.unwrap();
    write.create_credential(&new(former, None)).await.unwrap();
    write.commit().await.unwrap();
    store.check().await.unwrap();
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    assert!(node.live.directory.get("former").is_some() && held(&node.live, "former").is_none());
    replace(&store, "former", SECOND).await;
    node.soon("a secret", |live| held(live, "former").as_deref() == Some(SECOND)).await;
    store.check().await.unwrap();
}

/// Replaced or deleted means that not even what was sealed is left.
#[tokio::test]
async fn what_signed_before_is_in_no_file() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    for n in 0..20 {
        create_signer(&store, &format!("k{n}"), FIRST).await;
    }
    let hex = ask(&place.db(), "SELECT lower(hex(sealed)) FROM signing_secret ORDER BY credential").await;
    let held = async || {
        let all: String = place.bytes().await.iter().map(|b| format!("{b:02x}")).collect();
        hex.iter().filter(|sealed| all.contains(sealed.as_str())).count()
    };
    assert_eq!((hex.len(), held().await), (20, 20));
    for n in 0..5 {
        replace(&store, &format!("k{n}"), SECOND).await;
        delete(&store, &format!("k{}", n + 5)).await;
    }
    store.erase_closed(NOW).await.unwrap();
    assert_eq!(held().await, 10);
}
