//! Whether the store is whole: the file, the chain of changes, and what the tables say against what the changes say.
use crate::keyring::{SEALED, SIGNING, Sealed};
use crate::row::{Reader, own_password};
use crate::{Store, StoreError, captcha, changes, keyring, load, objects, record, token_keys, tokens};
use doorward_core::credential::Kind;
use doorward_core::secret::{Seals, SecretHash};
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use std::sync::Arc;

/// Changes read at a time.
const PAGE_ROWS: i64 = 1_000;

const OBJECTS: &str = "SELECT o.kind, o.id, o.body, \
     (SELECT h.after FROM change h WHERE h.kind = o.kind AND h.id = o.id \
      AND COALESCE(h.workspace, '') = o.workspace ORDER BY h.seq DESC LIMIT 1) \
     FROM object o ORDER BY o.kind, o.id";
/// What exists by its last change, and is not there.
const MISSING: &str = "SELECT h.kind, h.seq FROM change h WHERE h.after IS NOT NULL \
     AND NOT EXISTS (SELECT 1 FROM change l WHERE l.kind = h.kind AND l.id = h.id AND l.seq > h.seq \
         AND COALESCE(l.workspace, '') = COALESCE(h.workspace, '')) \
     AND NOT EXISTS (SELECT 1 FROM token_key k WHERE h.kind = 'token_key' AND k.kid = h.id) \
     AND NOT EXISTS (SELECT 1 FROM captcha p WHERE h.kind = 'captcha' AND p.workspace = h.id) \
     AND NOT EXISTS (SELECT 1 FROM credential c WHERE h.kind = 'credential' AND c.id = h.id) \
     AND NOT EXISTS (SELECT 1 FROM object o WHERE o.kind = h.kind AND o.id = h.id \
         AND o.workspace = COALESCE(h.workspace, '')) ORDER BY h.seq LIMIT 1";

const PASSWORDS: &str = "SELECT id, kind, password, secret FROM credential \
     WHERE id > $1 AND (password IS NOT NULL OR kind = 'user') ORDER BY id LIMIT $2";

/// What was checked, and found well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Rows of the change table.
    pub changes: i64,
    /// Credentials.
    pub credentials: i64,
    /// Workspaces and APIs.
    pub objects: i64,
    /// Sealed secrets.
    pub sealed: i64,
    /// Master keys that open the store.
    pub master_keys: i64,
}

fn damaged<T>(what: String) -> Result<T, StoreError> {
    Err(StoreError::Damaged(what))
}

impl Store {
    /// Checks the whole store as of one instant: the file itself; the chain of changes, without gaps and each with its
    /// MAC; every object and every credential, which must read and be what its last change says; the keyring and
    /// every sealed secret, which must open; and that what was revoked is.
    ///
    /// # Errors
    /// The first damage found, or the store fails.
    pub async fn check(&self) -> Result<Report, StoreError> {
        let mut tx = self.pool.begin_with(AssertSqlSafe(self.engine.begin_long_read())).await?;
        let report = self.check_in(&mut tx).await?;
        tx.rollback().await?;
        Ok(report)
    }

    /// The same, as far as a transaction sees it.
    pub(crate) async fn check_in(&self, tx: &mut AnyConnection) -> Result<Report, StoreError> {
        for row in sqlx::query(self.engine.integrity()).fetch_all(&mut *tx).await? {
            let told: &str = row.try_get(0)?;
            if told != "ok" {
                return damaged(told.to_owned());
            }
        }
        let changes = self.check_changes(tx).await?;
        let objects = check_objects(tx).await?;
        // Not the keys that this process has: a rotation may have gone on since.
        let seals = Arc::new(Seals::new(&self.keyring(tx).await?));
        let credentials = self.check_credentials(tx, &seals).await?;
        if let Some(row) = sqlx::query(MISSING).fetch_optional(&mut *tx).await? {
            let (kind, seq): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
            return damaged(format!("what change {seq} says about a {kind} is not there"));
        }
        self.check_passwords(tx).await?;
        let mut sealed = 0;
        for one in SEALED {
            sealed += self.check_sealed(tx, &seals, one).await?;
        }
        sealed += token_keys::check(tx, &seals).await?;
        sealed += captcha::check(tx, &seals).await?;
        tokens::check(tx).await?;
        let masters = keyring::masters(tx).await?.len();
        let master_keys = i64::try_from(masters).unwrap_or(i64::MAX);
        Ok(Report { changes, credentials, objects, sealed, master_keys })
    }

    async fn check_changes(&self, conn: &mut AnyConnection) -> Result<i64, StoreError> {
        let head = changes::mark(conn).await?.seq;
        let (mut seq, mut mac) = (0, changes::genesis(&self.installation));
        loop {
            let page = changes::after(conn, seq, PAGE_ROWS).await?;
            if page.is_empty() {
                break;
            }
            for (change, told) in page {
                seq += 1;
                if change.seq != seq {
                    return damaged(format!("change {seq} is missing"));
                }
                mac = changes::mac(&self.keys, &mac, &change).to_vec();
                if mac != told {
                    return damaged(format!(
                        "change {seq} is not what was written, or not what came before it"
                    ));
                }
            }
        }
        if seq == head { Ok(seq) } else { damaged(format!("it counts {head} changes and has {seq}")) }
    }

    async fn check_credentials(
        &self,
        conn: &mut AnyConnection,
        seals: &Arc<Seals>,
    ) -> Result<i64, StoreError> {
        let mut count = 0;
        let check = |row: crate::row::Row, told: Option<String>| {
            count += 1;
            let differs = match told {
                None => Some("the whole".to_owned()),
                Some(told) => record::differs(&self.keys, &row, &told),
            };
            let label = row.credential.label();
            differs.map_or(Ok(()), |field| {
                damaged(format!("credential `{label}` is not what its last change says ({field})"))
            })
        };
        load::each_told(conn, &mut Reader::with(&self.keys, Arc::clone(seals)), check).await?;
        Ok(count)
    }

    /// Users have passwords that were set for them, and nobody else has one.
    async fn check_passwords(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        let mut last = String::new();
        loop {
            let query = sqlx::query(PASSWORDS).bind(last.as_str()).bind(PAGE_ROWS);
            let rows = query.fetch_all(&mut *conn).await?;
            let Some(row) = rows.last() else { return Ok(()) };
            last = row.try_get(0)?;
            for row in &rows {
                let (id, kind): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
                let (password, mark): (Option<&str>, &[u8]) = (row.try_get(2)?, row.try_get(3)?);
                let mark = mark.try_into().map(SecretHash);
                let own = password.zip(mark.ok()).and_then(|(p, m)| own_password(&self.keys, id, p, &m));
                if own.is_none() || !Kind::parse(kind).is_ok_and(Kind::has_password) {
                    return damaged(format!("the password of credential `{id}` is not the one that was set"));
                }
            }
        }
    }

    async fn check_sealed(
        &self,
        conn: &mut AnyConnection,
        seals: &Seals,
        of: Sealed,
    ) -> Result<i64, StoreError> {
        let page = format!(
            "SELECT d.credential, c.workspace, c.secret_version, d.sealed, d.key_version, c.plain_key, c.secret \
             FROM {} d \
             LEFT JOIN credential c ON c.id = d.credential WHERE d.credential > $1 ORDER BY d.credential LIMIT $2",
            of.table
        );
        let (mut last, mut count) = (String::new(), 0);
        loop {
            let query = sqlx::query(AssertSqlSafe(page.as_str())).bind(last.as_str()).bind(PAGE_ROWS);
            let rows = query.fetch_all(&mut *conn).await?;
            let Some(row) = rows.last() else { return Ok(count) };
            last = row.try_get(0)?;
            for row in &rows {
                let id: &str = row.try_get(0)?;
                let known: (Option<&str>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
                let opens = match known {
                    (Some(workspace), Some(version)) => {
                        let owner = of.owner(workspace, id, version);
                        let secret = seals.open(row.try_get(4)?, &owner, row.try_get(3)?);
                        let hash: &[u8] = row.try_get(6)?;
                        let fits = |secret: Vec<u8>| {
                            // A copy is for people; what signs has to be what was hashed.
                            of != SIGNING || *hash == self.keys.hash(id.as_bytes(), &secret).0
                        };
                        secret.is_ok_and(fits)
                    }
                    _ => false,
                };
                if !opens {
                    let plain: Option<i64> = row.try_get(5)?;
                    let label = if plain == Some(0) { id.to_owned() } else { self.keys.pseudonym(id) };
                    return damaged(format!("{} of credential `{label}` does not open", of.what));
                }
                count += 1;
            }
        }
    }
}

async fn check_objects(conn: &mut AnyConnection) -> Result<i64, StoreError> {
    objects::whole(objects::all(conn).await?)?;
    let rows = sqlx::query(OBJECTS).fetch_all(conn).await?;
    for row in &rows {
        let (kind, id): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let (body, told): (&str, Option<&str>) = (row.try_get(2)?, row.try_get(3)?);
        if told != Some(body) {
            return damaged(format!("{kind} `{id}` is not what its last change says"));
        }
    }
    Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
}
