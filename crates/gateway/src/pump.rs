//! Moves one message body: takes it apart as it is framed where it comes from, frames it anew, writes it.
use crate::input::{Buffers, Input, SMALL};
use crate::io::{Io, poll_read};
use crate::wire::{self, Chunked, Framing, Reject};
use smallvec::SmallVec;
use std::io::{IoSlice, Write};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A body of at most so many bytes is copied behind what precedes it, so that one plain write does; a larger one is
/// written from where it stands.
const COPY_BYTES: usize = 4 * 1024;

/// Whoever has moved so many bytes of a body lets others come first: a fast upstream and a fast caller would go on for
/// milliseconds.
const SLICE_BYTES: u64 = 64 * 1024;

/// The most memory that is kept for the next message, in bytes.
const KEPT_BYTES: usize = 64 * 1024;

/// What is left of a body, as it is framed where it comes from.
#[derive(Default)]
pub(crate) enum Body {
    #[default]
    None,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Body {
    pub(crate) fn new(framing: Framing, limits: &wire::Limits) -> Body {
        match framing {
            Framing::None => Body::None,
            Framing::Length(n) => Body::Length(n),
            Framing::Chunked => Body::Chunked(Chunked::new(limits)),
            Framing::UntilClose => Body::UntilClose,
        }
    }

    pub(crate) fn done(&self) -> bool {
        match self {
            Body::None => true,
            Body::Length(n) => *n == 0,
            Body::Chunked(c) => c.done(),
            Body::UntilClose => false,
        }
    }
}

/// What the pump waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Waiting {
    #[default]
    Nothing,
    /// Bytes from where the body comes from.
    Source,
    /// Room where it goes.
    Sink,
}

/// Why a body can't be moved on.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Reading failed, or it ended too early.
    Source,
    /// Writing failed.
    Sink,
    /// Its framing is wrong.
    Framing(Reject),
    /// It is longer than allowed.
    TooLarge,
}

/// One direction of an exchange.
#[derive(Default)]
pub(crate) struct Pump {
    pub(crate) body: Body,
    /// Written before anything else: heads, chunk sizes, re-framed data.
    pub(crate) out: Vec<u8>,
    written: usize,
    /// Bytes of the source's buffer that follow `out`.
    span: Range<usize>,
    /// Whether the body is sent in chunks.
    pub(crate) chunk: bool,
    /// Bytes of body that may still come.
    pub(crate) allowed: u64,
    /// Bytes of body that came.
    pub(crate) taken: u64,
    /// Bytes that were written, framing included.
    pub(crate) sent: u64,
    unflushed: bool,
    pub(crate) waiting: Waiting,
}

impl Pump {
    /// Ready for another message; keeps its memory.
    pub(crate) fn reset(&mut self) {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        *self = Pump { out, allowed: u64::MAX, ..Pump::default() };
    }

    /// Gives back memory that a large message took.
    pub(crate) fn shrink(&mut self) {
        if self.out.capacity() > KEPT_BYTES {
            self.drop_output();
            self.out = Vec::new();
        }
    }

    /// What would be written: the bytes of the body where it is not framed anew.
    pub(crate) fn output<'a>(&'a self, from: &'a Input) -> [&'a [u8]; 2] {
        [&self.out[self.written..], &from.raw()[self.span.clone()]]
    }

    /// Forgets what would be written: a body that is read only to be passed over.
    pub(crate) fn drop_output(&mut self) {
        self.out.clear();
        (self.written, self.span) = (0, 0..0);
    }

    fn has_output(&self) -> bool {
        self.written < self.out.len() || !self.span.is_empty() || self.unflushed
    }

    /// Whether something was written in part: nothing else may follow on that connection.
    pub(crate) fn is_torn(&self) -> bool {
        self.written > 0 && self.written < self.out.len() || !self.span.is_empty()
    }

    /// Whether everything was moved.
    pub(crate) fn done(&self) -> bool {
        self.body.done() && !self.has_output()
    }

    /// Takes what is there: fills `out` and `span`.
    pub(crate) fn take(
        &mut self,
        input: &mut Input,
        may_travel: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(), Broken> {
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        let there = input.bytes().len();
        let took = match &mut self.body {
            Body::None => return Ok(()),
            Body::Length(left) => {
                let n = usize::try_from(*left).map_or(there, |left| left.min(there));
                *left -= n as u64;
                self.span = input.consume(n);
                if !self.out.is_empty() && n <= COPY_BYTES {
                    self.out.extend_from_slice(&input.raw()[self.span.clone()]);
                    self.span = 0..0;
                }
                n
            }
            Body::UntilClose => {
                self.span = input.consume(there);
                if self.chunk && there > 0 {
                    chunk(&mut self.out, there, [&input.raw()[self.span.clone()]]);
                    self.span = 0..0;
                }
                there
            }
            Body::Chunked(decoder) => {
                let mut pieces = SmallVec::<[Range<usize>; 8]>::new();
                let bytes = input.bytes();
                let used = decoder.feed(bytes, |piece| pieces.push(piece)).map_err(Broken::Framing)?;
                let size = pieces.iter().map(ExactSizeIterator::len).sum();
                if size > 0 {
                    let data = pieces.iter().map(|p| &bytes[p.clone()]);
                    if self.chunk {
                        chunk(&mut self.out, size, data)
                    } else {
                        data.for_each(|d| self.out.extend_from_slice(d))
                    }
                }
                if decoder.done() && self.chunk {
                    self.out.extend_from_slice(b"0\r\n");
                    for (name, value) in
                        decoder.trailers().filter(|(n, _)| wire::trailer_may_travel(n) && may_travel(n))
                    {
                        field(&mut self.out, name, value);
                    }
                    self.out.extend_from_slice(b"\r\n");
                }
                input.consume(used);
                size
            }
        };
        self.taken += took as u64;
        if self.taken > self.allowed { Err(Broken::TooLarge) } else { Ok(()) }
    }

    /// Writes what is there to be written.
    pub(crate) fn poll_flush<W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        from: &Input,
        to: &mut W,
    ) -> Poll<Result<(), Broken>> {
        loop {
            let (head, body) = (&self.out[self.written..], &from.raw()[self.span.clone()]);
            let to = Pin::new(&mut *to);
            self.waiting = Waiting::Sink;
            let n = match (head.is_empty(), body.is_empty()) {
                (true, true) if self.unflushed => {
                    ready!(to.poll_flush(cx)).map_err(|_| Broken::Sink)?;
                    self.unflushed = false;
                    continue;
                }
                (true, true) => return Poll::Ready(Ok(())),
                (false, true) => ready!(to.poll_write(cx, head)),
                (true, false) => ready!(to.poll_write(cx, body)),
                (false, false) => {
                    ready!(to.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]))
                }
            };
            let n = n.ok().filter(|n| *n > 0).ok_or(Broken::Sink)?;
            let of_head = n.min(head.len());
            self.written += of_head;
            self.span.start += n - of_head;
            self.sent += n as u64;
            self.unflushed = true;
        }
    }

    /// Moves the body on until it is done, one of the two sides makes it wait, or it is somebody else's turn.
    pub(crate) fn poll<R: Io, W: Io>(
        &mut self,
        cx: &mut Context<'_>,
        (from, input): (&mut R, &mut Input),
        to: &mut W,
        buffers: &Buffers,
        may_travel: &dyn Fn(&[u8]) -> bool,
    ) -> Poll<Result<(), Broken>> {
        let before = self.sent;
        loop {
            ready!(self.poll_flush(cx, input, to))?;
            if self.body.done() {
                self.waiting = Waiting::Nothing;
                return Poll::Ready(Ok(()));
            }
            if self.sent - before >= SLICE_BYTES {
                self.waiting = Waiting::Source;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if input.is_empty() {
                self.waiting = Waiting::Source;
                input.make_room(buffers);
                if matches!(self.body, Body::Length(n) if n > SMALL as u64) || self.taken > SMALL as u64 {
                    input.grow(buffers);
                }
                match ready!(poll_read(from, cx, input.space())) {
                    Ok(0) if matches!(self.body, Body::UntilClose) => {
                        self.body = Body::None;
                        if self.chunk {
                            self.out.clear();
                            self.written = 0;
                            self.out.extend_from_slice(b"0\r\n\r\n");
                        }
                        continue;
                    }
                    Ok(n) if n > 0 => input.filled(n),
                    Err(error) => {
                        let broken = crate::h2::rejected(&error).map_or(Broken::Source, Broken::Framing);
                        return Poll::Ready(Err(broken));
                    }
                    _ => return Poll::Ready(Err(Broken::Source)),
                }
            }
            self.take(input, may_travel)?;
        }
    }
}

fn chunk<'a>(out: &mut Vec<u8>, size: usize, data: impl IntoIterator<Item = &'a [u8]>) {
    out.reserve(size + 20);
    let _ = write!(out, "{size:x}\r\n");
    for piece in data {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends one header field line.
#[inline]
pub(crate) fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Wake, Waker};
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    /// Always has something, and always takes everything.
    struct Ready;

    impl AsyncRead for Ready {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buf.initialize_unfilled();
            buf.advance(buf.remaining());
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Ready {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Io for Ready {
        fn abort(&mut self) {}
        fn tells_what_it_sent(&self) -> bool {
            true
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// A body for which nobody has to wait goes on in slices, each of which ends with others' turn and its own next one.
    #[test]
    fn a_long_body_lets_others_come_between() {
        const SLICES: u64 = 10;
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let (mut pump, mut input, buffers) = (Pump::default(), Input::default(), Buffers::default());
        pump.reset();
        pump.body = Body::Length(SLICES * SLICE_BYTES);
        let mut polls = 1;
        let mut poll = || {
            let mut cx = Context::from_waker(&waker);
            pump.poll(&mut cx, (&mut Ready, &mut input), &mut Ready, &buffers, &|_| true)
        };
        while poll().is_pending() {
            assert_eq!(woken.0.load(Relaxed), polls, "it goes on by itself");
            polls += 1;
        }
        assert!(pump.done());
        // A slice may be longer by what is read at a time.
        assert!((SLICES as usize / 2..=SLICES as usize).contains(&polls), "{polls}");
    }
}
