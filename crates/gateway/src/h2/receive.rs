//! Frames that come in (RFC 9113 6), and what they change.
use super::flood::{self, Kind};
use super::frame::{self, Code, Frame};
use super::heads::{Message, Shape};
use super::hpack::Bad;
use super::state::{Block, Born, Fatal, Incoming, Payload, Role, State};
use super::wrong::Wrong;
use super::{BLOCK_BYTES, BLOCK_FRAMES, FRAME_BYTES, INTERIM_BYTES, MAX_STREAMS};
use crate::wire::Reject;

/// What is left of `limits.trailer_bytes` is judged by whoever reads the trailers; beyond this nothing is kept.
const TRAILER_SLACK_BYTES: usize = 64;

/// How far one call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fed {
    pub(super) used: usize,
    /// There is more than can be taken now: requests have to end first.
    pub(super) held: bool,
}

fn protocol(what: &'static str) -> Fatal {
    Fatal(Code::Protocol, what)
}

/// A frame without room for what it has to hold (RFC 9113 4.2).
fn small(what: &'static str) -> Fatal {
    Fatal(Code::FrameSize, what)
}

fn number(payload: &[u8]) -> Option<u32> {
    payload.first_chunk::<4>().map(|n| u32::from_be_bytes(*n))
}

impl State {
    /// Takes what has come.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Fed, Fatal> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            if self.preface_left > 0 {
                let n = rest.len().min(self.preface_left);
                let want = &frame::PREFACE[frame::PREFACE.len() - self.preface_left..];
                if rest[..n] != want[..n] {
                    return Err(protocol("preface"));
                }
                self.preface_left -= n;
                at += n;
                if n == 0 {
                    return Ok(Fed { used: at, held: false });
                }
                continue;
            }
            if let Some(payload) = self.payload {
                let n = rest.len().min(payload.left);
                if n == 0 && payload.left > 0 {
                    return Ok(Fed { used: at, held: false });
                }
                self.data(payload, &rest[..n])?;
                at += n;
                continue;
            }
            let Some(head) = Frame::read(rest) else { return Ok(Fed { used: at, held: false }) };
            if head.length > FRAME_BYTES {
                return Err(Fatal(Code::FrameSize, "frame-too-large"));
            }
            if let Some(block) = &self.block
                && (head.kind != frame::CONTINUATION || head.stream != block.stream)
            {
                return Err(protocol("block-interrupted"));
            }
            if !self.settled && head.kind != frame::SETTINGS {
                return Err(protocol("settings-missing"));
            }
            if head.kind == frame::DATA {
                let Some(used) = self.begin_data(head, &rest[frame::HEAD_BYTES..])? else {
                    return Ok(Fed { used: at, held: false });
                };
                at += frame::HEAD_BYTES + used;
                continue;
            }
            if head.kind == frame::HEADERS && self.is_full(head.stream) {
                return Ok(Fed { used: at, held: true });
            }
            let end = frame::HEAD_BYTES + head.length;
            let Some(payload) = rest.get(frame::HEAD_BYTES..end) else {
                return Ok(Fed { used: at, held: false });
            };
            self.frame(head, payload)?;
            at += end;
        }
    }

    /// Whether a request has to wait until others have ended that were taken back: those count until they are really gone.
    fn is_full(&self, id: u32) -> bool {
        self.role == Role::Server
            && id > self.last
            && self.streams.len() >= MAX_STREAMS
            && self.open() < MAX_STREAMS
    }

    fn begin_data(&mut self, head: Frame, rest: &[u8]) -> Result<Option<usize>, Fatal> {
        if head.stream == 0 {
            return Err(protocol("data-on-connection"));
        }
        let padded = head.has(frame::PADDED);
        let padding = match (padded, rest.first()) {
            (true, None) if head.length > 0 => return Ok(None),
            (true, Some(n)) => usize::from(*n),
            _ => 0,
        };
        let own = usize::from(padded);
        if own > head.length {
            return Err(small("padding-missing"));
        }
        if own + padding > head.length {
            return Err(protocol("padding-too-long"));
        }
        self.receive_window -= head.length as i64;
        if self.receive_window < 0 {
            return Err(Fatal(Code::FlowControl, "connection-window"));
        }
        let left = head.length - own;
        let end = head.has(frame::END_STREAM);
        if left == padding && !end {
            self.note(Kind::EmptyData)?;
        }
        let id = head.stream;
        let idle = self.is_idle(id);
        match self.streams.get_mut(&id) {
            None if idle => return Err(protocol("data-on-idle-stream")),
            None => self.note(Kind::Stray)?,
            Some(stream) => {
                stream.receive_window -= head.length as i64;
                let overrun = stream.receive_window < 0;
                match stream.incoming {
                    // What was on its way when the stream was reset.
                    Incoming::Reset | Incoming::Malformed(_) => self.note(Kind::Stray)?,
                    Incoming::Ended | Incoming::Head => {
                        self.misused(id, Code::StreamClosed, Incoming::Reset)?;
                    }
                    Incoming::Body if overrun => {
                        self.misused(id, Code::FlowControl, Incoming::Reset)?;
                    }
                    Incoming::Body => {}
                }
            }
        }
        self.give_back(id, own);
        let payload = Payload { stream: id, left, padding, end };
        self.payload = Some(payload);
        Ok(Some(own))
    }

    /// A piece of DATA.
    fn data(&mut self, mut payload: Payload, bytes: &[u8]) -> Result<(), Fatal> {
        let id = payload.stream;
        let data = payload.left.saturating_sub(payload.padding).min(bytes.len());
        payload.left -= bytes.len();
        self.payload = (payload.left > 0).then_some(payload);
        let stream = self.streams.get_mut(&id).filter(|s| s.incoming == Incoming::Body);
        let mut thrown = bytes.len();
        let mut wrong = false;
        if let Some(stream) = stream {
            match &mut stream.shape {
                Shape::Length(left) if data as u64 > *left => wrong = true,
                Shape::Nothing if data > 0 => wrong = true,
                shape => {
                    if let Shape::Length(left) = shape {
                        *left -= data as u64;
                    }
                    stream.data.extend_from_slice(&bytes[..data]);
                    thrown -= data;
                }
            }
            if !wrong && payload.left == 0 && payload.end {
                wrong = matches!(stream.shape, Shape::Length(1..));
                stream.incoming = Incoming::Ended;
            }
            stream.wake_reader();
        }
        self.give_back(id, thrown);
        if wrong { self.not_as_long(id) } else { Ok(()) }
    }

    /// The data is not as long as was said: whoever reads it is told, and answers.
    fn not_as_long(&mut self, id: u32) -> Result<(), Fatal> {
        if self.role != Role::Server {
            return self.misused(id, Code::Protocol, Incoming::Malformed(Reject::ContentLengthNotData));
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.incoming = Incoming::Malformed(Reject::ContentLengthNotData);
            stream.wake();
        }
        self.note(Kind::Misused)
    }

    /// Whether no stream of that id was ever begun.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        id.is_multiple_of(2) || id > self.last
    }

    /// Any whole frame but DATA.
    fn frame(&mut self, head: Frame, payload: &[u8]) -> Result<(), Fatal> {
        match head.kind {
            frame::HEADERS => self.headers(head, payload),
            frame::CONTINUATION => self.continuation(head, payload),
            frame::SETTINGS => self.settings(head, payload),
            frame::PING => self.ping(head, payload),
            frame::WINDOW_UPDATE => self.window_update(head, payload),
            frame::RST_STREAM => self.reset(head, payload),
            frame::PRIORITY => {
                if head.stream == 0 {
                    return Err(protocol("priority-on-connection"));
                }
                if payload.len() != 5 {
                    return Err(Fatal(Code::FrameSize, "priority-size"));
                }
                self.note(Kind::Priority)
            }
            frame::GOAWAY => {
                if head.stream != 0 {
                    return Err(protocol("goaway-on-stream"));
                }
                if payload.len() < 8 {
                    return Err(small("goaway-size"));
                }
                self.goaway(number(payload).unwrap_or(0) & frame::MAX_31)
            }
            frame::PUSH_PROMISE => Err(protocol("push")),
            _ => self.note(Kind::Unknown),
        }
    }

    fn headers(&mut self, head: Frame, payload: &[u8]) -> Result<(), Fatal> {
        if head.stream.is_multiple_of(2) {
            return Err(protocol("headers-stream"));
        }
        let mut fragment = payload;
        if head.has(frame::PADDED) {
            let (padding, rest) = fragment.split_first().ok_or(small("padding-missing"))?;
            let end = rest.len().checked_sub(usize::from(*padding)).ok_or(protocol("padding-too-long"))?;
            fragment = &rest[..end];
        }
        let mut depends_on_itself = false;
        if head.has(frame::PRIORITISED) {
            let on = number(fragment).ok_or(small("priority-missing"))? & frame::MAX_31;
            fragment = fragment.get(5..).ok_or(small("priority-missing"))?;
            depends_on_itself = on == head.stream;
        }
        let (stream, end) = (head.stream, head.has(frame::END_STREAM));
        if head.has(frame::END_HEADERS) {
            return self.block((stream, end, depends_on_itself), fragment);
        }
        let bytes = fragment.to_vec();
        self.block = Some(Block { stream, end, depends_on_itself, frames: 0, bytes });
        Ok(())
    }

    fn continuation(&mut self, head: Frame, payload: &[u8]) -> Result<(), Fatal> {
        let mut block = self.block.take().ok_or(protocol("continuation-of-nothing"))?;
        block.frames += 1;
        if block.frames > BLOCK_FRAMES || block.bytes.len() + payload.len() > BLOCK_BYTES {
            return Err(Fatal(Code::EnhanceYourCalm, flood::BLOCK));
        }
        block.bytes.extend_from_slice(payload);
        if head.has(frame::END_HEADERS) {
            return self.block((block.stream, block.end, block.depends_on_itself), &block.bytes);
        }
        self.block = Some(block);
        Ok(())
    }

    /// A whole header block. It is decompressed whatever becomes of it: the next one depends on it.
    fn block(&mut self, (id, end, depends): (u32, bool, bool), block: &[u8]) -> Result<(), Fatal> {
        let what = match (self.role, self.streams.get(&id).map(|s| s.incoming)) {
            (Role::Server, None) if id > self.last => Message::Request,
            (Role::Client { .. }, None) if self.is_idle(id) => {
                return Err(protocol("headers-on-idle-stream"));
            }
            (_, Some(Incoming::Head)) => Message::Answer,
            _ => Message::Trailers,
        };
        let mut out = match self.streams.get_mut(&id) {
            Some(stream) if what == Message::Answer => std::mem::take(&mut stream.front),
            _ => Vec::new(),
        };
        let most = match what {
            Message::Trailers => self.limits.trailer_bytes + TRAILER_SLACK_BYTES,
            _ => self.limits.head_bytes,
        };
        let fields = &mut self.fields;
        fields.begin(most);
        let decoded = self.decoder.decode(block, |name, value| fields.take(what, name, value, &mut out));
        match decoded {
            Ok(()) => {}
            Err(Bad::Garbled) => return Err(Fatal(Code::Compression, "header-block-garbled")),
            Err(Bad::TooMany) => return Err(Fatal(Code::EnhanceYourCalm, flood::BLOCK)),
        }
        if depends {
            fields.refuse(Wrong::Dependency);
        }
        match what {
            Message::Request => self.request(id, end, out),
            Message::Answer => self.answer(id, end, out),
            Message::Trailers => self.trailers(id, end, out),
        }
    }

    fn request(&mut self, id: u32, end: bool, mut out: Vec<u8>) -> Result<(), Fatal> {
        self.last = id;
        if self.closing.is_some() || self.streams.len() >= MAX_STREAMS {
            frame::put_reset(&mut self.out, id, Code::RefusedStream);
            self.stats.as_ref().inspect(|stats| stats.refused_stream());
            return self.note(Kind::Misused);
        }
        let (shape, wrong) = match self.fields.request(end, &mut out) {
            Ok(shape) => (shape, None),
            Err(wrong) => (Shape::Nothing, Some(wrong)),
        };
        let mut stream = self.stream(if end { Incoming::Ended } else { Incoming::Body });
        (stream.front, stream.shape) = (out, shape);
        stream.to_head = stream.front.starts_with(b"HEAD ");
        stream.told_end = shape == Shape::Nothing;
        if wrong.is_some() {
            self.note(Kind::Misused)?;
            stream.front.clear();
            // Whatever else comes on it is thrown away.
            if !end {
                stream.incoming = Incoming::Malformed(Reject::NotOneHead);
            }
        }
        self.streams.insert(id, stream);
        self.born.push_back(Born { stream: id, wrong });
        Ok(())
    }

    fn answer(&mut self, id: u32, end: bool, mut out: Vec<u8>) -> Result<(), Fatal> {
        let to_head = self.streams.get(&id).is_some_and(|stream| stream.to_head);
        let read = self.fields.answer(end, to_head, &mut out);
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        match read {
            Ok((..200, _)) if out.len() > INTERIM_BYTES => {
                self.misused(id, Code::EnhanceYourCalm, Incoming::Reset)
            }
            Ok((status, shape)) => {
                stream.front = out;
                if status >= 200 {
                    stream.shape = shape;
                    stream.told_end = shape == Shape::Nothing;
                    stream.incoming = if end { Incoming::Ended } else { Incoming::Body };
                }
                stream.wake_reader();
                Ok(())
            }
            Err(_) => self.misused(id, Code::Protocol, Incoming::Reset),
        }
    }

    fn trailers(&mut self, id: u32, end: bool, out: Vec<u8>) -> Result<(), Fatal> {
        let read = self.fields.trailers();
        let Some(stream) = self.streams.get_mut(&id) else {
            // A request on a stream that was passed over or has ended (RFC 9113 5.1.1): nobody would answer it.
            if self.role == Role::Server && self.fields.is_head() {
                return Err(protocol("stream-not-new"));
            }
            // They were on their way when the stream ended.
            return self.note(Kind::Stray);
        };
        match (stream.incoming, read) {
            (Incoming::Body, Ok(())) if end => {
                stream.incoming = match stream.shape {
                    Shape::Length(1..) => Incoming::Malformed(Reject::ContentLengthNotData),
                    _ => Incoming::Ended,
                };
                // With a length there is no place for them in HTTP/1.1; they may be left out (RFC 9110 6.5.1).
                stream.trailers = out;
                stream.wake_reader();
                Ok(())
            }
            (Incoming::Body, Err(Wrong::TooLarge)) if self.role == Role::Server => {
                stream.incoming = Incoming::Malformed(Reject::TrailerTooLarge);
                stream.wake_reader();
                self.note(Kind::Misused)
            }
            (Incoming::Body, _) if self.role == Role::Server => {
                stream.incoming = Incoming::Malformed(Reject::TrailerSyntax);
                stream.wake_reader();
                self.note(Kind::Misused)
            }
            (Incoming::Reset | Incoming::Malformed(_), _) => self.note(Kind::Stray),
            (Incoming::Ended, _) => self.misused(id, Code::StreamClosed, Incoming::Reset),
            _ => self.misused(id, Code::Protocol, Incoming::Reset),
        }
    }
}
