//! Writing down the tokens that are issued. It takes no number and is no change: thousands come in a second, and nobody
//! follows them. What it hangs on, the credential, can't change while it is written down.
use crate::connect::{ANSWER_MS, within};
use crate::engine::Engine;
use crate::{Store, StoreError, write};
use aws_lc_rs::digest::{SHA256, digest};
use doorward_core::credential::Status;
use doorward_core::secret::SecretHash;
use doorward_core::time::UnixMillis;
use doorward_core::token::{Jti, generation};
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row, Transaction};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

/// Rows read or written by one statement.
const STATEMENT_ROWS: usize = 64;
/// Columns of the table that are written here.
const COLUMNS: usize = 9;

const ABOUT: &str = "SELECT (SELECT value FROM meta WHERE key = 'epoch'), \
     (SELECT value FROM meta WHERE key = 'moved_to'), (SELECT value FROM meta WHERE key = 'installation')";
/// Tokens that count: not those of another generation, but those of a blocked credential, which may be unblocked.
const COUNT: &str = "SELECT COUNT(*) FROM token t JOIN credential c ON c.id = t.credential \
     WHERE t.workspace = $1 AND t.expires_at > $2 AND t.revoked_at IS NULL \
     AND t.gen = $3 || '.' || CAST(c.tokens_since AS TEXT)";

/// Which secret an issuer was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSeen {
    /// The one that has this number: [`crate::Stored::secret_version`].
    Version(i64),
    /// The one with this hash.
    Hash(SecretHash),
}

/// A token to be issued, and what its issuer saw of the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its id: 128 random bits.
    pub id: Jti,
    /// The credential that asked for it.
    pub credential: String,
    /// The credential's workspace.
    pub workspace: String,
    /// Whose form it has.
    pub dialect: String,
    /// What its holder calls himself; no identity.
    pub label: Option<String>,
    /// What it may do, separated by spaces.
    pub scope: String,
    /// When it is issued.
    pub issued_at: UnixMillis,
    /// From this instant on it is expired.
    pub expires_at: UnixMillis,
    /// The epoch that it names.
    pub epoch: String,
    /// The credential's [`doorward_core::credential::Credential::tokens_since`], which it names.
    pub tokens_since: i64,
    /// The secret that was presented.
    pub secret: SecretSeen,
    /// At most so many may live in its workspace, this one included.
    pub cap: Option<u32>,
}

/// Why a token is not issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIssued {
    /// The credential is not what the issuer saw: it was deleted, blocked, has expired, has another secret or has revoked
    /// all of its tokens.
    #[error("the credential has changed while the token was made; ask again")]
    CredentialChanged,
    /// The workspace has as many live tokens as it may have.
    #[error("the workspace has as many live tokens as it may have; use those, or wait until one expires")]
    TooMany,
}

/// What one transaction makes of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Issued,
    Refused(NotIssued),
    /// Its credential is not there, or just being changed.
    Unsure,
}

/// A credential, as it can't change until the end of the transaction.
struct Seen {
    workspace: String,
    status: String,
    expires_at: Option<i64>,
    secret: Vec<u8>,
    secret_version: i64,
    tokens_since: i64,
}

impl Seen {
    fn bears_out(&self, token: &NewToken, epoch: &str) -> bool {
        let secret = match token.secret {
            SecretSeen::Version(version) => version == self.secret_version,
            SecretSeen::Hash(hash) => *self.secret == hash.0,
        };
        secret
            && self.workspace == token.workspace
            && self.status == Status::Active.name()
            && self.expires_at.is_none_or(|at| at > token.issued_at.0)
            && self.tokens_since == token.tokens_since
            && *epoch == *token.epoch
    }
}

impl Store {
    /// Writes down tokens, together, and tells of each whether it was issued. When this returns they outlive any crash.
    ///
    /// # Errors
    /// Others keep the store busy, it was moved, or it fails; none was issued then. [`StoreError::Unknown`]: nobody can
    /// tell, so nobody may hand any of them out.
    pub async fn issue_tokens(&self, tokens: &[NewToken]) -> Result<Vec<Result<(), NotIssued>>, StoreError> {
        let all: Vec<&NewToken> = tokens.iter().collect();
        // One writer is alone in a file. Elsewhere nobody waits for a credential that is being changed while he keeps
        // others from being changed: two who wait for each other would be parted by the server, at a loss for one.
        let alone = self.engine == Engine::Sqlite;
        let mut verdicts = within(ANSWER_MS, self.try_issue(&all, alone)).await?;
        let mut unsure: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, token) in tokens.iter().enumerate() {
            if verdicts[at] == Verdict::Unsure {
                unsure.entry(&token.credential).or_default().push(at);
            }
        }
        for places in unsure.into_values() {
            let some: Vec<&NewToken> = places.iter().map(|at| &tokens[*at]).collect();
            let again = match alone {
                true => vec![Verdict::Unsure; some.len()],
                false => match within(ANSWER_MS, self.try_issue(&some, true)).await {
                    // Whoever changes it takes long. The others are issued, so this is no failure of them.
                    Err(StoreError::Busy) => vec![Verdict::Unsure; some.len()],
                    done => done?,
                },
            };
            places.into_iter().zip(again).for_each(|(at, verdict)| verdicts[at] = verdict);
        }
        let told = verdicts.into_iter().map(|verdict| match verdict {
            Verdict::Issued => Ok(()),
            Verdict::Refused(why) => Err(why),
            Verdict::Unsure => Err(NotIssued::CredentialChanged),
        });
        Ok(told.collect())
    }

    async fn try_issue(&self, tokens: &[&NewToken], wait: bool) -> Result<Vec<Verdict>, StoreError> {
        let mut tx = self.pool.begin_with(self.engine.begin_beside()).await?;
        self.still_there()?;
        let about = sqlx::query(ABOUT).fetch_one(&mut *tx).await?;
        self.see_own(about.try_get(2)?)?;
        if let Some(elsewhere) = about.try_get(1)? {
            return Err(StoreError::Moved(elsewhere));
        }
        let epoch: Option<String> = about.try_get(0)?;
        let epoch =
            epoch.ok_or_else(|| StoreError::Damaged("`epoch` is missing in its table `meta`".to_owned()))?;
        // Before any credential, so that nobody who waits for this keeps one from being changed.
        let mut live = self.live_counts(&mut tx, tokens, &epoch).await?;
        let seen = self.credentials_kept(&mut tx, tokens, wait).await?;
        let mut issued = Vec::new();
        let verdicts = tokens.iter().map(|token| {
            let Some(seen) = seen.get(&token.credential) else { return Verdict::Unsure };
            if !seen.bears_out(token, &epoch) {
                return Verdict::Refused(NotIssued::CredentialChanged);
            }
            if let Some(live) = live.get_mut(token.workspace.as_str()) {
                if token.cap.is_some_and(|cap| *live >= i64::from(cap)) {
                    return Verdict::Refused(NotIssued::TooMany);
                }
                *live += 1;
            }
            issued.push(*token);
            Verdict::Issued
        });
        let verdicts: Vec<Verdict> = verdicts.collect();
        if issued.is_empty() {
            tx.rollback().await?;
            return Ok(verdicts);
        }
        for some in issued.chunks(STATEMENT_ROWS) {
            insert(&mut tx, some, &epoch).await?;
        }
        write::commit(self.engine, tx).await.map_err(StoreError::of_commit)?;
        Ok(verdicts)
    }

    /// How many tokens live in each workspace that may not have any number. Nobody else issues there until the end of the
    /// transaction.
    async fn live_counts<'t>(
        &self,
        tx: &mut Transaction<'static, Any>,
        tokens: &[&'t NewToken],
        epoch: &str,
    ) -> Result<BTreeMap<&'t str, i64>, StoreError> {
        let mut capped: BTreeMap<&str, UnixMillis> = BTreeMap::new();
        for token in tokens.iter().filter(|token| token.cap.is_some()) {
            let at = capped.entry(&token.workspace).or_insert(token.issued_at);
            *at = token.issued_at.min(*at);
        }
        if let Some(lock) = self.engine.lock_named() {
            // In the order of their numbers: two that take the same ones never wait for each other.
            let numbers: BTreeSet<i64> = capped.keys().map(|workspace| number(workspace)).collect();
            for number in numbers {
                sqlx::query(lock).bind(number).execute(&mut **tx).await?;
            }
        }
        let mut live = BTreeMap::new();
        for (workspace, at) in capped {
            let count = sqlx::query(COUNT).bind(workspace).bind(at.0).bind(epoch);
            live.insert(workspace, count.fetch_one(&mut **tx).await?.try_get(0)?);
        }
        Ok(live)
    }

    async fn credentials_kept(
        &self,
        conn: &mut AnyConnection,
        tokens: &[&NewToken],
        wait: bool,
    ) -> Result<HashMap<String, Seen>, StoreError> {
        let ids: BTreeSet<&str> = tokens.iter().map(|token| token.credential.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut seen = HashMap::with_capacity(ids.len());
        for some in ids.chunks(STATEMENT_ROWS) {
            let places: Vec<String> = (1..=some.len()).map(|n| format!("${n}")).collect();
            let query = format!(
                "SELECT id, workspace, status, expires_at, secret, secret_version, tokens_since FROM credential \
                 WHERE id IN ({}) ORDER BY id{}",
                places.join(", "),
                self.engine.keep_rows(wait)
            );
            let query = some.iter().fold(sqlx::query(AssertSqlSafe(query)), |query, id| query.bind(*id));
            for row in &query.fetch_all(&mut *conn).await? {
                let one = Seen {
                    workspace: row.try_get(1)?,
                    status: row.try_get(2)?,
                    expires_at: row.try_get(3)?,
                    secret: row.try_get(4)?,
                    secret_version: row.try_get(5)?,
                    tokens_since: row.try_get(6)?,
                };
                seen.insert(row.try_get(0)?, one);
            }
        }
        Ok(seen)
    }
}

/// The number by which a workspace is locked. Two with the same one wait for each other, and no harm is done.
fn number(workspace: &str) -> i64 {
    let digest = digest(&SHA256, format!("doorward/tokens/{workspace}").as_bytes());
    let mut first = [0; size_of::<i64>()];
    first.copy_from_slice(&digest.as_ref()[..size_of::<i64>()]);
    i64::from_be_bytes(first)
}

async fn insert(conn: &mut AnyConnection, tokens: &[&NewToken], epoch: &str) -> Result<(), StoreError> {
    let mut query = "INSERT INTO token (jti, credential, workspace, dialect, label, scope, gen, issued_at, \
         expires_at) VALUES "
        .to_owned();
    for n in 0..tokens.len() {
        let comma = if n == 0 { "" } else { ", " };
        let places: Vec<String> = (1..=COLUMNS).map(|at| format!("${}", n * COLUMNS + at)).collect();
        let _ = write!(query, "{comma}({})", places.join(", "));
    }
    let mut query = sqlx::query(AssertSqlSafe(query));
    for token in tokens {
        query = query
            .bind(token.id.to_string())
            .bind(token.credential.as_str())
            .bind(token.workspace.as_str())
            .bind(token.dialect.as_str())
            .bind(token.label.as_deref())
            .bind(token.scope.as_str())
            .bind(generation(epoch, token.tokens_since))
            .bind(token.issued_at.0)
            .bind(token.expires_at.0);
    }
    query.execute(conn).await?;
    Ok(())
}
