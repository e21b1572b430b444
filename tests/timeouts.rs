//! Time-outs: each phase has one, and a slow peer can't stretch it by sending a little (case 41).
use crate::support::{Conn, Do, Fault, World, eventually, noise, tag};
use std::io::Write;
use std::time::{Duration, Instant};

/// A gateway whose time-outs are all long, but for one.
fn impatient(setting: &'static str, ms: u64) -> World {
    World::with(|s| s.set("timeouts", setting, ms))
}

/// Longer than any time-out here and what a busy machine adds to it.
const SLACK: Duration = Duration::from_secs(5);

#[track_caller]
fn took_about(started: Instant, ms: u64) {
    let took = started.elapsed();
    let least = Duration::from_millis(ms * 8 / 10);
    assert!(took >= least && took < least + SLACK, "took {took:?} of {ms} ms");
}

#[test]
fn a_head_that_does_not_end() {
    let world = impatient("head_ms", 400);
    let started = Instant::now();
    let mut connection = world.gateway.connect();
    let answer = connection.send("GET /v1/x HTTP/1.1\r\nHost:").answer();
    answer.expect(408, "request_timeout");
    took_about(started, 400);
    assert!(answer.closes());
    connection.expect_closed();
    let event = world.gateway.event(answer.id());
    assert_eq!((&event["decision"], &event["status"]), (&"reject".into(), &408.into()), "{event}");
    // A second head on a kept connection has the same time.
    let mut connection = world.gateway.connect();
    connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    connection.send("GET").answer().expect(408, "request_timeout");
}

/// A byte now and then does not help.
#[test]
fn a_head_that_dribbles() {
    let world = impatient("head_ms", 400);
    let mut connection = world.gateway.connect();
    let mut writer = connection.writer();
    let started = Instant::now();
    let dribble = std::thread::spawn(move || {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nA: ".iter().copied().chain(std::iter::repeat(b'b'));
        for byte in head.take(2_000) {
            if writer.write_all(&[byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    match connection.try_answer("GET") {
        Ok(answer) => assert_eq!(answer.code(), "request_timeout", "{answer:?}"),
        // The answer may be lost when bytes still come in.
        Err(fault) => assert!(matches!(fault, Fault::Cut(_) | Fault::Ended), "{fault:?}"),
    }
    took_about(started, 400);
    dribble.join().expect("the gateway ends the connection");
}

#[test]
fn a_connection_without_a_request_ends_silently() {
    let world = World::with(|s| s.set("timeouts", "idle_ms", 400).set("timeouts", "head_ms", 400));
    let started = Instant::now();
    world.gateway.connect().expect_closed();
    took_about(started, 400);
    let mut connection = world.gateway.connect();
    connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    connection.expect_closed();
    eventually("its events", || world.gateway.event_lines().len() == 1);
}

#[test]
fn a_body_that_stops() {
    let world = impatient("body_ms", 400);
    for lines in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let tag = tag();
        let started = Instant::now();
        let mut connection = world.gateway.connect();
        connection.send(world.server.request("POST", &format!("/v1/{tag}"), lines)).send("4\r\nhalf\r\n");
        let answer = connection.answer();
        answer.expect(408, "request_timeout");
        took_about(started, 400);
        connection.expect_closed();
        assert!(!world.production.one(&tag).complete, "the upstream saw a whole request");
    }
}

/// A byte a second is no body: there is a least rate.
#[test]
fn a_body_that_dribbles() {
    let world =
        World::with(|s| s.set("timeouts", "body_ms", 800).set("limits", "min_body_rate_bytes_per_s", 10_000));
    let tag = tag();
    let started = Instant::now();
    let mut connection = world.gateway.connect();
    connection.send(world.server.request("POST", &format!("/v1/{tag}"), "Content-Length: 100000\r\n"));
    let mut writer = connection.writer();
    let dribble = std::thread::spawn(move || {
        for _ in 0..2_000 {
            if writer.write_all(b"x").is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    match connection.try_answer("GET") {
        Ok(answer) => assert_eq!(answer.code(), "request_timeout", "{answer:?}"),
        Err(fault) => assert!(matches!(fault, Fault::Cut(_) | Fault::Ended), "{fault:?}"),
    }
    assert!(started.elapsed() < SLACK + Duration::from_secs(2), "{:?}", started.elapsed());
    dribble.join().expect("the gateway ends the connection");
    assert!(!world.production.one(&tag).complete);
}

#[test]
fn an_upstream_that_does_not_answer() {
    let world = impatient("response_ms", 400);
    let tag = tag();
    world.production.on(&tag, vec![Do::Body, Do::Silence]);
    let started = Instant::now();
    let mut connection = world.gateway.connect();
    let answer = connection.expect_serves(&world.server.get(&format!("/v1/{tag}")));
    answer.expect(504, "upstream_timeout");
    took_about(started, 400);
    eventually("the upstream to be let go", || world.production.one(&tag).left);
    assert!(world.production.one(&tag).reset, "a port would be kept for a while");
    assert_eq!(world.gateway.event(answer.id())["code"], "upstream_timeout");
    if !answer.closes() {
        connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    }
    // Half a head is no answer.
    world.production.on(&tag, vec![Do::Body, Do::Say(b"HTTP/1.1 200 OK\r\nA:".to_vec()), Do::Silence]);
    let answer = world.ask(world.server.get(&format!("/v1/{tag}")));
    answer.expect(504, "upstream_timeout");
}

/// The body of a refused request is not waited for without end.
#[test]
fn a_refused_body_that_stops() {
    let world = World::with(|s| s.set("timeouts", "body_ms", 400).set("timeouts", "idle_ms", 400));
    let wrong = world.server.with_secret("wrong");
    let started = Instant::now();
    let mut connection = world.gateway.connect();
    connection.send(wrong.request("POST", "/v1/x", "Content-Length: 1000\r\n")).send("some");
    connection.answer().expect(401, "credential_invalid");
    connection.expect_closed();
    assert!(started.elapsed() < SLACK, "{:?}", started.elapsed());
}

/// The time for an answer starts when the request has been sent: a long upload is no fault of the upstream's.
#[test]
fn an_upload_does_not_count_as_waiting() {
    let world = impatient("response_ms", 400);
    let mut connection = world.gateway.connect();
    connection.send(world.server.request("POST", "/v1/x", "Content-Length: 10\r\n"));
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(100));
        connection.send("x");
    }
    connection.answer().expect_ok();
}

/// An upstream that has begun its answer and waits for the rest of the request stalls nobody: the caller does.
#[test]
fn an_upload_under_way_does_not_count_as_stalling() {
    let world = impatient("response_body_ms", 400);
    let tag = tag();
    let start = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n".to_vec();
    world.production.on(&tag, vec![Do::Say(start), Do::Body, Do::Say(b"ok".to_vec())]);
    let mut connection = world.gateway.connect();
    connection.send(world.server.request("POST", &format!("/v1/{tag}"), "Content-Length: 10\r\n"));
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(100));
        let _ = connection.try_send("x");
    }
    let answer = connection.try_answer("GET");
    assert_eq!(answer.map(|answer| answer.text()), Ok("ok".to_owned()));
}

#[test]
fn an_upstream_that_stops_amid_its_answer() {
    let world = impatient("response_body_ms", 400);
    for start in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhalf",
    ] {
        let tag = tag();
        world.production.on(&tag, vec![Do::Say(start.as_bytes().to_vec()), Do::Silence]);
        let started = Instant::now();
        let fault = world.gateway.connect().send(world.server.get(&format!("/v1/{tag}"))).try_answer("GET");
        assert!(matches!(fault, Err(Fault::Cut(_))), "{start}: {fault:?}");
        took_about(started, 400);
        eventually("the event", || world.gateway.events_with(&tag).iter().any(|e| e["complete"] == false));
    }
}

/// An upstream to which no connection comes about: its queue is full.
#[test]
fn an_upstream_that_does_not_take_connections() {
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    full.bind(&any.into()).expect("a free port");
    full.listen(0).expect("a listener");
    let address = full.local_addr().expect("bound").as_socket().expect("an address");
    // Whoever comes first fills it.
    let _fill: Vec<_> = (0..4)
        .map(|_| {
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket");
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let world = impatient("connect_ms", 400);
    let policy = World::policy(&world.production, &world.sandbox);
    world.gateway.apply(&policy.replace("127.0.0.1:1\"", &format!("{address}\""))).ok();
    let started = Instant::now();
    let mut answer = world.ask(world.server.get("/dead/x"));
    if answer.status == 502 {
        // The policy had not arrived yet.
        eventually("the policy", || {
            answer = world.ask(world.server.get("/dead/x"));
            answer.status != 502
        });
    }
    answer.expect(504, "upstream_timeout");
    took_about(started, 400);
}

#[test]
fn a_caller_that_does_not_read() {
    let world = impatient("write_ms", 500);
    let tag = tag();
    let size = 32 << 20;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    world.production.on(&tag, vec![Do::Say(head), Do::Say(noise(3, size)), Do::Silence]);
    let mut connection = world.gateway.connect();
    connection.send(world.server.get(&format!("/v1/{tag}")));
    let find = || world.gateway.events_with(&tag).pop();
    let event = crate::support::wait_for("the gateway to give up", find);
    assert_eq!(event["complete"], false, "{event}");
    assert!(matches!(connection.try_answer("GET"), Err(Fault::Cut(_))));
}

/// A slow peer among others slows nobody.
#[test]
fn slow_peers_slow_nobody() {
    let world = World::shared();
    let _slow: Vec<Conn> = (0..200)
        .map(|n| {
            let mut connection = world.gateway.connect();
            connection.send(&b"GET /v1/x HTTP/1.1\r\nHost: x\r\nA: "[..n % 30]);
            connection
        })
        .collect();
    let started = Instant::now();
    let mut connection = world.gateway.connect();
    for _ in 0..50 {
        connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    }
    assert!(started.elapsed() < SLACK, "{:?}", started.elapsed());
}
