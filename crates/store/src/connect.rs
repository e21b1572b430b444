//! Connections: how they are made, what they are told first, and how long anything is waited for.
use crate::address::{Address, Server};
use crate::engine::{BUSY_TIMEOUT_MS, Engine};
use crate::file::sqlite_url;
use crate::{StoreError, server};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Connection, Row};
use std::future::Future;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections of one process, besides the one that follows. SQLite has one writer at a time anyway.
const CONNECTIONS: u32 = 4;
/// How long a task waits for one of them, in milliseconds.
const CONNECTION_WAIT_MS: u64 = 10_000;
/// How long making a connection to a server may take, in milliseconds: name, TCP, TLS, password and greeting.
const CONNECT_MS: u64 = 5_000;
/// How long an answer is waited for, in milliseconds. A server gives up earlier by itself; this is for one that has
/// stopped or can't be reached any more.
pub(crate) const ANSWER_MS: u64 = 10_000;
/// How long a sign of life is waited for, in milliseconds.
pub(crate) const SIGN_OF_LIFE_MS: u64 = 2_000;
/// A connection that was not used for so long is asked for a sign of life first, in milliseconds.
const IDLE_MS: u64 = 500;
/// How long to wait before asking again for what can't be waited for otherwise, in milliseconds.
const RETRY_MS: u64 = 20;

/// Waits for `work`, but not for ever.
pub(crate) async fn within<T>(
    limit_ms: u64,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(Duration::from_millis(limit_ms), work).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Away(format!("no answer within {limit_ms} ms"))),
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Writing,
    Following,
}

/// Makes connections to one store.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) engine: Engine,
    options: AnyConnectOptions,
    greeting: Arc<str>,
}

impl Connector {
    pub(crate) fn to_file(file: &Path) -> Result<Connector, StoreError> {
        let url = sqlite_url(file)
            .ok_or_else(|| StoreError::Refused("its path has bytes that are no text".to_owned()))?;
        let options = AnyConnectOptions::from_str(&url)?.disable_statement_logging();
        Ok(Connector::new(Engine::Sqlite, options))
    }

    pub(crate) fn to_server(server: &Server) -> Connector {
        Connector::new(Engine::Postgres, server.options())
    }

    fn new(engine: Engine, options: AnyConnectOptions) -> Connector {
        sqlx::any::install_default_drivers();
        Connector { engine, options, greeting: engine.greeting().into() }
    }

    /// A connection of one's own, to a store that can be written to.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, StoreError> {
        self.connect_for(Need::Writing).await
    }

    /// A connection of one's own to follow by. A store that takes no writes for a while can be followed all the same.
    pub(crate) async fn connect_to_follow(&self) -> Result<AnyConnection, StoreError> {
        self.connect_for(Need::Following).await
    }

    async fn connect_for(&self, need: Need) -> Result<AnyConnection, StoreError> {
        within(CONNECT_MS, async {
            let mut conn = AnyConnection::connect_with(&self.options).await?;
            sqlx::raw_sql(AssertSqlSafe(Arc::clone(&self.greeting))).execute(&mut conn).await?;
            match self.engine {
                Engine::Sqlite => use_log(&mut conn).await?,
                Engine::Postgres => server::see(&mut conn, need).await?,
            }
            Ok(conn)
        })
        .await
    }

    /// Connections to share. None is made yet.
    pub(crate) fn pool(&self) -> AnyPool {
        let greeting = Arc::clone(&self.greeting);
        let options = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_millis(CONNECTION_WAIT_MS))
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |conn, _| {
                let greeting = AssertSqlSafe(Arc::clone(&greeting));
                Box::pin(async move { sqlx::raw_sql(greeting).execute(conn).await.map(|_| ()) })
            });
        let options = match self.engine {
            // A file does not go away the way a server does.
            Engine::Sqlite => options,
            // A server that has stopped must not keep a connection, nor the task that gives it back.
            Engine::Postgres => options
                .before_acquire(|conn, known| {
                    Box::pin(async move {
                        Ok(known.idle_for < Duration::from_millis(IDLE_MS) || is_alive(conn).await)
                    })
                })
                .after_release(|conn, _| Box::pin(async move { Ok(is_alive(conn).await) })),
        };
        options.connect_lazy_with(self.options.clone())
    }
}

async fn is_alive(conn: &mut AnyConnection) -> bool {
    let limit = Duration::from_millis(SIGN_OF_LIFE_MS);
    tokio::time::timeout(limit, conn.ping()).await.is_ok_and(|told| told.is_ok())
}

/// Readers and the writer don't wait for each other with a write-ahead log. The file remembers that, but the engine does
/// not wait for others when it switches.
async fn use_log(conn: &mut AnyConnection) -> Result<(), StoreError> {
    let start = Instant::now();
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *conn).await.map_err(StoreError::from) {
            Ok(row) if row.try_get::<&str, _>(0)? == "wal" => return Ok(()),
            Ok(_) => {
                return Err(StoreError::Refused(
                    "its file system does not allow a write-ahead log".to_owned(),
                ));
            }
            Err(StoreError::Busy) if start.elapsed() < Duration::from_millis(BUSY_TIMEOUT_MS) => {
                tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
            }
            Err(e) => return Err(e),
        }
    }
}

/// Why a store can't be opened, said for whoever wrote its address.
pub(crate) fn explain(address: &Address, e: StoreError) -> StoreError {
    let why = match (address, &e) {
        (_, StoreError::Refused(why)) => why.clone(),
        (Address::Sqlite(_), StoreError::Sql(e)) => e.to_string(),
        (Address::Postgres(server), StoreError::Sql(e)) => server::explain(server, e),
        (Address::Postgres(server), StoreError::Away(why)) => {
            format!(
                "{} does not answer: {why}; see that the address is right and the server runs",
                server.place()
            )
        }
        // What has a kind of its own keeps it.
        _ => return e,
    };
    StoreError::CannotOpen { store: address.to_string(), why }
}
