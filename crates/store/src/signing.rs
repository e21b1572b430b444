//! Secrets that requests are signed with: sealed in the store, opened where credentials are read.
use crate::connect::{ANSWER_MS, within};
use crate::keyring::SIGNING;
use crate::row::{Reader, Row as Known, Unreadable};
use crate::write::Write;
use crate::{Store, StoreError, credentials};
use doorward_core::schemes::escher::SigningSecret;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row};
use std::collections::HashMap;

const PUT: &str = "INSERT INTO signing_secret (credential, sealed, key_version) VALUES ($1, $2, $3) \
     ON CONFLICT (credential) DO UPDATE SET sealed = excluded.sealed, key_version = excluded.key_version";
const DELETE: &str = "DELETE FROM signing_secret WHERE credential = $1";
pub(crate) const BETWEEN: &str = "SELECT credential, key_version, sealed FROM signing_secret \
     WHERE credential > $1 AND credential <= $2";

/// What became of the secret that a credential signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// There is none, or nobody looked.
    None,
    /// It was opened, and stands in the credential.
    Opened,
    /// It is sealed with a key that is not among those at hand.
    OtherKey,
    /// It does not open, or is not this credential's.
    Broken,
}

impl Reader<'_> {
    /// Puts what is sealed for a credential into it, opened.
    pub(crate) fn unseal(&self, known: &mut Known, key_version: i64, sealed: &[u8]) {
        let (c, version) = (&mut known.credential, known.secret_version);
        if !self.seals.has(key_version) {
            known.signing = Signing::OtherKey;
            return;
        }
        let opened = self.seals.open(key_version, &SIGNING.owner(&c.workspace, &c.id, version), sealed);
        // What was sealed for a credential of this id that was deleted since opens as well, and is not this one's.
        let own = opened.ok().filter(|secret| self.keys.fits(c.id.as_bytes(), secret, Some(&c.secret)));
        known.signing = if own.is_some() { Signing::Opened } else { Signing::Broken };
        c.signing = own.map(|secret| SigningSecret::new(&secret));
    }
}

/// Reads rows of credentials with ids after `after` and up to `last`, each with the secret that it signs with. Where none
/// of them signs, the store is not asked for any.
pub(crate) async fn read(
    conn: &mut AnyConnection,
    reader: &mut Reader<'_>,
    rows: &[AnyRow],
    (after, last): (&str, &str),
) -> Result<Vec<Result<Known, Unreadable>>, StoreError> {
    let mut read: Vec<_> = rows.iter().map(|row| reader.read(row)).collect();
    if !read.iter().flatten().any(|known| known.credential.scheme().signs()) {
        return Ok(read);
    }
    let sealed = sqlx::query(BETWEEN).bind(after).bind(last).fetch_all(conn);
    let sealed = within(ANSWER_MS, async { Ok(sealed.await?) }).await?;
    let mut of = HashMap::with_capacity(sealed.len());
    for row in &sealed {
        of.insert(row.try_get::<&str, _>(0)?, row);
    }
    for known in read.iter_mut().flatten() {
        if let Some(row) = of.get(&*known.credential.id) {
            reader.unseal(known, row.try_get(1)?, row.try_get(2)?);
        }
    }
    Ok(read)
}

impl Store {
    /// The row of one credential. What it signs with may be sealed with a key that this process has not heard of yet.
    pub(crate) async fn one_opened(
        &self,
        conn: &mut AnyConnection,
        reader: &mut Reader<'_>,
        id: &str,
    ) -> Result<Option<credentials::One>, StoreError> {
        let found = credentials::one(conn, reader, id).await?;
        if !matches!(&found, Some((Ok(known), _)) if known.signing == Signing::OtherKey) {
            return Ok(found);
        }
        // As of one instant, the keys and what they sealed fit together.
        let mut tx = conn.begin_with(self.engine.begin_read()).await?;
        self.follow_keys(&mut tx).await?;
        reader.renew();
        let again = credentials::one(&mut tx, reader, id).await?;
        tx.rollback().await?;
        Ok(again)
    }
}

impl Write {
    /// Puts what a credential signs with in the place of what it signed with before, or of nothing.
    pub(crate) async fn put_signing(&mut self, of: &Known) -> Result<(), StoreError> {
        let c = &of.credential;
        let Some(secret) = &c.signing else {
            sqlx::query(DELETE).bind(&*c.id).execute(&mut *self.tx).await?;
            return Ok(());
        };
        if !self.store.keys.fits(c.id.as_bytes(), secret.as_bytes(), Some(&c.secret)) {
            let why = "the secret to sign with is not the one that the hash was made of; nothing was written";
            return Err(StoreError::Refused(why.to_owned()));
        }
        let seals = self.seals().await?;
        let sealed = seals.seal(&SIGNING.owner(&c.workspace, &c.id, of.secret_version), secret.as_bytes());
        let query = sqlx::query(PUT).bind(&*c.id).bind(sealed).bind(seals.newest());
        query.execute(&mut *self.tx).await?;
        Ok(())
    }
}
