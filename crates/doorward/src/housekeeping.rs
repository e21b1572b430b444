//! What is over is taken out of the store, by the nodes whose role that is.
use crate::config::Tokens;
use crate::outage::Outage;
use crate::{clock, token_keys};
use doorward_core::live::Live;
use doorward_core::time::UnixMillis;
use doorward_core::token_keys::{Turn, VERIFY_MS};
use doorward_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How often. Secrets that may no longer be shown are not shown in between either.
const EVERY: Duration = Duration::from_secs(60);
/// A node that was not seen for so many milliseconds is no longer of interest: a day.
const FORGET_AFTER_MS: i64 = 24 * 60 * 60 * 1000;
/// Who changes the keys of tokens when their time has come, as the change table tells.
pub(crate) const ACTOR: &str = "doorward";

/// Looks after the store, for ever. Several nodes may do so at once.
pub(crate) async fn keep(store: Store, live: Arc<Live>, tokens: Tokens) {
    let (mut erasing, mut forgetting) = (Outage::default(), Outage::default());
    let (mut sweeping, mut turning) = (Outage::default(), Outage::default());
    let mut making = Outage::default();
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        let now = clock::now();
        match store.erase_closed(now).await {
            Ok(_) => erasing.over(),
            Err(e) => erasing.goes_on(&live, "secrets that may no longer be shown can't be erased", &e),
        }
        match forget(&store, now).await {
            Ok(()) => forgetting.over(),
            Err(e) => forgetting.goes_on(&live, "nodes that are long gone can't be taken off the list", &e),
        }
        match sweep(&store, now).await {
            Ok(()) => sweeping.over(),
            Err(e) => sweeping.goes_on(&live, "tokens that have expired can't be removed", &e),
        }
        match turn(&store, now).await {
            Ok(()) => turning.over(),
            Err(e) => turning.goes_on(&live, "the keys of tokens can't take their turns", &e),
        }
        token_keys::make(&store, &tokens, &mut making, &live).await;
    }
}

/// Forgets what this node need not know any more, for ever.
pub(crate) async fn forget_revoked(live: Arc<Live>) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        let gone = live.forget_tokens(clock::now());
        tracing::debug!(gone, left = live.tokens.revoked(), "revoked tokens that have expired are forgotten");
    }
}

async fn sweep(store: &Store, now: UnixMillis) -> Result<(), StoreError> {
    let (tokens, guesses) = (store.sweep_tokens(now).await?, store.sweep_guesses(now).await?);
    tracing::debug!(tokens, guesses, "what has expired is removed");
    Ok(())
}

/// A store that was moved goes on elsewhere, and so do its keys.
async fn turn(store: &Store, now: UnixMillis) -> Result<(), StoreError> {
    let turns = match store.settle_token_keys(ACTOR, now, VERIFY_MS).await {
        Err(StoreError::Moved(_)) => return Ok(()),
        done => done?,
    };
    for turn in turns {
        match turn {
            Turn::Sign(kid) => tracing::info!(kid, "tokens are signed with another key"),
            Turn::Retire(kid, until) => tracing::info!(kid, %until, "a key signs no more tokens"),
            Turn::Remove(kid) => tracing::info!(kid, "a key verifies no more tokens, and is removed"),
        }
    }
    Ok(())
}

async fn forget(store: &Store, now: UnixMillis) -> Result<(), StoreError> {
    let gone = store.forget_nodes(UnixMillis(now.0.saturating_sub(FORGET_AFTER_MS))).await?;
    if gone > 0 {
        tracing::info!("{gone} nodes that were not seen for a day are off the list");
    }
    Ok(())
}
