//! How credentials are presented and proved: a file a scheme, each holding both directions.
//!
//! The law of every scheme: `verify(detect(sign(r)))` is Ok.
use crate::credential::{Credential, SchemeName};
use crate::decide::Refusal;
use crate::dialect::Dialect;
use crate::request::RequestView;
use crate::secret::Keys;

mod api_key;
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

/// What one of the schemes found.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The scheme.
    pub scheme: SchemeName,
    /// Whose names were used.
    pub dialect: &'static Dialect,
    /// The key.
    pub key: KeyPresented<'a>,
}

impl Presented<'_> {
    /// Whether it proves to be `known`.
    #[must_use]
    pub fn verify(&self, keys: &Keys, known: Option<&Credential>) -> bool {
        match self.scheme {
            SchemeName::ApiKey => ApiKey::verify(&self.key, keys, known),
            SchemeName::Publishable => Publishable::verify(&self.key, keys, known),
            SchemeName::Escher => false,
        }
    }
}

/// Asks every scheme of every configured dialect. `None`: nobody recognised anything.
///
/// # Errors
/// `credential_malformed` as soon as a scheme recognises its own and can't read it, `credential_ambiguous` for a second
/// credential.
pub fn detect<'a>(
    dialects: &[&'static Dialect],
    req: &RequestView<'a>,
) -> Result<Option<Presented<'a>>, Refusal> {
    let mut found: Option<Presented<'a>> = None;
    for dialect in dialects {
        let api_key = ApiKey::detect(dialect, req)?.map(|key| (SchemeName::ApiKey, key));
        let publishable = Publishable::detect(dialect, req)?.map(|key| (SchemeName::Publishable, key));
        for (scheme, key) in api_key.into_iter().chain(publishable) {
            if found.replace(Presented { scheme, dialect, key }).is_some() {
                return Err(Refusal::credential_ambiguous());
            }
        }
    }
    Ok(found)
}
