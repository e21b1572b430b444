//! More requests than there is time for: those who ask for the most are told so at once, and whoever is not let in is not
//! let in then either.
use crate::faults::metric;
use crate::support::{Conn, Do, World, eventually, tag};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// As many requests as may be served at a time wait for their upstream: the next is told so, before it was decided.
#[test]
fn requests_at_a_time_are_bounded() {
    let world = World::with(|s| s.set("limits", "requests", 2).set("runtime", "cores", 1));
    let (waiting, third) = (tag(), tag());
    let go = Arc::new(AtomicBool::new(false));
    let answer = Do::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    world.production.on(&waiting, vec![Do::Body, Do::Until(Arc::clone(&go)), answer]);
    let mut held: Vec<Conn> = (0..2)
        .map(|_| {
            let mut connection = world.gateway.connect();
            connection.send(world.server.get(&format!("/v1/{waiting}")));
            connection
        })
        .collect();
    eventually("both to wait", || world.production.seen(&waiting).len() == 2);
    let mut more = world.gateway.connect();
    for secret in [world.server.secret.as_str(), "wrong"] {
        let caller = world.server.with_secret(secret);
        let mut answer = more.expect_serves(&caller.get(&format!("/v1/{third}")));
        answer.expect(503, "overloaded");
        assert_eq!(answer.get("retry-after"), Some("1"));
        assert!(!answer.closes(), "a new connection would cost more");
        let event = world.gateway.event(answer.id());
        assert_eq!((&event["detail"], &event["decision"]), (&"requests".into(), &"deny".into()), "{event}");
        // The body goes with it.
        answer = more.send(caller.post(&format!("/v1/{third}"), &[b'x'; 500])).answer();
        answer.expect(503, "overloaded");
    }
    go.store(true, Ordering::SeqCst);
    for connection in &mut held {
        connection.answer().expect_ok();
    }
    more.expect_serves(&world.server.get("/v1/x")).expect_ok();
    assert!(world.production.seen(&third).is_empty(), "nothing of what was turned away arrives");
}

/// Connections of the flood.
const FLOOD: usize = 60;

/// A flood makes the queue long: it is turned away in part, with the time to stay away, and it is over when it is over.
#[test]
fn a_flood_is_turned_away_and_lets_nobody_through() {
    let world = World::with(|s| s.set("limits", "queue_ms", 1).set("runtime", "cores", 1));
    let address = world.gateway.address("plain");
    let (over, told) = (AtomicBool::new(false), AtomicUsize::new(0));
    let wrong = world.server.with_secret("wrong");
    std::thread::scope(|scope| {
        for n in 0..FLOOD {
            let request = if n % 2 == 0 { world.server.get("/v1/good") } else { wrong.get("/v1/forged") };
            let (over, told) = (&over, &told);
            scope.spawn(move || {
                let mut connection = Conn::from_address("127.0.0.2", address);
                while !over.load(Ordering::Relaxed) {
                    // Several at once, without waiting for answers.
                    connection.send(request.repeat(8));
                    for _ in 0..8 {
                        let answer = connection.answer();
                        match answer.status {
                            200 => assert_eq!(n % 2, 0, "let in with a wrong secret"),
                            503 => {
                                answer.expect(503, "overloaded");
                                assert_eq!(answer.get("retry-after"), Some("1"));
                                told.fetch_add(1, Ordering::Relaxed);
                            }
                            _ => {
                                answer.expect(401, "credential_invalid");
                            }
                        }
                    }
                }
            });
        }
        let ended = std::panic::catch_unwind(|| {
            eventually("somebody to be turned away", || told.load(Ordering::Relaxed) > 0);
            assert_eq!(world.gateway.operations("/healthz").status, 200);
        });
        over.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|why| std::panic::resume_unwind(why));
    });
    let mut behaves = Conn::from_address("127.0.0.3", address);
    behaves.expect_serves(&world.server.get("/v1/x")).expect_ok();
    eventually("all to be as before", || metric(&world.gateway, "doorward_shedding_cores") == 0.0);
    assert!(world.production.seen("/v1/forged").is_empty());
    let events = world.gateway.events_with("\"queue\"");
    assert!(!events.is_empty() && events.iter().all(|e| e["status"] == 503 && e["code"] == "overloaded"));
}

/// What can't be read as a request takes time as well: whoever has had their share gets no more for that either.
#[test]
fn a_flood_of_what_is_no_request_is_turned_away() {
    let world = World::with(|s| s.set("limits", "queue_ms", 1).set("runtime", "cores", 1));
    let address = world.gateway.address("plain");
    let (over, told) = (AtomicBool::new(false), AtomicUsize::new(0));
    let good = world.server.get("/v1/good").repeat(8);
    std::thread::scope(|scope| {
        let (over, told, good) = (&over, &told, &good);
        for _ in 0..FLOOD / 2 {
            scope.spawn(move || {
                let mut connection = Conn::from_address("127.0.0.2", address);
                while !over.load(Ordering::Relaxed) {
                    connection.send(good);
                    (0..8).for_each(|_| assert!(matches!(connection.answer().status, 200 | 503)));
                }
            });
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut connection = Conn::from_address("127.0.0.2", address);
                    connection.send("GET /v1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
                    let answer = connection.answer();
                    assert!(answer.closes(), "{answer:?}");
                    if answer.status == 503 {
                        answer.expect(503, "overloaded");
                        assert_eq!(answer.get("retry-after"), Some("1"));
                        told.fetch_add(1, Ordering::Relaxed);
                    } else {
                        answer.expect(400, "request_ambiguous");
                    }
                }
            });
        }
        let ended = std::panic::catch_unwind(|| {
            eventually("somebody to be turned away", || told.load(Ordering::Relaxed) > 0);
        });
        over.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|why| std::panic::resume_unwind(why));
    });
    let mut behaves = Conn::from_address("127.0.0.3", address);
    behaves.expect_serves(&world.server.get("/v1/x")).expect_ok();
    let told = told.into_inner();
    eventually("an event of each", || {
        let events = world.gateway.events_with("\"queue\"");
        events.iter().filter(|e| e["decision"] == "reject" && e["status"] == 503).count() >= told
    });
}
