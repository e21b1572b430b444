//! Slow callers of every kind, many at a time, beside one that is not: each is ended in its time, and it is served.
use crate::support::{Authority, Conn, Do, Fault, HOST, TlsVersion, World, eventually, noise, tag, wait_for};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Slow callers of each kind.
const MANY: usize = 40;

/// Sends a byte now and then, until the other side has had enough; `false`: it never had.
fn dribble(mut to: TcpStream, bytes: impl Iterator<Item = u8>) -> bool {
    for byte in bytes {
        if to.write_all(&[byte]).is_err() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Heads and bodies that dribble, heads that stop, and silence, as slowhttptest has them.
#[test]
fn each_kind_of_slow_caller_is_ended_and_nobody_waits_for_it() {
    let world = World::with(|s| {
        let s = s.set("timeouts", "head_ms", 1_000).set("timeouts", "body_ms", 1_000);
        let s = s.set("timeouts", "idle_ms", 1_000).set("limits", "min_body_rate_bytes_per_s", 10_000);
        s.set("timeouts", "write_ms", 1_000).set("limits", "min_answer_rate_bytes_per_s", 1 << 20)
    });
    let tag = tag();
    let (gateway, caller) = (&world.gateway, &world.server);
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20).into_bytes();
    world.production.on(&tag, vec![Do::Say(long), Do::Say(noise(7, 16 << 20)), Do::Silence]);
    std::thread::scope(|scope| {
        let mut slow = Vec::new();
        for n in 0..MANY {
            let connection = gateway.connect();
            let writer = connection.writer();
            let letters = std::iter::repeat_n(b'x', 3_000);
            let first = match n % 4 {
                // Slow heads, with lines that never end, and slow bodies.
                0 => format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: "),
                1 => caller.request("POST", "/v1/x", "Content-Length: 100000\r\n"),
                // Silence, and ranges in an answer that is read as slowly.
                2 => String::new(),
                _ => caller.request("GET", &format!("/v1/{tag}"), "Range: bytes=0-,5-,6-\r\n"),
            };
            slow.push(scope.spawn(move || {
                let mut connection = connection;
                let _ = connection.try_send(first);
                match n % 4 {
                    0 | 1 => dribble(writer, letters),
                    2 => matches!(connection.try_answer("GET"), Err(Fault::Ended | Fault::Cut(_))),
                    _ => ended_while_reading(&writer),
                }
            }));
        }
        let mut served = gateway.connect();
        while slow.iter().any(|one| !one.is_finished()) {
            served.expect_serves(&caller.get("/v1/y")).expect_ok();
        }
        for (n, one) in slow.into_iter().enumerate() {
            assert!(one.join().expect("a thread"), "kind {} was never ended", n % 4);
        }
    });
    let given_up = || {
        let events = world.gateway.events_with(&tag);
        events.iter().filter(|e| e["detail"] == "caller-takes-nothing" && e["complete"] == false).count()
    };
    eventually("the readers' events", || given_up() == MANY / 4);
    eventually("the upstream to be let go", || world.production.open() == 0);
}

/// Reads a little now and then; whether the answer was cut.
fn ended_while_reading(mut from: &TcpStream) -> bool {
    let mut room = [0; 4_096];
    for _ in 0..3_000 {
        match from.read(&mut room) {
            Ok(0) | Err(_) => return true,
            Ok(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    false
}

/// A caller that reads slowly, but not too slowly, gets all of a long answer.
#[test]
fn a_caller_that_keeps_the_least_rate_gets_all() {
    let world = World::with(|s| {
        let s = s.set("timeouts", "write_ms", 1_000);
        s.set("limits", "min_answer_rate_bytes_per_s", 1 << 20)
    });
    let tag = tag();
    let body = noise(8, 24 << 20);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    world.production.on(&tag, vec![Do::Say(head), Do::Say(body.clone())]);
    let mut connection = world.gateway.connect();
    connection.send(world.server.get(&format!("/v1/{tag}")));
    let mut from = connection.writer();
    let (mut got, mut room) = (Vec::new(), vec![0; 256 << 10]);
    while !got.ends_with(&body[body.len() - 64..]) {
        let n = from.read(&mut room).expect("the answer goes on");
        assert!(n > 0, "cut after {} bytes", got.len());
        got.extend_from_slice(&room[..n]);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(got.ends_with(&body));
    let event = wait_for("the event", || world.gateway.events_with(&tag).pop());
    assert_eq!(event["complete"], true, "{event}");
}

/// Handshakes that nobody begins, or nobody ends, keep nobody from theirs.
#[test]
fn silent_handshakes_keep_nobody_waiting() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate();
    let world = World::with(|s| s.tls(&certificate, &key).set("timeouts", "tls_handshake_ms", 1_000));
    let address = world.gateway.address("tls");
    let slow: Vec<Conn> = (0..MANY)
        .map(|n| {
            let mut connection = Conn::open(address);
            // The beginning of a record of TLS that says hello.
            let _ = connection.try_send(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00][..n % 8]);
            connection
        })
        .collect();
    let mut served = authority.connect(address, TlsVersion::V13).expect("a handshake");
    served.expect_serves(&world.server.get("/v1/x")).expect_ok();
    for mut connection in slow {
        connection.expect_closed();
    }
    served.expect_serves(&world.server.get("/v1/x")).expect_ok();
}
