//! Tokens that were issued: which there are, which of them are alive, and the end of single ones. How they come here,
//! [`crate::issue`] says.
use crate::connect::{ANSWER_MS, within};
use crate::write::{Told, Write};
use crate::{Store, StoreError};
use doorward_core::time::UnixMillis;
use doorward_core::token::{Jti, KEPT_AFTER_EXPIRY_MS};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

/// The kind of a token in the change table.
pub(crate) const TOKEN: &str = "token";
/// Tokens that are removed in one transaction, which keeps others from writing meanwhile.
const SWEEP_ROWS: i64 = 1_000;
/// So often at most in one turn: more tokens than are issued from one turn to the next.
const SWEEP_TIMES: u32 = 1_000;
/// How long a token is listed after it has expired, in milliseconds, where it was not revoked: the leeway that clocks have.
/// One that was revoked stays for [`KEPT_AFTER_EXPIRY_MS`], since nobody else knows that it is dead.
pub const LISTED_AFTER_EXPIRY_MS: i64 = 10 * 60 * 1000;
/// Revocations read at a time.
const PAGE_ROWS: i64 = 2_000;

/// The columns that [`read`] reads. The last one: whether the token would be taken at the instant `$1`.
macro_rules! columns {
    () => {
        "SELECT t.jti, t.credential, t.workspace, t.dialect, t.label, t.scope, t.issued_at, t.expires_at, t.revoked_at, \
         CASE WHEN t.revoked_at IS NULL AND t.expires_at > $1 AND c.status = 'active' \
         AND (c.expires_at IS NULL OR c.expires_at > $1) \
         AND t.gen = m.value || '.' || CAST(c.tokens_since AS TEXT) THEN 1 ELSE 0 END AS alive \
         FROM token t LEFT JOIN credential c ON c.id = t.credential LEFT JOIN meta m ON m.key = 'epoch'"
    };
}
const ONE: &str = concat!(columns!(), " WHERE t.jti = $2");
/// Those that are alive, in the order in which they expire.
const PAGE: &str = concat!("SELECT * FROM (", columns!(), " WHERE (t.expires_at, t.jti) > ($2, $3)");
const OF_WORKSPACE: &str = " AND t.workspace = $5";
const OF_CREDENTIAL: &str =
    " AND t.workspace = (SELECT workspace FROM credential WHERE id = $5) AND t.credential = $5";
const PAGE_END: &str = ") l WHERE alive = 1 ORDER BY expires_at, jti LIMIT $4";
const REVOKE: &str = "UPDATE token SET revoked_at = $1 WHERE jti = $2";
const REVOKED: &str = "SELECT jti, expires_at FROM token WHERE revoked_at IS NOT NULL \
     AND (expires_at, jti) > ($1, $2) ORDER BY expires_at, jti LIMIT $3";
const ALIVE_AGAIN: &str = "SELECT h.seq FROM change h JOIN token t ON t.jti = h.id \
     WHERE h.kind = 'token' AND h.action = 'revoked' AND t.revoked_at IS NULL ORDER BY h.seq LIMIT 1";
/// Those that were over before `$1`; of the revoked ones, before `$2`.
macro_rules! over {
    () => {
        "SELECT jti FROM token WHERE expires_at < $1 AND (revoked_at IS NULL OR expires_at < $2)"
    };
}
const OVER: &str = concat!(over!(), " LIMIT 1");
const SWEEP: &str =
    concat!("DELETE FROM token WHERE jti IN (", over!(), " ORDER BY expires_at, jti LIMIT $3)");

/// A token that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: Jti,
    /// Whose it is.
    pub credential: String,
    /// Where it was issued.
    pub workspace: String,
    /// Whose form it has.
    pub dialect: String,
    /// What its holder calls himself; no identity.
    pub label: Option<String>,
    /// What it may do, separated by spaces.
    pub scope: String,
    /// When it was issued.
    pub issued_at: UnixMillis,
    /// From this instant on it is expired.
    pub expires_at: UnixMillis,
    /// When it was revoked by itself.
    pub revoked_at: Option<UnixMillis>,
    /// Whether it would be taken: not expired, not revoked, and its credential may be used and has not revoked all of them.
    pub alive: bool,
}

/// Which tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenFilter {
    /// Every one.
    #[default]
    All,
    /// Those of a workspace.
    Workspace(String),
    /// Those of a credential.
    Credential(String),
}

fn id(text: &str) -> Result<Jti, StoreError> {
    Jti::parse(text)
        .ok_or_else(|| StoreError::Damaged(format!("`{text}` in its table `token` is no name of a token")))
}

fn read(row: &AnyRow) -> Result<Token, StoreError> {
    Ok(Token {
        id: id(row.try_get(0)?)?,
        credential: row.try_get(1)?,
        workspace: row.try_get(2)?,
        dialect: row.try_get(3)?,
        label: row.try_get(4)?,
        scope: row.try_get(5)?,
        issued_at: UnixMillis(row.try_get(6)?),
        expires_at: UnixMillis(row.try_get(7)?),
        revoked_at: row.try_get::<Option<i64>, _>(8)?.map(UnixMillis),
        alive: alive(row)?,
    })
}

/// A literal has 32 bits on a server, and 64 in a file.
fn alive(row: &AnyRow) -> Result<bool, sqlx::Error> {
    Ok(row.try_get::<i32, _>(9).map(i64::from).or_else(|_| row.try_get::<i64, _>(9))? == 1)
}

/// What the change table tells about a token.
#[derive(Serialize, Deserialize)]
struct Record {
    jti: String,
    credential: String,
    workspace: String,
    dialect: String,
    label: Option<String>,
    scope: String,
    issued_at: String,
    expires_at: String,
}

fn record(token: &Token) -> String {
    let record = Record {
        jti: token.id.to_string(),
        credential: token.credential.clone(),
        workspace: token.workspace.clone(),
        dialect: token.dialect.clone(),
        label: token.label.clone(),
        scope: token.scope.clone(),
        issued_at: token.issued_at.to_string(),
        expires_at: token.expires_at.to_string(),
    };
    serde_json::to_string(&record).expect("texts can be written as JSON")
}

/// When a token that was revoked expires, by what its change tells. Where that can't be read, never: it stays dead.
pub(crate) fn expiry(told: Option<&str>) -> UnixMillis {
    let record = told.and_then(|told| serde_json::from_str::<Record>(told).ok());
    record.and_then(|r| UnixMillis::parse(&r.expires_at)).unwrap_or(UnixMillis(i64::MAX))
}

/// Every token that was revoked by itself and is not removed yet.
pub(crate) async fn revoked(conn: &mut AnyConnection) -> Result<Vec<(Jti, UnixMillis)>, StoreError> {
    let (mut all, mut last) = (Vec::new(), (i64::MIN, String::new()));
    loop {
        let query = sqlx::query(REVOKED).bind(last.0).bind(last.1.as_str()).bind(PAGE_ROWS);
        let rows = within(ANSWER_MS, async { Ok(query.fetch_all(&mut *conn).await?) }).await?;
        let Some(end) = rows.last() else { return Ok(all) };
        last = (end.try_get(1)?, end.try_get(0)?);
        for row in &rows {
            match id(row.try_get(0)?) {
                Ok(id) => all.push((id, UnixMillis(row.try_get(1)?))),
                // No token has such an id, so none lives again.
                Err(why) => tracing::error!(%why, "a revoked token can't be read"),
            }
        }
    }
}

/// Sees that what was revoked is.
pub(crate) async fn check(conn: &mut AnyConnection) -> Result<(), StoreError> {
    match sqlx::query(ALIVE_AGAIN).fetch_optional(conn).await? {
        None => Ok(()),
        Some(row) => {
            let seq: i64 = row.try_get(0)?;
            Err(StoreError::Damaged(format!("the token that change {seq} revoked is not revoked")))
        }
    }
}

impl Store {
    /// One token, alive or not; `None` for one that was never issued, or is long over.
    ///
    /// # Errors
    /// The store fails.
    pub async fn token(&self, id: Jti, now: UnixMillis) -> Result<Option<Token>, StoreError> {
        within(ANSWER_MS, async {
            let query = sqlx::query(ONE).bind(now.0).bind(id.to_string());
            query.fetch_optional(&self.pool).await?.map(|row| read(&row)).transpose()
        })
        .await
    }

    /// Up to `limit` tokens that are alive at `now`, in the order in which they expire, from the one after `after`: the
    /// last one of the page before.
    ///
    /// # Errors
    /// The store fails.
    pub async fn live_tokens(
        &self,
        filter: &TokenFilter,
        after: Option<(UnixMillis, Jti)>,
        limit: i64,
        now: UnixMillis,
    ) -> Result<Vec<Token>, StoreError> {
        let (of, whose) = match filter {
            TokenFilter::All => ("", None),
            TokenFilter::Workspace(id) => (OF_WORKSPACE, Some(id)),
            TokenFilter::Credential(id) => (OF_CREDENTIAL, Some(id)),
        };
        // Those that have expired already are passed over unread.
        let after = after.filter(|(at, _)| *at > now).map(|(at, id)| (at.0, id.to_string()));
        let (at, id) = after.unwrap_or((now.0.saturating_add(1), String::new()));
        let query = sqlx::query(AssertSqlSafe(format!("{PAGE}{of}{PAGE_END}"))).bind(now.0).bind(at).bind(id);
        let query = whose.into_iter().fold(query.bind(limit), |query, id| query.bind(id.as_str()));
        let rows = within(ANSWER_MS, async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        rows.iter().map(read).collect()
    }

    /// Removes tokens that have been over for so long that nobody takes them for unexpired any more, and returns how many.
    /// Others write in between. Whoever keeps a store open calls it every now and then.
    ///
    /// # Errors
    /// Others keep the store busy, or it fails.
    pub async fn sweep_tokens(&self, now: UnixMillis) -> Result<u64, StoreError> {
        let until = now.plus_ms(-LISTED_AFTER_EXPIRY_MS).0;
        let revoked_until = now.plus_ms(-KEPT_AFTER_EXPIRY_MS).0;
        let mut gone = 0;
        for _ in 0..SWEEP_TIMES {
            let some = within(ANSWER_MS, async {
                // Mostly there are none, and looking takes no lock.
                let over = sqlx::query(OVER).bind(until).bind(revoked_until);
                match over.fetch_optional(&self.pool).await? {
                    None => Ok(0),
                    Some(_) => {
                        let sweep = sqlx::query(SWEEP).bind(until).bind(revoked_until).bind(SWEEP_ROWS);
                        Ok(sweep.execute(&self.pool).await?.rows_affected())
                    }
                }
            });
            match some.await? {
                0 => break,
                some => gone += some,
            }
        }
        Ok(gone)
    }
}

impl Write {
    /// Revokes one token, for ever. `false`: it was revoked before, and nothing is written.
    ///
    /// # Errors
    /// It is not there, or the store fails.
    pub async fn revoke_token(&mut self, id: Jti) -> Result<bool, StoreError> {
        within(ANSWER_MS, async {
            let text = id.to_string();
            let row =
                sqlx::query(ONE).bind(self.now.0).bind(text.as_str()).fetch_optional(&mut *self.tx).await?;
            let Some(row) = row else {
                return Err(StoreError::NotFound { kind: TOKEN, id: text });
            };
            let token = read(&row)?;
            if token.revoked_at.is_some() {
                return Ok(false);
            }
            self.begin_step();
            sqlx::query(REVOKE).bind(self.now.0).bind(text.as_str()).execute(&mut *self.tx).await?;
            let (workspace, before) = (Some(token.workspace.as_str()), Some(record(&token)));
            self.tell(Told { workspace, kind: TOKEN, id: &text, action: "revoked", before, after: None })
                .await?;
            Ok(true)
        })
        .await
    }
}
