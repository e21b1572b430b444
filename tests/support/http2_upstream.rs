//! An upstream that speaks HTTP/2 alone, with prior knowledge. It sends back what it is sent, as soon as it comes; the path
//! says what else it does.
use super::frames::{self, frame};
use super::message::{Fields, Inbox};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) connection: usize,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
    pub(crate) ended: bool,
    pub(crate) reset: Option<u32>,
}

impl Asked {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

#[derive(Default)]
struct State {
    asked: Mutex<Vec<Asked>>,
    connections: Mutex<usize>,
    open: AtomicUsize,
}

/// A server on a port of its own.
pub(crate) struct Http2Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Http2Upstream {
    pub(crate) fn start() -> Http2Upstream {
        Http2Upstream::wrapped(Some)
    }

    /// Over whatever `wrap` makes of its sockets.
    pub(crate) fn wrapped<S: Read + Write + 'static>(
        wrap: impl Fn(std::net::TcpStream) -> Option<S> + Send + Sync + 'static,
    ) -> Http2Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let (shared, wrap) = (Arc::clone(&state), Arc::new(wrap));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (state, wrap) = (Arc::clone(&shared), Arc::clone(&wrap));
                std::thread::spawn(move || {
                    let _ = socket.set_nodelay(true);
                    let Some(stream) = wrap(socket) else { return };
                    let connection = {
                        let mut count = state.connections.lock().expect("no test panics here");
                        *count += 1;
                        *count
                    };
                    let inbox = Inbox::new(stream);
                    let mut server = Server {
                        inbox,
                        state,
                        connection,
                        streams: BTreeMap::new(),
                        window: 65_535,
                        initial: 65_535,
                    };
                    server.state.open.fetch_add(1, Ordering::SeqCst);
                    let _ = server.serve();
                    server.state.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Http2Upstream { address, state }
    }

    /// Requests whose path holds this text.
    pub(crate) fn asked(&self, text: &str) -> Vec<Asked> {
        let all = self.state.asked.lock().expect("no test panics here");
        all.iter().filter(|a| a.get(":path").is_some_and(|path| path.contains(text))).cloned().collect()
    }

    /// How many there are.
    pub(crate) fn times(&self, text: &str) -> usize {
        let all = self.state.asked.lock().expect("no test panics here");
        all.iter().filter(|a| a.get(":path").is_some_and(|path| path.contains(text))).count()
    }

    /// Connections that were ever accepted.
    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.lock().expect("no test panics here")
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

/// What is still to be sent on a stream.
#[derive(Default)]
struct Stream {
    index: usize,
    path: String,
    window: i64,
    waiting: Vec<u8>,
    ended: bool,
    grpc: bool,
}

struct Server<S> {
    inbox: Inbox<S>,
    state: Arc<State>,
    connection: usize,
    streams: BTreeMap<u32, Stream>,
    window: i64,
    initial: i64,
}

impl<S: Read + Write> Server<S> {
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        self.inbox.from.write_all(bytes.as_ref()).ok()?;
        self.inbox.from.flush().ok()
    }

    fn note(&self, index: usize, change: impl FnOnce(&mut Asked)) {
        change(&mut self.state.asked.lock().expect("no test panics here")[index]);
    }

    fn serve(&mut self) -> Option<()> {
        assert_eq!(self.inbox.exactly(frames::PREFACE.len()).ok()?, frames::PREFACE);
        self.send(frames::settings(&[(3, 50)]))?;
        loop {
            let head = self.inbox.exactly(9).ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let payload = self.inbox.exactly(length).ok()?;
            let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let end = head[4] & frames::END_STREAM != 0;
            match head[3] {
                frames::HEADERS => self.headers(id, &payload, end)?,
                frames::DATA => {
                    let updates = [0, id].map(|s| frames::number(frames::WINDOW_UPDATE, s, length as u32));
                    if length > 0 {
                        self.send(updates.concat())?;
                    }
                    let stream = self.streams.get_mut(&id)?;
                    stream.waiting.extend_from_slice(&payload);
                    stream.ended |= end;
                    let index = stream.index;
                    self.note(index, |a| {
                        a.body.extend_from_slice(&payload);
                        a.ended |= end;
                    });
                    self.flush(id)?;
                }
                frames::RST_STREAM => {
                    let code = u32::from_be_bytes(payload[..4].try_into().ok()?);
                    if let Some(stream) = self.streams.remove(&id) {
                        self.note(stream.index, |a| a.reset = Some(code));
                    }
                }
                frames::SETTINGS if head[4] & frames::ACK == 0 => {
                    for value in payload.chunks(6).filter(|value| value[..2] == [0, 4]) {
                        self.initial = i64::from(u32::from_be_bytes(value[2..].try_into().ok()?));
                    }
                    self.send(frame(frames::SETTINGS, frames::ACK, 0, b""))?;
                }
                frames::WINDOW_UPDATE => {
                    let more = i64::from(u32::from_be_bytes(payload[..4].try_into().ok()?));
                    match self.streams.get_mut(&id) {
                        Some(stream) => stream.window += more,
                        None if id == 0 => self.window += more,
                        None => {}
                    }
                    let ids: Vec<u32> = self.streams.keys().copied().collect();
                    for id in ids {
                        self.flush(id)?;
                    }
                }
                frames::GOAWAY => return None,
                _ => {}
            }
        }
    }

    fn headers(&mut self, id: u32, payload: &[u8], end: bool) -> Option<()> {
        let fields = frames::fields(payload);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ended = true;
            let index = stream.index;
            self.note(index, |a| (a.trailers, a.ended) = (fields, true));
            return self.flush(id);
        }
        let get =
            |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
        let (path, grpc) = (get(":path"), get("content-type") == "application/grpc");
        let index = {
            let mut asked = self.state.asked.lock().expect("no test panics here");
            asked.push(Asked { connection: self.connection, fields, ended: end, ..Asked::default() });
            asked.len() - 1
        };
        let answer = |fields: &[(&str, &str)], end: bool| {
            let flags = frames::END_HEADERS | if end { frames::END_STREAM } else { 0 };
            frame(frames::HEADERS, flags, id, &frames::block(fields))
        };
        let ok = (":status", "200");
        let (window, stream_path) = (self.initial, path.clone());
        self.streams
            .insert(id, Stream { index, path: stream_path, window, ended: end, grpc, ..Stream::default() });
        match () {
            () if path.contains("refuse") => {
                self.send(frames::number(frames::RST_STREAM, id, frames::REFUSED_STREAM))
            }
            () if path.contains("goaway") => {
                let gone = [(id - 2).to_be_bytes(), 0_u32.to_be_bytes()].concat();
                self.send(frame(frames::GOAWAY, 0, 0, &gone))
            }
            () if path.contains("hold") => Some(()),
            () if path.contains("only") => {
                self.streams.remove(&id);
                let fields =
                    [ok, ("content-type", "application/grpc"), ("grpc-status", "7"), ("grpc-message", "no")];
                self.send(answer(&fields, true))
            }
            () if path.contains("nothing") => self.send(answer(&[(":status", "204")], true)),
            () if path.contains("long") => {
                let data =
                    [answer(&[ok, ("content-length", "3")], false), frame(frames::DATA, 1, id, b"four")];
                self.send(data.concat())
            }
            () if path.contains("wrong") => self.send(answer(&[ok, ("connection", "close")], true)),
            () if path.contains("length") => {
                let early = answer(&[(":status", "103"), ("link", "</a>")], false);
                let data = [
                    early,
                    answer(&[ok, ("content-length", "5")], false),
                    frame(frames::DATA, 1, id, b"hello"),
                ];
                self.send(data.concat())
            }
            () => {
                let kind = if grpc { "application/grpc" } else { "text/plain" };
                self.send(answer(&[ok, ("content-type", kind)], false))?;
                self.flush(id)
            }
        }
    }

    /// Sends what there is room for.
    fn flush(&mut self, id: u32) -> Option<()> {
        let Some(stream) = self.streams.get_mut(&id) else { return Some(()) };
        if ["hold", "refuse", "goaway", "nothing", "long", "wrong", "length"]
            .iter()
            .any(|w| stream.path.contains(w))
        {
            return Some(());
        }
        let mut out = Vec::new();
        while !stream.waiting.is_empty() {
            let room = usize::try_from(stream.window.min(self.window)).unwrap_or(0).min(16_384);
            let n = room.min(stream.waiting.len());
            if n == 0 {
                break;
            }
            let data: Vec<u8> = stream.waiting.drain(..n).collect();
            stream.window -= n as i64;
            self.window -= n as i64;
            out.extend(frame(frames::DATA, 0, id, &data));
        }
        if stream.ended && stream.waiting.is_empty() {
            let flags = frames::END_HEADERS | frames::END_STREAM;
            let name = if stream.grpc { "grpc-status" } else { "x-trailer" };
            out.extend(frame(frames::HEADERS, flags, id, &frames::block(&[(name, "0")])));
            self.streams.remove(&id);
        }
        self.send(out)
    }
}
