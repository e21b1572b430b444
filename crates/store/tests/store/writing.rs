//! What is written is read again; what breaks a rule is refused; a write is whole or is not.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::credential::{Credential, Status};
use doorward_core::time::UnixMillis;
use doorward_store::{Fact, StoreError};

on_both_engines!(
    policy_and_credentials_read_as_they_were_written,
    each_verb_does_what_it_says,
    what_breaks_a_rule_is_refused_and_leaves_no_trace,
    a_write_is_whole_or_is_not,
    facts_keep_the_latest_times,
    a_row_that_cannot_be_read_is_named,
);

async fn policy_and_credentials_read_as_they_were_written() {
    let place = Place::new();
    let store = place.store().await;
    assert_eq!(put_policy(&store).await, 3);
    let full =
        Credential { pseudonym: Some(store.keys().pseudonym("full").into()), ..full_credential("full") };
    let mut write = store.write("ann", NOW).await.unwrap();
    write.create_credential(&new(full.clone(), None)).await.unwrap();
    write.create_credential(&new(credential("bare", "s"), None)).await.unwrap();
    assert_eq!(write.commit().await.unwrap(), 5);
    store.close().await;

    let store = place.store().await;
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.head, store.head().await.unwrap());
    assert_eq!((snapshot.head.seq, &snapshot.policy), (5, &policy()));
    let read: Vec<_> = snapshot.credentials.iter().map(shown).collect();
    // The number of the change that created each.
    let bare = Credential { tokens_since: 5, ..credential("bare", "s") };
    let full = Credential { tokens_since: 4, ..full };
    assert_eq!(read, [shown(&bare), shown(&full)]);
    let stored = store.credential("full").await.unwrap().unwrap();
    assert_eq!(shown(&stored.credential), shown(&full));
    assert_eq!((stored.secret_version, stored.created_at), (1, NOW));
    assert_eq!((stored.last_used, stored.exposed_at), (None, None));
    assert!(store.credential("nobody").await.unwrap().is_none());
    assert_eq!(store.credentials_held("acme").await.unwrap(), 2);
    assert_eq!(store.credentials_held("acme-test").await.unwrap(), 0);
}

async fn each_verb_does_what_it_says() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "k", "one", None).await;
    let mut write = store.write("ann", UnixMillis(NOW.0 + 1)).await.unwrap();
    write.set_status("k", Status::Blocked).await.unwrap();
    write.replace_secret("k", keys().hash(b"k", b"two"), None, None, false).await.unwrap();
    let mut renamed = policy().workspaces[0].clone();
    renamed.name = None;
    write.put_workspace(&renamed).await.unwrap();
    write.delete_api("vouchers").await.unwrap();
    write.delete_workspace("acme-test").await.unwrap();
    assert_eq!(write.commit().await.unwrap(), 9);
    let k = store.credential("k").await.unwrap().unwrap();
    assert_eq!((k.credential.status, k.secret_version), (Status::Blocked, 2));
    assert_eq!(k.credential.secret, keys().hash(b"k", b"two"));
    let now = store.policy().await.unwrap();
    assert_eq!((now.workspaces, now.apis.len()), (vec![renamed], 0));

    let mut write = store.write("ann", NOW).await.unwrap();
    write.set_status("k", Status::Active).await.unwrap();
    write.delete_credential("k").await.unwrap();
    write.delete_workspace("acme").await.unwrap();
    write.commit().await.unwrap();
    assert!(store.credential("k").await.unwrap().is_none());
    assert!(store.policy().await.unwrap().workspaces.is_empty());
    let told: Vec<_> = store.changes_after(4, 100).await.unwrap();
    let told: Vec<_> = told.iter().map(|c| (c.kind.as_str(), c.id.as_str(), c.action.as_str())).collect();
    assert_eq!(
        told,
        [
            ("credential", "k", "blocked"),
            ("credential", "k", "regenerated"),
            ("workspace", "acme", "changed"),
            ("api", "vouchers", "deleted"),
            ("workspace", "acme-test", "deleted"),
            ("credential", "k", "unblocked"),
            ("credential", "k", "deleted"),
            ("workspace", "acme", "deleted"),
        ]
    );
    store.check().await.unwrap();
}

async fn what_breaks_a_rule_is_refused_and_leaves_no_trace() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "k", "s", None).await;
    let head = store.head().await.unwrap();
    let mut write = store.write("ann", NOW).await.unwrap();
    let exists = write.create_credential(&new(credential("k", "t"), None)).await;
    assert!(matches!(exists, Err(StoreError::AlreadyExists { kind: "credential", .. })), "{exists:?}");
    let mut homeless = credential("l", "s");
    homeless.workspace = "nowhere".into();
    let homeless = write.create_credential(&new(homeless, None)).await;
    assert!(matches!(homeless, Err(StoreError::NotFound { kind: "workspace", .. })), "{homeless:?}");
    let inhabited = write.delete_workspace("acme").await.unwrap_err();
    assert_eq!(inhabited.to_string(), "workspace `acme` still has credentials (1); delete them first");
    let mut moved = policy().workspaces[0].clone();
    moved.environment = "sandbox".to_owned();
    assert!(matches!(write.put_workspace(&moved).await, Err(StoreError::Refused(_))));
    for missing in [
        write.delete_workspace("x").await,
        write.delete_api("x").await,
        write.delete_credential("x").await,
        write.set_status("x", Status::Blocked).await,
        write.replace_secret("x", keys().hash(b"x", b"y"), None, None, false).await,
    ] {
        assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    }
    assert_eq!(write.commit().await.unwrap(), head.seq);
    assert_eq!(store.head().await.unwrap(), head);
    let k = store.credential("k").await.unwrap().unwrap();
    assert_eq!(k.credential.secret, keys().hash(b"k", b"s"));
    store.check().await.unwrap();
}

async fn a_write_is_whole_or_is_not() {
    let place = Place::new();
    let store = place.store().await;
    let seq = put_policy(&store).await;
    // Given up.
    let mut write = store.write("ann", NOW).await.unwrap();
    write.delete_api("vouchers").await.unwrap();
    drop(write);
    // Failed between the change and the row that tells of it.
    let refuse = place.db().either(
        "CREATE TRIGGER refuse BEFORE INSERT ON change WHEN new.id = 'k' BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$; \
         CREATE TRIGGER refuse BEFORE INSERT ON change FOR EACH ROW WHEN (new.id = 'k') EXECUTE FUNCTION refuse()",
    );
    sql(&place.db(), refuse).await;
    let mut write = store.write("ann", NOW).await.unwrap();
    write.delete_api("vouchers").await.unwrap();
    let failed = write.create_credential(&new(credential("k", "s"), None)).await;
    assert!(matches!(failed, Err(StoreError::Sql(_))), "{failed:?}");
    assert!(matches!(write.commit().await, Err(StoreError::Refused(_))));
    assert_eq!(store.policy().await.unwrap(), policy());
    assert!(store.credential("k").await.unwrap().is_none());
    assert_eq!(store.head().await.unwrap().seq, seq);
    store.check().await.unwrap();
}

async fn facts_keep_the_latest_times() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "k", "s", None).await;
    let head = store.head().await.unwrap();
    let fact = |last_used, exposed_at: Option<i64>| Fact {
        credential: Some("k".to_owned()),
        last_used: UnixMillis(last_used),
        exposed_at: exposed_at.map(UnixMillis),
        observed: Vec::new(),
    };
    let gone = Fact { credential: Some("gone".to_owned()), ..fact(1, None) };
    for (told, used, exposed) in [
        (fact(10, None), 10, None),
        (fact(20, Some(20)), 20, Some(20)),
        (fact(15, Some(15)), 20, Some(20)),
        (fact(30, None), 30, Some(20)),
        (fact(40, Some(40)), 40, Some(40)),
    ] {
        store.record(&[gone.clone(), told]).await.unwrap();
        let k = store.credential("k").await.unwrap().unwrap();
        assert_eq!((k.last_used, k.exposed_at), (Some(UnixMillis(used)), exposed.map(UnixMillis)));
    }
    assert_eq!(store.head().await.unwrap(), head, "facts are no changes");
    // The exposed secret is dead.
    let mut write = store.write("ann", NOW).await.unwrap();
    write.replace_secret("k", keys().hash(b"k", b"t"), None, None, false).await.unwrap();
    write.commit().await.unwrap();
    let k = store.credential("k").await.unwrap().unwrap();
    assert_eq!((k.last_used, k.exposed_at), (Some(UnixMillis(40)), None));
}

/// A row by a program that knows more names the credential, unless its id is as good as a secret.
async fn a_row_that_cannot_be_read_is_named() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "k", "s", None).await;
    for (harm, why) in [
        ("dialect = 'future'", "there is no dialect `future`"),
        ("kind = 'robot'", "`robot` is none of"),
        ("status = 'asleep'", "`asleep` is none of"),
        ("scopes = '{}'", "not a list"),
        ("origins = '[\"null\"]'", "`null` is the origin"),
        ("secret = {z1}", "has 1 bytes"),
    ] {
        sql(&place.db(), &format!("UPDATE credential SET {harm}")).await;
        for error in [store.snapshot().await.unwrap_err(), store.credential("k").await.unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains("credential `k` can't be read") && text.contains(why), "{text}");
        }
        sql(&place.db(), "DELETE FROM credential").await;
        let mut write = store.write("setup", NOW).await.unwrap();
        write.create_credential(&new(credential("k", "s"), None)).await.unwrap();
        write.commit().await.unwrap();
    }
    sql(&place.db(), "UPDATE credential SET plain_key = 1, dialect = 'future'").await;
    let text = store.snapshot().await.unwrap_err().to_string();
    assert!(text.contains(&store.keys().pseudonym("k")) && !text.contains("`k`"), "{text}");
}
