//! One question over a connection of its own, asked to see whether an upstream is well.
use super::frame::{
    ACK, CONTINUATION, END_HEADERS, Frame, GOAWAY, HEAD_BYTES, HEADERS, PADDED, PING, PREFACE, PRIORITISED,
    RST_STREAM, SETTINGS, put_block, put_head, put_settings,
};
use super::hpack::{self, Decoder};
use super::{BLOCK_BYTES, FRAME_BYTES, HEADER_TABLE_BYTES};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The stream that the question is asked on.
const STREAM: u32 = 1;
/// `SETTINGS_ENABLE_PUSH` (RFC 9113 6.5.2).
const ENABLE_PUSH: u16 = 2;

/// Asks for a path; the status of the answer.
///
/// # Errors
/// What the system says, or that no answer came.
pub(crate) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    secure: bool,
    authority: &[u8],
    path: &[u8],
    agent: &[u8],
) -> io::Result<u16> {
    let (mut out, mut block) = (PREFACE.to_vec(), Vec::new());
    put_settings(&mut out, &[(ENABLE_PUSH, 0)]);
    hpack::put_request(&mut block, b"GET", secure, authority, path);
    hpack::put(&mut block, b"user-agent", agent);
    put_block(&mut out, &block, STREAM, true, FRAME_BYTES);
    // What has come; up to where it was looked at.
    let (mut got, mut at, mut fields) = (Vec::new(), 0, Vec::new());
    let mut decoder = Decoder::new(HEADER_TABLE_BYTES);
    loop {
        io.write_all(&out).await?;
        io.flush().await?;
        out.clear();
        let frame = loop {
            match Frame::read(&got[at..]) {
                Some(frame) if frame.length > FRAME_BYTES => {
                    return Err(io::Error::other("a frame is too long"));
                }
                Some(frame) if got.len() - at >= HEAD_BYTES + frame.length => break frame,
                _ => {}
            }
            // Once for all frames that came together: what is moved is less than one.
            got.drain(..std::mem::take(&mut at));
            if io.read_buf(&mut got).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let from = at + HEAD_BYTES;
        at = from + frame.length;
        let payload = &got[from..at];
        match (frame.kind, frame.stream) {
            (SETTINGS, _) if !frame.has(ACK) => put_head(&mut out, 0, SETTINGS, ACK, 0),
            (PING, _) if !frame.has(ACK) => {
                put_head(&mut out, payload.len(), PING, ACK, 0);
                out.extend_from_slice(payload);
            }
            (GOAWAY, _) | (RST_STREAM, STREAM) => {
                return Err(io::Error::other("the question was turned down"));
            }
            (HEADERS | CONTINUATION, STREAM) => {
                let part = if frame.kind == HEADERS { bare(&frame, payload) } else { Some(payload) };
                fields.extend_from_slice(part.ok_or_else(|| io::Error::other("a frame is broken"))?);
                if fields.len() > BLOCK_BYTES {
                    return Err(io::Error::other("the fields are too long"));
                }
                if frame.has(END_HEADERS) {
                    let status = status(&mut decoder, &fields)?;
                    if status >= 200 {
                        return Ok(status);
                    }
                    fields.clear();
                }
            }
            _ => {}
        }
    }
}

/// The block of a HEADERS frame, without what pads and ranks it (RFC 9113 6.2).
fn bare<'p>(frame: &Frame, payload: &'p [u8]) -> Option<&'p [u8]> {
    let (padding, rest) = match frame.has(PADDED) {
        true => payload.split_first().map(|(n, rest)| (usize::from(*n), rest))?,
        false => (0, payload),
    };
    let rest = if frame.has(PRIORITISED) { rest.get(5..)? } else { rest };
    rest.get(..rest.len().checked_sub(padding)?)
}

fn status(decoder: &mut Decoder, block: &[u8]) -> io::Result<u16> {
    let mut status = None;
    let decoded = decoder.decode(block, |name, value| {
        if name == b":status" {
            status = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        }
    });
    decoded.ok().and(status).ok_or_else(|| io::Error::other("the fields can't be read"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::frame::{END_STREAM, PRIORITY};

    /// Frames that come together, and cut anywhere: each is read once.
    #[test]
    fn whatever_comes_before_the_answer_is_read_past() {
        const FRAMES: usize = 20_000;
        let mut answer = Vec::new();
        put_settings(&mut answer, &[]);
        for n in 0..FRAMES {
            put_head(&mut answer, n % 7, PRIORITY, 0, 3);
            answer.extend(std::iter::repeat_n(b'x', n % 7));
        }
        let (mut block, end) = (Vec::new(), END_HEADERS | END_STREAM);
        hpack::put_status(&mut block, 204);
        put_head(&mut answer, block.len(), HEADERS, end, STREAM);
        answer.extend_from_slice(&block);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for room in [1, 13, 4_096, 1 << 20] {
            let (mut here, there) = tokio::io::duplex(room);
            let (mut asked, mut answers) = tokio::io::split(there);
            let upstream = async {
                let mut sink = tokio::io::sink();
                tokio::join!(answers.write_all(&answer), tokio::io::copy(&mut asked, &mut sink))
            };
            let status = runtime.block_on(async {
                tokio::select! {
                    status = ask(&mut here, false, b"a", b"/", b"probe") => status.unwrap(),
                    ended = upstream => panic!("{ended:?}"),
                }
            });
            assert_eq!(status, 204, "{room}");
        }
    }
}
