//! Upstreams are held to the same rules: what is not HTTP becomes a 502, what was cut off stays cut off.
use crate::support::{Answer, Do, Fault, Shared, World, eventually, tag};

fn asked(world: &Shared, script: Vec<Do>) -> (String, Result<Answer, Fault>) {
    let tag = tag();
    world.production.on(&tag, script);
    let answer = world.gateway.connect().send(world.server.get(&format!("/v1/{tag}"))).try_answer("GET");
    (tag, answer)
}

/// Answers that are none. Each is sent whole, and the connection is left open.
#[rustfmt::skip] // One case a line.
const BAD: &[(&str, &str)] = &[
    ("S9112-1 two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    ("S9112-1 two equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    ("S9112-1 a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok"),
    ("S9112-1 a sign", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
    ("S9112-1 an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok"),
    ("S9112-1 length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-1 chunked and length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"),
    ("S9112-2 gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-2 twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-2 unknown", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok"),
    ("S9112-2 in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-3 bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    ("S9112-3 one bare LF", "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nok"),
    ("S9112-3 a bare CR", "HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 2\r\n\r\nok"),
    ("S9112-3 a folded field", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok"),
    ("S9112-3 space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"),
    ("S9112-3 NUL", "HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 2\r\n\r\nok"),
    ("S9112-3 no colon", "HTTP/1.1 200 OK\r\nA b\r\nContent-Length: 2\r\n\r\nok"),
    ("an empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status 99", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status 600", "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("no space behind the status", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"),
    ("no HTTP at all", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"),
    ("204 chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("S9110-2 101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    ("S9110-1 Connection names Content-Length", "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok"),
];

#[test]
fn answers_that_are_no_http_become_502() {
    let world = World::shared();
    for (what, bytes) in BAD {
        let (tag, answer) = asked(&world, Do::answer(bytes));
        let answer = answer.unwrap_or_else(|fault| panic!("{what}: {fault:?}"));
        assert_eq!((answer.status, answer.code()), (502, "upstream_failed"), "{what}: {answer:?}");
        let event = world.gateway.event(answer.id());
        assert_eq!((&event["status"], &event["code"]), (&502.into(), &"upstream_failed".into()), "{what}");
        assert_eq!(world.production.seen(&tag).len(), 1, "{what}: sent more than once");
    }
}

#[test]
fn upstreams_that_end_before_an_answer_become_502() {
    let world = World::shared();
    let say = |text: &str| Do::Say(text.as_bytes().to_vec());
    for (what, script) in [
        ("closed at once", vec![Do::Close]),
        ("closed after the request", vec![Do::Body, Do::Close]),
        ("reset", vec![Do::Body, Do::Reset]),
        ("half a head", vec![Do::Body, say("HTTP/1.1 200 OK\r\nCont"), Do::Close]),
        ("an interim answer alone", vec![Do::Body, say("HTTP/1.1 103 Early Hints\r\n\r\n"), Do::Close]),
    ] {
        let (tag, answer) = asked(&world, script);
        let answer = answer.unwrap_or_else(|fault| panic!("{what}: {fault:?}"));
        assert_eq!((answer.status, answer.code()), (502, "upstream_failed"), "{what}: {answer:?}");
        assert_eq!(world.production.seen(&tag).len(), 1, "{what}: sent more than once");
    }
}

/// Limits hold towards upstreams as well (API10).
#[test]
fn answers_without_end_become_502() {
    let world = World::shared();
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\nContent-Length: 2\r\n\r\nok", "b".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "A: b\r\n".repeat(200));
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(40);
    for (what, bytes) in [
        ("a long head", long),
        ("many fields", many),
        ("interim answers", format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
    ] {
        let (_, answer) = asked(&world, Do::answer(bytes));
        let answer = answer.unwrap_or_else(|fault| panic!("{what}: {fault:?}"));
        assert_eq!((answer.status, answer.code()), (502, "upstream_failed"), "{what}: {answer:?}");
    }
}

#[test]
fn an_unreachable_upstream_is_a_502() {
    let world = World::shared();
    let answer = world.ask(world.server.get("/dead/x"));
    answer.expect(502, "upstream_failed");
    let event = world.gateway.event(answer.id());
    assert_eq!((&event["decision"], &event["api"]), (&"permit".into(), &"dead".into()), "{event}");
    assert!(event["detail"].is_string(), "{event}");
}

/// What was cut off upstream is cut off here: never a clean end of half a body.
#[test]
fn bodies_cut_off_are_never_ended_cleanly() {
    let world = World::shared();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (what, bytes) in [
        ("by length", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf".to_owned()),
        ("between chunks", format!("{chunked}4\r\nhalf\r\n")),
        ("within a chunk", format!("{chunked}8\r\nhalf")),
        ("before the last line", format!("{chunked}4\r\nhalf\r\n0\r\n")),
        ("within the trailers", format!("{chunked}4\r\nhalf\r\n0\r\nA: b\r\n")),
        ("by a bad chunk size", format!("{chunked}4\r\nhalf\r\n0x4\r\nhalf\r\n0\r\n\r\n")),
        ("by a sign", format!("{chunked}4\r\nhalf\r\n+4\r\nhalf\r\n0\r\n\r\n")),
        ("by a space", format!("{chunked}4\r\nhalf\r\n4 \r\nhalf\r\n0\r\n\r\n")),
        ("by a bare LF", format!("{chunked}4\r\nhalf\r\n4\nhalf\r\n0\r\n\r\n")),
        ("by an overflow", format!("{chunked}4\r\nhalf\r\n10000000000000004\r\nhalf\r\n0\r\n\r\n")),
        ("by a missing line end", format!("{chunked}4\r\nhalf\r\n4\r\nhalfX0\r\n\r\n")),
        ("by a bad trailer", format!("{chunked}4\r\nhalf\r\n0\r\nA b\r\n\r\n")),
    ] {
        let (tag, answer) = asked(&world, Do::answer_and_close(&bytes));
        match answer {
            Err(Fault::Cut(_)) => {
                eventually(what, || world.gateway.events_with(&tag).iter().any(|e| e["complete"] == false));
            }
            // Nothing had gone out yet: then it may also be said in so many words.
            Ok(answer) => assert_eq!(answer.code(), "upstream_failed", "{what}: {answer:?}"),
            Err(other) => panic!("{what}: {other:?}"),
        }
    }
}

/// An answer that goes on to the end of the connection, and a connection that is reset.
#[test]
fn a_reset_is_no_end() {
    let world = World::shared();
    let start = b"HTTP/1.1 200 OK\r\n\r\nhalf".to_vec();
    let go = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let tag = tag();
    world.production.on(&tag, vec![Do::Say(start), Do::Until(std::sync::Arc::clone(&go)), Do::Reset]);
    let mut connection = world.gateway.connect();
    connection.send(world.server.get(&format!("/v1/{tag}")));
    connection.inbox.fill().expect("the first half");
    go.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = connection.try_answer("GET");
    assert!(matches!(answer, Err(Fault::Cut(_))), "{answer:?}");
}

/// Bytes behind an answer belong to nobody: they must not become the answer to another request (case 37).
#[test]
fn surplus_bytes_never_become_an_answer() {
    let world = World::shared();
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL";
    for first in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{evil}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{evil}"),
        format!("HTTP/1.1 204 No Content\r\n\r\n{evil}"),
        format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n{evil}"),
    ] {
        let tag = tag();
        world.production.on(&tag, Do::answer(&first));
        let mut connection = world.gateway.connect();
        for _ in 0..4 {
            let answer = connection.expect_serves(&world.server.get(&format!("/v1/{tag}")));
            assert_ne!(answer.text(), "EVIL");
            let other = connection.expect_serves(&world.server.get("/v1/other"));
            assert_eq!((other.status, other.text().as_str()), (200, ""), "after {first}");
        }
    }
}

/// S9110-2: an answer to HEAD has no body, whatever it says; what comes behind it is surplus.
#[test]
fn a_body_behind_head_never_becomes_an_answer() {
    let world = World::shared();
    let tag = tag();
    world.production.on(
        &tag,
        Do::answer(
            "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL",
        ),
    );
    for _ in 0..4 {
        let mut connection = world.gateway.connect();
        connection.send(world.server.request("HEAD", &format!("/v1/{tag}"), ""));
        let head = connection.try_answer("HEAD").expect("an answer");
        assert_eq!((head.status, head.get("content-length")), (200, Some("40")));
        assert_eq!(connection.expect_serves(&world.server.get("/v1/other")).text(), "");
    }
}
