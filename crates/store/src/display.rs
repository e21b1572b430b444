//! Sealed copies of secrets that may still be shown, each until its window closes.
use crate::connect::{ANSWER_MS, within};
use crate::keyring::DISPLAY;
use crate::row::Row as Known;
use crate::write::Write;
use crate::{Store, StoreError};
use doorward_core::secret::{SealBroken, Seals};
use doorward_core::time::UnixMillis;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row};

const DELETE: &str = "DELETE FROM secret_display WHERE credential = $1";
const INSERT: &str =
    "INSERT INTO secret_display (credential, sealed, shown_until, key_version) VALUES ($1, $2, $3, $4)";
const OPEN: &str = "SELECT c.workspace, c.secret_version, d.sealed, d.key_version FROM secret_display d \
     JOIN credential c ON c.id = d.credential \
     WHERE d.credential = $1 AND (d.shown_until IS NULL OR d.shown_until > $2)";
const CLOSED: &str = "SELECT COUNT(*) FROM secret_display WHERE shown_until <= $1";
const ERASE: &str = "DELETE FROM secret_display WHERE shown_until <= $1";

/// A secret that may be shown again.
#[derive(Clone)]
pub struct Display {
    /// The secret.
    pub secret: String,
    /// Until then, exclusively; `None`: always.
    pub until: Option<UnixMillis>,
}

impl std::fmt::Debug for Display {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Display(until {:?})", self.until)
    }
}

fn broken(why: String) -> StoreError {
    StoreError::Damaged(format!("the copy of a secret: {why}"))
}

/// The copy of a credential's secret, opened; `None` where it may not be shown.
async fn display(
    conn: &mut AnyConnection,
    seals: &Seals,
    id: &str,
    now: UnixMillis,
) -> Result<Option<Result<Vec<u8>, SealBroken>>, StoreError> {
    let row = sqlx::query(OPEN).bind(id).bind(now.0).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    let (workspace, version): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Some(seals.open(row.try_get(3)?, &DISPLAY.owner(workspace, id, version), row.try_get(2)?)))
}

impl Store {
    /// The secret of a credential, while it may be shown; `None` when it may not, or when there is no such credential.
    ///
    /// # Errors
    /// The copy does not open, or the store fails.
    pub async fn reveal(&self, id: &str, now: UnixMillis) -> Result<Option<String>, StoreError> {
        within(ANSWER_MS, async {
            self.erase_closed(now).await?;
            let conn = &mut *self.pool.acquire().await?;
            match display(conn, &self.keys.seals(), id, now).await? {
                Some(Err(SealBroken)) => {
                    // It may be sealed with a key that this process has not heard of yet. As of one instant, the keys
                    // and what they sealed fit together.
                    let mut tx = conn.begin_with(self.engine.begin_read()).await?;
                    let seals = self.renew_keys(&mut tx).await?;
                    let again = display(&mut tx, &seals, id, now).await?;
                    tx.rollback().await?;
                    again.transpose().map_err(|e| broken(e.to_string()))
                }
                shown => Ok(shown.and_then(Result::ok)),
            }
            .and_then(|secret| {
                let text = secret.map(String::from_utf8).transpose();
                text.map_err(|_| broken("it is no text".to_owned()))
            })
        })
        .await
    }

    /// Erases the copies whose window has closed by `now`, so that nobody can show them any more, and returns how many.
    /// Whoever keeps a store open calls it every now and then.
    ///
    /// # Errors
    /// The store fails.
    pub async fn erase_closed(&self, now: UnixMillis) -> Result<u64, StoreError> {
        within(ANSWER_MS, async {
            let closed: i64 = sqlx::query(CLOSED).bind(now.0).fetch_one(&self.pool).await?.try_get(0)?;
            let erased = match closed {
                0 => 0,
                _ => sqlx::query(ERASE).bind(now.0).execute(&self.pool).await?.rows_affected(),
            };
            // The log still has pages as they were: of these copies, and of those that another process has replaced or
            // removed meanwhile. Where others are reading from it, the next turn does what this one could not.
            if let Some(truncate) = self.engine.truncate_log()
                && let Err(e) = self.shorten_log(truncate).await
            {
                tracing::debug!(error = %e, "the log of recent writes could not be shortened");
            }
            Ok(erased)
        })
        .await
    }

    /// Shortening waits for readers while it keeps writers away, so it does not wait for long.
    async fn shorten_log(&self, [hurry, truncate, as_before]: [String; 3]) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        sqlx::query(AssertSqlSafe(hurry)).execute(&mut *conn).await?;
        let shortened = sqlx::query(AssertSqlSafe(truncate)).execute(&mut *conn).await;
        if let Err(e) = sqlx::query(AssertSqlSafe(as_before)).execute(&mut *conn).await {
            // Nobody else is to be in such a hurry.
            drop(conn.detach());
            return Err(e.into());
        }
        shortened?;
        Ok(())
    }
}

impl Write {
    /// Puts the copy of a secret in the place of the former one.
    pub(crate) async fn put_display(
        &mut self,
        of: &Known,
        display: Option<&Display>,
    ) -> Result<(), StoreError> {
        let c = &of.credential;
        sqlx::query(DELETE).bind(&*c.id).execute(&mut *self.tx).await?;
        if let Some(Display { secret, until }) = display {
            let seals = self.seals().await?;
            let sealed =
                seals.seal(&DISPLAY.owner(&c.workspace, &c.id, of.secret_version), secret.as_bytes());
            let query = sqlx::query(INSERT).bind(&*c.id).bind(sealed).bind(until.map(|t| t.0));
            query.bind(seals.newest()).execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}
