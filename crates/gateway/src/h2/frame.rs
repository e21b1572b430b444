//! Frames (RFC 9113 4 and 6).

/// What every connection begins with, on the side of the one who asks (RFC 9113 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The bytes in front of every frame.
pub(super) const HEAD_BYTES: usize = 9;
/// The largest id of a stream, and the largest window.
pub(super) const MAX_31: u32 = 0x7fff_ffff;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITISED: u8 = 32;

/// Why a stream or a connection ends (RFC 9113 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    NoError = 0,
    Protocol = 1,
    Internal = 2,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    RefusedStream = 7,
    Cancel = 8,
    Compression = 9,
    EnhanceYourCalm = 11,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Frame {
    /// The head that stands at the start of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Option<Frame> {
        let [a, b, c, kind, flags, stream @ ..] = bytes.first_chunk::<HEAD_BYTES>()?;
        Some(Frame {
            length: u32::from_be_bytes([0, *a, *b, *c]) as usize,
            kind: *kind,
            flags: *flags,
            stream: u32::from_be_bytes(*stream) & MAX_31,
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends the head of a frame.
pub(super) fn put_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [w, x, y, z] = stream.to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags, w, x, y, z]);
}

/// Appends a frame that holds one number.
fn put_number(out: &mut Vec<u8>, kind: u8, stream: u32, n: u32) {
    put_head(out, 4, kind, 0, stream);
    out.extend_from_slice(&n.to_be_bytes());
}

pub(super) fn put_reset(out: &mut Vec<u8>, stream: u32, code: Code) {
    put_number(out, RST_STREAM, stream, code as u32);
}

pub(super) fn put_window(out: &mut Vec<u8>, stream: u32, more: u32) {
    put_number(out, WINDOW_UPDATE, stream, more);
}

pub(super) fn put_goaway(out: &mut Vec<u8>, last: u32, code: Code) {
    put_head(out, 8, GOAWAY, 0, 0);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&(code as u32).to_be_bytes());
}

pub(super) fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    put_head(out, settings.len() * 6, SETTINGS, 0, 0);
    for (key, value) in settings {
        out.extend_from_slice(&key.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends a block of compressed fields: one frame, and more where it is longer than one may be.
pub(super) fn put_block(out: &mut Vec<u8>, block: &[u8], stream: u32, end: bool, most: usize) {
    let (mut kind, mut flags) = (HEADERS, if end { END_STREAM } else { 0 });
    let mut left = block;
    loop {
        let (now, later) = left.split_at(left.len().min(most));
        put_head(out, now.len(), kind, flags | if later.is_empty() { END_HEADERS } else { 0 }, stream);
        out.extend_from_slice(now);
        if later.is_empty() {
            return;
        }
        (kind, flags, left) = (CONTINUATION, 0, later);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let mut out = Vec::new();
        put_head(&mut out, 0x01_02_03, HEADERS, END_STREAM | END_HEADERS, 0x0506_0708);
        assert_eq!(out, b"\x01\x02\x03\x01\x05\x05\x06\x07\x08");
        let frame = Frame::read(&out).unwrap();
        assert_eq!((frame.length, frame.kind, frame.stream), (0x01_02_03, HEADERS, 0x0506_0708));
        assert!(frame.has(END_STREAM) && frame.has(END_HEADERS) && !frame.has(PADDED));
        assert_eq!(Frame::read(&out[..8]), None);
        out[5] |= 0x80;
        assert_eq!(Frame::read(&out), Some(frame), "the reserved bit means nothing");
    }

    #[test]
    fn a_long_block_takes_several_frames() {
        let mut out = Vec::new();
        put_block(&mut out, &[7; 25], 3, true, 10);
        let first = Frame::read(&out).unwrap();
        assert_eq!((first.length, first.kind, first.flags), (10, HEADERS, END_STREAM));
        let last = Frame::read(&out[2 * 19..]).unwrap();
        assert_eq!((last.length, last.kind, last.flags), (5, CONTINUATION, END_HEADERS));
    }
}
