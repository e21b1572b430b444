//! HTTP/2 (RFC 9113), from callers and to upstreams.
//!
//! The engine speaks HTTP/1.1 over a byte stream. Here each stream of an HTTP/2 connection is such a byte stream: its
//! fields are written as a head, its DATA as a body, and what is answered is taken apart again. So there is one
//! reading of a request, one decision, one relay and one event, whatever came over the wire.
//!
//! `hpack`, `huffman` and `table` compress fields; `frame` writes and `receive` and `control` read frames; `state` is
//! one connection; `heads` writes fields as heads and `send` takes heads apart; `bridge` is a stream as the engine
//! sees it; `drive` moves bytes; `server` and `client` are the two ends; `probe` asks one question; `flood` counts what brings nothing.
mod bridge;
mod client;
mod control;
mod drive;
mod flood;
mod frame;
mod heads;
mod hpack;
#[cfg(test)]
mod hpack_tests;
mod huffman;
mod pace;
mod probe;
mod receive;
mod send;
mod server;
mod state;
#[cfg(any(test, fuzzing))]
pub mod stranger;
mod table;
mod wrong;

pub(crate) use bridge::Bridge;
pub(crate) use client::{Links, connect, is_full};
pub(crate) use flood::FLOODS;
pub(crate) use frame::PREFACE;
pub(crate) use probe::ask;
pub(crate) use server::serve;
pub(crate) use wrong::rejected;

use crate::wire;

/// Streams of one connection at a time. One that was taken back counts until its request is really gone.
const MAX_STREAMS: usize = 100;
/// Bytes of data that a stream may have unread: the memory that one stream can take.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// Bytes of data that all streams of a connection may have unread: the memory that one connection can take.
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// The same of a connection whose streams are of many callers, to an upstream or from a trusted proxy: room for all of them at
/// once, so that those who are slow make nobody else wait.
const LINK_WINDOW_BYTES: u32 = CONNECTION_WINDOW_BYTES + MAX_STREAMS as u32 * STREAM_WINDOW_BYTES;
/// Bytes of interim answers that nobody has read yet, of one stream.
const INTERIM_BYTES: usize = wire::MAX_HEAD_BYTES;
/// A connection on which nothing came for so long while an answer was awaited gets no further requests: whatever was at its
/// other end may be gone without a word.
const SILENT: std::time::Duration = std::time::Duration::from_secs(5);
/// Bytes of memory for the text of heads that an idle connection keeps, each time.
const IDLE_TEXT_BYTES: usize = 1024;
/// What both windows are before anything is said (RFC 9113 6.9.2).
const DEFAULT_WINDOW_BYTES: i64 = 65_535;
/// Bytes of a frame, at most: what everybody takes (RFC 9113 4.2).
const FRAME_BYTES: usize = 16_384;
/// Bytes of compressed fields that are remembered for each connection; the other side's compression may refer to them.
const HEADER_TABLE_BYTES: usize = 4_096;
/// Bytes of one compressed header block. Longer than any head that is taken, so that what is a little too long is
/// answered with 431 and the connection goes on.
const BLOCK_BYTES: usize = wire::MAX_HEAD_BYTES;
/// CONTINUATION frames of one header block. A block of [`BLOCK_BYTES`] needs four (CVE-2024-27919, RUSTSEC-2024-0332).
const BLOCK_FRAMES: usize = 8;
/// Bytes that wait for the socket before streams wait for it as well, and before nothing more is read.
const OUT_BYTES: usize = 64 * 1024;
/// Between telling callers to begin nothing more and taking nothing more, in milliseconds.
const DRAIN_GRACE_MS: u64 = 500;
