//! Who calls.
use crate::dialect::Dialect;
use crate::network::Networks;
use crate::origin::OriginEntry;
use crate::policy::Limit;
use crate::schemes::escher::SigningSecret;
use crate::secret::SecretHash;
use crate::time::UnixMillis;
use std::fmt;
use std::sync::Arc;

/// Longest id of a credential, in bytes.
pub const MAX_ID_BYTES: usize = 128;
/// Longest secret of a credential, in bytes.
pub const MAX_SECRET_BYTES: usize = 256;

/// A closed list of names.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident: $($(#[$vdoc:meta])* $name:ident = $text:literal),*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$vdoc])* $name,)* }
        impl $type {
            /// Each of them.
            pub const ALL: &[$type] = &[$($type::$name,)*];
            /// As policies, events and commands write it.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $($type::$name => $text,)* } }
            /// Reads a name.
            ///
            /// # Errors
            /// A sentence that tells which names there are.
            pub fn parse(text: &str) -> Result<$type, String> {
                let known = || $type::ALL.iter().map(|k| k.name()).collect::<Vec<_>>().join(", ");
                $type::ALL.iter().copied().find(|k| k.name() == text).ok_or_else(|| format!("`{text}` is none of {}", known()))
            }
        }
    };
}

pub(crate) use names;

names! {
    /// What a credential is for.
    Kind:
    /// A back end: id and secret.
    Server = "server",
    /// A browser or an app: publishable, bound to origins.
    Client = "client",
    /// A named platform that calls on the workspace's behalf: id and secret.
    Integration = "integration",
    /// A service user: a name and a password, which open nothing but the password grant of the token endpoint.
    User = "user",
    /// An OAuth client: id and secret, which open nothing but the token endpoints.
    OauthClient = "oauth_client"
}
names! {
    /// How a credential is presented and proved.
    SchemeName:
    /// Id and secret (or, where switched on, the id alone).
    ApiKey = "api_key",
    /// A publishable key, bound to origins.
    Publishable = "publishable",
    /// Each request is signed; the secret is never sent. Escher and AWS Signature Version 4.
    Escher = "escher",
    /// Each request is signed by Avanan's rules; the secret is never sent.
    Avanan = "avanan",
    /// An access token (RFC 6750), which was given to the credential for some time.
    Bearer = "bearer"
}
names! {
    /// Whether a credential may be used.
    Status:
    /// It may.
    Active = "active",
    /// It was blocked, and can be unblocked.
    Blocked = "blocked"
}
names! {
    /// What a workspace is for; fixed when it is created.
    Environment:
    /// The real thing.
    Production = "production",
    /// For trying out.
    Sandbox = "sandbox"
}

impl SchemeName {
    /// Whether requests are signed with the secret, so that it must be kept, and is never sent.
    #[must_use]
    pub fn signs(self) -> bool {
        match self {
            SchemeName::ApiKey | SchemeName::Publishable | SchemeName::Bearer => false,
            SchemeName::Escher | SchemeName::Avanan => true,
        }
    }
}

impl Kind {
    /// The scheme that a credential of this kind uses under the names of a dialect: where servers sign, they sign.
    #[must_use]
    pub fn scheme(self, dialect: &Dialect) -> SchemeName {
        match self {
            Kind::Server | Kind::Integration if dialect.signing.is_some() => SchemeName::Escher,
            Kind::Server | Kind::Integration if dialect.avanan => SchemeName::Avanan,
            Kind::Server | Kind::Integration => SchemeName::ApiKey,
            Kind::Client => SchemeName::Publishable,
            Kind::User | Kind::OauthClient => SchemeName::Bearer,
        }
    }

    /// Whether it has a password, which people choose, and no secret that was drawn by lot.
    #[must_use]
    pub fn has_password(self) -> bool {
        match self {
            Kind::User => true,
            Kind::Server | Kind::Client | Kind::Integration | Kind::OauthClient => false,
        }
    }
}

/// Shows the label: the id itself may open doors.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({}, {} of {})", self.label(), self.kind.name(), self.workspace)
    }
}

/// A credential as decisions see it.
///
/// A million of these lie in the memory of every node: what most credentials don't have must not cost them anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// What the caller presents; unique in the installation.
    pub id: Box<str>,
    /// The id under which logs and upstreams know a credential whose id opens doors by itself.
    pub pseudonym: Option<Box<str>>,
    /// The workspace it belongs to.
    pub workspace: Arc<str>,
    /// What it is for.
    pub kind: Kind,
    /// For people.
    pub name: Box<str>,
    /// The names under which it is presented.
    pub dialect: &'static Dialect,
    /// Whether its id alone opens APIs that allow it: weak.
    pub plain_key: bool,
    /// Whether an OAuth client may ask for tokens with the passwords of users.
    pub password_grant: bool,
    /// Whether it may be used.
    pub status: Status,
    /// From this instant on it is expired.
    pub expires_at: Option<UnixMillis>,
    /// What it may do, besides what its role may.
    pub scopes: Box<[Box<str>]>,
    /// What holds for it alone; few have any of that.
    pub own: Option<Box<OwnRules>>,
    /// Where a publishable key may be used.
    pub origins: Box<[OriginEntry]>,
    /// The keyed hash of its secret.
    pub secret: SecretHash,
    /// The secret itself, where requests are signed with it.
    pub signing: Option<SigningSecret>,
    /// The number of the change that created it, or last revoked all of its tokens: no token of another generation is
    /// good. The store sets it; 0 for one that is older than tokens.
    pub tokens_since: i64,
}

/// What holds for one credential alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnRules {
    /// Its role, whose scopes it has besides its own.
    pub role: Option<Box<str>>,
    /// From where it may be used; `None`: from anywhere.
    pub networks: Option<Networks>,
    /// How often it may be used, in the place of what its workspace's policies say about credentials.
    pub limit: Option<Limit>,
}

impl OwnRules {
    /// As a credential has it: nothing, where there is nothing.
    #[must_use]
    pub fn boxed(self) -> Option<Box<OwnRules>> {
        (self != OwnRules::default()).then(|| Box::new(self))
    }
}

impl Credential {
    /// Its role.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        self.own.as_ref()?.role.as_deref()
    }

    /// From where it may be used; `None`: from anywhere.
    #[must_use]
    pub fn networks(&self) -> Option<&Networks> {
        self.own.as_ref()?.networks.as_ref()
    }

    /// How often it may be used; `None`: as its workspace's policies say.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        self.own.as_ref()?.limit
    }

    /// The same with other rules of its own.
    #[must_use]
    pub fn with_own(self, own: OwnRules) -> Credential {
        Credential { own: own.boxed(), ..self }
    }

    /// What holds for it alone.
    #[must_use]
    pub fn own_rules(&self) -> OwnRules {
        self.own.as_deref().cloned().unwrap_or_default()
    }

    /// The name that logs and upstreams see: the id, or the pseudonym of an id that opens doors by itself.
    #[must_use]
    pub fn label(&self) -> &str {
        self.pseudonym.as_deref().unwrap_or(&self.id)
    }

    /// The scheme it uses.
    #[must_use]
    pub fn scheme(&self) -> SchemeName {
        self.kind.scheme(self.dialect)
    }

    /// Whether it may be proved by a scheme: by its own; where its id alone is enough, as a key too; and where it is not,
    /// by a token that was given for its secret.
    #[must_use]
    pub fn may_use(&self, scheme: SchemeName) -> bool {
        match scheme {
            SchemeName::Bearer => self.kind != Kind::Client && !self.plain_key,
            own => own == self.scheme() || own == SchemeName::ApiKey && self.plain_key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::DIALECTS;

    /// A new kind, dialect or scheme has to say here what it opens.
    #[test]
    fn what_each_kind_may_use_is_told_in_full() {
        for dialect in &DIALECTS {
            for kind in Kind::ALL {
                for plain_key in [false, true] {
                    let c = Credential {
                        id: "k".into(),
                        pseudonym: None,
                        workspace: "acme".into(),
                        kind: *kind,
                        name: "".into(),
                        dialect,
                        plain_key,
                        password_grant: false,
                        status: Status::Active,
                        expires_at: None,
                        scopes: Box::default(),
                        origins: Box::default(),
                        secret: SecretHash([0; 32]),
                        signing: None,
                        own: None,
                        tokens_since: 0,
                    };
                    let mut may = match kind {
                        Kind::Client => vec![SchemeName::Publishable],
                        Kind::User | Kind::OauthClient => vec![],
                        Kind::Server | Kind::Integration => match dialect.name {
                            "antavo" | "aws4" => vec![SchemeName::Escher],
                            "avanan" => vec![SchemeName::Avanan],
                            _ => vec![SchemeName::ApiKey],
                        },
                    };
                    match (plain_key, kind) {
                        (false, Kind::Client) => {}
                        (false, _) => may.push(SchemeName::Bearer),
                        (true, _) if !may.contains(&SchemeName::ApiKey) => may.push(SchemeName::ApiKey),
                        (true, _) => {}
                    }
                    let told: Vec<_> = SchemeName::ALL.iter().filter(|s| c.may_use(**s)).copied().collect();
                    may.sort_by_key(|s| SchemeName::ALL.iter().position(|o| o == s));
                    assert_eq!(told, may, "{} {} {plain_key}", kind.name(), dialect.name);
                }
            }
        }
    }

    #[test]
    fn kinds_are_read_as_they_are_written() {
        let names: Vec<&str> = Kind::ALL.iter().map(|k| k.name()).collect();
        assert_eq!(names, ["server", "client", "integration", "user", "oauth_client"]);
        assert!(Kind::ALL.iter().all(|k| Kind::parse(k.name()) == Ok(*k)));
        let with: Vec<&str> = Kind::ALL.iter().filter(|k| k.has_password()).map(|k| k.name()).collect();
        assert_eq!(with, ["user"]);
    }
}
