//! Bodies in both directions: streamed, framed anew, and never changed.
use crate::support::{Do, HOST, World, eventually, noise, sha256, tag};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A body in chunks of so many bytes.
fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in body.chunks(size) {
        out.extend(format!("{:x}\r\n", piece.len()).bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[test]
fn every_framing_arrives_whole_in_both_directions() {
    let world = World::shared();
    let mut connection = world.gateway.connect();
    for length in [0, 1, 10, 4_096, 16_384, 16_385, 65_536, 200_000] {
        let body = noise(length as u64, length);
        for answer_framing in ["length", "chunked", "close"] {
            for chunks in [None, Some(7), Some(5_000)] {
                if chunks == Some(7) && length > 20_000 {
                    continue;
                }
                let tag = tag();
                let target = format!("/v1/{tag}/{answer_framing}");
                let request = match chunks {
                    None => world.server.post(&target, &body),
                    Some(size) => world.server.post_chunks(&target, &chunked(&body, size)),
                };
                let answer = connection.send(request).answer();
                let what = format!("{length} bytes up in {chunks:?}, down by {answer_framing}");
                assert_eq!((answer.status, answer.code()), (200, ""), "{what}");
                assert_eq!(answer.get("x-sha256"), Some(sha256(&body).as_str()), "{what}: up");
                assert!(answer.body == body, "{what}: down, {} bytes", answer.body.len());
                assert_eq!(world.production.one(&tag).body.len(), length, "{what}");
                if answer.until_close || answer.closes() {
                    connection = world.gateway.connect();
                }
            }
        }
    }
}

#[test]
fn a_get_may_have_a_body() {
    let world = World::shared();
    let tag = tag();
    let request = world.server.request("GET", &format!("/v1/{tag}"), "Content-Length: 5\r\n");
    let mut connection = world.gateway.connect();
    assert_eq!(connection.send(format!("{request}hello")).answer().text(), "hello");
    assert_eq!(world.production.one(&tag).body, b"hello");
    let request = world.server.request("DELETE", &format!("/v1/{tag}2"), "Transfer-Encoding: chunked\r\n");
    assert_eq!(connection.send(format!("{request}2\r\nhi\r\n0\r\n\r\n")).answer().text(), "hi");
}

/// S9112-7: trailers travel as trailers; they never become headers, and none of them is believed.
#[test]
fn trailers_travel_as_trailers() {
    let world = World::shared();
    let tag = tag();
    let request = world.server.post_chunks(
        &format!("/v1/{tag}/chunked"),
        b"2\r\nhi\r\n0\r\nX-Checksum: 1\r\nX-App-Token: spoofed\r\nAuthorization: spoofed\r\nContent-Length: 7\r\n\
        Doorward-Workspace: spoofed\r\nX-Forwarded-For: spoofed\r\nHost: spoofed\r\n\r\n",
    );
    let request =
        String::from_utf8(request).expect("text").replacen("\r\n\r\n", "\r\nTE: trailers\r\n\r\n", 1);
    let mut connection = world.gateway.connect();
    let answer = connection.send(request).answer();
    answer.expect_ok();
    assert_eq!(answer.trailers, [("X-Trailer".to_owned(), "1".to_owned())]);
    let seen = world.production.one(&tag);
    assert_eq!(seen.trailers, [("X-Checksum".to_owned(), "1".to_owned())]);
    assert!(!String::from_utf8_lossy(&seen.head.raw).contains("spoofed"));
    // A credential in a trailer is none.
    let request = format!(
        "POST /v1/x HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{}\r\n",
        world.server.lines()
    );
    world.ask(request).expect(401, "credential_missing");
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let world = World::shared();
    let mut connection = world.gateway.connect();
    for (answer, status) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"a\"\r\n\r\n", 304),
        ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 404),
        ("HTTP/1.1 299 \r\nContent-Length: 2\r\n\r\nok", 299),
    ] {
        let tag = tag();
        world.production.on(&tag, Do::answer(answer));
        assert_eq!(
            connection.expect_serves(&world.server.get(&format!("/v1/{tag}"))).status,
            status,
            "{answer}"
        );
        connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    }
    for (answer, length) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n", Some("40")),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\n\r\n", None),
    ] {
        let tag = tag();
        world.production.on(&tag, Do::answer(answer));
        connection.send(world.server.request("HEAD", &format!("/v1/{tag}"), ""));
        let head = connection.try_answer("HEAD").expect("an answer");
        assert_eq!((head.status, head.get("content-length")), (200, length), "{answer}");
        if head.closes() {
            connection = world.gateway.connect();
        }
        connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    }
}

/// Answers whose end is the end of the connection: a caller of HTTP/1.1 gets an end that it can tell from a cut.
#[test]
fn close_delimited_answers_end_properly() {
    let world = World::shared();
    let mut connection = world.gateway.connect();
    let answer = connection.send(world.server.post("/v1/x/close", b"body")).answer();
    assert_eq!(answer.text(), "body");
    if !answer.until_close && !answer.closes() {
        connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    }
    // An upstream of HTTP/1.0.
    let tag = tag();
    world.production.on(&tag, Do::answer_and_close("HTTP/1.0 200 OK\r\n\r\nold"));
    assert_eq!(world.ask(world.server.get(&format!("/v1/{tag}"))).text(), "old");
}

#[test]
fn callers_of_http_1_0_are_served() {
    let world = World::shared();
    for (framing, keep) in [("length", false), ("length", true), ("chunked", false), ("close", false)] {
        let tag = tag();
        let connection_line = if keep { "Connection: keep-alive\r\n" } else { "" };
        let head = world.server.request(
            "POST",
            &format!("/v1/{tag}/{framing}"),
            &format!("{connection_line}Content-Length: 4\r\n"),
        );
        let mut connection = world.gateway.connect();
        connection.send(format!("{}body", head.replace("HTTP/1.1", "HTTP/1.0")));
        let answer = connection.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "body"), "{framing}");
        assert_eq!(answer.get("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
        if !keep && !answer.until_close {
            connection.expect_closed();
        }
    }
    let request = world.server.get("/v1/x").replace("HTTP/1.1", "HTTP/1.0");
    let request = request.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\nUpgrade: x\r\n\r\n");
    let answer = world.ask(request);
    assert_eq!((answer.status, answer.interim.len()), (200, 0), "it knows no interim answers either");
}

#[test]
fn requests_may_be_sent_ahead() {
    let world = World::shared();
    let tag = tag();
    let mut all = Vec::new();
    let get = |n: usize| world.server.get(&format!("/v1/{tag}?{n}"));
    all.extend(get(0).bytes());
    all.extend(world.server.post(&format!("/v1/{tag}?1"), b"abc"));
    all.extend(world.server.post_chunks(&format!("/v1/{tag}?2"), &chunked(b"wikipedia", 4)));
    all.extend(get(3).bytes());
    all.extend(world.server.with_secret("wrong").post("/v1/x", b"denied"));
    all.extend(get(5).bytes());
    let mut connection = world.gateway.connect();
    connection.send(&all);
    let texts: Vec<_> = (0..6).map(|_| connection.answer()).map(|a| (a.status, a.text())).collect();
    let statuses: Vec<u16> = texts.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 401, 200]);
    assert_eq!((texts[1].1.as_str(), texts[2].1.as_str()), ("abc", "wikipedia"));
    let targets: Vec<String> = world.production.seen(&tag).iter().map(|s| s.target().to_owned()).collect();
    let expected: Vec<String> = [0, 1, 2, 3, 5].iter().map(|n| format!("/v1/{tag}?{n}")).collect();
    assert_eq!(targets, expected, "one at a time, in order");
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let world = World::shared();
    let tag = tag();
    let chunks = b"4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nA: b\r\n\r\n";
    let mut connection = world.gateway.connect();
    connection.dribble(world.server.post_chunks(&format!("/v1/{tag}/chunked"), chunks));
    assert_eq!(connection.answer().text(), "Wikipedia");
    connection.dribble(world.server.get("/v1/x"));
    connection.answer().expect_ok();
}

/// What has come is passed on at once, in both directions at the same time.
#[test]
fn uploads_and_downloads_run_at_once() {
    let world = World::shared();
    let mut connection = world.gateway.connect();
    connection.send(world.server.request("POST", "/v1/x/duplex", "Transfer-Encoding: chunked\r\n"));
    let head = connection.inbox.head().expect("the answer starts before the request ends");
    assert_eq!((head.word(1), head.get("transfer-encoding")), ("200", Some("chunked")));
    for n in 0..50u64 {
        let piece = noise(n, 1 + n as usize * 100);
        connection.send([format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat());
        let mut back = Vec::new();
        while back.len() < piece.len() {
            back.extend(connection.inbox.chunk().expect("a chunk").expect("not the last one"));
        }
        assert!(back == piece, "piece {n}");
    }
    connection.send("0\r\n\r\n");
    assert_eq!(connection.inbox.chunk(), Ok(None));
    assert_eq!(connection.inbox.trailers(), Ok(Vec::new()));
    connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
}

/// Two streams of megabytes that wait for each other, with an interim answer in the midst of the upload.
#[test]
fn large_bodies_stream_both_ways() {
    let world = World::with(|s| s.set("limits", "body_bytes", 64 << 20));
    let body = noise(7, 8 << 20);
    let expected = sha256(&body);
    let mut connection = world.gateway.connect();
    let mut writer = connection.writer();
    let head = world.server.request("POST", "/v1/x/duplex", "Transfer-Encoding: chunked\r\n");
    let sender = std::thread::spawn(move || {
        writer.write_all(head.as_bytes()).expect("the gateway reads");
        writer.write_all(&chunked(&body, 50_000)).expect("the gateway reads");
    });
    let answer = connection.answer();
    sender.join().expect("sent");
    assert_eq!((answer.status, answer.body.len()), (200, 8 << 20));
    assert_eq!(sha256(&answer.body), expected);
    // An interim answer while an upload is under way takes nothing of it.
    let tag = tag();
    let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
    let last = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    world
        .production
        .on(&tag, vec![Do::Say(interim.clone()), Do::Pause(50), Do::Say(interim), Do::Body, Do::Say(last)]);
    let body = noise(8, 4 << 20);
    connection.send(world.server.post(&format!("/v1/{tag}"), &body));
    let answer = connection.answer();
    assert_eq!((answer.status, answer.interim.len()), (200, 2));
    assert!(world.production.one(&tag).body == body, "bytes of the upload were lost");
}

/// Memory does not grow with what nobody reads: the upstream is held back while the caller is.
#[test]
fn a_caller_that_does_not_read_holds_the_upstream_back() {
    let world = World::shared();
    let tag = tag();
    let go = Arc::new(AtomicBool::new(false));
    let block = noise(1, 1 << 20);
    let size = 32usize;
    let mut script =
        vec![Do::Say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", size << 20).into_bytes())];
    script.extend((0..size).map(|_| Do::Say(block.clone())));
    script.push(Do::Until(Arc::clone(&go)));
    world.production.on(&tag, script);
    let before = resident_kib(world.gateway.pid());
    let mut connection = world.gateway.connect();
    connection.send(world.server.get(&format!("/v1/{tag}")));
    eventually("the request", || !world.production.seen(&tag).is_empty());
    crate::support::never_within(
        std::time::Duration::from_millis(300),
        "the gateway keeps what nobody reads",
        || resident_kib(world.gateway.pid()) > before + 16 * 1024,
    );
    go.store(true, Ordering::SeqCst);
    let answer = connection.answer();
    assert_eq!(answer.body.len(), size << 20);
    assert!(answer.body.chunks(1 << 20).all(|b| b == block));
}

/// Memory of a process that is in use.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A request whose body ends early reaches the upstream as one that was cut, never as a whole one.
#[test]
fn uploads_cut_off_are_never_ended_cleanly() {
    let world = World::shared();
    for request in [
        world.server.request("POST", "/v1/TAG", "Content-Length: 100\r\n") + "half",
        world.server.request("POST", "/v1/TAG", "Transfer-Encoding: chunked\r\n") + "4\r\nhalf\r\n",
    ] {
        let tag = tag();
        let mut connection = world.gateway.connect();
        connection.send(request.replace("TAG", &tag));
        eventually("the head at the upstream", || !world.production.seen(&tag).is_empty());
        drop(connection);
        eventually("the upstream to be told", || world.production.one(&tag).left);
        assert!(!world.production.one(&tag).complete);
        eventually("the event", || world.gateway.events_with(&tag).iter().any(|e| e["complete"] == false));
    }
}
