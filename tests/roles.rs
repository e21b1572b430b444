//! Nodes on one store: what each role does, and the list of those that run.
use crate::support::{
    DEADLINE, Gateway, Run, Setup, World, doorward, doorward_with, eventually, rows, skipped, wait_for,
};
use serde_json::Value;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

const FAKED_DAY: &str = "+25h";

/// What `node list` says, to whoever's clock is ahead by so much.
fn list(gateway: &Gateway, ahead: Option<(&str, &str)>) -> Vec<Value> {
    let words = ["node", "list", "--json", "--config", &gateway.config];
    let environment = ahead.map(|(library, by)| vec![("LD_PRELOAD", library), ("FAKETIME", by)]);
    rows(&doorward_with(&words, &environment.unwrap_or_default()).ok().stdout)
}

fn named(gateway: &Gateway, name: &str) -> Vec<Value> {
    list(gateway, None).into_iter().filter(|node| node["name"] == name).collect()
}

/// Waits until the only node of a name is in a state.
fn one(gateway: &Gateway, name: &str, state: &str) -> Value {
    wait_for(&format!("{name} to be {state}"), || {
        let mut nodes = named(gateway, name);
        (nodes.len() == 1 && nodes[0]["state"] == state).then(|| nodes.remove(0))
    })
}

/// The program, started by hand.
struct Serving(Child);

impl Serving {
    fn start(words: &[&str]) -> Serving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.arg("serve").args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Serving(command.spawn().expect("the program runs"))
    }

    fn stopped(&mut self) -> ExitStatus {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        wait_for("the node to end", || self.0.try_wait().expect("a child"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn library(test: &str) -> Option<String> {
    let library = std::env::var("DOORWARD_FAKETIME").ok();
    if library.is_none() {
        skipped(test, "DOORWARD_FAKETIME is not set");
    }
    library
}

fn sample(gateway: &Gateway, name: &str) -> Option<f64> {
    let text = gateway.operations("/metrics").text();
    let line = text.lines().find(|line| line.split([' ', '{']).next() == Some(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn says(gateway: &Gateway, line: &str) -> bool {
    gateway.operations("/metrics").text().lines().any(|l| l == line)
}

/// Each role: ready, watched, listed, and ended in good order.
#[test]
fn each_role_does_its_part() {
    let world = World::with(|s| s.set("", "role", "\"gateway\""));
    world.ask(world.server.get("/v1/x")).expect_ok();
    // Its settings name a listener for callers, as those that are shared with gateways do.
    let mut control = Setup::beside(&world.gateway).set("", "role", "\"control\"").prepare_unchecked();
    control.start();
    assert!(control.log().contains("takes no callers"), "{}", control.log());
    assert_eq!(control.operations("/readyz").status, 200);
    let ready = std::fs::read_to_string(control.folder.file("ready.json")).expect("its ready file");
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    assert_eq!(
        ready.as_object().map(|all| all.keys().cloned().collect()),
        Some(vec!["operations".to_owned()])
    );
    let mut all = Setup::beside(&world.gateway).set("", "name", "\"third\"").prepare_unchecked();
    all.start();
    all.ask(world.server.get("/v1/x")).expect_ok();
    for (name, role) in [("test", "gateway"), ("another", "control"), ("third", "all")] {
        assert_eq!(one(&world.gateway, name, "up")["role"], role, "{name}");
    }
    // A control node follows the store as well.
    let seq = sample(&all, "doorward_directory_seq");
    let id = world.server.id.as_str();
    control.command(&["credential", "block", id]).ok();
    eventually("all to know of it", || {
        [&world.gateway, &control, &all].iter().all(|node| sample(node, "doorward_directory_seq") > seq)
    });
    world.ask(world.server.get("/v1/x")).expect(401, "credential_blocked");
    for mut node in [control, all] {
        node.signal("TERM");
        let status = node.ended();
        assert_eq!(status.code(), Some(0), "{status:?}: {}", node.log());
    }
    let left = list(&world.gateway, None);
    assert_eq!(left.len(), 1, "those that ended in good order are off the list: {left:?}");
}

/// The command line goes before the file, and what it says decides what the file has to hold.
#[test]
fn the_role_of_the_command_line_goes_before_that_of_the_file() {
    let setup = Setup::new().set("", "role", "\"gateway\"");
    let node = setup.unset("listen", "plain").unset("listen", "operations").prepare();
    let refused = doorward(&["serve", "--config", &node.config]);
    assert!(refused.code == 1 && refused.stderr.contains("nothing to listen on"), "{refused:?}");
    let ready = node.folder.file("ready.json");
    let words = ["--config", &node.config, "--role", "control", "--ready-file", &ready];
    let mut serving = Serving::start(&words);
    eventually("the node to be ready", || std::path::Path::new(&ready).exists());
    assert_eq!(one(&node, "test", "up")["role"], "control");
    assert_eq!(serving.stopped().code(), Some(0));
    assert_eq!(list(&node, None).len(), 0);

    let choices = "gateway, control, all";
    let usage = doorward(&["serve", "--config", &node.config, "--role", "master"]);
    assert!(usage.code == 2 && usage.stderr.contains(choices), "{usage:?}");
    let wrong = Setup::new().set("", "role", "\"master\"").prepare_unchecked();
    for words in [["serve", "--config", &wrong.config], ["check", "--config", &wrong.config]] {
        let run = doorward(&words);
        let told = run.stderr.contains("role: `master` is none of") && run.stderr.contains(choices);
        assert!(run.code == 1 && told, "{run:?}");
    }
}

/// The list: who runs, how far each is, who has gone, who was lost.
#[test]
fn node_list_tells_who_runs() {
    let world = World::new();
    let listed = one(&world.gateway, "test", "up");
    assert_eq!((&listed["role"], &listed["region"]), (&"all".into(), &"us".into()));
    assert_eq!(listed["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(listed["id"].as_str().map(str::len), Some(32));
    assert!(listed["seen_ago_ms"].as_i64().is_some_and(|ms| (0..60_000).contains(&ms)), "{listed}");
    assert!(listed["directory_age_ms"].as_i64().is_some_and(|ms| (0..10_000).contains(&ms)), "{listed}");
    let text = world.gateway.command(&["node", "list"]).ok().stdout;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines.len(), lines[0][0], lines[1][0]), (2, "NAME", "test"), "{text}");
    assert_eq!(lines[1][1], &listed["id"].as_str().unwrap_or_default()[..8]);
    assert_eq!(lines[1].last(), Some(&"up"));

    // A change: the node obeys it at once, and tells so with its next word.
    world.gateway.command(&["credential", "block", &world.tester.id]).ok();
    let behind = || one(&world.gateway, "test", "up")["behind"].as_i64();
    eventually("the node to tell that it has every change", || behind() == Some(0));
    let seq = sample(&world.gateway, "doorward_directory_seq");
    assert_eq!(one(&world.gateway, "test", "up")["seq"].as_f64(), seq, "telling is no change");

    // Another one of the same name is allowed, and told.
    let mut other = Setup::beside(&world.gateway).set("", "name", "\"test\"").prepare_unchecked();
    other.start();
    let warned = |run: &Run| run.stderr.contains("2 running nodes have the name `test`");
    let run = wait_for("the other one", || {
        Some(world.gateway.command(&["node", "list", "--json"]).ok())
            .filter(|run| rows(&run.stdout).len() == 2)
    });
    assert!(warned(&run), "{run:?}");
    other.signal("TERM");
    assert_eq!(other.ended().code(), Some(0));
    assert_eq!(one(&world.gateway, "test", "up")["id"], listed["id"]);
    assert!(!warned(&world.gateway.command(&["node", "list"]).ok()));
    world.gateway.command(&["check"]).ok();
}

/// A node that was killed says no word: it counts as lost after a minute, and is forgotten after a day by nodes that
/// look after the store. Needs libfaketime.
#[test]
fn a_killed_node_is_lost_and_then_forgotten() {
    let Some(library) = library("a_killed_node_is_lost_and_then_forgotten") else { return };
    let mut dead = Setup::new().prepare();
    dead.start();
    let id = one(&dead, "test", "up")["id"].clone();
    dead.kill();
    let seen = |by: &str| list(&dead, Some((&library, by))).into_iter().find(|node| node["id"] == id);
    let state = |by: &str| seen(by).map_or(Value::Null, |node| node["state"].clone());
    assert_eq!(state("+20s"), "up", "it was just there");
    assert_eq!(state("+70s"), "lost");
    assert_eq!(seen("-1h").map(|node| node["seen_ago_ms"].clone()), Some(0.into()), "a clock that is behind");

    // A day later, by the clock of other nodes.
    let tomorrow = |name: &str, role: &str| {
        let setup =
            Setup::beside(&dead).set("", "name", format!("{name:?}")).set("", "role", format!("{role:?}"));
        let setup = setup.env("LD_PRELOAD", &library).env("FAKETIME", FAKED_DAY);
        let mut node = setup.env("DONT_FAKE_MONOTONIC", "1").prepare_unchecked();
        node.start();
        node
    };
    let _gateway = tomorrow("gateway", "gateway");
    one(&dead, "gateway", "up");
    assert_eq!(state(FAKED_DAY), "lost", "a gateway leaves the list alone");
    let _control = tomorrow("control", "control");
    eventually("it to be forgotten", || state(FAKED_DAY).is_null());
    one(&dead, "gateway", "up");
    one(&dead, "control", "up");
}

/// What a node measures about itself and its store; and an outage, in which it goes on from its memory.
#[test]
fn metrics_tell_of_the_store() {
    let world = World::new();
    let gateway = &world.gateway;
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        &format!("doorward_node_info{{name=\"test\",version=\"{version}\",role=\"all\",region=\"us\"}} 1"),
        "doorward_ready 1",
        "doorward_store_up 1",
        "doorward_store_outages_total 0",
        "doorward_credentials 5",
        "doorward_failopen_total 0",
    ] {
        assert!(says(gateway, line), "{line}: {}", gateway.operations("/metrics").text());
    }
    let age = || sample(gateway, "doorward_directory_age_seconds").unwrap_or(f64::MAX);
    assert!(sample(gateway, "doorward_directory_seq") > Some(0.0));
    eventually("the directory to be fresh", || age() < 1.0);
    for outage in ["1", "2"] {
        gateway.take_store_away();
        eventually("the outage to be told", || {
            says(gateway, "doorward_store_up 0")
                && says(gateway, &format!("doorward_store_outages_total {outage}"))
        });
        eventually("the directory to be older", || age() > 1.0);
        world.ask(world.server.get("/v1/x")).expect_ok();
        gateway.give_store_back();
        eventually("the store to be back", || says(gateway, "doorward_store_up 1") && age() < 1.0);
        assert!(says(gateway, &format!("doorward_store_outages_total {outage}")), "an outage counts once");
    }
    assert!(says(gateway, "doorward_failopen_total 0"));
}

/// A node that ends while its store is away can't leave the list, and ends all the same.
#[test]
fn a_store_that_is_away_holds_up_no_end() {
    let mut world = World::new();
    world.gateway.take_store_away();
    let started = Instant::now();
    world.gateway.signal("TERM");
    assert_eq!(world.gateway.ended().code(), Some(0), "{}", world.gateway.log());
    assert!(started.elapsed() < DEADLINE / 2, "{:?}", started.elapsed());
    world.gateway.give_store_back();
    // Its successor is another node, whatever became of the first one's entry.
    world.gateway.start();
    eventually("the new one", || named(&world.gateway, "test").iter().any(|node| node["state"] == "up"));
}
