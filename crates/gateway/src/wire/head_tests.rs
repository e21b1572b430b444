//! Every rule of a head, and what an accepted head says.
use super::super::{Lines, kind};
use super::*;

#[path = "head_response_tests.rs"]
mod responses;

/// As the slowest peer would send it: byte by byte.
fn head_end(raw: &[u8]) -> Result<usize, Reject> {
    let mut lines = Lines::default();
    for n in 1..=raw.len() {
        if let Some(end) = lines.scan(&raw[..n], &Limits::default())? {
            return Ok(end);
        }
    }
    Err(Reject::NotOneHead)
}

fn requested(raw: &[u8]) -> Result<Head, Reject> {
    let end = head_end(raw)?;
    let mut head = Head::default();
    request(&raw[..end], &Limits::default(), &mut head).map(|()| head)
}

fn responded(raw: &[u8], to_head: bool) -> Result<Head, Reject> {
    let end = head_end(raw)?;
    let mut head = Head::default();
    response(&raw[..end], to_head, &Limits::default(), &mut head).map(|()| head)
}

/// A request with these lines after `Host`.
fn with(lines: &str) -> Result<Head, Reject> {
    requested(format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes())
}

/// A response with these lines after its status line.
fn answer(status: &str, lines: &str, to_head: bool) -> Result<Head, Reject> {
    responded(format!("HTTP/1.1 {status} x\r\n{lines}\r\n").as_bytes(), to_head)
}

#[test]
fn a_request_says_what_it_is() {
    let raw =
        b"PUT http://API.example:80/a/b?c=d HTTP/1.1\r\nHost:\tapi.EXAMPLE:80 \r\nX-A: \tb c\t\r\nX-E:\r\n\
        Content-Length: 12\r\nX-O: \xff\r\n\r\n";
    let head = requested(raw).unwrap();
    assert_eq!(head.method.on(raw), b"PUT");
    assert_eq!(head.path.on(raw), b"/a/b");
    assert_eq!(head.query.map(|q| q.on(raw)), Some(&b"c=d"[..]));
    assert_eq!(head.host.on(raw), b"api.EXAMPLE:80");
    assert_eq!((head.minor, head.framing, head.content_length), (1, Framing::Length(12), Some(12)));
    assert!(!head.close && !head.keep_alive && !head.nominates && !head.upgrade);
    let fields: Vec<_> = head.fields.iter().map(|f| (f.name.on(raw), f.value.on(raw))).collect();
    assert_eq!(
        fields,
        [
            (&b"Host"[..], &b"api.EXAMPLE:80"[..]),
            (b"X-A", b"b c"),
            (b"X-E", b""),
            (b"Content-Length", b"12"),
            (b"X-O", b"\xff")
        ]
    );
    assert!(head.fields.iter().all(|f| f.kind == kind(f.name.on(raw))));
}

#[test]
fn a_head_that_is_used_again_keeps_nothing() {
    let full = b"PUT /a?b HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nConnection: close, keep-alive, x\r\nExpect: y\r\n\r\n";
    let bare = b"GET / HTTP/1.1\r\nHost: b\r\n\r\n";
    let mut head = Head::default();
    request(full, &Limits::default(), &mut head).unwrap();
    assert!(head.close && head.keep_alive && head.nominates && head.expect == Expect::Unknown);
    request(bare, &Limits::default(), &mut head).unwrap();
    assert!(!head.close && !head.keep_alive && !head.nominates && head.expect == Expect::None);
    assert_eq!((head.query, head.content_length, head.framing), (None, None, Framing::None));
    assert_eq!((head.fields.len(), head.host.on(bare)), (1, &b"b"[..]));
}

#[test]
fn s9112_1_one_plain_length() {
    for (lines, framing) in [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::None),
        ("Content-Length: 5\r\n", Framing::Length(5)),
        ("content-length:  007 \r\n", Framing::Length(7)),
        ("Content-Length: 999999999999999999\r\n", Framing::Length(999_999_999_999_999_999)),
    ] {
        assert_eq!(with(lines).map(|h| h.framing), Ok(framing), "{lines}");
    }
    for value in [
        "",
        "+1",
        "-1",
        "0x10",
        "1_0",
        "1e3",
        "5,5",
        "5, 5",
        "5;",
        "5 5",
        "\"5\"",
        "1000000000000000000",
        "18446744073709551616",
        "five",
        "5.0",
        "\u{661}",
    ] {
        let lines = format!("Content-Length: {value}\r\n");
        assert_eq!(with(&lines).err(), Some(Reject::ContentLengthInvalid), "{value}");
        assert_eq!(answer("200", &lines, false).err(), Some(Reject::ContentLengthInvalid), "{value}");
    }
    for value in ["5\t", "\t5", " \t 5"] {
        let lines = format!("Content-Length:{value}\r\n");
        assert_eq!(with(&lines).err(), Some(Reject::ContentLengthInvalid), "{value:?}");
    }
    assert_eq!(with("Content-Length:   5  \r\n").map(|h| h.framing), Ok(Framing::Length(5)));
    for second in ["5", "6", "0"] {
        let lines = format!("Content-Length: 5\r\nA: b\r\ncontent-length: {second}\r\n");
        assert_eq!(with(&lines).err(), Some(Reject::ContentLengthRepeated));
        assert_eq!(answer("200", &lines, false).err(), Some(Reject::ContentLengthRepeated));
    }
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ] {
        assert_eq!(with(lines).err(), Some(Reject::ContentLengthWithTransferEncoding));
        assert_eq!(answer("200", lines, true).err(), Some(Reject::ContentLengthWithTransferEncoding));
    }
}

#[test]
fn s9112_2_chunked_once_and_nothing_else() {
    assert_eq!(with("transfer-encoding: CHUNKED\r\n").map(|h| h.framing), Ok(Framing::Chunked));
    for value in [
        "",
        "gzip",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked;a",
        "\"chunked\"",
        "xchunked",
        "identity",
        "chunke d",
        "chunked\u{b}",
        "chunked\t",
        "\tchunked",
        "chunked \t",
    ] {
        let lines = format!("Transfer-Encoding: {value}\r\n");
        let expected =
            if value.contains('\u{b}') { Reject::ControlOctet } else { Reject::TransferEncodingNotChunked };
        assert_eq!(with(&lines).err(), Some(expected), "{value}");
        assert_eq!(answer("200", &lines, false).err(), Some(expected), "{value}");
    }
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(with(twice).err(), Some(Reject::TransferEncodingRepeated));
    assert_eq!(answer("200", twice, false).err(), Some(Reject::TransferEncodingRepeated));
    let old = b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(requested(old).err(), Some(Reject::TransferEncodingInHttp10));
    let old = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(responded(old, false).err(), Some(Reject::TransferEncodingInHttp10));
}

#[test]
fn s9112_3_lines_are_exact() {
    for (lines, reject) in [
        ("A : b\r\n", Reject::SpaceBeforeColon),
        ("A\t: b\r\n", Reject::SpaceBeforeColon),
        ("Content-Length : 5\r\n", Reject::SpaceBeforeColon),
        ("A: b\r\n c\r\n", Reject::FoldedField),
        ("A: b\r\n\tc: d\r\n", Reject::FoldedField),
        ("A: b\r\n \r\n", Reject::FoldedField),
        (": b\r\n", Reject::FieldName),
        ("A\r\n", Reject::FieldName),
        ("A b\r\n", Reject::FieldName),
        ("A(b): c\r\n", Reject::FieldName),
        ("\u{e4}: c\r\n", Reject::FieldName),
        ("A: b\rc\r\n", Reject::BareCarriageReturn),
        ("A: b\r\r\n", Reject::BareCarriageReturn),
        ("A\r: b\r\n", Reject::BareCarriageReturn),
        ("A: b\0c\r\n", Reject::ControlOctet),
        ("A\0: b\r\n", Reject::ControlOctet),
        ("A: b\u{7f}\r\n", Reject::ControlOctet),
        ("A: \u{1b}[0m\r\n", Reject::ControlOctet),
        ("A: b\nC: d\r\n", Reject::BareLineFeed),
    ] {
        assert_eq!(with(lines).err(), Some(reject), "{}", lines.escape_debug());
        assert_eq!(answer("200", lines, false).err(), Some(reject), "{}", lines.escape_debug());
    }
    for (raw, reject) in [
        (&b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"[..], Reject::FoldedField),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::RequestLine),
        (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Reject::Version),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Reject::RequestLine),
        (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Reject::Method),
        (b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", Reject::TargetOctet),
        (b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", Reject::BareCarriageReturn),
        (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Reject::ControlOctet),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Reject::TargetOctet),
        (b"GET /\r\nHost: a\r\n\r\n", Reject::TargetOctet),
        (b"GET\r\nHost: a\r\n\r\n", Reject::Method),
        (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::Method),
    ] {
        assert_eq!(requested(raw).err(), Some(reject), "{}", raw.escape_ascii());
    }
}

#[test]
fn s9112_3_the_reader_alone_refuses_bare_line_feeds_too() {
    for raw in [
        &b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\n\n",
        b"GET / HTTP/1.1\n\r\n",
    ] {
        let refused = request(raw, &Limits::default(), &mut Head::default());
        assert!(matches!(refused, Err(Reject::BareLineFeed | Reject::NotOneHead)), "{}", raw.escape_ascii());
    }
    let first = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(request(first, &Limits::default(), &mut Head::default()), Err(Reject::EmptyLineFirst));
    let two = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(request(two, &Limits::default(), &mut Head::default()), Err(Reject::NotOneHead));
    assert_eq!(request(b"", &Limits::default(), &mut Head::default()), Err(Reject::NotOneHead));
}

#[test]
fn s9112_4_one_valid_host_that_the_target_agrees_with() {
    for (raw, reject) in [
        ("GET / HTTP/1.1\r\n\r\n", Reject::HostMissing),
        ("GET / HTTP/1.0\r\nA: b\r\n\r\n", Reject::HostMissing),
        ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", Reject::HostRepeated),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Reject::HostRepeated),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Reject::HostInvalid),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Reject::HostInvalid),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Reject::HostInvalid),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", Reject::TargetNotHost),
        ("GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", Reject::TargetNotHost),
        ("GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", Reject::TargetNotHost),
        ("GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", Reject::TargetUserinfo),
        ("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", Reject::TargetForm),
        ("GET http://a/ HTTP/1.1\r\n\r\n", Reject::HostMissing),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Reject::MethodConnect),
        ("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", Reject::TargetFragment),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Reject::Http2Preface),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Reject::Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Reject::Version),
        ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", Reject::Version),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", Reject::Version),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n", Reject::MethodTooLong),
    ] {
        assert_eq!(requested(raw.as_bytes()).err(), Some(reject), "{raw}");
    }
    let any = b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(requested(any).unwrap().path.on(any), b"*");
    let own = b"pUrGe-it!09.abcdefghijklmnopqrst / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(requested(own).unwrap().method.len(), MAX_METHOD_BYTES);
}

#[test]
fn s9110_1_connection_options() {
    for (value, close, keep_alive, nominates) in [
        ("close", true, false, false),
        ("Close, x", true, false, true),
        ("keep-alive", false, true, false),
        ("KEEP-ALIVE,close", true, true, false),
        ("te, upgrade, proxy-connection", false, false, false),
        ("", false, false, false),
        (",, ,", false, false, false),
        ("content_length", false, false, false),
        ("x-app-id", false, false, true),
    ] {
        let head = with(&format!("Connection: {value}\r\n")).unwrap();
        assert_eq!((head.close, head.keep_alive, head.nominates), (close, keep_alive, nominates), "{value}");
    }
    let two = with("Connection: close\r\nConnection: keep-alive\r\n").unwrap();
    assert!(two.close && two.keep_alive, "one line does not undo another");
    for protected in ["Content-Length", "transfer-encoding", "HOST", "authorization", "Cookie"] {
        let lines = format!("Connection: close , {protected}\r\n");
        assert_eq!(with(&lines).err(), Some(Reject::ConnectionNamesProtected), "{protected}");
        assert_eq!(answer("200", &lines, false).err(), Some(Reject::ConnectionNamesProtected), "{protected}");
    }
    for bad in ["a b", "a;b", "\"close\"", "close=1", "clos\u{e9}", "x/y"] {
        assert_eq!(with(&format!("Connection: {bad}\r\n")).err(), Some(Reject::ConnectionOption), "{bad}");
    }
    let many = |n: usize| format!("Connection: a{}\r\n", ",".repeat(n - 1));
    assert!(with(&many(32)).is_ok());
    assert_eq!(with(&many(33)).err(), Some(Reject::ConnectionOptionsTooMany));
    let spread = "Connection: a, b, c, d\r\n".repeat(9);
    assert_eq!(with(&spread).err(), Some(Reject::ConnectionOptionsTooMany));
}

#[test]
fn s9110_4_expectations() {
    for (lines, expect) in [
        ("", Expect::None),
        ("Expect: 100-continue\r\n", Expect::Continue),
        ("expect: 100-Continue\r\n", Expect::Continue),
        ("Expect: 100-continue\r\nExpect: 100-continue\r\n", Expect::Unknown),
        ("Expect: 100-continue, x\r\n", Expect::Unknown),
        ("Expect:\r\n", Expect::Unknown),
        ("Expect: 200-ok\r\n", Expect::Unknown),
        ("Expect: a\r\nExpect: b\r\nExpect: 100-continue\r\n", Expect::Unknown),
    ] {
        assert_eq!(with(lines).map(|h| h.expect), Ok(expect), "{lines}");
    }
    let old = b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(requested(old).map(|h| h.expect), Ok(Expect::None));
}

#[test]
fn s9110_2_and_6_versions_decide_about_upgrade_and_close() {
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    assert!(with(upgrade).unwrap().upgrade);
    let old = requested(format!("GET / HTTP/1.0\r\nHost: a\r\n{upgrade}\r\n").as_bytes()).unwrap();
    assert!(!old.upgrade && old.close);
    let kept = requested(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert!(!kept.close && kept.keep_alive && kept.minor == 0);
}

#[test]
fn limits_hold() {
    let fields = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(n - 1));
    let limit = |fields| Limits { fields, ..Limits::default() };
    let mut head = Head::default();
    assert_eq!(request(fields(64).as_bytes(), &limit(64), &mut head), Ok(()));
    assert_eq!(head.fields.len(), 64);
    assert_eq!(request(fields(65).as_bytes(), &limit(64), &mut head), Err(Reject::TooManyFields));
    assert_eq!(request(fields(MAX_FIELDS).as_bytes(), &limit(usize::MAX), &mut head), Ok(()));
    let over = fields(MAX_FIELDS + 1);
    assert_eq!(request(over.as_bytes(), &limit(usize::MAX), &mut head), Err(Reject::TooManyFields));
    let over = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(65));
    assert_eq!(response(over.as_bytes(), false, &limit(64), &mut head), Err(Reject::TooManyFields));
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "b".repeat(MAX_HEAD_BYTES));
    assert_eq!(request(long.as_bytes(), &limit(64), &mut head), Err(Reject::HeadTooLarge));
    assert!(Reject::HeadTooLarge.too_large() && Reject::TooManyFields.too_large());
    assert!(!Reject::BareLineFeed.too_large() && !Reject::TrailerTooLarge.too_large());
}
