//! Requests that are answered here, through sockets: a gateway whose endpoints are this test's own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
#[path = "local/support.rs"]
mod support;

use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{self, Config, How, Signer, SigningSecret, ToSign};
use std::io::Write;
use std::time::{Duration, Instant};
use support::{Conn, Front, answered, wait_for};

/// A request with a header pair that is good.
fn post(path: &str, id: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: api.example\r\nX-App-Id: {id}\r\nX-App-Token: secret\r\nX-Twice: 1\r\n\
         Content-Length: {}\r\nx-twice: 2\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_endpoint_is_told_everything_and_its_answer_is_sent() {
    let front = Front::start(|_| {});
    let mut c = front.connect();
    let answer = c.ask(&post("/token?a=b", "server", "grant_type=x"));
    assert_eq!(answer.status, 200);
    let told = answer.text();
    let id = answer.field("doorward-request-id").unwrap();
    for line in [
        "token of api, voucherify",
        "POST /token ? a=b",
        "client 127.0.0.1, secure false",
        &format!("id {id}"),
        "credential server by api_key, workspace live",
        "host: api.example\nx-app-id: server\nx-app-token: secret\nx-twice: 1\ncontent-length: 12\nx-twice: 2",
        "body grant_type=x",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert!(answer.field("date").is_some() && answer.field("connection").is_none());
    let event = front.event(id);
    assert!(
        event.contains(
            "\"route\":\"/token\",\"target\":\"token\",\"workspace\":\"live\",\"credential\":\"server\""
        ),
        "{event}"
    );
    assert!(event.contains("\"decision\":\"permit\",\"code\":null"), "{event}");
    // The connection goes on: an endpoint that has its own answer to caches, one without a body, HEAD, and one that is
    // open to everybody.
    let answer = c.ask("GET /keys HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answer.field("cache-control"), answer.text().as_str()), (Some("max-age=60"), "keys"));
    let answer = c.ask("HEAD /keys HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answer.field("content-length"), answer.text().as_str()), (Some("4"), ""));
    let answer = c.ask(&post("/open", "server", "nothing"));
    assert_eq!((answer.status, answer.field("content-length"), answer.text().as_str()), (204, None, ""));
    let answer = c.ask("POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nself");
    assert_eq!((answer.status, answer.field("doorward-code")), (400, Some("credential_invalid")));
    assert_eq!(answer.text(), "{\"error\":\"invalid_client\"}");
    let event = front.event(answer.field("doorward-request-id").unwrap());
    assert!(event.contains("\"credential\":\"server\"") && event.contains("\"exposed\":true"), "{event}");
    assert!(
        event.contains("\"decision\":\"deny\",\"code\":\"credential_invalid\",\"detail\":\"own-proof\""),
        "{event}"
    );
    assert!(event.contains("\"status\":400"), "{event}");
    let stats = front.stats();
    assert_eq!((stats.permits, stats.classes[2], stats.classes[4]), (4, 4, 1));
}

/// S6749-8: a body that is too long is refused before anybody is looked up, and nobody sees it.
#[test]
fn a_long_body_is_refused_before_anybody_is_looked_up() {
    let front = Front::start(|_| {});
    for id in ["server", "nobody"] {
        let head = format!("POST /token HTTP/1.1\r\nHost: a\r\nX-App-Id: {id}\r\nX-App-Token: wrong\r\n");
        for (framing, body) in [
            ("Content-Length: 65537\r\n\r\n".to_owned(), String::new()),
            ("Transfer-Encoding: chunked\r\n\r\n10001\r\n".to_owned(), "x".repeat(65_537)),
        ] {
            let mut c = front.connect();
            let answer = c.ask(&format!("{head}{framing}{body}"));
            assert_eq!((answer.status, answer.field("doorward-code")), (413, Some("body_too_large")), "{id}");
        }
        let answer =
            front.connect().ask(&format!("{head}Content-Length: 65536\r\n\r\n{}", "x".repeat(65_536)));
        assert_eq!((answer.status, answer.field("doorward-code")), (401, Some("credential_invalid")), "{id}");
    }
    assert_eq!(front.calls(), 0);
    let answer = front.connect().ask(&post("/token", "server", &"x".repeat(65_536)));
    assert_eq!(answer.status, 200);
    assert_eq!(front.stats().waiting_body_bytes, 0);
}

/// Whatever an endpoint does, the caller is answered and the connection goes on.
#[test]
fn an_endpoint_may_fail() {
    let front = Front::start(|_| {});
    let mut c = front.connect();
    for (body, detail) in [("panic", "local-failed"), ("split", "local-answer"), ("busy", "endpoint-busy")] {
        let answer = c.ask(&post("/token", "server", body));
        assert_eq!((answer.status, answer.field("doorward-code")), (503, Some("unavailable")), "{body}");
        assert!(
            answer.text().contains("\"key\":\"service_unavailable\"") && answer.field("x").is_none(),
            "{body}"
        );
        let event = front.event(answer.field("doorward-request-id").unwrap());
        assert!(event.contains(&format!("\"detail\":\"{detail}\"")), "{event}");
    }
    assert_eq!(c.ask(&post("/token", "server", "well")).status, 200);
}

/// What is kept of requests that wait has bounds, for each caller and for all.
#[test]
fn requests_that_wait_take_room() {
    let front = Front::start(|limits| limits.signed_bodies_caller_bytes = 2_000);
    let mut first = front.connect();
    first.send(&post("/token", "server", "wait"));
    wait_for("the first one", || front.calls() == 1);
    let taken = front.stats().waiting_body_bytes;
    assert!((100..1_000).contains(&taken), "{taken}");
    let mut second = front.connect();
    let long = post("/token", "server", &"x".repeat(1_999));
    let answer = second.ask(&long);
    assert_eq!((answer.status, answer.field("doorward-code")), (503, Some("overloaded")));
    assert!(answer.field("retry-after").is_some());
    assert_eq!(front.calls(), 1);
    front.go_on();
    assert_eq!(first.answer().status, 200);
    wait_for("room", || front.stats().waiting_body_bytes == 0);
}

/// Of a signed request, an endpoint sees what was signed.
#[test]
fn of_a_signed_request_only_what_was_signed_is_told() {
    let front = Front::start(|_| {});
    let signer = Signer { id: "signer".to_owned(), secret: SigningSecret::new(b"secret") };
    let req = ToSign {
        method: "POST".to_owned(),
        host: "api.example".to_owned(),
        target: "/token".to_owned(),
        headers: vec![("x-signed".to_owned(), "1".to_owned())],
        body: BodyDigest::of(Hash::Sha256, b"signed"),
    };
    let how = How { fields: vec!["x-signed".to_owned()], ..How::default() };
    let config = Config::antavo("us/api/antavo_request").unwrap();
    let signed = escher::sign(&config, &signer, &req, &how, doorward_gateway::now()).unwrap();
    let mut text = "POST /token HTTP/1.1\r\nHost: api.example\r\nx-signed: 1\r\nx-own: 2\r\n".to_owned();
    for (name, value) in &signed.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("Content-Length: 6\r\n\r\nsigned");
    let answer = front.connect().ask(&text);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.text();
    assert!(told.contains("credential signer by escher") && told.contains("x-signed: 1"), "{told}");
    assert!(
        told.contains("body signed") && !told.contains("x-own") && !told.contains("authorization"),
        "{told}"
    );
    let answer = front.connect().ask(&text.replace("Length: 6\r\n\r\nsigned", "Length: 6\r\n\r\nsigneD"));
    assert_eq!(answer.field("doorward-code"), Some("signature_invalid"));
}

/// A node that is told to stop lets an endpoint end, and does not wait for one that does not.
#[test]
fn a_node_that_stops_waits_no_longer_than_it_may() {
    let mut front = Front::start(|_| {});
    let mut c = front.connect();
    c.send(&post("/token", "server", "wait"));
    wait_for("the request", || front.calls() == 1);
    let started = Instant::now();
    let answers = std::thread::spawn(move || c.answer());
    front.stop();
    let answer = answers.join().unwrap();
    assert_eq!((answer.status, answer.field("doorward-code")), (503, Some("unavailable")));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

/// A caller that leaves takes nothing with it.
#[test]
fn a_caller_may_leave() {
    let front = Front::start(|_| {});
    let mut c = front.connect();
    c.send(&post("/token", "server", "wait"));
    wait_for("the request", || front.calls() == 1);
    drop(c);
    let mut half = front.connect();
    half.socket().write_all(post("/token", "server", "whole").as_bytes().split_last().unwrap().1).unwrap();
    drop(half);
    front.go_on();
    wait_for("room", || front.stats().waiting_body_bytes == 0);
    assert_eq!(answered(&mut front.connect(), &post("/token", "server", "well")), 200);
}

impl Conn {
    fn ask(&mut self, request: &str) -> support::Answer {
        self.send(request);
        self.answer()
    }
}
