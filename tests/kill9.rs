//! Killed while it writes: what was acknowledged is there, nothing is there by half.
use crate::support::{Actor, Dice, Gateway, Setup, Upstream, World, number_of_trials, rows};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Creates credentials until it is killed; the ones that were acknowledged, each a whole line.
fn create_until_killed(gateway: &Gateway, after: Duration) -> Vec<Actor> {
    let words = [
        "credential",
        "create",
        "--workspace",
        "acme-live",
        "--kind",
        "server",
        "--dialect",
        "voucherify",
        "--count",
        "1000",
        "--json",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(words)
        .args(["--config", &gateway.config])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let reader = std::thread::spawn(move || {
        let mut acknowledged = Vec::new();
        for line in out.lines().map_while(Result::ok) {
            // A line that was cut off is no acknowledgement.
            match serde_json::from_str(&line) {
                Ok(row) => acknowledged.push(Actor::from_row(&row)),
                Err(_) => break,
            }
        }
        acknowledged
    });
    std::thread::sleep(after);
    let _ = child.kill();
    let _ = child.wait();
    reader.join().expect("the reader")
}

#[test]
fn kill9_loses_nothing_that_was_acknowledged() {
    let trials = number_of_trials(5);
    let (production, sandbox) = (Upstream::start(), Upstream::start());
    let mut gateway = Setup::new().policy(World::policy(&production, &sandbox)).prepare();
    let mut dice = Dice(9);
    let (mut slowest_start, mut acknowledged) = (Duration::ZERO, Vec::new());
    for trial in 0..trials {
        let after = Duration::from_micros(20_000 + dice.roll(300_000));
        let new = create_until_killed(&gateway, after);
        acknowledged.extend(new.iter().map(|actor| actor.id.clone()));
        let check = gateway.command(&["check"]);
        assert_eq!(check.code, 0, "trial {trial}: {check:?}");
        let listed = rows(&gateway.command(&["credential", "list", "--json"]).ok().stdout);
        let listed: std::collections::HashSet<&str> =
            listed.iter().filter_map(|row| row["id"].as_str()).collect();
        for id in &acknowledged {
            assert!(listed.contains(id.as_str()), "trial {trial}: {id} was acknowledged and is gone");
        }
        let started = Instant::now();
        gateway.start();
        slowest_start = slowest_start.max(started.elapsed());
        if let Some(last) = new.last() {
            gateway.ask(last.get("/v1/x")).expect_ok();
        }
        // The node is killed as well, in the midst of what it does.
        gateway.kill();
    }
    assert!(!acknowledged.is_empty(), "nothing was ever acknowledged");
    println!("{trials} kills, {} credentials, the longest start {slowest_start:?}", acknowledged.len());
    assert!(slowest_start < Duration::from_secs(5));
}
