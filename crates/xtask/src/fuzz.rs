//! The fuzz targets: each runs for a while, from its seeds and from what earlier runs found. `fuzz/` is a workspace of its
//! own, and nothing of it is built for tests.

use crate::Outcome;
use crate::cargo::{root, run, target_dir};
use crate::packages::on_path;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How long each target runs.
pub(crate) const SECONDS: u64 = 600;
/// An input that takes longer than this, in seconds, is a finding.
const SLOW_S: u64 = 10;

/// Runs every target, and tells how often.
pub(crate) fn prove(seconds: u64, figures: &mut Vec<String>) -> Outcome {
    let tool = cargo_fuzz()?;
    let targets = targets()?;
    let mut failed = Vec::new();
    for target in &targets {
        let seeds = root().join("fuzz/seeds").join(target);
        let corpus = fuzz_dir().join("corpus").join(target);
        std::fs::create_dir_all(&corpus).map_err(|e| format!("{}: {e}", corpus.display()))?;
        let mut command = Command::new(&tool);
        // The code is safe Rust: what a sanitizer looks for can't happen, and without one the stable compiler is enough.
        command.current_dir(root()).args(["run", "--sanitizer", "none", "--target-dir"]).arg(fuzz_dir());
        command.arg(target).args([&corpus, &seeds]).arg("--");
        command.args([format!("-max_total_time={seconds}"), format!("-timeout={SLOW_S}")]);
        command.args(["-print_final_stats=1", "-verbosity=0"]);
        println!("\n-- {target}");
        match counted(command) {
            Ok(runs) => figures.push(format!("{target}: {runs} inputs in {seconds} s")),
            Err(why) => failed.push(format!("{target}: {why}")),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Runs a target, and reads how many inputs it had.
fn counted(command: Command) -> Outcome<u64> {
    let mut runs = None;
    let mut tally = crate::cargo::Tally::default();
    crate::cargo::run_tests(command, &mut tally, |line| {
        let number = line.strip_prefix("stat::number_of_executed_units:");
        runs = number.and_then(|n| n.trim().parse().ok()).or(runs);
    })?;
    runs.filter(|n| *n > 0).ok_or_else(|| "it ran, but tried nothing".to_owned())
}

/// Everything that is built and found, beside what is built for tests: the flags differ.
fn fuzz_dir() -> PathBuf {
    target_dir().join("fuzz")
}

/// Where cargo-fuzz is; it is put into the target folder where the machine has none.
fn cargo_fuzz() -> Outcome<PathBuf> {
    if let Some(there) = on_path("cargo-fuzz") {
        return Ok(there);
    }
    let tools = fuzz_dir().join("tools");
    let tool = tools.join("bin/cargo-fuzz");
    if !tool.is_file() {
        println!("installing cargo-fuzz");
        let mut install = Command::new("cargo");
        install.args(["install", "cargo-fuzz", "--locked", "--root"]).arg(&tools);
        run(install)?;
    }
    Ok(tool)
}

/// The names of the targets: a file each.
fn targets() -> Outcome<Vec<String>> {
    let folder: &Path = &root().join("fuzz/fuzz_targets");
    let wrong = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let name = entry.map_err(wrong)?.file_name();
        names.extend(name.to_str().and_then(|n| n.strip_suffix(".rs")).map(str::to_owned));
    }
    names.sort();
    if names.is_empty() { Err(format!("{}: there is no target", folder.display())) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target without an entry in the manifest, or without seeds, would not run or would find nothing.
    #[test]
    fn every_target_is_in_the_manifest_and_has_seeds() {
        let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        let targets = targets().unwrap();
        assert!(targets.len() >= 4, "{targets:?}");
        for target in &targets {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
            let seeds = std::fs::read_dir(root().join("fuzz/seeds").join(target)).unwrap();
            assert!(seeds.count() >= 4, "{target}");
        }
    }
}
