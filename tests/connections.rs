//! Connections: kept where that is safe, ended where it is not; what was sent once is never sent again.
use crate::support::{Conn, Do, HOST, World, eventually, never_within, tag, wait_for};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Callers that are refused must not have to reconnect: that would be a storm.
#[test]
fn a_refusal_keeps_the_connection() {
    let world = World::shared();
    let mut connection = world.gateway.connect();
    let wrong = world.server.with_secret("wrong");
    let foreign = world.page.at(Some("https://evil.example"));
    for _ in 0..3 {
        connection.expect_serves(&wrong.get("/v1/x")).expect(401, "credential_invalid");
        connection.expect_serves(&foreign.get("/client/v1/x")).expect(403, "origin_denied");
        connection.expect_serves(&world.server.get("/nowhere")).expect(404, "route_unknown");
        connection
            .expect_serves(&world.single.request("DELETE", "/only/get", ""))
            .expect(405, "method_not_allowed");
        connection.send(wrong.post("/v1/x", &[b'x'; 1_000])).answer().expect(401, "credential_invalid");
        connection.send(wrong.post_chunks("/v1/x", b"3e8\r\n")).send([b'x'; 1_000]).send("\r\n0\r\n\r\n");
        connection.answer().expect(401, "credential_invalid");
        connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    }
}

/// S9112-5, case 36: the body of a refused request is read or the connection ends; it is never taken for a request.
#[test]
fn the_body_of_a_refused_request_is_never_a_request() {
    let world = World::shared();
    let wrong = world.server.with_secret("wrong");
    for length in [200, 60_000, 70_000, 5_000_000] {
        let tag = tag();
        let inner = world.server.get(&format!("/v1/{tag}"));
        let mut body = inner.clone().into_bytes();
        body.resize(length.max(body.len()), b'\n');
        let mut connection = world.gateway.connect();
        let _ = connection.try_send(wrong.post("/v1/x", &body));
        connection.answer().expect(401, "credential_invalid");
        // Kept or ended, but in step.
        if connection.try_send(world.server.get(&format!("/v1/{tag}after"))).is_ok()
            && let Ok(next) = connection.try_answer("GET")
        {
            next.expect_ok();
            assert!(length <= 65_536, "so much is not read for nothing");
        }
        let arrived: Vec<_> = world.production.seen(&tag).iter().map(|s| s.target().to_owned()).collect();
        assert!(!arrived.contains(&format!("/v1/{tag}")), "a body of {length} bytes was taken for a request");
    }
}

/// A refused caller that says it will send a body, and then does not wait to be asked for it.
#[test]
fn a_refused_request_that_expects_to_be_asked_keeps_in_step() {
    let world = World::shared();
    let wrong = world.server.with_secret("wrong");
    let mut connection = world.gateway.connect();
    connection.send(wrong.request("POST", "/v1/x", "Expect: 100-continue\r\nContent-Length: 400\r\n"));
    let answer = connection.answer();
    answer.expect(401, "credential_invalid");
    let tag = tag();
    let inner = world.server.get(&format!("/v1/{tag}"));
    let _ = connection.try_send(&inner);
    // Either it is the body, or the connection has ended: nobody can tell a body from a request here.
    drop(connection);
    never_within(Duration::from_millis(100), "the body became a request", || {
        !world.production.seen(&tag).is_empty()
    });
}

/// S9112-6: nothing is served after `Connection: close`.
#[test]
fn nothing_is_served_after_close() {
    let world = World::shared();
    let tag = tag();
    let closing = |version: &str, line: &str| {
        let first = world.server.request("GET", &format!("/v1/{tag}-first"), line);
        first.replace("HTTP/1.1", version) + &world.server.get(&format!("/v1/{tag}-second"))
    };
    for (version, line) in [
        ("HTTP/1.1", "Connection: close\r\n"),
        ("HTTP/1.1", "Connection: keep-alive, CLOSE\r\n"),
        ("HTTP/1.0", ""),
    ] {
        let mut connection = world.gateway.connect();
        connection.send(closing(version, line));
        let answer = connection.answer();
        answer.expect_ok();
        assert!(answer.closes(), "{answer:?}");
        connection.expect_closed();
    }
    assert!(world.production.seen(&format!("{tag}-second")).is_empty());
    let wrong = world.server.with_secret("wrong").request("GET", "/v1/x", "Connection: close\r\n");
    let mut connection = world.gateway.connect();
    connection.send(wrong).answer().expect(401, "credential_invalid");
    connection.expect_closed();
}

#[test]
fn upstream_connections_are_used_again() {
    let world = World::with(|s| s.set("runtime", "cores", 1));
    for _ in 0..3 {
        let mut connection = world.gateway.connect();
        for framing in ["length", "chunked", "tiny"] {
            let answer = connection.send(world.server.post(&format!("/v1/{framing}"), b"some body")).answer();
            assert_eq!(answer.text(), "some body");
        }
        connection.send(world.server.request("HEAD", "/v1/x", ""));
        assert_eq!(connection.try_answer("HEAD").map(|a| a.status), Ok(200));
    }
    assert_eq!((world.production.connections(), world.production.count()), (1, 12));
    assert!(world.production.seen("/v1/").iter().all(|seen| seen.connection == 0));
    // One whose end was the end of its connection can't be used again.
    world.gateway.connect().send(world.server.post("/v1/close", b"x")).answer();
    world.ask(world.server.get("/v1/x")).expect_ok();
    assert_eq!(world.production.connections(), 2);
}

/// An upstream that says it will end the connection is not sent another request on it, even if it leaves it open.
#[test]
fn connections_that_upstreams_want_to_end_are_not_used() {
    let world = World::with(|s| s.set("runtime", "cores", 1));
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let (first, second) = (tag(), tag());
        world.production.on(&first, Do::answer(answer));
        world.ask(world.server.get(&format!("/v1/{first}"))).expect_ok();
        world.ask(world.server.get(&format!("/v1/{second}"))).expect_ok();
        assert_ne!(
            world.production.one(&first).connection,
            world.production.one(&second).connection,
            "{answer}"
        );
    }
}

/// Case 36: an answer that came before the whole request was sent leaves an upstream connection out of step.
#[test]
fn an_early_answer_never_shares_its_connection() {
    let world = World::with(|s| s.set("runtime", "cores", 1));
    for (end, body) in [
        ("Content-Length: 300000\r\n", vec![b'x'; 1_000]),
        ("Transfer-Encoding: chunked\r\n", b"4\r\nhalf\r\n".to_vec()),
    ] {
        let (early, next) = (tag(), tag());
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        world.production.on(&early, vec![Do::Say(ok), Do::Silence]);
        let mut connection = world.gateway.connect();
        connection.send(world.server.request("POST", &format!("/v1/{early}"), end)).send(body);
        assert_eq!(connection.answer().text(), "ok");
        world.ask(world.server.get(&format!("/v1/{next}"))).expect_ok();
        assert_ne!(world.production.one(&early).connection, world.production.one(&next).connection, "{end}");
        drop(connection);
        eventually("the upstream to be let go", || world.production.one(&early).left);
    }
}

/// The chunks of a refused request are read as strictly as any.
#[test]
fn bad_chunks_of_a_refused_request_end_the_connection() {
    let world = World::shared();
    let wrong = world.server.with_secret("wrong");
    for chunks in [
        "4\nWiki\r\n0\r\n\r\n",
        "0x4\r\nWiki\r\n0\r\n\r\n",
        "4\r\nWikiXX0\r\n\r\n",
        "4\r\nWiki\r\n0\r\nA b\r\n\r\n",
    ] {
        let tag = tag();
        let smuggled = world.server.get(&format!("/v1/{tag}"));
        let mut connection = world.gateway.connect();
        let _ = connection
            .try_send([wrong.post_chunks("/v1/x", chunks.as_bytes()), smuggled.into_bytes()].concat());
        let first = connection.answer();
        assert!(matches!(first.status, 400 | 401), "{chunks}: {first:?}");
        while let Ok(answer) = connection.try_answer("GET") {
            assert!(answer.status >= 400, "{chunks}: {answer:?}");
        }
        assert!(world.production.seen(&tag).is_empty(), "{chunks}: smuggled");
    }
}

/// Idle upstream connections are ended before most upstreams would end them.
#[test]
fn idle_upstream_connections_are_ended() {
    let world = World::with(|s| s.set("timeouts", "upstream_idle_ms", 200));
    world.ask(world.server.get("/v1/x")).expect_ok();
    eventually("the idle connection to be ended", || world.production.open() == 0);
    world.ask(world.server.get("/v1/x")).expect_ok();
}

/// What was sent once is never sent again, not even a GET on a connection that turns out to be dead.
#[test]
fn nothing_is_sent_twice() {
    let world = World::with(|s| s.set("runtime", "cores", 1));
    for (method, ending) in
        [("GET", Do::Close), ("POST", Do::Close), ("GET", Do::Reset), ("DELETE", Do::Reset)]
    {
        let mut connection = world.gateway.connect();
        connection.expect_serves(&world.server.get("/v1/warm")).expect_ok();
        let tag = tag();
        world.production.on(&tag, vec![Do::Body, ending]);
        let answer = connection.expect_serves(&world.server.request(method, &format!("/v1/{tag}"), ""));
        assert_eq!((answer.status, answer.code()), (502, "upstream_failed"), "{method}: {answer:?}");
        assert_eq!(world.production.seen(&tag).len(), 1, "{method} was sent again");
    }
}

/// A connection that the upstream ended while it was idle is not used for a request.
#[test]
fn connections_that_upstreams_ended_are_not_used() {
    let world = World::with(|s| s.set("runtime", "cores", 1));
    let go = Arc::new(AtomicBool::new(false));
    let tag = tag();
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    world.production.on(&tag, vec![Do::Say(ok), Do::Until(Arc::clone(&go)), Do::Close]);
    let mut connection = world.gateway.connect();
    for n in 0..5 {
        go.store(false, Ordering::SeqCst);
        connection.expect_serves(&world.server.get(&format!("/v1/{tag}"))).expect_ok();
        go.store(true, Ordering::SeqCst);
        eventually("the upstream to end the connection", || world.production.open() == 0);
        let answer = connection.expect_serves(&world.server.get("/v1/x"));
        assert_eq!(answer.status, 200, "round {n}: {answer:?}");
        // That one is in the pool now; let the next round start without it.
        let closing = world.server.get("/v1/close");
        wait_for("an empty pool", || {
            drop(connection.send(&closing).try_answer("GET"));
            connection = world.gateway.connect();
            (world.production.open() == 0).then_some(())
        });
    }
}

/// A caller that goes takes its request along: the upstream's work is not waited for.
#[test]
fn a_departed_caller_is_noticed() {
    let world = World::shared();
    let tag = tag();
    world.production.on(&tag, vec![Do::Body, Do::Silence]);
    let mut connection = world.gateway.connect();
    connection.send(world.server.get(&format!("/v1/{tag}")));
    eventually("the request", || !world.production.seen(&tag).is_empty());
    drop(connection);
    let took = eventually("the upstream to be told", || world.production.one(&tag).left);
    assert!(world.production.one(&tag).reset, "a port would be kept for a while");
    assert!(took < Duration::from_secs(10), "only after {took:?}");
    let event = wait_for("its event", || world.gateway.events_with(&tag).pop());
    assert_eq!(event["complete"], false, "{event}");
}

#[test]
fn a_caller_that_departs_amid_the_answer_is_noticed() {
    let world = World::shared();
    let tag = tag();
    let start = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome".to_vec();
    world.production.on(&tag, vec![Do::Say(start), Do::Silence]);
    let mut connection = world.gateway.connect();
    connection.send(world.server.get(&format!("/v1/{tag}")));
    assert_eq!(connection.inbox.head().map(|h| h.word(1).to_owned()), Ok("200".to_owned()));
    drop(connection);
    eventually("the upstream to be told", || world.production.one(&tag).left);
    assert!(world.production.one(&tag).reset, "a port would be kept for a while");
    let event = wait_for("its event", || world.gateway.events_with(&tag).pop());
    assert_eq!((&event["complete"], &event["status"]), (&false.into(), &200.into()), "{event}");
}

/// Many callers at once, more than there are cores.
#[test]
fn many_connections_are_served_at_once() {
    let world = World::shared();
    let go = Arc::new(AtomicBool::new(false));
    let tag = tag();
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    world.production.on(&tag, vec![Do::Until(Arc::clone(&go)), Do::Say(ok)]);
    let mut callers: Vec<Conn> = (0..50).map(|_| world.gateway.connect()).collect();
    for caller in &mut callers {
        caller.send(world.server.get(&format!("/v1/{tag}")));
    }
    eventually("all requests", || world.production.seen(&tag).len() == 50);
    world.ask(format!("GET /public/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).expect_ok();
    go.store(true, Ordering::SeqCst);
    assert!(callers.iter_mut().all(|c| c.answer().text() == "ok"));
}
