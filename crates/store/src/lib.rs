//! What is remembered: workspaces, APIs, credentials, and one table of all changes, which is feed and audit in one.
//! Nodes follow it; nobody asks it during a request.
//!
//! The SQL is the same for every engine: `$1` placeholders, integers for time and booleans, `RETURNING`,
//! `ON CONFLICT`. Where engines differ, [`engine`] says how.
mod address;
mod anonymous;
mod backup;
mod captcha;
mod changes;
mod check;
mod connect;
mod copy;
mod credentials;
mod display;
mod engine;
mod error;
mod facts;
mod file;
pub mod follow;
mod follow_tokens;
mod guess;
mod issue;
mod issuer;
mod keyring;
pub mod ledger;
pub mod limits;
mod list;
mod load;
mod nodes;
mod objects;
mod observed;
mod open;
mod record;
mod relocate;
mod reseal;
mod restore;
mod rotate;
mod row;
mod schema;
mod server;
mod signing;
mod tables;
mod token_keys;
mod tokens;
mod write;

use doorward_core::credential::Credential;
use doorward_core::keyring::MasterKey;
use doorward_core::password::PasswordHash;
use doorward_core::policy::draft::Draft;
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use sqlx::AnyPool;
use std::sync::Arc;

pub use address::{Address, Server};
pub use backup::Backup;
pub use captcha::Captcha;
pub use changes::Change;
pub use check::Report;
pub use credentials::{NewCredential, Terms};
pub use display::Display;
pub use error::StoreError;
pub use facts::Fact;
pub use issue::{NewToken, NotIssued, SecretSeen};
pub use issuer::{IssueError, Issuer};
pub use list::Filter;
pub use nodes::Node;
pub use observed::Observation;
pub use open::Purpose;
pub use relocate::{Counts, Moved, Target};
pub use restore::Incoming;
pub use rotate::{Rotated, Rotation};
pub use token_keys::NewTokenKey;
pub use tokens::{LISTED_AFTER_EXPIRY_MS, Token, TokenFilter};
pub use write::Write;

/// An open store. Clones share their connections.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    master: Arc<MasterKey>,
    keys: Arc<Keys>,
    engine: engine::Engine,
    connector: connect::Connector,
    /// Where it is one.
    file: Option<Arc<file::OpenedFile>>,
    /// Names this installation; the first change's MAC stands on it.
    installation: Arc<str>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.installation)
    }
}

/// How far the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Names one unbroken history. A restore starts another.
    pub epoch: String,
    /// The last change; 0 before the first one.
    pub seq: i64,
}

/// Everything that decisions need, as of one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The instant.
    pub head: Head,
    /// Workspaces and APIs, each in the order of their ids.
    pub policy: Draft,
    /// Credentials in the order of their ids.
    pub credentials: Vec<Credential>,
}

/// A credential, and what is known about it besides.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The credential. In lists it comes without the secret that it signs with.
    pub credential: Credential,
    /// Counts its secrets: 1 at creation, one more with each regeneration.
    pub secret_version: i64,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last used, as far as nodes have told yet.
    pub last_used: Option<UnixMillis>,
    /// When its present secret was last seen over plain HTTP.
    pub exposed_at: Option<UnixMillis>,
    /// The hash of its password, where it is a user. In lists it comes without.
    pub password: Option<PasswordHash>,
}
