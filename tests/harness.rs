//! The harness itself: a reader that lets everything pass would find nothing.
use crate::support::{Conn, Do, Fault, Inbox, Upstream, noise, sha256, tag};

fn read(bytes: &str) -> Result<(u16, String), Fault> {
    Inbox::new(bytes.as_bytes()).answer("GET").map(|answer| (answer.status, answer.text()))
}

#[test]
fn answers_are_read_strictly() {
    assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Ok((200, "ok".to_owned())));
    assert_eq!(
        read(
            "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n"
        ),
        Ok((200, "ok".to_owned()))
    );
    assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nok"), Ok((200, "ok".to_owned())));
    assert_eq!(read(""), Err(Fault::Ended));
    for cut in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok",
    ] {
        assert_eq!(read(cut), Err(Fault::Cut(b"ok".to_vec())), "{cut}");
    }
    for malformed in [
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n",
    ] {
        assert!(matches!(read(malformed), Err(Fault::Malformed(_))), "{malformed}: {:?}", read(malformed));
    }
}

#[test]
fn the_upstream_does_as_it_is_told_and_remembers() {
    let upstream = Upstream::start();
    let mut connection = Conn::open(upstream.address);
    let body = noise(1, 30_000);
    for framing in ["length", "close"] {
        let tag = tag();
        let head = format!("POST /{tag}/{framing} HTTP/1.1\r\nContent-Length: 30000\r\n\r\n");
        let answer = connection.send([head.as_bytes(), &body].concat()).answer();
        assert_eq!(answer.get("x-sha256"), Some(sha256(&body).as_str()));
        assert!(answer.body == body && upstream.one(&tag).body == body && upstream.one(&tag).complete);
    }
    connection.expect_closed();
    let tag = tag();
    upstream.on(&tag, vec![Do::Say(b"HTTP/1.1 200 OK\r\n\r\nhalf".to_vec()), Do::Reset]);
    let answer = Conn::open(upstream.address).send(format!("GET /{tag} HTTP/1.1\r\n\r\n")).try_answer("GET");
    assert!(matches!(answer, Err(Fault::Cut(_))), "{answer:?}");
    assert_eq!((upstream.connections(), upstream.count()), (2, 3));
}
