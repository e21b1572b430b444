//! Credentials.
use crate::connect::{ANSWER_MS, within};
use crate::row::{self, Reader, Row, Unreadable, columns, lists, own_columns};
use crate::signing::Signing;
use crate::write::{Told, Write};
use crate::{Display, Store, StoreError, Stored, record};
use doorward_core::credential::{Credential, OwnRules, Status};
use doorward_core::origin::OriginEntry;
use doorward_core::password::PasswordHash;
use doorward_core::schemes::escher::SigningSecret;
use doorward_core::secret::SecretHash;
use doorward_core::time::UnixMillis;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

/// The kind of a credential in the change table.
pub(crate) const CREDENTIAL: &str = "credential";

/// Credentials with what is known about them besides: [`Reader::read_stored`] reads such rows.
macro_rules! with_facts {
    ($tail:literal) => {
        with_facts!("", $tail)
    };
    ($more:literal, $tail:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", f.last_used, f.exposed_at",
            $more,
            " FROM credential c LEFT JOIN credential_fact f ON f.credential = c.id ",
            $tail
        )
    };
}
pub(crate) use with_facts;

/// With what it signs with: [`Reader::read_whole`] reads such a row. In one statement, so that all of it is of one instant.
pub(crate) const ONE: &str = with_facts!(
    ", s.key_version, s.sealed, c.password",
    "LEFT JOIN signing_secret s ON s.credential = c.id WHERE c.id = $1"
);
const INSERT: &str = "INSERT INTO credential (id, workspace, kind, name, dialect, plain_key, status, expires_at, \
     scopes, origins, secret, secret_version, created_at, tokens_since, password, password_grant, role, networks, \
     limit_rule) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
const SET_OWN: &str = "UPDATE credential SET role = $1, networks = $2, limit_rule = $3 WHERE id = $4";
const SET_TERMS: &str =
    "UPDATE credential SET name = $1, scopes = $2, origins = $3, expires_at = $4 WHERE id = $5";
pub(crate) const SET_STATUS: &str = "UPDATE credential SET status = $1 WHERE id = $2";
pub(crate) const SET_SECRET: &str =
    "UPDATE credential SET secret = $1, secret_version = $2, tokens_since = $3 WHERE id = $4";
const SET_PASSWORD: &str =
    "UPDATE credential SET secret = $1, secret_version = $2, tokens_since = $3, password = $4 WHERE id = $5";
const SET_TOKENS_SINCE: &str = "UPDATE credential SET tokens_since = $1 WHERE id = $2";
const NOT_EXPOSED: &str = "UPDATE credential_fact SET exposed_at = NULL WHERE credential = $1";
/// Whoever writes facts down takes this row first, and so does whoever deletes: neither waits for the other in a circle.
const FORGET: &str = "DELETE FROM credential_fact WHERE credential = $1";
pub(crate) const DELETE: &str = "DELETE FROM credential WHERE id = $1";

/// A credential to be created.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// It, with the hash of its secret, and the secret itself where requests are signed with it: that is sealed. Its
    /// pseudonym is worked out anew whenever it is read.
    pub credential: Credential,
    /// The copy of its secret that may be shown again; `None`: never.
    pub display: Option<Display>,
    /// The hash of its password, for a user, who has no secret: what stands in the place of its hash is worked out here.
    pub password: Option<PasswordHash>,
}

/// What of a credential may be changed without making it another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For people.
    pub name: Box<str>,
    /// What it may do by itself.
    pub scopes: Box<[Box<str>]>,
    /// Where it, or its tokens for pages, may be used.
    pub origins: Box<[OriginEntry]>,
    /// From when on it is expired; `None`: never.
    pub expires_at: Option<UnixMillis>,
}

impl Store {
    /// The credential with that id, blocked and expired ones as well, and with the secret that it signs with. One whose
    /// secret does not open comes without it.
    ///
    /// # Errors
    /// It can't be read, or the store fails.
    pub async fn credential(&self, id: &str) -> Result<Option<Stored>, StoreError> {
        within(ANSWER_MS, async {
            let conn = &mut *self.pool.acquire().await?;
            let found = self.one_opened(conn, &mut Reader::new(&self.keys), id).await?;
            found.map(|(known, row)| row::stored(known?, &row)).transpose()
        })
        .await
    }
}

/// A credential as it reads, and its row; the error: it is there, but can't be read.
pub(crate) type One = (Result<Row, Unreadable>, AnyRow);

/// The row of one credential.
pub(crate) async fn one(
    conn: &mut AnyConnection,
    reader: &mut Reader<'_>,
    id: &str,
) -> Result<Option<One>, StoreError> {
    let row = sqlx::query(ONE).bind(id).fetch_optional(conn).await?;
    Ok(row.map(|row| (reader.read_whole(&row), row)))
}

impl Write {
    /// Creates a credential.
    ///
    /// # Errors
    /// There is no such workspace, there is such an id already, or the store fails.
    pub async fn create_credential(&mut self, new: &NewCredential) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let c = &new.credential;
            if !self.has_workspace(&c.workspace).await? {
                return Err(StoreError::NotFound { kind: "workspace", id: c.workspace.to_string() });
            }
            let there = sqlx::query(ONE).bind(&*c.id).fetch_optional(&mut *self.tx).await?;
            if there.is_some() {
                return Err(StoreError::AlreadyExists { kind: CREDENTIAL, id: c.id.to_string() });
            }
            let signing = if c.signing.is_some() { Signing::Opened } else { Signing::None };
            let tokens_since = self.next_seq();
            let secret = self.hash_to_keep(c, new.password.as_ref())?;
            let credential = Credential { tokens_since, secret, ..c.clone() };
            let password = new.password.clone();
            let row = Row { credential, secret_version: 1, created_at: self.now, signing, password };
            let (scopes, origins) = lists(c);
            let (role, networks, limit) = own_columns(c);
            self.begin_step();
            sqlx::query(INSERT)
                .bind(&*c.id)
                .bind(&*c.workspace)
                .bind(c.kind.name())
                .bind(&*c.name)
                .bind(c.dialect.name)
                .bind(i64::from(c.plain_key))
                .bind(c.status.name())
                .bind(c.expires_at.map(|t| t.0))
                .bind(scopes)
                .bind(origins)
                .bind(row.credential.secret.0.to_vec())
                .bind(row.secret_version)
                .bind(row.created_at.0)
                .bind(row.credential.tokens_since)
                .bind(row.password.as_ref().map(|p| p.as_str().to_owned()))
                .bind(i64::from(c.password_grant))
                .bind(role)
                .bind(networks)
                .bind(limit)
                .execute(&mut *self.tx)
                .await?;
            if signing == Signing::Opened {
                self.put_signing(&row).await?;
            }
            self.put_display(&row, new.display.as_ref()).await?;
            self.changed("created", None, Some(&row)).await
        })
        .await
    }

    /// Blocks or unblocks a credential.
    ///
    /// # Errors
    /// It is not there, can't be read, or the store fails.
    pub async fn set_status(&mut self, id: &str, status: Status) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let before = self.present(id).await?;
            let credential = Credential { status, ..before.credential.clone() };
            let after = Row { credential, password: None, ..before };
            self.begin_step();
            sqlx::query(SET_STATUS).bind(status.name()).bind(id).execute(&mut *self.tx).await?;
            let action = match status {
                Status::Active => "unblocked",
                Status::Blocked => "blocked",
            };
            self.changed(action, Some(&before), Some(&after)).await
        })
        .await
    }

    /// Changes what holds for a credential alone: its role, its networks, its limit. `action` says which, in the table of
    /// changes.
    ///
    /// # Errors
    /// It is not there, can't be read, or the store fails.
    pub async fn set_own_rules(
        &mut self,
        id: &str,
        own: OwnRules,
        action: &'static str,
    ) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let before = self.present(id).await?;
            let credential = before.credential.clone().with_own(own);
            let (role, networks, limit) = own_columns(&credential);
            let after = Row { credential, password: None, ..before };
            self.begin_step();
            sqlx::query(SET_OWN)
                .bind(role)
                .bind(networks)
                .bind(limit)
                .bind(id)
                .execute(&mut *self.tx)
                .await?;
            self.changed(action, Some(&before), Some(&after)).await
        })
        .await
    }

    /// Changes name, scopes, origins and the end of a credential.
    ///
    /// # Errors
    /// It is not there, can't be read, or the store fails.
    pub async fn set_terms(&mut self, id: &str, terms: Terms) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let before = self.present(id).await?;
            let Terms { name, scopes, origins, expires_at } = terms;
            let credential = Credential { name, scopes, origins, expires_at, ..before.credential.clone() };
            let (scopes, origins) = lists(&credential);
            let after = Row { credential, password: None, ..before };
            self.begin_step();
            sqlx::query(SET_TERMS)
                .bind(&*after.credential.name)
                .bind(scopes)
                .bind(origins)
                .bind(expires_at.map(|at| at.0))
                .bind(id)
                .execute(&mut *self.tx)
                .await?;
            self.changed("changed", Some(&before), Some(&after)).await
        })
        .await
    }

    /// Deletes a credential, all that is sealed of its secret, and what is known about it.
    ///
    /// # Errors
    /// It is not there, can't be read, or the store fails.
    pub async fn delete_credential(&mut self, id: &str) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let before = self.present(id).await?;
            self.begin_step();
            sqlx::query(FORGET).bind(id).execute(&mut *self.tx).await?;
            sqlx::query(DELETE).bind(id).execute(&mut *self.tx).await?;
            self.changed("deleted", Some(&before), None).await
        })
        .await
    }

    /// Gives a credential another secret: its hash, and the secret itself where requests are signed with it. The former
    /// one is dead, and so is all that was sealed of it. So are the tokens that it was given, unless they are kept.
    ///
    /// # Errors
    /// It is not there, can't be read, or the store fails; or hash and secret don't fit together.
    pub async fn replace_secret(
        &mut self,
        id: &str,
        secret: SecretHash,
        signs_with: Option<SigningSecret>,
        display: Option<Display>,
        keep_tokens: bool,
    ) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let before = self.present(id).await?;
            self.hash_to_keep(&before.credential, None)?;
            let signing = if signs_with.is_some() { Signing::Opened } else { Signing::None };
            let tokens_since = if keep_tokens { before.credential.tokens_since } else { self.next_seq() };
            let credential =
                Credential { secret, signing: signs_with, tokens_since, ..before.credential.clone() };
            let after = Row {
                credential,
                secret_version: before.secret_version + 1,
                signing,
                password: None,
                ..before
            };
            self.begin_step();
            sqlx::query(SET_SECRET)
                .bind(secret.0.to_vec())
                .bind(after.secret_version)
                .bind(tokens_since)
                .bind(id)
                .execute(&mut *self.tx)
                .await?;
            sqlx::query(NOT_EXPOSED).bind(id).execute(&mut *self.tx).await?;
            self.put_signing(&after).await?;
            self.put_display(&after, display.as_ref()).await?;
            self.changed("regenerated", Some(&before), Some(&after)).await
        })
        .await
    }

    /// Gives a user another password. The former one is dead, and so are the tokens that he was given, unless they are kept.
    ///
    /// # Errors
    /// It is not there, is no user, can't be read, or the store fails.
    pub async fn set_password(
        &mut self,
        id: &str,
        password: &PasswordHash,
        keep_tokens: bool,
    ) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let before = self.present(id).await?;
            let secret = self.hash_to_keep(&before.credential, Some(password))?;
            let tokens_since = if keep_tokens { before.credential.tokens_since } else { self.next_seq() };
            let credential = Credential { secret, tokens_since, ..before.credential.clone() };
            let password = Some(password.clone());
            let after = Row { credential, secret_version: before.secret_version + 1, password, ..before };
            self.begin_step();
            sqlx::query(SET_PASSWORD)
                .bind(secret.0.to_vec())
                .bind(after.secret_version)
                .bind(tokens_since)
                .bind(after.password.as_ref().map(|p| p.as_str().to_owned()))
                .bind(id)
                .execute(&mut *self.tx)
                .await?;
            sqlx::query(NOT_EXPOSED).bind(id).execute(&mut *self.tx).await?;
            self.put_display(&after, None).await?;
            self.changed("password_changed", Some(&before), Some(&after)).await
        })
        .await
    }

    /// What stands in the column `secret`: users have passwords, and nobody else has.
    fn hash_to_keep(
        &self,
        c: &Credential,
        password: Option<&PasswordHash>,
    ) -> Result<SecretHash, StoreError> {
        match (c.kind.has_password(), password) {
            (true, Some(password)) => Ok(self.store.keys.mark_of_password(&c.id, password)),
            (false, None) => Ok(c.secret),
            (true, None) => Err(StoreError::Refused("a user has a password, and no secret".to_owned())),
            (false, Some(_)) => {
                let kind = c.kind.name();
                Err(StoreError::Refused(format!("a {kind} credential has a secret, and no password")))
            }
        }
    }

    /// Kills every token that a credential was given so far.
    ///
    /// # Errors
    /// It is not there, can't be read, or the store fails.
    pub async fn revoke_tokens_of(&mut self, id: &str) -> Result<(), StoreError> {
        within(ANSWER_MS, async {
            let before = self.present(id).await?;
            let tokens_since = self.next_seq();
            let credential = Credential { tokens_since, ..before.credential.clone() };
            let after = Row { credential, password: None, ..before };
            self.begin_step();
            sqlx::query(SET_TOKENS_SINCE).bind(tokens_since).bind(id).execute(&mut *self.tx).await?;
            self.changed("tokens_revoked", Some(&before), Some(&after)).await
        })
        .await
    }

    async fn present(&mut self, id: &str) -> Result<Row, StoreError> {
        let keys = std::sync::Arc::clone(&self.store.keys);
        let found = one(&mut self.tx, &mut Reader::new(&keys), id).await?;
        let missing = || StoreError::NotFound { kind: CREDENTIAL, id: id.to_owned() };
        Ok(found.ok_or_else(missing)?.0?)
    }

    async fn changed(
        &mut self,
        action: &'static str,
        before: Option<&Row>,
        after: Option<&Row>,
    ) -> Result<(), StoreError> {
        let Some(c) = after.or(before).map(|row| &row.credential) else { return Ok(()) };
        let json = |row: Option<&Row>| row.map(|row| record::record(&self.store.keys, row));
        let told = Told {
            workspace: Some(&c.workspace),
            kind: CREDENTIAL,
            id: &c.id,
            action,
            before: json(before),
            after: json(after),
        };
        self.tell(told).await
    }
}
