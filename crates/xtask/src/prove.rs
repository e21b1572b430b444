//! `cargo xtask prove`: the tests that are short every day, at their full length.

mod list;

use crate::cargo::{Tally, cargo, run_tests};
use crate::postgres::Cluster;
use crate::{Outcome, crowds, fuzz, number, packages};
use list::{BOTH, PROOFS};
use std::ffi::OsString;
use std::time::Instant;

/// A long run: tests, told by `DOORWARD_N` how much to do.
pub(crate) struct Proof {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The arguments of `cargo test` that choose the test binary.
    pub(crate) binary: &'static [&'static str],
    pub(crate) filter: Option<&'static str>,
    /// Where its stores are, a run each; nowhere in particular where there is none.
    pub(crate) engines: &'static [&'static str],
    /// How much, a run each; 0 means everything there is.
    pub(crate) n: &'static [u64],
}

pub(crate) const BLACK_BOX: &[&str] = &["--package", "doorward", "--test", "blackbox"];

/// What a test says about what it measured begins with this; it stands in the summary.
const FIGURES: &str = "figures: ";

/// Every proof that is a test.
fn all() -> impl Iterator<Item = &'static Proof> {
    PROOFS.iter().chain(crowds::PROOFS)
}

/// The name of the proof that is no test: the fuzz targets, each for so many seconds.
const FUZZ: &str = "fuzz";

/// Which proofs, on which engine, and how long.
pub(crate) struct Wanted {
    name: Option<String>,
    n: Option<u64>,
    seconds: Option<u64>,
    engine: Option<&'static str>,
    list: bool,
}

impl Wanted {
    pub(crate) fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Outcome<Wanted> {
        let mut wanted = Wanted { name: None, n: None, seconds: None, engine: None, list: false };
        while let Some(word) = words.next() {
            match word {
                "--list" => wanted.list = true,
                "--n" => wanted.n = Some(number("--n", words)?),
                "--seconds" => wanted.seconds = Some(number("--seconds", words)?),
                "--engine" => {
                    let named = words.next().and_then(|name| BOTH.iter().find(|engine| **engine == name));
                    wanted.engine = Some(named.ok_or("--engine needs sqlite or postgres")?);
                }
                name if wanted.name.is_none() && (name == FUZZ || all().any(|proof| proof.name == name)) => {
                    wanted.name = Some(name.to_owned());
                }
                other => {
                    return Err(format!("no proof is called {other}; `cargo xtask prove --list` names them"));
                }
            }
        }
        Ok(wanted)
    }

    fn fuzz(&self) -> bool {
        self.name.as_deref().is_none_or(|name| name == FUZZ)
    }

    fn chosen(&self) -> impl Iterator<Item = &'static Proof> {
        all().filter(|proof| self.name.as_deref().is_none_or(|name| name == proof.name))
    }

    /// The runs of a proof: its engine, if it has one, and how much.
    fn runs(&self, proof: &Proof) -> Vec<(Option<&'static str>, u64)> {
        let engines: Vec<Option<&'static str>> = match proof.engines {
            [] => vec![None],
            some => {
                let wanted = some.iter().filter(|engine| self.engine.is_none_or(|only| only == **engine));
                wanted.map(|engine| Some(*engine)).collect()
            }
        };
        let n = self.n.map_or_else(|| proof.n.to_vec(), |n| vec![n]);
        engines.iter().flat_map(|engine| n.iter().map(|n| (*engine, *n))).collect()
    }
}

pub(crate) fn run(wanted: &Wanted) -> Outcome {
    if wanted.list {
        for Proof { name, what, n, engines, .. } in all() {
            let n = n.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
            println!("{name:<13} N={n:<15} {:<16} {what}", engines.join(","));
        }
        println!("{FUZZ:<13} S={:<32} whatever a caller may send, a target a parser", fuzz::SECONDS);
        return Ok(());
    }
    if wanted.chosen().any(|proof| crowds::PROOFS.iter().any(|one| one.name == proof.name)) {
        packages::install(packages::FOR_CROWDS)?;
    }
    // Building is not part of the time.
    for proof in wanted.chosen() {
        build(proof)?;
    }
    let server = match wanted.chosen().any(|proof| !proof.engines.is_empty()) {
        true => {
            packages::install(packages::FOR_TESTS)?;
            Some(Cluster::start()?)
        }
        false => None,
    };
    let environment: Vec<_> = server.iter().flat_map(Cluster::environment).collect();
    let (mut results, mut failed) = (Vec::new(), false);
    for proof in wanted.chosen() {
        for (engine, n) in wanted.runs(proof) {
            println!("\n== {} {}, N={n}: {}", proof.name, engine.unwrap_or_default(), proof.what);
            let started = Instant::now();
            let mut figures = Vec::new();
            let outcome = prove(proof, engine, n, &environment, &mut figures);
            let seconds = started.elapsed().as_secs_f64();
            failed |= outcome.is_err();
            let verdict = outcome.map_or_else(|why| format!("FAILED: {why}"), |()| "holds".to_owned());
            let engine = engine.unwrap_or_default();
            results.push(format!("{:<13} {engine:<9} N={n:<8} {seconds:>8.1} s  {verdict}", proof.name));
            results.extend(figures);
        }
    }
    if wanted.fuzz() {
        let seconds = wanted.seconds.unwrap_or(fuzz::SECONDS);
        println!("\n== {FUZZ}, S={seconds}: whatever a caller may send");
        let (started, mut figures) = (Instant::now(), Vec::new());
        let outcome = fuzz::prove(seconds, &mut figures);
        failed |= outcome.is_err();
        let verdict = outcome.map_or_else(|why| format!("FAILED: {why}"), |()| "holds".to_owned());
        let took = started.elapsed().as_secs_f64();
        results.push(format!("{FUZZ:<13} {:<9} S={seconds:<8} {took:>8.1} s  {verdict}", ""));
        results.extend(figures.iter().map(|told| format!("              {told}")));
    }
    println!("\n{}", results.join("\n"));
    server.map_or(Ok(()), Cluster::stop)?;
    if failed { Err(String::new()) } else { Ok(()) }
}

fn build(proof: &Proof) -> Outcome {
    let mut command = cargo(&["test", "--release", "--no-run"]);
    command.args(proof.binary);
    crate::cargo::run(command)
}

fn prove(
    proof: &Proof,
    engine: Option<&'static str>,
    n: u64,
    environment: &[(&'static str, OsString)],
    figures: &mut Vec<String>,
) -> Outcome {
    let mut command = cargo(&["test", "--release"]);
    command.args(proof.binary).args(proof.filter).args(["--", "--nocapture", "--test-threads", "1"]);
    command.env("DOORWARD_N", n.to_string()).envs(packages::test_environment());
    if let Some(engine) = engine {
        command.envs(environment.iter().cloned()).env("DOORWARD_TEST_ENGINE", engine);
    }
    let mut tally = Tally::default();
    run_tests(command, &mut tally, |line| {
        // The harness leaves its own line open while a test speaks.
        figures.extend(line.split_once(FIGURES).map(|(_, told)| format!("              {told}")));
    })?;
    // A filter that matches nothing succeeds in nothing.
    if tally.passed() == 0 || tally.skipped() > 0 {
        return Err(format!("{} tests ran, {} were skipped", tally.passed(), tally.skipped()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(words: &str) -> Outcome<Wanted> {
        Wanted::parse(&mut words.split_whitespace())
    }

    #[test]
    fn a_proof_runs_on_each_of_its_engines_and_for_each_number() {
        let runs = |words: &str| {
            let wanted = wanted(words).unwrap();
            wanted.chosen().flat_map(|proof| wanted.runs(proof)).collect::<Vec<_>>()
        };
        assert_eq!(runs("kill9"), [(Some("sqlite"), 500), (Some("postgres"), 500)]);
        assert_eq!(runs("kill9 --engine postgres --n 7"), [(Some("postgres"), 7)]);
        assert_eq!(runs("size --engine sqlite").len(), 2);
        assert_eq!(runs("mixed --engine sqlite"), [(None, 20_000)]);
        assert!(runs("").len() > PROOFS.len());
        assert_eq!(
            runs("replay --engine sqlite"),
            [(None, 100_000), (None, 100_000), (Some("sqlite"), 1_000)]
        );
        let fuzz = wanted("fuzz --seconds 5").unwrap();
        assert!(fuzz.fuzz() && fuzz.seconds == Some(5) && fuzz.chosen().next().is_none());
        assert!(!wanted("kill9").unwrap().fuzz() && wanted("").unwrap().fuzz());
        for wrong in ["kill", "kill9 mixed", "--engine mysql", "--engine", "--n", "--n few", "--seconds"] {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
    }
}
