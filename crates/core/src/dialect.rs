//! The wire names of a scheme and the shape of errors, as data: a dialect is a row of this table.
use crate::reason::Reason;
use crate::schemes::avanan;
use crate::schemes::escher::{Config, ConfigError};
use crate::scope::ScopeRule;

mod voucherify;

/// How a key is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// Two header fields: the id, the secret. Names in lower case.
    Pair {
        /// The field with the id.
        id: &'static str,
        /// The field with the secret.
        secret: &'static str,
    },
    /// One header field with `<id>.<secret>`. Name in lower case.
    Single(&'static str),
    /// A query parameter with the id alone. There is no secret: whoever knows the id is in.
    QueryId(&'static str),
}

impl KeyForm {
    /// For a caller who sent no credential: how one is sent. `None` for an id alone where that is not accepted.
    #[must_use]
    pub fn describe(self, id_alone: bool) -> Option<String> {
        match self {
            KeyForm::Pair { id, secret } => Some(format!("the header fields {id} and {secret}")),
            KeyForm::Single(name) => Some(format!("the header field {name} with `<id>.<secret>`")),
            KeyForm::QueryId(name) => id_alone.then(|| format!("the query parameter {name}")),
        }
    }
}

/// How requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningForm {
    /// Escher, under Antavo's names.
    Antavo,
    /// AWS Signature Version 4.
    Aws4,
}

impl SigningForm {
    /// The credential scope of an API that names none.
    #[must_use]
    pub fn default_scope(self, region: Option<&str>) -> String {
        match self {
            SigningForm::Antavo => format!("{}/api/antavo_request", region.unwrap_or("us")),
            SigningForm::Aws4 => "us-east-1/execute-api/aws4_request".to_owned(),
        }
    }

    /// What to look for in requests, for a credential scope.
    ///
    /// # Errors
    /// A sentence for an operator about the scope.
    pub fn config(self, scope: &str) -> Result<Config, ConfigError> {
        match self {
            SigningForm::Antavo => Config::antavo(scope),
            SigningForm::Aws4 => Config::aws4(scope),
        }
    }
}

/// The shape of an error's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStyle {
    /// `application/problem+json` (RFC 9457).
    Problem,
    /// An object with `code`, `key`, `message`, `details`, `request_id`.
    Voucherify,
    /// An object `error` with `type`, `code`, `message`.
    Antavo,
    /// An object with `message` alone, which repeats the status.
    Avanan,
    /// An object with `type`, `title`, `status`, `detail`, `correlationId`, `errorCode`.
    Vista,
}

impl ErrorStyle {
    /// The status that a reason has in this style. The code stays the same.
    #[must_use]
    pub fn status(self, reason: Reason) -> u16 {
        match (self, reason) {
            // 401 says that nothing was sent that could be read.
            (
                ErrorStyle::Avanan,
                Reason::CredentialInvalid
                | Reason::CredentialExpired
                | Reason::CredentialBlocked
                | Reason::SignatureInvalid
                | Reason::SignatureExpired
                | Reason::SignatureReplayed
                | Reason::TokenInvalid
                | Reason::TokenExpired
                | Reason::TokenRevoked,
            ) => 403,
            _ => reason.status(),
        }
    }
}

/// One vendor's names.
#[derive(Debug, PartialEq, Eq)]
pub struct Dialect {
    /// As policies name it.
    pub name: &'static str,
    /// How a server's key is presented, where this dialect has such keys.
    pub api_key: Option<KeyForm>,
    /// How a publishable key is presented, where this dialect has such keys.
    pub publishable: Option<KeyForm>,
    /// How a server signs its requests, where this dialect has signatures.
    pub signing: Option<SigningForm>,
    /// Whether a server signs its requests by Avanan's rules.
    pub avanan: bool,
    /// How the scopes of its tokens say what they open.
    pub scopes: ScopeRule,
    /// The shape of errors on an API of this dialect.
    pub errors: ErrorStyle,
    /// How long the secret of a production credential can be shown again, in seconds: a new one's, a regenerated one's.
    /// In a sandbox it always can.
    pub shown_again_s: (i64, i64),
    /// Whether a credential's tokens live on when its secret is made anew, unless whoever does so says otherwise.
    pub keeps_tokens: bool,
}

/// Every dialect there is.
pub static DIALECTS: [Dialect; 6] = [
    Dialect {
        name: "standard",
        api_key: Some(KeyForm::Single("x-api-key")),
        publishable: None,
        signing: None,
        avanan: false,
        scopes: ScopeRule::Named,
        errors: ErrorStyle::Problem,
        shown_again_s: (0, 0),
        keeps_tokens: false,
    },
    Dialect {
        name: "voucherify",
        api_key: Some(KeyForm::Pair { id: "x-app-id", secret: "x-app-token" }),
        publishable: Some(KeyForm::Pair { id: "x-client-application-id", secret: "x-client-token" }),
        signing: None,
        avanan: false,
        scopes: ScopeRule::Paths(&voucherify::SCOPES),
        errors: ErrorStyle::Voucherify,
        // Fourteen days after creation, fifteen minutes after a regeneration.
        shown_again_s: (14 * 86_400, 900),
        keeps_tokens: true,
    },
    Dialect {
        name: "antavo",
        api_key: Some(KeyForm::QueryId("api_key")),
        publishable: None,
        signing: Some(SigningForm::Antavo),
        avanan: false,
        scopes: ScopeRule::Named,
        errors: ErrorStyle::Antavo,
        shown_again_s: (0, 0),
        keeps_tokens: false,
    },
    Dialect {
        name: "aws4",
        api_key: None,
        publishable: None,
        signing: Some(SigningForm::Aws4),
        avanan: false,
        scopes: ScopeRule::Named,
        errors: ErrorStyle::Problem,
        shown_again_s: (0, 0),
        keeps_tokens: false,
    },
    Dialect {
        name: "avanan",
        api_key: None,
        publishable: None,
        signing: None,
        avanan: true,
        scopes: ScopeRule::Named,
        errors: ErrorStyle::Avanan,
        shown_again_s: (0, 0),
        keeps_tokens: false,
    },
    // Its callers have tokens and nothing else.
    Dialect {
        name: "vista",
        api_key: None,
        publishable: None,
        signing: None,
        avanan: false,
        scopes: ScopeRule::Named,
        errors: ErrorStyle::Vista,
        shown_again_s: (0, 0),
        keeps_tokens: false,
    },
];

impl Dialect {
    /// The dialect of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Dialect> {
        DIALECTS.iter().find(|d| d.name == name)
    }

    /// Reads a dialect's name; the error tells which there are.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn parse(name: &str) -> Result<&'static Dialect, String> {
        Dialect::named(name).ok_or_else(|| {
            let known: Vec<_> = DIALECTS.iter().map(|d| d.name).collect();
            format!("there is no dialect `{name}`; there are {}", known.join(", "))
        })
    }

    /// Whether service users of this dialect ask for tokens with their passwords.
    #[must_use]
    pub fn has_users(&self) -> bool {
        matches!(self.name, "standard" | "vista")
    }

    /// Whether OAuth clients of this dialect ask for tokens with an id and a secret that open nothing else.
    #[must_use]
    pub fn has_oauth_clients(&self) -> bool {
        self.name == "standard"
    }

    /// The forms in which this dialect presents credentials.
    pub fn forms(&self) -> impl Iterator<Item = KeyForm> {
        [self.api_key, self.publishable].into_iter().flatten()
    }

    /// The header fields that carry credentials, in lower case.
    pub fn credential_headers(&self) -> impl Iterator<Item = &'static str> {
        self.forms()
            .flat_map(|f| match f {
                KeyForm::Pair { id, secret } => [Some(id), Some(secret)],
                KeyForm::Single(name) => [Some(name), None],
                KeyForm::QueryId(_) => [None, None],
            })
            .flatten()
            .chain(avanan::FIELDS.into_iter().filter(|_| self.avanan))
    }

    /// The query parameters that carry credentials.
    pub fn credential_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.forms().filter_map(|f| if let KeyForm::QueryId(name) = f { Some(name) } else { None })
    }
}
