//! Keeps what a node knows about tokens in step with the store: the keys that they are signed with, and those that were
//! revoked.
use crate::changes::Change;
use crate::connect::{ANSWER_MS, within};
use crate::token_keys::{self, Opening, with_private};
use crate::{Store, StoreError, tokens};
use doorward_core::live::Live;
use doorward_core::revocation::TokenId;
use doorward_core::token_keys::{TokenKey, TokenKeys};
use sqlx::{AnyConnection, Connection as _};
use std::sync::Arc;

/// A change that revoked a token.
pub(crate) fn revoke(live: &Live, change: &Change) {
    match change.id.parse::<TokenId>() {
        Ok(id) => live.revoked.put(id, tokens::expiry(change.before.as_deref())),
        // No token has such an id, so none lives on.
        Err(why) => tracing::error!(seq = change.seq, %why, "a revoked token can't be read"),
    }
}

/// Brings in the keys that tokens are signed with, as of one instant with what they are sealed with.
pub(crate) async fn keys(store: &Store, live: &Live, conn: &mut AnyConnection) -> Result<(), StoreError> {
    within(ANSWER_MS, async {
        let mut tx = conn.begin_with(store.engine.begin_read()).await?;
        store.follow_keys(&mut tx).await?;
        let keys = read_keys(store, live, &mut tx).await?;
        tx.rollback().await?;
        live.token_keys.store(Arc::new(keys));
        Ok(())
    })
    .await
}

/// The keys that tokens are signed with. One that does not open signs nothing, and verifies nothing either: anybody may
/// have put it there. But where this node can't learn what it is sealed with now, it keeps what it opened before.
pub(crate) async fn read_keys(
    store: &Store,
    live: &Live,
    conn: &mut AnyConnection,
) -> Result<TokenKeys, StoreError> {
    let (seals, known) = (store.keys.seals(), live.token_keys.load_full());
    let mut keys = Vec::new();
    for kept in token_keys::all(conn).await? {
        let kept = match kept {
            Ok(kept) => kept,
            Err(StoreError::Damaged(why)) => {
                tracing::error!(%why, "a token key can't be read, and is not used");
                continue;
            }
            Err(other) => return Err(other),
        };
        let opened = match kept.open(&seals) {
            Opening::Opened(private) => Some(with_private(kept.key.clone(), private)),
            Opening::OtherKey => opened_before(&known, &kept.key),
            Opening::Broken => None,
        };
        match opened {
            Some(key) => keys.push(key),
            None => tracing::error!(
                kid = kept.key.kid,
                "the token key does not open, and is not used; tokens signed with it are refused"
            ),
        }
    }
    Ok(TokenKeys(keys))
}

fn opened_before(known: &TokenKeys, now: &TokenKey) -> Option<TokenKey> {
    let same = |old: &&TokenKey| old.algorithm == now.algorithm && old.public_jwk == now.public_jwk;
    let private = known.get(&now.kid).filter(same)?.private.clone();
    Some(TokenKey { private, ..now.clone() })
}
