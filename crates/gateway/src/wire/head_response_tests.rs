//! What a response head says.
use super::*;

#[test]
fn the_body_of_a_response_ends_as_status_and_method_say() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let five = "Content-Length: 5\r\n";
    let none = "Content-Length: 0\r\n";
    for (status, lines, to_head, framing, length, close) in [
        ("200", five, false, Framing::Length(5), Some(5), false),
        ("200", none, false, Framing::None, Some(0), false),
        ("200", chunked, false, Framing::Chunked, None, false),
        ("200", "", false, Framing::UntilClose, None, true),
        ("200", five, true, Framing::None, Some(5), false),
        ("200", chunked, true, Framing::None, None, false),
        ("200", "", true, Framing::None, None, false),
        ("304", five, false, Framing::None, Some(5), false),
        ("304", chunked, false, Framing::None, None, false),
        ("304", "", false, Framing::None, None, false),
        ("204", "", false, Framing::None, None, false),
        ("204", none, false, Framing::None, None, false),
        ("100", "", false, Framing::None, None, false),
        ("103", none, false, Framing::None, None, false),
        ("101", "Upgrade: h2c\r\n", false, Framing::None, None, false),
        ("599", five, false, Framing::Length(5), Some(5), false),
        ("200", "Content-Length: 5\r\nConnection: close\r\n", false, Framing::Length(5), Some(5), true),
    ] {
        let head = answer(status, lines, to_head).unwrap();
        assert_eq!(
            (head.framing, head.content_length, head.close),
            (framing, length, close),
            "{status} {lines}"
        );
    }
    for status in ["100", "103", "204"] {
        assert_eq!(answer(status, five, false).err(), Some(Reject::BodyNotAllowed), "{status}");
        assert_eq!(answer(status, chunked, true).err(), Some(Reject::BodyNotAllowed), "{status}");
    }
    let old = responded(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false).unwrap();
    assert!(old.close && old.framing == Framing::Length(5));
}

#[test]
fn status_lines_are_exact() {
    for (raw, reason) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], &b"OK"[..]),
        (b"HTTP/1.1 404 Not\tFound at all\r\nContent-Length: 0\r\n\r\n", b"Not\tFound at all"),
        (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 \xc3\xa4\r\nContent-Length: 0\r\n\r\n", b""),
    ] {
        assert_eq!(responded(raw, false).unwrap().reason.on(raw), reason, "{}", raw.escape_ascii());
    }
    for (line, reject) in [
        ("HTTP/1.1 200", Reject::StatusLine),
        ("HTTP/1.1  200 OK", Reject::StatusLine),
        ("HTTP/1.1 20 OK", Reject::StatusLine),
        ("HTTP/1.1 2000 OK", Reject::StatusLine),
        ("HTTP/1.1 +20 OK", Reject::StatusLine),
        ("HTTP/1.1 099 OK", Reject::StatusRange),
        ("HTTP/1.1 600 OK", Reject::StatusRange),
        ("HTTP/1.1 000 OK", Reject::StatusRange),
        ("HTTP/1.1 200\tOK", Reject::StatusLine),
        ("HTTP/1.1 200 O\u{0}K", Reject::ControlOctet),
        ("HTTP/1.1 200 O\rK", Reject::BareCarriageReturn),
        ("HTTP/1.2 200 OK", Reject::Version),
        ("HTTP/2.0 200 OK", Reject::Version),
        ("ICY 200 OK", Reject::Version),
    ] {
        let raw = format!("{line}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(responded(raw.as_bytes(), false).err(), Some(reject), "{line}");
    }
}
