//! The change table tells everything, and tells when it was changed itself.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::credential::Status;
use doorward_core::time::UnixMillis;
use doorward_store::{Display, Report, Store, StoreError};

on_both_engines!(every_change_is_told_once_and_without_gaps, what_was_tampered_with_is_found,);

async fn filled(store: &Store) {
    put_policy(store).await;
    let display = Some(Display { secret: "hush".to_owned(), until: None });
    create(store, "a", "hush", display).await;
    create(store, "b", "hush", None).await;
    let mut write = store.write("ann", UnixMillis(NOW.0 + 1)).await.unwrap();
    write.set_status("b", Status::Blocked).await.unwrap();
    write.delete_credential("b").await.unwrap();
    write.create_credential(&new(full_credential("c"), None)).await.unwrap();
    write.commit().await.unwrap();
}

async fn every_change_is_told_once_and_without_gaps() {
    let place = Place::new();
    let store = place.store().await;
    filled(&store).await;
    let all = store.changes_after(0, 100).await.unwrap();
    assert_eq!(all.iter().map(|c| c.seq).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    assert_eq!(store.changes_after(3, 2).await.unwrap(), all[3..5]);
    let (workspace, api) = (&all[0], &all[2]);
    assert_eq!((workspace.workspace.as_deref(), workspace.actor.as_str()), (Some("acme"), "setup"));
    assert_eq!((api.workspace.as_deref(), api.before.as_deref()), (None, None));
    assert!(api.after.as_deref().unwrap().contains("/v1/vouchers/*"));
    let blocked = &all[5];
    assert_eq!((blocked.actor.as_str(), blocked.at.0), ("ann", NOW.0 + 1));
    let (before, after) = (blocked.before.as_deref().unwrap(), blocked.after.as_deref().unwrap());
    assert!(before.contains(r#""status":"active""#) && after.contains(r#""status":"blocked""#));
    assert_eq!((all[6].before.as_deref(), &all[6].after), (Some(after), &None));
    let full = all[7].after.as_deref().unwrap();
    assert!(full.contains(r#""expires_at":"1969-12-31T23:59:59.995Z""#), "{full}");
    assert!(full.contains(r#""origins":["https://shop.example",".example.org","localhost:3000","*"]"#));
    let report = store.check().await.unwrap();
    assert_eq!(report, Report { changes: 8, credentials: 2, objects: 3, sealed: 1, master_keys: 1 });
}

/// Whoever can write to the file, but has no master key, is found out.
async fn what_was_tampered_with_is_found() {
    let place = Place::new();
    let store = place.store().await;
    filled(&store).await;
    store.check().await.unwrap();
    store.close().await;
    for harm in [
        "UPDATE change SET at = at + 1 WHERE seq = 2",
        "UPDATE change SET actor = 'bob' WHERE seq = 6",
        "UPDATE change SET workspace = 'acme' WHERE seq = 3",
        "UPDATE change SET workspace = NULL WHERE seq = 4",
        "UPDATE change SET kind = 'api' WHERE seq = 1",
        "UPDATE change SET id = 'z' WHERE seq = 5",
        "UPDATE change SET action = 'unblocked' WHERE seq = 6",
        "UPDATE change SET before = '' WHERE seq = 4",
        "UPDATE change SET before = NULL WHERE seq = 7",
        "UPDATE change SET after = replace(after, 'blocked', 'active') WHERE seq = 6",
        "UPDATE change SET mac = {z1} WHERE seq = 8",
        "UPDATE change SET seq = 9 WHERE seq = 8; UPDATE head SET seq = 9",
        "DELETE FROM change WHERE seq = 1",
        "DELETE FROM change WHERE seq = 5",
        "DELETE FROM change WHERE seq = 8",
        "DELETE FROM change WHERE seq = 8; UPDATE head SET seq = 7",
        "DELETE FROM change; UPDATE head SET seq = 0",
        "UPDATE head SET seq = 9",
        "UPDATE credential SET status = 'active' WHERE id = 'c'",
        "UPDATE credential SET expires_at = NULL WHERE id = 'c'",
        "UPDATE credential SET origins = '[]' WHERE id = 'c'",
        "UPDATE credential SET workspace = 'acme-test' WHERE id = 'a'",
        "UPDATE credential SET secret = {z32} WHERE id = 'a'",
        "UPDATE credential SET id = 'd' WHERE id = 'c'",
        "DELETE FROM credential WHERE id = 'c'",
        "INSERT INTO credential SELECT 'd', workspace, kind, name, dialect, plain_key, status, expires_at, scopes, \
         origins, secret, secret_version, created_at, tokens_since, password, password_grant, role, networks, limit_rule FROM credential WHERE id = 'a'",
        "UPDATE credential SET role = 'admin' WHERE id = 'a'",
        "UPDATE credential SET networks = '[]' WHERE id = 'a'",
        "UPDATE object SET body = replace(body, '9000', '9009') WHERE id = 'vouchers'",
        "UPDATE object SET body = 'id = ' WHERE id = 'vouchers'",
        "UPDATE object SET body = '' WHERE id = 'vouchers'",
        "UPDATE object SET kind = 'future' WHERE id = 'vouchers'",
        "DELETE FROM object WHERE id = 'vouchers'",
        "UPDATE secret_display SET sealed = {z40}",
        "UPDATE secret_display SET credential = 'c'",
    ] {
        let copy = place.copy().await;
        sql(&copy.db(), harm).await;
        let store = copy.store().await;
        let found = store.check().await;
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{harm}: {found:?}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_damaged_file_is_found() {
    let place = Place::new();
    let store = place.store().await;
    filled(&store).await;
    store.close().await;
    let mut bytes = std::fs::read(place.file("doorward.db")).unwrap();
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 64].fill(0xee);
    std::fs::write(place.file("doorward.db"), bytes).unwrap();
    let found = match open(&place.db()).await {
        Ok(store) => store.check().await.map(|_| ()),
        Err(e) => Err(e),
    };
    assert!(matches!(found, Err(StoreError::Damaged(_))), "{found:?}");
}
