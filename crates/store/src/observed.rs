//! Who calls without a signature where signatures are observed.
use crate::connect::{ANSWER_MS, within};
use crate::credentials::with_facts;
use crate::objects::{self, POLICY};
use crate::row::{COLUMNS, FACTS, Reader, columns};
use crate::{Store, StoreError, Stored};
use doorward_core::observed::Observed;
use doorward_core::policy::Mode;
use doorward_core::time::UnixMillis;
use sqlx::Row;
use sqlx::any::AnyRow;

pub(crate) const PAGE: &str = with_facts!(
    ", u.calls, u.first_at, u.last_at, u.signed_at, s.key_version",
    "JOIN unsigned_use u ON u.credential = c.id LEFT JOIN signing_secret s ON s.credential = c.id \
     WHERE c.workspace = $1 AND u.api = $2 AND c.id > $3 ORDER BY c.id LIMIT $4"
);
const CHANGES: &str = "SELECT at, after FROM change WHERE kind = $1 AND id = $2 AND workspace = $3 \
     ORDER BY seq DESC LIMIT 1000";

/// A credential, and its calls to one API.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The credential.
    pub stored: Stored,
    /// Whether it has something to sign with.
    pub can_sign: bool,
    /// Its calls.
    pub observed: Observed,
}

impl Store {
    /// Up to `limit` credentials of a workspace that have called an API while signatures were observed there, in the order
    /// of their ids, from the one after `after`.
    ///
    /// # Errors
    /// One can't be read, or the store fails.
    pub async fn observed_page(
        &self,
        workspace: &str,
        api: &str,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Observation>, StoreError> {
        let query = sqlx::query(PAGE).bind(workspace).bind(api).bind(after.unwrap_or("")).bind(limit);
        let rows = within(ANSWER_MS, async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let mut reader = Reader::new(&self.keys);
        rows.iter().map(|row| read(&mut reader, row, api)).collect()
    }

    /// Since when signatures have been observed for a workspace at an API, without a break; `None` where they are not now.
    ///
    /// # Errors
    /// The store fails.
    pub async fn observed_since(&self, workspace: &str, api: &str) -> Result<Option<UnixMillis>, StoreError> {
        let query = sqlx::query(CHANGES).bind(POLICY).bind(api).bind(workspace);
        let rows = within(ANSWER_MS, async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let mut since = None;
        for row in &rows {
            let after: Option<&str> = row.try_get(1)?;
            let observes = after.is_some_and(|body| {
                objects::read(POLICY, workspace, api, body).is_ok_and(|draft| {
                    draft.policies.iter().any(|p| p.signatures.as_deref() == Some(Mode::Observe.name()))
                })
            });
            if !observes {
                break;
            }
            since = Some(UnixMillis(row.try_get(0)?));
        }
        Ok(since)
    }
}

fn read(reader: &mut Reader<'_>, row: &AnyRow, api: &str) -> Result<Observation, StoreError> {
    const CALLS: usize = COLUMNS + FACTS;
    let time = |at| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(at)?.map(UnixMillis));
    let calls: i64 = row.try_get(CALLS)?;
    let observed = Observed {
        api: api.into(),
        calls: u64::try_from(calls).unwrap_or(0),
        first_at: time(CALLS + 1)?,
        last_at: time(CALLS + 2)?,
        signed_at: time(CALLS + 3)?,
    };
    let key_version: Option<i64> = row.try_get(CALLS + 4)?;
    Ok(Observation { stored: reader.read_stored(row)?, can_sign: key_version.is_some(), observed })
}
