//! `doorward serve`.
use crate::place;
use crate::run::Node;
use crate::{Failure, config, files};
use doorward_store::Purpose;
use std::path::Path;

pub(super) async fn run(file: &Path, ready_file: Option<&Path>) -> Result<(), Failure> {
    let config = config::load(file)?;
    let opened = place::open_configured(&config.store, Purpose::Own).await?;
    let mut node = Node::start(&config, opened).await?;
    tracing::info!(node = config.name, addresses = %node.addresses, "listening");
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
