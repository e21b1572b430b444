//! How often names were tried in vain. All nodes count together, each with one statement; a start forgets nothing.
use crate::connect::{ANSWER_MS, within};
use crate::{Store, StoreError};
use doorward_core::guessing::{Delays, FORGOTTEN_AFTER_MS, GuessKey};
use doorward_core::time::UnixMillis;
use sqlx::Row;

/// Rows that are removed in one transaction, which keeps others from writing meanwhile.
const SWEEP_ROWS: i64 = 1_000;
/// So often at most in one turn.
const SWEEP_TIMES: u32 = 1_000;

const GET: &str = "SELECT failures, last_at FROM guess WHERE who = $1";
// Nodes tell in any order, so the latest time stays.
const FAILED: &str = "INSERT INTO guess (who, failures, last_at) VALUES ($1, 1, $2) \
     ON CONFLICT (who) DO UPDATE SET \
     failures = CASE WHEN guess.last_at < $3 THEN 1 ELSE guess.failures + 1 END, \
     last_at = CASE WHEN guess.last_at > excluded.last_at THEN guess.last_at ELSE excluded.last_at END \
     RETURNING failures, last_at";
const SUCCEEDED: &str = "DELETE FROM guess WHERE who = $1";
const OVER: &str = "SELECT who FROM guess WHERE last_at < $1 LIMIT 1";
const SWEEP: &str =
    "DELETE FROM guess WHERE who IN (SELECT who FROM guess WHERE last_at < $1 ORDER BY last_at LIMIT $2)";

impl Store {
    /// Until when a name may not be tried from a network; `None`: it may be now. To be asked before anything is looked up
    /// or hashed, for names that nobody has as well. Whoever is told to wait is not counted.
    ///
    /// # Errors
    /// The store fails.
    pub async fn guess_allowed(
        &self,
        who: GuessKey,
        delays: &Delays,
        now: UnixMillis,
    ) -> Result<Option<UnixMillis>, StoreError> {
        within(ANSWER_MS, async {
            let row = sqlx::query(GET).bind(who.to_string()).fetch_optional(&self.pool).await?;
            let Some(row) = row else { return Ok(None) };
            Ok(delays.not_before(row.try_get(0)?, UnixMillis(row.try_get(1)?), now))
        })
        .await
    }

    /// Counts a try in vain, and tells until when the next one has to wait.
    ///
    /// # Errors
    /// Others keep the store busy, or it fails: whoever can't count must not go on.
    pub async fn guess_failed(
        &self,
        who: GuessKey,
        delays: &Delays,
        now: UnixMillis,
    ) -> Result<Option<UnixMillis>, StoreError> {
        within(ANSWER_MS, async {
            let forgotten = now.plus_ms(-FORGOTTEN_AFTER_MS).0;
            let query = sqlx::query(FAILED).bind(who.to_string()).bind(now.0).bind(forgotten);
            let row = query.fetch_one(&self.pool).await?;
            Ok(delays.not_before(row.try_get(0)?, UnixMillis(row.try_get(1)?), now))
        })
        .await
    }

    /// Forgets the tries in vain of whoever has got it right.
    ///
    /// # Errors
    /// Others keep the store busy, or it fails.
    pub async fn guess_succeeded(&self, who: GuessKey) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            // Mostly there were none, and looking takes no lock.
            if sqlx::query(GET).bind(who.to_string()).fetch_optional(&self.pool).await?.is_some() {
                sqlx::query(SUCCEEDED).bind(who.to_string()).execute(&self.pool).await?;
            }
            Ok(())
        })
        .await
    }

    /// Removes what counts no more, and returns how many rows. Whoever keeps a store open calls it every now and then.
    ///
    /// # Errors
    /// Others keep the store busy, or it fails.
    pub async fn sweep_guesses(&self, now: UnixMillis) -> Result<u64, StoreError> {
        let until = now.plus_ms(-FORGOTTEN_AFTER_MS).0;
        let mut gone = 0;
        for _ in 0..SWEEP_TIMES {
            let some = within(ANSWER_MS, async {
                match sqlx::query(OVER).bind(until).fetch_optional(&self.pool).await? {
                    None => Ok(0),
                    Some(_) => {
                        let sweep = sqlx::query(SWEEP).bind(until).bind(SWEEP_ROWS);
                        Ok(sweep.execute(&self.pool).await?.rows_affected())
                    }
                }
            });
            match some.await? {
                0 => break,
                some => gone += some,
            }
        }
        Ok(gone)
    }
}
