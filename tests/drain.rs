//! The end of a gateway: what is under way ends well, nothing new begins.
use crate::support::{Conn, Do, World, eventually, tag};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn what_is_under_way_ends_well() {
    for signal in ["TERM", "INT"] {
        let mut world = World::new();
        let (tag, go) = (tag(), Arc::new(AtomicBool::new(false)));
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate".to_vec();
        world.production.on(&tag, vec![Do::Body, Do::Until(Arc::clone(&go)), Do::Say(ok)]);
        let address = world.gateway.address("plain");
        let mut idle = world.gateway.connect();
        idle.expect_serves(&world.server.get("/v1/x")).expect_ok();
        let mut busy = world.gateway.connect();
        busy.send(world.server.get(&format!("/v1/{tag}")));
        let mut upload = world.gateway.connect();
        upload.send(world.server.request("POST", "/v1/x", "Content-Length: 8\r\n")).send("half");
        eventually("the requests", || {
            !world.production.seen(&tag).is_empty() && world.production.count() == 3
        });
        assert_eq!(world.gateway.operations("/readyz").status, 200);
        world.gateway.signal(signal);
        eventually("others to be sent elsewhere", || world.gateway.operations("/readyz").status == 503);
        assert_eq!(world.gateway.operations("/healthz").status, 200, "it is alive until the end");
        idle.expect_closed();
        eventually("no new connections", || {
            TcpStream::connect(address)
                .map_or(true, |socket| Conn::over_socket(socket).try_answer("GET").is_err())
        });
        upload.send("half");
        let answer = upload.answer();
        assert_eq!((answer.text().as_str(), answer.closes()), ("halfhalf", true), "{answer:?}");
        go.store(true, Ordering::SeqCst);
        let answer = busy.answer();
        assert_eq!((answer.text().as_str(), answer.closes()), ("late", true), "{answer:?}");
        busy.expect_closed();
        let status = world.gateway.ended();
        assert_eq!(status.code(), Some(0), "{status:?}: {}", world.gateway.log());
        assert_eq!(world.gateway.event(answer.id())["complete"], true);
    }
}

/// Draining has an end, whatever callers and upstreams do.
#[test]
fn draining_has_an_end() {
    let mut world = World::with(|s| s.set("timeouts", "drain_ms", 500));
    let tag = tag();
    world.production.on(&tag, vec![Do::Body, Do::Silence]);
    let mut stuck = world.gateway.connect();
    stuck.send(world.server.get(&format!("/v1/{tag}")));
    eventually("the request", || !world.production.seen(&tag).is_empty());
    world.gateway.signal("TERM");
    let status = world.gateway.ended();
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert!(stuck.try_answer("GET").map_or(true, |answer| answer.status >= 500));
    let events = world.gateway.events_with(&tag);
    assert_eq!(events.len(), 1, "even what was cut off has its event: {events:?}");
}

/// What was recorded before the end is there after it: keys, and when they were used.
#[test]
fn a_node_starts_again_where_it_ended() {
    let mut world = World::new();
    world.ask(world.server.get("/v1/x")).expect_ok();
    world.gateway.signal("TERM");
    assert_eq!(world.gateway.ended().code(), Some(0));
    assert_ne!(world.gateway.show(&world.server.id)["last_used"], serde_json::Value::Null);
    world.gateway.command(&["check"]).ok();
    world.gateway.start();
    world.ask(world.server.get("/v1/x")).expect_ok();
}
