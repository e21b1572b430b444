//! An upstream that answers as it is told, byte for byte, and remembers what it received.
use super::message::{Fault, Head, Inbox};
use super::wait::wait_for;
use axum::Router;
use axum::body::Bytes;
use axum::serve::ListenerExt;
use http_body_util::BodyExt;
use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One step of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// Reads the request's body to its end.
    Body,
    /// Sends bytes.
    Say(Vec<u8>),
    /// Waits.
    Pause(u64),
    /// Waits until a test says go.
    Until(Arc<AtomicBool>),
    /// Waits until the gateway ends the connection.
    Silence,
    /// Ends the connection.
    Close,
    /// Resets the connection.
    Reset,
}

impl Do {
    /// The whole request is read, then this is sent.
    pub(crate) fn answer(bytes: impl AsRef<[u8]>) -> Vec<Do> {
        vec![Do::Body, Do::Say(bytes.as_ref().to_vec())]
    }

    /// The same, and the connection ends.
    pub(crate) fn answer_and_close(bytes: impl AsRef<[u8]>) -> Vec<Do> {
        vec![Do::Body, Do::Say(bytes.as_ref().to_vec()), Do::Close]
    }
}

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// The whole request arrived.
    pub(crate) complete: bool,
    /// The gateway ended the connection.
    pub(crate) left: bool,
    /// It did so with a reset, while nothing was said.
    pub(crate) reset: bool,
}

impl Seen {
    pub(crate) fn target(&self) -> &str {
        self.head.word(1)
    }
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }
}

#[derive(Default)]
struct State {
    scripts: Mutex<HashMap<String, Vec<Do>>>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

/// A server on a port of its own.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Upstream {
    pub(crate) fn start() -> Upstream {
        Upstream::at("127.0.0.1:0")
    }

    /// One at a given address.
    pub(crate) fn at(address: &str) -> Upstream {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(socket, &state));
            }
        });
        Upstream { address, state }
    }

    /// How requests are answered whose target holds this tag. Without such an answer they are echoed.
    pub(crate) fn on(&self, tag: &str, script: Vec<Do>) {
        self.state.scripts.lock().expect("no test panics here").insert(tag.to_owned(), script);
    }

    /// What arrived with this text in its head, in order.
    pub(crate) fn seen(&self, text: &str) -> Vec<Seen> {
        let all = self.state.seen.lock().expect("no test panics here");
        all.iter().filter(|s| String::from_utf8_lossy(&s.head.raw).contains(text)).cloned().collect()
    }

    /// The same among the last few.
    pub(crate) fn seen_lately(&self, text: &str) -> Vec<Seen> {
        const FEW: usize = 500;
        let all = self.state.seen.lock().expect("no test panics here");
        let lately = &all[all.len().saturating_sub(FEW)..];
        lately.iter().filter(|s| String::from_utf8_lossy(&s.head.raw).contains(text)).cloned().collect()
    }

    /// How often each target was asked for.
    pub(crate) fn tally(&self) -> HashMap<String, usize> {
        let all = self.state.seen.lock().expect("no test panics here");
        let mut tally = HashMap::new();
        all.iter().for_each(|s| *tally.entry(s.target().to_owned()).or_default() += 1);
        tally
    }

    /// The one request that arrived with this text in its head; waits for it.
    #[track_caller]
    pub(crate) fn one(&self, text: &str) -> Seen {
        let mut all = wait_for(text, || Some(self.seen(text)).filter(|s| !s.is_empty()));
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// Every request that ever arrived.
    pub(crate) fn count(&self) -> usize {
        self.state.seen.lock().expect("no test panics here").len()
    }

    /// Connections that were ever accepted.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

/// A server that gives everybody the same body once a request has come to its end, and remembers nothing: for more requests
/// than there is memory for. One thread serves all of them, which the system treats as the one that starts it: where each had
/// its own, those who measure would wait for the memory of thousands of stacks.
pub(crate) fn answering(body: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let body = Bytes::from(body);
    let answer = async move |mut request: axum::body::Body| {
        while let Some(Ok(_)) = request.frame().await {}
        body.clone()
    };
    std::thread::spawn(move || {
        listener.set_nonblocking(true).expect("a socket");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
            axum::serve(listener, Router::new().fallback(answer)).await
        })
    });
    address
}

fn serve(socket: TcpStream, state: &State) {
    let connection = state.connections.fetch_add(1, Ordering::SeqCst);
    state.open.fetch_add(1, Ordering::SeqCst);
    let _ = socket.set_nodelay(true);
    let _ = socket.set_read_timeout(Some(Duration::from_secs(60)));
    if let Ok(writer) = socket.try_clone() {
        let mut inbox = Inbox::new(socket);
        while let Ok(head) = inbox.head() {
            if exchange(&mut inbox, &writer, state, connection, head).is_none() {
                break;
            }
        }
        // A connection that is to be reset must not be ended properly first.
        if socket2::SockRef::from(&writer).linger().ok().flatten().is_none() {
            let _ = writer.shutdown(Shutdown::Both);
        }
    }
    state.open.fetch_sub(1, Ordering::SeqCst);
}

/// Answers one request; `None` once the connection has ended.
fn exchange(
    inbox: &mut Inbox<TcpStream>,
    mut writer: &TcpStream,
    state: &State,
    connection: usize,
    head: Head,
) -> Option<()> {
    let target = head.word(1).to_owned();
    let index = {
        let mut seen = state.seen.lock().expect("no test panics here");
        seen.push(Seen { connection, head: head.clone(), ..Seen::default() });
        seen.len() - 1
    };
    let note = |change: &dyn Fn(&mut Seen)| {
        change(&mut state.seen.lock().expect("no test panics here")[index]);
    };
    if head.get("transfer-encoding").is_none() && matches!(head.get("content-length"), None | Some("0")) {
        note(&|s| s.complete = true);
    }
    let script = {
        let scripts = state.scripts.lock().expect("no test panics here");
        scripts.iter().find(|(tag, _)| target.contains(tag.as_str())).map(|(_, script)| script.clone())
    };
    let mut body = |inbox: &mut Inbox<TcpStream>| match inbox.body_of(&head) {
        Ok((body, trailers)) => {
            note(&|s| {
                s.body.clone_from(&body);
                s.trailers.clone_from(&trailers);
                s.complete = true;
            });
            Some(body)
        }
        Err(fault) => {
            note(&|s| s.left = true);
            if let Fault::Cut(part) = fault {
                note(&|s| s.body.clone_from(&part));
            }
            None
        }
    };
    let Some(script) = script else { return echo(inbox, writer, &head, &mut body) };
    for step in script {
        match step {
            Do::Body => drop(body(inbox)?),
            Do::Say(bytes) => writer.write_all(&bytes).ok()?,
            Do::Pause(ms) => std::thread::sleep(Duration::from_millis(ms)),
            Do::Until(go) => {
                wait_for("a test to say go", || go.load(Ordering::SeqCst).then_some(()));
            }
            Do::Silence => {
                let fault = std::iter::from_fn(|| Some(inbox.fill())).find_map(Result::err);
                note(&|s| (s.left, s.reset) = (true, matches!(fault, Some(Fault::Cut(_)))));
                return None;
            }
            Do::Close => return None,
            Do::Reset => {
                let _ = socket2::SockRef::from(writer).set_linger(Some(Duration::ZERO));
                return None;
            }
        }
    }
    Some(())
}

/// Answers with the request's body, framed as the last segment of the path says.
fn echo(
    inbox: &mut Inbox<TcpStream>,
    mut writer: &TcpStream,
    head: &Head,
    body: &mut dyn FnMut(&mut Inbox<TcpStream>) -> Option<Vec<u8>>,
) -> Option<()> {
    let path = head.word(1).split('?').next().unwrap_or_default();
    let framing = path.rsplit('/').next().unwrap_or_default();
    if framing == "duplex" {
        return duplex(inbox, writer);
    }
    let body = body(inbox)?;
    let mut out = format!("HTTP/1.1 200 OK\r\nX-Sha256: {}\r\n", super::sha256(&body)).into_bytes();
    match framing {
        "chunked" | "tiny" => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for piece in body.chunks(if framing == "tiny" { 7 } else { 5_000 }) {
                out.extend(format!("{:X};x=1\r\n", piece.len()).bytes());
                out.extend_from_slice(piece);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\nX-Trailer: 1\r\n\r\n");
        }
        "close" => out.extend([b"\r\n", body.as_slice()].concat()),
        _ => {
            out.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
            if head.word(0) != "HEAD" {
                out.extend_from_slice(&body);
            }
        }
    }
    writer.write_all(&out).ok()?;
    (framing != "close").then_some(())
}

/// Sends each chunk back as soon as it has come.
fn duplex(inbox: &mut Inbox<TcpStream>, mut writer: &TcpStream) -> Option<()> {
    writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
    while let Some(data) = inbox.chunk().ok()? {
        let framed = [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat();
        writer.write_all(&framed).ok()?;
    }
    inbox.trailers().ok()?;
    writer.write_all(b"0\r\n\r\n").ok()
}
