//! HTTP/2 from callers, as it is meant: what passes over HTTP/1.1 passes over it, and means the same.
use crate::support::frames::{self, frame};
use crate::support::{Authority, Do, Http2, SigningWorld, TlsVersion, World, eventually, noise, sha256, tag};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A gateway that speaks HTTP/2 over plain HTTP as well.
pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::with(|s| s.set("plain_http", "http2", "true")))
}

pub(crate) fn connect(world: &World) -> Http2 {
    Http2::over(world.gateway.connect())
}

#[test]
fn requests_are_served_side_by_side() {
    let world = world();
    let (slow, go) = (tag(), Arc::new(AtomicBool::new(false)));
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate".to_vec();
    world.production.on(&slow, vec![Do::Body, Do::Until(Arc::clone(&go)), Do::Say(ok)]);
    let mut caller = connect(world);
    let waiting = caller.ask_as(world.server.get(&format!("/v1/{slow}")));
    let tag = tag();
    let ids: Vec<u32> =
        (0..60).map(|n| caller.ask_as(world.server.get(&format!("/v1/{tag}/{n}?q={n}")))).collect();
    for id in ids {
        let answer = caller.answer(id);
        answer.expect_ok();
        assert_eq!(answer.get("connection"), None);
    }
    assert!(!caller.heard(waiting).ended);
    go.store(true, Ordering::SeqCst);
    assert_eq!(caller.answer(waiting).text(), "late");
    let seen = world.production.seen(&tag);
    assert_eq!(seen.len(), 60);
    let one = seen.iter().find(|s| s.target().ends_with("/7?q=7")).expect("it arrived");
    assert_eq!(one.get("x-forwarded-proto"), Some("http"), "what the connection is, not what :scheme says");
    assert_eq!(one.get("host"), Some(crate::support::HOST));
    assert_eq!(one.get("doorward-workspace"), Some("acme-live"));
    // A refusal has its event, and the connection goes on.
    let refused = caller.ask(world.server.with_secret("wrong").get("/v1/x"));
    refused.expect(401, "credential_invalid");
    assert_eq!(world.gateway.event(refused.id())["decision"], "deny");
    caller.expect_serves(&world.server.get("/v1/x"));
}

#[test]
fn bodies_of_every_size_come_and_go() {
    let world = world();
    let mut caller = connect(world);
    for length in [0, 1, 16_383, 16_384, 16_385, 70_000, 131_072, 3_000_000] {
        let body = noise(length as u64, length);
        for told in [true, false] {
            let lines = if told { format!("Content-Length: {length}\r\n") } else { String::new() };
            let head = world.server.request("POST", "/v1/echo", &lines);
            // What the caller may send is given back by the gateway as it goes on.
            let id = upload(&mut caller, &head, &body);
            let answer = caller.answer(id);
            assert_eq!((answer.status, sha256(&answer.body)), (200, sha256(&body)), "{length} {told}");
        }
    }
}

/// Sends a request and its body, as far as the gateway lets it.
fn upload(caller: &mut Http2, head: &str, body: &[u8]) -> u32 {
    let with_nothing = format!("{head} ");
    let id = caller.ask_as_open(with_nothing.trim_end_matches(' '));
    let mut sent = 0;
    while sent < body.len() {
        let room = caller.may_send(id);
        if room == 0 {
            caller.next().expect("the gateway reads on");
            continue;
        }
        let n = room.min(body.len() - sent).min(16_384);
        caller.send_data(id, &body[sent..sent + n], false);
        sent += n;
    }
    caller.send_data(id, b"", true);
    id
}

#[test]
fn trailers_travel_both_ways() {
    let world = world();
    let tag = tag();
    world.production.on(
        &tag,
        Do::answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"),
    );
    let mut caller = connect(world);
    let id = caller.ask_as_open(&world.server.request("POST", &format!("/v1/{tag}"), ""));
    caller.data(id, "hello", false);
    let ended = frames::END_HEADERS | frames::END_STREAM;
    let ours = [("x-check", "1"), ("x-api-key", "stolen"), ("content-length", "9")];
    caller.send(frame(frames::HEADERS, ended, id, &frames::block(&ours)));
    let answer = caller.answer(id);
    assert_eq!((answer.text().as_str(), &answer.trailers[..]), ("abc", &[("x-sum".into(), "7".into())][..]));
    let seen = world.production.one(&tag);
    assert_eq!((seen.body.as_slice(), seen.complete), (&b"hello"[..], true));
    assert_eq!(seen.trailers, [("x-check".to_owned(), "1".to_owned())], "S9112-7: only what may travel");
}

#[test]
fn heads_alone_interim_answers_and_continue() {
    let world = world();
    let mut caller = connect(world);
    let tag = tag();
    world.production.on(&tag, Do::answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"));
    let answer = caller.ask(world.server.request("HEAD", &format!("/v1/{tag}"), ""));
    assert_eq!((answer.status, answer.get("content-length"), answer.body.len()), (200, Some("5"), 0));
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let tag = crate::support::tag();
    world.production.on(&tag, Do::answer(early));
    let answer = caller.ask(world.server.get(&format!("/v1/{tag}")));
    assert_eq!((answer.status, answer.interim.len()), (204, 1));
    assert_eq!(answer.interim[0].get("link"), Some("</a>"));
    // S9110-4: 100 is ours, and said once it was decided.
    let id = caller.ask_as_open(&world.server.request("POST", "/v1/echo", "Expect: 100-continue\r\n"));
    caller.until(|c| !c.heard(id).answer.interim.is_empty()).expect("a 100");
    caller.data(id, "go on", true);
    assert_eq!(caller.answer(id).text(), "go on");
}

/// RFC 9113 8.1: what is left of the request is not waited for.
#[test]
fn early_answers_end_the_request_as_well() {
    let world = world();
    let mut caller = connect(world);
    let head = world.server.request("POST", "/v1/x", "Content-Length: 999999999\r\n");
    let id = caller.ask_as_open(&head);
    let answer = caller.answer(id);
    answer.expect(413, "body_too_large");
    caller.expect_reset(id, frames::NO_ERROR);
    let tag = tag();
    let no = b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno".to_vec();
    world.production.on(&tag, vec![Do::Say(no), Do::Close]);
    let id = caller.ask_as_open(&world.server.request("POST", &format!("/v1/{tag}"), ""));
    caller.data(id, "the beginning", false);
    assert_eq!((caller.answer(id).status, caller.heard(id).answer.text().as_str()), (409, "no"));
    caller.expect_reset(id, frames::NO_ERROR);
    // What was on its way meanwhile does no harm.
    caller.data(id, "and more", true);
    caller.expect_serves(&world.server.get("/v1/x"));
}

#[test]
fn whoever_takes_a_request_back_ends_it_upstream() {
    let world = world();
    let (mut caller, tag) = (connect(world), tag());
    world.production.on(&tag, vec![Do::Body, Do::Silence]);
    let id = caller.ask_as(world.server.get(&format!("/v1/{tag}")));
    eventually("the request", || !world.production.seen(&tag).is_empty());
    caller.send(frames::number(frames::RST_STREAM, id, frames::CANCEL));
    eventually("the upstream to be left", || world.production.one(&tag).left);
    assert!(world.production.one(&tag).reset, "a port would be kept for a while");
    caller.expect_serves(&world.server.get("/v1/x"));
    // In the middle of an answer, and in the middle of a body.
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec();
    let tag = crate::support::tag();
    world.production.on(&tag, vec![Do::Body, Do::Say(half), Do::Silence]);
    let id = caller.ask_as(world.server.get(&format!("/v1/{tag}")));
    caller.until(|c| c.heard(id).answer.body == b"half").expect("a half");
    caller.send(frames::number(frames::RST_STREAM, id, frames::CANCEL));
    eventually("the upstream to be left", || world.production.one(&tag).left);
    assert!(world.production.one(&tag).reset, "a port would be kept for a while");
    let tag = crate::support::tag();
    let id = caller.ask_as_open(&world.server.request("POST", &format!("/v1/{tag}"), ""));
    caller.data(id, "half", false);
    eventually("the request", || !world.production.seen(&tag).is_empty());
    caller.send(frames::number(frames::RST_STREAM, id, frames::CANCEL));
    eventually("the upstream to be left", || world.production.one(&tag).left);
    caller.expect_serves(&world.server.get("/v1/x"));
}

/// An answer that was cut short has no end.
#[test]
fn a_cut_answer_is_reset() {
    let world = world();
    let (mut caller, tag) = (connect(world), tag());
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec();
    world.production.on(&tag, vec![Do::Body, Do::Say(half), Do::Close]);
    let id = caller.ask_as(world.server.get(&format!("/v1/{tag}")));
    let heard = caller.try_answer(id).expect("something");
    assert!(!heard.ended && heard.reset.is_some_and(|code| code != frames::NO_ERROR), "{heard:?}");
    caller.expect_serves(&world.server.get("/v1/x"));
}

/// RFC 9113 8.2.3.
#[test]
fn crumbs_of_cookies_are_joined() {
    let world = world();
    let (mut caller, tag) = (connect(world), tag());
    caller.ask(world.server.request(
        "GET",
        &format!("/v1/{tag}"),
        "Cookie: a=1\r\nX-Y: z\r\nCookie: b=2\r\n",
    ));
    assert_eq!(world.production.one(&tag).get("cookie"), Some("a=1; b=2"));
}

/// By ALPN over TLS, by prior knowledge over plain HTTP where that is switched on; with a client that everybody has.
#[test]
fn curl_speaks_it() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate();
    let world = World::with(|s| s.tls(&certificate, &key).set("plain_http", "http2", "true"));
    let [id, secret] = [&world.server.id, &world.server.secret];
    let body = world.gateway.folder.write("body", &"body ".repeat(100_000));
    let ask = |port: u16, scheme: &str, version: &str| {
        let run = Command::new("curl")
            .args(["-sSk", version, "-w", "\n%{http_version} %{http_code} %{size_download}"])
            .args(["-H", &format!("X-App-Id: {id}"), "-H", &format!("X-App-Token: {secret}")])
            .args(["--data-binary", &format!("@{body}"), "-o", "/dev/null"])
            .arg(format!("{scheme}://localhost:{port}/v1/echo"))
            .output()
            .expect("curl runs");
        let text = String::from_utf8_lossy(&run.stdout).trim().to_owned();
        text + &String::from_utf8_lossy(&run.stderr)
    };
    let (tls, plain) = (world.gateway.address("tls").port(), world.gateway.address("plain").port());
    assert_eq!(ask(tls, "https", "--http2"), "2 200 500000");
    assert_eq!(ask(tls, "https", "--http1.1"), "1.1 200 500000");
    assert_eq!(ask(plain, "http", "--http2-prior-knowledge"), "2 200 500000");
    assert_eq!(ask(plain, "http", "--http1.1"), "1.1 200 500000");
    // A caller that offers nothing speaks HTTP/1.1.
    let mut old = authority.connect(world.gateway.address("tls"), TlsVersion::V13).expect("a handshake");
    old.expect_serves(&world.server.get("/v1/x")).expect_ok();
}

#[test]
fn plain_listeners_speak_it_only_where_switched_on() {
    let world = World::shared();
    let mut connection = world.gateway.connect();
    let answer = connection.send(frames::PREFACE).answer();
    answer.expect(400, "request_ambiguous");
    assert_eq!(world.gateway.event(answer.id())["detail"], "http2-preface");
}

/// R4: a signed request is accepted once, over whichever version.
#[test]
fn r4_signatures_are_the_same_and_count_once() {
    let world = SigningWorld::with(|s| s.set("plain_http", "http2", "true"));
    for (n, signer) in [&world.signer, &world.aws].into_iter().cycle().take(8).enumerate() {
        let tag = tag();
        let request = signer.signed("POST", &format!("/signed/{tag}?a=x%20y&c")).body("body").bytes();
        let mut caller = Http2::over(world.gateway.connect());
        let (first, second) = match n % 4 < 2 {
            true => (caller.ask(&request), world.ask(&request)),
            false => (world.ask(&request), caller.ask(&request)),
        };
        first.expect_ok();
        second.expect(401, "signature_replayed");
        assert_eq!(world.production.seen(&tag).len(), 1);
        let mut other = request.clone();
        let last = other.len() - 1;
        other[last] ^= 1;
        assert_eq!(caller.ask(&other).status, 401, "another body");
    }
}

/// What is under way ends well, and what is on its way is served or known not to be.
#[test]
fn a_drain_says_goodbye() {
    let mut world = World::with(|s| s.set("plain_http", "http2", "true"));
    let (tag, go) = (tag(), Arc::new(AtomicBool::new(false)));
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate".to_vec();
    world.production.on(&tag, vec![Do::Body, Do::Until(Arc::clone(&go)), Do::Say(ok)]);
    let mut idle = connect(&world);
    idle.expect_serves(&world.server.get("/v1/x"));
    let mut busy = connect(&world);
    let id = busy.ask_as(world.server.get(&format!("/v1/{tag}")));
    eventually("the request", || !world.production.seen(&tag).is_empty());
    world.gateway.signal("TERM");
    idle.expect_ended(frames::NO_ERROR);
    assert_eq!(idle.goaway, Some((1, frames::NO_ERROR)));
    busy.until(|c| c.goaway.is_some()).expect("a goodbye");
    // It began before the end was named.
    busy.expect_serves(&world.server.get("/v1/x"));
    busy.until(|c| c.goaway == Some((id + 2, frames::NO_ERROR))).expect("the end");
    let late = busy.ask_as(world.server.get("/v1/x"));
    busy.expect_reset(late, frames::REFUSED_STREAM);
    go.store(true, Ordering::SeqCst);
    assert_eq!(busy.answer(id).text(), "late");
    busy.expect_ended(frames::NO_ERROR);
    assert_eq!(world.gateway.ended().code(), Some(0), "{}", world.gateway.log());
}
