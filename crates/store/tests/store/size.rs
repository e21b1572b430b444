//! How much memory and time many credentials take. `DOORWARD_N` tells how many; a few every day.
use crate::support::*;
use doorward_core::credential::Status;
use doorward_core::live::Live;
use doorward_store::follow::{Follow, follow};
use doorward_store::{Filter, Store};
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

crate::place::on_both_engines!(size_of_many_credentials, size_of_many_that_sign);

const EVERY_DAY: u64 = 3_000;
/// From so many on, the memory of one is told apart from that of the rest.
const MANY: u64 = 50_000;
/// Most bytes of memory that a credential with a name and no lists may take, tables and allocator included.
const MOST_BYTES_EACH: u64 = 400;
/// The same for one that signs, whose secret lies in memory as well.
const MOST_BYTES_SIGNING: u64 = 480;

fn number() -> u64 {
    std::env::var("DOORWARD_N").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(EVERY_DAY)
}

/// Resident memory of this process, in bytes.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap()
}

/// Rows as `create` writes them, but all at once; the change table does not know of them.
async fn fill(place: &Place, n: u64) {
    let db = place.db();
    let (series, id, number, secret) = (
        db.either("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})", ""),
        db.either(
            "printf('dwi_%022d', (i * 2654435761) % 4294967296)",
            "'dwi_' || substr(md5(i::text), 1, 22)",
        ),
        db.either("n", "generate_series(1, {n}) i"),
        db.either("randomblob(32)", "sha256(i::text::bytea)"),
    );
    let insert = format!(
        "{series} INSERT INTO credential (id, workspace, kind, name, dialect, plain_key, status, expires_at, scopes, \
         origins, secret, secret_version, created_at) SELECT {id}, 'acme', 'server', 'Till number ' || i, 'voucherify', \
         0, 'active', NULL, '[]', '[]', {secret}, 1, 1800000000000 FROM {number}"
    );
    sql(&db, &insert.replace("{n}", &n.to_string())).await;
    sql(&db, "ANALYZE").await;
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    (work.await, started.elapsed())
}

async fn pages(store: &Store, filter: &Filter, limit: i64) -> (u64, Duration) {
    let (mut count, mut longest, mut after) = (0, Duration::ZERO, None::<String>);
    loop {
        let (page, took) = timed(store.credentials_page(filter, after.as_deref(), limit)).await;
        let page = page.unwrap();
        longest = longest.max(took);
        let Some(last) = page.last() else { return (count, longest) };
        after = Some(last.credential.id.to_string());
        count += page.len() as u64;
    }
}

/// Everything that must not become slow or large when there are many: loading, listing, searching, changing.
#[allow(clippy::print_stdout, reason = "figures are what a long run is for")]
async fn size_of_many_credentials() {
    let (place, n) = (Place::new(), number());
    let store = place.store().await;
    put_policy(&store).await;
    fill(&place, n).await;
    let live = Arc::new(Live::new(keys()));
    let before = resident_bytes();
    let (ready, mut is_ready) = tokio::sync::watch::channel(false);
    let woken = Arc::new(tokio::sync::Notify::new());
    let settings = Follow {
        region: Some("us".into()),
        poll: Duration::from_millis(5),
        max_staleness: Duration::from_secs(60),
    };
    let started = Instant::now();
    let following =
        tokio::spawn(follow(store.clone(), Arc::clone(&live), settings, Arc::clone(&woken), clock, ready));
    is_ready.wait_for(|ready| *ready).await.unwrap();
    let load = started.elapsed();
    // Others give memory back meanwhile.
    let each = resident_bytes().saturating_sub(before) / n;
    assert_eq!(live.directory.len() as u64, n);
    println!("{n} credentials: loaded in {load:?}, {each} bytes each");
    assert!(n < MANY || each <= MOST_BYTES_EACH, "{each} bytes each");

    let acme = Filter { workspace: Some("acme".to_owned()), ..Filter::default() };
    for filter in [&Filter::default(), &acme] {
        let ((count, longest), took) = timed(pages(&store, filter, 500)).await;
        println!("listed in {took:?}, the longest page of 500 took {longest:?}");
        assert_eq!(count, n);
        assert!(longest < Duration::from_secs(5), "{longest:?}");
    }
    let none = Filter { search: Some("not there".to_owned()), ..Filter::default() };
    let one = Filter { search: Some(format!("Number {n}")), ..Filter::default() };
    let blocked = Filter { status: Some(Status::Blocked), ..Filter::default() };
    for (what, filter, there) in [("none", &none, 0), ("one", &one, 1), ("blocked", &blocked, 0)] {
        let (found, took) = timed(store.credentials_page(filter, None, 100)).await;
        println!("search for {what}: {took:?}");
        assert_eq!(found.unwrap().len(), there);
        assert!(took < Duration::from_secs(5), "{took:?}");
    }

    let (mut longest, changes) = (Duration::ZERO, 20);
    for s in store.credentials_page(&Filter::default(), None, changes).await.unwrap() {
        let id = &*s.credential.id;
        let changed = async {
            let mut write = store.write("ann", NOW).await.unwrap();
            write.set_status(id, Status::Blocked).await.unwrap();
            write.commit().await.unwrap();
            woken.notify_one();
            while live.directory.get(id).unwrap().status == Status::Active {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let ((), took) =
            timed(async { tokio::time::timeout(Duration::from_secs(10), changed).await.unwrap() }).await;
        longest = longest.max(took);
    }
    println!("blocked one, until the node obeyed: {longest:?} at most");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let look_ups = 200_000;
    let id = store.credentials_page(&Filter::default(), None, 1).await.unwrap()[0].credential.id.clone();
    let started = Instant::now();
    for _ in 0..look_ups {
        assert!(std::hint::black_box(&live.directory).get(&id).is_some());
    }
    println!("a look-up: {:?}", started.elapsed() / look_ups);
    following.abort();
}

/// The secrets of many that sign are read with few questions, and take little more than their own length.
#[allow(clippy::print_stdout, reason = "figures are what a long run is for")]
async fn size_of_many_that_sign() {
    let (place, n) = (Place::new(), number());
    let store = place.store().await;
    put_policy(&store).await;
    let mut write = store.write("setup", NOW).await.unwrap();
    for i in 0..n {
        let (id, secret) = (format!("dwi_{i:022}"), format!("dws_{i:038}"));
        write.create_credential(&new(signer(&store.keys(), &id, &secret), None)).await.unwrap();
    }
    write.commit().await.unwrap();
    let live = Arc::new(Live::new(keys()));
    let before = resident_bytes();
    let (ready, mut is_ready) = tokio::sync::watch::channel(false);
    let settings =
        Follow { region: None, poll: Duration::from_millis(5), max_staleness: Duration::from_secs(60) };
    let started = Instant::now();
    let following = follow(store.clone(), Arc::clone(&live), settings, Arc::default(), clock, ready);
    let following = tokio::spawn(following);
    is_ready.wait_for(|ready| *ready).await.unwrap();
    let (load, each) = (started.elapsed(), resident_bytes().saturating_sub(before) / n);
    println!("{n} credentials that sign: loaded in {load:?}, {each} bytes each");
    assert!(n < MANY || each <= MOST_BYTES_SIGNING, "{each} bytes each");
    assert!((0..n).all(|i| live.directory.get(&format!("dwi_{i:022}")).unwrap().signing.is_some()));
    following.abort();
}
