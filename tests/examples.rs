//! The policies in examples/: one for each set of names, and one that shows everything.
use crate::support::{Setup, rows};
use std::path::Path;

#[test]
fn every_example_is_taken_and_given_back_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("examples/")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("policy") && name.ends_with(".toml"))
        .collect();
    names.sort();
    for dialect in ["standard", "voucherify", "antavo", "aws4", "avanan", "vista"] {
        assert!(names.contains(&format!("policy-{dialect}.toml")), "{dialect}: {names:?}");
    }
    for name in &names {
        let gateway = Setup::new().prepare();
        let file = folder.join(name).display().to_string();
        let applied = gateway.command(&["apply", "-f", &file]);
        assert_eq!(applied.code, 0, "{name}: {applied:?}");
        let exported = gateway.folder.write("exported.toml", &gateway.command(&["export"]).ok().stdout);
        for again in [&file, &exported] {
            let plan =
                rows(&gateway.command(&["apply", "--dry-run", "--json", "-f", again]).ok().stdout).remove(0);
            for list in ["added", "changed", "removed", "modes"] {
                assert!(plan[list].as_array().is_some_and(Vec::is_empty), "{name}: {plan}");
            }
        }
        gateway.command(&["check"]).ok();
    }
}

#[test]
fn the_schema_is_printed() {
    let printed = rows(&crate::support::doorward(&["schema"]).ok().stdout).remove(0);
    assert_eq!(printed["properties"]["policy"]["items"]["properties"]["scopes"]["enum"][1], "observe");
}
