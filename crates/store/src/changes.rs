//! The change table: feed and audit in one.
use crate::connect::{ANSWER_MS, within};
use crate::{Head, Store, StoreError};
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

const AFTER: &str = "SELECT seq, at, actor, workspace, kind, id, action, before, after, mac FROM change \
     WHERE seq > $1 ORDER BY seq LIMIT $2";
const MARK: &str = "SELECT h.seq, m.value, c.mac FROM head h JOIN meta m ON m.key = 'epoch' \
     LEFT JOIN change c ON c.seq = h.seq";

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Counts changes from 1, in the order of their commits, without gaps.
    pub seq: i64,
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub actor: String,
    /// In which workspace; `None`: the installation's own.
    pub workspace: Option<String>,
    /// `workspace`, `api`, `policy`, `credential`, `token` or `token_key`; `store` for the whole.
    pub kind: String,
    /// The id of what was changed; of the whole store its new epoch.
    pub id: String,
    /// `created`, `changed`, `deleted`, `blocked`, `unblocked`, `regenerated`, `tokens_revoked`, `revoked` for one
    /// token, `signing` or `retired` for the key of tokens, or `restored` for the whole store.
    pub action: String,
    /// What it was: JSON for a credential, TOML for the rest. Never a secret.
    pub before: Option<String>,
    /// What it is now, likewise.
    pub after: Option<String>,
}

/// How far the store is, and by which history it came there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) epoch: String,
    pub(crate) seq: i64,
    /// The MAC of change `seq`: it stands on all changes before. `None` before the first one.
    pub(crate) mac: Option<Vec<u8>>,
}

impl Store {
    /// How far the store is.
    ///
    /// # Errors
    /// The store fails.
    pub async fn head(&self) -> Result<Head, StoreError> {
        within(ANSWER_MS, async {
            let mark = mark(&mut *self.pool.acquire().await?).await?;
            Ok(Head { epoch: mark.epoch, seq: mark.seq })
        })
        .await
    }

    /// Up to `limit` changes after change `seq`, in their order.
    ///
    /// # Errors
    /// The store fails.
    pub async fn changes_after(&self, seq: i64, limit: i64) -> Result<Vec<Change>, StoreError> {
        within(ANSWER_MS, async {
            let mut conn = self.pool.acquire().await?;
            Ok(after(&mut conn, seq, limit).await?.into_iter().map(|(change, _)| change).collect())
        })
        .await
    }
}

pub(crate) async fn mark(conn: &mut AnyConnection) -> Result<Mark, StoreError> {
    let row = sqlx::query(MARK).fetch_optional(conn).await?;
    let row = row.ok_or_else(|| StoreError::Damaged("its head is missing".to_owned()))?;
    Ok(Mark { seq: row.try_get(0)?, epoch: row.try_get(1)?, mac: row.try_get(2)? })
}

/// Changes after `seq`, each with its MAC.
pub(crate) async fn after(
    conn: &mut AnyConnection,
    seq: i64,
    limit: i64,
) -> Result<Vec<(Change, Vec<u8>)>, StoreError> {
    let rows = sqlx::query(AFTER).bind(seq).bind(limit).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((read(row)?, row.try_get(9)?))).collect()
}

fn read(row: &AnyRow) -> Result<Change, sqlx::Error> {
    Ok(Change {
        seq: row.try_get(0)?,
        at: UnixMillis(row.try_get(1)?),
        actor: row.try_get(2)?,
        workspace: row.try_get(3)?,
        kind: row.try_get(4)?,
        id: row.try_get(5)?,
        action: row.try_get(6)?,
        before: row.try_get(7)?,
        after: row.try_get(8)?,
    })
}

/// What the first change's MAC stands on.
pub(crate) fn genesis(installation: &str) -> Vec<u8> {
    installation.as_bytes().to_vec()
}

/// The MAC of a change: over every column, and over the MAC of the change before.
pub(crate) fn mac(keys: &Keys, previous: &[u8], c: &Change) -> [u8; 32] {
    let optional = |text: &Option<String>| match text {
        None => vec![0],
        Some(text) => [&[1], text.as_bytes()].concat(),
    };
    let parts: [&[u8]; 9] = [
        &c.seq.to_be_bytes(),
        &c.at.0.to_be_bytes(),
        c.actor.as_bytes(),
        &optional(&c.workspace),
        c.kind.as_bytes(),
        c.id.as_bytes(),
        c.action.as_bytes(),
        &optional(&c.before),
        &optional(&c.after),
    ];
    keys.chain(previous, &parts)
}
