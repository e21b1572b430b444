//! What is done with the keys that tokens are signed with.
use super::{END, TOKEN_KEY, owner, record, whole};
use crate::StoreError;
use crate::connect::{ANSWER_MS, within};
use crate::write::{Told, Write};
use doorward_core::time::UnixMillis;
use doorward_core::token_keys::{KeyState, PrivateKey, TokenKey, Turn, due};

const INSERT: &str = "INSERT INTO token_key (kid, alg, state, created_at, signs_from, public_jwk, sealed, key_version) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const SET: &str =
    "UPDATE token_key SET state = $1, signs_from = $2, retired_at = $3, verify_until = $4 WHERE kid = $5";
const DELETE: &str = "DELETE FROM token_key WHERE kid = $1";

/// A key to be kept.
#[derive(Clone, Copy)]
pub struct NewTokenKey<'a> {
    /// Its name: the thumbprint of the public key (RFC 7638).
    pub kid: &'a str,
    /// The algorithm, as tokens name it: `ES256`.
    pub algorithm: &'a str,
    /// The public key as a JSON Web Key (RFC 7517), on one line.
    pub public_jwk: &'a str,
    /// The private key as PKCS #8 in DER.
    pub pkcs8: &'a [u8],
    /// When it is to sign.
    pub signs_from: UnixMillis,
}

impl std::fmt::Debug for NewTokenKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewTokenKey({}, {})", self.kid, self.algorithm)
    }
}

impl Write {
    /// The keys that tokens are signed with, as this transaction sees them, without their private halves. Nobody else
    /// makes one until it ends.
    ///
    /// # Errors
    /// One can't be read, or the store fails.
    pub async fn token_keys(&mut self) -> Result<Vec<TokenKey>, StoreError> {
        within(ANSWER_MS, async { Ok(whole(&mut self.tx).await?.into_iter().map(|kept| kept.key).collect()) })
            .await
    }

    /// Keeps a new key. It is published at once, and signs when its time has come.
    ///
    /// # Errors
    /// There is such a key already, its public half takes more than a line, or the store fails.
    pub async fn add_token_key(&mut self, new: &NewTokenKey<'_>) -> Result<(), StoreError> {
        if new.algorithm.as_bytes().contains(&END) || new.public_jwk.as_bytes().contains(&END) {
            return Err(StoreError::Refused(
                "a token key's algorithm and public key take a line each".to_owned(),
            ));
        }
        within(ANSWER_MS, async {
            if self.token_keys().await?.iter().any(|key| key.kid == new.kid) {
                return Err(StoreError::AlreadyExists { kind: TOKEN_KEY, id: new.kid.to_owned() });
            }
            let key = TokenKey {
                kid: new.kid.to_owned(),
                algorithm: new.algorithm.to_owned(),
                state: KeyState::Next,
                created_at: self.now,
                signs_from: new.signs_from,
                retired_at: None,
                verify_until: None,
                public_jwk: new.public_jwk.to_owned(),
                private: None,
            };
            let seals = self.seals().await?;
            let end: &[u8] = &[END];
            let parts = [new.algorithm.as_bytes(), end, new.public_jwk.as_bytes(), end, new.pkcs8];
            // Overwritten when it goes.
            let plain = PrivateKey::new(parts.concat());
            self.begin_step();
            sqlx::query(INSERT)
                .bind(new.kid)
                .bind(new.algorithm)
                .bind(key.state.name())
                .bind(key.created_at.0)
                .bind(key.signs_from.0)
                .bind(new.public_jwk)
                .bind(seals.seal(&owner(new.kid), plain.as_bytes()))
                .bind(seals.newest())
                .execute(&mut *self.tx)
                .await?;
            self.token_key_changed("created", None, Some(&key)).await
        })
        .await
    }

    /// Has a key that is to sign later sign from now on. What the others make of it, [`Write::settle_token_keys`] notes.
    ///
    /// # Errors
    /// It is not there, signs already or signs no more, or the store fails.
    pub async fn hasten_token_key(&mut self, kid: &str) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let before = self.present_token_key(kid).await?;
            if before.state != KeyState::Next {
                let state = before.state.name();
                return Err(StoreError::Refused(format!(
                    "the token key `{kid}` is {state}, and not to sign later"
                )));
            }
            let signs_from = before.signs_from.min(self.now);
            self.set_token_key("changed", &before, TokenKey { signs_from, ..before.clone() }).await
        })
        .await
    }

    /// Notes what the time of this transaction has made of the keys: of each algorithm, the latest one whose time has come
    /// signs, those before it retire and verify for `verify_ms` milliseconds (the life of the longest token, and the
    /// leeway of verifiers), and those that verify nothing any more go. Returns what was done.
    ///
    /// # Errors
    /// A key can't be read, or the store fails.
    pub async fn settle_token_keys(&mut self, verify_ms: i64) -> Result<Vec<Turn>, StoreError> {
        within(ANSWER_MS, async {
            let turns = due(&self.token_keys().await?, self.now, verify_ms);
            for turn in &turns {
                match turn {
                    Turn::Sign(kid) => {
                        let before = self.present_token_key(kid).await?;
                        let after = TokenKey { state: KeyState::Signing, ..before.clone() };
                        self.set_token_key("signing", &before, after).await?;
                    }
                    Turn::Retire(kid, until) => {
                        let before = self.present_token_key(kid).await?;
                        let (retired_at, verify_until) = (Some(self.now), Some(*until));
                        let state = KeyState::Retired;
                        let after = TokenKey { state, retired_at, verify_until, ..before.clone() };
                        self.set_token_key("retired", &before, after).await?;
                    }
                    Turn::Remove(kid) => self.drop_token_key(kid).await?,
                }
            }
            Ok(turns)
        })
        .await
    }

    /// Removes a key that does not sign. All tokens that it signed are dead from then on.
    ///
    /// # Errors
    /// It is not there, it signs, or the store fails.
    pub async fn remove_token_key(&mut self, kid: &str) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            if self.present_token_key(kid).await?.state == KeyState::Signing {
                return Err(StoreError::Refused(format!(
                    "the token key `{kid}` signs; have another one sign in its place first"
                )));
            }
            self.drop_token_key(kid).await
        })
        .await
    }

    async fn present_token_key(&mut self, kid: &str) -> Result<TokenKey, StoreError> {
        let found = self.token_keys().await?.into_iter().find(|key| key.kid == kid);
        found.ok_or_else(|| StoreError::NotFound { kind: TOKEN_KEY, id: kid.to_owned() })
    }

    async fn drop_token_key(&mut self, kid: &str) -> Result<(), StoreError> {
        let before = self.present_token_key(kid).await?;
        self.begin_step();
        sqlx::query(DELETE).bind(kid).execute(&mut *self.tx).await?;
        self.token_key_changed("deleted", Some(&before), None).await
    }

    async fn set_token_key(
        &mut self,
        action: &'static str,
        before: &TokenKey,
        after: TokenKey,
    ) -> Result<(), StoreError> {
        self.begin_step();
        sqlx::query(SET)
            .bind(after.state.name())
            .bind(after.signs_from.0)
            .bind(after.retired_at.map(|t| t.0))
            .bind(after.verify_until.map(|t| t.0))
            .bind(after.kid.as_str())
            .execute(&mut *self.tx)
            .await?;
        self.token_key_changed(action, Some(before), Some(&after)).await
    }

    async fn token_key_changed(
        &mut self,
        action: &'static str,
        before: Option<&TokenKey>,
        after: Option<&TokenKey>,
    ) -> Result<(), StoreError> {
        let id = after.or(before).map(|key| key.kid.clone()).unwrap_or_default();
        let (before, after) = (before.map(record), after.map(record));
        self.tell(Told { workspace: None, kind: TOKEN_KEY, id: &id, action, before, after }).await
    }
}
