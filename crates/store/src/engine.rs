//! Where engines differ: the words of column types, and statements that only one of them has.

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// One file, written by several processes of one machine.
    Sqlite,
}

/// How long a connection waits for others that are writing, in milliseconds.
pub(crate) const BUSY_TIMEOUT_MS: u64 = 5_000;

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
        };
        words.iter().fold(template.to_owned(), |text, (word, by)| text.replace(word, by))
    }

    /// Begins a transaction that no other writer can get in between of.
    pub(crate) fn begin_alone(self) -> &'static str {
        match self {
            Engine::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// Begins a transaction in which all reading sees one instant.
    pub(crate) fn begin_read(self) -> &'static str {
        match self {
            Engine::Sqlite => "BEGIN DEFERRED",
        }
    }

    /// What each new connection is told.
    ///
    /// What is deleted is overwritten: a copy of a secret whose window has closed must not be found in a free page.
    pub(crate) fn greeting(self) -> String {
        match self {
            Engine::Sqlite => format!(
                "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}; PRAGMA foreign_keys = ON; \
                 PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
            ),
        }
    }

    /// Lists the tables there are.
    pub(crate) fn tables(self) -> &'static str {
        match self {
            Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        }
    }

    /// Checks the file itself: one row, `ok`, when all is well.
    pub(crate) fn integrity(self) -> &'static str {
        match self {
            Engine::Sqlite => "PRAGMA integrity_check(10)",
        }
    }

    /// Takes what was overwritten out of the log of recent writes.
    pub(crate) fn truncate_log(self) -> &'static str {
        match self {
            Engine::Sqlite => "PRAGMA wal_checkpoint(TRUNCATE)",
        }
    }
}
