//! Access tokens: what one of each dialect is, how it is issued, and how it is taken.
//!
//! A token is signed, and any node takes it without asking. What changes travels: the keys, the tokens that were revoked,
//! and the credentials, each of which carries the number that its tokens have to name.
pub mod cache;
mod check;
mod issue;
mod issuer;
mod jti;
mod record;
mod revoked;
mod tokens;

pub use cache::Cache;
pub use check::{
    Audience, Client, FUTURE_MS, TokenFault, Verified, Why, accept, alive, check, client_alive, read,
};
pub use issue::{Asker, Grant, IssueFault, Issued, MAX_LABEL_CHARS, MAX_RESOURCES, generation, issue};
pub use issuer::Issuer;
pub use jti::{JTI_BYTES, Jti};
pub use record::{AudienceRule, RECORDS, TokenRecord};
pub use revoked::KEPT_AFTER_EXPIRY_MS;
pub use tokens::{Tokens, Trust};
