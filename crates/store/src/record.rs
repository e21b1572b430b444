//! What the change table tells about a credential.
use crate::row::Row;
use crate::schema::hex;
use crate::signing::Signing;
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
    /// Left out where it is not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    password_grant: bool,
    status: &'static str,
    expires_at: Option<String>,
    scopes: Vec<&'a str>,
    origins: Vec<String>,
    /// Left out where it has none; so are the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    created_at: String,
    secret_version: i64,
    /// Tells whether the stored hash is the one that was written, and nothing about the secret: a keyed MAC of the hash.
    /// Where there is a password, the hash is a MAC of the password's hash, so it tells the same about that.
    secret_mark: String,
    /// Whether the secret is kept as well, sealed, for requests that are signed with it. Left out where it is not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    signs: bool,
    /// Left out for one that is older than tokens.
    #[serde(skip_serializing_if = "is_zero")]
    tokens_since: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(n: &i64) -> bool {
    *n == 0
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
        password_grant: c.password_grant,
        status: c.status.name(),
        expires_at: c.expires_at.map(|t| t.to_string()),
        scopes: c.scopes.iter().map(|s| &**s).collect(),
        origins: c.origins.iter().map(ToString::to_string).collect(),
        role: c.role(),
        networks: c.networks().map(|all| all.iter().map(|network| network.to_string()).collect()),
        limit: c.limit().map(|limit| limit.to_string()),
        created_at: row.created_at.to_string(),
        secret_version: row.secret_version,
        secret_mark: hex(&mark[..MARK_BYTES]),
        signs: row.signing != Signing::None,
        tokens_since: c.tokens_since,
    };
    serde_json::to_string(&record).expect("texts, numbers and lists of them can be written as JSON")
}

/// The first field of `told` that `row` does not bear out. The scheme follows from kind and dialect, and a newer program may
/// know dialects better.
pub(crate) fn differs(keys: &Keys, row: &Row, told: &str) -> Option<String> {
    let now = record(keys, row);
    field_that_differs(&now, told, &["scheme"]).or_else(|| own_rule_nobody_made(&now, told))
}

/// A rule of the credential's own that is there, and that nobody was told of: a role opens doors.
fn own_rule_nobody_made(now: &str, told: &str) -> Option<String> {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    let (now, told) = (read(now)?, read(told)?);
    let made_up = |key: &&str| !now[*key].is_null() && told[*key].is_null();
    ["role", "networks", "limit"].into_iter().find(made_up).map(str::to_owned)
}

/// The first field of the JSON object `told` that another one does not bear out, but for some. Fields that `told` does not
/// have are not looked at: an older program did not know them.
pub(crate) fn field_that_differs(now: &str, told: &str, but: &[&str]) -> Option<String> {
    let now: Value = serde_json::from_str(now).ok()?;
    match serde_json::from_str(told) {
        Ok(Value::Object(told)) => {
            let differs = |(key, value): &(String, Value)| !but.contains(&key.as_str()) && now[key] != *value;
            told.into_iter().find(differs).map(|(key, _)| key)
        }
        _ => Some("the whole".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::credential::{Credential, Kind, OwnRules, Status};
    use doorward_core::dialect::Dialect;
    use doorward_core::secret::SecretHash;
    use doorward_core::time::UnixMillis;

    fn copy(row: &Row) -> Row {
        let Row { secret_version, created_at, signing, .. } = *row;
        Row { credential: row.credential.clone(), secret_version, created_at, signing, password: None }
    }

    /// What was written before a dialect signed names another scheme, and is true all the same.
    #[test]
    fn only_what_was_changed_differs() {
        let keys = Keys::derive(&[7; 32]);
        let credential = Credential {
            id: "k".into(),
            pseudonym: None,
            workspace: "acme".into(),
            kind: Kind::Server,
            name: "".into(),
            dialect: Dialect::named("antavo").unwrap(),
            plain_key: false,
            password_grant: false,
            status: Status::Active,
            expires_at: None,
            scopes: Box::default(),
            origins: Box::default(),
            secret: SecretHash([1; 32]),
            signing: None,
            own: None,
            tokens_since: 0,
        };
        let mut row = Row {
            credential,
            secret_version: 1,
            created_at: UnixMillis(0),
            signing: Signing::None,
            password: None,
        };
        let told = record(&keys, &row);
        assert!(told.contains("\"scheme\":\"escher\"") && !told.contains("signs"), "{told}");
        let former = told.replace("\"escher\"", "\"api_key\"");
        assert_eq!((differs(&keys, &row, &told), differs(&keys, &row, &former)), (None, None));
        row.signing = Signing::Broken;
        let signs = record(&keys, &row);
        assert_eq!(differs(&keys, &row, &signs), None);
        row.signing = Signing::None;
        assert_eq!(differs(&keys, &row, &signs).as_deref(), Some("signs"), "it is gone");
        row.credential.tokens_since = 7;
        assert_eq!(differs(&keys, &row, &told), None, "an older program knew nothing of it");
        let since = record(&keys, &row);
        row.credential.tokens_since = 0;
        assert_eq!(differs(&keys, &row, &since).as_deref(), Some("tokens_since"), "dead tokens live again");
        let own = OwnRules { role: Some("admin".into()), ..OwnRules::default() };
        let made_up = Row { credential: row.credential.clone().with_own(own), ..copy(&row) };
        assert_eq!(differs(&keys, &made_up, &told).as_deref(), Some("role"), "nobody gave it that");
        let given = record(&keys, &made_up);
        assert_eq!(differs(&keys, &made_up, &given), None);
        assert_eq!(differs(&keys, &row, &given).as_deref(), Some("role"), "it is gone");
        row.credential.secret = SecretHash([2; 32]);
        assert_eq!(differs(&keys, &row, &told).as_deref(), Some("secret_mark"));
    }
}
