//! A caller that asks one thing after the other, in HTTP/1.1 or HTTP/2, and an upstream that always says the same. Both
//! send each message in one piece, so that the node between them does the same each time.

use crate::Outcome;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long an answer may take: under callgrind everything takes long.
const ANSWER_S: u64 = 20;

const BODY: &str = r#"{"id":"v_0001","code":"FESTIVE-2026","type":"GIFT_VOUCHER","active":true}"#;

/// A request without a body.
pub(super) struct Request {
    pub(super) host: String,
    pub(super) target: String,
    /// Names in lower case.
    pub(super) fields: Vec<(String, String)>,
}

/// Starts an upstream that ends with this process.
pub(super) fn upstream() -> Outcome<SocketAddr> {
    let broken = |e: std::io::Error| format!("an upstream: {e}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(broken)?;
    let address = listener.local_addr().map_err(broken)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let said = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut heard = Vec::new();
    let mut part = [0; 4_096];
    loop {
        match stream.read(&mut part)? {
            0 => return Ok(()),
            read => heard.extend_from_slice(&part[..read]),
        }
        if heard.ends_with(b"\r\n\r\n") {
            heard.clear();
            stream.write_all(said.as_bytes())?;
        }
    }
}

/// A connection to the node.
pub(super) struct Caller {
    stream: TcpStream,
    /// What was read and not yet used.
    heard: Vec<u8>,
    /// Over HTTP/2, the next stream.
    http2: Option<u32>,
}

/// HTTP/2: what a client begins with (RFC 9113 3.4), frames (6), and flags.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// HPACK: `:status: 200` of the static table (RFC 7541 A), and the first place of the dynamic table.
const STATUS_200: u8 = 0x88;
const DYNAMIC: usize = 62;

impl Caller {
    pub(super) fn connect(address: SocketAddr, http2: bool) -> Outcome<Caller> {
        let stream = TcpStream::connect(address).map_err(broken)?;
        stream.set_read_timeout(Some(Duration::from_secs(ANSWER_S))).map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        let mut caller = Caller { stream, heard: Vec::new(), http2: http2.then_some(1) };
        if http2 {
            // Room for all answers on the connection: no window has to be opened on the way.
            let more = frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 24).to_be_bytes());
            caller.say(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &more].concat())?;
        }
        Ok(caller)
    }

    /// Sends a request and reads its answer, which must be 200.
    pub(super) fn ask(&mut self, request: &Request) -> Outcome {
        match self.http2 {
            None => {
                let mut head = format!("GET {} HTTP/1.1\r\nhost: {}\r\n", request.target, request.host);
                for (name, value) in &request.fields {
                    head += &format!("{name}: {value}\r\n");
                }
                self.say(format!("{head}\r\n").as_bytes())?;
                self.hear()
            }
            Some(stream) => {
                self.http2 = Some(stream + 2);
                let block = block(request, stream == 1)?;
                self.say(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block))?;
                self.hear_http2(stream)
            }
        }
    }

    fn hear(&mut self) -> Outcome {
        let end = loop {
            match self.heard.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more()?,
            }
        };
        let head = String::from_utf8_lossy(&self.heard[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let length: usize = length.ok_or_else(|| format!("an answer without its length:\n{head}"))?;
        while self.heard.len() < end + length {
            self.more()?;
        }
        self.heard.drain(..end + length);
        if head.starts_with("http/1.1 200 ") { Ok(()) } else { Err(format!("answered with\n{head}")) }
    }

    fn hear_http2(&mut self, stream: u32) -> Outcome {
        loop {
            let Some(&[a, b, c, kind, flags, d, e, f, g]) = self.heard.first_chunk() else {
                self.more()?;
                continue;
            };
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let id = u32::from_be_bytes([d, e, f, g]);
            while self.heard.len() < 9 + length {
                self.more()?;
            }
            let payload: Vec<u8> = self.heard.drain(..9 + length).skip(9).collect();
            match kind {
                SETTINGS if flags & ACK == 0 => self.say(&frame(SETTINGS, ACK, 0, &[]))?,
                PING if flags & ACK == 0 => self.say(&frame(PING, ACK, 0, &payload))?,
                SETTINGS | PING | WINDOW_UPDATE => (),
                HEADERS | DATA if id == stream => {
                    // A change of the table's size may come first.
                    let mut first = payload.iter().skip_while(|byte| (0x20..0x40).contains(*byte));
                    if kind == HEADERS && first.next() != Some(&STATUS_200) {
                        return Err(format!("not answered with 200: {payload:?}"));
                    }
                    if flags & END_STREAM != 0 {
                        return Ok(());
                    }
                }
                _ => return Err(format!("a frame of type {kind} on stream {id}: {payload:?}")),
            }
        }
    }

    fn say(&mut self, bytes: &[u8]) -> Outcome {
        self.stream.write_all(bytes).map_err(broken)
    }

    fn more(&mut self) -> Outcome {
        let mut part = [0; 4_096];
        let read = self.stream.read(&mut part).map_err(broken)?;
        self.heard.extend_from_slice(&part[..read]);
        if read == 0 { Err("the node closed the connection".to_owned()) } else { Ok(()) }
    }
}

fn broken(e: std::io::Error) -> String {
    format!("a connection to the node: {e}")
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[a, b, c, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

/// A request's fields as HPACK: all of them are remembered the first time, and only named from then on, as clients do.
fn block(request: &Request, first: bool) -> Outcome<Vec<u8>> {
    let own = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", &*request.host),
        (":path", &*request.target),
    ];
    let named = request.fields.iter().map(|(name, value)| (&**name, &**value));
    let all: Vec<(&str, &str)> = own.into_iter().chain(named).collect();
    let mut block = Vec::new();
    for (number, (name, value)) in all.iter().enumerate() {
        if !first {
            // The newest has the first place.
            block.push(0x80 | (DYNAMIC + all.len() - 1 - number) as u8);
            continue;
        }
        block.push(0x40);
        for text in [name, value] {
            // Longer ones would need more than one byte for their length (RFC 7541 5.1).
            let length = u8::try_from(text.len()).ok().filter(|length| *length < 0x7f);
            block.push(length.ok_or_else(|| format!("{name} is too long"))?);
            block.extend_from_slice(text.as_bytes());
        }
    }
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sent_once_and_named_from_then_on() {
        let fields = vec![("a".to_owned(), "b".to_owned())];
        let request = Request { host: "h".to_owned(), target: "/".to_owned(), fields };
        let whole = block(&request, true).unwrap();
        assert!(whole.starts_with(b"\x40\x07:method\x03GET\x40\x07:scheme\x04http"));
        assert!(whole.ends_with(b"\x40\x01a\x01b"));
        assert_eq!(block(&request, false).unwrap(), [0x80 | 66, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]);
        let long = Request { target: "/".repeat(127), ..request };
        assert!(block(&long, true).is_err());
    }

    #[test]
    fn a_caller_and_an_upstream_understand_each_other() {
        let address = upstream().unwrap();
        let mut caller = Caller::connect(address, false).unwrap();
        let fields = vec![("a".to_owned(), "b".to_owned())];
        let request = Request { host: address.to_string(), target: "/".to_owned(), fields };
        for _ in 0..3 {
            caller.ask(&request).unwrap();
        }
        assert!(caller.heard.is_empty());
    }
}
