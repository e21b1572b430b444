//! A caller's HTTP/2 connection, frame by frame.
use super::client::Conn;
use super::frames::{self, Frame, frame};
use super::message::{Answer, Fault, Head};
use std::collections::HashMap;

/// What came on a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) answer: Answer,
    /// Its end came.
    pub(crate) ended: bool,
    /// It was reset, with this code.
    pub(crate) reset: Option<u32>,
}

/// A connection.
pub(crate) struct Http2 {
    pub(crate) conn: Conn,
    streams: HashMap<u32, Heard>,
    /// The last GOAWAY: the last stream, and a code.
    pub(crate) goaway: Option<(u32, u32)>,
    /// Whether what is received is given back at once.
    pub(crate) gives_back: bool,
    next: u32,
    open: bool,
    windows: HashMap<u32, i64>,
    /// What a stream may be sent at first.
    initial: i64,
    /// Everything that came, but DATA.
    pub(crate) frames: Vec<Frame>,
}

impl Http2 {
    /// Begins with the preface and these settings.
    pub(crate) fn begin(mut conn: Conn, settings: &[(u16, u32)]) -> Http2 {
        conn.send([frames::PREFACE, &frames::settings(settings)].concat());
        Http2::watch(conn)
    }

    /// Sends nothing by itself.
    pub(crate) fn watch(conn: Conn) -> Http2 {
        let (streams, frames, windows, initial) = (HashMap::new(), Vec::new(), HashMap::new(), 65_535);
        Http2 {
            conn,
            streams,
            goaway: None,
            gives_back: true,
            next: 1,
            open: false,
            windows,
            initial,
            frames,
        }
    }

    pub(crate) fn over(conn: Conn) -> Http2 {
        Http2::begin(conn, &[])
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Http2 {
        self.conn.send(bytes);
        self
    }

    /// The id of the next stream.
    pub(crate) fn id(&mut self) -> u32 {
        let id = self.next;
        self.next += 2;
        id
    }

    /// Sends HEADERS on a new stream.
    pub(crate) fn headers(&mut self, fields: &[(&str, &str)], end: bool) -> u32 {
        let id = self.id();
        let block = frames::block(fields);
        let mut pieces = block.chunks(16_384).peekable();
        let (mut kind, mut flags) = (frames::HEADERS, u8::from(end));
        while let Some(piece) = pieces.next() {
            let last = if pieces.peek().is_none() { frames::END_HEADERS } else { 0 };
            self.send(frame(kind, flags | last, id, piece));
            (kind, flags) = (frames::CONTINUATION, 0);
        }
        id
    }

    pub(crate) fn data(&mut self, id: u32, data: impl AsRef<[u8]>, end: bool) -> &mut Http2 {
        let pieces: Vec<&[u8]> = data.as_ref().chunks(16_384).collect();
        if pieces.is_empty() {
            return self.send(frame(frames::DATA, u8::from(end), id, b""));
        }
        for (at, piece) in pieces.iter().enumerate() {
            self.send(frame(frames::DATA, u8::from(end && at + 1 == pieces.len()), id, piece));
        }
        self
    }

    /// Sends a request that is written as HTTP/1.1 would have it; its stream.
    pub(crate) fn ask_as(&mut self, request: impl AsRef<[u8]>) -> u32 {
        let request = request.as_ref();
        let end = request.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head");
        let text: String = request[..end].iter().map(|b| char::from(*b)).collect();
        let mut lines = text.split("\r\n");
        let mut words = lines.next().expect("a line").split(' ');
        let (method, path) = (words.next().expect("a method"), words.next().expect("a target"));
        let mut fields =
            vec![(":method".to_owned(), method.to_owned()), (":path".to_owned(), path.to_owned())];
        fields.push((":scheme".to_owned(), "https".to_owned()));
        let regular = lines.map(|line| line.split_once(':').expect("a field"));
        let regular: Vec<_> =
            regular.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let host = regular.iter().find(|(name, _)| name == "host").expect("a host");
        fields.push((":authority".to_owned(), host.1.clone()));
        fields.extend(regular.into_iter().filter(|(name, _)| name != "host" && name != "connection"));
        let body = &request[end + 4..];
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let id = self.headers(&fields, body.is_empty() && !self.open);
        if !body.is_empty() {
            self.data(id, body, true);
        }
        id
    }

    /// The same without an end: its body follows.
    pub(crate) fn ask_as_open(&mut self, head: &str) -> u32 {
        self.open = true;
        let id = self.ask_as(head);
        self.open = false;
        id
    }

    /// How much data may be sent on a stream now.
    pub(crate) fn may_send(&self, id: u32) -> usize {
        let stream = self.windows.get(&id).copied().unwrap_or(self.initial);
        usize::try_from(stream.min(self.windows.get(&0).copied().unwrap_or(65_535))).unwrap_or(0)
    }

    /// Sends data and counts it.
    pub(crate) fn send_data(&mut self, id: u32, data: &[u8], end: bool) {
        self.grow(id, -(data.len() as i64));
        self.grow(0, -(data.len() as i64));
        self.data(id, data, end);
    }

    fn grow(&mut self, id: u32, by: i64) {
        let initial = if id == 0 { 65_535 } else { self.initial };
        *self.windows.entry(id).or_insert(initial) += by;
    }

    /// The same, and its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        let id = self.ask_as(request);
        self.answer(id)
    }

    /// The next frame; its meaning is noted.
    pub(crate) fn next(&mut self) -> Result<Frame, Fault> {
        let head = self.conn.inbox.exactly(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = self.conn.inbox.exactly(length)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        self.note(&frame);
        Ok(frame)
    }

    fn note(&mut self, came: &Frame) {
        let heard = self.streams.entry(came.stream).or_default();
        match came.kind {
            frames::DATA => {
                heard.answer.body.extend_from_slice(&came.payload);
                heard.ended |= came.ends();
                if self.gives_back && !came.payload.is_empty() {
                    let n = came.payload.len() as u32;
                    let both = [0, came.stream].map(|s| frames::number(frames::WINDOW_UPDATE, s, n));
                    // The other side may be gone already.
                    let _ = self.conn.try_send(both.concat());
                }
                return;
            }
            frames::HEADERS => {
                assert_eq!(came.flags & frames::END_HEADERS, frames::END_HEADERS, "short heads");
                let mut fields = frames::fields(&came.payload);
                heard.ended |= came.ends();
                if fields.first().is_none_or(|(name, _)| name != ":status") {
                    heard.answer.trailers = fields;
                } else {
                    let status: u16 = fields.remove(0).1.parse().expect("a status");
                    assert!(fields.iter().all(|(name, _)| *name == name.to_lowercase()), "{fields:?}");
                    let head = Head { start: format!("HTTP/2 {status}"), fields, raw: Vec::new() };
                    if status < 200 {
                        heard.answer.interim.push(head);
                    } else {
                        (heard.answer.status, heard.answer.head) = (status, head);
                    }
                }
            }
            frames::RST_STREAM => heard.reset = Some(came.number()),
            frames::GOAWAY => {
                let n = |at: usize| u32::from_be_bytes(came.payload[at..at + 4].try_into().expect("four"));
                self.goaway = Some((n(0), n(4)));
            }
            frames::WINDOW_UPDATE => self.grow(came.stream, i64::from(came.number())),
            frames::SETTINGS if came.flags & frames::ACK == 0 => {
                for value in came.payload.chunks(6).filter(|value| value[..2] == [0, 4]) {
                    self.initial = i64::from(u32::from_be_bytes(value[2..].try_into().expect("four")));
                }
                let _ = self.conn.try_send(frame(frames::SETTINGS, frames::ACK, 0, b""));
            }
            _ => {}
        }
        self.frames.push(came.clone());
    }

    /// What came on a stream so far.
    pub(crate) fn heard(&self, id: u32) -> Heard {
        self.streams.get(&id).cloned().unwrap_or_default()
    }

    /// Reads until this is so.
    pub(crate) fn until(&mut self, mut done: impl FnMut(&Http2) -> bool) -> Result<(), Fault> {
        while !done(self) {
            self.next()?;
        }
        Ok(())
    }

    /// What came on a stream until it ended or was reset.
    pub(crate) fn try_answer(&mut self, id: u32) -> Result<Heard, Fault> {
        self.until(|c| {
            let heard = c.streams.get(&id);
            heard.is_some_and(|h| h.ended || h.reset.is_some())
        })?;
        Ok(self.heard(id))
    }

    /// The whole answer on a stream.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: u32) -> Answer {
        let heard = self.try_answer(id).expect("an answer");
        assert!(heard.ended, "{heard:?}");
        heard.answer
    }

    /// Asserts that the connection is ended with this code.
    #[track_caller]
    pub(crate) fn expect_ended(&mut self, code: u32) {
        let fault = self.until(|_| false).expect_err("an end");
        assert!(matches!(fault, Fault::Ended | Fault::Cut(_)), "{fault:?}");
        assert_eq!(self.goaway.map(|(_, code)| code), Some(code), "{:?}", self.frames);
    }

    /// Asserts that a stream is reset with this code.
    #[track_caller]
    pub(crate) fn expect_reset(&mut self, id: u32, code: u32) {
        self.until(|c| c.heard(id).reset.is_some()).expect("a reset");
        assert_eq!(self.heard(id).reset, Some(code));
    }

    /// Asserts that another request is served.
    #[track_caller]
    pub(crate) fn expect_serves(&mut self, request: &str) -> Answer {
        let answer = self.ask(request);
        answer.expect_ok();
        answer
    }
}
