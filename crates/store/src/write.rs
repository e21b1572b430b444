//! Writing: one transaction, which numbers its changes without gaps.
use crate::changes::{self, Change};
use crate::connect::{ANSWER_MS, within};
use crate::engine::Engine;
use crate::{Head, Store, StoreError, copy, schema};
use doorward_core::secret::Seals;
use doorward_core::time::UnixMillis;
use sqlx::{Any, Row, Transaction};
use std::sync::Arc;

const NEXT: &str = "UPDATE head SET seq = seq + 1 WHERE one = 1 RETURNING seq";
const LAST: &str = "UPDATE head SET seq = $1 WHERE one = 1";
/// The MAC of the change before, where the store was moved, and whose it is.
const BEFORE: &str = "SELECT (SELECT mac FROM change WHERE seq = $1), \
     (SELECT value FROM meta WHERE key = 'moved_to'), (SELECT value FROM meta WHERE key = 'installation')";
const INSERT: &str = "INSERT INTO change (seq, at, actor, workspace, kind, id, action, before, after, mac) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// A transaction that writes. All of it is done by [`Write::commit`], or none. While it is open, other writers wait.
pub struct Write {
    pub(crate) store: Store,
    pub(crate) tx: Transaction<'static, Any>,
    pub(crate) now: UnixMillis,
    /// What this transaction seals with, once it was asked.
    pub(crate) seals: Option<Arc<Seals>>,
    actor: String,
    /// The number that was taken at the beginning.
    first: i64,
    /// The number of the last change, and its MAC.
    seq: i64,
    mac: Vec<u8>,
    /// The number taken at the beginning waits for its change.
    reserved: bool,
    /// A step has begun and not come to its end.
    half: bool,
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Write({} by {})", self.seq, self.actor)
    }
}

/// What a step tells the change table.
pub(crate) struct Told<'a> {
    pub(crate) workspace: Option<&'a str>,
    pub(crate) kind: &'static str,
    pub(crate) id: &'a str,
    pub(crate) action: &'static str,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

impl Store {
    /// Begins to write, as `actor` and at `now`, which stand in every change.
    ///
    /// # Errors
    /// Others keep the store busy, it was moved, or it fails.
    pub async fn write(&self, actor: &str, now: UnixMillis) -> Result<Write, StoreError> {
        match within(ANSWER_MS, self.begin_write(actor, now)).await? {
            (_, Some(elsewhere)) => Err(StoreError::Moved(elsewhere)),
            (write, None) => Ok(write),
        }
    }

    async fn begin_write(&self, actor: &str, now: UnixMillis) -> Result<(Write, Option<String>), StoreError> {
        let mut tx = self.pool.begin().await?;
        // The first statement, so that whoever writes next waits here and then sees all that was written before.
        let seq: i64 = sqlx::query(NEXT).fetch_one(&mut *tx).await?.try_get(0)?;
        // Whoever holds the head has the file open, and nobody restores one that is open: it stays what it is now.
        self.still_there()?;
        let before = sqlx::query(BEFORE).bind(seq - 1).fetch_one(&mut *tx).await?;
        self.see_own(before.try_get(2)?)?;
        let mac = match before.try_get(0)? {
            Some(mac) => mac,
            None if seq == 1 => changes::genesis(&self.installation),
            None => return Err(StoreError::Damaged(format!("change {} is missing", seq - 1))),
        };
        let (store, actor) = (self.clone(), actor.to_owned());
        let write =
            Write { store, tx, now, seals: None, actor, first: seq, seq, mac, reserved: true, half: false };
        Ok((write, before.try_get(1)?))
    }
}

impl Store {
    /// Begins another epoch: what was put back from a backup is another history, and whoever followed the former one loads
    /// everything anew. One that was moved before its backup was made takes changes again. Returns how far the store is
    /// then.
    ///
    /// # Errors
    /// As [`Store::write`] and [`Write::commit`].
    pub async fn begin_epoch(&self, actor: &str, now: UnixMillis) -> Result<Head, StoreError> {
        let (mut write, _) = within(ANSWER_MS, self.begin_write(actor, now)).await?;
        let epoch = within(ANSWER_MS, write.put_epoch()).await?;
        let seq = write.commit().await?;
        Ok(Head { epoch, seq })
    }
}

impl Write {
    async fn put_epoch(&mut self) -> Result<String, StoreError> {
        let former = schema::meta(&mut self.tx, schema::EPOCH).await?;
        let epoch = schema::random_name()?;
        self.begin_step();
        schema::set_meta(&mut self.tx, schema::EPOCH, &epoch).await?;
        copy::forget_moved_to(&mut self.tx).await?;
        let told = Told {
            workspace: None,
            kind: "store",
            id: &epoch,
            action: "restored",
            before: Some(former),
            after: None,
        };
        self.tell(told).await?;
        Ok(epoch)
    }

    /// The number that the next change gets. Nobody else takes one until this transaction ends.
    pub(crate) fn next_seq(&self) -> i64 {
        if self.reserved { self.seq } else { self.seq + 1 }
    }

    /// From here to its [`Write::tell`], a step is half done: if it fails in between, the whole is not committed.
    pub(crate) fn begin_step(&mut self) {
        self.half = true;
    }

    /// Ends a step: adds its row to the change table.
    pub(crate) async fn tell(&mut self, told: Told<'_>) -> Result<(), StoreError> {
        let seq = self.next_seq();
        let change = Change {
            seq,
            at: self.now,
            actor: self.actor.clone(),
            workspace: told.workspace.map(str::to_owned),
            kind: told.kind.to_owned(),
            id: told.id.to_owned(),
            action: told.action.to_owned(),
            before: told.before,
            after: told.after,
        };
        let mac = changes::mac(&self.store.keys, &self.mac, &change).to_vec();
        sqlx::query(INSERT)
            .bind(seq)
            .bind(change.at.0)
            .bind(change.actor)
            .bind(change.workspace)
            .bind(change.kind)
            .bind(change.id)
            .bind(change.action)
            .bind(change.before)
            .bind(change.after)
            .bind(mac.clone())
            .execute(&mut *self.tx)
            .await?;
        (self.seq, self.mac, self.reserved, self.half) = (seq, mac, false, false);
        Ok(())
    }

    /// Makes it last, and returns the number of the last change. Nothing is written where nothing was changed.
    ///
    /// # Errors
    /// A step failed half-way, or the store fails; nothing is written then. [`StoreError::Unknown`]: nobody can tell.
    pub async fn commit(mut self) -> Result<i64, StoreError> {
        if self.half {
            self.tx.rollback().await?;
            return Err(StoreError::Refused("a step before failed, so nothing was written".to_owned()));
        }
        if self.reserved {
            self.tx.rollback().await?;
            return Ok(self.seq - 1);
        }
        if self.seq > self.first {
            let last = sqlx::query(LAST).bind(self.seq).execute(&mut *self.tx);
            within(ANSWER_MS, async { Ok(last.await?) }).await?;
        }
        let seq = self.seq;
        let commit = async { commit(self.store.engine, self.tx).await.map_err(StoreError::of_commit) };
        match within(ANSWER_MS, commit).await {
            Ok(()) => Ok(seq),
            // No answer in time.
            Err(StoreError::Away(why)) => Err(StoreError::Unknown(why)),
            Err(e) => Err(e),
        }
    }
}

/// PostgreSQL answers COMMIT after a failed statement with success, and has rolled back. A statement before, on the same
/// way, fails then.
pub(crate) async fn commit(engine: Engine, mut tx: Transaction<'static, Any>) -> Result<(), sqlx::Error> {
    match engine {
        Engine::Sqlite => tx.commit().await,
        Engine::Postgres => {
            // The driver thinks the transaction open still, and rolls back what is no more, which does nothing.
            sqlx::raw_sql("SELECT 1; COMMIT").execute(&mut *tx).await.map(|_| ())
        }
    }
}
