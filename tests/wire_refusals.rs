//! Heads that never end. Those that can be read in two ways stand in the corpus.
use crate::support::{Fault, World, tag};

/// What is left of a head when its sender goes is no request, and no event is owed for a connection without a byte.
#[test]
fn half_a_head_is_no_request() {
    let world = World::shared();
    let tag = tag();
    let request = world.server.get(&format!("/v1/{tag}"));
    let mut connection = world.gateway.connect();
    connection.send(&request[..request.len() - 2]);
    connection.end_sending();
    match connection.try_answer("GET") {
        Err(Fault::Ended | Fault::Cut(_)) => {}
        other => assert!(other.is_ok_and(|a| a.status == 400), "half a head was answered as a request"),
    }
    assert!(world.production.seen(&tag).is_empty());
}
