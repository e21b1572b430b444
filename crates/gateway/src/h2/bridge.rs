//! One stream as a connection that speaks HTTP/1.1: what the engine reads and writes.
use super::SILENT;
use super::client::RESERVED;
use super::flood::Kind;
use super::frame::{self, Code};
use super::heads::Shape;
use super::send::Sending;
use super::state::{Fatal, Incoming, Role, Shared, State, Stream};
use super::wrong::malformed;
use crate::io::Io;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One stream.
pub(crate) struct Bridge {
    shared: Shared,
    id: u32,
    sending: Sending,
}

impl Bridge {
    pub(super) fn new(shared: Shared, id: u32) -> Bridge {
        Bridge { shared, id, sending: Sending::default() }
    }
}

/// Appends `1f4\r\n`.
fn put_size(out: &mut Vec<u8>, n: usize) {
    let digits = (usize::BITS - (n | 1).leading_zeros()).div_ceil(4);
    for at in (0..digits).rev() {
        out.push(b"0123456789abcdef"[n >> (4 * at) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

impl Stream {
    /// Reads what there is; how many bytes of data were among it.
    fn read(&mut self, buf: &mut ReadBuf<'_>) -> usize {
        let mut data_read = 0;
        while buf.remaining() > 0 {
            let front = &self.front[self.front_at..];
            let data = &self.data[self.data_at..];
            if !front.is_empty() {
                let n = front.len().min(buf.remaining());
                buf.put_slice(&front[..n]);
                self.front_at += n;
                continue;
            }
            self.front.clear();
            self.front_at = 0;
            if data.is_empty() {
                self.data.clear();
                self.data_at = 0;
                if self.incoming != Incoming::Ended || self.told_end {
                    break;
                }
                self.told_end = true;
                if self.shape == Shape::Chunked {
                    self.front.extend_from_slice(b"0\r\n");
                    self.front.append(&mut self.trailers);
                    self.front.extend_from_slice(b"\r\n");
                }
                continue;
            }
            let chunked = self.shape == Shape::Chunked;
            if chunked && self.chunk_left == 0 {
                self.chunk_left = data.len();
                put_size(&mut self.front, data.len());
                continue;
            }
            let mut n = data.len().min(buf.remaining());
            if chunked {
                n = n.min(self.chunk_left);
                self.chunk_left -= n;
            }
            buf.put_slice(&data[..n]);
            self.data_at += n;
            data_read += n;
            if chunked && self.chunk_left == 0 {
                self.front.extend_from_slice(b"\r\n");
            }
        }
        data_read
    }
}

impl AsyncRead for Bridge {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.shared.borrow_mut();
        let server = state.role == Role::Server;
        let Some(stream) = state.streams.get_mut(&self.id) else {
            return Poll::Ready(Ok(()));
        };
        let before = buf.filled().len();
        let data = match stream.incoming {
            // What came before that is of no use to anybody.
            Incoming::Reset => return Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
            // Whoever is told has to know what of.
            Incoming::Malformed(reject) if stream.front_at == stream.front.len() => {
                return Poll::Ready(Err(malformed(reject)));
            }
            Incoming::Malformed(_) => {
                let thrown = stream.data.len() - stream.data_at;
                stream.data.clear();
                stream.data_at = 0;
                stream.read(buf);
                thrown
            }
            _ => stream.read(buf),
        };
        if buf.filled().len() == before && buf.remaining() > 0 {
            let done = stream.incoming == Incoming::Ended && stream.told_end;
            // A caller that has sent everything still waits; once it has its answer, this is its end.
            if done && (!server || stream.sent_end) {
                return Poll::Ready(Ok(()));
            }
            stream.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if data > 0 {
            state.give_back(self.id, data);
        }
        Poll::Ready(Ok(()))
    }
}

impl Bridge {
    /// Waits until the other side has said how it is to be spoken to. What speaks another version never does.
    pub(super) async fn settled(&self) -> io::Result<()> {
        poll_fn(|cx| {
            let mut state = self.shared.borrow_mut();
            if state.over {
                return Poll::Ready(Err(io::Error::other("it does not speak HTTP/2")));
            }
            if state.settled {
                return Poll::Ready(Ok(()));
            }
            if let Some(stream) = state.streams.get_mut(&self.id) {
                stream.reader = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// Whether anything may still be written.
    fn writable(state: &State, id: u32) -> io::Result<()> {
        match state.streams.get(&id) {
            Some(stream) if !state.over && !stream.sent_end && stream.incoming != Incoming::Reset => Ok(()),
            _ => Err(ErrorKind::BrokenPipe.into()),
        }
    }
}

impl AsyncWrite for Bridge {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let bridge = &mut *self;
        let mut state = bridge.shared.borrow_mut();
        Bridge::writable(&state, bridge.id)?;
        let mut used = 0;
        // A head, and what follows it.
        while used < buf.len() {
            match bridge.sending.write(&mut state, &mut bridge.id, &buf[used..], cx) {
                Poll::Ready(Ok(n)) => used += n,
                Poll::Ready(Err(())) => return Poll::Ready(Err(ErrorKind::InvalidData.into())),
                Poll::Pending if used > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        state.wake_driver();
        Poll::Ready(Ok(used))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut used = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match self.as_mut().poll_write(cx, buf) {
                Poll::Ready(Ok(n)) => {
                    used += n;
                    if n < buf.len() {
                        break;
                    }
                }
                other if used == 0 => return other,
                _ => break,
            }
        }
        Poll::Ready(Ok(used))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.borrow_mut().finish(self.id);
        Poll::Ready(Ok(()))
    }
}

impl State {
    /// Nothing more is written to a stream, and nothing more is read.
    fn finish(&mut self, id: u32) {
        let server = self.role == Role::Server;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let all_came = stream.incoming == Incoming::Ended;
        let code = match (stream.sent_end, stream.incoming) {
            _ if id & RESERVED != 0 => None,
            (_, Incoming::Reset) => None,
            (true, _) if all_came => None,
            // An early answer: what is left of the request is of no use (RFC 9113 8.1).
            (true, _) if server => Some(Code::NoError),
            _ if server && matches!(stream.incoming, Incoming::Malformed(_)) => Some(Code::Protocol),
            _ if server => Some(Code::Internal),
            _ => Some(Code::Cancel),
        };
        stream.sent_end = true;
        let silent = |(at, heard): (Instant, u64)| heard == self.heard && at.elapsed() >= SILENT;
        if code == Some(Code::Cancel) && stream.asked.is_some_and(silent) {
            self.closing = self.closing.or(Some(self.last));
        }
        let asked = stream.asked.map(|(at, _)| at);
        if let Some(code) = code {
            stream.incoming = Incoming::Reset;
            if server || self.may_take_back(asked) {
                frame::put_reset(&mut self.out, id, code);
            }
        }
        self.wake_driver();
    }
}

impl Io for Bridge {
    fn abort(&mut self) {
        // Unfinished streams are always reset, never ended.
    }

    fn tells_what_it_sent(&self) -> bool {
        false
    }

    fn is_http2(&self) -> bool {
        true
    }

    fn misused(&mut self) {
        let mut state = self.shared.borrow_mut();
        if let Err(Fatal(code, what)) = state.note(Kind::Misused) {
            state.flooded = Some(what);
            state.end(code);
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let mut state = self.shared.borrow_mut();
        if !state.over {
            state.finish(self.id);
        }
        let unread = state.streams.remove(&self.id).map_or(0, |stream| stream.data.len() - stream.data_at);
        if unread > 0 {
            state.give_back(self.id, unread);
        }
        state.wake_driver();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_chunks_are_hexadecimal() {
        for n in [0, 1, 15, 16, 255, 256, 4_095, 65_536, 1_000_000] {
            let mut out = Vec::new();
            put_size(&mut out, n);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{n:x}\r\n"));
        }
    }
}
