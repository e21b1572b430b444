//! Who looks after the connection, and sends what is asked.
use super::script::{self, Names, SPEND};
use super::{Asked, LimiterError};
use crate::ledger::{RedisServer, redis_client, redis_fit};
use doorward_core::limits::{LimitName, MAX_REQUESTS, Rate, Spend, SpendKey};
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{AsyncConnectionConfig, RedisError, ServerErrorKind, Value, cmd};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_millis(900);
/// How long an answer is waited for. Who waits for it is a request, and its limit can be counted here instead.
const ANSWER: Duration = Duration::from_millis(250);
/// How long to wait before a server that is away is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often the server is asked whether it still keeps what it is told.
const LOOK: Duration = Duration::from_secs(5);
/// What a server says that counts for nobody; whatever else goes wrong concerns one call.
const OF_THE_SERVER: [&str; 14] = [
    "OOM",
    "READONLY",
    "MISCONF",
    "LOADING",
    "BUSY",
    "NOAUTH",
    "NOPERM",
    "MOVED",
    "ASK",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "NOREPLICAS",
    "NOSCRIPT",
    "UNKILLABLE",
];
/// Requests that are sent together.
const BATCH: usize = 128;
/// Batches that are on their way at a time.
const FLIGHTS: usize = 8;

/// Looks after a [`super::RedisLimiter`].
pub struct LimiterKeeper {
    server: RedisServer,
    names: Arc<Names>,
    flags: Flags,
    asked: mpsc::Receiver<Asked>,
}

impl std::fmt::Debug for LimiterKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LimiterKeeper({:?})", self.server)
    }
}

/// What whoever asks sees of it.
pub(super) struct Flags {
    pub(super) up: Arc<AtomicBool>,
    pub(super) failed: Arc<AtomicU64>,
}

/// A connection to a server that counts.
#[derive(Clone)]
struct Link {
    conn: MultiplexedConnection,
    names: Arc<Names>,
    sha: Arc<str>,
    failed: Arc<AtomicU64>,
}

impl LimiterKeeper {
    pub(super) fn new(
        server: RedisServer,
        names: Names,
        flags: Flags,
        asked: mpsc::Receiver<Asked>,
    ) -> LimiterKeeper {
        LimiterKeeper { server, names: Arc::new(names), flags, asked }
    }

    fn failed(&self, why: impl ToString) -> LimiterError {
        LimiterError { server: self.server.address().to_string(), why: why.to_string() }
    }

    /// Keeps it up until it is dropped. `told` hears when the server begins to count, and each time that it does not.
    pub async fn keep(mut self, mut told: impl FnMut(Result<(), LimiterError>)) {
        loop {
            match self.open().await {
                Ok(link) => {
                    self.flags.up.store(true, SeqCst);
                    told(Ok(()));
                    let why = serve(&link, &mut self.asked).await;
                    self.flags.up.store(false, SeqCst);
                    let Some(why) = why else { return };
                    told(Err(self.failed(why)));
                }
                Err(why) => {
                    told(Err(self.failed(why)));
                    self.wait(RETRY).await;
                }
            }
        }
    }

    /// Whoever asks meanwhile counts by itself.
    async fn wait(&mut self, time: Duration) {
        let over = sleep(time);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                asked = self.asked.recv() => if asked.is_none() { return over.await; },
            }
        }
    }

    /// Connects, and sees that the server counts: a replica does not, nor one without memory; and one that evicts keys
    /// forgets what was spent.
    async fn open(&self) -> Result<Link, String> {
        let opening = async {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(Some(ANSWER));
            let client = redis_client(&self.server)?;
            let mut conn = client.get_multiplexed_async_connection_with_config(&config).await?;
            let sha: String = cmd("SCRIPT").arg("LOAD").arg(SPEND).query_async(&mut conn).await?;
            let failed = Arc::clone(&self.flags.failed);
            Ok(Link { conn, names: Arc::clone(&self.names), sha: sha.into(), failed })
        };
        let mut link = opening.await.map_err(|e: RedisError| e.to_string())?;
        redis_fit(&mut link.conn).await?;
        // So much that it always fits, and so is written; and that its key leaves at once.
        let rate = Rate::new(MAX_REQUESTS, 1, MAX_REQUESTS)?;
        let key = SpendKey::credential("", None);
        let trial = Spend { name: LimitName::Credential, key, rate, enforced: false };
        let answers = link.ask(&[std::slice::from_ref(&trial)]).await?;
        match answers.into_iter().next() {
            Some(answer) => read(answer, &[trial]).map(|_| link),
            None => Err("it gave no answer".to_owned()),
        }
    }
}

/// Sends what is asked, as much as there is at a time, until something goes wrong; `None`: nobody asks any more.
async fn serve(link: &Link, asked: &mut mpsc::Receiver<Asked>) -> Option<String> {
    let mut flights: JoinSet<Result<(), String>> = JoinSet::new();
    let mut looks = interval_at(Instant::now() + LOOK, LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        tokio::select! {
            Some(landed) = flights.join_next(), if !flights.is_empty() => match landed {
                Ok(Ok(())) => (),
                Ok(Err(why)) => return Some(why),
                Err(e) => return Some(e.to_string()),
            },
            _ = looks.tick(), if flights.len() < FLIGHTS => {
                let mut conn = link.conn.clone();
                flights.spawn(async move { redis_fit(&mut conn).await });
            }
            count = asked.recv_many(&mut batch, BATCH), if flights.len() < FLIGHTS => {
                if count == 0 {
                    return None;
                }
                let link = link.clone();
                flights.spawn(async move {
                    match timeout(ANSWER, link.fly(batch)).await {
                        Ok(flown) => flown,
                        Err(_) => Err("it did not answer in time".to_owned()),
                    }
                });
            }
        }
    }
}

impl Link {
    /// Spends for each of these. Those that get no answer count by themselves.
    async fn fly(&self, batch: Vec<Asked>) -> Result<(), String> {
        let all: Vec<&[Spend]> = batch.iter().map(|asked| &asked.spends[..]).collect();
        let mut answers = self.ask(&all).await?;
        if answers.iter().any(is_missing) {
            // Scripts were removed from the server: nothing was done for these.
            self.load().await?;
            let again: Vec<usize> = (0..all.len()).filter(|at| is_missing(&answers[*at])).collect();
            let these: Vec<&[Spend]> = again.iter().map(|at| all[*at]).collect();
            for (at, answer) in again.into_iter().zip(self.ask(&these).await?) {
                answers[at] = answer;
            }
        }
        let mut of_the_server = None;
        for (asked, answer) in batch.into_iter().zip(answers) {
            match read(answer, &asked.spends) {
                // Whoever gave up waiting needs no answer.
                Ok(levels) => drop(asked.answer.send(levels)),
                Err(why) if OF_THE_SERVER.iter().any(|code| why.contains(code)) => of_the_server = Some(why),
                // One that can't be counted there is counted here, and no other one.
                Err(why) => {
                    if self.failed.fetch_add(1, Relaxed) == 0 {
                        tracing::warn!(
                            "the Redis server can't count some request, so its limits are counted by this node's share: {why}"
                        );
                    }
                }
            }
        }
        of_the_server.map_or(Ok(()), Err)
    }

    async fn load(&self) -> Result<(), String> {
        let loading = cmd("SCRIPT").arg("LOAD").arg(SPEND).exec_async(&mut self.conn.clone()).await;
        loading.map_err(|e| e.to_string())
    }

    async fn ask(&self, all: &[&[Spend]]) -> Result<Vec<Value>, String> {
        let mut calls = redis::pipe();
        for spends in all {
            calls.add_command(script::spend(&self.sha, &self.names, spends));
        }
        let asking = self.conn.clone().req_packed_commands(&calls, 0, all.len()).await;
        let answers = asking.map_err(|e| e.to_string())?;
        if answers.len() == all.len() { Ok(answers) } else { Err("answers are missing".to_owned()) }
    }
}

fn is_missing(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(e) if e.kind() == Some(ServerErrorKind::NoScript))
}

fn read(answer: Value, spends: &[Spend]) -> Result<doorward_core::limits::Levels, String> {
    match answer {
        Value::ServerError(e) => Err(RedisError::from(e).to_string()),
        answer => script::said(answer, spends).ok_or_else(|| "the script's answer is none".to_owned()),
    }
}
