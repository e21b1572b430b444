//! What the change table tells about a credential.
use crate::row::Row;
use crate::schema::hex;
use doorward_core::secret::Keys;
use serde::Serialize;
use serde_json::Value;

/// Bytes of the mark of a secret.
const MARK_BYTES: usize = 8;

#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    workspace: &'a str,
    kind: &'static str,
    name: &'a str,
    dialect: &'static str,
    scheme: &'static str,
    plain_key: bool,
    status: &'static str,
    expires_at: Option<String>,
    scopes: Vec<&'a str>,
    origins: Vec<String>,
    created_at: String,
    secret_version: i64,
    /// Tells whether the stored hash is the one that was written, and nothing about the secret: a keyed MAC of the hash.
    secret_mark: String,
}

/// A credential as JSON, without its secret and without the secret's hash.
pub(crate) fn record(keys: &Keys, row: &Row) -> String {
    let c = &row.credential;
    let mark = keys.chain(b"secret-mark", &[c.id.as_bytes(), &row.secret_version.to_be_bytes(), &c.secret.0]);
    let record = Record {
        id: &c.id,
        workspace: &c.workspace,
        kind: c.kind.name(),
        name: &c.name,
        dialect: c.dialect.name,
        scheme: c.scheme().name(),
        plain_key: c.plain_key,
        status: c.status.name(),
        expires_at: c.expires_at.map(|t| t.to_string()),
        scopes: c.scopes.iter().map(|s| &**s).collect(),
        origins: c.origins.iter().map(ToString::to_string).collect(),
        created_at: row.created_at.to_string(),
        secret_version: row.secret_version,
        secret_mark: hex(&mark[..MARK_BYTES]),
    };
    serde_json::to_string(&record).expect("texts, numbers and lists of them can be written as JSON")
}

/// The first field of `told` that `row` does not bear out. Fields that `told` does not have are not looked at: an older
/// program did not know them.
pub(crate) fn differs(keys: &Keys, row: &Row, told: &str) -> Option<String> {
    let now: Value = serde_json::from_str(&record(keys, row)).ok()?;
    match serde_json::from_str(told) {
        Ok(Value::Object(told)) => {
            told.into_iter().find(|(key, value)| now[key] != *value).map(|(key, _)| key)
        }
        _ => Some("the whole".to_owned()),
    }
}
