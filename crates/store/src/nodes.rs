//! The registry of nodes: each tells now and then that it runs. It is no change: nobody follows it, and it never touches
//! the head row.
use crate::connect::{ANSWER_MS, within};
use crate::{Store, StoreError};
use doorward_core::time::UnixMillis;
use sqlx::Row;
use sqlx::any::AnyRow;

// One statement, so that no lock outlives it. What a node is stays as it told at its start.
const PUT: &str = "INSERT INTO node (id, name, version, role, region, started_at, seen_at, seq, age_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, seq = excluded.seq, age_ms = excluded.age_ms";
const REMOVE: &str = "DELETE FROM node WHERE id = $1";
const ALL: &str = "SELECT id, name, version, role, region, started_at, seen_at, seq, age_ms FROM node \
     ORDER BY name, started_at, id";
const UNSEEN: &str = "SELECT COUNT(*) FROM node WHERE seen_at < $1";
const FORGET: &str = "DELETE FROM node WHERE seen_at < $1";

/// A node, as it tells about itself. Times are by its own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Made anew at each start, so that a node that was killed and its successor are two.
    pub id: String,
    /// Its name, for people. Several may have the same.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// What it is there for.
    pub role: String,
    /// Where it runs.
    pub region: Option<String>,
    /// When it was started.
    pub started_at: UnixMillis,
    /// When it told this.
    pub seen_at: UnixMillis,
    /// The last change that it obeyed then.
    pub seq: i64,
    /// Milliseconds since it had last heard from the store then; `None` before its first load.
    pub age_ms: Option<i64>,
}

impl Store {
    /// Writes down that a node runs, or that it still does.
    ///
    /// # Errors
    /// Others keep the store busy, or it fails.
    pub async fn put_node(&self, node: &Node) -> Result<(), StoreError> {
        let put = sqlx::query(PUT)
            .bind(node.id.as_str())
            .bind(node.name.as_str())
            .bind(node.version.as_str())
            .bind(node.role.as_str())
            .bind(node.region.as_deref())
            .bind(node.started_at.0)
            .bind(node.seen_at.0)
            .bind(node.seq)
            .bind(node.age_ms)
            .execute(&self.pool);
        within(ANSWER_MS, async { Ok(put.await.map(|_| ())?) }).await
    }

    /// Takes a node off the list, whether it is there or not.
    ///
    /// # Errors
    /// Others keep the store busy, or it fails.
    pub async fn remove_node(&self, id: &str) -> Result<(), StoreError> {
        let remove = sqlx::query(REMOVE).bind(id).execute(&self.pool);
        within(ANSWER_MS, async { Ok(remove.await.map(|_| ())?) }).await
    }

    /// All nodes on the list, by name, then by their start.
    ///
    /// # Errors
    /// The store fails.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        within(ANSWER_MS, async {
            let rows = sqlx::query(ALL).fetch_all(&self.pool).await?;
            Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Takes those off the list that were last seen before an instant, and returns how many.
    ///
    /// # Errors
    /// Others keep the store busy, or it fails.
    pub async fn forget_nodes(&self, seen_before: UnixMillis) -> Result<u64, StoreError> {
        within(ANSWER_MS, async {
            // Mostly there are none, and looking takes no lock.
            let unseen: i64 =
                sqlx::query(UNSEEN).bind(seen_before.0).fetch_one(&self.pool).await?.try_get(0)?;
            match unseen {
                0 => Ok(0),
                _ => Ok(sqlx::query(FORGET).bind(seen_before.0).execute(&self.pool).await?.rows_affected()),
            }
        })
        .await
    }
}

fn read(row: &AnyRow) -> Result<Node, sqlx::Error> {
    Ok(Node {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        version: row.try_get(2)?,
        role: row.try_get(3)?,
        region: row.try_get(4)?,
        started_at: UnixMillis(row.try_get(5)?),
        seen_at: UnixMillis(row.try_get(6)?),
        seq: row.try_get(7)?,
        age_ms: row.try_get(8)?,
    })
}
