//! The sockets the engine speaks to: plain or TLS, ours or an upstream's, and what tests put in their place.
use crate::clock::{Clock, Slot};
use crate::h2::Bridge;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Makes closing an abort: the peer must see that something was cut short, not an end.
    fn abort(&mut self);
    /// Whether a write that fails has sent nothing.
    fn tells_what_it_sent(&self) -> bool;
    /// Whether the other side is told of the end by more than its being closed.
    fn says_when_it_ends(&self) -> bool {
        true
    }
    /// Whether it is a stream of an HTTP/2 connection.
    fn is_http2(&self) -> bool {
        false
    }
    /// What came on it can't be read as a request. A connection that ends by that itself need not know.
    fn misused(&mut self) {}
}

/// A TCP connection, with TLS or without.
pub(crate) enum Stream {
    Plain(TcpStream),
    /// Boxed: it is a good deal larger.
    Tls(Box<TlsStream<TcpStream>>),
    /// A stream of an HTTP/2 connection.
    Bridged(Bridge),
}

impl Io for Stream {
    fn abort(&mut self) {
        let tcp = match self {
            Stream::Plain(s) => s,
            Stream::Tls(s) => s.get_ref().0,
            Stream::Bridged(s) => return s.abort(),
        };
        // Where this fails, the peer still sees a body that is shorter than announced.
        let _ = socket2::SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO));
    }

    fn tells_what_it_sent(&self) -> bool {
        match self {
            Stream::Plain(_) => true,
            Stream::Tls(_) => false,
            Stream::Bridged(s) => s.tells_what_it_sent(),
        }
    }

    fn says_when_it_ends(&self) -> bool {
        !matches!(self, Stream::Plain(_))
    }

    fn is_http2(&self) -> bool {
        matches!(self, Stream::Bridged(_))
    }
}

macro_rules! either {
    ($self:ident, $s:ident => $e:expr) => {
        match $self.get_mut() {
            Stream::Plain($s) => {
                let $s = Pin::new($s);
                $e
            }
            Stream::Tls($s) => {
                let $s = Pin::new(&mut **$s);
                $e
            }
            Stream::Bridged($s) => {
                let $s = Pin::new($s);
                $e
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, s => s.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, s => s.poll_write(cx, buf))
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, s => s.poll_write_vectored(cx, bufs))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, s => s.poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, s => s.poll_shutdown(cx))
    }
}

/// Reads once; how many bytes, 0 at the end.
pub(crate) fn poll_read<S: Io>(s: &mut S, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut buf = ReadBuf::new(into);
    Pin::new(s).poll_read(cx, &mut buf).map_ok(|()| buf.filled().len())
}

/// Reads once before the deadline of `slot`.
pub(crate) async fn read<S: Io>(s: &mut S, clock: &Clock, slot: &Slot, into: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| match poll_read(s, cx, into) {
        Poll::Pending => slot.pending(cx, clock),
        ready => ready,
    })
    .await
}

/// Writes all of `bytes` before the deadline of `slot`.
pub(crate) async fn write_all<S: Io>(
    s: &mut S,
    clock: &Clock,
    slot: &Slot,
    mut bytes: &[u8],
) -> io::Result<()> {
    poll_fn(|cx| {
        while !bytes.is_empty() {
            match Pin::new(&mut *s).poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => bytes = &bytes[n..],
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return slot.pending(cx, clock),
            }
        }
        match Pin::new(&mut *s).poll_flush(cx) {
            Poll::Pending => slot.pending(cx, clock),
            ready => ready,
        }
    })
    .await
}
