//! A ledger on a Redis server, for any number of nodes.
use super::told::Told;
use crate::Failure;
use crate::password;
use doorward_core::live::Live;
use doorward_store::ledger::{Keeper, LedgerError, RedisAddress, RedisServer};
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The server that the settings name.
///
/// # Errors
/// A file that they name can't be used.
pub(crate) fn server(
    url: &RedisAddress,
    password_file: Option<&Path>,
    ca_file: Option<&Path>,
) -> Result<RedisServer, Failure> {
    let password = password_file.map(|file| password::load(file, "ledger")).transpose()?;
    let read =
        |file: &Path| std::fs::read(file).map_err(|e| format!("ledger.ca_file: {}: {e}", file.display()));
    Ok(RedisServer::new(url.clone(), password, ca_file.map(read).transpose()?))
}

/// Tries once, so that what no waiting mends ends the start; then looks after it in a task.
///
/// # Errors
/// The server is none that can hold a ledger.
pub(super) async fn start(keeper: Keeper, live: Arc<Live>) -> Result<JoinHandle<()>, Failure> {
    let mut told = Told::default();
    match keeper.open().await {
        Err(e @ LedgerError::Unfit { .. }) => return Err(e.into()),
        opened => told.of(&live, opened),
    };
    Ok(tokio::spawn(async move {
        keeper
            .keep(|tried| {
                told.of(&live, tried);
            })
            .await;
    }))
}
