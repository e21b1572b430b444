//! What a PostgreSQL server has to be, and what it says when it is not.
use crate::StoreError;
use crate::address::Server;
use crate::connect::Need;
use sqlx::postgres::PgDatabaseError;
use sqlx::{AnyConnection, Row};

/// The oldest version of the server that the SQL is made for.
const MIN_VERSION: i64 = 120_000;

const FACTS: &str = "SELECT CAST(current_setting('server_version_num') AS BIGINT), \
     CAST(current_setting('server_encoding') AS TEXT), pg_is_in_recovery(), \
     CAST(current_setting('default_transaction_read_only') AS TEXT), CAST(current_schema() AS TEXT), \
     CAST(current_setting('fsync') AS TEXT)";

/// Sees that a new connection leads to a server that can hold a store, and takes writes where they are needed. Never to one
/// that stands by: it would tell of changes late, and nobody would notice.
pub(crate) async fn see(conn: &mut AnyConnection, need: Need) -> Result<(), StoreError> {
    let row = sqlx::query(FACTS).fetch_one(conn).await?;
    let refused = |why: String| Err(StoreError::Refused(why));
    let version: i64 = row.try_get(0)?;
    if version < MIN_VERSION {
        let (is, least) = (version / 10_000, MIN_VERSION / 10_000);
        return refused(format!("the server is PostgreSQL {is}, and {least} is the oldest that will do"));
    }
    let encoding: &str = row.try_get(1)?;
    if encoding != "UTF8" {
        return refused(format!(
            "the database's encoding is {encoding}, not UTF8; make it with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        ));
    }
    let (standby, read_only): (bool, &str) = (row.try_get(2)?, row.try_get(3)?);
    if standby {
        return refused("the server is a standby, which takes no writes; name the primary one".to_owned());
    }
    if read_only == "on" && need == Need::Writing {
        return refused(
            "the server, the database or the user is set to read-only (default_transaction_read_only)"
                .to_owned(),
        );
    }
    if row.try_get::<Option<&str>, _>(4)?.is_none() {
        return refused(
            "there is no schema on the user's search_path, so tables have no place to be".to_owned(),
        );
    }
    if row.try_get::<&str, _>(5)? == "off" {
        tracing::debug!("the server runs with fsync off: a crash of its machine may lose everything");
    }
    Ok(())
}

/// Codes of the server's errors (PostgreSQL's appendix A) that have a meaning of their own here.
mod code {
    /// Others hold what is needed, or got in between.
    pub(super) const BUSY: [&str; 4] = ["40001", "40P01", "55P03", "57014"];
    /// The server stops, starts, or takes no more connections.
    pub(super) const AWAY: [&str; 6] = ["57P01", "57P02", "57P03", "57P05", "53300", "25P03"];
    pub(super) const READ_ONLY: &str = "25006";
    pub(super) const ABORTED: &str = "25P02";
    pub(super) const CORRUPTED: [&str; 2] = ["XX001", "XX002"];
    pub(super) const NO_DATABASE: &str = "3D000";
    pub(super) const NOT_ALLOWED: &str = "42501";
    /// Wrong password, unknown user, or an entry of pg_hba.conf is missing.
    pub(super) const NOT_LET_IN: &str = "28";
}

/// The store's word for an error of the server; `None` where it has none.
pub(crate) fn meaning(e: &PgDatabaseError) -> Option<StoreError> {
    let told = e.message().to_owned();
    Some(match e.code() {
        is if code::BUSY.contains(&is) => StoreError::Busy,
        is if code::AWAY.contains(&is) || is.starts_with("08") => StoreError::Away(told),
        code::READ_ONLY => StoreError::Refused(format!("the server takes no writes: {told}")),
        code::ABORTED => StoreError::Refused("a step before failed, so nothing was written".to_owned()),
        is if code::CORRUPTED.contains(&is) => StoreError::Damaged(told),
        _ => return None,
    })
}

/// Whether an answer to COMMIT leaves open what became of it: the server was about to go, or something under it broke.
pub(crate) fn leaves_open(e: &PgDatabaseError) -> bool {
    let class = e.code().get(..2);
    matches!(class, Some("08" | "53" | "57" | "58" | "XX")) && e.code() != "57014"
}

/// Why a server can't be used, and what to do.
pub(crate) fn explain(server: &Server, e: &sqlx::Error) -> String {
    let place = server.place();
    match e {
        sqlx::Error::Database(told) => {
            let what = told.message();
            let code = told.code().unwrap_or_default();
            if code == code::NO_DATABASE {
                format!("{what}; make it first (CREATE DATABASE), or name another one")
            } else if code == code::NOT_ALLOWED {
                format!(
                    "{what}; the user has to own the database, or be allowed to create tables in its schema"
                )
            } else if code.starts_with(code::NOT_LET_IN) {
                format!("{place} does not let the user in: {what}; see that user and password are right")
            } else {
                format!("{place} says: {what}")
            }
        }
        sqlx::Error::Tls(why) => format!(
            "{place} can't be trusted or has no TLS: {why}; give the server a certificate that names it (its authority's in \
             sslrootcert=FILE), or say how much less will do with sslmode"
        ),
        sqlx::Error::Protocol(why) => {
            format!("what answers at {place} is no PostgreSQL server, or an odd one: {why}")
        }
        e => format!("{place}: {e}"),
    }
}
