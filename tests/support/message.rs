//! HTTP/1.1 messages, read strictly: what is not exactly right is a fault.
use std::fmt;
use std::io::{ErrorKind, Read};

/// Names and values, in order.
pub(crate) type Fields = Vec<(String, String)>;

/// Why no whole message came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The other side ended the connection before a message began.
    Ended,
    /// The connection ended within a message; what had come of its body.
    Cut(Vec<u8>),
    /// Nothing came in time; what had come of the body.
    Silent(Vec<u8>),
    /// Something came that is no message.
    Malformed(String),
}

/// Start line and fields.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) start: String,
    /// In order, names as sent.
    pub(crate) fields: Fields,
    pub(crate) raw: Vec<u8>,
}

impl Head {
    fn parse(raw: Vec<u8>) -> Result<Head, Fault> {
        let bad = |why: &str| Err(Fault::Malformed(format!("{why}: {:?}", String::from_utf8_lossy(&raw))));
        let text: String = raw.iter().map(|b| char::from(*b)).collect();
        let mut lines = text[..text.len() - 4].split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { return bad("a field without a colon") };
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(token) {
                return bad("a field name that is no token");
            }
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        if text.chars().any(|c| c.is_ascii_control() && !"\r\n\t".contains(c))
            || text.replace("\r\n", "").contains(['\r', '\n'])
        {
            return bad("a control character");
        }
        Ok(Head { start, fields, raw })
    }

    /// Every value of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The value of a field that is there at most once.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there more than once: {all:?}");
        all.first().copied()
    }

    /// Names in lower case, sorted, each once.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.fields.iter().map(|(n, _)| n.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// One of the three words of a start line.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.start.splitn(3, ' ').nth(index).unwrap_or_default()
    }
}

/// As it was sent.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.raw))
    }
}

/// A whole answer.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
    /// Interim answers that came before, oldest first.
    pub(crate) interim: Vec<Head>,
    /// Whether the end of the body was the end of the connection.
    pub(crate) until_close: bool,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(400)]);
        write!(
            f,
            "{:?} {:?} + {} bytes: {start:?} {:?}",
            self.interim,
            self.head,
            self.body.len(),
            self.trailers
        )
    }
}

impl Answer {
    /// The value of a field that is there at most once.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }
    /// `Doorward-Code`; empty where there is none.
    pub(crate) fn code(&self) -> &str {
        self.get("doorward-code").unwrap_or_default()
    }
    /// `Doorward-Request-Id`, which every answer has.
    pub(crate) fn id(&self) -> &str {
        let id = self.get("doorward-request-id").unwrap_or_else(|| panic!("no request id: {self:?}"));
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "request id {id}");
        id
    }
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
    /// Whether the sender says that the connection ends.
    pub(crate) fn closes(&self) -> bool {
        self.get("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"))
    }
    /// Asserts status and code.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16, code: &str) -> &Answer {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        let _ = self.id();
        self
    }
    /// Asserts an answer of the upstream that was let through.
    #[track_caller]
    pub(crate) fn expect_ok(&self) -> &Answer {
        self.expect(200, "")
    }
}

/// Reads messages from a stream, keeping what comes behind them.
pub(crate) struct Inbox<R> {
    pub(crate) from: R,
    bytes: Vec<u8>,
    taken: usize,
}

impl<R: Read> Inbox<R> {
    pub(crate) fn new(from: R) -> Inbox<R> {
        Inbox { from, bytes: Vec::new(), taken: 0 }
    }

    /// What was received and not yet read.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let out = self.bytes[self.taken..self.taken + n].to_vec();
        self.taken += n;
        if self.taken == self.bytes.len() || self.taken > 1 << 20 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        out
    }

    /// Reads more. `Ended` for a proper end, `Cut` for a reset or a TLS stream without its closing alert.
    pub(crate) fn fill(&mut self) -> Result<(), Fault> {
        let mut room = [0; 65_536];
        loop {
            return match self.from.read(&mut room) {
                Ok(0) => Err(Fault::Ended),
                Ok(n) => {
                    self.bytes.extend_from_slice(&room[..n]);
                    Ok(())
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    Err(Fault::Silent(Vec::new()))
                }
                Err(_) => Err(Fault::Cut(Vec::new())),
            };
        }
    }

    fn fill_within(&mut self, so_far: &[u8]) -> Result<(), Fault> {
        self.fill().map_err(|fault| match fault {
            Fault::Ended | Fault::Cut(_) => Fault::Cut(so_far.to_vec()),
            Fault::Silent(_) => Fault::Silent(so_far.to_vec()),
            other => other,
        })
    }

    /// One head.
    pub(crate) fn head(&mut self) -> Result<Head, Fault> {
        let mut looked = 0;
        loop {
            let from = looked.max(3) - 3;
            if let Some(at) = self.waiting()[from..].windows(4).position(|w| w == b"\r\n\r\n") {
                return Head::parse(self.take(from + at + 4));
            }
            looked = self.waiting().len();
            if looked == 0 { self.fill()? } else { self.fill_within(&[])? }
        }
    }

    fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(at) = self.waiting().windows(2).position(|w| w == b"\r\n") {
                let line = self.take(at + 2);
                return Ok(line[..at].iter().map(|b| char::from(*b)).collect());
            }
            self.fill_within(&[])?;
        }
    }

    /// So many bytes.
    pub(crate) fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::with_capacity(length.min(1 << 20));
        while out.len() < length {
            if self.waiting().is_empty() {
                self.fill_within(&out)?;
            }
            let n = self.waiting().len().min(length - out.len());
            out.extend(self.take(n));
        }
        Ok(out)
    }

    /// Up to the proper end of the connection.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>, Fault> {
        let mut out = self.take(self.waiting().len());
        loop {
            match self.fill() {
                Ok(()) => out.extend(self.take(self.waiting().len())),
                Err(Fault::Ended) => return Ok(out),
                Err(Fault::Cut(_)) => return Err(Fault::Cut(out)),
                Err(Fault::Silent(_)) => return Err(Fault::Silent(out)),
                Err(other) => return Err(other),
            }
        }
    }

    /// One chunk of a chunked body; `None` for the last one.
    pub(crate) fn chunk(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let line = self.line()?;
        let plain = !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
        let size = usize::from_str_radix(&line, 16).ok().filter(|_| plain);
        let size = size.ok_or_else(|| Fault::Malformed(format!("a chunk size: {line:?}")))?;
        if size == 0 {
            return Ok(None);
        }
        let data = self.exactly(size)?;
        match self.exactly(2).map_err(|_| Fault::Cut(data.clone()))?.as_slice() {
            b"\r\n" => Ok(Some(data)),
            other => Err(Fault::Malformed(format!("behind a chunk: {other:?}"))),
        }
    }

    /// The trailer section behind the last chunk.
    pub(crate) fn trailers(&mut self) -> Result<Fields, Fault> {
        let mut out = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(out);
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| Fault::Malformed(format!("a trailer: {line:?}")))?;
            out.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// A chunked body with its trailers.
    pub(crate) fn chunked(&mut self) -> Result<(Vec<u8>, Fields), Fault> {
        let mut body = Vec::new();
        let with = |mut body: Vec<u8>, fault| match fault {
            Fault::Cut(part) => {
                body.extend(part);
                Fault::Cut(body)
            }
            Fault::Silent(part) => {
                body.extend(part);
                Fault::Silent(body)
            }
            other => other,
        };
        loop {
            match self.chunk() {
                Ok(Some(data)) => body.extend(data),
                Ok(None) => break,
                Err(fault) => return Err(with(body, fault)),
            }
        }
        match self.trailers() {
            Ok(trailers) => Ok((body, trailers)),
            Err(fault) => Err(with(body, fault)),
        }
    }

    /// The body of a request that begins with `head`.
    pub(crate) fn body_of(&mut self, head: &Head) -> Result<(Vec<u8>, Fields), Fault> {
        match (head.get("transfer-encoding"), length_of(head)?) {
            (Some("chunked"), None) => self.chunked(),
            (None, length) => Ok((self.exactly(length.unwrap_or(0))?, Vec::new())),
            _ => Err(Fault::Malformed(format!("framing: {head:?}"))),
        }
    }

    /// One answer to a request with this method, with the interim answers before it.
    pub(crate) fn answer(&mut self, method: &str) -> Result<Answer, Fault> {
        let mut interim = Vec::new();
        loop {
            let head = match self.head() {
                Err(Fault::Ended) if !interim.is_empty() => return Err(Fault::Cut(Vec::new())),
                other => other?,
            };
            let digits = head
                .start
                .get(9..12)
                .filter(|_| head.start.starts_with("HTTP/1.1 ") && head.start[12..].starts_with(' '));
            let status: u16 = digits
                .and_then(|d| d.parse().ok())
                .ok_or_else(|| Fault::Malformed(format!("a status line: {head:?}")))?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(head);
                continue;
            }
            let mut answer = Answer { status, interim, head, ..Answer::default() };
            self.body(&mut answer, method)?;
            return Ok(answer);
        }
    }

    fn body(&mut self, answer: &mut Answer, method: &str) -> Result<(), Fault> {
        let length = length_of(&answer.head)?;
        let chunked = match answer.head.all("transfer-encoding").as_slice() {
            [] => false,
            ["chunked"] => true,
            other => return Err(Fault::Malformed(format!("Transfer-Encoding {other:?}"))),
        };
        if chunked && length.is_some() {
            return Err(Fault::Malformed("a length with a transfer coding".to_owned()));
        }
        if matches!(answer.status, 101 | 204) && (chunked || length.is_some()) {
            return Err(Fault::Malformed(format!("a length where none may be: {:?}", answer.head)));
        }
        if method == "HEAD" || matches!(answer.status, 101 | 204 | 304) {
            return Ok(());
        }
        if chunked {
            (answer.body, answer.trailers) = self.chunked()?;
        } else if let Some(length) = length {
            answer.body = self.exactly(length)?;
        } else {
            answer.until_close = true;
            answer.body = self.rest()?;
        }
        Ok(())
    }
}

fn length_of(head: &Head) -> Result<Option<usize>, Fault> {
    match head.all("content-length").as_slice() {
        [] => Ok(None),
        [one] if !one.is_empty() && one.bytes().all(|b| b.is_ascii_digit()) => Ok(one.parse().ok()),
        other => Err(Fault::Malformed(format!("Content-Length {other:?}"))),
    }
}
