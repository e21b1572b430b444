//! Writing: one transaction, which numbers its changes without gaps.
use crate::changes::{self, Change};
use crate::{Store, StoreError};
use doorward_core::time::UnixMillis;
use sqlx::{Any, Row, Transaction};

const NEXT: &str = "UPDATE head SET seq = seq + 1 WHERE one = 1 RETURNING seq";
const MAC: &str = "SELECT mac FROM change WHERE seq = $1";
const INSERT: &str = "INSERT INTO change (seq, at, actor, workspace, kind, id, action, before, after, mac) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// A transaction that writes. All of it is done by [`Write::commit`], or none. While it is open, other writers wait.
pub struct Write {
    pub(crate) store: Store,
    pub(crate) tx: Transaction<'static, Any>,
    pub(crate) now: UnixMillis,
    actor: String,
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
    /// Others keep the store busy, or it fails.
    pub async fn write(&self, actor: &str, now: UnixMillis) -> Result<Write, StoreError> {
        let mut tx = self.pool.begin().await?;
        // The first statement, so that whoever writes next waits here and then sees all that was written before.
        let seq: i64 = sqlx::query(NEXT).fetch_one(&mut *tx).await?.try_get(0)?;
        let mac = if seq == 1 {
            changes::genesis(&self.installation)
        } else {
            let row = sqlx::query(MAC).bind(seq - 1).fetch_optional(&mut *tx).await?;
            row.ok_or_else(|| StoreError::Damaged(format!("change {} is missing", seq - 1)))?.try_get(0)?
        };
        let (store, actor) = (self.clone(), actor.to_owned());
        Ok(Write { store, tx, now, actor, seq, mac, reserved: true, half: false })
    }
}

impl Write {
    /// From here to its [`Write::tell`], a step is half done: if it fails in between, the whole is not committed.
    pub(crate) fn begin_step(&mut self) {
        self.half = true;
    }

    /// Ends a step: adds its row to the change table.
    pub(crate) async fn tell(&mut self, told: Told<'_>) -> Result<(), StoreError> {
        let seq: i64 = if self.reserved {
            self.seq
        } else {
            sqlx::query(NEXT).fetch_one(&mut *self.tx).await?.try_get(0)?
        };
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
    /// A step failed half-way, or the store fails; nothing is written then.
    pub async fn commit(self) -> Result<i64, StoreError> {
        if self.half {
            self.tx.rollback().await?;
            return Err(StoreError::Refused("a step before failed, so nothing was written".to_owned()));
        }
        if self.reserved {
            self.tx.rollback().await?;
            return Ok(self.seq - 1);
        }
        self.tx.commit().await?;
        Ok(self.seq)
    }
}
