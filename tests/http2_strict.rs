//! HTTP/2 has one reading as well (S9113, ASVS 4.2): what can be read in two ways is refused, with an answer and an event
//! where it is a request, by ending the stream or the connection where it is none.
use crate::http2::{connect, world};
use crate::support::frames::{self, frame};
use crate::support::{HOST, Http2, World, tag};

/// The caller's own fields, and further ones; each replaces one of the same name among the first four.
fn fields<'a>(world: &'a World, path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", path)];
    all.extend([("x-app-id", world.server.id.as_str()), ("x-app-token", world.server.secret.as_str())]);
    all.extend(more);
    all
}

/// Asserts that a request is refused, and what its event says; the connection goes on.
#[track_caller]
fn refused(caller: &mut Http2, fields: &[(&str, &str)], status: u16, detail: &str) {
    let id = caller.headers(fields, true);
    let answer = caller.answer(id);
    let code = if status == 431 { "head_too_large" } else { "request_ambiguous" };
    assert_eq!((answer.status, answer.code()), (status, code), "{fields:?}: {answer:?}");
    let event = world().gateway.event(answer.id());
    assert_eq!(
        (&event["decision"], &event["detail"]),
        (&"reject".into(), &detail.into()),
        "{fields:?}: {event}"
    );
}

#[test]
fn s9113_malformed_requests_are_answered_with_400() {
    let world = world();
    let mut caller = connect(world);
    let tag = tag();
    let path = format!("/v1/{tag}");
    for (more, detail) in [
        ([("connection", "close")], "connection-field"),
        ([("proxy-connection", "keep-alive")], "connection-field"),
        ([("keep-alive", "timeout=5")], "connection-field"),
        ([("transfer-encoding", "chunked")], "connection-field"),
        ([("upgrade", "h2c")], "connection-field"),
        ([("te", "gzip")], "te-not-trailers"),
        ([("te", "trailers, gzip")], "te-not-trailers"),
        ([("X-Upper", "a")], "field-name-invalid"),
        ([("", "a")], "field-name-invalid"),
        ([("a b", "a")], "field-name-invalid"),
        ([("a:", "a")], "field-name-invalid"),
        ([("a\r\nx-api-key", "a")], "field-name-invalid"),
        ([("a", "b\r\nx: y")], "control-octet"),
        ([("a", "b\ny: z")], "control-octet"),
        ([("a", "b\rc")], "control-octet"),
        ([("a", "b\0c")], "control-octet"),
        ([("a", "b\u{7f}")], "control-octet"),
        ([("a", " b")], "space-around-value"),
        ([("a", "b ")], "space-around-value"),
        ([("a", "\tb")], "space-around-value"),
        ([("host", "other.example")], "target-and-host-differ"),
        ([("host", "api.example.com:443")], "target-and-host-differ"),
        ([("content-length", "5")], "content-length-and-data-differ"),
        ([("content-length", "+0")], "content-length-invalid"),
        ([(":path", "/v1/other")], "pseudo-header-late"),
        ([(":made-up", "x")], "pseudo-header-late"),
    ] {
        refused(&mut caller, &fields(world, &path, &more), 400, detail);
    }
    for (twice, detail) in
        [(("host", HOST), "host-repeated"), (("content-length", "0"), "content-length-repeated")]
    {
        refused(&mut caller, &fields(world, &path, &[twice, twice]), 400, detail);
    }
    caller.expect_serves(&world.server.get("/v1/x"));
    assert!(world.production.seen(&tag).is_empty(), "nothing of it reached the upstream");
    // Allowed: the same host again, te: trailers, text beyond ASCII.
    let id =
        caller.headers(&fields(world, &path, &[("host", HOST), ("te", "trailers"), ("a", "\u{e4}")]), true);
    caller.answer(id).expect_ok();
    assert_eq!(world.production.one(&tag).get("te"), None);
}

#[test]
fn s9113_pseudo_headers_say_one_thing() {
    let world = world();
    let mut caller = connect(world);
    let tag = tag();
    let path = format!("/v1/{tag}");
    let usual = fields(world, &path, &[]);
    for at in [0, 1, 3] {
        let without: Vec<_> = usual.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, f)| *f).collect();
        refused(&mut caller, &without, 400, "pseudo-header-missing");
    }
    let without_host: Vec<_> = usual.iter().filter(|(name, _)| *name != ":authority").copied().collect();
    refused(&mut caller, &without_host, 400, "host-missing");
    for at in 0..4 {
        let mut twice = usual.clone();
        twice.insert(0, usual[at]);
        refused(&mut caller, &twice, 400, "pseudo-header-repeated");
    }
    for (at, value, detail) in [
        (0, "CONNECT", "method-connect"),
        (0, "G T", "method-invalid"),
        (0, "", "method-invalid"),
        (1, "ws", "scheme-unknown"),
        (2, "", "host-invalid"),
        (2, "a b", "host-invalid"),
        (2, "user@api.example.com", "host-invalid"),
        (2, "api.example.com\r\nx: y", "host-invalid"),
        (3, "", "target-form"),
        (3, "*", "target-form"),
        (3, "v1", "target-form"),
        (3, "https://api.example.com/v1", "target-form"),
        (3, "/v1/ HTTP/1.1\r\nx: y", "target-form"),
        (3, "/v1/\0", "target-form"),
        (3, "/v1/a#b", "target-fragment"),
        (3, "/v1/\u{e4}", "target-octet-invalid"),
        (3, "/v1/\"", "target-octet-invalid"),
    ] {
        let mut other = usual.clone();
        other[at].1 = value;
        refused(&mut caller, &other, 400, detail);
    }
    for first in [(":made-up", "x"), (":status", "200")] {
        let unknown: Vec<_> = std::iter::once(first).chain(usual.iter().copied()).collect();
        refused(&mut caller, &unknown, 400, "pseudo-header-unknown");
    }
    // CONNECT as it is meant, and as RFC 8441 extends it.
    refused(&mut caller, &[(":method", "CONNECT"), (":authority", "a:1")], 400, "method-connect");
    let mut extended = usual.clone();
    extended[0].1 = "CONNECT";
    extended.insert(0, (":protocol", "websocket"));
    refused(&mut caller, &extended, 400, "method-connect");
    caller.expect_serves(&world.server.get("/v1/x"));
    assert!(world.production.seen(&tag).is_empty());
}

/// The same limits as over HTTP/1.1; what is refused for its size leaves the connection whole.
#[test]
fn s9113_heads_have_the_same_limits() {
    let world = world();
    let mut caller = connect(world);
    let long = "v".repeat(16_384);
    refused(&mut caller, &fields(world, "/v1/x", &[("a", &long)]), 431, "head-too-large");
    let names: Vec<String> = (0..80).map(|n| format!("a{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "b")).collect();
    refused(&mut caller, &fields(world, "/v1/x", &many), 431, "too-many-fields");
    // A small block that means much: one entry of the table, named over and over.
    let (id, mut bomb) = (caller.id(), frames::block(&fields(world, "/v1/x", &[])));
    bomb.push(0x40);
    bomb.extend([1, b'b', 127, 0x81, 0x1d]);
    bomb.extend([b'c'; 127 + 1 + 29 * 128]);
    bomb.extend(std::iter::repeat_n(0xbe, 1_000));
    caller.send(frame(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, id, &bomb));
    caller.answer(id).expect(431, "head_too_large");
    let mut none = connect(world);
    none.send(frame(frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, 1, &[0x82; 5_000]));
    none.expect_ended(frames::ENHANCE_YOUR_CALM);
    caller.expect_serves(&world.server.get("/v1/x"));
}

/// ASVS 4.2.4: a body is as long as it was said to be.
#[test]
fn s9113_data_is_as_long_as_was_said() {
    let world = world();
    let mut caller = connect(world);
    for (said, data) in [("5", "1234"), ("5", "123456"), ("1", "")] {
        let tag = tag();
        let path = format!("/v1/{tag}");
        let mut head = fields(world, &path, &[("content-length", said)]);
        head[0].1 = "POST";
        let id = caller.headers(&head, false);
        caller.data(id, data, true);
        let answer = caller.answer(id);
        answer.expect(400, "request_ambiguous");
        let event = world.gateway.event(answer.id());
        assert_eq!(event["detail"], "content-length-and-data-differ", "{event}");
        let seen = world.production.seen(&tag);
        assert!(seen.iter().all(|s| !s.complete), "{seen:?}");
    }
    // Trailers that are none.
    for trailers in [[(":path", "/")], [("connection", "close")], [("X", "y")], [("x", "y\r\nz: a")]] {
        let mut head = fields(world, "/v1/x", &[]);
        head[0].1 = "POST";
        let id = caller.headers(&head, false);
        caller.data(id, "body", false);
        let ended = frames::END_HEADERS | frames::END_STREAM;
        caller.send(frame(frames::HEADERS, ended, id, &frames::block(&trailers)));
        caller.answer(id).expect(400, "request_ambiguous");
    }
    caller.expect_serves(&world.server.get("/v1/x"));
}

/// RFC 9113 4 to 6: what is no HTTP/2 ends the connection, each with its own code.
#[test]
fn s9113_what_is_no_frame_ends_the_connection() {
    use frames::{COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR};
    let world = world();
    let head = frames::block(&fields(world, "/v1/x", &[]));
    let begun = frame(frames::HEADERS, frames::END_STREAM, 1, &head[..9]);
    for (what, bytes, code) in [
        ("a frame that is too long", frame(frames::DATA, 0, 1, &[0; 16_385]), FRAME_SIZE_ERROR),
        ("data on the connection", frame(frames::DATA, 0, 0, b"x"), PROTOCOL_ERROR),
        ("data before a head", frame(frames::DATA, 0, 1, b"x"), PROTOCOL_ERROR),
        ("a head on the connection", frame(frames::HEADERS, 5, 0, &head), PROTOCOL_ERROR),
        ("a head on an even stream", frame(frames::HEADERS, 5, 2, &head), PROTOCOL_ERROR),
        ("too much padding", frame(frames::HEADERS, 5 | frames::PADDED, 1, &[200, 0, 0]), PROTOCOL_ERROR),
        (
            "a block that is interrupted",
            [begun.clone(), frame(frames::PING, 0, 0, &[0; 8])].concat(),
            PROTOCOL_ERROR,
        ),
        ("another block", [begun.clone(), frame(frames::CONTINUATION, 4, 3, b"")].concat(), PROTOCOL_ERROR),
        ("a continuation of nothing", frame(frames::CONTINUATION, 4, 1, b""), PROTOCOL_ERROR),
        ("a promise", frame(frames::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2]), PROTOCOL_ERROR),
        ("settings on a stream", frame(frames::SETTINGS, 0, 1, b""), PROTOCOL_ERROR),
        ("half a setting", frame(frames::SETTINGS, 0, 0, b"abc"), FRAME_SIZE_ERROR),
        ("an acknowledgement that says more", frame(frames::SETTINGS, 1, 0, &[0; 6]), FRAME_SIZE_ERROR),
        ("a window beyond 2^31", frames::settings(&[(4, 1 << 31)]), FLOW_CONTROL_ERROR),
        ("a frame size below the least", frames::settings(&[(5, 1)]), PROTOCOL_ERROR),
        ("a push setting", frames::settings(&[(2, 2)]), PROTOCOL_ERROR),
        ("half a ping", frame(frames::PING, 0, 0, b"abc"), FRAME_SIZE_ERROR),
        ("a ping on a stream", frame(frames::PING, 0, 1, &[0; 8]), PROTOCOL_ERROR),
        ("a window update of nothing", frames::number(frames::WINDOW_UPDATE, 0, 0), PROTOCOL_ERROR),
        (
            "a window that overflows",
            frames::number(frames::WINDOW_UPDATE, 0, 0x7fff_ffff),
            FLOW_CONTROL_ERROR,
        ),
        ("a window update before a head", frames::number(frames::WINDOW_UPDATE, 7, 1), PROTOCOL_ERROR),
        ("a reset before a head", frames::number(frames::RST_STREAM, 7, 0), PROTOCOL_ERROR),
        ("half a priority", frame(frames::PRIORITY, 0, 1, b"abc"), FRAME_SIZE_ERROR),
        ("a garbled block", frame(frames::HEADERS, 5, 1, b"\xff\xff\xff\xff"), COMPRESSION_ERROR),
        ("a table that is too large", frame(frames::HEADERS, 5, 1, b"\x3f\xe2\x1f"), COMPRESSION_ERROR),
    ] {
        eprintln!("{what}");
        let mut caller = connect(world);
        caller.until(|c| !c.frames.is_empty()).expect("settings");
        // The gateway may have ended the connection before it has taken everything.
        let _ = caller.conn.try_send(bytes);
        caller.expect_ended(code);
    }
    let mut none = world.gateway.connect();
    none.send([&frames::PREFACE[..18], b"XX\r\n\r\n"].concat());
    let mut none = Http2::watch(none);
    none.expect_ended(PROTOCOL_ERROR);
}

/// What is wrong on one stream ends that stream.
#[test]
fn s9113_what_is_wrong_on_a_stream_ends_that_stream() {
    let world = world();
    let mut caller = connect(world);
    let mut post = fields(world, "/v1/x", &[]);
    post[0].1 = "POST";
    // More data after the end.
    let slow = tag();
    let path = format!("/v1/{slow}");
    world.production.on(&slow, vec![crate::support::Do::Body, crate::support::Do::Silence]);
    post[3].1 = &path;
    let id = caller.headers(&post, true);
    caller.data(id, "more", false);
    caller.expect_reset(id, frames::STREAM_CLOSED);
    // More than the stream has room for, though the connection has.
    let id = caller.headers(&post, false);
    caller.send(frame(frames::DATA, 0, id, &[0; 16_384]).repeat(20));
    caller.expect_reset(id, frames::FLOW_CONTROL_ERROR);
    let id = caller.headers(&post, true);
    caller.send(frames::number(frames::WINDOW_UPDATE, id, 0));
    caller.expect_reset(id, frames::PROTOCOL_ERROR);
    let id = caller.headers(&post, true);
    caller.send(frames::number(frames::WINDOW_UPDATE, id, 0x7fff_ffff));
    caller.expect_reset(id, frames::FLOW_CONTROL_ERROR);
    caller.expect_serves(&world.server.get("/v1/x"));
}
