//! Backups of a store in use, and what may take the place of a store.
use crate::place::on_postgres_only;
use crate::support::*;
use doorward_core::time::UnixMillis;
use doorward_store::{Display, Filter, Head, Incoming, StoreError};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

on_postgres_only!(a_servers_store_is_backed_up_by_other_tools);

async fn opened(file: &Path) -> doorward_store::Store {
    open(&file.to_owned().into()).await.unwrap()
}

fn files(place: &Place) -> Vec<String> {
    let names = std::fs::read_dir(place.folder()).unwrap();
    let mut names: Vec<String> = names
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .filter(|f| !f.contains("-shm"))
        .collect();
    names.sort();
    names
}

/// A backup holds all that was acknowledged before it, whole changes only, and nobody waits for it.
/// What was issued and revoked, and what tokens are signed with; but all of it is dead once the backup is in force.
#[tokio::test]
async fn a_backup_holds_tokens_and_their_keys() {
    let (place, store) = crate::tokens::filled().await;
    let a = crate::tokens::seen(&store, "a").await;
    let tokens = [crate::tokens::token(&a, 1), crate::tokens::token(&a, 2)];
    store.issue_tokens(&tokens).await.unwrap();
    let mut write = store.write("ann", NOW).await.unwrap();
    write.revoke_token(tokens[1].id).await.unwrap();
    crate::token_keys::add(&mut write, "first", NOW).await;
    write.commit().await.unwrap();
    let file = place.file("backup.db");
    assert_eq!(store.backup(&file).await.unwrap().report, store.check().await.unwrap());
    let copy = opened(&file).await;
    assert_eq!(copy.token_keys().await.unwrap(), store.token_keys().await.unwrap());
    let alive = async |n: usize| copy.token(tokens[n].id, NOW).await.unwrap().unwrap().alive;
    assert_eq!((alive(0).await, alive(1).await), (true, false));
    copy.begin_epoch("ann", NOW).await.unwrap();
    assert_eq!((alive(0).await, alive(1).await), (false, false));
    copy.check().await.unwrap();
}

#[tokio::test]
async fn a_backup_is_one_instant_of_a_store_in_use() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let (acknowledged, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = tokio::spawn({
        let (store, acknowledged, stop) = (place.store().await, Arc::clone(&acknowledged), Arc::clone(&stop));
        async move {
            let mut n = 0;
            while !stop.load(Ordering::SeqCst) {
                let mut write = store.write("setup", NOW).await.unwrap();
                for half in ["a", "b"] {
                    let c = new(credential(&format!("k{n}-{half}"), "s"), None);
                    write.create_credential(&c).await.unwrap();
                }
                acknowledged.store(write.commit().await.unwrap(), Ordering::SeqCst);
                n += 1;
            }
        }
    });
    let mut last = 0;
    for n in 0..5 {
        while acknowledged.load(Ordering::SeqCst) <= last {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.load(Ordering::SeqCst);
        let file = place.file(&format!("backup-{n}.db"));
        let made = store.backup(&file).await.unwrap();
        let after = acknowledged.load(Ordering::SeqCst);
        // One write may be on the disk and not yet acknowledged.
        assert!((before..=after + 2).contains(&made.head.seq), "{before} {made:?} {after}");
        let copy = opened(&file).await;
        assert_eq!(copy.check().await.unwrap(), made.report);
        assert_eq!(copy.head().await.unwrap(), made.head);
        let ids: Vec<String> = copy
            .credentials_page(&Filter::default(), None, 100_000)
            .await
            .unwrap()
            .iter()
            .map(|c| c.credential.id.to_string())
            .collect();
        assert_eq!(ids.len() % 2, 0, "a change was taken by half");
        assert_eq!(made.head.seq, 3 + i64::try_from(ids.len()).unwrap());
        copy.close().await;
        last = after;
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_backup_replaces_no_file_and_leaves_none_behind() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let file = place.file("backup ü%41?.db");
    let made = store.backup(&file).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), made.bytes);
    let before = std::fs::read(&file).unwrap();
    for (to, why) in [
        (file.clone(), "there is a file already"),
        (place.file("doorward.db"), "there is a file already"),
        (place.file("missing/backup.db"), "No such file"),
        (PathBuf::from("/"), "not the name of a file"),
    ] {
        let refused = store.backup(&to).await.unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(files(&place), ["backup ü%41?.db", "doorward.db", "doorward.db-wal"]);
    store.check().await.unwrap();
}

/// What is damaged is told while there is still something to be done about it, and no file looks like a backup.
#[tokio::test]
async fn a_damaged_store_gives_no_backup() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "k", "s", None).await;
    sql(&place.db(), "UPDATE credential SET name = 'another' WHERE id = 'k'").await;
    let refused = store.backup(&place.file("backup.db")).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
    assert!(!files(&place).iter().any(|name| name.starts_with("backup")));
}

/// A copy of a secret that was erased is in no free page of a backup either.
#[tokio::test]
async fn what_was_erased_is_in_no_backup() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let until = |ms| Some(Display { secret: "s".to_owned(), until: Some(UnixMillis(NOW.0 + ms)) });
    for n in 0..30 {
        create(&store, &format!("k{n}"), "s", until(1_000 + n)).await;
    }
    let sealed = ask(&place.db(), "SELECT lower(hex(sealed)) FROM secret_display ORDER BY shown_until").await;
    store.erase_closed(UnixMillis(NOW.0 + 1_009)).await.unwrap();
    let file = place.file("backup.db");
    store.backup(&file).await.unwrap();
    let hex: String = std::fs::read(&file).unwrap().iter().map(|b| format!("{b:02x}")).collect();
    let held: Vec<bool> = sealed.iter().map(|s| hex.contains(s.as_str())).collect();
    assert_eq!(held, [vec![false; 10], vec![true; 20]].concat());
}

async fn a_servers_store_is_backed_up_by_other_tools() {
    let place = Place::new();
    let refused = place.store().await.backup(&place.file("backup.db")).await.unwrap_err();
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
    assert!(files(&place).is_empty());
}

/// Puts a backup in the place of a store, as the command does.
async fn restore(from: &Path, to: &Path) -> Result<(Head, Option<PathBuf>), StoreError> {
    let incoming = Incoming::bring(from, to).await?;
    let store =
        doorward_store::Store::open_at(&incoming.address(), &master(), doorward_store::Purpose::Own, NOW)
            .await?;
    let checked = async {
        store.check().await?;
        store.begin_epoch("setup", NOW).await
    };
    let head = checked.await;
    store.close().await;
    Ok((head?, incoming.place(NOW).await?))
}

#[tokio::test]
async fn a_backup_takes_the_place_of_the_store() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "early", "s", None).await;
    create_signer(&store, "signs", "what it signs with").await;
    crate::observed::call(&store, "signs", "vouchers", 3, 5).await;
    let file = place.file("backup.db");
    let made = store.backup(&file).await.unwrap();
    assert_eq!(made.report.sealed, 1);
    create(&store, "late", "s", None).await;
    let mut write = store.write("ann", NOW).await.unwrap();
    write.delete_credential("signs").await.unwrap();
    write.commit().await.unwrap();
    store.close().await;
    let (head, kept) = restore(&file, &place.file("doorward.db")).await.unwrap();
    assert_eq!(head.seq, made.head.seq + 1);
    assert_ne!(head.epoch, made.head.epoch);
    let now = place.store().await;
    assert_eq!(now.head().await.unwrap(), head);
    now.check().await.unwrap();
    assert!(now.credential("early").await.unwrap().is_some());
    assert_eq!(signs_with(&now, "signs").await.as_deref(), Some("what it signs with"));
    assert_eq!(crate::observed::calls(&now, "vouchers").await, [("signs".to_owned(), 3)]);
    assert!(now.credential("late").await.unwrap().is_none());
    let changes = now.changes_after(made.head.seq, 9).await.unwrap();
    assert_eq!((changes[0].kind.as_str(), changes[0].action.as_str()), ("store", "restored"));
    create(&now, "later", "s", None).await;
    now.close().await;
    // What was there before is whole, in one file.
    let kept = kept.unwrap();
    assert!(kept.to_str().unwrap().ends_with("doorward.db.before-restore-20270115T080000000Z"), "{kept:?}");
    let former = opened(&kept).await;
    assert!(former.credential("late").await.unwrap().is_some());
    former.check().await.unwrap();
    former.close().await;
    // And can be put back in turn, even where there is nothing to replace.
    std::fs::remove_file(place.file("doorward.db")).unwrap();
    std::fs::write(place.file("doorward.db-wal"), "a log that is all that is left").unwrap();
    let (_, replaced) = restore(&kept, &place.file("doorward.db")).await.unwrap();
    assert_eq!(replaced, None);
    assert!(place.store().await.credential("late").await.unwrap().is_some());
}

/// Whoever still has the old file open must not be told that a change was made: it would be in no store.
#[tokio::test]
async fn nothing_is_written_to_a_file_that_was_replaced() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let (file, aside) = (place.file("doorward.db"), place.file("aside.db"));
    std::fs::rename(&file, &aside).unwrap();
    assert!(matches!(store.write("ann", NOW).await, Err(StoreError::Replaced)));
    std::fs::rename(&aside, &file).unwrap();
    create(&store, "later", "s", None).await;
}

#[tokio::test]
async fn a_store_in_use_is_not_replaced() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let file = place.file("backup.db");
    store.backup(&file).await.unwrap();
    create(&store, "late", "s", None).await;
    let refused = restore(&file, &place.file("doorward.db")).await.unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
    create(&store, "later", "s", None).await;
    store.check().await.unwrap();
    assert!(store.credential("late").await.unwrap().is_some());
    assert_eq!(files(&place), ["backup.db", "doorward.db", "doorward.db-wal"]);
}

/// Whatever is no backup of this store's is told so, and all is as it was.
#[tokio::test]
async fn what_is_no_backup_replaces_nothing() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    for n in 0..200 {
        create(&store, &format!("k{n}"), "s", None).await;
    }
    let good = place.file("good.db");
    store.backup(&good).await.unwrap();
    store.close().await;
    let bytes = std::fs::read(&good).unwrap();
    let before = std::fs::read(place.file("doorward.db")).unwrap();
    let half = bytes.len() / 2;
    let write = |name: &str, content: &[u8]| {
        std::fs::write(place.file(name), content).unwrap();
        place.file(name)
    };
    let mut zeros = bytes.clone();
    zeros[half..half + 8_192].fill(0);
    let newer = write("newer.db", &bytes);
    sql(
        &newer.clone().into(),
        "UPDATE meta SET value = '99' WHERE key = 'schema'; PRAGMA journal_mode = DELETE",
    )
    .await;
    let tampered = write("tampered.db", &bytes);
    sql(
        &tampered.clone().into(),
        "UPDATE change SET actor = 'nobody' WHERE seq = 7; PRAGMA journal_mode = DELETE",
    )
    .await;
    let foreign = place.file("foreign.db");
    let other = doorward_core::keyring::MasterKey::new([8; 32]);
    let url = Db::from(foreign.clone()).url().to_owned();
    let other = doorward_store::Store::open(&url, &other, doorward_store::Purpose::Own, NOW);
    other.await.unwrap().close().await;
    let logged = write("logged.db", &bytes);
    write("logged.db-wal", b"what was written last");
    let bare = write("bare.db", b"");
    sql(&bare.clone().into(), "PRAGMA user_version = 1").await;
    for (from, why) in [
        (place.file("missing.db"), "No such file"),
        (place.folder().to_owned(), "directory"),
        (place.file("doorward.db"), "is the store that is to be replaced"),
        (write("empty.db", b""), "no SQLite database"),
        (write("text.db", &b"no database at all ".repeat(900)), "no SQLite database"),
        (write("half.db", &bytes[..half]), "damaged"),
        (write("zeros.db", &zeros), "damaged"),
        (bare, "an empty database"),
        (newer, "schema 99"),
        (tampered, "change 7"),
        (foreign, "not the master key"),
        (logged, "a log of recent writes"),
    ] {
        let refused = restore(&from, &place.file("doorward.db")).await.unwrap_err();
        assert!(refused.to_string().contains(why), "{from:?}: {refused}");
        assert_eq!(std::fs::read(place.file("doorward.db")).unwrap(), before, "{from:?}");
    }
    let left = files(&place);
    assert!(!left.iter().any(|f| f.contains("restoring") || f.contains("before-restore")), "{left:?}");
}

/// A damaged store is what a backup is for.
#[tokio::test]
async fn a_damaged_store_is_replaced_and_kept() {
    for damage in ["all", "begins", "tail"] {
        let place = Place::new();
        let store = place.store().await;
        put_policy(&store).await;
        create(&store, "k", "s", None).await;
        let file = place.file("backup.db");
        store.backup(&file).await.unwrap();
        store.close().await;
        let mut bytes = std::fs::read(place.file("doorward.db")).unwrap();
        match damage {
            "all" => bytes.fill(7),
            "begins" => bytes[..100].fill(0),
            _ => bytes.truncate(5_000),
        }
        std::fs::write(place.file("doorward.db"), &bytes).unwrap();
        // A log of it must not be taken for one of the new file's.
        std::fs::write(place.file("doorward.db-wal"), "a log that fits nothing").unwrap();
        let (_, kept) = restore(&file, &place.file("doorward.db")).await.unwrap();
        let kept = kept.unwrap();
        let now = place.store().await;
        now.check().await.unwrap();
        assert!(now.credential("k").await.unwrap().is_some(), "{damage}");
        assert_eq!(std::fs::read(kept).unwrap().len(), bytes.len(), "{damage}");
    }
}
