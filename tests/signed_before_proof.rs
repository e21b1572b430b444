//! Nothing of a signed request goes anywhere before body, signature and once-only are settled; bodies that wait are bounded.
use crate::faults::metric;
use crate::support::{Answer, Conn, DEADLINE, Fault, Signed, SigningWorld, eventually, now_s, tag, wait_for};
use std::time::Duration;

/// How long a caller listens for an answer that must not come.
const HUSH: Duration = Duration::from_millis(150);

fn post(world: &SigningWorld, body: &str) -> Signed {
    world.signer.signed("POST", &format!("/signed/{}", tag())).body(body)
}

/// S9530-1: not a byte, not even a connection.
#[test]
fn nothing_reaches_the_upstream_before_the_proof() {
    let world = SigningWorld::with(|s| s.set("timeouts", "body_ms", 300));
    let good = post(&world, "hello");
    let text = String::from_utf8(good.bytes()).expect("text");
    let altered = |from: &str, to: &str| text.replacen(from, to, 1).into_bytes();
    let sent = |request: Signed| request.bytes();
    let (wrong, unknown) = (world.signer.with_secret("wrong"), world.signer.with_id("nobody"));
    let path = || format!("/signed/{}", tag());
    for (what, bytes, code) in [
        ("a wrong body", altered("\r\n\r\nhello", "\r\n\r\nhallo"), "signature_invalid"),
        ("a longer body", altered("Length: 5\r\n\r\nhello", "Length: 6\r\n\r\nhello!"), "signature_invalid"),
        ("another path", altered("/signed/", "/signed/x"), "signature_invalid"),
        ("another method", altered("POST", "PUT"), "signature_invalid"),
        ("another host", altered("api.example.com", "api.example.org"), "signature_invalid"),
        ("a wrong secret", sent(wrong.signed("POST", &path()).body("hello")), "signature_invalid"),
        ("an unknown id", sent(unknown.signed("POST", &path()).body("hello")), "signature_invalid"),
        ("an old date", sent(post(&world, "hello").at(now_s() - 400)), "signature_expired"),
        ("no signature", format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", path()).into(), "credential_missing"),
        (
            "a broken chunk",
            text.replace("Content-Length: 5\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n-5\r\n").into(),
            "request_ambiguous",
        ),
    ] {
        let answer = world.ask(bytes);
        assert_eq!(answer.code(), code, "{what}: {answer:?}");
        world.expect_untouched(what);
    }
    // Half a body, and then nothing more; half a body, and then the end.
    let mut connection = world.gateway.connect();
    connection.send(&text[..text.len() - 3]);
    connection.answer().expect(408, "request_timeout");
    let mut connection = world.gateway.connect();
    connection.send(&text[..text.len() - 3]).end_sending();
    assert!(connection.try_answer("POST").is_err(), "a request that was cut is not answered");
    wait_for("the event", || world.gateway.events_with("caller-closed-in-body").pop());
    world.expect_untouched("half a body");
    // None of this was for nothing.
    assert_eq!(world.ask(text).expect_ok().body, b"hello");
    assert_eq!((world.production.connections(), world.production.count()), (1, 1));
}

/// What of an answer may show who was asked for.
fn comparable(answer: &Answer) -> String {
    let own = |line: &&str| {
        let lower = line.to_ascii_lowercase();
        !lower.starts_with("doorward-request-id:") && !lower.starts_with("date:")
    };
    let head = String::from_utf8_lossy(&answer.head.raw).into_owned();
    let lines: Vec<&str> = head.split("\r\n").filter(own).collect();
    lines.join("\r\n") + &answer.text()
}

/// SD-2: unknown ids and wrong secrets are answered alike, and at the same point: after the whole body.
#[test]
fn who_is_unknown_and_who_is_wrong_are_answered_alike() {
    let world = SigningWorld::new();
    let other_scheme = world.signer.with_id(&world.server.id);
    let foreign = world.tester.with_secret("wrong");
    let mut told = Vec::new();
    for who in [
        world.signer.with_secret("wrong"),
        world.signer.with_id("nobody"),
        other_scheme,
        foreign,
        world.tester.clone(),
    ] {
        let request = who.signed("POST", "/signed/alike").body("hello").bytes();
        let (most, last) = request.split_at(request.len() - 1);
        let mut connection = world.gateway.connect().patience(HUSH);
        let fault = connection.send(most).try_answer("POST");
        assert!(matches!(fault, Err(Fault::Silent(_))), "answered before the whole body: {fault:?}");
        let mut connection = connection.patience(DEADLINE);
        let answer = connection.send(last).answer();
        assert_eq!(answer.status, 401);
        told.push((who.id, comparable(&answer)));
        // And the connection goes on as if nothing had happened.
        connection.send(post(&world, "next").bytes()).answer().expect_ok();
    }
    for (id, text) in &told[..4] {
        assert_eq!(*text, told[0].1, "{id}");
    }
    assert!(told[0].1.contains("signature_invalid"), "{told:?}");
    // Who has proved to be somebody may know that this is not the place.
    assert!(told[4].1.contains("credential_invalid") || told[4].1 == told[0].1, "{told:?}");
}

/// Bodies that wait take room: so much of one caller, so much of all; and it comes back.
#[test]
fn waiting_bodies_are_bounded() {
    let world = SigningWorld::with(|s| {
        let s = s.set("limits", "signed_body_bytes", 1_000);
        s.set("limits", "signed_bodies_caller_bytes", 2_500).set("limits", "signed_bodies_node_bytes", 4_000)
    });
    let address = world.gateway.address("plain");
    let body = "x".repeat(1_000);
    let taken = |bytes: f64| {
        eventually("the room that is taken", || {
            metric(&world.gateway, "doorward_signed_bodies_bytes") == bytes
        });
    };
    // Half a body takes room for the whole; each is waited for, so that what comes next finds it there.
    let waiting = |source: &str, before: f64| {
        let request = post(&world, &body).bytes();
        let mut connection = Conn::from_address(source, address);
        connection.send(&request[..request.len() - 1]);
        taken(before + 1_000.0);
        connection
    };
    let ask = |source: &str, length: usize| {
        Conn::from_address(source, address).send(post(&world, &body[..length]).bytes()).answer()
    };
    world.ask(post(&world, &"x".repeat(1_001)).bytes()).expect(413, "body_too_large");
    let mut held = vec![waiting("127.0.0.2", 0.0), waiting("127.0.0.2", 1_000.0)];
    let full = ask("127.0.0.2", 600);
    full.expect(503, "overloaded");
    assert!(full.get("retry-after").is_some_and(|s| s.parse::<u32>().is_ok_and(|s| s > 0)), "{full:?}");
    ask("127.0.0.2", 400).expect_ok();
    taken(2_000.0);
    ask("127.0.0.3", 1_000).expect_ok();
    taken(2_000.0);
    held.extend([waiting("127.0.0.3", 2_000.0), waiting("127.0.0.4", 3_000.0)]);
    ask("127.0.0.5", 10).expect(503, "overloaded");
    let chunks = post(&world, "hi").in_chunks(1);
    Conn::from_address("127.0.0.5", address).send(chunks).answer().expect(503, "overloaded");
    // Whoever sends no body needs no room, and neither do keys.
    ask("127.0.0.5", 0).expect_ok();
    world.ask(world.server.get("/plain/x")).expect_ok();
    // One is done, one leaves, and then there is room again.
    held[0].send("x").answer().expect_ok();
    taken(3_000.0);
    held.pop();
    taken(2_000.0);
    ask("127.0.0.5", 1_000).expect_ok();
    taken(2_000.0);
    ask("127.0.0.2", 1_000).expect_ok();
    taken(2_000.0);
    let chunks = post(&world, "hi").in_chunks(1);
    Conn::from_address("127.0.0.2", address).send(chunks).answer().expect_ok();
    held.clear();
    taken(0.0);
    assert_eq!(world.production.seen("x").iter().filter(|seen| !seen.complete).count(), 0);
}
