//! The keys that tokens are signed with. Each is sealed together with its algorithm and its public half, so that nobody
//! who can only write to the tables has a key of his own believed.
mod write;

use crate::connect::{ANSWER_MS, within};
use crate::record::field_that_differs;
use crate::{Store, StoreError};
use doorward_core::secret::{SealedFor, Seals};
use doorward_core::time::UnixMillis;
use doorward_core::token_keys::{KeyState, PrivateKey, TokenKey, Turn, due};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::sync::Arc;

pub use write::NewTokenKey;

/// The kind of such a key in the change table.
pub(crate) const TOKEN_KEY: &str = "token_key";
/// What the private keys are sealed for.
const PURPOSE: &str = "token-key";
/// Ends the algorithm, and the public key, in what is sealed. The private key may hold any byte.
const END: u8 = b'\n';

const ALL: &str = "SELECT kid, alg, state, created_at, signs_from, retired_at, verify_until, public_jwk, sealed, \
     key_version FROM token_key ORDER BY created_at, kid";
const RESEAL: &str = "UPDATE token_key SET sealed = $1, key_version = $2 WHERE kid = $3";
const TOLD: &str = "SELECT after FROM change WHERE kind = 'token_key' AND id = $1 ORDER BY seq DESC LIMIT 1";

/// A row: the key, without its private half, and that half sealed.
pub(crate) struct Kept {
    pub(crate) key: TokenKey,
    sealed: Vec<u8>,
    key_version: i64,
}

/// What became of a private key.
pub(crate) enum Opening {
    Opened(PrivateKey),
    /// It is sealed with a key that is not among those at hand.
    OtherKey,
    /// It does not open, or was not sealed with this public key.
    Broken,
}

fn owner(kid: &str) -> SealedFor<'_> {
    SealedFor { workspace: "", credential: kid, purpose: PURPOSE, version: 1 }
}

fn damaged(why: String) -> StoreError {
    StoreError::Damaged(why)
}

fn does_not_open(kid: &str) -> StoreError {
    damaged(format!(
        "the token key `{kid}` does not open, or is not what was sealed; make another one, and remove that one"
    ))
}

fn read(row: &AnyRow) -> Result<Kept, StoreError> {
    let time = |at| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(at)?.map(UnixMillis));
    let kid: String = row.try_get(0)?;
    let state =
        KeyState::parse(row.try_get(2)?).map_err(|e| damaged(format!("token key `{kid}`: its state {e}")))?;
    let key = TokenKey {
        kid,
        algorithm: row.try_get(1)?,
        state,
        created_at: UnixMillis(row.try_get(3)?),
        signs_from: UnixMillis(row.try_get(4)?),
        retired_at: time(5)?,
        verify_until: time(6)?,
        public_jwk: row.try_get(7)?,
        private: None,
    };
    Ok(Kept { key, sealed: row.try_get(8)?, key_version: row.try_get(9)? })
}

/// Every key, each as far as it can be read.
pub(crate) async fn all(conn: &mut AnyConnection) -> Result<Vec<Result<Kept, StoreError>>, StoreError> {
    Ok(sqlx::query(ALL).fetch_all(conn).await?.iter().map(read).collect())
}

async fn whole(conn: &mut AnyConnection) -> Result<Vec<Kept>, StoreError> {
    all(conn).await?.into_iter().collect()
}

impl Kept {
    pub(crate) fn open(&self, seals: &Seals) -> Opening {
        if !seals.has(self.key_version) {
            return Opening::OtherKey;
        }
        let Ok(plain) = seals.open(self.key_version, &owner(&self.key.kid), &self.sealed) else {
            return Opening::Broken;
        };
        let mut parts = plain.splitn(3, |byte| *byte == END);
        let same = parts.next() == Some(self.key.algorithm.as_bytes())
            && parts.next() == Some(self.key.public_jwk.as_bytes());
        match parts.next().filter(|_| same) {
            Some(pkcs8) => Opening::Opened(PrivateKey::new(pkcs8.to_vec())),
            None => Opening::Broken,
        }
    }
}

/// Whether there is one that the newest key did not seal.
pub(crate) async fn is_older_left(conn: &mut AnyConnection, seals: &Seals) -> Result<bool, StoreError> {
    Ok(whole(conn).await?.iter().any(|kept| kept.key_version != seals.newest()))
}

/// Seals anew what the newest key did not seal, and returns how many that were.
pub(crate) async fn reseal(conn: &mut AnyConnection, seals: &Seals) -> Result<u64, StoreError> {
    let mut count = 0;
    for kept in whole(conn).await? {
        let kid = &kept.key.kid;
        if kept.key_version == seals.newest() {
            continue;
        }
        let plain = seals.open(kept.key_version, &owner(kid), &kept.sealed);
        let sealed = seals.seal(&owner(kid), &plain.map_err(|_| does_not_open(kid))?);
        let set = sqlx::query(RESEAL).bind(sealed).bind(seals.newest()).bind(kid.as_str());
        set.execute(&mut *conn).await?;
        count += 1;
    }
    Ok(count)
}

/// Sees that every key opens and is what its last change says, and returns how many there are.
pub(crate) async fn check(conn: &mut AnyConnection, seals: &Seals) -> Result<i64, StoreError> {
    let mut count = 0;
    for kept in whole(conn).await? {
        let kid = &kept.key.kid;
        if !matches!(kept.open(seals), Opening::Opened(_)) {
            return Err(does_not_open(kid));
        }
        let told = sqlx::query(TOLD).bind(kid.as_str()).fetch_optional(&mut *conn).await?;
        let told: Option<String> = told.map(|row| row.try_get(0)).transpose()?.flatten();
        if let Some(field) = field_that_differs(&record(&kept.key), told.as_deref().unwrap_or(""), &[]) {
            return Err(damaged(format!("token key `{kid}` is not what its last change says ({field})")));
        }
        count += 1;
    }
    Ok(count)
}

/// A key as JSON, without its private half.
fn record(key: &TokenKey) -> String {
    #[derive(Serialize)]
    struct Record<'a> {
        kid: &'a str,
        algorithm: &'a str,
        state: &'static str,
        created_at: String,
        signs_from: String,
        retired_at: Option<String>,
        verify_until: Option<String>,
        public_jwk: &'a str,
    }
    let record = Record {
        kid: &key.kid,
        algorithm: &key.algorithm,
        state: key.state.name(),
        created_at: key.created_at.to_string(),
        signs_from: key.signs_from.to_string(),
        retired_at: key.retired_at.map(|t| t.to_string()),
        verify_until: key.verify_until.map(|t| t.to_string()),
        public_jwk: &key.public_jwk,
    };
    serde_json::to_string(&record).expect("texts can be written as JSON")
}

impl Store {
    /// The keys that tokens are signed with, without their private halves, the oldest first.
    ///
    /// # Errors
    /// One can't be read, or the store fails.
    pub async fn token_keys(&self) -> Result<Vec<TokenKey>, StoreError> {
        within(ANSWER_MS, async {
            let all = whole(&mut *self.pool.acquire().await?).await?;
            Ok(all.into_iter().map(|kept| kept.key).collect())
        })
        .await
    }

    /// Notes what the time has made of the keys; see [`Write::settle_token_keys`]. Where nothing is due, nobody waits.
    ///
    /// # Errors
    /// As [`Store::write`] and [`Write::commit`].
    pub async fn settle_token_keys(
        &self,
        actor: &str,
        now: UnixMillis,
        verify_ms: i64,
    ) -> Result<Vec<Turn>, StoreError> {
        if due(&self.token_keys().await?, now, verify_ms).is_empty() {
            return Ok(Vec::new());
        }
        let mut write = self.write(actor, now).await?;
        let turns = write.settle_token_keys(verify_ms).await?;
        write.commit().await?;
        Ok(turns)
    }
}

/// What nodes hold of a key, where its private half was opened.
pub(crate) fn with_private(key: TokenKey, private: PrivateKey) -> TokenKey {
    TokenKey { private: Some(Arc::new(private)), ..key }
}
