//! Holds every dependency to deny.toml: licences, duplicate versions, banned crates, sources.
//!
//! The list comes from `cargo tree`, which names what is really built; `cargo metadata` also names
//! optional dependencies that no feature turns on.

use crate::cargo::{self, cargo, output, root};
use crate::{Outcome, packages, spdx};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// The lists of deny.toml that are looked at here.
struct Lists {
    targets: Vec<String>,
    allow: Vec<String>,
    deny: Vec<String>,
    skip: BTreeSet<String>,
}

/// A crate that is built.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    /// Where it is from if that is not the registry: a folder or an address.
    origin: Option<String>,
    licence: String,
}

pub(crate) fn run() -> Outcome {
    if packages::on_path("cargo-deny").is_some() {
        // Advisories would need the network; the rest of cargo-deny does not.
        cargo::run(cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"]))?;
    }
    let file = root().join("deny.toml");
    let text = std::fs::read_to_string(&file).map_err(|e| format!("deny.toml: {e}"))?;
    let lists = Lists::parse(&text)?;
    let mut words =
        vec!["tree", "--workspace", "--edges=normal,build,dev", "--prefix=none", "--format={p}\t{l}"];
    words.extend(lists.targets.iter().flat_map(|target| ["--target", target.as_str()]));
    let packages = read_tree(&output(cargo(&words))?)?;
    let mistakes = lists.judge(&packages);
    if mistakes.is_empty() {
        println!("{} crates, as deny.toml allows", packages.len());
        return Ok(());
    }
    Err(mistakes.join("\n"))
}

impl Lists {
    fn parse(text: &str) -> Outcome<Lists> {
        let table: Table = text.parse().map_err(|e| format!("deny.toml: {e}"))?;
        let list = |section: &str, key: &str| -> Outcome<Vec<Value>> {
            let found = table.get(section).and_then(|s| s.get(key)).and_then(Value::as_array);
            found.cloned().ok_or_else(|| format!("deny.toml: no list {section}.{key}"))
        };
        let word =
            |value: &Value| value.as_str().map(str::to_owned).ok_or("deny.toml: not a string".to_owned());
        // An exception or a ban is worth nothing without its reason.
        let reasoned = |value: &Value| -> Outcome<String> {
            let spec =
                value.get("crate").and_then(Value::as_str).ok_or("deny.toml: an entry lacks `crate`")?;
            match value.get("reason").and_then(Value::as_str) {
                Some(reason) if !reason.trim().is_empty() => Ok(spec.to_owned()),
                _ => Err(format!("deny.toml: {spec} has no reason")),
            }
        };
        Ok(Lists {
            targets: list("graph", "targets")?.iter().map(word).collect::<Outcome<_>>()?,
            allow: list("licenses", "allow")?.iter().map(word).collect::<Outcome<_>>()?,
            deny: list("bans", "deny")?.iter().map(reasoned).collect::<Outcome<_>>()?,
            skip: list("bans", "skip")?.iter().map(reasoned).collect::<Outcome<_>>()?,
        })
    }

    /// Everything that is wrong, a line each.
    fn judge(&self, packages: &BTreeSet<Package>) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for Package { name, version, origin, licence } in packages {
            versions.entry(name).or_default().insert(version);
            match spdx::satisfied(licence, &self.allow) {
                Ok(true) => {}
                Ok(false) => mistakes.push(format!("{name} {version}: licence {licence} is not allowed")),
                Err(why) => mistakes.push(format!("{name} {version}: {why}")),
            }
            if self.deny.contains(name) {
                mistakes.push(format!("{name} {version}: banned"));
            }
            if let Some(origin) = origin
                && !std::path::Path::new(origin).starts_with(root().join("crates"))
            {
                mistakes.push(format!("{name} {version}: from {origin}, not from the registry"));
            }
        }
        for (name, versions) in &versions {
            let unlisted: Vec<&str> =
                versions.iter().copied().filter(|v| !self.skip.contains(&format!("{name}@{v}"))).collect();
            if unlisted.len() > 1 {
                mistakes.push(format!("{name}: {} at once, no reason given", unlisted.join(" and ")));
            }
        }
        for skip in &self.skip {
            let needed = skip.split_once('@').and_then(|(name, version)| {
                versions.get(name).filter(|all| all.len() > 1 && all.contains(version))
            });
            if needed.is_none() {
                mistakes.push(format!("deny.toml skips {skip} and need not"));
            }
        }
        mistakes
    }
}

/// Reads lines of `name vVERSION (origin or kind)<tab>licence (*)`.
fn read_tree(text: &str) -> Outcome<BTreeSet<Package>> {
    let mut packages = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let odd = || format!("cargo tree: can't read {line}");
        let (package, licence) = line.split_once('\t').ok_or_else(odd)?;
        let (name, rest) = package.split_once(" v").ok_or_else(odd)?;
        let (version, notes) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut notes =
            notes.split(['(', ')']).filter(|note| !note.trim().is_empty() && *note != "proc-macro");
        packages.insert(Package {
            name: name.to_owned(),
            version: version.to_owned(),
            origin: notes.next().map(str::to_owned),
            licence: licence.trim_end_matches("(*)").trim().to_owned(),
        });
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: &str = r#"
        graph.targets = ["x86_64-unknown-linux-gnu"]
        licenses.allow = ["MIT"]
        bans.deny = [{ crate = "rsa", reason = "slow leak" }]
        bans.skip = [{ crate = "twice@1.0.0", reason = "someone is behind" }]
    "#;

    fn judge(tree: &str) -> Vec<String> {
        Lists::parse(LISTS).unwrap().judge(&read_tree(tree).unwrap())
    }

    #[test]
    fn a_tree_within_the_lists_passes() {
        let own = root().join("crates/core");
        let tree = format!(
            "own v0.1.0 ({})\tMIT\ntwice v1.0.0\tMIT\ntwice v2.0.0\tMIT\nmacro v3.0.0 (proc-macro)\tMIT (*)\n\n",
            own.display()
        );
        assert_eq!(judge(&tree), Vec::<String>::new());
    }

    #[test]
    fn each_rule_refuses_what_it_is_for() {
        let fine = "twice v1.0.0\tMIT\ntwice v2.0.0\tMIT\n";
        for (line, expected) in [
            ("a v1.0.0\tGPL-3.0", "licence GPL-3.0 is not allowed"),
            ("a v1.0.0\t", "ends too early"),
            ("rsa v0.9.0\tMIT", "banned"),
            ("a v1.0.0 (https://git.example/a#123)\tMIT", "not from the registry"),
            ("a v1.0.0 (proc-macro) (https://git.example/a#123)\tMIT", "not from the registry"),
            ("twice v3.0.0\tMIT", "2.0.0 and 3.0.0 at once"),
        ] {
            let mistakes = judge(&format!("{fine}{line}\n"));
            assert!(mistakes.len() == 1 && mistakes[0].contains(expected), "{line}: {mistakes:?}");
        }
        assert_eq!(judge("twice v1.0.0\tMIT\n"), ["deny.toml skips twice@1.0.0 and need not"]);
    }

    #[test]
    fn an_exception_without_a_reason_is_refused() {
        let text = LISTS.replace(r#", reason = "someone is behind""#, "");
        assert!(Lists::parse(&text).is_err_and(|why| why.contains("no reason")));
    }
}
