//! Streams as Node.js reads them (llhttp, no leniency flag set): one process, and one pipe for all of them.
use crate::message::{Body, End, Fields, Message, Reading};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Where llhttp is stricter than `wire`, or stops where `wire` goes on: it refuses, and frames nothing otherwise.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "HPE_INVALID_METHOD",
        "it knows the registered methods alone; any other token goes no further than a route lets it",
    ),
    (
        "HPE_INVALID_CHUNK_SIZE",
        "it reads the grammar of chunk extensions; here they are bounded, and never sent on",
    ),
    (
        "HPE_CLOSED_CONNECTION",
        "it takes Proxy-Connection for Connection, and either in trailers and interim heads, and stops; the plain reader \
         has its say about when a connection ends",
    ),
    ("HPE_STRICT", "the same in older versions"),
];

/// What llhttp says of trailers that would frame a message in a head: it reads them as if they stood there. None of them
/// is ever sent on.
const FRAMING_TRAILERS: &[&str] =
    &["HPE_INVALID_CONTENT_LENGTH", "HPE_UNEXPECTED_CONTENT_LENGTH", "HPE_INVALID_TRANSFER_ENCODING"];
/// Sent with HTTP/1.0, `close` and `keep-alive` together end the connection here; llhttp reads on.
const BOTH_OPTIONS: &str = "close beside keep-alive";

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Requests = 0,
    Answer = 1,
    AnswerToHead = 2,
}

/// The process.
pub(crate) struct Node {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// What it made of a stream.
#[derive(Debug)]
pub(crate) struct Theirs {
    messages: Vec<Message>,
    /// Whether it takes what comes behind a message for another protocol.
    upgrade: bool,
    /// Why it stopped, where it did.
    refused: Option<String>,
}

impl Node {
    /// `None` where the machine has no Node.js.
    pub(crate) fn start() -> Option<Node> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/reader.js");
        let mut command = Command::new("node");
        command.arg("--no-warnings").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().ok()?;
        let (to, from) = (child.stdin.take()?, child.stdout.take()?);
        Some(Node { child, to, from: BufReader::new(from) })
    }

    /// Has it read a stream that ends after `bytes`.
    pub(crate) fn read(&mut self, kind: Kind, bytes: &[u8]) -> Theirs {
        let length = u32::try_from(bytes.len()).expect("streams are short").to_be_bytes();
        self.to.write_all(&[&[kind as u8][..], &length, bytes].concat()).expect("it reads");
        self.to.flush().expect("it reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("it answers");
        let read: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let all = read["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        // What is interim is no message of its own here.
        let is_final = |m: &&Value| kind == Kind::Requests || !text(&m["start"][0]).starts_with('1');
        let messages = all.iter().filter(is_final).map(|m| message(kind, m)).collect();
        let upgrade = all.last().is_some_and(|last| last["upgrade"] == true);
        Theirs { messages, upgrade, refused: read["end"].as_str().map(str::to_owned) }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn octets(value: &Value) -> Vec<u8> {
    text(value).chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

fn fields(value: &Value) -> Fields {
    let all: Vec<Vec<u8>> = value.as_array().into_iter().flatten().map(octets).collect();
    Fields::of(all.chunks(2).map(|pair| (&pair[0][..], &pair[1][..])))
}

fn message(kind: Kind, read: &Value) -> Message {
    let mut second = octets(&read["start"][1]);
    if kind == Kind::Requests && !second.starts_with(b"/") {
        // An absolute form: its authority was held against `Host`.
        let authority = second.windows(3).position(|w| w == b"://").map(|at| at + 3);
        let path =
            authority.and_then(|from| second[from..].iter().position(|b| *b == b'/').map(|at| from + at));
        second = path.map_or(second.clone(), |at| second[at..].to_vec());
    }
    let whole = read["whole"] == true;
    let trailers = if whole { fields(&read["trailers"]) } else { Fields::default() };
    let body = Body { data: octets(&read["body"]), trailers, complete: whole };
    Message { start: (text(&read["start"][0]).to_owned(), second), fields: fields(&read["fields"]), body }
}

impl Theirs {
    /// Whether it frames what `wire` accepted as `wire` does; how it refused that, where it may.
    ///
    /// # Errors
    /// A disagreement.
    pub(crate) fn agrees(&self, ours: &Reading) -> Result<Option<&'static str>, String> {
        let wrong = |why: &str| Err(format!("llhttp {why}: {self:#?}\nours {ours:#?}"));
        let shared = ours.messages.len().min(self.messages.len());
        let excused = self.excuse(ours);
        for (nth, (ours, theirs)) in ours.messages.iter().zip(&self.messages).enumerate() {
            let last = nth + 1 == self.messages.len();
            let stopped_within = last && excused.is_some() && !theirs.body.complete;
            let body_agrees = match stopped_within {
                true => ours.body.data.starts_with(&theirs.body.data),
                false => ours.body == theirs.body,
            };
            // A reason phrase beyond ASCII is not passed on.
            let reason_agrees = ours.start.1.is_empty() && !theirs.start.1.starts_with(b"/");
            let start_agrees =
                ours.start.0 == theirs.start.0 && (ours.start.1 == theirs.start.1 || reason_agrees);
            if !start_agrees || ours.fields != theirs.fields || !body_agrees {
                return wrong("reads a message otherwise");
            }
        }
        if self.messages.len() > shared && !matches!(ours.end, End::Refused(_)) {
            let both = |m: &Message| ["close", "keep-alive"].iter().all(|o| m.fields.hold("connection", o));
            return match ours.messages.last() {
                Some(last) if ours.end == End::Closed && both(last) => Ok(Some(BOTH_OPTIONS)),
                _ => wrong("sees one more"),
            };
        }
        if ours.messages.len() > shared || excused.is_some_and(|_| self.stopped_before(ours)) {
            return match excused {
                Some(code) => Ok(Some(code)),
                // It takes the rest for another protocol; `Upgrade` is never sent on without an answer to it.
                None if self.upgrade => Ok(Some("upgrade")),
                None => wrong("refuses"),
            };
        }
        Ok(None)
    }

    /// Why it may have refused.
    fn excuse(&self, ours: &Reading) -> Option<&'static str> {
        let code = self.refused.as_deref()?;
        let trailers = ours.messages.get(self.messages.len().wrapping_sub(1)).map(|m| &m.body.trailers);
        let framing =
            |t: &Fields| ["content-length", "transfer-encoding"].iter().any(|name| t.hold(name, ""));
        let listed = EXCEPTIONS.iter().map(|(known, _)| *known).find(|known| *known == code);
        listed.or_else(|| {
            FRAMING_TRAILERS.iter().copied().find(|known| *known == code && trailers.is_some_and(framing))
        })
    }

    fn stopped_before(&self, ours: &Reading) -> bool {
        self.messages
            .last()
            .zip(ours.messages.get(self.messages.len().wrapping_sub(1)))
            .is_some_and(|(theirs, ours)| ours.body.complete && !theirs.body.complete)
    }

    /// How many messages it sees.
    pub(crate) fn count(&self) -> usize {
        self.messages.len()
    }
}
