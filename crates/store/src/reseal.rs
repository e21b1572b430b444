//! Sealing secrets anew, with the newest key, in small transactions.
use crate::connect::{ANSWER_MS, within};
use crate::keyring::{SEALED, Sealed};
use crate::{Store, StoreError, captcha, copy, token_keys};
use doorward_core::secret::Seals;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row, Transaction};
use std::fmt::Write as _;

/// Secrets sealed anew in one transaction, which keeps others from writing meanwhile.
const BATCH_ROWS: i64 = 500;
/// How often a batch is tried when others get in between.
const ATTEMPTS: u32 = 5;

/// Takes the head, as whoever writes does, without taking a number: sealing a secret anew changes nothing about it.
const HOLD: &str = "UPDATE head SET seq = seq WHERE one = 1";

/// A walk through everything that is sealed.
#[derive(Default)]
pub(crate) struct Walk {
    /// The place in [`SEALED`], and the last credential there.
    table: usize,
    after: String,
    pub(crate) resealed: u64,
}

impl Walk {
    /// To the beginning.
    pub(crate) fn restart(&mut self) {
        (self.table, self.after) = (0, String::new());
    }

    /// Seals the next secrets anew; `false`: nothing was left to be done.
    pub(crate) async fn step(&mut self, store: &Store) -> Result<bool, StoreError> {
        while let Some(of) = SEALED.get(self.table) {
            if self.batch(store, *of).await? {
                return Ok(true);
            }
            (self.table, self.after) = (self.table + 1, String::new());
        }
        let resealed = within(ANSWER_MS, self.token_keys(store)).await?;
        self.resealed += resealed;
        Ok(resealed > 0)
    }

    /// Seals the keys that tokens are signed with and the secrets of captchas anew, all at once: there are few.
    async fn token_keys(&self, store: &Store) -> Result<u64, StoreError> {
        let (mut tx, seals) = hold(store).await?;
        let resealed = token_keys::reseal(&mut tx, &seals).await? + captcha::reseal(&mut tx, &seals).await?;
        if resealed > 0 {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        Ok(resealed)
    }

    async fn batch(&mut self, store: &Store, of: Sealed) -> Result<bool, StoreError> {
        let mut attempt = 1;
        loop {
            match within(ANSWER_MS, self.try_batch(store, of)).await {
                // Nothing was done, and copies whose window has closed are erased by others in an order of their own.
                Err(StoreError::Busy) if attempt < ATTEMPTS => attempt += 1,
                done => return done,
            }
        }
    }

    async fn try_batch(&mut self, store: &Store, of: Sealed) -> Result<bool, StoreError> {
        let (mut tx, seals) = hold(store).await?;
        let rows = older(&mut tx, of, &seals, &self.after, BATCH_ROWS).await?;
        let Some(last) = rows.last() else {
            tx.rollback().await?;
            return Ok(false);
        };
        let after: String = last.try_get(0)?;
        let mut sealed = Vec::with_capacity(rows.len());
        for row in &rows {
            sealed.push((row.try_get::<String, _>(0)?, reseal(store, of, &seals, row)?));
        }
        let count = sealed.len() as u64;
        replace(&mut tx, of, &seals, sealed).await?;
        tx.commit().await?;
        self.resealed += count;
        self.after = after;
        Ok(true)
    }
}

/// Begins a transaction in which nobody else writes, and tells what seals. That is asked for each time: another rotation
/// may have come to its end, and begun the next one.
async fn hold(store: &Store) -> Result<(Transaction<'static, Any>, Seals), StoreError> {
    let mut tx = store.pool.begin().await?;
    sqlx::query(HOLD).execute(&mut *tx).await?;
    if let Some(elsewhere) = copy::moved_to(&mut tx).await? {
        return Err(StoreError::Moved(elsewhere));
    }
    let seals = Seals::new(&store.keyring(&mut tx).await?);
    Ok((tx, seals))
}

/// Secrets sealed with another key than the newest one, in the order of their credentials.
pub(crate) async fn older(
    conn: &mut AnyConnection,
    of: Sealed,
    seals: &Seals,
    after: &str,
    limit: i64,
) -> Result<Vec<AnyRow>, StoreError> {
    let query = format!(
        "SELECT s.credential, c.workspace, c.secret_version, s.key_version, s.sealed, c.plain_key FROM {} s \
         JOIN credential c ON c.id = s.credential WHERE s.credential > $1 AND s.key_version <> $2 \
         ORDER BY s.credential LIMIT $3",
        of.table
    );
    let query = sqlx::query(AssertSqlSafe(query)).bind(after).bind(seals.newest()).bind(limit);
    Ok(query.fetch_all(conn).await?)
}

fn reseal(store: &Store, of: Sealed, seals: &Seals, row: &AnyRow) -> Result<Vec<u8>, StoreError> {
    let (id, workspace): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    let owner = of.owner(workspace, id, row.try_get(2)?);
    let secret = seals.open(row.try_get(3)?, &owner, row.try_get(4)?).or_else(|_| {
        let plain_key: i64 = row.try_get(5)?;
        let label = if plain_key == 0 { id.to_owned() } else { store.keys.pseudonym(id) };
        Err(StoreError::Damaged(format!(
            "{} of credential `{label}` does not open; regenerate or delete that credential, and rotate again",
            of.what
        )))
    })?;
    Ok(seals.seal(&owner, &secret))
}

/// Puts what was sealed anew in the place of what was there, with one statement.
async fn replace(
    conn: &mut AnyConnection,
    of: Sealed,
    seals: &Seals,
    sealed: Vec<(String, Vec<u8>)>,
) -> Result<(), StoreError> {
    let mut query = "WITH n (credential, sealed) AS (VALUES ".to_owned();
    for i in 0..sealed.len() {
        let comma = if i == 0 { "" } else { ", " };
        let _ = write!(query, "{comma}(${}, ${})", 2 * i + 2, 2 * i + 3);
    }
    let _ = write!(
        query,
        ") UPDATE {table} SET sealed = n.sealed, key_version = $1 FROM n WHERE {table}.credential = n.credential",
        table = of.table
    );
    let mut query = sqlx::query(AssertSqlSafe(query)).bind(seals.newest());
    for (credential, sealed) in sealed {
        query = query.bind(credential).bind(sealed);
    }
    query.execute(conn).await?;
    Ok(())
}
