//! What is wrong on one stream ends that stream (RFC 9113 5.4.2), while the upstream says nothing. Everything else that is
//! refused in HTTP/2 stands in the corpus.
use crate::http2::{connect, world};
use crate::support::frames::{self, frame};
use crate::support::{Do, HOST, tag};

#[test]
fn s9113_what_is_wrong_on_a_stream_ends_that_stream() {
    let world = world();
    let mut caller = connect(world);
    let slow = tag();
    let path = format!("/v1/{slow}");
    world.production.on(&slow, vec![Do::Body, Do::Silence]);
    let (id, secret) = (world.server.id.as_str(), world.server.secret.as_str());
    let mut post =
        vec![(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", path.as_str())];
    post.extend([("x-app-id", id), ("x-app-token", secret)]);
    // More data after the end.
    let id = caller.headers(&post, true);
    caller.data(id, "more", false);
    caller.expect_reset(id, frames::STREAM_CLOSED);
    // More than the stream has room for, though the connection has.
    let id = caller.headers(&post, false);
    caller.send(frame(frames::DATA, 0, id, &[0; 16_384]).repeat(20));
    caller.expect_reset(id, frames::FLOW_CONTROL_ERROR);
    // Data where none was said to come: the request was whole before it.
    post.push(("content-length", "0"));
    let id = caller.headers(&post, false);
    caller.data(id, "GET /v1/smuggled HTTP/1.1\r\n\r\n", true);
    caller.expect_reset(id, frames::PROTOCOL_ERROR);
    caller.expect_serves(&world.server.get("/v1/x"));
    assert!(world.production.seen("smuggled").is_empty());
    assert!(world.production.seen(&slow).iter().all(|seen| seen.body.is_empty() || !seen.complete));
}
