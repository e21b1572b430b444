//! Secrets that requests are signed with: sealed where they are kept, opened where they are needed, and nowhere else.
use crate::following::Node;
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::credential::Status;
use doorward_core::live::Live;
use doorward_store::{Display, Store, StoreError};
use std::sync::Arc;

on_both_engines!(
    a_signing_secret_lives_and_dies_with_its_secret,
    a_node_has_what_its_credentials_sign_with,
    what_does_not_belong_to_a_credential_does_not_open,
    credentials_from_before_can_be_given_a_signing_secret,
);

pub(crate) const FIRST: &str = "dws_Zk3vQ8xT1mB7nR5pL2wY9cH4jF6gD0sA";
const SECOND: &str = "dws_Xe9uWq2yR7tB1nM4kJ8hG5fD3sA6pO0i";

pub(crate) async fn replace(store: &Store, id: &str, secret: &str) {
    let c = signer(&store.keys(), id, secret);
    let mut write = store.write("ann", NOW).await.unwrap();
    write.replace_secret(id, c.secret, c.signing, None, false).await.unwrap();
    write.commit().await.unwrap();
}

async fn delete(store: &Store, id: &str) {
    let mut write = store.write("ann", NOW).await.unwrap();
    write.delete_credential(id).await.unwrap();
    write.commit().await.unwrap();
}

pub(crate) async fn block(store: &Store, id: &str) {
    let mut write = store.write("ann", NOW).await.unwrap();
    write.set_status(id, Status::Blocked).await.unwrap();
    write.commit().await.unwrap();
}

async fn rows(place: &Place) -> Vec<String> {
    ask(&place.db(), "SELECT credential FROM signing_secret ORDER BY credential").await
}

pub(crate) fn held(live: &Live, id: &str) -> Option<String> {
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
    write.replace_secret("a", store.keys().hash(b"a", b"s"), None, None, false).await.unwrap();
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
