//! However bytes are cut into packets, they mean the same (the black-box side of the engine's own mock of sockets).
use crate::support::{Conn, Dice, Do, World, tag};
use std::time::Duration;

/// Requests of every kind, one behind the other, and what they are answered.
fn stream(world: &World) -> (Vec<u8>, Vec<(u16, &'static str)>) {
    let World { server, single, .. } = world;
    let wrong = server.with_secret("wrong");
    let mut bytes = Vec::new();
    bytes.extend(server.post("/v1/length", b"first"));
    bytes.extend(server.post_chunks("/v1/chunked", b"4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nA: b\r\n\r\n"));
    bytes.extend(wrong.post("/v1/x", b"GET /v1/x HTTP/1.1\r\n\r\n"));
    bytes.extend(server.get("/v1/x").bytes());
    bytes.extend(single.post("/std/tiny", b"a few more words"));
    bytes.extend(wrong.post_chunks("/v1/x", b"3\r\nabc\r\n0\r\n\r\n"));
    bytes.extend(server.post("/v1/length", b"last"));
    let answers = vec![
        (200, "first"),
        (200, "Wikipedia"),
        (401, ""),
        (200, ""),
        (200, "a few more words"),
        (401, ""),
        (200, "last"),
    ];
    (bytes, answers)
}

fn expect(connection: &mut Conn, answers: &[(u16, &'static str)], what: &str) {
    for (status, text) in answers {
        let answer = connection.try_answer("GET").unwrap_or_else(|fault| panic!("{what}: {fault:?}"));
        assert_eq!(answer.status, *status, "{what}: {answer:?}");
        assert!(*status != 200 || answer.text() == *text, "{what}: {answer:?}");
    }
}

#[test]
fn requests_may_be_split_anywhere() {
    let world = World::shared();
    let (bytes, answers) = stream(&world);
    let mut dice = Dice(11);
    for round in 0..60 {
        let mut connection = world.gateway.connect();
        let mut rest = bytes.as_slice();
        let largest = [3, 40, 400][round % 3];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((1 + dice.roll(largest) as usize).min(rest.len()));
            connection.send(piece);
            rest = behind;
            if dice.roll(8) == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        expect(&mut connection, &answers, &format!("round {round}"));
    }
}

/// Two pieces, at every place.
#[test]
fn a_request_may_be_split_at_every_byte() {
    let world = World::shared();
    let chunks = b"4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nA: b\r\n\r\n";
    let bytes =
        [world.server.post_chunks("/v1/chunked", chunks), world.server.post("/v1/length", b"next")].concat();
    let mut connection = world.gateway.connect();
    for at in 1..bytes.len() {
        connection.send(&bytes[..at]);
        std::thread::sleep(Duration::from_micros(100));
        connection.send(&bytes[at..]);
        expect(&mut connection, &[(200, "Wikipedia"), (200, "next")], &format!("split at {at}"));
    }
}

/// The same for what upstreams send.
#[test]
fn an_answer_may_be_split_at_every_byte() {
    let world = World::shared();
    let mut connection = world.gateway.connect();
    for (whole, text) in [
        (
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
            "body",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nbo\r\n2\r\ndy\r\n0\r\nA: b\r\n\r\n",
            "body",
        ),
    ] {
        for at in 1..whole.len() {
            let tag = tag();
            let (first, second) = whole.as_bytes().split_at(at);
            world
                .production
                .on(&tag, vec![Do::Body, Do::Say(first.to_vec()), Do::Pause(1), Do::Say(second.to_vec())]);
            connection.send(world.server.get(&format!("/v1/{tag}")));
            expect(&mut connection, &[(200, text)], &format!("split at {at} of {whole:?}"));
        }
    }
}

/// An answer that ends at any of its bytes is never taken for a whole one.
#[test]
fn an_answer_that_ends_at_any_byte_is_no_answer() {
    let world = World::shared();
    for whole in [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\nA: b\r\n\r\n",
    ] {
        for at in 0..whole.len() {
            let tag = tag();
            world.production.on(&tag, Do::answer_and_close(&whole[..at]));
            let answer =
                world.gateway.connect().send(world.server.get(&format!("/v1/{tag}"))).try_answer("GET");
            let whole_one = answer.as_ref().is_ok_and(|answer| answer.status != 502);
            assert!(!whole_one, "ended at {at} of {whole:?}: {answer:?}");
        }
    }
}
