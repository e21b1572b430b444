//! `cargo xtask test`: one command from a fresh clone to a verdict.

use crate::cargo::{self, Tally, cargo, root, run_tests, target_dir};
use crate::{Outcome, licences, packages, tidy};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a process of the tests may take to end after them.
const LEFT_BEHIND_GRACE_MS: u64 = 3_000;

pub(crate) fn run(filter: Option<&str>) -> Outcome {
    let mut report = Report::default();
    report.step("packages and clients", |_| {
        packages::install(packages::FOR_TESTS)?;
        packages::install_clients().map(drop)
    });
    if !report.failures.is_empty() {
        return Err(String::new());
    }
    if filter.is_none() {
        report.step("format", |_| run_cargo(&["fmt", "--all", "--check"]));
        report.step("tidy", |_| tidy::run());
        report.step("clippy", |_| {
            run_cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
        });
        report.step("licences", |_| licences::run());
    }
    let before = gateways();
    report.step("unit tests", |tally| {
        let names = integration_tests()?;
        let mut which = vec!["--lib", "--bins"];
        which.extend(names.iter().flat_map(|name| ["--test", name]));
        run_cargo_test(&which, filter, tally)?;
        run_cargo_test(&["--doc"], filter, tally)
    });
    report.step("black box", |tally| run_cargo_test(&["--test", "blackbox"], filter, tally));
    report.step("nothing left behind", |_| nothing_left_behind(&before));
    report.close(filter)
}

fn run_cargo(words: &[&str]) -> Outcome {
    cargo::run(cargo(words))
}

/// Runs tests of the kinds named, all of them even if some fail. Always over the whole workspace: crates chosen
/// one by one would turn on other features of what they share, and have it built again.
fn run_cargo_test(which: &[&str], filter: Option<&str>, tally: &mut Tally) -> Outcome {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    command.args(which).args(filter).envs(packages::test_environment());
    run_tests(command, tally)
}

/// The names of all crates' own integration tests.
fn integration_tests() -> Outcome<Vec<String>> {
    let crates = root().join("crates");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&crates).map_err(|e| format!("{}: {e}", crates.display()))?.flatten() {
        let Ok(files) = std::fs::read_dir(entry.path().join("tests")) else { continue };
        let sources = files
            .flatten()
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|e| e == "rs"));
        names.extend(sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())));
    }
    names.sort_unstable();
    Ok(names)
}

/// The steps taken so far.
#[derive(Default)]
struct Report {
    tally: Tally,
    failures: Vec<String>,
}

impl Report {
    /// Takes a step; one that fails does not keep the next from being taken.
    fn step(&mut self, name: &str, work: impl FnOnce(&mut Tally) -> Outcome) {
        println!("\n== {name}");
        let started = Instant::now();
        let outcome = work(&mut self.tally);
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("-- {name}: ok, {seconds:.1} s"),
            Err(why) => {
                println!("{why}");
                println!("-- {name}: FAILED, {seconds:.1} s");
                self.failures.push(name.to_owned());
            }
        }
    }

    fn close(mut self, filter: Option<&str>) -> Outcome {
        let Tally { failed, .. } = self.tally;
        if self.tally.passed() == 0 && failed == 0 {
            println!("no test ran{}", filter.map(|f| format!(": none matches {f}")).unwrap_or_default());
            self.failures.push("tests".to_owned());
        }
        println!();
        if !self.failures.is_empty() {
            println!("failed: {}", self.failures.join(", "));
        }
        println!("total: {} passed, {failed} failed, {} skipped", self.tally.passed(), self.tally.skipped());
        if self.failures.is_empty() && failed == 0 { Ok(()) } else { Err(String::new()) }
    }
}

/// The processes that run the binary under test.
fn gateways() -> BTreeSet<u32> {
    let binary = target_dir().join("debug/doorward");
    let Ok(binary) = binary.canonicalize() else { return BTreeSet::new() };
    let Ok(processes) = std::fs::read_dir("/proc") else { return BTreeSet::new() };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == binary))
        .collect()
}

fn nothing_left_behind(before: &BTreeSet<u32>) -> Outcome {
    let deadline = Instant::now() + Duration::from_millis(LEFT_BEHIND_GRACE_MS);
    loop {
        let left: Vec<String> = gateways().difference(before).map(u32::to_string).collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("gateways still run: process {}", left.join(", ")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
