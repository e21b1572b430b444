//! A credential as somebody asks for it, and everything that can be wrong with that.
use super::Error;
use super::own::{self, OwnWanted};
use doorward_core::credential::{Environment, Kind, MAX_ID_BYTES, MAX_SECRET_BYTES, OwnRules, SchemeName};
use doorward_core::dialect::{DIALECTS, Dialect, KeyForm};
use doorward_core::origin::OriginEntry;
use doorward_core::password::{self, Cost};
use doorward_core::policy::draft::Draft;
use doorward_core::schemes::avanan;
use doorward_core::scope::ScopeRule;
use doorward_core::time::UnixMillis;
use std::fmt;

/// Shortest secret that is taken over from elsewhere, in bytes: 16 random characters are hard enough to guess.
const MIN_SECRET_BYTES: usize = 16;
/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Most origins on one list.
const MAX_ORIGINS: usize = 100;
/// Most bytes of all scopes together with the spaces between: they travel in one header field.
const MAX_SCOPES_BYTES: usize = 2048;

/// A credential as somebody asks for it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The workspace it is for.
    pub workspace: String,
    /// What it is for.
    pub kind: Kind,
    /// The names under which it is presented; the first dialect that knows such keys where left out.
    pub dialect: Option<&'static Dialect>,
    /// For people; may be empty.
    pub name: String,
    /// Whether the id alone opens APIs that allow it.
    pub plain_key: bool,
    /// Where a publishable key may be used, as written.
    pub origins: Vec<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// What holds for it alone.
    pub own: OwnWanted,
    /// From when on it is expired.
    pub expires_at: Option<UnixMillis>,
    /// An id, and perhaps a secret, that exist already. A user's name is his id.
    pub import: Option<Import>,
    /// The password of a user.
    pub password: Option<Password>,
    /// Whether an OAuth client may ask for tokens with the passwords of users.
    pub password_grant: bool,
    /// How long its secret can be shown again.
    pub showing: Showing,
}

impl Wanted {
    /// A credential with nothing special about it.
    #[must_use]
    pub fn new(workspace: impl Into<String>, kind: Kind) -> Wanted {
        Wanted {
            workspace: workspace.into(),
            kind,
            dialect: None,
            name: String::new(),
            plain_key: false,
            origins: Vec::new(),
            scopes: Vec::new(),
            own: OwnWanted::default(),
            expires_at: None,
            import: None,
            password: None,
            password_grant: false,
            showing: Showing::ByDialect,
        }
    }

    /// The scheme that it will use; `None` where no dialect knows such a credential.
    #[must_use]
    pub fn scheme(&self) -> Option<SchemeName> {
        Some(self.kind.scheme(self.dialect.or_else(|| self.first_dialect())?))
    }

    /// The first dialect that knows such a credential.
    fn first_dialect(&self) -> Option<&'static Dialect> {
        DIALECTS.iter().find(|d| self.fits(d))
    }

    /// Whether a dialect knows such a credential.
    fn fits(&self, dialect: &Dialect) -> bool {
        has(dialect, self.kind) && (!self.plain_key || id_alone(dialect, self.kind))
    }
}

/// A key that is taken over as it is.
#[derive(Clone)]
pub struct Import {
    /// Its id.
    pub id: String,
    /// Its secret; a new one is made where left out.
    pub secret: Option<String>,
}

impl fmt::Debug for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Import(..)")
    }
}

/// A password that somebody chose. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// The password.
    pub text: String,
    /// What its hash is to cost.
    pub cost: Cost,
}

impl Password {
    /// One that protects something.
    #[must_use]
    pub fn new(text: String) -> Password {
        Password { text, cost: Cost::FULL }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// How long a secret can be shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showing {
    /// As the dialect says; always in a sandbox, and always for a publishable key.
    ByDialect,
    /// As long as the credential lives.
    Always,
}

/// What was asked for, found right.
pub(super) struct Checked {
    pub(super) environment: Environment,
    pub(super) dialect: &'static Dialect,
    /// Where its workspace is served.
    pub(super) region: Option<String>,
    pub(super) scopes: Box<[Box<str>]>,
    pub(super) own: OwnRules,
    pub(super) origins: Box<[OriginEntry]>,
}

/// Holds a wish against the rules.
///
/// # Errors
/// [`Error::Credential`] with every mistake.
pub(super) fn check(wanted: &Wanted, policy: &Draft, now: UnixMillis) -> Result<Checked, Error> {
    let mut wrong = Vec::new();
    let environment = workspace(wanted, policy, &mut wrong);
    let dialect = dialect(wanted, &mut wrong);
    name(wanted, &mut wrong);
    let origins = origins(wanted, dialect, &mut wrong);
    let scopes = scopes(wanted, &mut wrong);
    let own_rules = own::check(&wanted.own, &wanted.workspace, policy, &mut wrong);
    expires(wanted.expires_at, now, &mut wrong);
    if let Some(import) = &wanted.import {
        imported(import, wanted.kind, dialect, &mut wrong);
    }
    password(wanted, &mut wrong);
    match (environment, dialect) {
        (Some(environment), Some(dialect)) if wrong.is_empty() => {
            let own = policy.workspaces.iter().find(|w| w.id == wanted.workspace);
            let region = own.and_then(|w| w.region.clone());
            Ok(Checked { environment, dialect, region, scopes, own: own_rules, origins })
        }
        _ => Err(Error::Credential(wrong)),
    }
}

/// The scopes and origins of a credential that is there, where its name is right and it ends in the future, if ever.
///
/// # Errors
/// [`Error::Credential`] with every mistake.
#[expect(clippy::type_complexity, reason = "two lists, as credentials have them")]
pub(super) fn terms(
    wanted: &Wanted,
    expires_at: Option<UnixMillis>,
    now: UnixMillis,
) -> Result<(Box<[Box<str>]>, Box<[OriginEntry]>), Error> {
    let mut wrong = Vec::new();
    name(wanted, &mut wrong);
    let all = (scopes(wanted, &mut wrong), origins(wanted, wanted.dialect, &mut wrong));
    expires(expires_at, now, &mut wrong);
    if wrong.is_empty() { Ok(all) } else { Err(Error::Credential(wrong)) }
}

fn name(wanted: &Wanted, wrong: &mut Vec<String>) {
    let name = &wanted.name;
    if name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        wrong.push(format!(
            "a name has at most {MAX_NAME_CHARS} characters, none of them a control character"
        ));
    }
}

fn expires(at: Option<UnixMillis>, now: UnixMillis, wrong: &mut Vec<String>) {
    if let Some(at) = at.filter(|at| *at <= now) {
        wrong.push(format!("it would have expired already, at {at}"));
    }
}

fn workspace(wanted: &Wanted, policy: &Draft, wrong: &mut Vec<String>) -> Option<Environment> {
    let Some(found) = policy.workspaces.iter().find(|w| w.id == wanted.workspace) else {
        wrong.push(format!("there is no workspace `{}`; `apply` makes workspaces", wanted.workspace));
        return None;
    };
    Environment::parse(&found.environment).map_err(|e| wrong.push(e)).ok()
}

/// Whether a dialect has credentials of a kind.
fn has(dialect: &Dialect, kind: Kind) -> bool {
    match kind {
        Kind::Server | Kind::Client | Kind::Integration => {}
        Kind::User => return dialect.has_users(),
        Kind::OauthClient => return dialect.has_oauth_clients(),
    }
    match kind.scheme(dialect) {
        SchemeName::ApiKey => dialect.api_key.is_some(),
        SchemeName::Publishable => dialect.publishable.is_some(),
        SchemeName::Escher => dialect.signing.is_some(),
        SchemeName::Avanan => dialect.avanan,
        SchemeName::Bearer => false,
    }
}

/// Whether a dialect presents the ids of a kind alone.
fn id_alone(dialect: &Dialect, kind: Kind) -> bool {
    matches!(kind, Kind::Server | Kind::Integration) && matches!(dialect.api_key, Some(KeyForm::QueryId(_)))
}

fn dialect(wanted: &Wanted, wrong: &mut Vec<String>) -> Option<&'static Dialect> {
    let named = |fits: &dyn Fn(&Dialect) -> bool| {
        DIALECTS.iter().filter(|d| fits(d)).map(|d| d.name).collect::<Vec<_>>().join(", ")
    };
    match wanted.dialect {
        None => match wanted.first_dialect() {
            Some(d) => return Some(d),
            None => wrong.push(format!("no dialect knows a {} credential like this", wanted.kind.name())),
        },
        Some(d) if wanted.fits(d) => return Some(d),
        Some(d) if !has(d, wanted.kind) => wrong.push(format!(
            "the dialect {} has no {} credentials; use one of {}",
            d.name,
            wanted.kind.name(),
            named(&|d| has(d, wanted.kind))
        )),
        Some(d) => wrong.push(format!(
            "the dialect {} never presents an id alone, so plain-key means nothing there; it does in {}",
            d.name,
            named(&|d| id_alone(d, wanted.kind))
        )),
    }
    None
}

fn origins(wanted: &Wanted, dialect: Option<&Dialect>, wrong: &mut Vec<String>) -> Box<[OriginEntry]> {
    let mut out: Vec<OriginEntry> = Vec::new();
    for text in &wanted.origins {
        match OriginEntry::parse(text) {
            Ok(entry) if out.contains(&entry) => {}
            Ok(entry) => out.push(entry),
            Err(e) => wrong.push(e),
        }
    }
    match (wanted.kind, wanted.origins.len()) {
        (Kind::Client, 0) => wrong.push("a client credential needs at least one origin".to_owned()),
        (_, n) if n > MAX_ORIGINS => {
            wrong.push(format!("a list has at most {MAX_ORIGINS} origins"));
        }
        // Its tokens may be for pages, and are then bound as a publishable key is.
        (Kind::Server | Kind::Integration, 1..) if dialect.is_some_and(|d| d.scopes != ScopeRule::Named) => {}
        (Kind::Server | Kind::Integration | Kind::User | Kind::OauthClient, 1..) => {
            wrong.push(format!("a {} credential has no origins; a client one has", wanted.kind.name()));
        }
        _ => {}
    }
    out.into()
}

/// A scope of RFC 6749 3.3: visible ASCII but `"` and `\`.
fn scopes(wanted: &Wanted, wrong: &mut Vec<String>) -> Box<[Box<str>]> {
    let mut out: Vec<Box<str>> = Vec::new();
    for scope in &wanted.scopes {
        let ok = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if scope.is_empty() || !scope.bytes().all(ok) {
            wrong.push(format!(
                "`{}` is not a scope: one or more visible ASCII characters, without quotes and backslashes",
                scope.escape_default()
            ));
        } else if !out.iter().any(|s| **s == **scope) {
            out.push(scope.as_str().into());
        }
    }
    if out.iter().map(|s| s.len() + 1).sum::<usize>() > MAX_SCOPES_BYTES {
        wrong.push(format!("all scopes together have at most {MAX_SCOPES_BYTES} characters"));
    }
    out.into()
}

/// A user, and nobody else, has a name of its own and a password; an OAuth client alone may be let use passwords.
fn password(wanted: &Wanted, wrong: &mut Vec<String>) {
    if wanted.password_grant && wanted.kind != Kind::OauthClient {
        wrong.push("only an oauth_client credential has a password grant that can be switched on".to_owned());
    }
    let kind = wanted.kind.name();
    match (&wanted.password, wanted.kind.has_password()) {
        (None, false) => {}
        (Some(_), false) => {
            wrong.push(format!("a {kind} credential has no password; its secret is drawn by lot"));
        }
        (None, true) => wrong.push("a user needs a password; give it as a file".to_owned()),
        (Some(chosen), true) => {
            let name = wanted.import.as_ref().map_or("", |i| i.id.as_str());
            wrong.extend(password::check(&chosen.text, name).err());
        }
    }
    match &wanted.import {
        None if wanted.kind.has_password() => wrong.push("a user needs a name; give it as the id".to_owned()),
        Some(Import { secret: Some(_), .. }) if wanted.kind.has_password() => {
            wrong.push("a user has a password, and no secret".to_owned());
        }
        _ => {}
    }
}

fn imported(import: &Import, kind: Kind, dialect: Option<&Dialect>, wrong: &mut Vec<String>) {
    // The names of users often are addresses; those of keys are joined with secrets by a full stop.
    let also: &[u8] = if kind.has_password() { b"-_.@+" } else { b"-_" };
    let ok = |b: u8| b.is_ascii_alphanumeric() || also.contains(&b);
    if dialect.is_some_and(|d| d.avanan) {
        // Others could not be told from the id of the request, which stands before it.
        if !avanan::is_app_id(&import.id) {
            wrong.push(format!(
                "an id of avanan has its region before it, as in US:myapp29, or begins with a letter from g to z; then follow letters, digits, `-`, `_` and `.`, {MAX_ID_BYTES} in all"
            ));
        }
    } else if import.id.is_empty() || import.id.len() > MAX_ID_BYTES || !import.id.bytes().all(ok) {
        wrong.push(match kind.has_password() {
            true => format!(
                "the name of a user has 1 to {MAX_ID_BYTES} letters, digits, `-`, `_`, `.`, `@` or `+`"
            ),
            false => format!("an id has 1 to {MAX_ID_BYTES} letters, digits, `-` or `_`"),
        });
    }
    if import.id.starts_with("weak-") {
        wrong.push("an id can't start with `weak-`: under such names logs and upstreams know credentials whose id is a secret".to_owned());
    }
    let Some(secret) = &import.secret else { return };
    let visible = secret.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if !(MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&secret.len()) || !visible {
        wrong.push(format!(
            "a secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} visible ASCII characters, without spaces"
        ));
    }
}
