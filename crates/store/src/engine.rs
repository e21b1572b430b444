//! Where engines differ: the words of column types, and statements that only one of them has.

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// One file, written by several processes of one machine.
    Sqlite,
    /// A server, or whatever speaks its protocol, for several machines.
    Postgres,
}

/// How long shortening the log may wait for readers, in milliseconds: writers wait meanwhile.
const TRUNCATE_TIMEOUT_MS: u64 = 200;
/// How long a statement waits for others that are writing, in milliseconds.
pub(crate) const BUSY_TIMEOUT_MS: u64 = 5_000;
/// How long a server works on a statement, the wait for others included, in milliseconds.
const STATEMENT_TIMEOUT_MS: u64 = 6_000;
/// How long a server waits for the next statement of a transaction, in milliseconds: whoever vanished in the middle of a
/// write must not keep everybody else waiting.
const IDLE_TRANSACTION_TIMEOUT_MS: u64 = 10_000;
/// The same limits for what goes through whole tables, or changes them: an hour.
const LONG_TIMEOUT_MS: u64 = 3_600_000;
/// Names the lock that whoever makes or changes tables takes first ("doorward" in eight bytes).
const MIGRATION_LOCK: i64 = 0x646f_6f72_7761_7264;

impl Engine {
    /// Puts this engine's words in a template: `{text}` compares by bytes, `{bigint}` has 64 bits, `{blob}` holds bytes,
    /// `{table}` and `{keyed}` end a table's definition (the latter: rows lie in the order of the primary key).
    pub(crate) fn ddl(self, template: &str) -> String {
        let words = match self {
            Engine::Sqlite => [
                ("{text}", "TEXT"),
                ("{bigint}", "INTEGER"),
                ("{blob}", "BLOB"),
                ("{table}", "STRICT"),
                ("{keyed}", "STRICT, WITHOUT ROWID"),
            ],
            Engine::Postgres => [
                ("{text}", "TEXT COLLATE \"C\""),
                ("{bigint}", "BIGINT"),
                ("{blob}", "BYTEA"),
                ("{table}", ""),
                ("{keyed}", ""),
            ],
        };
        words.iter().fold(template.to_owned(), |text, (word, by)| text.replace(word, by))
    }

    /// Begins a transaction that changes tables, alone: several nodes may start at once.
    pub(crate) fn begin_alone(self) -> String {
        match self {
            Engine::Sqlite => "BEGIN IMMEDIATE".to_owned(),
            Engine::Postgres => format!(
                "BEGIN; SET LOCAL statement_timeout = {LONG_TIMEOUT_MS}; SET LOCAL lock_timeout = {LONG_TIMEOUT_MS}; \
                 SET LOCAL idle_in_transaction_session_timeout = {LONG_TIMEOUT_MS}; \
                 SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"
            ),
        }
    }

    /// Begins a transaction in which all reading sees one instant.
    pub(crate) fn begin_read(self) -> &'static str {
        match self {
            Engine::Sqlite => "BEGIN DEFERRED",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    /// The same for reading that goes through everything, and may take long.
    pub(crate) fn begin_long_read(self) -> String {
        match self {
            Engine::Sqlite => self.begin_read().to_owned(),
            Engine::Postgres => {
                format!("{}; SET LOCAL statement_timeout = {LONG_TIMEOUT_MS}", self.begin_read())
            }
        }
    }

    /// Begins a transaction in which all reading sees one instant, and after which nobody has written: whoever wants to
    /// waits for its end.
    pub(crate) fn begin_move(self) -> String {
        match self {
            Engine::Sqlite => "BEGIN IMMEDIATE".to_owned(),
            // The lock comes before the first look, so that the instant is one after it.
            Engine::Postgres => format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = {LONG_TIMEOUT_MS}; \
                 SET LOCAL idle_in_transaction_session_timeout = {LONG_TIMEOUT_MS}; \
                 LOCK TABLE head IN SHARE ROW EXCLUSIVE MODE"
            ),
        }
    }

    /// Begins a transaction that writes without taking a number. It takes no part in a move: either it has ended before,
    /// or it begins after, and finds where the store is.
    pub(crate) fn begin_beside(self) -> &'static str {
        match self {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            // Those who take numbers don't wait for it, nor it for them.
            Engine::Postgres => "BEGIN; LOCK TABLE head IN ROW EXCLUSIVE MODE",
        }
    }

    /// Takes a lock with a number for a name, until the end of the transaction; `None` where one writer is alone anyway.
    pub(crate) fn lock_named(self) -> Option<&'static str> {
        match self {
            Engine::Sqlite => None,
            Engine::Postgres => Some("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)"),
        }
    }

    /// Ends a query for rows that must stay as they are until the end of the transaction. Rows that somebody is changing
    /// are waited for, or passed over.
    pub(crate) fn keep_rows(self, wait: bool) -> &'static str {
        match (self, wait) {
            (Engine::Sqlite, _) => "",
            (Engine::Postgres, true) => " FOR SHARE",
            (Engine::Postgres, false) => " FOR SHARE SKIP LOCKED",
        }
    }

    /// What each new connection is told.
    ///
    /// SQLite: what is deleted is overwritten: a copy of a secret whose window has closed must not be found in a free
    /// page. PostgreSQL: no wait is without end, and what is acknowledged is on the disk, whatever the server's defaults.
    pub(crate) fn greeting(self) -> String {
        match self {
            Engine::Sqlite => format!(
                "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}; PRAGMA foreign_keys = ON; \
                 PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
            ),
            Engine::Postgres => format!(
                "SET application_name = 'doorward'; SET client_min_messages = error; SET synchronous_commit = on; \
                 SET default_transaction_isolation = 'read committed'; \
                 SET statement_timeout = {STATEMENT_TIMEOUT_MS}; SET lock_timeout = {BUSY_TIMEOUT_MS}; \
                 SET idle_in_transaction_session_timeout = {IDLE_TRANSACTION_TIMEOUT_MS}"
            ),
        }
    }

    /// The engine's own clock, in milliseconds since 1970.
    pub(crate) fn now_ms(self) -> &'static str {
        match self {
            // Days since noon of a day long before.
            Engine::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            Engine::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// Lists the tables there are, each as text.
    pub(crate) fn tables(self) -> &'static str {
        match self {
            Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
            Engine::Postgres => {
                "SELECT CAST(tablename AS TEXT) FROM pg_catalog.pg_tables \
                 WHERE schemaname = current_schema() ORDER BY 1"
            }
        }
    }

    /// Checks what is under the tables: one row, `ok`, when all is well. A server looks after its files itself; what it
    /// can tell is whether it takes writes.
    pub(crate) fn integrity(self) -> &'static str {
        match self {
            Engine::Sqlite => "PRAGMA integrity_check(10)",
            Engine::Postgres => {
                "SELECT CASE WHEN pg_is_in_recovery() THEN 'the server is a standby, which takes no writes' \
                 WHEN current_setting('default_transaction_read_only') = 'on' THEN 'the server is read-only' \
                 ELSE 'ok' END"
            }
        }
    }

    /// Takes what was overwritten out of the log of recent writes, without waiting for readers for long: what to say
    /// before, the statement, and what to say after.
    pub(crate) fn truncate_log(self) -> Option<[String; 3]> {
        match self {
            Engine::Sqlite => Some([
                format!("PRAGMA busy_timeout = {TRUNCATE_TIMEOUT_MS}"),
                "PRAGMA wal_checkpoint(TRUNCATE)".to_owned(),
                format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}"),
            ]),
            Engine::Postgres => None,
        }
    }
}
