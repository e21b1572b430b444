//! What Avanan's rules ask for beside the signature: a token, and that no id of a request comes twice.
use super::{Refusal, World, bearer};
use crate::credential::Credential;
use crate::policy::{Endpoint, Route};
use crate::ports::{Once, OnceBy, Window};
use crate::reason::Reason;
use crate::schemes::avanan::{Presented, SKEW_MS};
use crate::schemes::escher;
use crate::secret::Keys;
use crate::time::UnixMillis;
use crate::token::alive;

/// Whether the token is one of this dialect that was given to who signed, and is good still. Where tokens are given, none is
/// needed, and one that is sent says nothing.
pub(super) fn token(
    presented: &Presented<'_>,
    route: &Route,
    credential: &Credential,
    now: UnixMillis,
    world: World<'_>,
) -> Result<(), Refusal> {
    if route.local == Some(Endpoint::Token) {
        return Ok(());
    }
    let Some(token) = presented.token() else {
        return Err(Refusal::malformed("token-missing", "x-av-token is missing."));
    };
    let token = bearer::verified(token, |record| record.dialect == credential.dialect.name, &[], now, world)?;
    if *token.subject != *credential.id {
        let refusal = Refusal::new(Reason::TokenInvalid, "token-of-another-caller");
        return Err(refusal.saying("The token was given to another caller than the one who signed."));
    }
    alive(&token, credential.tokens_since).map_err(|_| Refusal::new(Reason::TokenRevoked, "all-revoked"))
}

/// What the ledger is asked. What is signed tells requests apart by their id alone.
pub(super) fn once(presented: &Presented<'_>, credential: &Credential, keys: &Keys) -> Once {
    Once {
        key: keys.ledger_key(OnceBy::Nonce, &credential.id, presented.req_id().as_bytes()),
        window: Window::new(presented.date(), SKEW_MS, SKEW_MS),
        owner: escher::shares(keys, credential),
    }
}
