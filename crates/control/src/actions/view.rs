//! A credential as it is shown to whoever manages it.
use doorward_core::credential::Credential;
use doorward_core::network::Networks;
use doorward_core::time::UnixMillis;
use doorward_store::Stored;
use serde::{Serialize, Serializer};
use std::fmt;

/// A secret that may be shown now. Its `Debug` does not.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Revealed(pub String);

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revealed(..)")
    }
}

pub(super) fn instant<S: Serializer>(at: &Option<UnixMillis>, s: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => s.collect_str(at),
        None => s.serialize_none(),
    }
}

/// A credential as it is shown: the same fields wherever it appears.
#[derive(Clone, Debug, Serialize)]
pub struct CredentialView {
    /// The workspace it belongs to.
    pub workspace: String,
    /// `server`, `client`, `integration`, `user` or `oauth_client`.
    pub kind: &'static str,
    /// For people.
    pub name: String,
    /// The names under which it is presented.
    pub dialect: &'static str,
    /// The scheme it uses.
    pub scheme: &'static str,
    /// What the caller presents.
    pub id: String,
    /// Only where it was just made, or revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Revealed>,
    /// Whether its id alone opens APIs that allow it, whatever else it uses.
    pub plain_key: bool,
    /// Whether an OAuth client may ask for tokens with the passwords of users. Left out where it may not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub password_grant: bool,
    /// Whether knowing the id is enough somewhere.
    pub weak: bool,
    /// Where a publishable key may be used.
    pub origins: Vec<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Its role. Left out where it has none; so are the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// From where it may be used, and from nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<String>>,
    /// How often it may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// `active` or `blocked`.
    pub status: &'static str,
    /// From when on it is expired.
    #[serde(serialize_with = "instant")]
    pub expires_at: Option<UnixMillis>,
    /// When it was made.
    #[serde(serialize_with = "instant")]
    pub created_at: Option<UnixMillis>,
    /// When it was last proved, to within a few seconds.
    #[serde(serialize_with = "instant")]
    pub last_used: Option<UnixMillis>,
    /// When it was last proved over plain HTTP: whoever listened knows it.
    #[serde(serialize_with = "instant")]
    pub exposed_at: Option<UnixMillis>,
}

impl CredentialView {
    pub(super) fn new(c: &Credential, secret: Option<String>, created_at: UnixMillis) -> CredentialView {
        CredentialView {
            workspace: c.workspace.to_string(),
            kind: c.kind.name(),
            name: c.name.to_string(),
            dialect: c.dialect.name,
            scheme: c.scheme().name(),
            id: c.id.to_string(),
            secret: secret.map(Revealed),
            plain_key: c.plain_key,
            password_grant: c.password_grant,
            weak: c.plain_key,
            origins: c.origins.iter().map(ToString::to_string).collect(),
            scopes: c.scopes.iter().map(ToString::to_string).collect(),
            role: c.role().map(str::to_owned),
            networks: c.networks().map(Networks::texts),
            limit: c.limit().map(|limit| limit.to_string()),
            status: c.status.name(),
            expires_at: c.expires_at,
            created_at: Some(created_at),
            last_used: None,
            exposed_at: None,
        }
    }

    pub(super) fn stored(s: &Stored, secret: Option<String>) -> CredentialView {
        CredentialView {
            last_used: s.last_used,
            exposed_at: s.exposed_at,
            ..CredentialView::new(&s.credential, secret, s.created_at)
        }
    }
}
