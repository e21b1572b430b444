//! What comes before the last answer, or before the whole request: interim answers, early ones, and what is no upgrade.
use crate::support::{Do, HOST, World, tag};
use std::io::Write;

#[test]
fn interim_answers_are_passed_on() {
    let world = World::shared();
    let tag = tag();
    world.production.on(
        &tag,
        Do::answer(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n\
             HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ),
    );
    let mut connection = world.gateway.connect();
    let answer = connection.expect_serves(&world.server.get(&format!("/v1/{tag}")));
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let hints: Vec<_> = answer.interim.iter().map(|head| (head.word(1), head.get("link"))).collect();
    assert_eq!(hints, [("103", Some("</a>")), ("103", Some("</b>"))], "nobody asked for the 100");
    connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    // HTTP/1.0 knows none.
    let old = world.server.get(&format!("/v1/{tag}")).replace("HTTP/1.1", "HTTP/1.0");
    let answer = world.gateway.connect().send(old).answer();
    assert_eq!((answer.status, answer.interim.len()), (200, 0));
}

/// S9110-4: authorised before 100 is sent; the body follows.
#[test]
fn continue_is_said_after_the_decision() {
    let world = World::shared();
    let tag = tag();
    let lines = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    let mut connection = world.gateway.connect();
    connection.send(world.server.request("POST", &format!("/v1/{tag}"), lines));
    let interim = connection.inbox.head().expect("an interim answer");
    assert_eq!(interim.word(1), "100");
    assert_eq!(connection.send("hello").answer().text(), "hello");
    connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    let denied = world.server.with_secret("wrong").request("POST", "/v1/x", lines);
    let answer = world.gateway.connect().send(denied).answer();
    answer.expect(401, "credential_invalid");
    assert!(answer.interim.is_empty(), "a 100 before a refusal");
    // It is said once, also where the upstream says it too.
    let twice = tag.clone() + "-twice";
    let both = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    world.production.on(&twice, Do::answer(both));
    let request = world.server.request("POST", &format!("/v1/{twice}"), lines);
    let answer = world.gateway.connect().send(request).send("hello").answer();
    // Not at all where the body was there already.
    assert!(answer.status == 200 && answer.interim.len() <= 1, "{answer:?}");
    // A caller that does not wait is served as well.
    let eager = world.server.request("POST", &format!("/v1/{tag}"), lines);
    let answer = world.gateway.connect().send(format!("{eager}hello")).answer();
    assert_eq!(answer.text(), "hello");
}

/// An answer that comes before the body has been sent reaches the caller, and the connection stays or ends in step.
#[test]
fn early_answers_reach_the_caller() {
    let world = World::shared();
    let tag = tag();
    let early =
        b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly".to_vec();
    world.production.on(&tag, vec![Do::Say(early), Do::Silence]);
    let mut connection = world.gateway.connect();
    connection.send(world.server.request("POST", &format!("/v1/{tag}"), "Content-Length: 3000000\r\n"));
    let mut writer = connection.writer();
    let sender = std::thread::spawn(move || {
        // Ends by itself, or with an error once the gateway has had enough.
        let _ = writer.write_all(&vec![b'x'; 3_000_000]);
    });
    let answer = connection.answer();
    assert_eq!((answer.status, answer.code(), answer.text().as_str()), (413, "", "early"));
    drop(connection);
    sender.join().expect("the sender ends");
}

/// S9110-2: without an upgrade nothing is tunnelled.
#[test]
fn nothing_is_tunnelled() {
    let world = World::shared();
    let switching = tag();
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    world.production.on(&switching, Do::answer(answer));
    let tag = tag();
    world.production.on(&tag, Do::answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let lines = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n";
    let switched = world.ask(world.server.request("GET", &format!("/v1/{switching}"), lines));
    assert_eq!((switched.status, switched.code()), (502, "upstream_failed"), "{switched:?}");
    let mut connection = world.gateway.connect();
    connection.send(world.server.request("GET", &format!("/v1/{tag}"), lines));
    let answer = connection.answer();
    assert!(matches!(answer.status, 200 | 400 | 501), "{answer:?}");
    for seen in world.production.seen(&tag) {
        assert_eq!(seen.get("upgrade"), None);
    }
    if answer.status == 200 && !answer.closes() {
        let denied =
            connection.send(format!("GET /v1/{tag}x HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).try_answer("GET");
        assert!(denied.is_ok_and(|a| a.status == 401), "what follows is judged");
    }
}
