//! For tests and fuzz targets alone: a connection whose other end sends anything at all.
use super::bridge::Bridge;
use super::frame::{self, END_HEADERS};
use super::state::{Incoming, Role, State};
use super::{CONNECTION_WINDOW_BYTES, INTERIM_BYTES, LINK_WINDOW_BYTES, MAX_STREAMS, OUT_BYTES, hpack};
use crate::wire;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Fields of a block, each with its name and its value.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What blocks say that come one after the other; `None` as soon as one is garbled.
#[must_use]
pub fn fields<'b>(blocks: impl IntoIterator<Item = &'b [u8]>) -> Option<Vec<Fields>> {
    let mut decoder = hpack::Decoder::new(super::HEADER_TABLE_BYTES);
    let mut all = Vec::new();
    for block in blocks {
        let mut these = Fields::new();
        decoder.decode(block, |name, value| these.push((name.to_vec(), value.to_vec()))).ok()?;
        all.push(these);
    }
    Some(all)
}

/// What is asked of an upstream.
const QUESTION: &[u8] =
    b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
/// What a caller is answered.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: a\r\n\r\n";

/// Takes all that came from the other end, `step` bytes at a time, to where callers come in or from an upstream; streams
/// are read and answered meanwhile. How many streams began.
///
/// # Panics
/// Where more is kept than is allowed.
pub fn connection(bytes: &[u8], upstream: bool, step: usize) -> usize {
    let role = if upstream { Role::Client { secure: false } } else { Role::Server };
    let shared = Rc::new(RefCell::new(State::new(role, window_bytes(role), wire::Limits::default())));
    let mut cx = Context::from_waker(Waker::noop());
    let (mut bridges, mut begun, mut room) = (Vec::new(), 0, [0; 1_000]);
    if upstream {
        for _ in 0..4 {
            let mut bridge = super::client::reserve(&shared);
            let _ = Pin::new(&mut bridge).poll_write(&mut cx, QUESTION);
            bridges.push((bridge, 0));
        }
    }
    let (mut at, mut have) = (0, 0);
    while have < bytes.len() {
        have = bytes.len().min(have + step.max(1));
        let mut state = shared.borrow_mut();
        state.tick += 1;
        let fed = state.feed(&bytes[at..have]);
        begun += state.born.len();
        state.leave_taken_back();
        let born = std::mem::take(&mut state.born);
        match fed {
            Ok(fed) => at += fed.used,
            Err(why) => state.end(why.0),
        }
        assert_bounds(&state);
        if state.waiting() > OUT_BYTES / 2 {
            state.out.clear();
            state.out_at = 0;
            state.wake_writers();
        }
        let over = state.over;
        drop(state);
        bridges.extend(born.iter().map(|b| (Bridge::new(Rc::clone(&shared), b.stream), 0)));
        for (number, (bridge, looks)) in bridges.iter_mut().enumerate() {
            *looks += 1;
            if number % 3 != 2 {
                let mut into = ReadBuf::new(&mut room);
                let _ = Pin::new(&mut *bridge).poll_read(&mut cx, &mut into);
            }
            if *looks == 2 && !upstream {
                let _ = Pin::new(&mut *bridge).poll_write(&mut cx, ANSWER);
            }
        }
        bridges.retain(|(_, looks)| *looks < 8);
        if over {
            break;
        }
    }
    drop(bridges);
    assert!(shared.borrow().streams.is_empty());
    begun
}

/// What a connection may have unread: of one caller, or to an upstream.
fn window_bytes(role: Role) -> u32 {
    if role == Role::Server { CONNECTION_WINDOW_BYTES } else { LINK_WINDOW_BYTES }
}

fn assert_bounds(state: &State) {
    assert!(state.streams.len() <= MAX_STREAMS);
    let data: usize = state.streams.values().map(|s| s.data.len() - s.data_at).sum();
    assert!(data <= window_bytes(state.role) as usize && state.receive_window >= 0, "{data} bytes of data");
    for stream in state.streams.values() {
        assert!(stream.front.len() <= 2 * INTERIM_BYTES, "{} bytes of heads", stream.front.len());
        assert!(stream.trailers.len() <= 2 * state.limits.trailer_bytes);
        assert!(!matches!(stream.incoming, Incoming::Head) || state.role != Role::Server);
    }
    let block = state.block.as_ref().map_or(0, |block| block.bytes.len());
    assert!(block <= super::BLOCK_BYTES + super::FRAME_BYTES);
}

/// Appends a frame with whatever in it.
pub fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    frame::put_head(out, payload.len(), kind, flags, stream);
    out.extend_from_slice(payload);
}

/// Appends HEADERS in one frame.
pub fn put_headers(out: &mut Vec<u8>, stream: u32, end: bool, list: &[(&[u8], &[u8])]) {
    let mut block = Vec::new();
    list.iter().for_each(|(name, value)| hpack::put(&mut block, name, value));
    let flags = END_HEADERS | if end { frame::END_STREAM } else { 0 };
    put(out, frame::HEADERS, flags, stream, &block);
}

#[cfg(test)]
#[path = "stranger_tests.rs"]
mod tests;
