//! Every verb that manages something, once. The command line calls these, and nothing else.
//!
//! Time and randomness are arguments. What is written is written in one transaction each, or not at all.
use doorward_core::document::Mistake;
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use doorward_store::{Store, StoreError};

pub mod captcha;
pub mod credentials;
mod draft;
mod enforcement;
pub mod import;
mod loosened;
pub mod networks;
pub mod nodes;
pub mod own;
pub mod policy;
pub mod readiness;
pub mod terms;
pub mod token_keys;
mod token_wish;
pub mod tokens;
mod view;

pub use draft::{Import, Password, Showing, Wanted};
pub use enforcement::ModeChange;
pub use loosened::Loosened;
pub use own::OwnWanted;
pub use terms::TermsWanted;
pub use view::{CredentialView, Revealed};

/// What every verb needs: where it is remembered, who acts, and when.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// Where everything is remembered.
    pub store: &'a Store,
    /// The keys of the store.
    pub keys: &'a Keys,
    /// Who acts, as the change table names it.
    pub actor: &'a str,
    /// When.
    pub now: UnixMillis,
}

/// Why a verb was not carried out. Nothing was written then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No such credential.
    #[error("there is no credential `{0}`")]
    UnknownCredential(String),
    /// No such workspace.
    #[error("there is no workspace `{0}`")]
    UnknownWorkspace(String),
    /// No such API.
    #[error("there is no API `{0}`")]
    UnknownApi(String),
    /// The secret can't be shown again.
    #[error("the secret of `{0}` can't be shown any more; `regenerate` makes a new one")]
    NotShownAgain(String),
    /// It has a password, which nobody can show, and which only whoever chose it replaces.
    #[error("`{0}` is a user: its password is never shown; `doorward credential password` sets another one")]
    HasPassword(String),
    /// What was asked about captchas is wrong: every mistake, a sentence each.
    #[error("{}", .0.join("\n"))]
    Captcha(Vec<String>),
    /// What was asked about tokens or their keys can't be done: a sentence.
    #[error("{0}")]
    Token(String),
    /// What was asked for a credential is wrong: every mistake, a sentence each.
    #[error("{}", .0.join("\n"))]
    Credential(Vec<String>),
    /// A policy that can't be taken: every mistake, with its line where there is one.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policy(Vec<Mistake>),
}

#[cfg(test)]
mod tests;
