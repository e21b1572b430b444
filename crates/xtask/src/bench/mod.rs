//! `cargo xtask bench`: Doorward and its peers side by side on one machine, in interleaved rounds.
//! bench/README.md says what is compared and how to read it.

mod doorward;
mod load;
mod peers;
mod process;
mod signed;
mod table;
mod tokens;

use crate::cargo::{cargo, output, run as run_command, target_dir};
use crate::{Outcome, number, packages};
use load::Load;
use peers::{Folder, Peer};
use std::process::Command;

/// Rounds without being told: enough for a median with a range.
const ROUNDS: u64 = 7;

/// Seconds that each peer is loaded in each round without being told.
const SECONDS: u64 = 4;

/// What each peer gets before anything is measured.
const WARM_UP_SECONDS: u64 = 1;

/// How long the machine is left alone between two measurements.
const PAUSE_MS: u64 = 300;

/// How much is measured and how it is shown.
pub(crate) struct Plan {
    rounds: u64,
    seconds: u64,
    markdown: bool,
    /// Only loads whose name holds this.
    load: String,
}

impl Plan {
    pub(crate) fn parse<'a>(words: &mut impl Iterator<Item = &'a str>) -> Outcome<Plan> {
        let mut plan = Plan { rounds: ROUNDS, seconds: SECONDS, markdown: false, load: String::new() };
        while let Some(word) = words.next() {
            match word {
                "--rounds" => plan.rounds = number("--rounds", words)?.max(1),
                "--seconds" => plan.seconds = number("--seconds", words)?.max(1),
                "--load" => plan.load = words.next().ok_or("--load needs a name")?.to_owned(),
                "--markdown" => plan.markdown = true,
                other => return Err(format!("unknown option {other}")),
            }
        }
        Ok(plan)
    }
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

pub(crate) fn run(plan: &Plan) -> Outcome {
    packages::install(packages::FOR_BENCH)?;
    eprintln!("building doorward with profile dist");
    run_command(cargo(&[
        "build",
        "--quiet",
        "--profile",
        "dist",
        "--package",
        "doorward",
        "--bin",
        "doorward",
    ]))?;
    let folder = Folder::create(target_dir().join("bench"))?;
    let peers = peers::start(&folder, &target_dir().join("dist/doorward"))?;
    let samples = measure(plan, &peers.list)?;
    drop(peers);
    print!("{}", table::render(&samples, plan.markdown));
    println!("\n{}", machine(plan));
    Ok(())
}

/// Loads every peer with every load once a round, in an order that turns with the rounds.
fn measure(plan: &Plan, peers: &[Peer]) -> Outcome<Vec<Sample>> {
    let loads: Vec<Load> = Load::ALL.into_iter().filter(|l| l.name().contains(&*plan.load)).collect();
    for load in loads.iter().copied() {
        for peer in peers.iter().filter(|peer| peer.takes(load)) {
            take(peer, load, WARM_UP_SECONDS, 0)?;
        }
    }
    let mut samples = Vec::new();
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        for load in loads.iter().copied() {
            let peers: Vec<&Peer> = peers.iter().filter(|peer| peer.takes(load)).collect();
            for turn in 0..peers.len() {
                let peer = peers[(turn + round as usize) % peers.len()];
                samples.push(take(peer, load, plan.seconds, round)?);
            }
        }
    }
    Ok(samples)
}

fn take(peer: &Peer, load: Load, seconds: u64, round: u64) -> Outcome<Sample> {
    let said = |why: String| format!("{} under {}: {why}", peer.name, load.name());
    let (cpu_before, tool_before) = (peer.server.cpu_us()?, process::children_cpu_us()?);
    let result = load.apply(peer, seconds).map_err(said)?;
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

/// What was measured on, and with what.
fn machine(plan: &Plan) -> String {
    let says = |program: &str, option: &str| -> String {
        let mut command = Command::new("sh");
        command.args(["-c", "\"$0\" \"$1\" 2>&1 || :", program, option]);
        output(command).ok().and_then(|said| said.lines().next().map(str::to_owned)).unwrap_or_default()
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} rounds of {} s; {} connections; {} cores, {}, Linux {}\n{}; {}; {}; {}",
        plan.rounds,
        plan.seconds,
        load::CONNECTIONS,
        cores,
        model.map_or("unknown processor", |(_, model)| model),
        kernel.trim(),
        says("nginx", "-v"),
        says("haproxy", "-v"),
        says("wrk", "-v"),
        says("h2load", "--version"),
    )
}
