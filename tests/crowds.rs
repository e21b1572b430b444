//! More connections than there is room for: nobody takes all places, silent ones make room, and file descriptors that
//! run out cost those who come last, never whoever is let in or whoever looks after the node.
use crate::faults::metric;
use crate::support::{Conn, Do, World, eventually, tag, wait_for};
use std::net::SocketAddr;
use std::process::Command;

/// A connection from an address of this machine, with one request answered on it; `None`: there was no place for it.
fn enter(source: &str, world: &World) -> Option<Conn> {
    let mut connection = Conn::from_address(source, world.gateway.address("plain"));
    let sent = connection.try_send(world.server.get("/v1/x"));
    let answer = sent.ok().and_then(|()| connection.try_answer("GET").ok())?;
    if answer.status == 503 {
        answer.expect(503, "overloaded");
        assert!(answer.get("retry-after").is_some(), "{answer:?}");
        return None;
    }
    answer.expect_ok();
    Some(connection)
}

#[test]
fn no_address_takes_all_connections() {
    let world = World::with(|s| {
        let s = s.set("limits", "connections", 12).set("limits", "connections_per_address", 3);
        s.set("trusted_proxies", "networks", "[\"127.0.0.5\"]")
    });
    let mut held: Vec<Conn> = (0..3).map(|_| enter("127.0.0.2", &world).expect("a place")).collect();
    assert!(enter("127.0.0.2", &world).is_none(), "a fourth of one address");
    held.push(enter("127.0.0.3", &world).expect("another address has its own places"));
    // A proxy stands for many.
    held.extend((0..5).map(|_| enter("127.0.0.5", &world).expect("a trusted proxy's place")));
    assert!(metric(&world.gateway, "doorward_connections_refused_total") >= 1.0);
    for connection in &mut held {
        connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    }
    held.remove(0);
    eventually("a place again", || enter("127.0.0.2", &world).is_some());
}

/// Whoever connects and says nothing does not keep others out; whoever has called before stays longer.
#[test]
fn silent_connections_make_room() {
    let world = World::with(|s| s.set("limits", "connections", 8).set("runtime", "cores", 1));
    let mut known = enter("127.0.0.2", &world).expect("a place");
    let address = world.gateway.address("plain");
    let _silent: Vec<Conn> = (0..7).map(|_| Conn::from_address("127.0.0.3", address)).collect();
    known.expect_serves(&world.server.get("/v1/x")).expect_ok();
    let mut another = wait_for("a place", || {
        known.expect_serves(&world.server.get("/v1/x")).expect_ok();
        enter("127.0.0.4", &world)
    });
    another.expect_serves(&world.server.get("/v1/x")).expect_ok();
    known.expect_serves(&world.server.get("/v1/x")).expect_ok();
}

/// The descriptors that a process may have.
const FEW: u64 = 256;
/// An answer of an upstream that wants no further request on its connection.
const CLOSING: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

fn open_files(world: &World) -> u64 {
    std::fs::read_dir(format!("/proc/{}/fd", world.gateway.pid())).expect("it runs").count() as u64
}

/// Asserts that whoever looks after the node is answered.
fn expect_healthy(world: &World) {
    assert_eq!(world.gateway.operations("/healthz").status, 200);
    // The store needs a descriptor now and then as well.
    eventually("it to be ready", || world.gateway.operations("/readyz").status == 200);
}

/// A crowd comes to a node with few descriptors: what it can't take is told so, and nothing else suffers.
#[test]
fn few_file_descriptors_are_enough_for_those_who_are_let_in() {
    let world = World::with(|s| s.descriptors(FEW));
    assert!(world.gateway.log().contains("file descriptors"), "{}", world.gateway.log());
    let address: SocketAddr = world.gateway.address("plain");
    let crowd = |source: &'static str| (0..150).map(move |_| Conn::from_address(source, address));
    let mut known = enter("127.0.0.2", &world).expect("a place");
    let held: Vec<Conn> = crowd("127.0.0.3").chain(crowd("127.0.0.4")).chain(crowd("127.0.0.5")).collect();
    for _ in 0..20 {
        known.expect_serves(&world.server.get("/v1/x")).expect_ok();
        // With a fresh connection to an upstream each time.
        world.sandbox.on("close", Do::answer_and_close(CLOSING));
        known.expect_serves(&world.tester.get("/v1/close")).expect_ok();
        expect_healthy(&world);
    }
    assert!(open_files(&world) < FEW, "{} of {FEW}", open_files(&world));
    let show = world.gateway.command(&["credential", "list"]);
    show.ok();
    drop(held);
    eventually("room again", || enter("127.0.0.3", &world).is_some());
    assert!(metric(&world.gateway, "doorward_connections_refused_total") >= 1.0);
}

/// No descriptor is left for a connection to the upstream: the caller hears that there is too much to do, and nobody is let
/// through or kept out for longer than it lasts.
#[test]
fn no_file_descriptor_for_an_upstream() {
    let world = World::new();
    let mut known = enter("127.0.0.2", &world).expect("a place");
    let limit = |most: u64| {
        let pid = world.gateway.pid().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={most}:20000")]).status();
        assert!(set.expect("prlimit, of util-linux").success());
    };
    let tag = tag();
    let before = world.gateway.log().len();
    // Numbers below the limit are all taken, but for none.
    limit(3);
    known.expect_serves(&world.tester.get(&format!("/v1/{tag}"))).expect(503, "overloaded");
    let stranger = world.server.with_secret("wrong");
    known.expect_serves(&stranger.get(&format!("/v1/{tag}"))).expect(401, "credential_invalid");
    let waits = Conn::open(world.gateway.address("plain"));
    eventually("the acceptor to say so", || world.gateway.log()[before..].contains("can't be taken"));
    limit(10_000);
    drop(waits);
    known.expect_serves(&world.tester.get(&format!("/v1/{tag}after"))).expect_ok();
    assert!(enter("127.0.0.3", &world).is_some());
    expect_healthy(&world);
    let arrived = [world.sandbox.seen(&tag), world.production.seen(&tag)].concat();
    assert_eq!(arrived.len(), 1, "{arrived:?}");
    eventually("its event", || {
        world.gateway.events_with(&tag).iter().any(|e| e["detail"] == "file-descriptors")
    });
}
