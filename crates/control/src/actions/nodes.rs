//! The nodes of an installation, judged by when they were last seen.
use super::{Desk, Error};
use doorward_core::time::UnixMillis;
use doorward_store::Node;
use serde::Serialize;
use std::collections::BTreeMap;

/// A node that has not been seen for so many milliseconds was killed, or is cut off from the store. It tells that it runs
/// every few seconds.
pub const LOST_AFTER_MS: i64 = 60_000;
/// A running node that has not heard from the store for so many milliseconds obeys old rules. It asks several times a
/// second.
pub const STALE_AFTER_MS: i64 = 10_000;

/// What has become of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It runs and follows the store.
    Up,
    /// It runs, and has not read the store yet, or not for a while.
    Stale,
    /// It was not seen for [`LOST_AFTER_MS`].
    Lost,
}

impl NodeState {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            NodeState::Up => "up",
            NodeState::Stale => "stale",
            NodeState::Lost => "lost",
        }
    }
}

/// A node as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeView {
    /// For people.
    pub name: String,
    /// Made anew at each start.
    pub id: String,
    /// Of its program.
    pub version: String,
    /// `gateway`, `control` or `all`.
    pub role: String,
    /// Where it runs.
    pub region: Option<String>,
    /// By its own clock.
    #[serde(serialize_with = "instant")]
    pub started_at: UnixMillis,
    /// By its own clock.
    #[serde(serialize_with = "instant")]
    pub seen_at: UnixMillis,
    /// By the clock of whoever asks. A node whose clock is ahead was seen just now.
    pub seen_ago_ms: i64,
    /// The last change that it obeyed when it was seen.
    pub seq: i64,
    /// Changes that there are now and that it did not obey then.
    pub behind: i64,
    /// How old what it decided from was when it was seen; `None`: it had read nothing yet.
    pub directory_age_ms: Option<i64>,
    /// What has become of it.
    pub state: NodeState,
}

fn instant<S: serde::Serializer>(at: &UnixMillis, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(at)
}

/// All nodes, by name.
///
/// # Errors
/// The store fails.
pub async fn list(desk: Desk<'_>) -> Result<Vec<NodeView>, Error> {
    let nodes = desk.store.nodes().await?;
    // Asked after the nodes, so that none is ahead of it.
    let head = desk.store.head().await?.seq;
    Ok(nodes.into_iter().map(|node| view(node, head, desk.now)).collect())
}

fn view(node: Node, head: i64, now: UnixMillis) -> NodeView {
    let seen_ago_ms = now.0.saturating_sub(node.seen_at.0).max(0);
    let state = if seen_ago_ms >= LOST_AFTER_MS {
        NodeState::Lost
    } else if node.age_ms.is_none_or(|age| age >= STALE_AFTER_MS) {
        NodeState::Stale
    } else {
        NodeState::Up
    };
    NodeView {
        name: node.name,
        id: node.id,
        version: node.version,
        role: node.role,
        region: node.region,
        started_at: node.started_at,
        seen_at: node.seen_at,
        seen_ago_ms,
        seq: node.seq,
        behind: head.saturating_sub(node.seq).max(0),
        directory_age_ms: node.age_ms,
        state,
    }
}

/// Names that several running nodes have, each with how many. A lost node does not count: its successor has its name.
#[must_use]
pub fn shared_names(nodes: &[NodeView]) -> Vec<(&str, usize)> {
    let mut running = BTreeMap::<&str, usize>::new();
    for node in nodes.iter().filter(|node| node.state != NodeState::Lost) {
        *running.entry(&node.name).or_default() += 1;
    }
    running.into_iter().filter(|(_, count)| *count > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, seen_at: i64, age_ms: Option<i64>) -> Node {
        Node {
            id: "0123".to_owned(),
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            role: "all".to_owned(),
            region: None,
            started_at: UnixMillis(1_000),
            seen_at: UnixMillis(seen_at),
            seq: 7,
            age_ms,
        }
    }

    #[test]
    fn a_state_follows_from_when_it_was_seen_and_how_old_its_directory_was() {
        let now = UnixMillis(1_000_000);
        for (seen_at, age_ms, ago, state) in [
            (999_000, Some(80), 1_000, NodeState::Up),
            (940_001, Some(9_999), 59_999, NodeState::Up),
            (940_000, Some(80), 60_000, NodeState::Lost),
            (999_000, Some(10_000), 1_000, NodeState::Stale),
            (999_000, None, 1_000, NodeState::Stale),
            (0, None, 1_000_000, NodeState::Lost),
            // Clocks differ: ahead of ours is now.
            (1_500_000, Some(80), 0, NodeState::Up),
            (i64::MIN, Some(80), i64::MAX, NodeState::Lost),
        ] {
            let seen = view(node("n", seen_at, age_ms), 9, now);
            assert_eq!((seen.seen_ago_ms, seen.state, seen.behind), (ago, state, 2), "{seen_at} {age_ms:?}");
        }
        assert_eq!(view(node("n", 0, None), 3, now).behind, 0, "the store was restored to an earlier state");
        let json = serde_json::to_value(view(node("n", 999_000, None), 7, now)).unwrap();
        assert_eq!((&json["state"], &json["directory_age_ms"]), (&"stale".into(), &serde_json::Value::Null));
        assert_eq!(json["seen_at"], "1970-01-01T00:16:39.000Z");
    }

    #[test]
    fn only_running_nodes_share_a_name() {
        let now = UnixMillis(1_000_000);
        let nodes = [("a", now.0), ("b", now.0), ("b", 0), ("c", now.0), ("c", now.0), ("c", 0)];
        let nodes = nodes.map(|(name, seen_at)| view(node(name, seen_at, None), 7, now));
        assert_eq!(shared_names(&nodes), [("c", 2)]);
    }
}
