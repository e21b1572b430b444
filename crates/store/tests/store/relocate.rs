//! An installation moves from one store to another: all of it or nothing, and nobody writes to the old one afterwards.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::guessing::{Delays, Network};
use doorward_core::observed::{Observed, Refused, Sample};
use doorward_core::policy::Rule;
use doorward_core::time::UnixMillis;
use doorward_store::{Address, Display, Fact, Filter, Moved, Store, StoreError, Target, TokenFilter};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

on_both_engines!(
    everything_arrives,
    what_holds_something_else_is_left_alone,
    a_store_is_not_moved_to_itself,
    a_move_that_was_cut_off_is_done_over,
    two_stores_never_name_each_other,
    a_damaged_store_does_not_move,
    what_is_acknowledged_during_a_move_has_moved,
);

/// More than are read at a time.
const MANY: usize = 2_050;

/// A source and an empty target.
struct Pair {
    from: Place,
    old: Db,
    new: Db,
    _to: Place,
}

/// Every way that this run can go: from and to files, and from and to a server where there is one.
fn pairs() -> Vec<Pair> {
    let pair = |old_is_file: bool, new_is_file: bool| {
        let (from, to) = (Place::empty(), Place::empty());
        let old = if old_is_file { from.file("old.db").into() } else { from.db() };
        let new = if new_is_file { to.file("new.db").into() } else { to.db() };
        Pair { from, old, new, _to: to }
    };
    let on_server = Place::new().db().is_server();
    match on_server {
        false => vec![pair(true, true)],
        true => vec![pair(true, false), pair(false, true), pair(false, false)],
    }
}

fn address(db: &Db) -> Address {
    db.url().parse().unwrap()
}

/// Everything that a store tells, all in one text.
async fn everything(store: &Store) -> String {
    let mut all =
        format!("{:?}\n{:?}\n{:?}\n", store.head().await, store.policy().await, store.check().await);
    for change in store.changes_after(0, i64::MAX).await.unwrap() {
        all += &format!("{change:?}\n");
    }
    for c in store.credentials_page(&Filter::default(), None, 100_000).await.unwrap() {
        let revealed = store.reveal(&c.credential.id, NOW).await.unwrap();
        let rest = (c.secret_version, c.created_at, c.last_used, c.exposed_at);
        let signs = signs_with(store, &c.credential.id).await;
        all += &format!("{} {rest:?} {revealed:?} {signs:?}\n", shown(&c.credential));
    }
    for token in store.live_tokens(&TokenFilter::All, None, 100_000, NOW).await.unwrap() {
        all += &format!("{token:?}\n");
    }
    all + &format!("{:?}", store.token_keys().await.unwrap())
}

async fn fill(store: &Store, many: usize) {
    put_policy(store).await;
    let display = |until| Some(Display { secret: "shown \u{e4}".to_owned(), until });
    let mut write = store.write("ann \"\u{e4}\"", NOW).await.unwrap();
    for n in 0..many {
        write.create_credential(&new(credential(&format!("k{n}"), "s"), None)).await.unwrap();
    }
    write.create_credential(&new(full_credential("full"), display(None))).await.unwrap();
    write.create_credential(&new(credential("gone", "s"), display(None))).await.unwrap();
    write.create_credential(&new(signer(&store.keys(), "signs", "what it signs with"), None)).await.unwrap();
    let until = Some(UnixMillis(NOW.0 + 60_000));
    write.create_credential(&new(credential("shown", "s"), display(until))).await.unwrap();
    write.delete_credential("gone").await.unwrap();
    write.commit().await.unwrap();
    let fact = |id: &str, exposed_at| Fact {
        credential: Some(id.to_owned()),
        last_used: NOW,
        exposed_at,
        observed: Vec::new(),
    };
    // More rows than are read at a time, where there are many of everything; one page ends among those of a credential.
    let seen = |n: usize| {
        let api = format!("api{n}");
        let seen = crate::observed::unsigned(&api, n as u64 + 1, Some(NOW));
        let sample = Sample { at: NOW, method: "GET".into(), path: "/v1".into(), client: None };
        let scope = Refused { calls: 1, samples: vec![sample], ..Refused::nothing(Rule::Scope) };
        Observed { refused: seen.refused.into_iter().chain([scope]).collect(), ..seen }
    };
    let observed: Vec<_> = (0..=many / 2).map(seen).collect();
    let full = Fact { observed: observed.clone(), ..fact("full", None) };
    let anonymous = Fact { credential: None, observed: observed.clone(), ..fact("", None) };
    store.record(&[full, Fact { observed, ..fact("shown", Some(NOW)) }, anonymous]).await.unwrap();
    let tokens: Vec<_> = tokens_of(store, "shown", many).await;
    assert!(store.issue_tokens(&tokens).await.unwrap().iter().all(Result::is_ok));
    let mut write = store.write("ann", NOW).await.unwrap();
    write.revoke_token(tokens[1].id).await.unwrap();
    crate::token_keys::add(&mut write, "first", NOW).await;
    write.settle_token_keys(1).await.unwrap();
    write.commit().await.unwrap();
    let who = store.keys().guess_key("ann", Network::V4([192, 0, 2, 1]));
    store.guess_failed(who, &Delays { free: 0, ..Delays::default() }, NOW).await.unwrap();
}

/// Tokens of a credential.
async fn tokens_of(store: &Store, credential: &str, many: usize) -> Vec<doorward_store::NewToken> {
    let seen = crate::tokens::seen(store, credential).await;
    (0..many).map(|n| crate::tokens::token(&seen, n as u128)).collect()
}

async fn everything_arrives() {
    for Pair { old, new: to, from: _from, _to } in pairs() {
        let store = open(&old).await.unwrap();
        fill(&store, MANY).await;
        let before = everything(&store).await;
        let uses = "SELECT credential || ' ' || api || ' ' || CAST(calls * first_at - last_at AS TEXT) \
             || COALESCE(CAST(signed_at AS TEXT), '') FROM unsigned_use ORDER BY credential, api";
        let used = ask(&old, uses).await;
        assert_eq!(used.len(), 2 * (MANY / 2 + 1));
        assert_eq!(store.look_at_target(&address(&to)).await.unwrap(), Target::Empty);
        let Moved::Now { head, counts, report } = store.move_to(&address(&to)).await.unwrap() else {
            panic!("nothing was there before");
        };
        assert_eq!(head, store.head().await.unwrap());
        assert_eq!(report, store.check().await.unwrap());
        let many = i64::try_from(MANY).unwrap();
        assert_eq!((counts.credentials, counts.displays, counts.facts), (many + 3, 2, 2));
        assert_eq!((counts.signing, report.sealed), (1, 4));
        assert_eq!((counts.changes, counts.objects), (head.seq, 3));
        // The old one tells the same, and takes no more.
        assert_eq!(everything(&store).await, before);
        let refused = store.write("ann", NOW).await;
        assert!(matches!(&refused, Err(StoreError::Moved(to)) if !to.contains("moved")), "{refused:?}");
        assert_eq!(store.moved_to().await.unwrap(), Some(address(&to).to_string()));
        let moved = open(&to).await.unwrap();
        assert_eq!(everything(&moved).await, before);
        assert_eq!(ask(&to, uses).await, used);
        assert_eq!(signs_with(&moved, "signs").await.as_deref(), Some("what it signs with"));
        assert_eq!(moved.moved_to().await.unwrap(), None);
        create(&moved, "after", "s", None).await;
        // Asked for again, it says that it was done, also when the new one has gone on.
        let again = store.move_to(&address(&to)).await.unwrap();
        assert!(matches!(again, Moved::Before { head: ref now } if now.seq == head.seq + 1), "{again:?}");
        let elsewhere = Place::empty();
        let refused = store.move_to(&address(&elsewhere.file("third.db").into())).await;
        assert!(matches!(refused, Err(StoreError::Moved(_))), "{refused:?}");
        assert!(!elsewhere.file("third.db").exists());
        moved.check().await.unwrap();
        // What is put in force again takes changes again.
        store.begin_epoch("ann", NOW).await.unwrap();
        create(&store, "again", "s", None).await;
        store.check().await.unwrap();
    }
}

async fn what_holds_something_else_is_left_alone() {
    for Pair { old, new: to, from: _from, _to } in pairs() {
        let store = open(&old).await.unwrap();
        fill(&store, 3).await;
        let other = open(&to).await.unwrap();
        let before = everything(&other).await;
        for refused in
            [store.look_at_target(&address(&to)).await.err(), store.move_to(&address(&to)).await.err()]
        {
            let refused = refused.unwrap().to_string();
            assert!(refused.contains("another installation is there"), "{refused}");
        }
        assert_eq!(everything(&other).await, before);
        other.close().await;
        sql(&to, "DROP TABLE head; CREATE TABLE customers (id INTEGER)").await;
        let refused = store.move_to(&address(&to)).await.unwrap_err().to_string();
        assert!(refused.contains("holds other tables"), "{refused}");
        create(&store, "later", "s", None).await;
    }
}

async fn a_store_is_not_moved_to_itself() {
    let place = Place::new();
    let store = place.store().await;
    fill(&store, 3).await;
    let refused = store.move_to(&address(&place.db())).await.unwrap_err().to_string();
    assert!(refused.contains("the very store"), "{refused}");
    assert_eq!(store.moved_to().await.unwrap(), None);
    create(&store, "later", "s", None).await;
}

/// Killed between the two ends: all of it is there, and the old store does not know yet.
async fn a_move_that_was_cut_off_is_done_over() {
    for Pair { old, new: to, from: _from, _to } in pairs() {
        let store = open(&old).await.unwrap();
        fill(&store, 3).await;
        let unmark = "DELETE FROM meta WHERE key = 'moved_to'";
        store.move_to(&address(&to)).await.unwrap();
        sql(&old, unmark).await;
        assert!(matches!(store.look_at_target(&address(&to)).await.unwrap(), Target::Same(_)));
        assert!(matches!(store.move_to(&address(&to)).await.unwrap(), Moved::Before { .. }));
        assert!(matches!(store.write("ann", NOW).await, Err(StoreError::Moved(_))));
        // Somebody has written to the old one in between: neither holds what the other has.
        sql(&old, unmark).await;
        create(&store, "in between", "s", None).await;
        let refused = store.move_to(&address(&to)).await.unwrap_err().to_string();
        assert!(refused.contains("an older copy of this installation"), "{refused}");
        let moved = open(&to).await.unwrap();
        create(&moved, "there, too", "s", None).await;
        let refused = store.move_to(&address(&to)).await.unwrap_err().to_string();
        assert!(refused.contains("with another history"), "{refused}");
        create(&store, "later", "s", None).await;
    }
}

/// Moved back to where it came from before anything was changed: were that "all of it is there already", each store would
/// name the other, and none would take changes.
async fn two_stores_never_name_each_other() {
    for Pair { old, new, from: _from, _to } in pairs() {
        let store = open(&old).await.unwrap();
        fill(&store, 3).await;
        store.move_to(&address(&new)).await.unwrap();
        let moved = open(&new).await.unwrap();
        for refused in [
            moved.move_to(&address(&old)).await.map(|_| ()).unwrap_err(),
            moved.look_at_target(&address(&old)).await.map(|_| ()).unwrap_err(),
        ] {
            assert!(refused.to_string().contains("was moved to"), "{refused}");
        }
        assert_eq!(moved.moved_to().await.unwrap(), None);
        create(&moved, "later", "s", None).await;
    }
}

/// Nothing of it is at the new place, and whoever made it wrong is found out at the old one.
async fn a_damaged_store_does_not_move() {
    for Pair { old, new: to, from: _from, _to } in pairs() {
        let store = open(&old).await.unwrap();
        fill(&store, 3).await;
        sql(&old, "UPDATE credential SET name = 'another' WHERE id = 'k1'").await;
        let refused = store.move_to(&address(&to)).await;
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
        assert_eq!(store.look_at_target(&address(&to)).await.unwrap(), Target::Empty);
        assert_eq!(store.moved_to().await.unwrap(), None);
        if !to.is_server() {
            assert!(!std::path::Path::new(to.url().strip_prefix("sqlite:").unwrap()).exists());
        }
        sql(&old, "UPDATE credential SET name = 'a name' WHERE id = 'k1'").await;
        store.move_to(&address(&to)).await.unwrap();
    }
}

async fn what_is_acknowledged_during_a_move_has_moved() {
    for Pair { old, new: to, from: _from, _to } in pairs() {
        let store = open(&old).await.unwrap();
        fill(&store, 300).await;
        let acknowledged = Arc::new(AtomicI64::new(0));
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (old, acknowledged) = (old.clone(), Arc::clone(&acknowledged));
                tokio::spawn(async move {
                    let store = open(&old).await.unwrap();
                    let mut ids = Vec::new();
                    loop {
                        let id = format!("w{writer}-{}", ids.len());
                        let mut write = match store.write("setup", NOW).await {
                            Ok(write) => write,
                            Err(StoreError::Moved(_)) => return ids,
                            Err(e) => panic!("{e}"),
                        };
                        write.create_credential(&new(credential(&id, "s"), None)).await.unwrap();
                        write.commit().await.unwrap();
                        acknowledged.fetch_add(1, Ordering::SeqCst);
                        ids.push(id);
                    }
                })
            })
            .collect();
        while acknowledged.load(Ordering::SeqCst) < 10 {
            tokio::task::yield_now().await;
        }
        let Moved::Now { head, .. } = store.move_to(&address(&to)).await.unwrap() else {
            panic!("it is new")
        };
        let moved = open(&to).await.unwrap();
        for writer in writers {
            for id in writer.await.unwrap() {
                assert!(moved.credential(&id).await.unwrap().is_some(), "{id} was acknowledged");
            }
        }
        assert_eq!(store.head().await.unwrap(), head);
        moved.check().await.unwrap();
    }
}
