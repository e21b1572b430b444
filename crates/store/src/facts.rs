//! What nodes learn about credentials while they serve. It is no change: nobody follows it.
use crate::connect::{ANSWER_MS, within};
use crate::{Store, StoreError};
use doorward_core::observed::Observed;
use doorward_core::time::UnixMillis;

// A credential that was deleted in the meantime has no facts. Nodes tell late and in any order, so the latest time stays.
const RECORD: &str = "INSERT INTO credential_fact (credential, last_used, exposed_at) \
     SELECT id, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM credential WHERE id = $1 \
     ON CONFLICT (credential) DO UPDATE SET \
     last_used = CASE WHEN credential_fact.last_used > excluded.last_used \
         THEN credential_fact.last_used ELSE excluded.last_used END, \
     exposed_at = CASE WHEN excluded.exposed_at IS NULL OR credential_fact.exposed_at > excluded.exposed_at \
         THEN credential_fact.exposed_at ELSE excluded.exposed_at END";

// Nodes add up what they have counted each.
const OBSERVE: &str = "INSERT INTO unsigned_use (credential, api, calls, first_at, last_at, signed_at) \
     SELECT id, CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT) \
     FROM credential WHERE id = $1 \
     ON CONFLICT (credential, api) DO UPDATE SET \
     calls = unsigned_use.calls + excluded.calls, \
     first_at = CASE WHEN unsigned_use.first_at IS NULL OR excluded.first_at < unsigned_use.first_at \
         THEN excluded.first_at ELSE unsigned_use.first_at END, \
     last_at = CASE WHEN unsigned_use.last_at IS NULL OR excluded.last_at > unsigned_use.last_at \
         THEN excluded.last_at ELSE unsigned_use.last_at END, \
     signed_at = CASE WHEN unsigned_use.signed_at IS NULL OR excluded.signed_at > unsigned_use.signed_at \
         THEN excluded.signed_at ELSE unsigned_use.signed_at END";

/// The use of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its id.
    pub credential: String,
    /// When it was last used.
    pub last_used: UnixMillis,
    /// When it was last proved over plain HTTP, if it was.
    pub exposed_at: Option<UnixMillis>,
    /// Its calls since the fact before, each API once, where signatures are observed.
    pub observed: Vec<Observed>,
}

impl Store {
    /// Records facts, all or none. Those about credentials that are not there any more are passed over.
    ///
    /// # Errors
    /// The store fails; where that was at the very end, they may have been recorded.
    pub async fn record(&self, facts: &[Fact]) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            if facts.is_empty() {
                return Ok(());
            }
            let mut tx = self.pool.begin().await?;
            for fact in facts {
                sqlx::query(RECORD)
                    .bind(fact.credential.as_str())
                    .bind(fact.last_used.0)
                    .bind(fact.exposed_at.map(|t| t.0))
                    .execute(&mut *tx)
                    .await?;
                for seen in &fact.observed {
                    sqlx::query(OBSERVE)
                        .bind(fact.credential.as_str())
                        .bind(&*seen.api)
                        .bind(i64::try_from(seen.calls).unwrap_or(i64::MAX))
                        .bind(seen.first_at.map(|t| t.0))
                        .bind(seen.last_at.map(|t| t.0))
                        .bind(seen.signed_at.map(|t| t.0))
                        .execute(&mut *tx)
                        .await?;
                }
            }
            Ok(tx.commit().await?)
        })
        .await
    }
}
