//! `cargo xtask prove`: the tests that are short every day, at their full length.

use crate::cargo::{Tally, cargo, run_tests};
use crate::{Outcome, number, packages};
use std::time::Instant;

/// A long run: a test, told by `DOORWARD_N` how much to do.
struct Proof {
    name: &'static str,
    what: &'static str,
    /// The arguments of `cargo test` that choose the test binary.
    binary: &'static [&'static str],
    filter: Option<&'static str>,
    /// How much; 0 means everything there is.
    n: u64,
}

const BLACK_BOX: &[&str] = &["--package", "doorward", "--test", "blackbox"];

const PROOFS: &[Proof] = &[
    Proof {
        name: "kill9",
        what: "killed during credential writes: every acknowledged one is there after the restart, none half",
        binary: BLACK_BOX,
        filter: Some("kill9::"),
        n: 200,
    },
    Proof {
        name: "mixed",
        what: "mixed requests up and down over 24 connections: every body intact by hash",
        binary: BLACK_BOX,
        filter: Some("mixed::"),
        n: 20_000,
    },
    Proof {
        name: "differential",
        what: "mutated heads against other parsers: what the wire accepts, all frame alike",
        binary: &["--package", "doorward-gateway", "--test", "differential"],
        filter: None,
        n: 5_000_000,
    },
    Proof {
        name: "sockets",
        what: "both sockets mocked: split, stalled and reset at every byte, against a byte-exact model",
        binary: &["--package", "doorward-gateway", "--lib"],
        filter: Some("sockets_tests::"),
        n: 0,
    },
];

/// Which proofs, and how long.
pub(crate) struct Wanted {
    name: Option<String>,
    n: Option<u64>,
    list: bool,
}

impl Wanted {
    pub(crate) fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Outcome<Wanted> {
        let mut wanted = Wanted { name: None, n: None, list: false };
        while let Some(word) = words.next() {
            match word {
                "--list" => wanted.list = true,
                "--n" => wanted.n = Some(number("--n", words)?),
                name if wanted.name.is_none() && PROOFS.iter().any(|proof| proof.name == name) => {
                    wanted.name = Some(name.to_owned());
                }
                other => {
                    return Err(format!("no proof is called {other}; `cargo xtask prove --list` names them"));
                }
            }
        }
        Ok(wanted)
    }
}

pub(crate) fn run(wanted: &Wanted) -> Outcome {
    if wanted.list {
        for Proof { name, what, n, .. } in PROOFS {
            println!("{name:<13} N={n:<8} {what}");
        }
        return Ok(());
    }
    let mut results = Vec::new();
    let mut failed = false;
    for proof in PROOFS.iter().filter(|proof| wanted.name.as_deref().is_none_or(|name| name == proof.name)) {
        let n = wanted.n.unwrap_or(proof.n);
        println!("\n== {}, N={n}: {}", proof.name, proof.what);
        // Building is not part of the time.
        build(proof)?;
        let started = Instant::now();
        let outcome = prove(proof, n);
        let seconds = started.elapsed().as_secs_f64();
        failed |= outcome.is_err();
        let verdict = outcome.map_or_else(|why| format!("FAILED: {why}"), |()| "holds".to_owned());
        results.push(format!("{:<13} N={n:<8} {seconds:>8.1} s  {verdict}", proof.name));
    }
    println!("\n{}", results.join("\n"));
    if failed { Err(String::new()) } else { Ok(()) }
}

fn build(proof: &Proof) -> Outcome {
    let mut command = cargo(&["test", "--release", "--no-run"]);
    command.args(proof.binary);
    crate::cargo::run(command)
}

fn prove(proof: &Proof, n: u64) -> Outcome {
    let mut command = cargo(&["test", "--release"]);
    command.args(proof.binary).args(proof.filter).args(["--", "--nocapture", "--test-threads", "1"]);
    command.env("DOORWARD_N", n.to_string()).envs(packages::test_environment());
    let mut tally = Tally::default();
    run_tests(command, &mut tally)?;
    // A filter that matches nothing succeeds in nothing.
    if tally.passed() == 0 || tally.skipped() > 0 {
        return Err(format!("{} tests ran, {} were skipped", tally.passed(), tally.skipped()));
    }
    Ok(())
}
