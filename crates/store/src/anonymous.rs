//! What rules would have refused of callers without a credential. They belong to no workspace, so it is counted for each API.
use crate::connect::{ANSWER_MS, within};
use crate::{Store, StoreError};
use doorward_core::observed::{MAX_SAMPLES, Observed, Refused, Sample};
use doorward_core::policy::Rule;
use doorward_core::time::UnixMillis;
use sqlx::{AnyConnection, Row};

// Nodes tell late and in any order, and add up what they have counted each.
const USE: &str = "INSERT INTO anonymous_use (api, rule, calls, first_at, last_at) \
     VALUES ($1, $2, CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT)) \
     ON CONFLICT (api, rule) DO UPDATE SET \
     calls = anonymous_use.calls + excluded.calls, \
     first_at = CASE WHEN anonymous_use.first_at IS NULL OR excluded.first_at < anonymous_use.first_at \
         THEN excluded.first_at ELSE anonymous_use.first_at END, \
     last_at = CASE WHEN anonymous_use.last_at IS NULL OR excluded.last_at > anonymous_use.last_at \
         THEN excluded.last_at ELSE anonymous_use.last_at END";
const SAMPLE: &str = "INSERT INTO anonymous_sample (api, rule, at, method, path, client) \
     VALUES ($1, $2, $3, $4, $5, CAST($6 AS TEXT)) ON CONFLICT (api, rule, at) DO NOTHING";
// The newest stay.
const FORGET_SAMPLES: &str = "DELETE FROM anonymous_sample WHERE api = $1 AND rule = $2 AND at < \
     (SELECT MIN(n.at) FROM (SELECT at FROM anonymous_sample WHERE api = $1 AND rule = $2 \
      ORDER BY at DESC LIMIT $3) n)";
const FIND: &str = "SELECT calls, first_at, last_at FROM anonymous_use WHERE api = $1 AND rule = $2";
const SAMPLES: &str = "SELECT at, method, path, client FROM anonymous_sample WHERE api = $1 AND rule = $2 \
     ORDER BY at DESC";

/// Adds what was seen of calls to one API.
pub(crate) async fn observe(conn: &mut AnyConnection, seen: &Observed) -> Result<(), StoreError> {
    let time = |at: Option<UnixMillis>| at.map(|t| t.0);
    for refused in &seen.refused {
        let rule = refused.rule.name();
        let calls = i64::try_from(refused.calls).unwrap_or(i64::MAX);
        let query = sqlx::query(USE).bind(&*seen.api).bind(rule).bind(calls);
        query.bind(time(refused.first_at)).bind(time(refused.last_at)).execute(&mut *conn).await?;
        for sample in &refused.samples {
            let query = sqlx::query(SAMPLE).bind(&*seen.api).bind(rule).bind(sample.at.0);
            let query = query.bind(&*sample.method).bind(&*sample.path).bind(sample.client.as_deref());
            query.execute(&mut *conn).await?;
        }
        if !refused.samples.is_empty() {
            let query = sqlx::query(FORGET_SAMPLES).bind(&*seen.api).bind(rule).bind(MAX_SAMPLES as i64);
            query.execute(&mut *conn).await?;
        }
    }
    Ok(())
}

impl Store {
    /// The calls to an API of callers without a credential that a rule would have refused; `None`: there was none.
    ///
    /// # Errors
    /// The store fails.
    pub async fn observed_anonymous(&self, api: &str, rule: Rule) -> Result<Option<Refused>, StoreError> {
        within(ANSWER_MS, async {
            let query = sqlx::query(FIND).bind(api).bind(rule.name());
            let Some(row) = query.fetch_optional(&self.pool).await? else { return Ok(None) };
            let time = |at| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(at)?.map(UnixMillis));
            let calls = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
            let mut refused =
                Refused { calls, first_at: time(1)?, last_at: time(2)?, ..Refused::nothing(rule) };
            let query = sqlx::query(SAMPLES).bind(api).bind(rule.name());
            for row in query.fetch_all(&self.pool).await? {
                let text = |at| row.try_get::<String, _>(at).map(String::into_boxed_str);
                let client: Option<String> = row.try_get(3)?;
                refused.samples.push(Sample {
                    at: UnixMillis(row.try_get(0)?),
                    method: text(1)?,
                    path: text(2)?,
                    client: client.map(String::into_boxed_str),
                });
            }
            Ok(Some(refused))
        })
        .await
    }
}
