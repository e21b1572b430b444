//! What can go wrong, in sentences for an operator.
use crate::Purpose;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such place, or what is there is no store.
    #[error("the store {store} can't be opened: {why}")]
    CannotOpen {
        /// Its address.
        store: String,
        /// The reason.
        why: String,
    },
    /// The store was made with another master key.
    #[error(
        "this is not the master key that the store was made with; nothing in it can be used without that one"
    )]
    WrongMasterKey,
    /// A demo's store is not opened as one's own, nor the reverse.
    #[error("this store was made {}", match .found {
        Purpose::Demo => "by a demo: its keys are known to others, so it can't be served from",
        Purpose::Own => "for real use: a demo would change it, so it takes another directory",
    })]
    OtherPurpose {
        /// What it was made for.
        found: Purpose,
    },
    /// A newer program has changed the store's tables.
    #[error(
        "the store has schema {found}, and this program knows schemas up to {known}; use a newer program"
    )]
    NewerSchema {
        /// Of the store.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// Another file lies where the store was opened, or none.
    #[error(
        "the store's file was replaced or removed while it was in use; start this program again to use what is there now"
    )]
    Replaced,
    /// Others kept the store for too long.
    #[error("the store is busy: others have been writing to it for seconds; try again")]
    Busy,
    /// It is not there.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// `workspace`, `api` or `credential`.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// It is there already.
    #[error("there is already a {kind} `{id}`")]
    AlreadyExists {
        /// `workspace`, `api` or `credential`.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// It would break a rule.
    #[error("{0}")]
    Refused(String),
    /// What is stored is not what was written, or was written by a program that knows more.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The engine failed.
    #[error("the store failed: {0}")]
    Sql(#[source] sqlx::Error),
}

/// Primary result codes of SQLite (sqlite3.h); the low byte of an extended one.
mod sqlite {
    pub(super) const BUSY: i64 = 5;
    pub(super) const LOCKED: i64 = 6;
    pub(super) const CORRUPT: i64 = 11;
    pub(super) const NOT_A_DATABASE: i64 = 26;
}

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> StoreError {
        match &e {
            sqlx::Error::PoolTimedOut => StoreError::Busy,
            // A value that is not of its column's type.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Damaged(e.to_string()),
            sqlx::Error::Database(told) => {
                let code = told.code().and_then(|c| c.parse::<i64>().ok()).map(|c| c & 0xff);
                match code {
                    Some(sqlite::BUSY | sqlite::LOCKED) => StoreError::Busy,
                    Some(sqlite::CORRUPT | sqlite::NOT_A_DATABASE) => {
                        StoreError::Damaged(told.message().to_owned())
                    }
                    _ => StoreError::Sql(e),
                }
            }
            _ => StoreError::Sql(e),
        }
    }
}
