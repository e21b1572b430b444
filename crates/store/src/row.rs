//! Rows of the table `credential`.
use crate::{StoreError, Stored};
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::dialect::Dialect;
use doorward_core::origin::OriginEntry;
use doorward_core::secret::{Keys, SecretHash};
use doorward_core::time::UnixMillis;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::collections::HashSet;
use std::sync::Arc;

/// The columns that [`Reader::read`] reads, in its order; the table is `c`.
macro_rules! columns {
    () => {
        "c.id, c.workspace, c.kind, c.name, c.dialect, c.plain_key, c.status, c.expires_at, c.scopes, c.origins, \
         c.secret, c.secret_version, c.created_at"
    };
}
pub(crate) use columns;

/// How many columns [`columns!`] names: what a query adds stands from here on.
pub(crate) const COLUMNS: usize = 13;

/// A row, read.
pub(crate) struct Row {
    pub(crate) credential: Credential,
    pub(crate) secret_version: i64,
    pub(crate) created_at: UnixMillis,
}

/// A row that this program can't read: damaged, or written by one that knows more.
#[derive(Debug)]
pub(crate) struct Unreadable(String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Unreadable> for StoreError {
    fn from(u: Unreadable) -> StoreError {
        StoreError::Damaged(u.0)
    }
}

/// Reads rows. Credentials of one workspace share its id.
pub(crate) struct Reader<'k> {
    keys: &'k Keys,
    workspaces: HashSet<Arc<str>>,
}

impl<'k> Reader<'k> {
    pub(crate) fn new(keys: &'k Keys) -> Reader<'k> {
        Reader { keys, workspaces: HashSet::new() }
    }

    pub(crate) fn read(&mut self, row: &AnyRow) -> Result<Row, Unreadable> {
        self.parse(row).map_err(|why| {
            // An id that opens doors by itself is not told.
            let id: &str = row.try_get(0).unwrap_or("?");
            let told = match row.try_get(5) {
                Ok(0_i64) => id.to_owned(),
                _ => self.keys.pseudonym(id),
            };
            Unreadable(format!("credential `{told}` can't be read: {why}"))
        })
    }

    /// Reads a row that ends in the two facts about the credential.
    pub(crate) fn read_stored(&mut self, row: &AnyRow) -> Result<Stored, StoreError> {
        let Row { credential, secret_version, created_at } = self.read(row)?;
        let time = |at| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(at)?.map(UnixMillis));
        let (last_used, exposed_at) = (time(COLUMNS)?, time(COLUMNS + 1)?);
        Ok(Stored { credential, secret_version, created_at, last_used, exposed_at })
    }

    fn parse(&mut self, row: &AnyRow) -> Result<Row, String> {
        let text = |at: usize| row.try_get::<&str, _>(at).map_err(|e| e.to_string());
        let number = |at: usize| row.try_get::<i64, _>(at).map_err(|e| e.to_string());
        let id = text(0)?;
        let plain_key = match number(5)? {
            0 => false,
            1 => true,
            n => return Err(format!("`plain_key` is {n}, neither 0 nor 1")),
        };
        let secret: &[u8] = row.try_get(10).map_err(|e| e.to_string())?;
        let secret =
            secret.try_into().map_err(|_| format!("its secret's hash has {} bytes", secret.len()))?;
        let credential = Credential {
            id: id.into(),
            pseudonym: plain_key.then(|| self.keys.pseudonym(id).into()),
            workspace: self.workspace(text(1)?),
            kind: Kind::parse(text(2)?)?,
            name: text(3)?.into(),
            dialect: Dialect::parse(text(4)?)?,
            plain_key,
            status: Status::parse(text(6)?)?,
            expires_at: row.try_get::<Option<i64>, _>(7).map_err(|e| e.to_string())?.map(UnixMillis),
            scopes: list(text(8)?)?.into(),
            origins: list(text(9)?)?.iter().map(|o| OriginEntry::parse(o)).collect::<Result<_, _>>()?,
            secret: SecretHash(secret),
        };
        Ok(Row { credential, secret_version: number(11)?, created_at: UnixMillis(number(12)?) })
    }

    fn workspace(&mut self, id: &str) -> Arc<str> {
        if let Some(known) = self.workspaces.get(id) {
            return Arc::clone(known);
        }
        let new: Arc<str> = id.into();
        self.workspaces.insert(Arc::clone(&new));
        new
    }
}

fn list(json: &str) -> Result<Vec<Box<str>>, String> {
    // Most credentials have none; a million of them are read at the start.
    if json == "[]" {
        return Ok(Vec::new());
    }
    serde_json::from_str(json).map_err(|e| format!("`{json}` is not a list of texts: {e}"))
}

/// The columns `scopes` and `origins` of a credential.
pub(crate) fn lists(c: &Credential) -> (String, String) {
    let origins: Vec<String> = c.origins.iter().map(ToString::to_string).collect();
    let json = |list| serde_json::to_string(&list).expect("a list of texts can be written as JSON");
    (json(c.scopes.iter().map(ToString::to_string).collect::<Vec<_>>()), json(origins))
}
