//! `doorward node ...`.
use super::{ACTOR, print};
use crate::cli::Node;
use crate::{Failure, place};
use doorward_control::actions::nodes::{self, NodeView};

/// So much of an id tells nodes apart for people.
const SHORT_ID_CHARS: usize = 8;
const HEADINGS: [&str; 10] =
    ["NAME", "ID", "VERSION", "ROLE", "REGION", "STARTED", "SEEN", "BEHIND", "DIRECTORY", "STATE"];

pub(super) async fn run(command: Node) -> Result<(), Failure> {
    let Node::List { place, output } = command;
    let opened = place::open(&place).await?;
    let all = nodes::list(opened.desk(ACTOR)).await?;
    for (name, count) in nodes::shared_names(&all) {
        tracing::warn!(
            "{count} running nodes have the name `{name}`; fine while one takes the other's place, else name each"
        );
    }
    if output.json {
        return Ok(all.iter().try_for_each(print::json)?);
    }
    if all.is_empty() {
        return Ok(print::line("no node has told this store that it runs")?);
    }
    Ok(print::table(&HEADINGS, all.iter().map(cells))?)
}

fn cells(node: &NodeView) -> Vec<String> {
    vec![
        node.name.clone(),
        node.id.chars().take(SHORT_ID_CHARS).collect(),
        node.version.clone(),
        node.role.clone(),
        node.region.clone().unwrap_or_else(|| "-".to_owned()),
        node.started_at.to_string(),
        format!("{} ago", span(node.seen_ago_ms)),
        node.behind.to_string(),
        node.directory_age_ms.map_or_else(|| "-".to_owned(), span),
        node.state.name().to_owned(),
    ]
}

/// A length of time in the unit that suits it.
fn span(ms: i64) -> String {
    const UNITS: [(i64, i64, &str); 4] = [
        (1_000, 1, "ms"),
        (120_000, 1_000, "s"),
        (2 * 3_600_000, 60_000, "min"),
        (48 * 3_600_000, 3_600_000, "h"),
    ];
    let fitting = UNITS.into_iter().find(|(below, _, _)| ms < *below);
    let (_, unit_ms, unit) = fitting.unwrap_or((0, 24 * 3_600_000, "days"));
    format!("{} {unit}", ms / unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_unit_that_suits_them() {
        for (ms, told) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (119_999, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(span(ms), told);
        }
    }
}
