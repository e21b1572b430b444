//! A runner that lets everything pass would find nothing.
use super::entry::{self, Expected, Message};
use super::script::Script;
use crate::support::strict;

#[test]
fn the_corpus_is_read_carefully() {
    let one =
        "== S9112-1, case 37: a name\n=> refused 400 code detail\n| GET / HTTP/1.1\n|\n> a\\x41{3*bc}\n";
    let read = entry::parse("f", one).unwrap();
    assert_eq!((read[0].demands.len(), read[0].name.as_str()), (2, "a name"));
    let Message::Http1(text) = &read[0].message else { panic!("{read:?}") };
    assert_eq!(entry::bytes(text).unwrap(), b"GET / HTTP/1.1\r\n\r\naAbcbcbc");
    for wrong in [
        "== a name\n",
        "== S9112-1: x\n",
        "== S9112-1: x\n| a\n",
        "== S9112-1: x\n=> passed\n",
        "| a\n",
        "== S9112-1: x\n=> perhaps\n| a\n",
        "== S9112: x\n=> passed\n| a\n",
        "== S9112-1: x\n=> refused 400\n| a\n",
        "== S9112-1: x\n=> passed\n? a\n",
    ] {
        assert!(entry::parse("f", wrong).is_err(), "{wrong}");
    }
    assert!(entry::bytes("\\q").is_err() && entry::bytes("\\x4").is_err());
    let ours = "Host: a\r\nDoorward-Request-Id: 1\r\n";
    let good = format!("GET / HTTP/1.1\r\n{ours}\r\n");
    assert_eq!(strict::reached(good.as_bytes()).map(|(all, used)| (all.len(), used)), Ok((1, good.len())));
    for bad in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\n{}\r\n",
        "GET / HTTP/1.1\r\n{}{}\r\n",
        "GET / HTTP/1.1\r\n{}X_Forwarded_For: 1\r\n\r\n",
        "GET / HTTP/1.1\r\n{}doorward.kind: 1\r\n\r\n",
        "GET / HTTP/1.1\r\n{}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\n{}TE: trailers\r\n\r\n",
        "GET / HTTP/1.1\r\n{}Connection: x\r\n\r\n",
        "POST / HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n1;a\r\nb\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n0\r\nDoorward-Kind: x\r\n\r\n",
    ] {
        assert!(strict::reached(bad.replace("{}", ours).as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn frames_are_written_and_read_as_they_stand_there() {
    let text = "== S9113-8: a name\n=> reset CANCEL\n=> ended ENHANCE_YOUR_CALM\n\
        HEADERS 1 end_headers pad=1 cut\n: GET /{T}\n|+ a:\n* be = a:\n| cookie: x\n|! cookie: y\n\
        DATA 1 pad=2 end_stream\n> ab\nWAIT\nRST_STREAM 1 n=8\n";
    let read = entry::parse("h2", text).unwrap();
    assert_eq!(read[0].expected, [Expected::Reset(8), Expected::Ended(11)]);
    let Message::Http2(lines) = &read[0].message else { panic!("{read:?}") };
    let script = |cut| Script::read(lines, cut, |text| text.replace("{T}", "t")).unwrap();
    let (first, last) = (script(0), script(usize::MAX));
    let request = first.streams[0].request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/t"));
    assert_eq!((request.all("a"), request.all("cookie")), (vec!["", ""], vec!["x; y"]));
    assert_eq!((&request.body[..], request.framed), (&b"ab"[..], strict::Framed::Chunked));
    assert_eq!(
        (first.streams, &first.parts[1]),
        (last.streams, &(b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08".to_vec(), 0))
    );
    let head = &first.parts[0].0[24 + 9..];
    assert_eq!(&head[..11], b"\0\0\x02\x01\x08\0\0\0\x01\x01\0", "nothing but padding before the first cut");
    assert_eq!(&head[11..16], [0, 0, u8::try_from(first.cuts - 1).unwrap(), 9, 4]);
    assert!(last.parts[0].0.ends_with(b"\0\0\x05\0\x09\0\0\0\x01\x02ab\0\0"));
    for wrong in [
        "DATA",
        "DATUM 1",
        "DATA x",
        "DATA 1 end",
        "DATA 1 n=x",
        "DATA 1\n| a",
        "DATA 1\n* 0",
        "DATA 1\n: GET",
        "> a",
    ] {
        let lines: Vec<String> = wrong.lines().map(str::to_owned).collect();
        assert!(Script::read(&lines, 0, str::to_owned).is_err(), "{wrong}");
    }
    assert!(entry::parse("h2", "== S9113-8: x\n=> reset NOTHING\nDATA 1\n").is_err());
}
