//! What can be read in two ways is refused with 400, an event and the end of the connection. Nothing of it reaches an
//! upstream, and nothing behind it is taken for a request.
use crate::support::{Answer, Fault, HOST, Seen, Shared, World, tag};

/// A request that must be refused. `{T}` stands for a tag, `{K}` for the lines of a key, `{H}` for those and a Host.
type Case = (&'static str, &'static str);

/// Heads that are refused with 400.
#[rustfmt::skip] // One case a line.
const HEADS: &[Case] = &[
    ("S9112-1 length and chunked", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-1 chunked and length", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
    ("S9112-1 two lengths", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    ("S9112-1 two equal lengths", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: 2\r\nContent-Length: 2\r\n\r\nab"),
    ("S9112-1 a list of lengths", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: 2, 2\r\n\r\nab"),
    ("S9112-1 a sign", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: +2\r\n\r\nab"),
    ("S9112-1 a negative length", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: -2\r\n\r\nab"),
    ("S9112-1 hexadecimal", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: 0x10\r\n\r\nab"),
    ("S9112-1 digits with an underscore", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: 1_0\r\n\r\nab"),
    ("S9112-1 an empty length", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: \r\n\r\n"),
    ("S9112-1 a fraction", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: 2.0\r\n\r\nab"),
    ("S9112-1 more than 64 bits", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length: 18446744073709551618\r\n\r\nab"),
    ("S9112-2 gzip, chunked", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-2 chunked, chunked", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-2 chunked, identity", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("S9112-2 twice", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-2 unknown", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("S9112-2 identity", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: identity\r\n\r\n"),
    ("S9112-2 empty", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: \r\n\r\n"),
    ("S9112-2 with a parameter", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    ("S9112-2 a vertical tab", "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-2 in HTTP/1.0", "POST /v1/{T} HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("S9112-3 space before the colon", "POST /v1/{T} HTTP/1.1\r\n{H}Content-Length : 2\r\n\r\nab"),
    ("S9112-3 tab before the colon", "GET /v1/{T} HTTP/1.1\r\n{H}A\t: b\r\n\r\n"),
    ("S9112-3 space before the first field", "GET /v1/{T} HTTP/1.1\r\n A: b\r\n{H}\r\n"),
    ("S9112-3 a folded field", "GET /v1/{T} HTTP/1.1\r\n{H}A: b\r\n c\r\n\r\n"),
    ("S9112-3 a field folded with a tab", "GET /v1/{T} HTTP/1.1\r\n{H}A: b\r\n\tc\r\n\r\n"),
    ("S9112-3 a bare CR in a value", "GET /v1/{T} HTTP/1.1\r\n{H}A: b\rc: d\r\n\r\n"),
    ("S9112-3 CR CR LF", "GET /v1/{T} HTTP/1.1\r\n{H}A: b\r\r\n\r\n"),
    ("S9112-3 bare LF everywhere", "GET /v1/{T} HTTP/1.1\nHost: x\n\n"),
    ("S9112-3 a bare LF behind the request line", "GET /v1/{T} HTTP/1.1\n{H}\r\n"),
    ("S9112-3 a bare LF behind a field", "GET /v1/{T} HTTP/1.1\r\n{K}A: b\nHost: x\r\n\r\n"),
    ("S9112-3 a bare LF at the end", "GET /v1/{T} HTTP/1.1\r\n{H}A: b\r\n\n"),
    ("S9112-3 NUL in a value", "GET /v1/{T} HTTP/1.1\r\n{H}A: b\0c\r\n\r\n"),
    ("S9112-3 NUL in a name", "GET /v1/{T} HTTP/1.1\r\n{H}A\0: b\r\n\r\n"),
    ("S9112-3 NUL in the target", "GET /v1/{T}\0 HTTP/1.1\r\n{H}\r\n"),
    ("S9112-3 a field without a colon", "GET /v1/{T} HTTP/1.1\r\n{H}A b\r\n\r\n"),
    ("S9112-3 a field without a name", "GET /v1/{T} HTTP/1.1\r\n{H}: b\r\n\r\n"),
    ("S9112-3 a name that is no token", "GET /v1/{T} HTTP/1.1\r\n{H}A(b): c\r\n\r\n"),
    ("S9112-4 no Host", "GET /v1/{T} HTTP/1.1\r\n{K}\r\n"),
    ("S9112-4 two Hosts", "GET /v1/{T} HTTP/1.1\r\n{H}Host: api.example.com\r\n\r\n"),
    ("S9112-4 two different Hosts", "GET /v1/{T} HTTP/1.1\r\n{H}Host: evil\r\n\r\n"),
    ("S9112-4 an empty Host", "GET /v1/{T} HTTP/1.1\r\nHost: \r\n{K}\r\n"),
    ("S9112-4 a Host with a user", "GET /v1/{T} HTTP/1.1\r\nHost: a@b\r\n{K}\r\n"),
    ("S9112-4 a Host with a path", "GET /v1/{T} HTTP/1.1\r\nHost: a/b\r\n{K}\r\n"),
    ("S9112-4 a Host with a space", "GET /v1/{T} HTTP/1.1\r\nHost: a b\r\n{K}\r\n"),
    ("S9112-4 a Host with a bad port", "GET /v1/{T} HTTP/1.1\r\nHost: a:99999\r\n{K}\r\n"),
    ("S9112-4 absolute form of another host", "GET http://evil/v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("S9112-4 absolute form with a user", "GET http://u@api.example.com/v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("S9112-4 no Host in HTTP/1.0", "GET /v1/{T} HTTP/1.0\r\n{K}\r\n"),
    ("request line: a tab", "GET\t/v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("request line: two spaces", "GET  /v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("request line: two spaces behind", "GET /v1/{T}  HTTP/1.1\r\n{H}\r\n"),
    ("request line: a space in the target", "GET /v1/{T} x HTTP/1.1\r\n{H}\r\n"),
    ("request line: a space at its end", "GET /v1/{T} HTTP/1.1 \r\n{H}\r\n"),
    ("request line: no method", " /v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("request line: an empty line first", "\r\nGET /v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("request line: HTTP/0.9", "GET /v1/{T}\r\n\r\n"),
    ("request line: HTTP/1.2", "GET /v1/{T} HTTP/1.2\r\n{H}\r\n"),
    ("request line: HTTP/2.0", "GET /v1/{T} HTTP/2.0\r\n{H}\r\n"),
    ("request line: http/1.1", "GET /v1/{T} http/1.1\r\n{H}\r\n"),
    ("request line: HTTP/1.1 with more", "GET /v1/{T} HTTP/1.10\r\n{H}\r\n"),
    ("request line: CONNECT", "CONNECT api.example.com:443 HTTP/1.1\r\n{H}X: {T}\r\n\r\n"),
    ("request line: a method that is no token", "G(T /v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("case 5 a target without a slash", "GET v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("case 5 http:/x", "GET http:/v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("case 5 another scheme", "GET ftp://api.example.com/v1/{T} HTTP/1.1\r\n{H}\r\n"),
    ("case 6 a fragment", "GET /v1/{T}#b HTTP/1.1\r\n{H}\r\n"),
    ("case 6 a fragment behind the query", "GET /v1/{T}?a#b HTTP/1.1\r\n{H}\r\n"),
    ("target: a backslash", "GET /v1\\{T} HTTP/1.1\r\n{H}\r\n"),
    ("target: DEL", "GET /v1/{T}\u{7f} HTTP/1.1\r\n{H}\r\n"),
    ("target: UTF-8", "GET /v1/{T}\u{e4} HTTP/1.1\r\n{H}\r\n"),
    ("target: a quote", "GET /v1/{T}\" HTTP/1.1\r\n{H}\r\n"),
    ("target: a star", "GET * HTTP/1.1\r\n{H}X: {T}\r\n\r\n"),
    ("S9110-1 Connection names Content-Length", "POST /v1/{T} HTTP/1.1\r\n{H}Connection: Content-Length\r\nContent-Length: 2\r\n\r\nab"),
    ("S9110-1 Connection names Transfer-Encoding", "POST /v1/{T} HTTP/1.1\r\n{H}Connection: close, transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("S9110-1 Connection names Host", "GET /v1/{T} HTTP/1.1\r\n{H}Connection: host\r\n\r\n"),
    ("S9110-1 Connection names Authorization", "GET /v1/{T} HTTP/1.1\r\n{H}Connection: x, AUTHORIZATION\r\n\r\n"),
    ("S9110-1 Connection names Cookie", "GET /v1/{T} HTTP/1.1\r\n{H}Connection: keep-alive\r\nConnection: cookie\r\n\r\n"),
    ("S9110-1 Connection is no list of tokens", "GET /v1/{T} HTTP/1.1\r\n{H}Connection: a b\r\n\r\n"),
    ("not HTTP: TLS", "\u{16}\u{3}\u{1}\u{2}\0{T}\r\n\r\n"),
    ("not HTTP: the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
];

/// Chunked bodies that are refused once they show what they are.
#[rustfmt::skip] // One case a line.
const CHUNKS: &[Case] = &[
    ("S9112-7 a bare LF behind the size", "4\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 0x", "0x4\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 a sign", "+4\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 a negative size", "-4\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 a space behind the size", "4 \r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 a space before the size", " 4\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 no size", "\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 no size but an extension", ";a=b\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 no hexadecimal number", "4g\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 more than 64 bits", "10000000000000004\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 almost 64 bits", "fffffffffffffffe\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 more data than the size", "4\r\nWikiXX\r\n0\r\n\r\n"),
    ("S9112-7 a bare LF behind the data", "4\r\nWiki\n0\r\n\r\n"),
    ("S9112-7 a bare CR in an extension", "4;a\rb\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 a control character in an extension", "4;a\u{1}\r\nWiki\r\n0\r\n\r\n"),
    ("S9112-7 a trailer without a colon", "4\r\nWiki\r\n0\r\nA b\r\n\r\n"),
    ("S9112-7 a trailer with a bare LF", "4\r\nWiki\r\n0\r\nA: b\n\r\n"),
    ("S9112-7 a folded trailer", "4\r\nWiki\r\n0\r\nA: b\r\n c\r\n\r\n"),
    ("S9112-7 a space before a trailer's colon", "4\r\nWiki\r\n0\r\nA : b\r\n\r\n"),
];

/// Sends bytes, with a request behind them that must never be seen, and returns the one answer that may come.
fn refused(world: &Shared, what: &str, request: &[u8], smuggled: &str) -> Answer {
    let mut connection = world.gateway.connect();
    let behind = world.server.get(&format!("/v1/{smuggled}"));
    // The gateway may close before all of it is sent.
    let _ = connection.try_send([request, behind.as_bytes()].concat());
    let answer = connection.try_answer("GET").unwrap_or_else(|fault| panic!("{what}: {fault:?}"));
    assert!(answer.closes(), "{what}: it does not say that it closes: {answer:?}");
    assert_eq!(connection.inbox.waiting(), b"", "{what}: more than one answer");
    let end = connection.inbox.fill();
    assert!(matches!(end, Err(Fault::Ended | Fault::Cut(_))), "{what}: not closed: {end:?}");
    answer
}

fn filled(world: &Shared, case: &str, tag: &str) -> String {
    let key = world.server.lines();
    case.replace("{H}", &format!("Host: {HOST}\r\n{key}")).replace("{K}", &key).replace("{T}", tag)
}

#[test]
fn heads_that_can_be_read_in_two_ways() {
    let world = World::shared();
    for (what, case) in HEADS {
        let (tag, smuggled) = (tag(), tag());
        let request = filled(&world, case, &tag);
        let answer = refused(&world, what, request.as_bytes(), &smuggled);
        assert_eq!((answer.status, answer.code()), (400, "request_ambiguous"), "{what}: {answer:?}");
        let event = world.gateway.event(answer.id());
        assert_eq!(
            (&event["decision"], &event["code"]),
            (&"reject".into(), &"request_ambiguous".into()),
            "{what}"
        );
        assert!(event["detail"].as_str().is_some_and(|d| !d.is_empty()), "{what}: {event}");
        for key in ["method", "path", "host", "workspace", "credential", "upstream_us"] {
            assert_eq!(event[key], serde_json::Value::Null, "{what}: {key} in {event}");
        }
        assert_eq!((event["status"].as_u64(), event["client"].as_str()), (Some(400), Some("127.0.0.1")));
        for tag in [&tag, &smuggled] {
            assert!(world.production.seen(tag).is_empty(), "{what}: something of it arrived");
        }
    }
    let again = world.ask(world.server.get("/v1/x"));
    again.expect_ok();
}

#[test]
fn heads_without_end_are_too_large() {
    let world = World::shared();
    let many: String = (0..100).map(|n| format!("A{n}: b\r\n")).collect();
    let long = format!("A: {}\r\n", "b".repeat(17_000));
    let start = format!("Host: {HOST}\r\n{}", world.server.lines());
    for (what, request) in [
        ("S9112 too many fields", format!("GET /v1/TAG HTTP/1.1\r\n{start}{many}\r\n")),
        ("S9112 a long field", format!("GET /v1/TAG HTTP/1.1\r\n{start}{long}\r\n")),
        ("S9112 a long target", format!("GET /v1/TAG{} HTTP/1.1\r\n{start}\r\n", "x".repeat(17_000))),
        ("S9112 no end in sight", format!("GET /v1/TAG HTTP/1.1\r\n{}", "a".repeat(20_000))),
    ] {
        let (tag, smuggled) = (tag(), tag());
        let answer = refused(&world, what, request.replace("TAG", &tag).as_bytes(), &smuggled);
        assert_eq!((answer.status, answer.code()), (431, "head_too_large"), "{what}: {answer:?}");
        assert_eq!(world.gateway.event(answer.id())["decision"], "reject");
        assert!(world.production.seen(&tag).is_empty() && world.production.seen(&smuggled).is_empty());
    }
}

/// What is wrong with a body shows only when the head has gone on: then the upstream must not see it whole.
#[test]
fn bodies_that_can_be_read_in_two_ways() {
    let world = World::shared();
    for (what, chunks) in CHUNKS {
        let (tag, smuggled) = (tag(), tag());
        let request = world.server.post_chunks(&format!("/v1/{tag}"), chunks.as_bytes());
        let answer = refused(&world, what, &request, &smuggled);
        assert_eq!((answer.status, answer.code()), (400, "request_ambiguous"), "{what}: {answer:?}");
        let event = world.gateway.event(answer.id());
        assert_eq!((&event["code"], &event["status"]), (&"request_ambiguous".into(), &400.into()), "{what}");
        let whole = |seen: &Seen| seen.complete;
        assert!(!world.production.seen(&tag).iter().any(whole), "{what}: the upstream saw a whole request");
        assert!(world.production.seen(&smuggled).is_empty(), "{what}: smuggled");
    }
}

/// S9112-7: sizes of extensions and trailers are bounded.
#[test]
fn chunk_extensions_and_trailers_have_limits() {
    let world = World::shared();
    let extension = format!("4;{}\r\nWiki\r\n0\r\n\r\n", "e".repeat(5_000));
    let many = format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "e".repeat(100)).repeat(400));
    let trailer = format!("4\r\nWiki\r\n0\r\nA: {}\r\n\r\n", "t".repeat(5_000));
    for (what, chunks) in
        [("one long extension", extension), ("many extensions", many), ("a long trailer", trailer)]
    {
        let (tag, smuggled) = (tag(), tag());
        let request = world.server.post_chunks(&format!("/v1/{tag}"), chunks.as_bytes());
        let answer = refused(&world, what, &request, &smuggled);
        assert!(matches!(answer.status, 400 | 413 | 431), "{what}: {answer:?}");
        assert!(!world.production.seen(&tag).iter().any(|seen| seen.complete), "{what}");
        assert!(world.production.seen(&smuggled).is_empty(), "{what}");
    }
}

/// What is left of a head when its sender goes is no request, and no event is owed for a connection without a byte.
#[test]
fn half_a_head_is_no_request() {
    let world = World::shared();
    let tag = tag();
    let request = world.server.get(&format!("/v1/{tag}"));
    let mut connection = world.gateway.connect();
    connection.send(&request[..request.len() - 2]);
    connection.end_sending();
    match connection.try_answer("GET") {
        Err(Fault::Ended | Fault::Cut(_)) => {}
        other => assert!(other.is_ok_and(|a| a.status == 400), "half a head was answered as a request"),
    }
    assert!(world.production.seen(&tag).is_empty());
}

/// Strictness has its limits: these are requests.
#[test]
fn what_is_plain_is_served() {
    let world = World::shared();
    for case in [
        "GET /v1/{T} HTTP/1.1\r\n{H}\r\n",
        "GET http://api.example.com/v1/{T} HTTP/1.1\r\n{H}\r\n",
        "GET /v1/{T} HTTP/1.1\r\nHOST:api.example.com\r\n{K}\r\n",
        "GET /v1/{T} HTTP/1.1\r\n{H}A:\t b \t\r\nB:\r\n\r\n",
        "GET /v1/{T} HTTP/1.1\r\nHost: [::1]:8080\r\n{K}\r\n",
        "GET /v1/{T} HTTP/1.1\r\n{H}A: \u{e4}\r\n\r\n",
        "GET /v1/{T} HTTP/1.1\r\n{H}Content-Length: 0\r\n\r\n",
        "POST /v1/{T} HTTP/1.1\r\n{H}Transfer-Encoding: Chunked\r\n\r\n4;a=\"b;c\"\r\nWiki\r\n000\r\n\r\n",
        "GET /v1/{T}?a=b?c/d[e]='f'|g HTTP/1.1\r\n{H}\r\n",
        "GET /v1/{T} HTTP/1.1\r\n{H}Connection: keep-alive, , x-own\r\n\r\n",
    ] {
        let tag = tag();
        let answer = world.ask(filled(&world, case, &tag));
        assert_eq!(answer.status, 200, "{case}: {answer:?}");
        assert!(world.production.one(&tag).complete, "{case}");
    }
}
