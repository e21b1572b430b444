//! The keys that tokens are signed with: made when they are first needed, and taken turns with.
use super::view::instant;
use super::{Desk, Error};
use doorward_core::jwt::{Algorithm, SigningKey};
use doorward_core::time::UnixMillis;
use doorward_core::token::RECORDS;
use doorward_core::token_keys::{KeyState, TokenKey, VERIFY_MS};
use doorward_store::{NewTokenKey, StoreError, Write};
use serde::Serialize;

/// A key that is to sign at once signs so many milliseconds later: by then every node has heard of it, and takes what
/// another one signs with it.
pub const AT_ONCE_MS: i64 = 2_000;

/// A key as it is shown: its private half never is.
#[derive(Clone, Debug, Serialize)]
pub struct KeyView {
    /// Its name: the thumbprint of the public key (RFC 7638).
    pub kid: String,
    /// How it signs.
    pub algorithm: String,
    /// `next`, `signing` or `retired`, by now.
    pub state: &'static str,
    /// When it was made.
    #[serde(serialize_with = "instant")]
    pub created_at: Option<UnixMillis>,
    /// From when on it signs.
    #[serde(serialize_with = "instant")]
    pub signs_from: Option<UnixMillis>,
    /// Since when it has not signed.
    #[serde(serialize_with = "instant")]
    pub retired_at: Option<UnixMillis>,
    /// Until when it verifies what it signed.
    #[serde(serialize_with = "instant")]
    pub verify_until: Option<UnixMillis>,
}

fn view(key: &TokenKey) -> KeyView {
    KeyView {
        kid: key.kid.clone(),
        algorithm: key.algorithm.clone(),
        state: key.state.name(),
        created_at: Some(key.created_at),
        signs_from: Some(key.signs_from),
        retired_at: key.retired_at,
        verify_until: key.verify_until,
    }
}

/// Every algorithm that some dialect's tokens need, where those that leave a choice are signed with `chosen`.
#[must_use]
pub fn needed(chosen: Algorithm) -> Vec<Algorithm> {
    let mut all = Vec::new();
    for record in &RECORDS {
        let used = signed_with(record.algorithms, chosen);
        all.extend(used.filter(|alg| !all.contains(alg)));
    }
    all
}

/// How tokens that may be signed in some ways are, where `chosen` is wanted.
pub(super) fn signed_with(may: &[Algorithm], chosen: Algorithm) -> Option<Algorithm> {
    if may.contains(&chosen) { Some(chosen) } else { may.first().copied() }
}

/// Those of some algorithms for which there is no key that signs now, or will.
fn missing(keys: &[TokenKey], algorithms: &[Algorithm]) -> Vec<Algorithm> {
    let has = |alg: &Algorithm| {
        keys.iter().any(|key| key.algorithm == alg.name() && key.state != KeyState::Retired)
    };
    algorithms.iter().copied().filter(|alg| !has(alg)).collect()
}

/// Sees that there is a key for each of some algorithms, and returns those that it made. Of several nodes that start at
/// once, one makes them.
///
/// # Errors
/// The system gives no random numbers, or the store's.
pub async fn ensure(desk: Desk<'_>, algorithms: &[Algorithm]) -> Result<Vec<KeyView>, Error> {
    let wanted = missing(&desk.store.token_keys().await?, algorithms);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let new = made(&wanted)?;
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    // Another node may have been faster.
    let still = missing(&write.token_keys().await?, algorithms);
    let new: Vec<Made> = new.into_iter().filter(|new| still.contains(&new.key.alg())).collect();
    for new in &new {
        new.add(&mut write, desk.now).await?;
    }
    write.settle_token_keys(VERIFY_MS).await?;
    let all = write.token_keys().await?;
    write.commit().await?;
    Ok(all.iter().filter(|key| new.iter().any(|new| new.key.kid() == key.kid)).map(view).collect())
}

/// Every key, the oldest first, in the state that the time has brought it to.
///
/// # Errors
/// The store's.
pub async fn list(desk: Desk<'_>) -> Result<Vec<KeyView>, Error> {
    Ok(desk.store.token_keys().await?.iter().map(view).collect())
}

/// Makes another key for each of some algorithms, or of all that have one. It is published now and signs `publish_ms`
/// later, `None` standing for at once; the one before it verifies until the last token that it signed is over. A key that
/// waits already, and is to sign at once, does so, and no other is made.
///
/// # Errors
/// [`Error::Token`]: one waits already. Or the store's.
pub async fn rotate(
    desk: Desk<'_>,
    algorithm: Option<Algorithm>,
    publish_ms: Option<i64>,
) -> Result<Vec<KeyView>, Error> {
    let there = desk.store.token_keys().await?;
    let known = |alg: &&Algorithm| there.iter().any(|key| key.algorithm == alg.name());
    let algorithms: Vec<Algorithm> = match algorithm {
        Some(one) => vec![one],
        None => Algorithm::ALL.iter().filter(known).copied().collect(),
    };
    if algorithms.is_empty() {
        let why = "there are no keys yet; the first start with an issuer makes them (`[tokens] issuer` in the settings)";
        return Err(Error::Token(why.to_owned()));
    }
    let new = made(&algorithms)?;
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    write.settle_token_keys(VERIFY_MS).await?;
    let there = write.token_keys().await?;
    let mut turned = Vec::new();
    for new in &new {
        let alg = new.key.alg().name();
        let waits = there.iter().find(|key| {
            key.algorithm == alg
                && key.state == KeyState::Next
                && key.signs_from > desk.now.plus_ms(AT_ONCE_MS)
        });
        match (waits, publish_ms) {
            (None, later) => {
                new.add(&mut write, desk.now.plus_ms(later.unwrap_or(AT_ONCE_MS).max(0))).await?;
                turned.push(new.key.kid().to_owned());
            }
            (Some(key), None) => {
                write.hasten_token_key(&key.kid).await?;
                turned.push(key.kid.clone());
            }
            (Some(key), Some(_)) => {
                return Err(Error::Token(format!(
                    "the {alg} key `{}` waits already, and signs from {} on; say --now to have it sign at once",
                    key.kid, key.signs_from
                )));
            }
        }
    }
    write.settle_token_keys(VERIFY_MS).await?;
    let all = write.token_keys().await?;
    write.commit().await?;
    Ok(all.iter().filter(|key| turned.contains(&key.kid)).map(view).collect())
}

/// Removes a key that does not sign, for instance since somebody else has it. All tokens that it signed are dead then.
///
/// # Errors
/// [`Error::Token`]: there is no such key, or it signs. Or the store's.
pub async fn remove(desk: Desk<'_>, kid: &str) -> Result<(), Error> {
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    write.settle_token_keys(VERIFY_MS).await?;
    match write.remove_token_key(kid).await {
        Err(StoreError::NotFound { .. }) => {
            return Err(Error::Token(format!("there is no token key `{kid}`")));
        }
        Err(StoreError::Refused(why)) => return Err(Error::Token(why)),
        done => done?,
    }
    write.commit().await?;
    Ok(())
}

/// A new key pair.
struct Made {
    key: SigningKey,
}

fn made(algorithms: &[Algorithm]) -> Result<Vec<Made>, Error> {
    let make = |alg: &Algorithm| SigningKey::generate(*alg).map(|key| Made { key });
    algorithms.iter().map(make).collect::<Result<_, _>>().map_err(|e| Error::Token(e.to_string()))
}

impl Made {
    async fn add(&self, write: &mut Write, signs_from: UnixMillis) -> Result<(), Error> {
        let private = self.key.to_pkcs8().map_err(|e| Error::Token(e.to_string()))?;
        let new = NewTokenKey {
            kid: self.key.kid(),
            algorithm: self.key.alg().name(),
            public_jwk: self.key.public().jwk(),
            pkcs8: private.as_bytes(),
            signs_from,
        };
        Ok(write.add_token_key(&new).await?)
    }
}
