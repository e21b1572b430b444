//! The keys that tokens are signed with are made when a node first needs them.
use crate::clock;
use crate::config::Tokens;
use crate::housekeeping::ACTOR;
use crate::outage::Outage;
use doorward_control::actions::{Desk, Error, token_keys};
use doorward_core::live::Live;
use doorward_store::{Store, StoreError};

/// Sees that there is a key for each way in which tokens are signed. A node that can't make one goes on: other nodes may
/// have theirs, and the next turn tries again.
pub(crate) async fn make(store: &Store, tokens: &Tokens, outage: &mut Outage, live: &Live) {
    if tokens.issuer.is_none() {
        return;
    }
    let keys = store.keys();
    let desk = Desk { store, keys: &keys, actor: ACTOR, now: clock::now() };
    match token_keys::ensure(desk, &token_keys::needed(tokens.algorithm)).await {
        Ok(made) => {
            for key in made {
                tracing::info!(kid = key.kid, algorithm = key.algorithm, "a key that signs tokens was made");
            }
            outage.over();
        }
        // A store that was moved goes on elsewhere, and so do its keys.
        Err(Error::Store(StoreError::Moved(_))) => {}
        Err(Error::Store(e)) => outage.goes_on(live, "the keys that sign tokens can't be made", &e),
        Err(e) => tracing::error!(error = %e, "the keys that sign tokens can't be made"),
    }
}
