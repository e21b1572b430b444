//! Floods over HTTP/2 (cases 39 and 40): whoever sends what brings nothing is cut off, and nobody else notices.
use crate::http2::{connect, world};
use crate::support::frames::{self, frame};
use crate::support::{Actor, Do, Fault, Http2, World, eventually, tag};
use std::time::Duration;

/// Sends the same over and over until the gateway has enough of it; how often it was sent.
fn flood(caller: &mut Http2, most: usize, mut piece: impl FnMut(&mut Http2, usize) -> Vec<u8>) -> usize {
    for n in 0..most {
        let bytes = piece(caller, n);
        if caller.conn.try_send(bytes).is_err() {
            return n;
        }
    }
    most
}

#[track_caller]
fn cut(caller: &mut Http2) {
    caller.expect_ended(frames::ENHANCE_YOUR_CALM);
}

/// Asserts that somebody else is served meanwhile.
#[track_caller]
fn others_are_served(world: &World) {
    connect(world).expect_serves(&world.server.get("/v1/x"));
    world.ask(world.server.get("/v1/x")).expect_ok();
}

pub(crate) fn request(caller: &mut Http2, head: &[u8]) -> (u32, Vec<u8>) {
    let id = caller.id();
    (id, frame(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, id, head))
}

/// The head of a request that is let in.
pub(crate) fn head(caller: &Actor, path: &str) -> Vec<u8> {
    let (id, secret) = (caller.id.as_str(), caller.secret.as_str());
    let first = [(":method", "GET"), (":scheme", "http"), (":authority", "api.example.com"), (":path", path)];
    frames::block(&[&first[..], &[("x-app-id", id), ("x-app-token", secret)]].concat())
}

/// CVE-2023-44487: rapid reset.
#[test]
fn c39_requests_that_are_taken_back() {
    let world = world();
    let tag = tag();
    world.production.on(&tag, vec![Do::Body, Do::Silence]);
    let head = head(&world.server, &format!("/v1/{tag}"));
    let mut caller = connect(world);
    flood(&mut caller, 2_000, |caller, _| {
        let (id, mut bytes) = request(caller, &head);
        bytes.extend(frames::number(frames::RST_STREAM, id, frames::CANCEL));
        bytes
    });
    cut(&mut caller);
    eventually("every upstream to be left", || {
        world.production.seen(&tag).iter().all(|s| s.left || !s.complete)
    });
    assert!(world.production.seen(&tag).len() <= 501, "{}", world.production.seen(&tag).len());
    others_are_served(world);
}

/// A page that is left takes back what it loads: that is no flood.
#[test]
fn c39_a_page_that_is_left_is_no_flood() {
    let world = world();
    let tag = tag();
    world.production.on(&tag, vec![Do::Body, Do::Silence]);
    let mut caller = connect(world);
    for _ in 0..3 {
        let path = format!("/v1/{tag}");
        let ids: Vec<u32> = (0..100).map(|_| caller.ask_as(world.server.get(&path))).collect();
        ids.iter().for_each(|id| {
            caller.send(frames::number(frames::RST_STREAM, *id, frames::CANCEL));
        });
    }
    caller.expect_serves(&world.server.get("/v1/x"));
}

/// What was taken back before it was looked at costs next to nothing, and what comes behind it is served.
#[test]
fn c39_what_was_taken_back_holds_nobody_up() {
    let world = world();
    let tag = tag();
    let head = head(&world.server, &format!("/v1/{tag}"));
    let mut caller = connect(world);
    let mut piece = Vec::new();
    for _ in 0..250 {
        let (id, bytes) = request(&mut caller, &head);
        piece.extend(bytes);
        piece.extend(frames::number(frames::RST_STREAM, id, frames::CANCEL));
    }
    let (last, bytes) = request(&mut caller, &head);
    piece.extend(bytes);
    caller.send(piece);
    assert_eq!(caller.try_answer(last).expect("an answer").answer.status, 200);
    others_are_served(world);
}

/// More at a time than was allowed is refused, and counts.
#[test]
fn c39_more_streams_than_allowed() {
    let world = world();
    let tag = tag();
    world.production.on(&tag, vec![Do::Body, Do::Silence]);
    let mut caller = connect(world);
    let path = format!("/v1/{tag}");
    for _ in 0..100 {
        caller.ask_as(world.server.get(&path));
    }
    let more = caller.ask_as(world.server.get(&path));
    caller.expect_reset(more, frames::REFUSED_STREAM);
    let head = head(&world.server, &path);
    flood(&mut caller, 500, |caller, _| request(caller, &head).1);
    cut(&mut caller);
    others_are_served(world);
}

/// CVE-2025-8671, MadeYouReset: the gateway is made to reset what it has begun.
#[test]
fn c39_requests_that_have_to_be_reset() {
    let world = world();
    let tag = tag();
    world.production.on(&tag, vec![Do::Body, Do::Silence]);
    let head = head(&world.server, &format!("/v1/{tag}"));
    for wrong in 0..4 {
        let mut caller = connect(world);
        flood(&mut caller, 2_000, |caller, _| {
            let (id, mut bytes) = request(caller, &head);
            bytes.extend(match wrong {
                0 => frames::number(frames::WINDOW_UPDATE, id, 0),
                1 => frames::number(frames::WINDOW_UPDATE, id, 0x7fff_ffff),
                2 => frame(frames::DATA, 1, id, b"x"),
                _ => frame(frames::HEADERS, 5, id, &head),
            });
            bytes
        });
        cut(&mut caller);
    }
    others_are_served(world);
}

/// Malformed requests are answered, but not without end.
#[test]
fn c39_malformed_requests_without_end() {
    let world = world();
    let mut caller = connect(world);
    let head = frames::block(&[(":method", "GET"), (":path", "/")]);
    flood(&mut caller, 2_000, |caller, _| request(caller, &head).1);
    cut(&mut caller);
    others_are_served(world);
}

/// Whoever runs the node is told of all that were refused, whoever sent them and left.
#[test]
fn c39_malformed_requests_of_somebody_who_left() {
    const AT_A_TIME: usize = 60;
    let world = World::with(|s| s.set("plain_http", "http2", "true"));
    let mut caller = connect(&world);
    let head = frames::block(&[(":method", "GET"), (":path", "/")]);
    let piece: Vec<u8> = (0..AT_A_TIME).flat_map(|_| request(&mut caller, &head).1).collect();
    caller.send(piece);
    drop(caller);
    eventually("an event for each", || {
        world.gateway.events_with("\"decision\":\"reject\"").len() == AT_A_TIME
    });
}

/// The same where it is well-formed HTTP/2, and refused as HTTP/1.1 would be.
#[test]
fn c39_unreadable_requests_without_end() {
    let world = world();
    let mut caller = connect(world);
    let head =
        frames::block(&[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/v1/\"")]);
    let answered = (0..2_000).take_while(|_| {
        let (id, bytes) = request(&mut caller, &head);
        let heard = caller.conn.try_send(bytes).ok().and_then(|()| caller.try_answer(id).ok());
        heard.is_some_and(|heard| heard.answer.status == 400)
    });
    let answered = answered.count();
    assert!((100..=200).contains(&answered), "{answered}: a while may end meanwhile");
    cut(&mut caller);
    others_are_served(world);
}

/// RUSTSEC-2024-0332, CVE-2024-27919.
#[test]
fn c40_a_block_that_does_not_end() {
    let world = world();
    for piece in [&b""[..], b"\x00\x01a\x01b", &[0x82; 16_384]] {
        let mut caller = connect(world);
        let id = caller.id();
        caller.send(frame(frames::HEADERS, frames::END_STREAM, id, b"\x82"));
        let sent = flood(&mut caller, 2_000, |_, _| frame(frames::CONTINUATION, 0, id, piece));
        cut(&mut caller);
        assert!(sent > 0);
    }
    others_are_served(world);
}

/// RUSTSEC-2026-0258, and what else brings nothing.
#[test]
fn c39_frames_that_bring_nothing() {
    let world = world();
    let tag = tag();
    let head = head(&world.server, &format!("/v1/{tag}"));
    type Piece = fn(u32, usize) -> Vec<u8>;
    let pieces: [(&str, Piece); 9] = [
        ("empty data", |id, _| frame(frames::DATA, 0, id, b"")),
        ("padding alone", |id, _| frame(frames::DATA, frames::PADDED, id, &[3, 0, 0, 0])),
        ("settings", |_, n| frames::settings(&[(4, n as u32), (3, 1)])),
        ("table sizes", |_, n| frames::settings(&[(1, if n % 2 == 0 { 0 } else { 4_096 })])),
        ("acknowledgements", |_, _| frame(frames::SETTINGS, frames::ACK, 0, b"")),
        ("pings", |_, _| frame(frames::PING, 0, 0, b"12345678")),
        ("priorities", |id, _| frame(frames::PRIORITY, 0, id, &[0, 0, 0, 0, 1])),
        ("window updates", |_, _| frames::number(frames::WINDOW_UPDATE, 0, 1)),
        ("unknown frames", |_, n| frame(100 + (n % 100) as u8, 0, 0, b"what")),
    ];
    for (what, piece) in pieces {
        eprintln!("{what}");
        let mut caller = connect(world);
        let id = caller.id();
        caller.send(frame(frames::HEADERS, frames::END_HEADERS, id, &head));
        let sent = flood(&mut caller, 5_000, |_, n| piece(id, n));
        cut(&mut caller);
        assert!(sent >= 10, "{what}: {sent}");
    }
    others_are_served(world);
}

/// A window of nothing, or one that grows by one: the answer waits, for no longer than a slow reader of HTTP/1.1 may.
#[test]
fn c41_whoever_takes_nothing_is_left() {
    let world = World::with(|s| s.set("plain_http", "http2", "true").set("timeouts", "write_ms", 400));
    let tag = tag();
    let body = "b".repeat(200_000);
    let ok = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    world.production.on(&tag, Do::answer(ok));
    let mut caller = Http2::begin(world.gateway.connect(), &[(4, 0)]);
    let id = caller.ask_as(world.server.get(&format!("/v1/{tag}")));
    let heard = caller.try_answer(id).expect("something");
    assert!(heard.reset.is_some() && heard.answer.status == 200, "{heard:?}");
    eventually("an event", || {
        world.gateway.events_with("caller-takes-nothing").iter().any(|e| e["complete"] == false)
    });
    // The same on the connection's window.
    let mut caller = connect(&world);
    caller.gives_back = false;
    let id = caller.ask_as(world.server.get(&format!("/v1/{tag}")));
    let heard = caller.try_answer(id).expect("something");
    assert_eq!((heard.answer.body.len(), heard.ended), (65_535, false));
    // By one: each step is a frame, and frames are counted.
    let mut caller = Http2::begin(world.gateway.connect(), &[(4, 0)]);
    caller.gives_back = false;
    let id = caller.ask_as(world.server.get(&format!("/v1/{tag}")));
    flood(&mut caller, 5_000, |_, _| frames::number(frames::WINDOW_UPDATE, id, 1));
    cut(&mut caller);
    assert!(caller.heard(id).answer.body.len() <= 1_100);
    others_are_served(&world);
}

/// Case 41: every wait has an end over HTTP/2 as well.
#[test]
fn c41_slow_callers_are_left() {
    let world = World::with(|s| {
        let s = s.set("plain_http", "http2", "true").set("timeouts", "head_ms", 500);
        s.set("timeouts", "body_ms", 500).set("timeouts", "idle_ms", 700)
    });
    // Nothing at all, a part of the preface, a preface alone.
    for first in [&b""[..], &frames::PREFACE[..20], frames::PREFACE] {
        let mut silent = world.gateway.connect();
        silent.send(first);
        let mut silent = Http2::watch(silent);
        assert!(matches!(silent.until(|_| false), Err(Fault::Ended | Fault::Cut(_))));
    }
    // A connection without requests.
    let mut idle = connect(&world);
    idle.expect_serves(&world.server.get("/v1/x"));
    idle.expect_ended(frames::NO_ERROR);
    // A frame, and a block, that dribble.
    let whole = frame(frames::HEADERS, 1, 1, &head(&world.server, "/v1/x"));
    for part in [5, 12, whole.len()] {
        let mut caller = connect(&world);
        caller.until(|c| c.frames.len() >= 3).expect("settings, and ours acknowledged");
        caller.send(&whole[..part]);
        caller.expect_ended(frames::ENHANCE_YOUR_CALM);
    }
    // A body that does not come.
    let mut caller = connect(&world);
    let id = caller.ask_as_open(&world.server.request("POST", "/v1/x", ""));
    caller.data(id, "half", false);
    caller.answer(id).expect(408, "request_timeout");
    caller.expect_serves(&world.server.get("/v1/x"));
    // Pings keep nothing alive.
    let mut caller = connect(&world);
    caller.expect_serves(&world.server.get("/v1/x"));
    let mut pings = 0;
    while caller.conn.try_send(frame(frames::PING, 0, 0, b"12345678")).is_ok() {
        pings += 1;
        assert!(pings < 200, "the connection lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}
