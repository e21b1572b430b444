//! Tokens that are shown by somebody who asks about them, or wants them dead.
use super::{Asked, Server};
use doorward_core::credential::{Credential, Status};
use doorward_core::token::{Audience, TokenRecord, Verified, accept, alive, read};
use std::sync::Arc;

/// A token of ours, and whose it is.
pub(super) struct Seen {
    pub(super) token: Verified,
    pub(super) credential: Arc<Credential>,
}

impl Server {
    /// A token of the API's dialect that is good now, of a credential in the workspace of who asks. Nothing tells why not.
    pub(super) fn live_token(&self, asked: &Asked, text: &str, who: &Credential) -> Option<Seen> {
        let record = TokenRecord::of(asked.dialect.name)?;
        let tokens = &self.live.tokens;
        let token = read(text, tokens, &tokens.trust()).ok()?;
        // Whom it is for is looked at by who knows who asks.
        let own = match &token.audience {
            Audience::Resources(all) => all.to_vec(),
            Audience::Issuer | Audience::Dialects => Vec::new(),
        };
        accept(&token, record, &own, asked.now, tokens).ok()?;
        let credential = self.live.directory.get(&token.subject)?;
        alive(&token, credential.tokens_since).ok()?;
        let good = credential.workspace == who.workspace
            && credential.status == Status::Active
            && credential.expires_at.is_none_or(|at| asked.now < at)
            && self.live.policy.load().workspaces.contains_key(&*credential.workspace);
        good.then_some(Seen { token, credential })
    }
}

impl Seen {
    /// Whether it was given to a client.
    pub(super) fn belongs_to(&self, client: &Credential) -> bool {
        *self.token.client.as_deref().unwrap_or(&self.token.subject) == *client.id
    }
}
