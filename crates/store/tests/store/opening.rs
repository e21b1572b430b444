//! What is opened, what is made, and what is refused.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::keyring::MasterKey;
use doorward_store::{Purpose, Store, StoreError};

on_both_engines!(
    another_master_key_opens_nothing,
    a_demo_and_real_use_never_share_a_store,
    a_newer_programs_store_is_left_alone,
    many_may_make_the_same_store_at_once,
);

#[cfg(unix)]
fn mode(file: &std::path::Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions()) & 0o777
}

/// Nobody else reads the files; readers and the writer don't wait for each other; odd names are names.
#[cfg(unix)]
#[tokio::test]
async fn a_new_store_is_its_owners_alone() {
    let place = Place::new();
    let file = place.file("a b%41?c#d.db");
    let db: Db = file.clone().into();
    let store = open(&db).await.unwrap();
    put_policy(&store).await;
    for beside in ["", "-wal", "-shm"] {
        let mut name = file.clone().into_os_string();
        name.push(beside);
        assert_eq!(mode(name.as_ref()), 0o600, "{name:?}");
    }
    let again = open(&db).await.unwrap();
    assert_eq!(again.head().await.unwrap(), store.head().await.unwrap());
}

async fn another_master_key_opens_nothing() {
    let place = Place::new();
    put_policy(&place.store().await).await;
    let other = MasterKey::new([8; 32]);
    let refused = Store::open(&url(&place.db()), &other, Purpose::Own, NOW).await;
    assert!(matches!(refused, Err(StoreError::WrongMasterKey)), "{refused:?}");
    assert_eq!(place.store().await.policy().await.unwrap(), policy());
}

async fn a_demo_and_real_use_never_share_a_store() {
    for (made, asked) in [(Purpose::Demo, Purpose::Own), (Purpose::Own, Purpose::Demo)] {
        let place = Place::empty();
        let url = url(&place.db());
        Store::open(&url, &master(), made, NOW).await.unwrap();
        let refused = Store::open(&url, &master(), asked, NOW).await;
        assert!(matches!(refused, Err(StoreError::OtherPurpose { found }) if found == made), "{refused:?}");
        Store::open(&url, &master(), made, NOW).await.unwrap();
    }
}

async fn a_newer_programs_store_is_left_alone() {
    let place = Place::new();
    place.store().await.close().await;
    sql(&place.db(), "UPDATE meta SET value = '99' WHERE key = 'schema'").await;
    let refused = open(&place.db()).await;
    assert!(matches!(refused, Err(StoreError::NewerSchema { found: 99, .. })), "{refused:?}");
    assert_eq!(ask(&place.db(), "SELECT value FROM meta WHERE key = 'schema'").await, ["99"]);
}

#[tokio::test]
async fn what_is_no_store_is_refused_with_a_sentence() {
    let place = Place::new();
    let cannot = |r: Result<Store, StoreError>| matches!(r, Err(StoreError::CannotOpen { .. }));
    let no_address = |r: Result<Store, StoreError>| matches!(r, Err(StoreError::NoAddress(_)));
    assert!(cannot(open(&place.file("missing/doorward.db").into()).await));
    for url in ["", "sqlite:", "sqlite::memory:", "/plain/path", "mysql://localhost/x"] {
        assert!(no_address(Store::open(url, &master(), Purpose::Own, NOW).await), "{url}");
    }
    let text = place.file("notes.txt");
    std::fs::write(&text, "these are notes, more than a hundred bytes of them. ".repeat(40)).unwrap();
    assert!(matches!(open(&text.into()).await, Err(StoreError::Damaged(_))));
    let other: Db = place.file("other.db").into();
    open(&other).await.unwrap().close().await;
    sql(&other, "DROP TABLE head; CREATE TABLE customers (id INTEGER)").await;
    assert!(cannot(open(&other).await));
}

/// Several processes may start at once on a file that is not there yet.
async fn many_may_make_the_same_store_at_once() {
    for _ in 0..5 {
        let place = Place::empty();
        let file = place.db();
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let file = file.clone();
                tokio::spawn(async move { open(&file).await.unwrap().head().await.unwrap() })
            })
            .collect();
        let mut heads = Vec::new();
        for task in tasks {
            heads.push(task.await.unwrap());
        }
        assert!(heads.iter().all(|h| *h == heads[0] && h.seq == 0), "{heads:?}");
    }
}
