//! Many issue at once, and credentials change meanwhile.
use crate::place::on_both_engines;
use crate::support::*;
use crate::tokens::{LIFE_MS, filled, issue, seen, token};
use doorward_core::credential::Status;
use doorward_core::token::Jti;
use doorward_store::{IssueError, Issuer, NewToken, NotIssued, SecretSeen, StoreError};
use sqlx::{Connection as _, Row as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

on_both_engines!(
    a_change_that_is_under_way_is_waited_for,
    nothing_is_issued_for_a_secret_once_it_was_replaced,
    a_workspace_never_has_more_tokens_than_it_may,
    room_comes_back_as_tokens_die,
    many_wait_for_the_disk_together,
    those_who_issue_hold_up_no_change,
    nothing_is_issued_at_a_store_that_was_moved,
);

/// Two connections: what another transaction has begun to change decides, once it is known how that ended. R3.
async fn a_change_that_is_under_way_is_waited_for() {
    let changed = Err(NotIssued::CredentialChanged);
    for (n, change, end, wanted) in [
        (1, "UPDATE credential SET status = 'blocked'", "COMMIT", changed),
        (2, "UPDATE credential SET secret_version = 9", "COMMIT", changed),
        (3, "UPDATE credential SET tokens_since = 9", "COMMIT", changed),
        (4, "DELETE FROM credential", "COMMIT", changed),
        (5, "UPDATE credential SET status = 'blocked'", "ROLLBACK", Ok(())),
        (6, "DELETE FROM credential", "ROLLBACK", Ok(())),
    ] {
        let (place, store) = filled().await;
        let tokens = [token(&seen(&store, "a").await, n), token(&seen(&store, "b").await, 100 + n)];
        let begin = place.db().either("BEGIN IMMEDIATE", "BEGIN").to_owned();
        let mut other = connection(&place.db(), &format!("{begin}; {change} WHERE id = 'a'")).await.unwrap();
        let issuing = tokio::spawn({
            let (store, tokens) = (place.store().await, tokens.clone());
            async move { store.issue_tokens(&tokens).await }
        });
        if place.db().is_server() {
            // Nobody else has to wait for it.
            let start = Instant::now();
            while store.token(tokens[1].id, NOW).await.unwrap().is_none() {
                assert!(start.elapsed() < Duration::from_secs(10));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let patience = Instant::now() + Duration::from_millis(150);
        while Instant::now() < patience {
            assert!(!issuing.is_finished(), "it did not wait");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sqlx::raw_sql(end).execute(&mut other).await.unwrap();
        let told = issuing.await.unwrap().unwrap();
        assert_eq!(told, [wanted, Ok(())], "{change} {end}");
        assert_eq!(store.token(tokens[0].id, NOW).await.unwrap().is_some(), wanted.is_ok());
        other.close().await.unwrap();
    }
}

/// When a new secret is acknowledged, no token comes that was asked for with the old one, although tokens are kept.
async fn nothing_is_issued_for_a_secret_once_it_was_replaced() {
    let (place, store) = filled().await;
    let (done, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(1)));
    let first = seen(&store, "a").await;
    let version = Arc::new(AtomicU64::new(1));
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let (store, done) = (place.store().await, Arc::clone(&done));
        let (next, version, first) = (Arc::clone(&next), Arc::clone(&version), first.clone());
        tasks.push(tokio::spawn(async move {
            while !done.load(Ordering::SeqCst) {
                let seen = version.load(Ordering::SeqCst);
                let mut one = token(&first, u128::from(next.fetch_add(1, Ordering::SeqCst)));
                one.secret = SecretSeen::Version(i64::try_from(seen).unwrap());
                one.scope = format!("v{seen}");
                let _ = issue(&store, &one).await;
            }
        }));
    }
    let mut conn = connection(&place.db(), "").await.unwrap();
    let mut count = async |seen: u64| -> i64 {
        let query = "SELECT COUNT(*) FROM token WHERE scope = $1";
        sqlx::query(query).bind(format!("v{seen}")).fetch_one(&mut conn).await.unwrap().get(0)
    };
    let mut counts = Vec::new();
    for seen in 1..=40 {
        while count(seen).await < 2 {
            tokio::task::yield_now().await;
        }
        let mut write = store.write("ann", NOW).await.unwrap();
        write.replace_secret("a", keys().hash(b"a", &[1]), None, None, true).await.unwrap();
        write.commit().await.unwrap();
        counts.push(count(seen).await);
        version.store(seen + 1, Ordering::SeqCst);
    }
    done.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    for (seen, then) in (1..).zip(counts) {
        assert_eq!(count(seen).await, then, "tokens of secret {seen} came afterwards");
    }
}

const CAP: u32 = 1_000;

/// Never 1,001.
async fn a_workspace_never_has_more_tokens_than_it_may() {
    let (place, store) = filled().await;
    let mut tasks = Vec::new();
    for writer in 0..4_u128 {
        let store = place.store().await;
        tasks.push(tokio::spawn(async move {
            let seen = seen(&store, if writer % 2 == 0 { "a" } else { "b" }).await;
            let issuer = Issuer::start(store.clone());
            let (mut issued, mut refused) = (0, 0);
            for round in 0..10 {
                let all = (0..40_u128).map(|n| {
                    let one = token(&seen, writer << 32 | round << 16 | n);
                    let issuer = issuer.clone();
                    tokio::spawn(async move { issuer.issue(NewToken { cap: Some(CAP), ..one }).await })
                });
                for one in all.collect::<Vec<_>>() {
                    match one.await.unwrap() {
                        Ok(()) => issued += 1,
                        Err(IssueError::Refused(NotIssued::TooMany)) => refused += 1,
                        Err(e) => panic!("{e}"),
                    }
                }
            }
            (issued, refused)
        }));
    }
    let (mut issued, mut refused) = (0, 0);
    for task in tasks {
        let one = task.await.unwrap();
        (issued, refused) = (issued + one.0, refused + one.1);
    }
    assert_eq!((issued, refused), (1_000, 600));
    assert_eq!(ask(&place.db(), "SELECT CAST(COUNT(*) AS TEXT) FROM token").await, ["1000"]);
    // Another workspace's are its own, and one without a limit has none.
    let seen = seen(&store, "a").await;
    assert_eq!(issue(&store, &token(&seen, 1 << 60)).await, Ok(()));
}

async fn room_comes_back_as_tokens_die() {
    let (_place, store) = filled().await;
    let capped = |token: NewToken| NewToken { cap: Some(3), ..token };
    let (a, b) = (seen(&store, "a").await, seen(&store, "b").await);
    let batch = [token(&a, 1), token(&b, 2), token(&b, 3), token(&b, 4)].map(capped);
    let told = store.issue_tokens(&batch).await.unwrap();
    assert_eq!(told, [Ok(()), Ok(()), Ok(()), Err(NotIssued::TooMany)]);
    let again = async |at: i64, n: u128, who: &str| {
        let seen = seen(&store, who).await;
        issue(&store, &NewToken { issued_at: NOW.plus_ms(at), ..capped(token(&seen, n)) }).await
    };
    assert_eq!(again(0, 5, "a").await, Err(NotIssued::TooMany));
    // The first one ends.
    assert_eq!(again(LIFE_MS + 1, 6, "a").await, Ok(()));
    assert_eq!(again(LIFE_MS + 1, 7, "a").await, Err(NotIssued::TooMany));
    let mut write = store.write("ann", NOW).await.unwrap();
    write.revoke_token(Jti::new((6_u128 << 64 | 6).to_be_bytes())).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(again(LIFE_MS + 1, 8, "a").await, Ok(()));
    assert_eq!(again(LIFE_MS + 1, 9, "a").await, Err(NotIssued::TooMany));
    let mut write = store.write("ann", NOW).await.unwrap();
    write.revoke_tokens_of("b").await.unwrap();
    write.commit().await.unwrap();
    for n in 10..12 {
        assert_eq!(again(LIFE_MS + 1, n, "b").await, Ok(()));
    }
    assert_eq!(again(LIFE_MS + 1, 12, "b").await, Err(NotIssued::TooMany));
}

/// One wait for the disk serves all who came meanwhile. How many a second, `--nocapture` tells.
async fn many_wait_for_the_disk_together() {
    for (callers, each, cap) in [(1, 100, None), (16, 100, None), (256, 20, None), (256, 20, Some(u32::MAX))]
    {
        let (place, store) = filled().await;
        let seen = seen(&store, "a").await;
        let issuer = Issuer::start(store.clone());
        let start = Instant::now();
        let tasks = (0..callers).map(|caller: u128| {
            let (issuer, seen) = (issuer.clone(), seen.clone());
            tokio::spawn(async move {
                for n in 0..each {
                    // Far from each other, as random ones are.
                    let id = (caller << 32 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                    let one = NewToken { id: Jti::new(id.to_be_bytes()), cap, ..token(&seen, n) };
                    issuer.issue(one).await.unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let (took, all) = (start.elapsed(), callers * each);
        let count = ask(&place.db(), "SELECT CAST(COUNT(*) AS TEXT) FROM token").await;
        assert_eq!(count, [all.to_string()]);
        let rate = all as f64 / took.as_secs_f64();
        println!("{callers} at a time, limited {}: {rate:.0} tokens a second", cap.is_some());
    }
}

/// The kill switch: however many tokens are asked for, by several nodes and for that very credential.
async fn those_who_issue_hold_up_no_change() {
    const NODES: u128 = 3;
    const CALLERS: u128 = 32;
    let (place, store) = filled().await;
    let (done, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..NODES {
        let issuer = Issuer::start(place.store().await);
        let seen = seen(&store, "a").await;
        for _ in 0..CALLERS {
            let (issuer, seen) = (issuer.clone(), seen.clone());
            let (done, next) = (Arc::clone(&done), Arc::clone(&next));
            tasks.push(tokio::spawn(async move {
                let mut issued = 0;
                while !done.load(Ordering::SeqCst) {
                    let n = u128::from(next.fetch_add(1, Ordering::SeqCst));
                    match issuer.issue(token(&seen, n)).await {
                        Ok(()) => issued += 1,
                        Err(IssueError::Refused(NotIssued::CredentialChanged)) => (),
                        Err(e) => panic!("{e}"),
                    }
                }
                issued
            }));
        }
    }
    let mut longest = Duration::ZERO;
    for n in 0..40 {
        let start = Instant::now();
        let mut write = store.write("ann", NOW).await.unwrap();
        write.set_status("a", if n % 2 == 0 { Status::Blocked } else { Status::Active }).await.unwrap();
        write.commit().await.unwrap();
        longest = longest.max(start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done.store(true, Ordering::SeqCst);
    let mut issued = 0;
    for task in tasks {
        issued += task.await.unwrap();
    }
    println!("longest {longest:?}, {issued} issued");
    assert!(longest < Duration::from_secs(1) && issued > 0, "{longest:?}, {issued} issued");
}

async fn nothing_is_issued_at_a_store_that_was_moved() {
    let (place, store) = filled().await;
    let to = place.file("moved.db");
    let issued = Arc::new(AtomicU64::new(0));
    let issuing = tokio::spawn({
        let (store, seen, issued) = (place.store().await, seen(&store, "a").await, Arc::clone(&issued));
        async move {
            let mut ids = Vec::new();
            for n in 1.. {
                let one = token(&seen, n);
                match store.issue_tokens(std::slice::from_ref(&one)).await {
                    Ok(told) => assert_eq!(told, [Ok(())]),
                    Err(StoreError::Moved(_)) => return ids,
                    Err(e) => panic!("{e}"),
                }
                ids.push(one.id);
                issued.fetch_add(1, Ordering::SeqCst);
            }
            ids
        }
    });
    while issued.load(Ordering::SeqCst) < 10 {
        tokio::task::yield_now().await;
    }
    store.move_to(&format!("sqlite:{}", to.display()).parse().unwrap()).await.unwrap();
    let moved = open(&to.into()).await.unwrap();
    for id in issuing.await.unwrap() {
        assert!(moved.token(id, NOW).await.unwrap().unwrap().alive, "{id} was acknowledged");
    }
}
