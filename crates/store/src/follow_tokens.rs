//! Keeps what a node knows about tokens in step with the store: the keys that they are signed with, and those that were
//! revoked.
use crate::changes::{self, Change};
use crate::connect::{ANSWER_MS, within};
use crate::token_keys::{self, Opening, with_private};
use crate::{Store, StoreError, tokens};
use doorward_core::live::Live;
use doorward_core::time::UnixMillis;
use doorward_core::token::Jti;
use doorward_core::token_keys::{TokenKey, TokenKeys};
use sqlx::{AnyConnection, Connection as _};

/// A change that revoked a token.
pub(crate) fn revoke(live: &Live, change: &Change) {
    match Jti::parse(&change.id) {
        Some(jti) => live.tokens.revoke(jti, tokens::expiry(change.before.as_deref())),
        // No token has such a name, so none lives on.
        None => tracing::error!(seq = change.seq, "a revoked token can't be read"),
    }
}

/// Brings in the keys that tokens are signed with, as of one instant with what they are sealed with.
pub(crate) async fn keys(
    store: &Store,
    live: &Live,
    conn: &mut AnyConnection,
    (epoch, now): (&str, UnixMillis),
) -> Result<(), StoreError> {
    within(ANSWER_MS, async {
        let mut tx = conn.begin_with(store.engine.begin_read()).await?;
        store.follow_keys(&mut tx).await?;
        let keys = read_keys(store, live, &mut tx).await?;
        tx.rollback().await?;
        take(live, keys, epoch, now);
        Ok(())
    })
    .await
}

/// Has tokens signed with these keys taken, and no others.
pub(crate) fn take(live: &Live, keys: TokenKeys, epoch: &str, now: UnixMillis) {
    for kid in live.take_token_keys(keys, epoch, now) {
        tracing::error!(
            kid,
            "the public half of the token key can't be read; tokens signed with it are refused"
        );
    }
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

impl Store {
    /// Brings in what tokens are held to now, for whoever does not follow the store: the keys, the epoch, and those that
    /// were revoked.
    ///
    /// # Errors
    /// The store fails.
    pub async fn load_tokens(&self, live: &Live, now: UnixMillis) -> Result<(), StoreError> {
        let conn = &mut *within(ANSWER_MS, async { Ok(self.pool.acquire().await?) }).await?;
        let epoch = within(ANSWER_MS, changes::mark(conn)).await?.epoch;
        keys(self, live, conn, (&epoch, now)).await?;
        live.tokens.revoke_only(tokens::revoked(conn).await?);
        Ok(())
    }
}
