//! Limits on a Redis server.
use super::*;
use crate::ledger::RedisServer;
use crate::ledger::tests::redis::server::Redis;
use crate::{Purpose, Store};
use doorward_core::keyring::MasterKey;
use doorward_core::limits::{Bucket, Spent, settle};
use doorward_core::ports::{Limiter as _, Spending};
use doorward_core::time::UnixMillis;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A store in a file of its own.
async fn store() -> (Store, Folder) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("doorward-limits-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
    let folder = Folder(std::env::temp_dir().join(name));
    std::fs::create_dir_all(&folder.0).unwrap();
    let url = format!("sqlite:{}", folder.0.join("doorward.db").display());
    let store = Store::open(&url, &MasterKey::new([7; 32]), Purpose::Own, UnixMillis(0)).await.unwrap();
    (store, folder)
}

/// A node: a limiter that is looked after until it is dropped.
struct Node {
    limiter: Arc<RedisLimiter>,
    told: Arc<std::sync::Mutex<Vec<String>>>,
    keeping: JoinHandle<()>,
}

impl Node {
    async fn start(store: &Store, redis: &Redis, nodes: usize) -> Node {
        let sharers = Sharers::default();
        sharers.set(nodes);
        Node::with(store, redis, Hand::default().sharing(sharers)).await
    }

    async fn with(store: &Store, redis: &Redis, local: MemoryLimiter) -> Node {
        let local = Arc::new(local);
        let server = RedisServer::new(redis.url().parse().unwrap(), None, None);
        let (limiter, keeper) = RedisLimiter::new(store, server, local);
        let told = Arc::<std::sync::Mutex<Vec<String>>>::default();
        let tell = Arc::clone(&told);
        let keeping = tokio::spawn(keeper.keep(move |tried| {
            let text = tried.map_or_else(|e| e.to_string(), |()| "up".to_owned());
            tell.lock().unwrap().push(text);
        }));
        let node = Node { limiter: Arc::new(limiter), told, keeping };
        node.is_up(true).await;
        node
    }

    async fn is_up(&self, up: bool) {
        let started = Instant::now();
        while self.limiter.is_up() != up {
            assert!(started.elapsed() < Duration::from_secs(20), "it never was {up}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn spend(&self, spends: &[Spend]) -> Spent {
        match self.limiter.spend(spends) {
            Spending::Now(spent) => spent,
            Spending::Later(later) => later.await,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

#[tokio::test]
async fn the_script_says_what_the_core_says() {
    let Some(redis) = Redis::start("limits::the_script_says_what_the_core_says") else { return };
    let script =
        super::super::redis::SPEND.replace("redis.call('TIME')", "redis.call('LRANGE', 'clock', 0, 1)");
    assert_ne!(script, super::super::redis::SPEND);
    let mut conn =
        ::redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut numbers = Numbers(0x5eed_0002);
    // All that is owed is owed for longer than the test runs: keys leave by the server's own clock.
    let rates = ["30/2678400/7", "1000/2678400/20", "7/2678400/3"];
    let (mut model, mut now) = (HashMap::<Vec<u8>, Bucket>::new(), 1_800_000_000_000_u64);
    for _ in 0..3_000 {
        now += [0, 1, 999, 100_000, 10_000_000][numbers.below(5) as usize];
        let spends = numbers.spends(&rates);
        let mut buckets: Vec<Bucket> =
            spends.iter().map(|s| model.get(s.key.bytes()).copied().unwrap_or_default()).collect();
        let expected = settle(&mut buckets, &spends, 1, now);
        let mut calls = ::redis::pipe();
        calls.atomic().cmd("DEL").arg("clock").ignore();
        calls.cmd("RPUSH").arg("clock").arg(now / 1_000).arg(now % 1_000 * 1_000).ignore();
        let call = calls.cmd("EVAL").arg(&script).arg(spends.len());
        for spend in &spends {
            call.arg(spend.key.bytes());
        }
        for spend in &spends {
            let pace = spend.rate.pace(1);
            call.arg(pace.requests).arg(pace.cost).arg(pace.capacity()).arg(i64::from(spend.enforced));
        }
        let (said,): (Vec<u64>,) = calls.query_async(&mut conn).await.unwrap();
        for (at, spend) in spends.iter().enumerate() {
            let level = spend.rate.pace(1).level(said[at * 2 + 1], said[at * 2] == 1);
            assert_eq!(level, expected[at], "{spends:?} at {now}");
            model.insert(spend.key.bytes().to_vec(), buckets[at]);
        }
    }
}

#[tokio::test]
async fn nodes_on_one_server_never_let_more_through() {
    let Some(redis) = Redis::start("limits::nodes_on_one_server_never_let_more_through") else { return };
    let (store, _folder) = store().await;
    let nodes =
        [Arc::new(Node::start(&store, &redis, 2).await), Arc::new(Node::start(&store, &redis, 2).await)];
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        let node = Arc::clone(&nodes[number % 2]);
        asking.spawn(async move {
            let spends =
                [of_workspace("acme", "300/86400"), of_credential(["k", "l"][number / 2 % 2], "100/86400")];
            let spent = node.spend(&spends).await;
            assert!(!spent.shared);
            spent.levels.iter().all(|level| level.room)
        });
    }
    let through = asking.join_all().await.into_iter().filter(|room| *room).count();
    assert_eq!(through, 200);
    let spent = nodes[0].spend(&[of_workspace("acme", "300/86400")]).await;
    assert_eq!(
        spent.levels[0].remaining, 99,
        "what a credential's limit refused was not spent of the workspace's"
    );
    let keys = redis.ask(&["KEYS", "*"]);
    assert!(!keys.contains("acme") && keys.matches(":limit:").count() == 3, "{keys}");
}

#[tokio::test]
async fn a_key_leaves_when_nothing_is_owed() {
    let Some(redis) = Redis::start("limits::a_key_leaves_when_nothing_is_owed") else { return };
    let (store, _folder) = store().await;
    let node = Node::start(&store, &redis, 1).await;
    let spends = [of_credential("k", "10/2")];
    for _ in 0..3 {
        assert!(node.spend(&spends).await.levels[0].room);
    }
    let started = Instant::now();
    while redis.ask(&["DBSIZE"]) != ":0\r\n" {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", redis.ask(&["KEYS", "*"]));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(node.spend(&spends).await.levels[0].remaining, 9);
}

/// The server has the ledger, too: strangers with many addresses must not fill it.
#[tokio::test]
async fn addresses_that_are_too_many_are_one_on_the_server() {
    let Some(redis) = Redis::start("limits::addresses_that_are_too_many_are_one_on_the_server") else {
        return;
    };
    let (store, _folder) = store().await;
    const MOST: usize = 64 * 2;
    let node = Node::with(&store, &redis, Hand::default().limiter().with_addresses(MOST)).await;
    let mut through = 0;
    for number in 0..1_000 {
        let spent = node.spend(&[of_address(number, "5/86400")]).await;
        assert!(!spent.shared);
        through += usize::from(spent.levels[0].room);
    }
    let keys = redis.ask(&["KEYS", "*"]).matches(":limit:").count();
    assert!(keys > MOST / 2 && keys <= MOST + 1, "{keys}");
    assert!(through > MOST / 2 && through <= MOST + 5, "{through}");
    // Who was there before has what was his, and whoever is no address is not one of too many.
    assert_eq!(node.spend(&[of_address(0, "5/86400")]).await.levels[0].remaining, 3);
    assert_eq!(node.spend(&[of_credential("k", "5/86400")]).await.levels[0].remaining, 4);
}

#[tokio::test]
async fn while_the_server_is_away_each_node_counts_its_share() {
    let Some(mut redis) = Redis::start("limits::while_the_server_is_away_each_node_counts_its_share") else {
        return;
    };
    let (store, _folder) = store().await;
    let node = Node::start(&store, &redis, 3).await;
    let spends = [of_credential("k", "30/86400")];
    let through = async |node: &Node| {
        let (mut through, mut shared) = (0, 0);
        for _ in 0..40 {
            let spent = node.spend(&spends).await;
            through += usize::from(spent.levels[0].room);
            shared += usize::from(spent.shared);
        }
        (through, shared)
    };
    assert_eq!(through(&node).await, (30, 0));
    redis.kill();
    assert_eq!(through(&node).await, (10, 40), "the first one finds out, and is counted here at once");
    redis.start_again();
    node.is_up(true).await;
    assert_eq!(through(&node).await, (30, 0), "the server has forgotten what was spent");
    // One that says nothing any more is not waited for longer than a request can bear, and by one batch only.
    redis.signal("STOP");
    let started = Instant::now();
    assert_eq!(through(&node).await, (0, 40), "the share was spent before");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    redis.signal("CONT");
    node.is_up(true).await;
    assert_eq!(through(&node).await, (0, 0), "it has not forgotten");
    // Scripts may be removed, which loses nothing.
    redis.ask(&["SCRIPT", "FLUSH"]);
    let spent = node.spend(&[of_credential("l", "30/86400")]).await;
    assert_eq!((spent.levels[0].remaining, spent.shared), (29, false));
    let told = node.told.lock().unwrap();
    assert_eq!(told[0], "up");
    assert!(told[1].contains("does not count limits") && told.last().unwrap() == "up", "{told:?}");
}

#[tokio::test]
async fn a_server_that_can_not_count_is_as_good_as_away() {
    let Some(redis) = Redis::start("limits::a_server_that_can_not_count_is_as_good_as_away") else { return };
    let (store, _folder) = store().await;
    let node = Node::start(&store, &redis, 1).await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let spent = node.spend(&[of_credential("k", "30/86400")]).await;
    assert_eq!((spent.levels[0].remaining, spent.shared), (29, true));
    node.is_up(false).await;
    let started = Instant::now();
    while node.told.lock().unwrap().iter().filter(|told| told.contains("OOM")).count() < 2 {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", node.told.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!node.limiter.is_up(), "it is not tried with callers' requests again");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    node.is_up(true).await;
}

/// What can't be counted of one request is no reason to count all others by shares.
#[tokio::test]
async fn a_call_that_fails_is_counted_by_a_share_and_no_other_one() {
    let Some(redis) = Redis::start("limits::a_call_that_fails_is_counted_by_a_share_and_no_other_one") else {
        return;
    };
    let (store, _folder) = store().await;
    let node = Node::start(&store, &redis, 3).await;
    let spoilt = [of_credential("k", "30/86400")];
    assert!(!node.spend(&spoilt).await.shared);
    let keys = redis.ask(&["KEYS", "*"]);
    let key = keys.lines().find(|line| line.contains(":limit:")).unwrap();
    redis.ask(&["DEL", key]);
    redis.ask(&["LPUSH", key, "no number"]);
    for round in 0..20 {
        let (bad, good) = (node.spend(&spoilt).await, node.spend(&[of_credential("l", "30/86400")]).await);
        assert!(bad.shared && bad.levels[0].room == (round < 10), "{round}: {bad:?}");
        assert!(!good.shared && good.levels[0].remaining == 29 - round, "{round}: {good:?}");
    }
    assert_eq!(node.limiter.failed(), 20);
    assert_eq!(*node.told.lock().unwrap(), ["up"], "the server counts all along");
    redis.ask(&["DEL", key]);
    assert!(!node.spend(&spoilt).await.shared);
}

/// A server that may throw keys away forgets what was spent.
#[tokio::test]
async fn a_server_that_evicts_keys_is_not_counted_on() {
    let Some(redis) = Redis::start("limits::a_server_that_evicts_keys_is_not_counted_on") else { return };
    let (store, _folder) = store().await;
    let node = Node::start(&store, &redis, 1).await;
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    node.is_up(false).await;
    assert!(node.spend(&[of_credential("k", "30/86400")]).await.shared);
    assert!(node.told.lock().unwrap()[1].contains("maxmemory-policy is allkeys-lru"));
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    node.is_up(true).await;
}
