//! Who calls with a token: what it says, whose it is, and whether that credential has not disowned it.
use super::prove::{Claimant, Proved};
use super::{Denial, Lease, Refusal, World};
use crate::credential::SchemeName;
use crate::jwt::JwtFault;
use crate::reason::Reason;
use crate::schemes::bearer;
use crate::time::UnixMillis;
use crate::token::{TokenFault, TokenRecord, Verified, Why, accept, alive, client_alive};
use std::sync::Arc;

/// Proves who calls with a token. What its credential may do now, the checks say.
pub(super) fn prove(
    presented: &bearer::Presented<'_>,
    c: &Claimant<'_>,
    world: World<'_>,
) -> Result<Proved, Denial> {
    let names = |record: &TokenRecord| c.api.names.iter().any(|dialect| dialect.name == record.dialect);
    let token = verified(presented.token, names, &c.api.audiences, c.req.now, world)?;
    let dead = |detail| Denial::from(Refusal::new(Reason::TokenRevoked, detail));
    let Some(credential) = world.directory.get(&token.subject) else {
        return Err(match world.lease {
            Lease::Unsure => Refusal::new(Reason::Unavailable, "store-away").into(),
            _ => dead("credential-gone"),
        });
    };
    if !credential.may_use(SchemeName::Bearer) {
        return Err(dead("other-scheme"));
    }
    alive(&token, credential.tokens_since).map_err(|_| dead("all-revoked"))?;
    if let Some(through) = &token.client {
        let client = world.directory.get(&through.id);
        if client.is_none() && world.lease == Lease::Unsure {
            return Err(Refusal::new(Reason::Unavailable, "store-away").into());
        }
        client_alive(&token, client.as_deref(), c.req.now).map_err(|_| dead("client-gone"))?;
    }
    // A workspace is only ever missing between two changes; the credential opens nothing until it is there.
    let Some(workspace) = world.policy.workspaces.get(&*credential.workspace) else {
        return Err(Refusal::new(Reason::TokenInvalid, "no-workspace").into());
    };
    Ok(Proved { credential, workspace: Arc::clone(workspace), proof: None, token: Some(token) })
}

/// Takes a token of one of the records that `takes` names, for one of the audiences.
pub(super) fn verified(
    token: &str,
    takes: impl Fn(&TokenRecord) -> bool,
    audiences: &[Box<str>],
    now: UnixMillis,
    world: World<'_>,
) -> Result<Arc<Verified>, Refusal> {
    let good = |token: &Verified| {
        if !takes(token.record) {
            return Err(TokenFault::Invalid(Why::Dialect));
        }
        accept(token, token.record, audiences, now, world.tokens)
    };
    world
        .seen_tokens
        .borrow_mut()
        .take(token, world.tokens, good)
        .map_err(|fault| refused(fault, world.lease))
}

/// What is said about a token that is not taken. What stood in it is known to whoever sent it, once a key of ours has signed
/// it; before that, nothing is told.
#[cold]
fn refused(fault: TokenFault, lease: Lease) -> Refusal {
    let why = match fault {
        TokenFault::Expired => return Refusal::new(Reason::TokenExpired, "token-expired"),
        TokenFault::Revoked => return Refusal::new(Reason::TokenRevoked, "token-revoked"),
        TokenFault::Invalid(why) => why,
    };
    let invalid = |detail| Refusal::new(Reason::TokenInvalid, detail);
    match why {
        // Another node may know the key already.
        Why::Jwt(JwtFault::UnknownKey) if lease == Lease::Unsure => {
            Refusal::new(Reason::Unavailable, "store-away")
        }
        Why::Jwt(JwtFault::UnknownKey) => invalid("token-key-unknown"),
        Why::Jwt(JwtFault::Algorithm) | Why::Algorithm => invalid("token-algorithm"),
        Why::Jwt(JwtFault::Signature) => invalid("token-signature"),
        Why::Jwt(JwtFault::HeaderMember(_)) => invalid("token-header-member"),
        Why::Jwt(JwtFault::Member(_)) => invalid("token-member"),
        Why::Jwt(_) => invalid("token-unreadable"),
        Why::NoIssuer => invalid("token-no-issuer"),
        Why::Issuer => invalid("token-issuer"),
        Why::Type => invalid("token-type"),
        Why::Life => invalid("token-life"),
        Why::Future => invalid("token-from-the-future").saying("The token was issued in the future."),
        Why::Dialect => invalid("token-of-another-api").saying("The token is for another API."),
        Why::Audience => invalid("token-audience").saying("The token is for another audience."),
    }
}
