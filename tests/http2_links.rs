//! HTTP/2 connections to upstreams, which many callers share: none of them ends one for the others, and where all are full
//! that is what callers are told.
use crate::http2_upstream::{Far, far, far_with};
use crate::support::{Http2, eventually, frames, tag};
use std::time::{Duration, Instant};

/// Connections of a core to one address, and streams that the upstream lets each have.
const LINKS: usize = 16;
const STREAMS: usize = 50;
/// Streams of one connection that are reset, at most.
const RESETS: usize = 16;

/// Begins so many requests that the upstream does not answer; their callers, each with its streams.
fn hold(far: &Far, tag: &str, many: usize) -> Vec<(Http2, Vec<u32>)> {
    const OF_ONE: usize = 100;
    let callers = (0..many).step_by(OF_ONE).map(|from| {
        let mut caller = far.connect();
        let ids = (from..many.min(from + OF_ONE))
            .map(|_| caller.ask_as(far.caller.get(&format!("/v1/{tag}/hold"))))
            .collect();
        (caller, ids)
    });
    let held = callers.collect();
    eventually("all of them", || far.upstream.times(tag) == many);
    held
}

/// Too many requests at a time are no fault of the upstream's: they wait for a while, and are told to come again.
#[test]
fn full_connections_are_no_failure_of_the_upstream() {
    /// Connections are made one after the other, and a busy machine takes its time.
    const WAIT_MS: u64 = 4_000;
    let far =
        far_with(|s| s.set("timeouts", "upstream_wait_ms", WAIT_MS).set("timeouts", "connect_ms", 60_000));
    let tag = tag();
    let mut held = hold(&far, &tag, LINKS * STREAMS);
    assert_eq!(far.upstream.connections(), LINKS);
    let started = Instant::now();
    let answer = far.gateway.ask(far.caller.get("/v1/more"));
    let waited = started.elapsed();
    answer.expect(503, "overloaded");
    assert_eq!(answer.get("retry-after"), Some("1"));
    assert!(waited >= Duration::from_millis(WAIT_MS), "{waited:?}");
    assert_eq!(far.gateway.event(answer.id())["detail"], "upstream-connections");
    let (caller, ids) = &mut held[0];
    // One that waits has the place of one that ends.
    let mut next = far.connect();
    let waiting = next.ask_as(far.caller.get("/v1/next"));
    caller.send(frames::number(frames::RST_STREAM, ids[0], frames::CANCEL));
    next.answer(waiting).expect_ok();
    assert_eq!(far.upstream.connections(), LINKS);
    let failures =
        format!("doorward_upstream_failures_total{{upstream=\"http://{}\"}}", far.upstream.address);
    assert_eq!(crate::faults::metric(&far.gateway, &failures), 0.0);
}

/// How many streams of each connection were reset.
fn resets(far: &Far, tag: &str) -> Vec<usize> {
    let mut all = vec![0; far.upstream.connections() + 1];
    far.upstream.asked(tag).iter().filter(|a| a.reset.is_some()).for_each(|a| all[a.connection] += 1);
    all
}

/// Callers that leave make a server that guards itself against resets (CVE-2023-44487) end no connection of others.
#[test]
fn c39_callers_that_leave_cost_others_nothing() {
    let far = far();
    let tag = tag();
    let mut stays = far.connect();
    let kept = stays.ask_as_open(&far.caller.request("POST", "/v1/stays", ""));
    stays.data(kept, "one", false);
    stays.until(|c| c.heard(kept).answer.body == b"one").expect("it comes back");
    let mut leaves = far.connect();
    for n in 1..=60 {
        let id = leaves.ask_as(far.caller.get(&format!("/v1/{tag}/hold")));
        eventually("the request", || far.upstream.asked(&tag).len() == n);
        leaves.send(frames::number(frames::RST_STREAM, id, frames::CANCEL));
    }
    leaves.ask(far.caller.get("/v1/x")).expect_ok();
    let all = resets(&far, &tag);
    assert!(all.iter().all(|n| *n <= RESETS), "{all:?}");
    assert!(all.len() <= 60 / RESETS + 3, "no more connections than needed: {all:?}");
    // The first connection got no further requests, and goes on for the one who stays.
    assert_eq!(far.upstream.asked("/v1/stays")[0].connection, 1);
    assert_eq!(far.upstream.asked("/v1/x")[0].connection, far.upstream.connections());
    stays.data(kept, "two", true);
    assert_eq!(stays.answer(kept).text(), "onetwo");
}

/// Many of one connection leave at once: once it was reset often enough it is given up as a whole.
#[test]
fn c39_a_connection_that_all_have_left_is_ended() {
    let far = far();
    let tag = tag();
    let mut held = hold(&far, &tag, STREAMS);
    assert_eq!((far.upstream.connections(), far.upstream.open()), (1, 1));
    let (caller, ids) = &mut held[0];
    for id in ids {
        caller.send(frames::number(frames::RST_STREAM, *id, frames::CANCEL));
    }
    eventually("the end of the connection", || far.upstream.open() == 0);
    assert_eq!(resets(&far, &tag)[1], RESETS);
    caller.ask(far.caller.get("/v1/x")).expect_ok();
    assert_eq!(far.upstream.connections(), 2);
}
