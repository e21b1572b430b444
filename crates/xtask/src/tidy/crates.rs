//! The dependency rule: which crate of ours may use which.

use super::File;
use toml::{Table, Value};

/// For each crate of ours, which others it may depend on. The binary may use all, tools the core alone.
const RULE: &[(&str, &[&str])] = &[
    ("crates/client", &[]),
    ("crates/core", &[]),
    ("crates/store", &["doorward-core"]),
    ("crates/gateway", &["doorward-core"]),
    ("crates/control", &["doorward-core", "doorward-store"]),
    ("crates/doorward", &["doorward-control", "doorward-core", "doorward-gateway", "doorward-store"]),
    ("crates/xtask", &["doorward-core"]),
];

const TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(file: &File, mistakes: &mut Vec<String>) {
    let Some(folder) = file.path.strip_suffix("/Cargo.toml").filter(|folder| folder.starts_with("crates/"))
    else {
        return;
    };
    let Some((_, allowed)) = RULE.iter().find(|(of, _)| *of == folder) else {
        mistakes.push(format!("{}: the dependency rule does not know this crate", file.path));
        return;
    };
    match file.text.parse::<Table>() {
        Ok(manifest) => {
            let used = dependencies(&manifest);
            let forbidden =
                used.into_iter().filter(|name| name.starts_with("doorward") && !allowed.contains(name));
            mistakes.extend(forbidden.map(|name| format!("{}: must not depend on {name}", file.path)));
        }
        Err(e) => mistakes.push(format!("{}: {e}", file.path)),
    }
}

/// Names of all dependencies, those for one target as well.
fn dependencies(manifest: &Table) -> Vec<&str> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets.into_iter().flat_map(|all| all.values().filter_map(Value::as_table));
    std::iter::once(manifest)
        .chain(per_target)
        .flat_map(|table| TABLES.iter().filter_map(|name| table.get(*name)?.as_table()))
        .flat_map(|table| table.iter())
        .map(|(key, value)| value.get("package").and_then(Value::as_str).unwrap_or(key))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(folder: &str, manifest: &str) -> usize {
        let mut mistakes = Vec::new();
        check(&File { path: format!("{folder}/Cargo.toml"), text: manifest.to_owned() }, &mut mistakes);
        mistakes.len()
    }

    #[test]
    fn only_what_the_rule_names_may_be_used() {
        let core = "[dependencies]\ndoorward-core.workspace = true\nserde = \"1\"\n";
        assert_eq!(mistakes("crates/store", core), 0);
        assert_eq!(mistakes("crates/core", core), 1);
        assert_eq!(mistakes("crates/gateway", "[dev-dependencies]\ndoorward-store.workspace = true\n"), 1);
        let renamed = "[target.'cfg(unix)'.dependencies]\nother = { package = \"doorward-gateway\", path = \"../gateway\" }\n";
        assert_eq!(mistakes("crates/control", renamed), 1);
        assert_eq!(mistakes("crates/doorward", renamed), 0);
        assert_eq!(mistakes("crates/unknown", core), 1);
        assert_eq!(mistakes("fuzz", core), 0);
    }
}
