//! Upstreams over TLS: their certificates are verified (ASVS 12.3).
use crate::support::{Authority, Fault, World, eventually};
use std::sync::atomic::Ordering;

/// An answer that goes on to the end of a TLS stream ends with its closing alert; without that it was cut off.
#[test]
fn a_stream_without_its_closing_alert_is_cut() {
    let ours = Authority::new();
    let (upstream, _) = ours.serve("localhost", "HTTP/1.1 200 OK\r\n\r\nhalf of it");
    let world = World::with(|setup| {
        let file = setup.folder().write("upstreams.pem", &ours.pem());
        setup.set("upstream", "ca_file", format!("{file:?}"))
    });
    let policy = World::policy(&world.production, &world.sandbox);
    let there = format!("https://localhost:{}\"", upstream.port());
    world.gateway.apply(&policy.replace("http://127.0.0.1:1\"", &there)).ok();
    let mut last = None;
    eventually("the policy", || {
        let answer = world.gateway.connect().send(world.server.get("/dead/x")).try_answer("GET");
        let old = matches!(&answer, Ok(answer) if answer.status == 502);
        last = Some(answer);
        !old
    });
    assert!(matches!(last, Some(Err(Fault::Cut(_)))), "{last:?}");
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";

#[test]
fn only_upstreams_that_prove_who_they_are_are_spoken_to() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (good, good_read) = ours.serve("localhost", ANSWER);
    let (misnamed, misnamed_read) = ours.serve("other.example", ANSWER);
    let (foreign, foreign_read) = theirs.serve("localhost", ANSWER);
    let world = World::with(|setup| {
        let file = setup.folder().write("upstreams.pem", &ours.pem());
        setup.set("upstream", "ca_file", format!("{file:?}"))
    });
    let policy = World::policy(&world.production, &world.sandbox);
    for (port, status, code) in [
        (good.port(), 200, ""),
        (misnamed.port(), 502, "upstream_failed"),
        (foreign.port(), 502, "upstream_failed"),
    ] {
        let policy = policy.replace("http://127.0.0.1:1\"", &format!("https://localhost:{port}\""));
        let policy = policy.replace("path = \"/dead/*\"", &format!("path = \"/at-{port}/*\""));
        world.gateway.apply(&policy).ok();
        let target = format!("/at-{port}/x");
        eventually("the policy", || world.ask(world.server.get(&target)).code() != "route_unknown");
        let mut connection = world.gateway.connect();
        for _ in 0..2 {
            let answer = connection.expect_serves(&world.server.get(&target));
            assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
        }
    }
    assert!(good_read.load(Ordering::SeqCst) >= 2);
    let leaked = misnamed_read.load(Ordering::SeqCst) + foreign_read.load(Ordering::SeqCst);
    assert_eq!(leaked, 0, "a request was sent to somebody who is not the upstream");
}
