//! Which ledger is in force: one in the memory of a node, or one on a server. Its lease is a row, judged by the store's own clock, so that
//! nodes need not agree about the time.
use crate::connect::{ANSWER_MS, within};
use crate::engine::Engine;
use crate::{Store, StoreError};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

/// The name of the ledger's lease.
pub(super) const LEDGER: &str = "ledger";
/// How long a lease lasts without being renewed, in milliseconds: as long as a node may go on without its store.
pub const LEASE_MS: u64 = 60_000;
/// How often it is renewed, in milliseconds.
pub const RENEW_MS: u64 = 5_000;
/// A holder thinks it over so much earlier than the store does, in milliseconds: clocks don't go at quite the same pace.
pub(super) const LEASE_MARGIN_MS: u64 = 2_000;

/// A lease that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which holder this is: one more whenever another one takes it. So who has the same number as before knows that
    /// nobody had it in between.
    pub turn: i64,
    /// Nobody had it before, as long as the store has been there.
    pub first: bool,
}

const TAKE: &str = "INSERT INTO lease (name, holder, until, turn, renewals) SELECT $1, $2, {now} + $3, 1, 0 \
     WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'moved_to') \
     ON CONFLICT (name) DO UPDATE SET until = excluded.until, renewals = lease.renewals + 1, \
     turn = CASE WHEN lease.holder = excluded.holder THEN lease.turn ELSE lease.turn + 1 END, \
     holder = excluded.holder \
     WHERE lease.holder = excluded.holder OR lease.until < {now} RETURNING turn, renewals";
const END: &str = "UPDATE lease SET until = 0 WHERE name = $1 AND holder = $2";

impl Store {
    /// Takes a lease, or renews it; `None` while another one holds it, and for ever once the store was moved: then it is the
    /// other store that gives leases. One statement, so of many who try one has it.
    ///
    /// # Errors
    /// Others keep the store busy, or it fails. It may have been taken all the same.
    pub async fn take_lease(&self, name: &str, holder: &str) -> Result<Option<Lease>, StoreError> {
        self.still_there()?;
        within(ANSWER_MS, async {
            let mut conn = self.pool.acquire().await?;
            take(&mut conn, self.engine, name, holder).await
        })
        .await
    }

    /// Ends a lease early, if it is this holder's.
    ///
    /// # Errors
    /// Others keep the store busy, or it fails.
    pub async fn end_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let end = sqlx::query(END).bind(name).bind(holder).execute(&self.pool);
        within(ANSWER_MS, async { Ok(end.await.map(|_| ())?) }).await
    }
}

/// The same on a connection, which may be within a transaction.
pub(super) async fn take(
    conn: &mut AnyConnection,
    engine: Engine,
    name: &str,
    holder: &str,
) -> Result<Option<Lease>, StoreError> {
    let take = AssertSqlSafe(TAKE.replace("{now}", engine.now_ms()));
    let lease_ms = i64::try_from(LEASE_MS).unwrap_or(i64::MAX);
    let row = sqlx::query(take).bind(name).bind(holder).bind(lease_ms).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Lease { turn: row.try_get(0)?, first: row.try_get::<i64, _>(1)? == 0 }))
}
