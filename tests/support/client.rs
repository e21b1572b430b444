//! A caller's connection: bytes as a test writes them.
use super::message::{Answer, Fault, Inbox};
use super::wait::DEADLINE;
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// The host that requests are for, where a test says nothing else.
pub(crate) const HOST: &str = "api.example.com";

/// A stream, with or without TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(room),
            Stream::Tls(tls) => tls.read(room),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// A connection to the gateway.
pub(crate) struct Conn {
    pub(crate) inbox: Inbox<Stream>,
}

impl Conn {
    pub(crate) fn over(stream: Stream) -> Conn {
        let socket = stream.socket();
        socket.set_nodelay(true).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
        socket.set_write_timeout(Some(DEADLINE)).expect("a socket");
        Conn { inbox: Inbox::new(stream) }
    }

    pub(crate) fn over_socket(socket: TcpStream) -> Conn {
        Conn::over(Stream::Plain(socket))
    }

    pub(crate) fn open(address: SocketAddr) -> Conn {
        Conn::over_socket(TcpStream::connect(address).expect("the gateway accepts connections"))
    }

    /// Comes from another address of this machine.
    pub(crate) fn from_address(source: &str, address: SocketAddr) -> Conn {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let source: SocketAddr = format!("{source}:0").parse().expect("an address");
        socket.bind(&source.into()).expect("every address of 127.0.0.0/8 is this machine's");
        socket.connect(&address.into()).expect("the gateway accepts connections");
        Conn::over(Stream::Plain(socket.into()))
    }

    /// How long one read may wait.
    pub(crate) fn patience(self, span: Duration) -> Conn {
        self.inbox.from.socket().set_read_timeout(Some(span)).expect("a socket");
        self
    }

    /// A second handle on a plain connection, for sending while something is read.
    pub(crate) fn writer(&self) -> TcpStream {
        self.inbox.from.socket().try_clone().expect("a socket")
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.inbox.from.write_all(bytes.as_ref())?;
        self.inbox.from.flush()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Conn {
        self.try_send(bytes).expect("the gateway reads");
        self
    }

    /// One byte a packet.
    pub(crate) fn dribble(&mut self, bytes: impl AsRef<[u8]>) -> &mut Conn {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
        self
    }

    pub(crate) fn try_answer(&mut self, method: &str) -> Result<Answer, Fault> {
        self.inbox.answer(method)
    }

    /// The next answer.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer("GET").expect("an answer")
    }

    /// Says that nothing more will be sent.
    pub(crate) fn end_sending(&mut self) {
        self.inbox.from.socket().shutdown(Shutdown::Write).expect("a socket");
    }

    /// Asserts that the gateway ends the connection without another byte.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        assert_eq!(self.inbox.waiting(), b"", "something behind the last answer");
        let fault = self.inbox.fill();
        assert!(matches!(fault, Err(Fault::Ended | Fault::Cut(_))), "{fault:?}: {:?}", self.inbox.waiting());
    }

    /// Asserts that the connection still serves: sends a request and gets its answer.
    #[track_caller]
    pub(crate) fn expect_serves(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer()
    }
}
