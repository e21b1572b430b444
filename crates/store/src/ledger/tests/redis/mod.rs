//! Ledgers on Redis servers of the tests' own.
mod faults;
mod fitness;
mod load;
mod nodes;
#[path = "../../../../../../tests/support/redis.rs"]
#[allow(dead_code, reason = "black-box tests use the rest")]
pub(crate) mod server;

use super::suite::Subject;
use super::*;
use crate::ledger::{RedisLedger, RedisServer};
use crate::{Purpose, Store};
use doorward_core::keyring::MasterKey;
use doorward_core::ports::Ledger;
use server::Redis;
use std::cell::Cell;
use tokio::task::JoinHandle;

/// A store in a file of its own.
struct AStore {
    store: Store,
    folder: Folder,
}

impl AStore {
    async fn new() -> AStore {
        let folder = Folder::new();
        let url = format!("sqlite:{}", folder.0.join("doorward.db").display());
        let store = Store::open(&url, &MasterKey::new([7; 32]), Purpose::Own, UnixMillis(0)).await.unwrap();
        AStore { store, folder }
    }

    /// The lease of whatever ledger is in force ends now.
    async fn end_lease(&self) {
        sqlx::query("UPDATE lease SET until = 0").execute(&self.store.pool).await.unwrap();
    }

    async fn turn(&self) -> i64 {
        use sqlx::Row as _;
        sqlx::query("SELECT turn FROM lease").fetch_one(&self.store.pool).await.unwrap().get(0)
    }
}

/// What time it is.
fn now() -> UnixMillis {
    UnixMillis(Hand::of_today().now())
}

/// A node: a ledger that is looked after until it is dropped.
struct Node {
    ledger: RedisLedger,
    keeping: JoinHandle<()>,
}

impl Node {
    async fn start(store: &Store, server: RedisServer, settings: Settings) -> Node {
        let (ledger, keeper) = RedisLedger::new(store, server, settings, Arc::new(now));
        keeper.open().await.unwrap();
        let keeping = tokio::spawn(keeper.keep(drop));
        tokio::task::yield_now().await;
        Node { ledger, keeping }
    }

    async fn claim(&self, once: &Once) -> Claim {
        self.ledger.claim(once).await
    }

    /// Waits until it can claim, or can't.
    async fn is_up(&self, up: bool) -> Duration {
        let started = Instant::now();
        while self.ledger.is_up() != up {
            assert!(started.elapsed() < Duration::from_secs(20), "it never was {up}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        started.elapsed()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

/// As nodes connect to it.
fn server(redis: &Redis) -> RedisServer {
    RedisServer::new(redis.url().parse().unwrap(), None, None)
}

/// A ledger on a server, with a clock that is set by hand.
pub(super) struct OnRedis {
    redis: Redis,
    store: AStore,
    settings: Settings,
    node: Node,
    shown: Cell<i64>,
}

impl OnRedis {
    fn clock_key(&self) -> String {
        format!("doorward:{{{}}}:state:clock", self.store.store.installation)
    }

    /// Calls in one step, the last of which set the clock.
    fn set_clock(&self, first: &[&str], now: i64) {
        let (seconds, micros) = ((now / 1_000).to_string(), (now % 1_000 * 1_000).to_string());
        let set = "redis.call('DEL', KEYS[1]); redis.call('RPUSH', KEYS[1], ARGV[1], ARGV[2])";
        let script =
            format!("{}{set}", first.iter().map(|c| format!("redis.call('{c}'); ")).collect::<String>());
        self.redis.ask(&["EVAL", &script, "1", &self.clock_key(), &seconds, &micros]);
        self.shown.set(now);
    }

    async fn again(self) -> OnRedis {
        let node = Node::start(&self.store.store, server(&self.redis).by_hand(), self.settings).await;
        OnRedis { node, ..self }
    }
}

impl Subject for OnRedis {
    const WORLDS: u64 = 6;
    async fn begin(test: &str, hand: &Hand, settings: Settings) -> Option<OnRedis> {
        let redis = Redis::start(&format!("ledger::tests::suite::on_redis::{test}"))?;
        let store = AStore::new().await;
        // The clock has to be there before anybody looks.
        let (seconds, micros) = ((hand.now() / 1_000).to_string(), (hand.now() % 1_000 * 1_000).to_string());
        let key = format!("doorward:{{{}}}:state:clock", store.store.installation);
        redis.ask(&["RPUSH", &key, &seconds, &micros]);
        let node = Node::start(&store.store, server(&redis).by_hand(), settings).await;
        Some(OnRedis { redis, store, settings, node, shown: Cell::new(hand.now()) })
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(self.node.ledger.clone())
    }
    async fn follow(&self, hand: &Hand) {
        if self.shown.get() != hand.now() {
            self.set_clock(&[], hand.now());
        }
    }
    fn entries(&self) -> u64 {
        self.node.ledger.entries()
    }
    async fn killed(self) -> OnRedis {
        self.again().await
    }
    async fn lost(self) -> OnRedis {
        self.set_clock(&["FLUSHALL"], self.shown.get());
        self.again().await
    }
    async fn tidy(&self) {
        self.node.ledger.tidy().await;
    }
}
