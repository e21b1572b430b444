//! Rows of the table `credential`.
use crate::signing::Signing;
use crate::{StoreError, Stored};
use doorward_core::credential::{Credential, Kind, OwnRules, Status};
use doorward_core::dialect::Dialect;
use doorward_core::network::{Network, Networks};
use doorward_core::origin::OriginEntry;
use doorward_core::password::PasswordHash;
use doorward_core::policy::Limit;
use doorward_core::secret::{Keys, Seals, SecretHash};
use doorward_core::time::UnixMillis;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::collections::HashSet;
use std::sync::Arc;

/// Separates the fields that come as one text: the ASCII unit separator.
const SEPARATOR: char = '\u{1f}';
/// How many fields there are in it. The last one, a name, may hold anything.
const FIELDS: usize = 17;

/// The columns that [`Reader::read`] reads; the table is `c`. All but the secret's hash come as one text: the driver spends
/// more on each column than on all that stands in it, and a million rows are read at the start.
macro_rules! columns {
    () => {
        "c.id || '\u{1f}' || c.workspace || '\u{1f}' || c.kind || '\u{1f}' || c.dialect || '\u{1f}' || \
         CAST(c.plain_key AS TEXT) || '\u{1f}' || c.status || '\u{1f}' || \
         COALESCE(CAST(c.expires_at AS TEXT), '') || '\u{1f}' || c.scopes || '\u{1f}' || c.origins || '\u{1f}' || \
         CAST(c.secret_version AS TEXT) || '\u{1f}' || CAST(c.created_at AS TEXT) || '\u{1f}' || \
         CAST(c.tokens_since AS TEXT) || '\u{1f}' || CAST(c.password_grant AS TEXT) || '\u{1f}' || \
         COALESCE(c.role, '') || '\u{1f}' || COALESCE(c.networks, '') || '\u{1f}' || COALESCE(c.limit_rule, '') || '\u{1f}' || \
         c.name, c.secret"
    };
}
pub(crate) use columns;

/// How many columns [`columns!`] makes: what a query adds stands from here on.
pub(crate) const COLUMNS: usize = 2;
/// How many columns the facts about a credential take.
pub(crate) const FACTS: usize = 2;

/// The id in a row of [`columns!`].
pub(crate) fn id(row: &AnyRow) -> Result<&str, sqlx::Error> {
    let text: &str = row.try_get(0)?;
    Ok(text.split(SEPARATOR).next().unwrap_or(text))
}

/// A row, read.
pub(crate) struct Row {
    pub(crate) credential: Credential,
    pub(crate) secret_version: i64,
    pub(crate) created_at: UnixMillis,
    pub(crate) signing: Signing,
    /// The hash of its password, where somebody looked.
    pub(crate) password: Option<PasswordHash>,
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
    pub(crate) keys: &'k Keys,
    pub(crate) seals: Arc<Seals>,
    workspaces: HashSet<Arc<str>>,
}

impl<'k> Reader<'k> {
    pub(crate) fn new(keys: &'k Keys) -> Reader<'k> {
        Reader::with(keys, keys.seals())
    }

    /// One that opens what is sealed with these keys.
    pub(crate) fn with(keys: &'k Keys, seals: Arc<Seals>) -> Reader<'k> {
        Reader { keys, seals, workspaces: HashSet::new() }
    }

    /// Takes the keys that seal as they are now.
    pub(crate) fn renew(&mut self) {
        self.seals = self.keys.seals();
    }

    pub(crate) fn read(&mut self, row: &AnyRow) -> Result<Row, Unreadable> {
        self.parse(row).map_err(|why| {
            // An id that opens doors by itself is not told.
            let id = id(row).unwrap_or("?");
            let plain_key = row.try_get(0).ok().and_then(|text: &str| text.split(SEPARATOR).nth(4));
            let told = if plain_key == Some("0") { id.to_owned() } else { self.keys.pseudonym(id) };
            Unreadable(format!("credential `{told}` can't be read: {why}"))
        })
    }

    /// Reads a row with the two facts about the credential.
    pub(crate) fn read_stored(&mut self, row: &AnyRow) -> Result<Stored, StoreError> {
        stored(self.read(row)?, row)
    }

    /// Reads a row with the two facts about the credential, what it signs with, and the hash of its password.
    pub(crate) fn read_whole(&mut self, row: &AnyRow) -> Result<Row, Unreadable> {
        let mut known = self.read(row)?;
        let sealed = || Ok((row.try_get(COLUMNS + FACTS)?, row.try_get(COLUMNS + FACTS + 1)?));
        let sealed: Result<(Option<i64>, Option<&[u8]>), sqlx::Error> = sealed();
        if let (Some(key_version), Some(sealed)) = sealed.map_err(|e| Unreadable(e.to_string()))? {
            self.unseal(&mut known, key_version, sealed);
        }
        let password: Option<&str> =
            row.try_get(COLUMNS + FACTS + 2).map_err(|e| Unreadable(e.to_string()))?;
        let c = &known.credential;
        known.password = password.and_then(|text| own_password(self.keys, &c.id, text, &c.secret));
        if known.password.is_none() && (password.is_some() || c.kind.has_password()) {
            tracing::error!(
                credential = c.label(),
                "its password is not the one that was set, and opens nothing"
            );
        }
        Ok(known)
    }

    fn parse(&mut self, row: &AnyRow) -> Result<Row, String> {
        let text: &str = row.try_get(0).map_err(|e| e.to_string())?;
        let mut fields = text.splitn(FIELDS, SEPARATOR);
        let mut next = || fields.next().ok_or_else(|| "it has too few fields".to_owned());
        let (id, workspace, kind, dialect) = (next()?, next()?, next()?, next()?);
        let (plain_key, status, expires_at) = (next()?, next()?, next()?);
        let (scopes, origins, secret_version, created_at) = (next()?, next()?, next()?, next()?);
        let (tokens_since, password_grant) = (next()?, next()?);
        let own = own_rules(next()?, next()?, next()?)?;
        let name = next()?;
        let plain_key = flag("plain_key", plain_key)?;
        let secret: &[u8] = row.try_get(1).map_err(|e| e.to_string())?;
        let secret =
            secret.try_into().map_err(|_| format!("its secret's hash has {} bytes", secret.len()))?;
        let credential = Credential {
            id: id.into(),
            pseudonym: plain_key.then(|| self.keys.pseudonym(id).into()),
            workspace: self.workspace(workspace),
            kind: Kind::parse(kind)?,
            name: name.into(),
            dialect: Dialect::parse(dialect)?,
            plain_key,
            password_grant: flag("password_grant", password_grant)?,
            status: Status::parse(status)?,
            expires_at: if expires_at.is_empty() { None } else { Some(UnixMillis(number(expires_at)?)) },
            scopes: list(scopes)?.into(),
            origins: list(origins)?.iter().map(|o| OriginEntry::parse(o)).collect::<Result<_, _>>()?,
            secret: SecretHash(secret),
            signing: None,
            own,
            tokens_since: number(tokens_since)?,
        };
        Ok(Row {
            credential,
            secret_version: number(secret_version)?,
            created_at: UnixMillis(number(created_at)?),
            signing: Signing::None,
            password: None,
        })
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

/// What is known about a credential, with the two facts in its row.
pub(crate) fn stored(known: Row, row: &AnyRow) -> Result<Stored, StoreError> {
    let Row { credential, secret_version, created_at, password, .. } = known;
    let time = |at| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(at)?.map(UnixMillis));
    let (last_used, exposed_at) = (time(COLUMNS)?, time(COLUMNS + 1)?);
    Ok(Stored { credential, secret_version, created_at, last_used, exposed_at, password })
}

/// The hash of a password, where it is the one that was set for that credential.
pub(crate) fn own_password(keys: &Keys, id: &str, text: &str, mark: &SecretHash) -> Option<PasswordHash> {
    PasswordHash::parse(text).ok().filter(|password| keys.mark_of_password(id, password) == *mark)
}

fn flag(name: &str, text: &str) -> Result<bool, String> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        n => Err(format!("`{name}` is {n}, neither 0 nor 1")),
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn list(json: &str) -> Result<Vec<Box<str>>, String> {
    // Most credentials have none; a million of them are read at the start.
    if json == "[]" {
        return Ok(Vec::new());
    }
    serde_json::from_str(json).map_err(|e| format!("`{json}` is not a list of texts: {e}"))
}

/// What holds for one credential alone; an empty text is nothing. A list of networks that can't be read is no list that lets
/// everybody in: the credential is not read.
fn own_rules(role: &str, networks: &str, limit: &str) -> Result<Option<Box<OwnRules>>, String> {
    // Most credentials have none of it.
    if role.is_empty() && networks.is_empty() && limit.is_empty() {
        return Ok(None);
    }
    let read = |json: &str| {
        let read: Result<Vec<Network>, String> = list(json)?.iter().map(|n| Network::parse(n)).collect();
        read.map(Networks::new)
    };
    let own = OwnRules {
        role: (!role.is_empty()).then(|| role.into()),
        networks: (!networks.is_empty()).then(|| read(networks)).transpose()?,
        limit: (!limit.is_empty()).then(|| Limit::parse(limit)).transpose()?,
    };
    Ok(own.boxed())
}

/// The columns `role`, `networks` and `limit_rule` of a credential.
pub(crate) fn own_columns(c: &Credential) -> (Option<String>, Option<String>, Option<String>) {
    let networks = c.networks().map(|networks| {
        let all: Vec<String> = networks.iter().map(|network| network.to_string()).collect();
        serde_json::to_string(&all).expect("a list of texts can be written as JSON")
    });
    (c.role().map(str::to_owned), networks, c.limit().map(|limit| limit.to_string()))
}

/// The columns `scopes` and `origins` of a credential.
pub(crate) fn lists(c: &Credential) -> (String, String) {
    let origins: Vec<String> = c.origins.iter().map(ToString::to_string).collect();
    let json = |list| serde_json::to_string(&list).expect("a list of texts can be written as JSON");
    (json(c.scopes.iter().map(ToString::to_string).collect::<Vec<_>>()), json(origins))
}
