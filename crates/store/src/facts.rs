//! What nodes learn about credentials while they serve. It is no change: nobody follows it.
use crate::connect::{ANSWER_MS, within};
use crate::{Store, StoreError, anonymous};
use doorward_core::observed::{MAX_SAMPLES, Observed};
use doorward_core::policy::Rule;
use doorward_core::time::UnixMillis;
use sqlx::AnyConnection;

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

// The same for every other rule.
const USE: &str = "INSERT INTO rule_use (credential, api, rule, calls, first_at, last_at) \
     SELECT id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT) \
     FROM credential WHERE id = $1 \
     ON CONFLICT (credential, api, rule) DO UPDATE SET \
     calls = rule_use.calls + excluded.calls, \
     first_at = CASE WHEN rule_use.first_at IS NULL OR excluded.first_at < rule_use.first_at \
         THEN excluded.first_at ELSE rule_use.first_at END, \
     last_at = CASE WHEN rule_use.last_at IS NULL OR excluded.last_at > rule_use.last_at \
         THEN excluded.last_at ELSE rule_use.last_at END";

const SAMPLE: &str = "INSERT INTO rule_sample (credential, api, rule, at, method, path, client) \
     SELECT id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TEXT) \
     FROM credential WHERE id = $1 ON CONFLICT (credential, api, rule, at) DO NOTHING";

// The newest stay.
const FORGET_SAMPLES: &str = "DELETE FROM rule_sample WHERE credential = $1 AND api = $2 AND rule = $3 AND at < \
     (SELECT MIN(n.at) FROM (SELECT at FROM rule_sample WHERE credential = $1 AND api = $2 AND rule = $3 \
      ORDER BY at DESC LIMIT $4) n)";

/// The use of a credential, or calls without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its id; `None`: the callers had no credential.
    pub credential: Option<String>,
    /// When it was last used.
    pub last_used: UnixMillis,
    /// When it was last proved over plain HTTP, if it was.
    pub exposed_at: Option<UnixMillis>,
    /// Its calls since the fact before, each API once, where rules are observed.
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
                let Some(credential) = fact.credential.as_deref() else {
                    for seen in &fact.observed {
                        anonymous::observe(&mut tx, seen).await?;
                    }
                    continue;
                };
                sqlx::query(RECORD)
                    .bind(credential)
                    .bind(fact.last_used.0)
                    .bind(fact.exposed_at.map(|t| t.0))
                    .execute(&mut *tx)
                    .await?;
                for seen in &fact.observed {
                    observe(&mut tx, credential, seen).await?;
                }
            }
            Ok(tx.commit().await?)
        })
        .await
    }
}

/// Adds what was seen of the calls of one credential to one API.
async fn observe(conn: &mut AnyConnection, credential: &str, seen: &Observed) -> Result<(), StoreError> {
    let number = |calls: u64| i64::try_from(calls).unwrap_or(i64::MAX);
    let unsigned = seen.refused.iter().find(|refused| refused.rule == Rule::Signatures);
    if unsigned.is_some() || seen.signed_at.is_some() {
        sqlx::query(OBSERVE)
            .bind(credential)
            .bind(&*seen.api)
            .bind(number(unsigned.map_or(0, |refused| refused.calls)))
            .bind(unsigned.and_then(|refused| refused.first_at).map(|t| t.0))
            .bind(unsigned.and_then(|refused| refused.last_at).map(|t| t.0))
            .bind(seen.signed_at.map(|t| t.0))
            .execute(&mut *conn)
            .await?;
    }
    for refused in &seen.refused {
        let rule = refused.rule.name();
        if refused.rule != Rule::Signatures {
            sqlx::query(USE)
                .bind(credential)
                .bind(&*seen.api)
                .bind(rule)
                .bind(number(refused.calls))
                .bind(refused.first_at.map(|t| t.0))
                .bind(refused.last_at.map(|t| t.0))
                .execute(&mut *conn)
                .await?;
        }
        for sample in &refused.samples {
            sqlx::query(SAMPLE)
                .bind(credential)
                .bind(&*seen.api)
                .bind(rule)
                .bind(sample.at.0)
                .bind(&*sample.method)
                .bind(&*sample.path)
                .bind(sample.client.as_deref())
                .execute(&mut *conn)
                .await?;
        }
        if !refused.samples.is_empty() {
            let query = sqlx::query(FORGET_SAMPLES).bind(credential).bind(&*seen.api).bind(rule);
            query.bind(MAX_SAMPLES as i64).execute(&mut *conn).await?;
        }
    }
    Ok(())
}
