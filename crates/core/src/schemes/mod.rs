//! How credentials are presented and proved: a file a scheme, each holding both directions.
//!
//! The law of every scheme: `verify(detect(sign(r)))` is Ok.
use crate::credential::{Credential, SchemeName};
use crate::decide::Refusal;
use crate::dialect::Dialect;
use crate::policy::{Api, Policy, Signing};
use crate::request::RequestView;
use crate::secret::Keys;

mod api_key;
pub mod avanan;
pub mod bearer;
pub mod escher;
mod key;
mod publishable;

pub use api_key::ApiKey;
pub use key::{KeyPresented, KeySecret};
pub use publishable::Publishable;

/// A request that is being made, as far as schemes care.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Path and query.
    pub target: String,
    /// Header fields to add, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Shows nothing of it: there are secrets in it.
impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outgoing({} header fields)", self.headers.len())
    }
}

/// A request can't be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The dialect has no such credentials.
    #[error("this dialect does not know this kind of credential")]
    NotInDialect,
    /// The id or secret does not fit in the place where it is sent.
    #[error("the id or the secret has characters that can't be sent")]
    Unsendable,
}

/// One way of presenting and proving a credential.
pub trait Scheme {
    /// What was presented, not yet proved.
    type Presented<'a>;
    /// What a caller needs in order to sign.
    type Secret;
    /// The name that credentials and policies use.
    const NAME: SchemeName;

    /// Looks for this scheme's credential under the names of one dialect. `None`: not mine.
    ///
    /// # Errors
    /// It is mine, but can't be read.
    fn detect<'a>(
        dialect: &'static Dialect,
        req: &RequestView<'a>,
    ) -> Result<Option<Self::Presented<'a>>, Refusal>;

    /// Whether what was presented proves to be `known`. Takes the same steps where nobody is known.
    #[must_use]
    fn verify(presented: &Self::Presented<'_>, keys: &Keys, known: Option<&Credential>) -> bool;

    /// Adds the proof to a request that is being made.
    ///
    /// # Errors
    /// See [`SignError`].
    fn sign(dialect: &'static Dialect, secret: &Self::Secret, out: &mut Outgoing) -> Result<(), SignError>;
}

/// What a scheme found.
#[derive(Clone, Debug)]
pub enum Shown<'a> {
    /// A key.
    Key(KeyPresented<'a>),
    /// A signature, with how requests are signed at the API that was asked.
    Signature(&'a Signing, Box<escher::Presented<'a>>),
    /// A signature by Avanan's rules.
    Avanan(Box<avanan::Presented<'a>>),
    /// A token. Whose names are used, and who calls, it says itself: once it is verified.
    Bearer(bearer::Presented<'a>),
}

/// What one of the schemes found.
#[derive(Clone, Debug)]
pub struct Presented<'a> {
    /// The scheme.
    pub scheme: SchemeName,
    /// Whose names were used.
    pub dialect: &'static Dialect,
    /// What was found.
    pub shown: Shown<'a>,
}

impl<'a> Presented<'a> {
    /// The id of who claims to call; empty where only a token says so.
    #[must_use]
    pub fn id(&self) -> &str {
        match &self.shown {
            Shown::Key(key) => key.id,
            Shown::Signature(_, signature) => signature.id(),
            Shown::Avanan(signature) => signature.id(),
            Shown::Bearer(_) => "",
        }
    }

    /// Whether the id alone is the proof.
    #[must_use]
    pub fn is_id_alone(&self) -> bool {
        matches!(&self.shown, Shown::Key(key) if key.secret.is_none())
    }

    /// Whether it is of a kind that is written where others can read it: an id alone, a publishable key, an address that was
    /// signed once. So is a token counted, which is given away to others. Such a proof opens nothing that gives or ends further rights.
    #[must_use]
    pub fn is_in_the_open(&self) -> bool {
        let by_form = match &self.shown {
            Shown::Key(key) => key.secret.is_none(),
            Shown::Signature(_, signature) => signature.form() != escher::Form::Header,
            Shown::Avanan(_) => false,
            Shown::Bearer(_) => true,
        };
        by_form || self.scheme == SchemeName::Publishable
    }

    /// Whether it may be used for some time by whoever holds it: anything but a signature over this very request.
    #[must_use]
    pub fn can_be_used_again(&self) -> bool {
        match &self.shown {
            Shown::Key(_) | Shown::Bearer(_) => true,
            Shown::Signature(_, signature) => signature.form() != escher::Form::Header,
            Shown::Avanan(_) => false,
        }
    }

    fn key(scheme: SchemeName, dialect: &'static Dialect, key: KeyPresented<'a>) -> Presented<'a> {
        Presented { scheme, dialect, shown: Shown::Key(key) }
    }
}

/// Asks every scheme of every configured dialect. `None`: nobody recognised anything. A signature is read as `api` reads
/// it, where that accepts signatures under those names.
///
/// # Errors
/// `credential_malformed` as soon as a scheme recognises its own and can't read it, `credential_ambiguous` for a second
/// credential.
pub fn detect<'a>(
    policy: &'a Policy,
    api: &'a Api,
    req: &RequestView<'a>,
) -> Result<Option<Presented<'a>>, Refusal> {
    let mut found: Option<Presented<'a>> = None;
    let mut also = |one: Presented<'a>| match found.replace(one) {
        Some(_) => Err(Refusal::credential_ambiguous()),
        None => Ok(()),
    };
    for dialect in &policy.dialects {
        if let Some(key) = ApiKey::detect(dialect, req)? {
            also(Presented::key(SchemeName::ApiKey, dialect, key))?;
        }
        if let Some(key) = Publishable::detect(dialect, req)? {
            also(Presented::key(SchemeName::Publishable, dialect, key))?;
        }
        if dialect.avanan
            && let Some(signature) = avanan::detect(req)?
        {
            let shown = Shown::Avanan(Box::new(signature));
            also(Presented { scheme: SchemeName::Avanan, dialect, shown })?;
        }
    }
    if policy.bearer
        && let Some(token) = bearer::detect(req)?
    {
        also(Presented { scheme: SchemeName::Bearer, dialect: api.dialect, shown: Shown::Bearer(token) })?;
    }
    for known in &policy.signings {
        let own = api.signing.iter().find(|s| s.config.same_names(&known.config));
        let signing: &'a Signing = own.unwrap_or(known);
        if let Some(signature) = escher::parse(&signing.config, req)? {
            let shown = Shown::Signature(signing, Box::new(signature));
            also(Presented { scheme: SchemeName::Escher, dialect: signing.dialect, shown })?;
        }
    }
    Ok(found)
}
