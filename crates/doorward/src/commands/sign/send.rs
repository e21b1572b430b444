//! Sends a signed request, and prints the answer.
use super::Made;
use crate::Failure;
use crate::front::roots_in;
use doorward_gateway::wire::{Chunked, Framing, Head, Limits, Lines, Reject, response};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long one of the server's addresses may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// How much is read at once, in bytes.
const ROOM_BYTES: usize = 16_384;

/// The head as it is sent.
pub(super) fn head(made: &Made) -> Vec<u8> {
    let mut out = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", made.method, made.url.target, made.url.host);
    for (name, value) in &made.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    let expected = matches!(made.method.as_str(), "POST" | "PUT" | "PATCH");
    if expected || made.body.is_some() {
        let length = made.body.as_ref().map_or(0, |b| b.bytes().len());
        out.push_str(&format!("Content-Length: {length}\r\n"));
    }
    out.push_str("Connection: close\r\n\r\n");
    out.into_bytes()
}

/// Sends it once, and prints the answer.
///
/// # Errors
/// The server can't be reached, does not answer in HTTP, or refuses the request.
pub(super) fn send(made: &Made, ca_file: Option<&Path>) -> Result<(), Failure> {
    let told = |e: io::Error| {
        let why = match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "it does not answer".to_owned(),
            io::ErrorKind::UnexpectedEof => "it ended the connection within its answer".to_owned(),
            _ => e.to_string(),
        };
        format!("{}: {why}", made.url.host)
    };
    let mut stream = connect(made, ca_file).map_err(told)?;
    let body = made.body.as_ref().map_or(&[][..], |b| b.bytes());
    let written =
        stream.write_all(&head(made)).and_then(|()| stream.write_all(body)).and_then(|()| stream.flush());
    let mut answer = Answer { stream, bytes: Vec::new() };
    // Who refuses a body early answers before all of it was read.
    let head = match (answer.head(made.method == "HEAD"), written) {
        (Err(_), Err(e)) => return Err(told(e).into()),
        (read, _) => read.map_err(told)?,
    };
    let mut out = io::stdout().lock();
    out.write_all(&head.text)?;
    answer.body(head.framing, &mut out).map_err(|e| match e.kind() {
        // Whoever read the output has seen enough.
        io::ErrorKind::BrokenPipe => Failure::from(e),
        _ => told(e).into(),
    })?;
    out.flush()?;
    match head.status {
        400.. => Err(format!("the answer is {}", head.verdict()).into()),
        _ => Ok(()),
    }
}

/// Bytes in both directions.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn connect(made: &Made, ca_file: Option<&Path>) -> io::Result<Box<dyn Stream>> {
    let mut last = io::Error::other("the name has no address");
    for address in (made.url.name.as_str(), made.url.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(socket) => {
                socket.set_read_timeout(Some(SILENCE))?;
                socket.set_write_timeout(Some(SILENCE))?;
                return if made.url.secure {
                    Ok(Box::new(tls(made, ca_file, socket)?))
                } else {
                    Ok(Box::new(socket))
                };
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn tls(
    made: &Made,
    ca_file: Option<&Path>,
    socket: TcpStream,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => roots_in(file, &mut roots).map_err(io::Error::other)?,
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(made.url.name.clone()).map_err(io::Error::other)?;
    let client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(client, socket))
}

/// The head of an answer.
struct AnswerHead {
    status: u16,
    framing: Framing,
    /// Its lines, and the empty one.
    text: Vec<u8>,
    code: Option<String>,
}

impl AnswerHead {
    fn verdict(&self) -> String {
        match &self.code {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

/// An answer that is being read.
struct Answer {
    stream: Box<dyn Stream>,
    /// What was read, and not yet looked at.
    bytes: Vec<u8>,
}

fn not_http(reject: Reject) -> io::Error {
    io::Error::other(format!("the answer is no clean HTTP ({})", reject.detail()))
}

impl Answer {
    /// Reads more; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let before = self.bytes.len();
        self.bytes.resize(before + ROOM_BYTES, 0);
        let read = self.stream.read(&mut self.bytes[before..]);
        self.bytes.truncate(before + read.as_ref().map_or(0, |n| *n));
        Ok(read? > 0)
    }

    /// The final answer's head; interim ones are passed over.
    fn head(&mut self, to_head: bool) -> io::Result<AnswerHead> {
        let limits = Limits { head_bytes: doorward_gateway::wire::MAX_HEAD_BYTES, ..Limits::default() };
        let (mut lines, mut head) = (Lines::default(), Head::default());
        loop {
            let Some(end) = lines.scan(&self.bytes, &limits).map_err(not_http)? else {
                if self.fill()? {
                    continue;
                }
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let raw: Vec<u8> = self.bytes.drain(..end).collect();
            response(&raw, to_head, &limits, &mut head).map_err(not_http)?;
            if head.status < 200 {
                continue;
            }
            let code = head.fields.iter().find(|f| f.name.on(&raw).eq_ignore_ascii_case(b"doorward-code"));
            return Ok(AnswerHead {
                status: head.status,
                framing: head.framing,
                code: code.map(|f| String::from_utf8_lossy(f.value.on(&raw)).into_owned()),
                text: raw.iter().copied().filter(|b| *b != b'\r').collect(),
            });
        }
    }

    fn body(&mut self, framing: Framing, out: &mut impl Write) -> io::Result<()> {
        let mut left = match framing {
            Framing::None => return Ok(()),
            Framing::Length(n) => n,
            Framing::UntilClose => u64::MAX,
            Framing::Chunked => return self.chunks(out),
        };
        loop {
            let n = self.bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            out.write_all(&self.bytes[..n])?;
            self.bytes.clear();
            left -= n as u64;
            if left == 0 {
                return Ok(());
            }
            if !self.fill()? {
                let cut = framing != Framing::UntilClose;
                return if cut { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) };
            }
        }
    }

    fn chunks(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut chunked = Chunked::new(&Limits::default());
        loop {
            let mut data = Vec::new();
            let bytes = &self.bytes;
            let taken =
                chunked.feed(bytes, |range| data.extend_from_slice(&bytes[range])).map_err(not_http)?;
            self.bytes.drain(..taken);
            out.write_all(&data)?;
            if chunked.done() {
                return Ok(());
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
