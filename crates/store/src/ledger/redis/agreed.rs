//! What nodes have agreed about their ledger, in the store: which server's turn it is, and how its data are marked.
use super::super::lease::{LEDGER, Lease, take};
use crate::connect::{ANSWER_MS, within};
use crate::{Store, StoreError};
use doorward_core::time::UnixMillis;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

const KNOWN: &str = "SELECT reach_ms, ahead_ms, turn, mark, history FROM ledger WHERE one = 1";
const NOW: &str = "SELECT {now}";
const PUT: &str = "INSERT INTO ledger (one, ahead_ms, turn, mark, history) VALUES (1, $1, $2, $3, $4) \
     ON CONFLICT (one) DO UPDATE SET ahead_ms = excluded.ahead_ms, turn = excluded.turn, mark = excluded.mark, \
     history = excluded.history";
const AHEAD: &str =
    "UPDATE ledger SET ahead_ms = $1 - {now} WHERE one = 1 AND ahead_ms < $1 - {now} AND turn = $2";

/// What the store knows of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// How far from the time the date of anything accepted was at most, in milliseconds.
    pub(super) reach_ms: i64,
    /// How far the server's clock was ahead of the store's at most, in milliseconds.
    pub(super) ahead_ms: i64,
    /// The turn of the lease that the mark belongs to.
    pub(super) turn: i64,
    /// The mark of the server's data; empty where there never was one.
    pub(super) mark: String,
    /// Which history of replication the data belong to.
    pub(super) history: String,
}

/// The lease is this server's, and all other nodes wait until this is settled or dropped.
pub(super) struct Turn {
    tx: Transaction<'static, Any>,
    pub(super) lease: Lease,
    pub(super) known: Known,
    /// By the store's clock.
    pub(super) now: UnixMillis,
}

impl Store {
    /// Takes the lease of the ledger for a server, or renews it; `None` while another ledger holds it.
    pub(super) async fn take_ledger(&self, holder: &str) -> Result<Option<Turn>, StoreError> {
        self.still_there()?;
        within(ANSWER_MS, async {
            let mut tx = self.pool.begin().await?;
            let Some(lease) = take(&mut tx, self.engine, LEDGER, holder).await? else {
                tx.rollback().await?;
                return Ok(None);
            };
            let known = match sqlx::query(KNOWN).fetch_optional(&mut *tx).await? {
                None => Known::default(),
                Some(row) => Known {
                    reach_ms: row.try_get(0)?,
                    ahead_ms: row.try_get(1)?,
                    turn: row.try_get(2)?,
                    mark: row.try_get(3)?,
                    history: row.try_get(4)?,
                },
            };
            let now = AssertSqlSafe(NOW.replace("{now}", self.engine.now_ms()));
            let now = UnixMillis(sqlx::query(now).fetch_one(&mut *tx).await?.try_get(0)?);
            Ok(Some(Turn { tx, lease, known, now }))
        })
        .await
    }

    /// Notes how far the server's clock is ahead, where that is further than ever before in this turn.
    pub(super) async fn note_ledger_clock(&self, server: UnixMillis, turn: i64) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let note = AssertSqlSafe(AHEAD.replace("{now}", self.engine.now_ms()));
            sqlx::query(note).bind(server.0).bind(turn).execute(&self.pool).await?;
            Ok(())
        })
        .await
    }
}

impl Turn {
    /// Makes it last: the lease, and what is known from now on where that is something else.
    pub(super) async fn settle(mut self, known: Option<&Known>) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            if let Some(known) = known {
                sqlx::query(PUT)
                    .bind(known.ahead_ms)
                    .bind(known.turn)
                    .bind(known.mark.as_str())
                    .bind(known.history.as_str())
                    .execute(&mut *self.tx)
                    .await?;
            }
            Ok(self.tx.commit().await?)
        })
        .await
    }
}
