//! What nodes learn about credentials while they serve. It is no change: nobody follows it.
use crate::connect::{ANSWER_MS, within};
use crate::{Store, StoreError};
use doorward_core::time::UnixMillis;

// A credential that was deleted in the meantime has no facts. Nodes tell late and in any order, so the latest time stays.
const RECORD: &str = "INSERT INTO credential_fact (credential, last_used, exposed_at) \
     SELECT id, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM credential WHERE id = $1 \
     ON CONFLICT (credential) DO UPDATE SET \
     last_used = CASE WHEN credential_fact.last_used > excluded.last_used \
         THEN credential_fact.last_used ELSE excluded.last_used END, \
     exposed_at = CASE WHEN excluded.exposed_at IS NULL OR credential_fact.exposed_at > excluded.exposed_at \
         THEN credential_fact.exposed_at ELSE excluded.exposed_at END";

/// The use of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its id.
    pub credential: String,
    /// When it was last used.
    pub last_used: UnixMillis,
    /// When it was last proved over plain HTTP, if it was.
    pub exposed_at: Option<UnixMillis>,
}

impl Store {
    /// Records facts, all or none.
    ///
    /// # Errors
    /// The store fails.
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
            }
            Ok(tx.commit().await?)
        })
        .await
    }
}
