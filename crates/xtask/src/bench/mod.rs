//! `cargo xtask bench`: Doorward and its peers side by side on one machine, in interleaved rounds.
//! bench/README.md says what is compared and how to read it.

mod calls;
pub(crate) mod doorward;
mod folder;
mod load;
mod peers;
mod process;
mod reports;
mod result;
mod signed;
mod start;
mod table;
pub(crate) mod tokens;

use crate::cargo::{cargo, run as run_command, target_dir};
use crate::{Outcome, number, packages};
use load::{Aim, Load};
use peers::Peer;
use std::path::PathBuf;

pub(crate) use folder::Folder;
pub(crate) use process::Server;
pub(crate) use start::{command, program};

/// Rounds without being told: enough for a median with a range.
const ROUNDS: u64 = 5;

/// Seconds that each peer is loaded in each round without being told.
const SECONDS: u64 = 2;

/// What each peer gets before anything is measured.
const WARM_UP_SECONDS: u64 = 1;

/// How long the machine is left alone between two measurements.
const PAUSE_MS: u64 = 300;

/// How much is measured and how it is shown.
pub(crate) struct Plan {
    pub(crate) rounds: u64,
    pub(crate) seconds: u64,
    markdown: bool,
    /// Whether the page of results gets this one.
    write: bool,
    /// Only loads and peers whose name holds one of these; all where there is none.
    loads: Vec<String>,
    peers: Vec<String>,
    /// Measured rather than one that is built.
    binary: Option<PathBuf>,
    /// As it was asked for.
    command: String,
}

impl Plan {
    pub(crate) fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Outcome<Plan> {
        let words: Vec<&str> = words.collect();
        let mut plan = Plan {
            rounds: ROUNDS,
            seconds: SECONDS,
            markdown: false,
            write: false,
            loads: Vec::new(),
            peers: Vec::new(),
            binary: None,
            command: format!(
                "cargo xtask bench {}",
                words.iter().map(|word| quoted(word)).collect::<String>()
            ),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut name = |of: &str| words.next().map(str::to_owned).ok_or(format!("{word} needs {of}"));
            match word {
                "--load" => plan.loads.push(name("the name of a load")?),
                "--peer" => plan.peers.push(name("the name of a peer")?),
                "--binary" => {
                    let file = name("a file")?;
                    // Where it lies says nothing elsewhere.
                    plan.command = plan.command.replace(&file, file.rsplit('/').next().unwrap_or(&file));
                    plan.binary = Some(file.into());
                }
                "--rounds" => plan.rounds = number("--rounds", &mut words)?.max(1),
                "--seconds" => plan.seconds = number("--seconds", &mut words)?.max(1),
                "--markdown" => plan.markdown = true,
                "--write" => plan.write = true,
                other => return Err(format!("unknown option {other}")),
            }
        }
        plan.command.truncate(plan.command.trim_end().len());
        let none = |name: &String| format!("no load's name holds {name}");
        match plan.loads.iter().find(|name| !Load::ALL.iter().any(|load| load.name().contains(&**name))) {
            Some(unknown) => Err(none(unknown)),
            None => Ok(plan),
        }
    }

    fn loads(&self) -> impl Iterator<Item = Load> {
        Load::ALL.into_iter().filter(|load| wanted(&self.loads, load.name()))
    }

    fn takes(&self, peer: &str, load: Load) -> bool {
        wanted(&self.peers, peer) && peers::takes(peer, load)
    }
}

fn wanted(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|part| name.contains(&**part))
}

/// A word as it is typed, and a space.
fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("\"{word}\" ") } else { format!("{word} ") }
}

/// One peer under one load in one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    peer: &'static str,
    load: Load,
    round: u64,
    requests_per_s: f64,
    /// CPU time of all processes of the peer, user and system, by completed requests.
    cpu_us: f64,
    /// The same of the load tool.
    tool_cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    memory_kib: u64,
}

/// The system calls of one peer under one load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls {
    peer: &'static str,
    load: Load,
    per_request: f64,
}

pub(crate) fn run(plan: &Plan) -> Outcome {
    packages::install(packages::FOR_BENCH)?;
    let binary = match &plan.binary {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    let folder = Folder::create(target_dir().join("bench"))?;
    let peers = start::start(&folder, &binary, |name| plan.loads().any(|load| plan.takes(name, load)))?;
    let samples = measure(plan, &peers.list)?;
    let calls = count_calls(plan, &peers.list);
    drop(peers);
    let machine = result::machine(plan);
    print!("{}", table::render(&samples, &calls, plan.markdown));
    println!("\n{machine}");
    result::keep(&samples, &calls, &machine, &plan.command)?;
    if plan.write {
        result::write(&table::render(&samples, &calls, true), &machine, &plan.command)?;
    }
    Ok(())
}

fn build() -> Outcome<PathBuf> {
    eprintln!("building doorward with profile dist");
    let what = ["build", "--quiet", "--profile", "dist", "--package", "doorward", "--bin", "doorward"];
    run_command(cargo(&what))?;
    Ok(target_dir().join("dist/doorward"))
}

/// Loads every peer with every load once a round, in an order that turns with the rounds.
fn measure(plan: &Plan, peers: &[Peer]) -> Outcome<Vec<Sample>> {
    let rows: Vec<(Load, Vec<&Peer>)> = plan
        .loads()
        .map(|load| (load, peers.iter().filter(|peer| plan.takes(peer.name, load)).collect()))
        .collect();
    for (load, peers) in &rows {
        for peer in peers {
            take(peer, *load, WARM_UP_SECONDS, 0)?;
        }
    }
    let mut samples = Vec::new();
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        for (load, peers) in &rows {
            for turn in 0..peers.len() {
                let peer = peers[(turn + round as usize) % peers.len()];
                samples.push(take(peer, *load, plan.seconds, round)?);
            }
        }
    }
    if samples.is_empty() { Err("no peer is measured under such a load".to_owned()) } else { Ok(samples) }
}

fn take(peer: &Peer, load: Load, seconds: u64, round: u64) -> Outcome<Sample> {
    let said = |why: String| format!("{} under {}: {why}", peer.name, load.name());
    let (cpu_before, tool_before) = (peer.server.cpu_us()?, process::children_cpu_us()?);
    let result = load.apply(peer, seconds, Aim::Time).map_err(said)?;
    let (cpu_after, tool_after) = (peer.server.cpu_us()?, process::children_cpu_us()?);
    let sample = Sample {
        peer: peer.name,
        load,
        round,
        requests_per_s: result.requests as f64 / result.seconds,
        cpu_us: (cpu_after - cpu_before) / result.requests as f64,
        tool_cpu_us: (tool_after - tool_before) / result.requests as f64,
        p50_us: result.p50_us,
        p99_us: result.p99_us,
        memory_kib: peer.server.memory_kib()?,
    };
    std::thread::sleep(std::time::Duration::from_millis(PAUSE_MS));
    peer.cut_log().map_err(said)?;
    Ok(sample)
}

/// Counts the system calls of every peer under every load, in a run of its own.
fn count_calls(plan: &Plan, peers: &[Peer]) -> Vec<Calls> {
    eprintln!("counting system calls");
    let mut all = Vec::new();
    for load in plan.loads() {
        for peer in peers.iter().filter(|peer| plan.takes(peer.name, load)) {
            match calls::per_request(peer, load) {
                Ok(per_request) => all.push(Calls { peer: peer.name, load, per_request }),
                // A peer that is followed is several times as slow, and may turn requests away for it.
                Err(why) => eprintln!("no calls of {} under {}: {why}", peer.name, load.name()),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_what_it_measures_and_how_it_was_asked() {
        let plan = |words: &str| Plan::parse(&mut words.split(','));
        let some = plan("--load,TLS,--load,signed GET,--peer,nginx,--rounds,2").unwrap();
        let names: Vec<_> = some.loads().map(Load::name).collect();
        assert_eq!(names, ["TLS", "TLS HTTP/2", "TLS churn", "signed GET"]);
        assert!(some.takes("nginx-key", Load::Tls) && !some.takes("doorward-key", Load::Tls));
        assert_eq!(
            some.command,
            "cargo xtask bench --load TLS --load \"signed GET\" --peer nginx --rounds 2"
        );
        assert_eq!(plan("--binary,a/b,--write").unwrap().command, "cargo xtask bench --binary b --write");
        assert!(plan("--load,gopher").is_err() && plan("--peer").is_err() && plan("--fast").is_err());
    }

    #[test]
    fn every_load_stands_in_one_table() {
        let mut all: Vec<_> = Load::GROUPS.iter().flat_map(|(_, loads)| loads.iter()).collect();
        assert_eq!(all.len(), Load::ALL.len());
        all.retain(|load| Load::ALL.contains(load));
        assert_eq!(all.len(), Load::ALL.len());
    }
}
