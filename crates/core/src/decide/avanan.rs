//! What Avanan's rules ask for beside the signature: a token, and that no id of a request comes twice.
use super::Refusal;
use crate::credential::Credential;
use crate::policy::{Endpoint, Route};
use crate::ports::{Once, OnceBy, Window};
use crate::reason::Reason;
use crate::schemes::avanan::{Presented, SKEW_MS};
use crate::schemes::escher;
use crate::secret::Keys;

/// Whether the token belongs to who signed. Where tokens are given, none is needed, and one that is sent says nothing.
///
/// Nobody here can judge one yet, so none is good enough.
pub(super) fn token(presented: &Presented<'_>, route: &Route) -> Result<(), Refusal> {
    match (presented.token(), route.local) {
        (_, Some(Endpoint::Token)) => Ok(()),
        (None, _) => Err(Refusal::malformed("token-missing", "x-av-token is missing.")),
        (Some(_), _) => Err(Refusal::new(Reason::CredentialInvalid, "token-not-judged")),
    }
}

/// What the ledger is asked. What is signed tells requests apart by their id alone.
pub(super) fn once(presented: &Presented<'_>, credential: &Credential, keys: &Keys) -> Once {
    Once {
        key: keys.ledger_key(OnceBy::Nonce, &credential.id, presented.req_id().as_bytes()),
        window: Window::new(presented.date(), SKEW_MS, SKEW_MS),
        owner: escher::shares(keys, credential),
    }
}
