//! Who called, over real sockets: what proxies and liars write, in every spelling, from a trusted peer and from another (case
//! 13, SXFF). Tens of thousands of mixtures more run without sockets, beside the code.
use crate::support::{Conn, Dice, World, eventually, tag};
use serde_json::Value;
use std::collections::BTreeMap;
use table::{DECOYS, ELEMENTS, HOPS, Meaning, caller, lines};

#[path = "../crates/gateway/tests/forwarded/table.rs"]
mod table;

/// Mixtures for each of the two headers.
const TRIALS: usize = 300;

fn run(header: &str, name: &str, table: &[(&str, Meaning)]) {
    let world = World::with(|s| {
        s.set("trusted_proxies", "networks", "[\"10.1.2.3/8\", \"127.0.0.1\", \"2001:db8:1::7/48\"]").set(
            "trusted_proxies",
            "header",
            format!("{header:?}"),
        )
    });
    let mut dice = Dice(13);
    let mut roll = |sides: usize| dice.roll(sides as u64) as usize;
    let sources = ["127.0.0.1", "127.0.0.2"];
    let mut connections = sources.map(|source| Conn::from_address(source, world.gateway.address("plain")));
    let mut told: BTreeMap<String, (String, Meaning)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for trial in 0..TRIALS {
        // Every element once, as the last one; then anything.
        let last = trial % table.len();
        let mut places: Vec<Vec<usize>> =
            (0..roll(3)).map(|_| (0..1 + roll(3)).map(|_| roll(table.len())).collect()).collect();
        places.push(vec![roll(table.len()), last]);
        let (text, said) = lines(name, table, &places, roll(2) == 0);
        let text = text + DECOYS[roll(DECOYS.len())];
        let from = usize::from(roll(4) == 0);
        let want = if from == 0 { caller(&said) } else { Some(sources[1]) };
        let tag = tag();
        let answer =
            connections[from].expect_serves(&world.server.request("GET", &format!("/v1/{tag}"), &text));
        assert_eq!(answer.status, 200, "{text}: {answer:?}");
        let seen = world.production.one(&tag);
        if seen.get("x-forwarded-for") != want {
            wrong.push(format!(
                "{} {text}: the upstream was told {:?}, not {want:?}",
                sources[from], seen.head
            ));
        }
        told.insert(answer.id().to_owned(), (text, want));
    }
    let mut events: BTreeMap<String, Value> = BTreeMap::new();
    eventually("every event", || {
        let lines = world.gateway.event_lines();
        let read = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        events = read.map(|e| (e["request_id"].as_str().unwrap_or_default().to_owned(), e)).collect();
        told.keys().all(|id| events.contains_key(id))
    });
    for (id, (text, want)) in &told {
        if events[id]["client"].as_str() != *want {
            wrong.push(format!("{text}: the event says {}, not {want:?}", events[id]["client"]));
        }
    }
    println!("figures: {name} over sockets: {TRIALS} combinations, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn case_13_x_forwarded_for() {
    run("x-forwarded-for", "X-Forwarded-For", HOPS);
}

#[test]
fn case_13_forwarded() {
    run("forwarded", "Forwarded", ELEMENTS);
}
