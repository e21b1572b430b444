//! A stream as `wire` reads it.
use crate::message::{Body, End, Fields, Message, Reading};
use crate::random::Random;
use doorward_gateway::wire::{self, Chunked, Framing, Head, Limits, Lines, Reject};

/// Bytes that arrive in pieces of random length.
struct Stream<'a> {
    bytes: &'a [u8],
    at: usize,
    visible: usize,
    random: &'a mut Random,
}

impl Stream<'_> {
    fn grow(&mut self) -> bool {
        let before = self.visible;
        let step = if self.random.below(4) == 0 { 1 } else { 1 + self.random.below(64) };
        self.visible = (self.visible + step).min(self.bytes.len());
        self.visible > before
    }

    /// The next head; `None` where the stream ends first.
    fn head(&mut self) -> Result<Option<std::ops::Range<usize>>, Reject> {
        let mut lines = Lines::default();
        loop {
            match lines.scan(&self.bytes[self.at..self.visible], &Limits::default())? {
                Some(length) => {
                    let start = self.at;
                    self.at += length;
                    return Ok(Some(start..self.at));
                }
                None if !self.grow() => return Ok(None),
                None => {}
            }
        }
    }

    fn body(&mut self, framing: Framing) -> Result<Body, Reject> {
        let rest = &self.bytes[self.at..];
        match framing {
            Framing::None => Ok(Body { complete: true, ..Body::default() }),
            Framing::Length(length) => {
                let taken = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
                self.take(taken);
                let complete = taken as u64 == length;
                Ok(Body { data: rest[..taken].to_vec(), complete, trailers: Fields::default() })
            }
            Framing::UntilClose => {
                self.take(rest.len());
                Ok(Body { data: rest.to_vec(), complete: true, trailers: Fields::default() })
            }
            Framing::Chunked => self.chunked(),
        }
    }

    fn chunked(&mut self) -> Result<Body, Reject> {
        let (mut chunked, mut data) = (Chunked::default(), Vec::new());
        loop {
            let piece = &self.bytes[self.at..self.visible];
            self.at += chunked.feed(piece, |place| data.extend_from_slice(&piece[place]))?;
            if chunked.done() || !self.grow() {
                break;
            }
        }
        Ok(Body { data, complete: chunked.done(), trailers: Fields::of(chunked.trailers()) })
    }

    fn take(&mut self, length: usize) {
        self.at += length;
        self.visible = self.visible.max(self.at);
    }
}

fn fields(raw: &[u8], head: &Head) -> Fields {
    Fields::of(head.fields.iter().map(|f| (f.name.on(raw), f.value.on(raw))))
}

/// Reads requests until the stream ends, the connection does, or something is refused. `each` sees every head.
pub(crate) fn requests(bytes: &[u8], random: &mut Random, mut each: impl FnMut(&[u8], &Head)) -> Reading {
    let mut stream = Stream { bytes, at: 0, visible: 0, random };
    let mut head = Head::default();
    let mut messages = Vec::new();
    let end = loop {
        let raw = match stream.head() {
            Ok(Some(place)) => &bytes[place],
            Ok(None) if stream.at == bytes.len() => break End::Clean,
            Ok(None) => break End::Cut,
            Err(reject) => break End::Refused(reject),
        };
        if let Err(reject) = wire::request(raw, &Limits::default(), &mut head) {
            break End::Refused(reject);
        }
        each(raw, &head);
        let mut target = head.path.on(raw).to_vec();
        if let Some(query) = head.query {
            target.push(b'?');
            target.extend_from_slice(query.on(raw));
        }
        let body = match stream.body(head.framing) {
            Ok(body) => body,
            Err(reject) => break End::Refused(reject),
        };
        let complete = body.complete;
        messages.push(Message {
            start: (String::from_utf8_lossy(head.method.on(raw)).into(), target),
            fields: fields(raw, &head),
            body,
        });
        match (complete, head.close) {
            (false, _) => break End::Cut,
            (true, true) => break End::Closed,
            (true, false) => {}
        }
    };
    Reading { messages, end, consumed: stream.at }
}

/// Reads one response with the interim ones before it. `each` sees every head. `None` where one is 101.
pub(crate) fn answer(
    bytes: &[u8],
    to_head: bool,
    random: &mut Random,
    mut each: impl FnMut(&[u8], &Head),
) -> Option<(Reading, Framing)> {
    let mut stream = Stream { bytes, at: 0, visible: 0, random };
    let mut head = Head::default();
    let refused = |end| Some((Reading { messages: Vec::new(), end, consumed: 0 }, Framing::None));
    loop {
        let raw = match stream.head() {
            Ok(Some(place)) => &bytes[place],
            Ok(None) => return refused(End::Cut),
            Err(reject) => return refused(End::Refused(reject)),
        };
        if let Err(reject) = wire::response(raw, to_head, &Limits::default(), &mut head) {
            return refused(End::Refused(reject));
        }
        each(raw, &head);
        match head.status {
            101 => return None,
            100..=199 => continue,
            _ => {}
        }
        let body = match stream.body(head.framing) {
            Ok(body) => body,
            Err(reject) => return refused(End::Refused(reject)),
        };
        let end = match (body.complete, head.close) {
            (false, _) => End::Cut,
            (true, true) => End::Closed,
            (true, false) => End::Clean,
        };
        let start = (head.status.to_string(), head.reason.on(raw).to_vec());
        let messages = vec![Message { start, fields: fields(raw, &head), body }];
        return Some((Reading { messages, end, consumed: stream.at }, head.framing));
    }
}
