//! An upstream that answers everything, and keeps every byte that it was sent.
use super::message::Inbox;
use super::strict::{self, Request};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What came over one connection, and how much of it was told already.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    told: usize,
}

type Connections = Arc<Mutex<Vec<Received>>>;

/// A server on a port of its own.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    connections: Connections,
}

impl Recorder {
    pub(crate) fn start() -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let connections = Connections::default();
        let shared = Arc::clone(&connections);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let connections = Arc::clone(&shared);
                std::thread::spawn(move || serve(socket, connections));
            }
        });
        Recorder { address, connections }
    }

    /// The requests that became whole since this was last asked, read by [`strict`].
    ///
    /// # Errors
    /// Something came that has no meaning, or more than one.
    pub(crate) fn fresh(&self) -> Result<Vec<Request>, String> {
        let mut all = Vec::new();
        for received in self.connections.lock().expect("no test panics here").iter_mut() {
            let new = &received.bytes[received.told..];
            let read = strict::reached(new).map_err(|why| format!("{why} in {}", new.escape_ascii()));
            match read {
                Ok((requests, used)) => {
                    received.told += used;
                    all.extend(requests);
                }
                Err(why) => {
                    received.told = received.bytes.len();
                    return Err(why);
                }
            }
        }
        Ok(all)
    }
}

/// Notes what it reads.
struct Tee {
    from: TcpStream,
    connections: Connections,
    nth: usize,
}

impl Read for Tee {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(room)?;
        let mut connections = self.connections.lock().expect("no test panics here");
        connections[self.nth].bytes.extend_from_slice(&room[..n]);
        Ok(n)
    }
}

fn serve(socket: TcpStream, connections: Connections) {
    let _ = socket.set_nodelay(true);
    let _ = socket.set_read_timeout(Some(Duration::from_secs(60)));
    let Ok(mut writer) = socket.try_clone() else { return };
    let nth = {
        let mut all = connections.lock().expect("no test panics here");
        all.push(Received::default());
        all.len() - 1
    };
    let mut inbox = Inbox::new(Tee { from: socket, connections, nth });
    while let Ok(head) = inbox.head() {
        if inbox.body_of(&head).is_err() {
            break;
        }
        let body = if head.word(0) == "HEAD" { "" } else { "ok" };
        if writer.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}").as_bytes()).is_err()
        {
            break;
        }
    }
    let _ = writer.shutdown(std::net::Shutdown::Both);
}
