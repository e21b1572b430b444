//! The token server: it gives tokens for credentials, tells about them, revokes them, and publishes what they are verified
//! with. Each dialect has its own words for it; what happens is the same.
//!
//! Nothing here listens to anybody: whoever does hands over an [`Asked`] and sends the [`Answer`].
mod allowed;
mod antavo;
mod asked;
mod avanan;
mod client;
mod dead;
mod fault;
mod form;
mod issue;
mod keys;
mod metadata;
mod password;
mod pool;
mod room;
mod scope;
mod seen;
mod standard;
mod vista;
mod voucherify;

#[cfg(test)]
mod tests;

pub use asked::{Answer, Asked, Outcome};
pub use password::PasswordRules;
pub(crate) use scope::is_given;
pub(crate) use standard::is_resource;

use doorward_core::decide::Refusal;
use doorward_core::jwt::Algorithm;
use doorward_core::live::Live;
use doorward_core::policy::Endpoint;
use doorward_core::reason::Reason;
use doorward_core::token::Issuer as Name;
use doorward_store::{Issuer, Store};
use std::fmt;
use std::sync::Arc;

/// How tokens are given.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How standard tokens are signed. Other dialects leave no choice.
    pub algorithm: Algorithm,
    /// How passwords are tried.
    pub passwords: PasswordRules,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { algorithm: Algorithm::Es256, passwords: PasswordRules::default() }
    }
}

/// The token server of one node.
pub struct Server {
    store: Store,
    live: Arc<Live>,
    issuer: Issuer,
    keys: keys::Signers,
    passwords: password::Passwords,
    random: fn(&mut [u8]),
    settings: Settings,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({:?})", self.live.tokens.issuer())
    }
}

impl Server {
    /// Starts a token server on the runtime that this is called on. `random` gives random bytes.
    ///
    /// # Errors
    /// The system gives no threads for passwords.
    pub fn start(
        store: Store,
        live: Arc<Live>,
        settings: Settings,
        random: fn(&mut [u8]),
    ) -> std::io::Result<Server> {
        let issuer = Issuer::start(store.clone());
        let passwords = password::Passwords::start(settings.passwords)?;
        Ok(Server { store, live, issuer, keys: keys::Signers::default(), passwords, random, settings })
    }

    /// Answers a request: in the endpoint's own words, or with a refusal that is told as the API tells all others.
    ///
    /// # Errors
    /// That refusal: there is no such endpoint, no issuer, or the store is away.
    pub async fn answer(&self, asked: &Asked) -> Outcome {
        if self.live.tokens.issuer().is_none() {
            return Err(Refusal::new(Reason::Unavailable, "no-issuer"));
        }
        match (asked.endpoint, asked.dialect.name) {
            (Endpoint::Token, "standard") => standard::token(self, asked).await,
            (Endpoint::Introspect, "standard") => standard::introspect(self, asked),
            (Endpoint::Revoke, "standard") => standard::revoke(self, asked).await,
            (Endpoint::Token, "antavo") => antavo::token(self, asked).await,
            (Endpoint::Token, "voucherify") => voucherify::token(self, asked).await,
            (Endpoint::Introspect, "voucherify") => voucherify::introspect(self, asked),
            (Endpoint::Revoke, "voucherify") => voucherify::revoke(self, asked).await,
            (Endpoint::Token, "vista") => vista::token(self, asked).await,
            (Endpoint::Token, "avanan") => avanan::token(self, asked).await,
            (Endpoint::Metadata, "standard" | "vista") => metadata::document(self, asked),
            (Endpoint::Jwks, _) => metadata::jwks(self),
            (Endpoint::PublicKey, _) => avanan::public_key(self, asked),
            _ => Err(Refusal::new(Reason::RouteUnknown, "endpoint-not-of-this-dialect")),
        }
    }

    /// Whose name stands in every token.
    fn name(&self) -> Result<&Name, Refusal> {
        self.live.tokens.issuer().ok_or_else(|| Refusal::new(Reason::Unavailable, "no-issuer"))
    }
}
