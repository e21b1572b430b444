//! Instructions that the hot path takes for a request, held against numbers that were recorded: the guard against what makes
//! requests dearer unnoticed. Time moves with the machine and with whatever else it does; instructions don't.
//!
//! The node runs under callgrind with one core, which counts only while requests come, one after the other. What counts
//! is the thread that serves them: others ask the store for news and write events, as often as time passes. The
//! binary is that of the tests, which is built anyway. It is not optimised, so that the numbers are larger than those of a
//! release, but a step more on the path is more in both.

mod node;
mod speak;

use crate::cargo::{cargo, root, run as run_command};
use crate::{Outcome, packages};
use node::Node;
use speak::Caller;
use std::fmt::Write as _;
use std::fs;

/// The recorded numbers.
const RECORD: &str = "bench/instructions.toml";

/// By how many hundredths a number may differ from the recorded one.
const TOLERANCE_PERCENT: u64 = 5;

/// Requests before those that count, so that whatever is made once has been made, and those that count.
const WARM_UP: u64 = 40;
const COUNTED: u64 = 200;

/// What is asked, each time over a connection of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Key,
    /// The same over HTTP/2.
    KeyHttp2,
    /// A key, a list of 1,000 networks, a scope, a licence and two limits.
    Rules,
    /// Signed, and accepted once.
    Signed,
    /// An access token that was seen before.
    Token,
}

impl Case {
    const ALL: [Case; 5] = [Case::Key, Case::KeyHttp2, Case::Rules, Case::Signed, Case::Token];

    fn name(self) -> &'static str {
        match self {
            Case::Key => "key",
            Case::KeyHttp2 => "key-http2",
            Case::Rules => "rules",
            Case::Signed => "escher-signed",
            Case::Token => "token",
        }
    }
}

/// Counts, and compares with what is recorded or records it.
pub(crate) fn run(record: bool) -> Outcome {
    packages::install(&[packages::VALGRIND])?;
    // As the tests build it: another choice of crates would be built with other features.
    run_command(cargo(&["test", "--quiet", "--workspace", "--test", "blackbox", "--no-run"]))?;
    let counts = count()?;
    let file = root().join(RECORD);
    if record {
        let broken = |e: std::io::Error| format!("{RECORD}: {e}");
        fs::write(&file, written(&counts)).map_err(broken)?;
        counts.iter().for_each(|(name, count)| println!("{name}: {count} instructions a request, recorded"));
        return Ok(());
    }
    let text = fs::read_to_string(&file).map_err(|e| format!("{RECORD}: {e}"))?;
    let (said, mistakes) = compare(&counts, &text)?;
    said.iter().for_each(|line| println!("{line}"));
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("\n")) }
}

fn count() -> Outcome<Vec<(&'static str, u64)>> {
    let mut node = Node::start()?;
    let mut counts = Vec::new();
    for case in Case::ALL {
        let mut caller = Caller::connect(node.address, case == Case::KeyHttp2)?;
        let requests = node.requests(case, WARM_UP + COUNTED)?;
        let (before, counted) = requests.split_at(WARM_UP as usize);
        let said = |why: String| format!("{}: {why}", case.name());
        before.iter().try_for_each(|request| caller.ask(request)).map_err(said)?;
        let total =
            node.counted(|| counted.iter().try_for_each(|request| caller.ask(request))).map_err(said)?;
        counts.push((case.name(), total / COUNTED));
    }
    Ok(counts)
}

/// What is told of each count, and what is wrong.
fn compare(counts: &[(&str, u64)], record: &str) -> Outcome<(Vec<String>, Vec<String>)> {
    let table: toml::Table = record.parse().map_err(|e| format!("{RECORD}: {e}"))?;
    let (mut said, mut mistakes) = (Vec::new(), Vec::new());
    for (name, count) in counts {
        let recorded = table.get(*name).and_then(toml::Value::as_integer);
        let recorded = recorded.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        let Some(recorded) = recorded else {
            mistakes.push(format!("{RECORD} has no number for {name}: cargo xtask instructions --record"));
            continue;
        };
        let change = (*count as f64 / recorded as f64 - 1.0) * 100.0;
        said.push(format!("{name}: {count} instructions a request, {:+.2} % of {recorded}", change));
        if count * 100 > recorded * (100 + TOLERANCE_PERCENT) {
            mistakes.push(format!(
                "a request of the kind {name} takes {count} instructions, {:.1} % more than the {recorded} of {RECORD}: mend \
                 what makes it dearer, or, if it is worth that, record it anew with `cargo xtask instructions --record`",
                change
            ));
        } else if count * 100 < recorded * (100 - TOLERANCE_PERCENT) {
            said.push(format!(
                "{name} has become cheaper: please record it anew with `cargo xtask instructions --record`, so that it \
                 stays so"
            ));
        }
    }
    Ok((said, mistakes))
}

fn written(counts: &[(&str, u64)]) -> String {
    let mut text = "# Instructions that the serving thread takes for one request, in the binary that tests are run with,\n\
                    # as `cargo xtask instructions --record` counts them. `cargo xtask test` holds against these numbers.\n"
        .to_owned();
    for (name, count) in counts {
        let _ = writeln!(text, "{name} = {count}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_dearer_fails_and_what_became_cheaper_is_told() {
        let record = written(&[("key", 1_000), ("rules", 1_000), ("token", 1_000), ("signed", 1_000)]);
        let counts = [("key", 1_050), ("rules", 1_051), ("token", 949), ("signed", 951), ("new", 7)];
        let (said, mistakes) = compare(&counts, &record).unwrap();
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(said[3].starts_with("token has become cheaper"), "{said:?}");
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert!(
            mistakes[0].contains("rules takes 1051 instructions, 5.1 % more") && mistakes[1].contains("new")
        );
        assert!(compare(&counts, "key 1").is_err());
    }
}
