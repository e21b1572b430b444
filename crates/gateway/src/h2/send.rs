//! HTTP/1.1 taken apart again: a head becomes HEADERS, a body DATA, the trailers of its chunks HEADERS at the end.
use super::frame;
use super::hpack;
use super::state::{Role, State};
use super::{FRAME_BYTES, OUT_BYTES};
use crate::wire::{self, Chunked, Framing, Head};
use doorward_core::request::FieldKind;
use smallvec::SmallVec;
use std::ops::Range;
use std::task::{Context, Poll, ready};

/// What comes next of what is sent on a stream.
pub(super) enum Sending {
    /// A head; this much of it has come.
    Head(Vec<u8>),
    Length(u64),
    Chunked(Box<Chunked>),
    Done,
}

impl Default for Sending {
    fn default() -> Sending {
        Sending::Head(Vec::new())
    }
}

/// What was written can't be read again: never so where this program wrote it.
fn unreadable<T>(_: T) {}

impl Sending {
    /// Takes a part of what is written; how much.
    pub(super) fn write(
        &mut self,
        state: &mut State,
        id: &mut u32,
        buf: &[u8],
        cx: &Context<'_>,
    ) -> Poll<Result<usize, ()>> {
        match self {
            Sending::Head(_) => {
                if state.waiting() >= OUT_BYTES {
                    // There is no room for a byte: this registers the stream.
                    ready!(state.room(*id, 0, cx));
                }
                Poll::Ready(self.head(state, id, buf))
            }
            Sending::Length(left) => {
                let most = buf.len().min(FRAME_BYTES).min(usize::try_from(*left).unwrap_or(usize::MAX));
                if most == 0 {
                    return Poll::Ready(Err(()));
                }
                let n = ready!(state.room(*id, most, cx));
                *left -= n as u64;
                let end = *left == 0;
                state.put_data(*id, &buf[..n], end);
                if end {
                    *self = Sending::Done;
                }
                Poll::Ready(Ok(n))
            }
            Sending::Chunked(decoder) => {
                let n = ready!(chunks(decoder, state, *id, buf, cx))?;
                if decoder.done() {
                    *self = Sending::Done;
                }
                Poll::Ready(Ok(n))
            }
            Sending::Done => Poll::Ready(Err(())),
        }
    }

    fn head(&mut self, state: &mut State, id: &mut u32, buf: &[u8]) -> Result<usize, ()> {
        let Sending::Head(before) = self else { return Err(()) };
        let whole = |bytes: &[u8]| memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4);
        let had = before.len();
        let (used, framing) = if had == 0
            && let Some(end) = whole(buf)
        {
            (end, state.put_message(id, &buf[..end])?)
        } else {
            before.extend_from_slice(buf);
            let Some(end) = whole(before) else {
                return if before.len() > wire::MAX_HEAD_BYTES { Err(()) } else { Ok(buf.len()) };
            };
            let head = std::mem::take(before);
            (end - had, state.put_message(id, &head[..end])?)
        };
        match framing {
            None => {}
            Some(Framing::None) => *self = Sending::Done,
            Some(Framing::Length(n)) => *self = Sending::Length(n),
            Some(Framing::Chunked) => {
                *self = Sending::Chunked(Box::new(Chunked::new(&state.limits)));
            }
            Some(Framing::UntilClose) => return Err(()),
        }
        Ok(used)
    }
}

/// Takes chunks apart; at most as much as there is room for.
fn chunks(
    decoder: &mut Chunked,
    state: &mut State,
    id: u32,
    buf: &[u8],
    cx: &Context<'_>,
) -> Poll<Result<usize, ()>> {
    let mut pieces = SmallVec::<[Range<usize>; 8]>::new();
    let mut used = 0;
    // Sizes and ends of chunks take no room.
    while used < buf.len() && !decoder.in_data() && !decoder.done() {
        used += decoder.feed(&buf[used..=used], |_| {}).map_err(unreadable)?;
    }
    if used < buf.len() && !decoder.done() {
        match state.room(id, (buf.len() - used).min(FRAME_BYTES), cx) {
            Poll::Ready(room) => {
                let within = &buf[used..used + room];
                let fed = decoder.feed(within, |piece| pieces.push(used + piece.start..used + piece.end));
                used += fed.map_err(unreadable)?;
                // What ends the body often follows at once, and saves a frame if it is seen now.
                while used < buf.len() && !decoder.in_data() && !decoder.done() {
                    used += decoder.feed(&buf[used..=used], |_| {}).map_err(unreadable)?;
                }
            }
            Poll::Pending if used == 0 => return Poll::Pending,
            Poll::Pending => {}
        }
    }
    let done = decoder.done();
    let trailers = done && decoder.trailers().next().is_some();
    let last = pieces.len();
    for (at, piece) in pieces.into_iter().enumerate() {
        state.put_data(id, &buf[piece], done && !trailers && at + 1 == last);
    }
    if trailers {
        state.put_trailers(id, decoder);
    } else if done && last == 0 {
        state.put_data(id, &[], true);
    }
    Poll::Ready(Ok(used))
}

impl State {
    fn put_data(&mut self, id: u32, data: &[u8], end: bool) {
        let flags = if end { frame::END_STREAM } else { 0 };
        frame::put_head(&mut self.out, data.len(), frame::DATA, flags, id);
        self.out.extend_from_slice(data);
        self.spend(id, data.len());
        self.sent_end(id, end);
    }

    fn sent_end(&mut self, id: u32, end: bool) {
        if let Some(stream) = self.streams.get_mut(&id).filter(|_| end) {
            stream.sent_end = true;
        }
    }

    fn begin_block(&mut self) -> Vec<u8> {
        let mut block = std::mem::take(&mut self.packed);
        block.clear();
        if std::mem::take(&mut self.first_block) {
            hpack::put_no_table(&mut block);
        }
        block
    }

    fn end_block(&mut self, id: u32, block: Vec<u8>, end: bool) {
        frame::put_block(&mut self.out, &block, id, end, self.peer.frame_bytes);
        self.packed = block;
        self.sent_end(id, end);
    }

    fn put_trailers(&mut self, id: u32, decoder: &Chunked) {
        let mut block = self.begin_block();
        decoder.trailers().for_each(|(name, value)| hpack::put(&mut block, name, value));
        self.end_block(id, block, true);
    }

    /// Sends a head; how the body is framed that follows, `None` after an interim answer.
    fn put_message(&mut self, id: &mut u32, raw: &[u8]) -> Result<Option<Framing>, ()> {
        let mut head = std::mem::take(&mut self.head);
        let put = match self.role {
            Role::Server => self.put_answer(*id, raw, &mut head),
            Role::Client { secure } => self.put_request(id, raw, &mut head, secure),
        };
        self.head = head;
        put
    }

    fn put_answer(&mut self, id: u32, raw: &[u8], head: &mut Head) -> Result<Option<Framing>, ()> {
        let to_head = self.streams.get(&id).is_some_and(|stream| stream.to_head);
        wire::response(raw, to_head, &own(&self.limits), head).map_err(unreadable)?;
        let mut block = self.begin_block();
        hpack::put_status(&mut block, head.status);
        put_fields(&mut block, raw, head);
        let interim = head.status < 200;
        self.end_block(id, block, !interim && head.framing == Framing::None);
        Ok((!interim).then_some(head.framing))
    }

    fn put_request(
        &mut self,
        id: &mut u32,
        raw: &[u8],
        head: &mut Head,
        secure: bool,
    ) -> Result<Option<Framing>, ()> {
        wire::request(raw, &own(&self.limits), head).map_err(unreadable)?;
        let method = head.method.on(raw);
        // Path and query as they stand in the line.
        let line = &raw[method.len() + 1..];
        let target = &line[..memchr::memchr(b' ', line).unwrap_or(line.len())];
        let mut block = self.begin_block();
        hpack::put_request(&mut block, method, secure, head.host.on(raw), target);
        put_fields(&mut block, raw, head);
        // Trailers are passed on, and servers of gRPC ask for that to be said.
        hpack::put(&mut block, b"te", b"trailers");
        let end = head.framing == Framing::None;
        self.name(id);
        self.end_block(*id, block, end);
        if let Some(stream) = self.streams.get_mut(id) {
            stream.to_head = method == b"HEAD";
        }
        Ok(Some(head.framing))
    }
}

/// Heads of this program's own making may have a few fields more than those that it takes.
fn own(limits: &wire::Limits) -> wire::Limits {
    wire::Limits { fields: wire::MAX_FIELDS, head_bytes: wire::MAX_HEAD_BYTES, ..*limits }
}

/// The fields that HTTP/2 has as well.
fn put_fields(block: &mut Vec<u8>, raw: &[u8], head: &Head) {
    for field in &head.fields {
        match field.kind {
            FieldKind::Connection | FieldKind::TransferEncoding | FieldKind::Hop | FieldKind::Host => {}
            _ => hpack::put(block, field.name.on(raw), field.value.on(raw)),
        }
    }
}
