//! What can go wrong, in sentences for an operator.
use crate::{Purpose, server};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

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
    /// What should be the address of a store is none.
    #[error("this is not the address of a store: {0}")]
    NoAddress(String),
    /// The master key opens another store, or opened this one until it was retired.
    #[error(
        "this is not the master key of the store, or not any more; nothing in it can be used without the right one"
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
        "the store has schema {found}, and this program knows schemas up to {known}; run the newer program, or restore the backup made before the upgrade"
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
    /// The installation has another store now.
    #[error(
        "the store was moved to {0}, and takes no changes any more; name that one in the settings (`store.url`)"
    )]
    Moved(String),
    /// Others kept the store for too long.
    #[error("the store is busy: others have been writing to it for seconds; try again")]
    Busy,
    /// It does not answer, or takes no connections.
    #[error("the store does not answer: {0}")]
    Away(String),
    /// It went away when it was told to make a change last.
    #[error("the change may or may not have been made, look before you repeat it: {0}")]
    Unknown(String),
    /// It is not there.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// `workspace`, `api`, `credential`, `token` or `token_key`.
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
    pub(super) const READ_ONLY: i64 = 8;
    pub(super) const IO_ERROR: i64 = 10;
    pub(super) const CORRUPT: i64 = 11;
    pub(super) const FULL: i64 = 13;
    pub(super) const NOT_A_DATABASE: i64 = 26;
}

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> StoreError {
        match &e {
            sqlx::Error::PoolTimedOut => {
                StoreError::Away("no connection to it became free in time".to_owned())
            }
            sqlx::Error::Io(why) => StoreError::Away(why.to_string()),
            // A value that is not of its column's type.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Damaged(e.to_string()),
            sqlx::Error::Database(told) => {
                let meaning = match told.try_downcast_ref::<PgDatabaseError>() {
                    Some(told) => server::meaning(told),
                    None => match sqlite_code(&**told) {
                        Some(sqlite::BUSY | sqlite::LOCKED) => Some(StoreError::Busy),
                        Some(sqlite::READ_ONLY) => Some(StoreError::Refused(format!(
                            "the store's file or its folder is read-only: {}",
                            told.message()
                        ))),
                        Some(sqlite::FULL) => Some(StoreError::Refused(format!(
                            "the disk that the store is on is full, so nothing was written: {}",
                            told.message()
                        ))),
                        Some(sqlite::CORRUPT | sqlite::NOT_A_DATABASE) => {
                            Some(StoreError::Damaged(told.message().to_owned()))
                        }
                        _ => None,
                    },
                };
                meaning.unwrap_or(StoreError::Sql(e))
            }
            _ => StoreError::Sql(e),
        }
    }
}

fn sqlite_code(told: &dyn DatabaseError) -> Option<i64> {
    told.code().and_then(|code| code.parse::<i64>().ok()).map(|code| code & 0xff)
}

impl StoreError {
    /// What a failed COMMIT means: nothing was written, unless the store went away or broke while it was at it.
    pub(crate) fn of_commit(e: sqlx::Error) -> StoreError {
        let open = match &e {
            sqlx::Error::Database(told) => match told.try_downcast_ref::<PgDatabaseError>() {
                Some(told) => server::leaves_open(told),
                None => sqlite_code(&**told) == Some(sqlite::IO_ERROR),
            },
            _ => true,
        };
        if open { StoreError::Unknown(e.to_string()) } else { StoreError::from(e) }
    }
}
