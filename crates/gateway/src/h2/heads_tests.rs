//! Heads as they are written, and what can't be written.
use super::*;

const USUAL: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/x?y")];

fn request(list: &[(&str, &str)], end: bool) -> Result<(String, Shape), Wrong> {
    let (mut fields, mut out) = (Fields::default(), Vec::new());
    fields.begin(1_000);
    list.iter().for_each(|(n, v)| fields.take(Message::Request, n.as_bytes(), v.as_bytes(), &mut out));
    let shape = fields.request(end, &mut out)?;
    Ok((String::from_utf8(out).unwrap(), shape))
}

/// The usual request with further fields.
fn with(further: &[(&str, &str)]) -> Vec<(&'static str, &'static str)> {
    let further = further.iter().map(|(n, v)| (&*n.to_string().leak(), &*v.to_string().leak()));
    USUAL.into_iter().chain(further).collect()
}

#[test]
fn a_request_is_written_as_it_was_meant() {
    let (text, shape) = request(&USUAL, true).unwrap();
    assert_eq!((&*text, shape), ("GET /x?y HTTP/1.1\r\nhost: a.example\r\n\r\n", Shape::Nothing));
    let further = [("cookie", "a=1"), ("x-b", "2"), ("cookie", "c=3"), ("te", "trailers"), ("x-b", "")];
    let (text, shape) = request(&with(&further), false).unwrap();
    assert_eq!(
        text,
        "GET /x?y HTTP/1.1\r\nhost: a.example\r\nx-b: 2\r\nte: trailers\r\nx-b: \r\ncookie: a=1; c=3\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(shape, Shape::Chunked);
    let (text, shape) = request(&with(&[("content-length", "12")]), false).unwrap();
    assert_eq!(shape, Shape::Length(12));
    assert!(text.ends_with("\r\ncontent-length: 12\r\n\r\n"), "{text}");
    let (text, _) = request(&with(&[("host", "A.example")]), true).unwrap();
    assert_eq!(text.matches("host:").count(), 1);
    let asterisk = [(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), ("host", "b")];
    assert_eq!(request(&asterisk, true).unwrap().0, "OPTIONS * HTTP/1.1\r\nhost: b\r\n\r\n");
}

/// S9113: each of these has its own reason.
#[test]
fn s9113_what_cannot_be_written_is_refused() {
    for (further, wrong) in [
        ((":path", "/"), Wrong::PseudoRepeated),
        ((":scheme", "http"), Wrong::PseudoRepeated),
        ((":status", "200"), Wrong::PseudoUnknown),
        ((":protocol", "websocket"), Wrong::Connect),
        (("X-Upper", "a"), Wrong::FieldName),
        (("", "a"), Wrong::FieldName),
        (("a b", "a"), Wrong::FieldName),
        (("a:b", "a"), Wrong::FieldName),
        (("a\r\nb", "a"), Wrong::FieldName),
        (("a", "b\r\nc: d"), Wrong::FieldValue),
        (("a", "b\n"), Wrong::FieldValue),
        (("a", "b\0"), Wrong::FieldValue),
        (("a", " b"), Wrong::FieldSpace),
        (("a", "b\t"), Wrong::FieldSpace),
        (("connection", "close"), Wrong::ConnectionField),
        (("keep-alive", "1"), Wrong::ConnectionField),
        (("proxy-connection", "close"), Wrong::ConnectionField),
        (("transfer-encoding", "chunked"), Wrong::ConnectionField),
        (("upgrade", "websocket"), Wrong::ConnectionField),
        (("te", "gzip"), Wrong::Te),
        (("te", "trailers, deflate"), Wrong::Te),
        (("host", "other.example"), Wrong::AuthorityNotHost),
        (("host", "a.example:443"), Wrong::AuthorityNotHost),
        (("content-length", "1"), Wrong::Length),
        (("x", &"y".repeat(1_000)), Wrong::TooLarge),
    ] {
        assert_eq!(request(&with(&[further]), true), Err(wrong), "{further:?}");
    }
    let twice = [("host", "a.example"), ("host", "a.example")];
    assert_eq!(request(&with(&twice), true), Err(Wrong::HostRepeated));
    let late = [("a", "b"), (":path", "/")];
    assert_eq!(request(&with(&late), true), Err(Wrong::PseudoLate));
}

#[test]
fn s9113_pseudo_headers_are_whole() {
    for missing in [0, 1, 3] {
        let list: Vec<_> =
            USUAL.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, f)| *f).collect();
        assert_eq!(request(&list, true), Err(Wrong::PseudoMissing), "{missing}");
    }
    for (at, value, wrong) in [
        (0, "CONNECT", Wrong::Connect),
        (0, "", Wrong::Method),
        (0, "GET /", Wrong::Method),
        (1, "ftp", Wrong::Scheme),
        (2, "", Wrong::Authority),
        (2, "a b", Wrong::Authority),
        (3, "", Wrong::Path),
        (3, "x", Wrong::Path),
        (3, "*", Wrong::Path),
        (3, "http://a.example/", Wrong::Path),
        (3, "/ HTTP/1.1\r\nx: y", Wrong::Path),
    ] {
        let mut list = USUAL;
        list[at].1 = value;
        assert_eq!(request(&list, true), Err(wrong), "{value}");
    }
}

#[test]
fn answers_are_written_with_their_framing() {
    let answer = |list: &[(&str, &str)], end, to_head| {
        let (mut fields, mut out) = (Fields::default(), Vec::new());
        fields.begin(1_000);
        list.iter().for_each(|(n, v)| fields.take(Message::Answer, n.as_bytes(), v.as_bytes(), &mut out));
        fields.answer(end, to_head, &mut out).map(|(s, shape)| (s, shape, String::from_utf8(out).unwrap()))
    };
    let (status, shape, text) = answer(&[(":status", "200"), ("a", "b")], false, false).unwrap();
    assert_eq!((status, shape), (200, Shape::Chunked));
    assert_eq!(text, "HTTP/1.1 200 \r\na: b\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    let (_, shape, text) = answer(&[(":status", "200")], true, false).unwrap();
    assert_eq!((shape, text.contains("content-length: 0\r\n")), (Shape::Nothing, true));
    let (_, shape, text) = answer(&[(":status", "200"), ("content-length", "9")], true, true).unwrap();
    assert_eq!((shape, text.matches("content-length").count()), (Shape::Nothing, 1));
    assert_eq!(answer(&[(":status", "103")], false, false).unwrap().2, "HTTP/1.1 103 \r\n\r\n");
    for bad in ["", "20", "2000", "abc", "600", "101"] {
        assert_eq!(answer(&[(":status", bad)], false, false).map(|_| ()), Err(Wrong::Status), "{bad}");
    }
    assert_eq!(answer(&[(":status", "100")], true, false).map(|_| ()), Err(Wrong::Status));
    assert_eq!(answer(&[("a", "b")], true, false).map(|_| ()), Err(Wrong::Status));
    let wrong = answer(&[(":status", "200"), ("content-length", "9")], true, false);
    assert_eq!(wrong.map(|_| ()), Err(Wrong::Length));
    let wrong = answer(&[(":status", "200"), ("connection", "close")], true, false);
    assert_eq!(wrong.map(|_| ()), Err(Wrong::ConnectionField));
}
