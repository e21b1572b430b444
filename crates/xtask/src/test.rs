//! `cargo xtask test`: one command from a fresh clone to a verdict.

use crate::cargo::{self, Tally, cargo, root, target_dir};
use crate::postgres::Cluster;
use crate::{Outcome, instructions, licences, packages, steady, tidy};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// The binary of the store's own tests.
const STORE: &str = "store";

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
    let mut server = None;
    report.step("a PostgreSQL server", |_| {
        server = Some(Cluster::start()?);
        Ok(())
    });
    // Without it, tests that need it fail by themselves; all others still have their say.
    let with_server: Vec<_> = server.iter().flat_map(Cluster::environment).collect();
    let on = |engine: &str| {
        with_server.iter().cloned().chain([("DOORWARD_TEST_ENGINE", engine.into())]).collect::<Vec<_>>()
    };
    report.step("unit tests", |part| {
        let names = integration_tests()?;
        let mut which = vec!["--lib", "--bins"];
        which.extend(names.iter().filter(|name| *name != STORE).flat_map(|name| ["--test", name]));
        run_cargo_test(&which, filter, &[], &with_server, part)?;
        run_cargo_test(&["--doc"], filter, &[], &with_server, part)
    });
    // These name the engine themselves; what is about neither is counted with the first.
    report.step("store on sqlite", |part| {
        run_cargo_test(&["--test", STORE], filter, &["--skip", "on_postgres"], &with_server, part)
    });
    report.step("store on postgres", |part| {
        let only = filter.map_or(&["on_postgres"][..], |_| &["--skip", "on_sqlite"]);
        run_cargo_test(&["--test", STORE], filter, only, &with_server, part)
    });
    for engine in ["sqlite", "postgres"] {
        report.step(&format!("black box on {engine}"), |part| {
            run_cargo_test(&["--test", "blackbox"], filter, &[], &on(engine), part)
        });
    }
    if filter.is_none() {
        report.step("instructions of the hot path", |_| instructions::run(false));
    }
    report.step("nothing left behind", |_| {
        nothing_left_behind(&before)?;
        server.map_or(Ok(()), Cluster::stop)
    });
    report.close(filter)
}

fn run_cargo(words: &[&str]) -> Outcome {
    cargo::run(cargo(words))
}

/// Runs tests of the kinds named, all of them even if some fail. Always over the whole workspace: crates chosen
/// one by one would turn on other features of what they share, and have it built again.
fn run_cargo_test(
    which: &[&str],
    filter: Option<&str>,
    harness: &[&str],
    environment: &[(&'static str, OsString)],
    part: &mut Part,
) -> Outcome {
    let tests = |again: &[String], tally: &mut Tally, heard: &mut dyn FnMut(&str)| {
        let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
        command.args(which);
        match again {
            [] => command.args(filter).arg("--").args(harness),
            names => command.args(["--", "--exact", "--test-threads", "1"]).args(names),
        };
        command.envs(packages::test_environment()).envs(environment.iter().cloned());
        cargo::run_tests(command, tally, heard)
    };
    steady::run(tests, &mut part.tally, &mut part.unsteady)
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
            .filter(|path| path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").is_file());
        names.extend(sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())));
    }
    names.sort_unstable();
    Ok(names)
}

/// What the tests of a step came to.
#[derive(Default)]
struct Part {
    tally: Tally,
    /// Those of the whole run so far that failed beside others, and passed by themselves.
    unsteady: Vec<String>,
}

/// The steps taken so far.
#[derive(Default)]
struct Report {
    tally: Tally,
    unsteady: Vec<String>,
    /// What the steps that run tests counted, for the summary.
    parts: Vec<String>,
    failures: Vec<String>,
}

impl Report {
    /// Takes a step; one that fails does not keep the next from being taken.
    fn step(&mut self, name: &str, work: impl FnOnce(&mut Part) -> Outcome) {
        println!("\n== {name}");
        let started = Instant::now();
        let mut part = Part { tally: Tally::default(), unsteady: std::mem::take(&mut self.unsteady) };
        let outcome = work(&mut part);
        let tally = part.tally;
        self.unsteady = part.unsteady;
        let seconds = started.elapsed().as_secs_f64();
        if tally != Tally::default() {
            self.parts.push(format!("{name}: {tally}, {seconds:.1} s"));
            self.tally += tally;
        }
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
        let failed = self.tally.failed;
        if self.tally.passed() == 0 && failed == 0 {
            println!("no test ran{}", filter.map(|f| format!(": none matches {f}")).unwrap_or_default());
            self.failures.push("tests".to_owned());
        }
        println!();
        if !self.failures.is_empty() {
            println!("failed: {}", self.failures.join(", "));
        }
        self.parts.iter().for_each(|part| println!("{part}"));
        if !self.unsteady.is_empty() {
            println!("unsteady, failed beside others and passed by themselves: {}", self.unsteady.join(", "));
        }
        println!("total: {}, {} unsteady", self.tally, self.unsteady.len());
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
