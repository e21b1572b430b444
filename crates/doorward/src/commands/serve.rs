//! `doorward serve`.
use crate::config::{self, Config};
use crate::place;
use crate::role::Role;
use crate::run::Node;
use crate::{Failure, files};
use doorward_store::Purpose;
use std::path::Path;

pub(super) async fn run(file: &Path, role: Option<Role>, ready_file: Option<&Path>) -> Result<(), Failure> {
    let mut config = config::load_as(file, role)?;
    if config.role == Role::Control {
        turn_away_callers(&mut config);
    }
    let opened = place::open_configured(&config.store, Purpose::Own).await?;
    let mut node = Node::start(&config, opened).await?;
    tracing::info!(
        node = config.name,
        role = config.role.name(),
        addresses = %node.addresses,
        "listening"
    );
    if !node.ready().await {
        return node.stop().await;
    }
    if let Some(ready_file) = ready_file {
        let told = serde_json::to_vec(&node.addresses)?;
        files::replace(ready_file, &told, files::PUBLIC_MODE)
            .map_err(|e| format!("{}: {e}", ready_file.display()))?;
    }
    tracing::info!("ready");
    node.until_told().await;
    node.stop().await
}

/// A control node may share its settings with gateways, and leaves alone what is for callers.
fn turn_away_callers(config: &mut Config) {
    let listen = &mut config.listen;
    if listen.plain.take().is_some() | listen.tls.take().is_some() {
        tracing::info!("a control node takes no callers: `listen.plain` and `listen.tls` are left aside");
    }
    if listen.operations.is_none() {
        tracing::warn!(
            "a control node without `listen.operations` can't be watched: nothing tells whether it is ready"
        );
    }
}
