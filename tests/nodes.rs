//! Many nodes on one store: what is changed once is obeyed at all of them.
use crate::support::{Actor, Gateway, Setup, Upstream, Wire, World, eventually, rows, skips_unless_postgres};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How fast every node must obey, on a machine as busy as one that runs tests. It is well under a second.
const OBEYED: Duration = Duration::from_secs(5);

/// Waits until every node answers a caller with `code`, none if it is let in.
#[track_caller]
fn obeyed(nodes: &[&Gateway], what: &str, caller: &Actor, code: &str) {
    obeyed_at(nodes, what, &caller.get("/v1/x"), code);
}

#[track_caller]
fn obeyed_at(nodes: &[&Gateway], what: &str, request: &str, code: &str) {
    let done = Instant::now();
    for (n, node) in nodes.iter().enumerate() {
        eventually(&format!("node {n}: {what}"), || {
            let answer = node.ask(request);
            if code.is_empty() { answer.status == 200 } else { answer.code() == code }
        });
    }
    assert!(done.elapsed() < OBEYED, "{what} took {:?}", done.elapsed());
}

#[test]
fn every_node_obeys_what_one_command_does() {
    let world = World::new();
    let (first, second) = (&world.gateway, &Gateway::beside(&world.gateway));
    let nodes = [first, second];
    // Whichever node's configuration a command is given, it is the store that it changes.
    for at in nodes {
        let caller = at.actor("acme-live", "server", &[]);
        obeyed(&nodes, "created", &caller, "");
        let credential = |words: &[&str]| at.command(&[&["credential"], words, &[&caller.id]].concat()).ok();
        credential(&["block"]);
        obeyed(&nodes, "blocked", &caller, "credential_blocked");
        credential(&["unblock"]);
        obeyed(&nodes, "unblocked", &caller, "");
        let made = rows(&credential(&["regenerate", "--json"]).stdout).remove(0);
        let renewed = caller.with_secret(made["secret"].as_str().expect("a secret"));
        obeyed(&nodes, "the old secret", &caller, "credential_invalid");
        obeyed(&nodes, "the new secret", &renewed, "");
        credential(&["delete"]);
        obeyed(&nodes, "deleted", &renewed, "credential_invalid");
    }
    for node in nodes {
        node.command(&["check"]).ok();
    }
}

#[test]
fn every_node_obeys_a_changed_policy() {
    let world = World::new();
    let second = Gateway::beside(&world.gateway);
    let nodes = [&world.gateway, &second];
    let before = World::policy(&world.production, &world.sandbox);
    let after = before.replace("path = \"/v1/*\"", "path = \"/v2/*\"");
    assert_ne!(before, after);
    for (at, policy, gone, there) in
        [(&second, &after, "/v1/x", "/v2/x"), (&world.gateway, &before, "/v2/x", "/v1/x")]
    {
        at.apply(policy).ok();
        obeyed_at(&nodes, "a route that is gone", &world.server.get(gone), "route_unknown");
        obeyed_at(&nodes, "a route that is new", &world.server.get(there), "");
    }
    // A policy that does not compile is refused, and changes nothing anywhere.
    let broken = before.replace("dialect = \"antavo\"", "dialect = \"nothing-known\"");
    assert_eq!(second.apply(&broken).code, 1);
    obeyed(&nodes, "the policy as it was", &world.server, "");
}

/// Four commands write at once while both nodes serve and note what is used: each is done, or told to try again where others
/// kept it waiting for seconds, and in the end both nodes know the same.
#[test]
fn writers_at_once_leave_every_node_with_the_same_directory() {
    const EACH: usize = 12;
    let world = World::new();
    let (first, second) = (&world.gateway, &Gateway::beside(&world.gateway));
    let write = |n: usize| {
        let at = [first, second][n % 2];
        let count = EACH.to_string();
        let run = |words: &[&str]| loop {
            let run = at.command(words);
            if run.code == 0 || !run.stderr.contains("the store is busy") {
                return run.ok();
            }
        };
        let create = [
            "credential",
            "create",
            "--workspace",
            "acme-live",
            "--kind",
            "server",
            "--dialect",
            "voucherify",
            "--json",
        ];
        let made = run(&[&create[..], &["--count", &count]].concat());
        let made: Vec<Actor> = rows(&made.stdout).iter().map(Actor::from_row).collect();
        for (i, actor) in made.iter().enumerate().filter(|(i, _)| i % 3 > 0) {
            let verb = ["", "block", "delete"][i % 3];
            run(&["credential", verb, &actor.id]);
        }
        made
    };
    let made: Vec<Vec<Actor>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4).map(|n| scope.spawn(move || write(n))).collect();
        while !writers.iter().all(|writer| writer.is_finished()) {
            for node in [first, second] {
                node.ask(world.server.get("/v1/x")).expect_ok();
            }
        }
        writers.into_iter().map(|writer| writer.join().expect("none fails")).collect()
    });
    for (i, actor) in made.iter().flat_map(|of_one| of_one.iter().enumerate()) {
        let code = ["", "credential_blocked", "credential_invalid"][i % 3];
        obeyed(&[first, second], &format!("credential {i}"), actor, code);
    }
    let listed = [first, second].map(|node| {
        node.command(&["check"]).ok();
        let list = rows(&node.command(&["credential", "list", "--json"]).ok().stdout);
        list.iter().map(|row| format!("{} {}", row["id"], row["status"])).collect::<BTreeSet<_>>()
    });
    assert_eq!(listed[0], listed[1]);
    assert_eq!(listed[0].len(), 5 + 4 * EACH * 2 / 3);
}

/// A node that was away, however it went, knows all that was changed meanwhile before it serves again.
#[test]
fn a_node_that_was_away_has_missed_nothing() {
    let world = World::new();
    let mut second = Gateway::beside(&world.gateway);
    for violently in [false, true] {
        let caller = world.gateway.actor("acme-live", "server", &[]);
        obeyed(&[&world.gateway, &second], "created", &caller, "");
        let block = || world.gateway.command(&["credential", "block", &caller.id]).ok();
        if violently {
            second.kill();
            block();
            second.start();
        } else {
            block();
            second.restart();
        }
        second.ask(caller.get("/v1/x")).expect(401, "credential_blocked");
    }
}

/// A node that cannot reach the store serves from its memory for as long as it may and then refuses, while others go on;
/// it comes back by itself, and knows what was changed meanwhile.
#[test]
fn a_node_cut_off_from_the_store_refuses_and_comes_back() {
    if skips_unless_postgres() {
        return;
    }
    let world = World::new();
    let wire = Wire::to(world.gateway.database().address());
    let away = Setup::beside(&world.gateway).through(wire.address).set("store", "max_staleness_s", 1);
    let mut away = away.prepare_unchecked();
    away.start();
    for what in ["stalled", "refused"] {
        let caller = world.gateway.actor("acme-live", "server", &[]);
        obeyed(&[&away, &world.gateway], "created", &caller, "");
        if what == "stalled" {
            wire.stall()
        } else {
            wire.refuse()
        }
        world.gateway.command(&["credential", "block", &caller.id]).ok();
        obeyed(&[&world.gateway], "blocked", &caller, "credential_blocked");
        let answer = away.ask(world.server.get("/v1/x"));
        assert!(answer.status == 200 || answer.code() == "unavailable", "{what}: {answer:?}");
        eventually(&format!("{what}: it refuses"), || {
            away.ask(world.server.get("/v1/x")).code() == "unavailable"
        });
        assert_eq!(away.operations("/readyz").status, 503, "{what}");
        world.ask(world.server.get("/v1/x")).expect_ok();
        wire.flow();
        eventually(&format!("{what}: it is back"), || away.ask(world.server.get("/v1/x")).status == 200);
        away.ask(caller.get("/v1/x")).expect(401, "credential_blocked");
    }
    // A connection that breaks is made again before anybody notices.
    for _ in 0..5 {
        wire.cut();
        let caller = world.gateway.actor("acme-live", "server", &[]);
        obeyed(&[&away], "created past a cut", &caller, "");
    }
    // A slow store makes changes late, and nothing else.
    wire.delay(Duration::from_millis(50));
    let caller = world.gateway.actor("acme-live", "server", &[]);
    obeyed(&[&away], "created behind a slow wire", &caller, "");
    assert!(wire.open() > 0, "it did not go by the wire");
}

/// Nodes of different installations on one server have nothing to do with each other.
#[test]
fn stores_side_by_side_know_nothing_of_each_other() {
    let (world, other) = (World::new(), World::with(|setup| setup.set("", "name", "\"other\"")));
    other.ask(world.server.get("/v1/x")).expect(401, "credential_invalid");
    world.ask(other.server.get("/v1/x")).expect(401, "credential_invalid");
    let upstream = Upstream::start();
    other.gateway.apply(&World::policy(&upstream, &upstream)).ok();
    world.ask(world.server.get("/v1/x")).expect_ok();
    assert_eq!(upstream.count(), 0);
}
