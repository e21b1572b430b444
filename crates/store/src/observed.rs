//! Whose calls rules would have refused that are observed.
use crate::connect::{ANSWER_MS, within};
use crate::credentials::with_facts;
use crate::objects::{self, POLICY};
use crate::row::{COLUMNS, FACTS, Reader, columns};
use crate::{Store, StoreError, Stored};
use doorward_core::observed::{Refused, Sample};
use doorward_core::policy::draft::PolicyDraft;
use doorward_core::policy::{Mode, Rule};
use doorward_core::time::UnixMillis;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::HashMap;

pub(crate) const PAGE: &str = with_facts!(
    ", u.calls, u.first_at, u.last_at, s.key_version, u.signed_at",
    "JOIN unsigned_use u ON u.credential = c.id LEFT JOIN signing_secret s ON s.credential = c.id \
     WHERE c.workspace = $1 AND u.api = $2 AND c.id > $3 ORDER BY c.id LIMIT $4"
);
pub(crate) const RULE_PAGE: &str = with_facts!(
    ", u.calls, u.first_at, u.last_at, s.key_version",
    "JOIN rule_use u ON u.credential = c.id LEFT JOIN signing_secret s ON s.credential = c.id \
     WHERE c.workspace = $1 AND u.api = $2 AND c.id > $3 AND u.rule = $5 ORDER BY c.id LIMIT $4"
);
const SAMPLES: &str = "SELECT p.credential, p.at, p.method, p.path, p.client FROM credential c \
     JOIN rule_sample p ON p.credential = c.id \
     WHERE c.workspace = $1 AND p.api = $2 AND p.rule = $3 AND c.id >= $4 AND c.id <= $5 ORDER BY p.at DESC";
const CHANGES: &str = "SELECT at, after FROM change WHERE kind = $1 AND id = $2 AND workspace = $3 \
     ORDER BY seq DESC LIMIT 1000";

/// A credential, and its calls to one API that one rule would have refused.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The credential.
    pub stored: Stored,
    /// Whether it has something to sign with.
    pub can_sign: bool,
    /// Its calls, the newest samples first.
    pub refused: Refused,
    /// When it last signed, where the rule is that requests must be signed.
    pub signed_at: Option<UnixMillis>,
}

impl Store {
    /// Up to `limit` credentials of a workspace that have called an API while a rule was observed there, in the order of
    /// their ids, from the one after `after`.
    ///
    /// # Errors
    /// One can't be read, or the store fails.
    pub async fn observed_page(
        &self,
        workspace: &str,
        api: &str,
        rule: Rule,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<Observation>, StoreError> {
        let unsigned = rule == Rule::Signatures;
        let query = sqlx::query(if unsigned { PAGE } else { RULE_PAGE });
        let query = query.bind(workspace).bind(api).bind(after.unwrap_or("")).bind(limit);
        let query = if unsigned { query } else { query.bind(rule.name()) };
        let rows = within(ANSWER_MS, async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let mut reader = Reader::new(&self.keys);
        let all: Result<Vec<_>, _> = rows.iter().map(|row| read(&mut reader, row, rule)).collect();
        let mut all = all?;
        let id = |one: Option<&Observation>| one.map(|one| one.stored.credential.id.to_string());
        let (Some(first), Some(last)) = (id(all.first()), id(all.last())) else { return Ok(all) };
        let query = sqlx::query(SAMPLES).bind(workspace).bind(api).bind(rule.name()).bind(first).bind(last);
        let rows = within(ANSWER_MS, async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let mut samples: HashMap<String, Vec<Sample>> = HashMap::new();
        for row in &rows {
            samples.entry(row.try_get(0)?).or_default().push(sample(row)?);
        }
        for one in &mut all {
            one.refused.samples = samples.remove(&*one.stored.credential.id).unwrap_or_default();
        }
        Ok(all)
    }

    /// Since when a rule has been observed for a workspace at an API, without a break; `None` where it is not now.
    ///
    /// # Errors
    /// The store fails.
    pub async fn observed_since(
        &self,
        workspace: &str,
        api: &str,
        rule: Rule,
    ) -> Result<Option<UnixMillis>, StoreError> {
        let query = sqlx::query(CHANGES).bind(POLICY).bind(api).bind(workspace);
        let rows = within(ANSWER_MS, async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        let mut since = None;
        for row in &rows {
            let after: Option<&str> = row.try_get(1)?;
            let observes = after.is_some_and(|body| {
                objects::read(POLICY, workspace, api, body).is_ok_and(|draft| {
                    draft.policies.iter().any(|p| said(p, rule) == Some(Mode::Observe.name()))
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

/// The mode of a rule, as it was written.
fn said(p: &PolicyDraft, rule: Rule) -> Option<&str> {
    match rule {
        Rule::Signatures => p.signatures.as_deref(),
        Rule::Network => p.network.as_ref()?.mode.as_deref(),
        Rule::Scope => p.scopes.as_deref(),
        Rule::Licence => p.licences.as_deref(),
        Rule::Limits => p.limits.as_ref()?.mode.as_deref(),
        Rule::Captcha => p.captcha.as_deref(),
    }
}

fn sample(row: &AnyRow) -> Result<Sample, sqlx::Error> {
    let text = |at| row.try_get::<String, _>(at).map(String::into_boxed_str);
    let client: Option<String> = row.try_get(4)?;
    Ok(Sample {
        at: UnixMillis(row.try_get(1)?),
        method: text(2)?,
        path: text(3)?,
        client: client.map(String::into_boxed_str),
    })
}

fn read(reader: &mut Reader<'_>, row: &AnyRow, rule: Rule) -> Result<Observation, StoreError> {
    const CALLS: usize = COLUMNS + FACTS;
    let time = |at| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(at)?.map(UnixMillis));
    let calls: i64 = row.try_get(CALLS)?;
    let refused = Refused {
        calls: u64::try_from(calls).unwrap_or(0),
        first_at: time(CALLS + 1)?,
        last_at: time(CALLS + 2)?,
        ..Refused::nothing(rule)
    };
    let key_version: Option<i64> = row.try_get(CALLS + 3)?;
    let signed_at = if rule == Rule::Signatures { time(CALLS + 4)? } else { None };
    let stored = reader.read_stored(row)?;
    Ok(Observation { stored, can_sign: key_version.is_some(), refused, signed_at })
}
