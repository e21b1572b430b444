//! Limits: of heads, of bodies by length and by chunks, of connections.
use crate::support::{Conn, World, eventually, tag};

#[test]
fn bodies_have_a_limit() {
    let world = World::with(|s| s.set("limits", "body_bytes", 1_000));
    let World { server, gateway, .. } = &world;
    let answer = gateway.ask(server.post("/v1/x", &[b'x'; 1_000]));
    assert_eq!((answer.status, answer.body.len()), (200, 1_000));
    // By its length: refused before anything goes on, and before the body is sent.
    let by_length = tag();
    let mut connection = gateway.connect();
    connection.send(server.request("POST", &format!("/v1/{by_length}"), "Content-Length: 1001\r\n"));
    let answer = connection.answer();
    answer.expect(413, "body_too_large");
    assert!(world.production.seen(&by_length).is_empty());
    if answer.closes() {
        connection.expect_closed();
    } else {
        connection.send(vec![b'x'; 1_001]).expect_serves(&server.get("/v1/x")).expect_ok();
    }
    assert_eq!(gateway.event(answer.id())["code"], "body_too_large");
    // A caller that asks first is told so as well.
    let asking = server.request("POST", "/v1/x", "Expect: 100-continue\r\nContent-Length: 1001\r\n");
    let answer = gateway.ask(asking);
    answer.expect(413, "body_too_large");
    assert!(answer.interim.is_empty());
    // By its chunks: it shows only on the way.
    let by_chunks = tag();
    let mut connection = gateway.connect();
    let head = server.request("POST", &format!("/v1/{by_chunks}"), "Transfer-Encoding: chunked\r\n");
    connection.send(head);
    let _ = (0..11).try_for_each(|_| connection.try_send(format!("64\r\n{}\r\n", "x".repeat(100))));
    let _ = connection.try_send("0\r\n\r\n");
    let answer = connection.answer();
    answer.expect(413, "body_too_large");
    if answer.closes() {
        connection.expect_closed();
    } else {
        connection.expect_serves(&server.get("/v1/x")).expect_ok();
    }
    assert!(!world.production.seen(&by_chunks).iter().any(|seen| seen.complete));
    let exact = [format!("3e8\r\n{}\r\n", "x".repeat(1_000)).as_bytes(), b"0\r\n\r\n"].concat();
    assert_eq!(gateway.ask(server.post_chunks("/v1/x", &exact)).status, 200);
    let one_chunk = server.post_chunks("/v1/x", format!("3e9\r\n{}", "x".repeat(1_001)).as_bytes());
    gateway.ask(one_chunk).expect(413, "body_too_large");
}

/// Nobody who is not let in learns about sizes: the credential is judged first.
#[test]
fn strangers_are_refused_before_their_body_is_looked_at() {
    let world = World::with(|s| s.set("limits", "body_bytes", 1_000));
    let wrong = world.server.with_secret("wrong");
    let answer = world.ask(wrong.request("POST", "/v1/x", "Content-Length: 1001\r\n"));
    answer.expect(401, "credential_invalid");
}

#[test]
fn heads_have_limits() {
    let world = World::with(|s| s.set("limits", "head_bytes", 2_000).set("limits", "fields", 10));
    let World { server, gateway, .. } = &world;
    let fields = |n: usize| server.request("GET", "/v1/x", &"A: b\r\n".repeat(n));
    gateway.ask(fields(7)).expect_ok();
    let answer = gateway.ask(fields(8));
    answer.expect(431, "head_too_large");
    assert!(answer.closes());
    let long = |n: usize| {
        let rest = server.request("GET", "/v1/x", "A: \r\n").len();
        server.request("GET", "/v1/x", &format!("A: {}\r\n", "b".repeat(n - rest)))
    };
    gateway.ask(long(1_999)).expect_ok();
    gateway.ask(long(2_001)).expect(431, "head_too_large");
}

/// More connections than there is room for are told so, and room comes back.
#[test]
fn connections_have_a_limit() {
    let world = World::with(|s| s.set("limits", "connections", 4));
    let address = world.gateway.address("plain");
    let mut held: Vec<Conn> = (0..4).map(|_| Conn::open(address)).collect();
    let serve = |held: &mut Vec<Conn>| {
        for connection in held {
            connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
        }
    };
    serve(&mut held);
    for _ in 0..3 {
        let mut another = Conn::open(address);
        let answer = another.answer();
        answer.expect(503, "overloaded");
        assert!(answer.get("retry-after").is_some());
        another.expect_closed();
    }
    serve(&mut held);
    assert_eq!(world.gateway.operations("/healthz").status, 200, "operations have room of their own");
    held.pop();
    eventually("room", || {
        Conn::open(address).send(world.server.get("/v1/x")).try_answer("GET").is_ok_and(|a| a.status == 200)
    });
}
