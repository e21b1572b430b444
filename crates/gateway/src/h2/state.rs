//! What both ends of a connection share: its streams, what is to be sent, how much may be sent and received.
//!
//! One task, the driver, reads and writes the socket; each stream is a task of its own, which reads and writes a
//! [`Bridge`](super::bridge::Bridge). They meet here. Everything stays on one core, so a `RefCell` does, and nothing is
//! ever borrowed while something else runs.
use super::flood::{Guard, Kind};
use super::frame::{self, Code};
use super::heads::{Fields, Shape};
use super::hpack::Decoder;
use super::{
    CONNECTION_WINDOW_BYTES, DEFAULT_WINDOW_BYTES, FRAME_BYTES, HEADER_TABLE_BYTES, IDLE_TEXT_BYTES,
    MAX_STREAMS, OUT_BYTES, STREAM_WINDOW_BYTES,
};
use crate::stats::CoreStats;
use crate::wire::{self, Head, Reject};
use hashbrown::HashMap;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Memory for frames that a connection without streams keeps, in bytes.
const IDLE_OUT_BYTES: usize = 4 * 1024;
/// Places for streams that it keeps.
const IDLE_STREAMS: usize = 16;

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Callers ask here.
    Server,
    /// This node asks an upstream; over TLS or not.
    Client {
        /// What `:scheme` says.
        secure: bool,
    },
}

/// Nothing more comes on the connection, or nothing more may: why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fatal(pub(super) Code, pub(super) &'static str);

/// How far what the other side sends on a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Its head is awaited (of an answer).
    Head,
    /// More of its body may come.
    Body,
    /// All has come.
    Ended,
    /// The other side took it back.
    Reset,
    /// It is not what it said to be.
    Malformed(Reject),
}

/// A stream, for as long as its bridge lives.
pub(super) struct Stream {
    pub(super) incoming: Incoming,
    /// Bytes that are read before any data: heads, the sizes of chunks, what ends a body.
    pub(super) front: Vec<u8>,
    pub(super) front_at: usize,
    pub(super) data: Vec<u8>,
    pub(super) data_at: usize,
    pub(super) shape: Shape,
    /// Bytes of data that belong to the chunk whose size was read.
    pub(super) chunk_left: usize,
    /// Its end was read, or stands in `front`.
    pub(super) told_end: bool,
    pub(super) trailers: Vec<u8>,
    /// What the other side may still send.
    pub(super) receive_window: i64,
    /// What was read and not yet given back.
    pub(super) unreturned: u32,
    pub(super) send_window: i64,
    /// All of ours was sent, or nothing more will be.
    pub(super) sent_end: bool,
    /// When its head was sent, and how often something had come by then (of a request to an upstream).
    pub(super) asked: Option<(Instant, u64)>,
    /// Its request is HEAD.
    pub(super) to_head: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Stream {
    pub(super) fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }

    pub(super) fn wake_reader(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Whether the other side counts it as open.
    fn is_open(&self) -> bool {
        match self.incoming {
            Incoming::Reset => false,
            Incoming::Ended => !self.sent_end,
            _ => true,
        }
    }
}

/// A header block on its way.
pub(super) struct Block {
    pub(super) stream: u32,
    pub(super) end: bool,
    pub(super) depends_on_itself: bool,
    pub(super) frames: usize,
    pub(super) bytes: Vec<u8>,
}

/// DATA on its way.
#[derive(Clone, Copy)]
pub(super) struct Payload {
    pub(super) stream: u32,
    pub(super) left: usize,
    pub(super) padding: usize,
    pub(super) end: bool,
}

/// What the other side has said.
pub(super) struct Peer {
    pub(super) window: i64,
    pub(super) frame_bytes: usize,
    pub(super) streams: usize,
}

/// A request that has come: its stream, and why it is refused if it is.
pub(super) struct Born {
    pub(super) stream: u32,
    pub(super) wrong: Option<super::wrong::Wrong>,
}

/// One connection.
pub(super) struct State {
    pub(super) role: Role,
    pub(super) limits: wire::Limits,
    /// Frames to be sent.
    pub(super) out: Vec<u8>,
    pub(super) out_at: usize,
    pub(super) streams: HashMap<u32, Stream>,
    /// The last stream that was begun, by whoever begins them.
    pub(super) last: u32,
    /// Counts streams that were asked for and have no id yet.
    pub(super) reserved: u32,
    pub(super) peer: Peer,
    pub(super) send_window: i64,
    pub(super) receive_window: i64,
    unreturned: u32,
    pub(super) decoder: Decoder,
    pub(super) fields: Fields,
    pub(super) head: Head,
    /// Where header blocks are written before they are cut into frames.
    pub(super) packed: Vec<u8>,
    /// Nothing was compressed yet.
    pub(super) first_block: bool,
    pub(super) block: Option<Block>,
    pub(super) payload: Option<Payload>,
    /// The other side's SETTINGS have come.
    pub(super) settled: bool,
    pub(super) preface_left: usize,
    pub(super) guard: Guard,
    /// What there was too much of, where it was ended for that: one of [`super::FLOODS`].
    pub(super) flooded: Option<&'static str>,
    pub(super) stats: Option<Arc<CoreStats>>,
    /// Streams that were taken back (client).
    pub(super) resets: u32,
    /// When one was taken back without being counted.
    pub(super) spared: Option<Instant>,
    /// How often something came.
    pub(super) heard: u64,
    /// The tick now, as the driver knows it.
    pub(super) tick: u32,
    /// Requests that wait until they are begun.
    pub(super) born: VecDeque<Born>,
    /// Streams after this one are not taken any more (server), or not begun any more (client).
    pub(super) closing: Option<u32>,
    pub(super) over: bool,
    pub(super) driver: Option<Waker>,
}

/// A connection that its driver and its streams hold.
pub(super) type Shared = Rc<RefCell<State>>;

impl State {
    /// `window_bytes`: how much data may come on the connection before any of it is read.
    pub(super) fn new(role: Role, window_bytes: u32, limits: wire::Limits) -> State {
        let mut state = State {
            role,
            limits,
            out: Vec::new(),
            out_at: 0,
            streams: HashMap::new(),
            last: 0,
            reserved: 0,
            peer: Peer { window: DEFAULT_WINDOW_BYTES, frame_bytes: FRAME_BYTES, streams: MAX_STREAMS },
            send_window: DEFAULT_WINDOW_BYTES,
            receive_window: i64::from(window_bytes),
            unreturned: 0,
            decoder: Decoder::new(HEADER_TABLE_BYTES),
            fields: Fields::default(),
            head: Head::default(),
            packed: Vec::new(),
            first_block: true,
            block: None,
            payload: None,
            settled: false,
            preface_left: if role == Role::Server { frame::PREFACE.len() } else { 0 },
            guard: Guard::default(),
            flooded: None,
            stats: None,
            resets: 0,
            spared: None,
            heard: 0,
            tick: 0,
            born: VecDeque::new(),
            closing: None,
            over: false,
            driver: None,
        };
        state.greet(window_bytes);
        state
    }

    /// Everything that a connection says first.
    fn greet(&mut self, window_bytes: u32) {
        const TABLE: u16 = 1;
        const PUSH: u16 = 2;
        const STREAMS: u16 = 3;
        const WINDOW: u16 = 4;
        const FRAME: u16 = 5;
        const LIST: u16 = 6;
        let common = [
            (TABLE, HEADER_TABLE_BYTES as u32),
            (WINDOW, STREAM_WINDOW_BYTES),
            (FRAME, FRAME_BYTES as u32),
            (LIST, self.limits.head_bytes as u32),
        ];
        let (first, own) = match self.role {
            Role::Server => (&b""[..], (STREAMS, MAX_STREAMS as u32)),
            Role::Client { .. } => (frame::PREFACE, (PUSH, 0)),
        };
        self.out.extend_from_slice(first);
        let [a, b, c, d] = common;
        frame::put_settings(&mut self.out, &[own, a, b, c, d]);
        frame::put_window(&mut self.out, 0, window_bytes - DEFAULT_WINDOW_BYTES as u32);
    }

    pub(super) fn stream(&mut self, incoming: Incoming) -> Stream {
        Stream {
            incoming,
            front: Vec::new(),
            front_at: 0,
            data: Vec::new(),
            data_at: 0,
            shape: Shape::Nothing,
            chunk_left: 0,
            told_end: false,
            trailers: Vec::new(),
            receive_window: i64::from(STREAM_WINDOW_BYTES),
            unreturned: 0,
            send_window: self.peer.window,
            sent_end: false,
            asked: None,
            to_head: false,
            reader: None,
            writer: None,
        }
    }

    /// Streams that the other side counts as open.
    pub(super) fn open(&self) -> usize {
        self.streams.values().filter(|stream| stream.is_open()).count()
    }

    pub(super) fn wake_driver(&mut self) {
        self.driver.take().into_iter().for_each(Waker::wake);
    }

    /// Gives back memory that was needed for a while. What is idle keeps little.
    pub(super) fn shrink(&mut self) {
        let most = if self.streams.is_empty() { IDLE_OUT_BYTES } else { 2 * OUT_BYTES };
        if self.out.capacity() > most {
            self.out = Vec::new();
        }
        if !self.streams.is_empty() {
            return;
        }
        if self.streams.capacity() > IDLE_STREAMS {
            self.streams = HashMap::new();
            self.born = VecDeque::new();
        }
        let Decoder { name, value, .. } = &mut self.decoder;
        for text in [name, value, &mut self.packed].into_iter().chain(self.fields.texts()) {
            if text.capacity() > IDLE_TEXT_BYTES {
                *text = Vec::new();
            }
        }
    }

    /// Bytes that wait for the socket.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.out_at
    }

    /// How many bytes of data a stream may send now, of at most so many; registers it where there is no room.
    pub(super) fn room(&mut self, id: u32, most: usize, cx: &Context<'_>) -> Poll<usize> {
        let free = OUT_BYTES.saturating_sub(self.waiting());
        let connection = self.send_window;
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Ready(0) };
        let window = usize::try_from(stream.send_window.min(connection)).unwrap_or(0);
        let room = most.min(free).min(window);
        if room == 0 {
            stream.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(room)
    }

    /// Counts data as sent.
    pub(super) fn spend(&mut self, id: u32, bytes: usize) {
        self.send_window -= bytes as i64;
        let mut window = self.send_window;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.send_window -= bytes as i64;
            window = window.min(stream.send_window);
        }
        self.guard.sent(bytes, window > 0);
    }

    /// Lets everybody who waits for room try again.
    pub(super) fn wake_writers(&mut self) {
        for stream in self.streams.values_mut() {
            stream.writer.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Data was read, or thrown away: the other side may send more.
    pub(super) fn give_back(&mut self, id: u32, bytes: usize) {
        let bytes = bytes as u32;
        self.unreturned += bytes;
        if self.unreturned >= CONNECTION_WINDOW_BYTES / 2 {
            self.receive_window += i64::from(self.unreturned);
            let more = std::mem::take(&mut self.unreturned);
            frame::put_window(&mut self.out, 0, more);
            self.wake_driver();
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.unreturned += bytes;
        let wanted = matches!(stream.incoming, Incoming::Head | Incoming::Body);
        if wanted && stream.unreturned >= STREAM_WINDOW_BYTES / 2 {
            stream.receive_window += i64::from(stream.unreturned);
            let more = std::mem::take(&mut stream.unreturned);
            frame::put_window(&mut self.out, id, more);
            self.wake_driver();
        }
    }

    /// Resets a stream because of what was sent on it.
    pub(super) fn misused(&mut self, id: u32, code: Code, as_what: Incoming) -> Result<(), Fatal> {
        frame::put_reset(&mut self.out, id, code);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.incoming = as_what;
            stream.sent_end = true;
            stream.wake();
        }
        self.note(Kind::Misused)
    }

    /// Counts what brings nothing.
    pub(super) fn note(&mut self, kind: Kind) -> Result<(), Fatal> {
        // An upstream was chosen by whoever runs this node.
        if self.role == Role::Server && !self.guard.note(kind, self.tick) {
            return Err(Fatal(Code::EnhanceYourCalm, kind.name()));
        }
        Ok(())
    }

    /// Ends everything: nothing more is read, and no stream goes on.
    pub(super) fn end(&mut self, code: Code) {
        if self.over {
            return;
        }
        self.over = true;
        let last = if self.role == Role::Server { self.last } else { 0 };
        frame::put_goaway(&mut self.out, last, code);
        for stream in self.streams.values_mut() {
            if stream.incoming != Incoming::Ended {
                stream.incoming = Incoming::Reset;
            }
            stream.wake();
        }
        self.wake_driver();
    }
}
