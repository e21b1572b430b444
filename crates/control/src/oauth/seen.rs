//! Tokens that are shown by somebody who asks about them, or wants them dead.
use super::fault::Fault;
use super::{Asked, Server};
use doorward_core::credential::{Credential, SchemeName, Status};
use doorward_core::jwt::JwtFault;
use doorward_core::policy::Scopes;
use doorward_core::reason::Reason;
use doorward_core::scope::{By, Granted};
use doorward_core::token::{
    Audience, TokenFault, TokenRecord, Verified, Why, accept, alive, client_alive, read,
};
use std::sync::Arc;

/// A token of ours, and whose it is.
pub(super) struct Seen {
    pub(super) token: Verified,
    pub(super) credential: Arc<Credential>,
    /// What the credential may do by its role, if it has one.
    pub(super) role: Option<Scopes>,
}

impl Server {
    /// What this node does not know may be there all the same, while the store does not answer.
    fn unknown<T>(&self) -> Result<Option<T>, Fault> {
        if self.live.store().0 { Ok(None) } else { Err(Fault::away(Reason::Unavailable, "store-away")) }
    }

    /// A token of the API's dialect, of a credential in the workspace of who asks, that may be good at some time: it has not
    /// expired and was not revoked. Whether its credential is blocked now is not asked.
    pub(super) fn token_shown(
        &self,
        asked: &Asked,
        text: &str,
        who: &Credential,
    ) -> Result<Option<Seen>, Fault> {
        let tokens = &self.live.tokens;
        let token = match read(text, tokens, &tokens.trust()) {
            Ok(token) => token,
            // Another node may know the key already.
            Err(TokenFault::Invalid(Why::Jwt(JwtFault::UnknownKey))) => return self.unknown(),
            Err(_) => return Ok(None),
        };
        let over = asked.now.0 >= token.expires_s * 1000 || tokens.is_revoked(token.jti);
        if token.record.dialect != asked.dialect.name || over {
            return Ok(None);
        }
        let Some(credential) = self.live.directory.get(&token.subject) else { return self.unknown() };
        let ours = credential.workspace == who.workspace && alive(&token, credential.tokens_since).is_ok();
        let policy = self.live.policy.load();
        let of_role = policy.workspaces.get(&*credential.workspace).and_then(|w| w.role_scopes(&credential));
        let role = credential.role().map(|_| of_role.cloned().unwrap_or_default());
        Ok(ours.then_some(Seen { token, credential, role }))
    }

    /// One that is good now. Nothing tells why not.
    pub(super) fn live_token(
        &self,
        asked: &Asked,
        text: &str,
        who: &Credential,
    ) -> Result<Option<Seen>, Fault> {
        let Some(seen) = self.token_shown(asked, text, who)? else { return Ok(None) };
        let Seen { token, credential, .. } = &seen;
        let client = match &token.client {
            None => None,
            Some(client) => match self.live.directory.get(&client.id) {
                None => return self.unknown(),
                known => known,
            },
        };
        // Whom it is for is looked at by who knows who asks.
        let own = match &token.audience {
            Audience::Resources(all) => all.to_vec(),
            Audience::Issuer | Audience::Dialects => Vec::new(),
        };
        let record = TokenRecord::of(asked.dialect.name);
        let good = record.is_some_and(|r| accept(token, r, &own, asked.now, &self.live.tokens).is_ok())
            && client_alive(token, client.as_deref(), asked.now).is_ok()
            && credential.may_use(SchemeName::Bearer)
            && credential.status == Status::Active
            && credential.expires_at.is_none_or(|at| asked.now < at)
            && self.live.policy.load().workspaces.contains_key(&*credential.workspace);
        Ok(good.then_some(seen))
    }
}

impl Seen {
    /// Whether it was given to a client.
    pub(super) fn belongs_to(&self, client: &Credential) -> bool {
        *self.token.client.as_ref().map_or(&self.token.subject, |client| &client.id) == client.id
    }

    /// What it opens now: the names in its scope that its credential still has. `None` where such tokens don't say.
    pub(super) fn scope(&self) -> Option<String> {
        let Seen { token, credential, role } = self;
        let granted = Granted {
            rule: credential.dialect.scopes,
            by: By::Token(token.scope.as_deref()),
            credential: &credential.scopes,
            role: role.as_deref(),
        };
        granted.narrowed().or_else(|| token.scope.as_deref().map(str::to_owned))
    }
}
