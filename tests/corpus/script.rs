//! Frames of HTTP/2 as `tests/corpus/h2*.txt` have them, written as bytes, and read by the letter of RFC 9113: what each
//! stream says. How they are written stands in CONTRIBUTING.md.
use super::entry;
use crate::support::HOST;
use crate::support::frames::{self, frame, literal};
use crate::support::strict::{Fields, Framed, Request};

/// What is said on one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    head: Fields,
    trailers: Fields,
    body: Vec<u8>,
    /// It ended with its head.
    whole: bool,
    blocks: usize,
    /// Its block goes on in the next frame.
    open: bool,
}

/// What an entry sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    /// Bytes, and how many streams have to be answered before more is sent.
    pub(crate) parts: Vec<(Vec<u8>, usize)>,
    pub(crate) streams: Vec<Stream>,
    /// How many places there are at which the block that wants it can be cut.
    pub(crate) cuts: usize,
}

/// A frame that is being read.
#[derive(Default)]
struct Draft {
    kind: u8,
    stream: u32,
    flags: u8,
    pad: Option<usize>,
    depends: Option<u32>,
    pieces: Option<usize>,
    cut: bool,
    length: Option<usize>,
    raw: bool,
    payload: Vec<u8>,
    fields: Fields,
}

const KINDS: &[&str] = &[
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
];

impl Stream {
    /// The request that it is. Its version is what `Via` calls it.
    pub(crate) fn request(&self) -> Request {
        let one = |wanted: &str| {
            let found = self.head.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone())
        };
        let kept =
            |(name, _): &&(String, String)| !name.starts_with(':') && name != "host" && name != "cookie";
        let mut fields: Fields = self.head.iter().filter(kept).cloned().collect();
        let crumbs: Vec<&str> =
            self.head.iter().filter(|(name, _)| name == "cookie").map(|(_, crumb)| crumb.as_str()).collect();
        if !crumbs.is_empty() {
            fields.push(("cookie".to_owned(), crumbs.join("; ")));
        }
        if let Some(host) = one(":authority").or_else(|| one("host")) {
            fields.push(("host".to_owned(), host));
        }
        let framed = match one("content-length").and_then(|length| length.parse().ok()) {
            Some(length) => Framed::Length(length),
            None if self.whole => Framed::Nothing,
            None => Framed::Chunked,
        };
        Request {
            method: one(":method").unwrap_or_default(),
            target: one(":path").unwrap_or_default(),
            version: "HTTP/2.0".to_owned(),
            fields,
            framed,
            body: self.body.clone(),
            trailers: self.trailers.clone(),
        }
    }
}

impl Script {
    /// Reads the lines of an entry; `placed` puts into a text what its placeholders stand for. A block that is to be cut
    /// everywhere is cut at `cut`.
    ///
    /// # Errors
    /// What is wrong with a line.
    pub(crate) fn read(
        lines: &[String],
        cut: usize,
        placed: impl Fn(&str) -> String,
    ) -> Result<Script, String> {
        let mut script = Script::default();
        let mut draft: Option<Draft> = None;
        let bare = lines.first().is_some_and(|line| line == "BARE");
        let begun = if bare { Vec::new() } else { [frames::PREFACE, &frames::settings(&[])].concat() };
        script.parts.push((begun, 0));
        for line in lines.iter().skip(usize::from(bare)) {
            let wrong = |why: String| format!("{why} in {line:?}");
            if let Some(draft) = &mut draft
                && draft.takes(line, &placed).map_err(wrong)?
            {
                continue;
            }
            script.add(draft.take(), cut);
            if line == "WAIT" {
                let begun = script.streams.len();
                script.parts.last_mut().expect("there is one").1 = begun;
                script.parts.push((Vec::new(), 0));
            } else {
                draft = Some(Draft::begin(line).map_err(wrong)?);
            }
        }
        script.add(draft, cut);
        Ok(script)
    }

    /// A request in frames, nothing about it out of the ordinary but itself.
    pub(crate) fn of(head: Fields, body: Option<Vec<u8>>, trailers: Fields) -> Script {
        let mut script = Script {
            parts: vec![([frames::PREFACE, &frames::settings(&[])].concat(), 0)],
            ..Script::default()
        };
        let ended = |last: bool| frames::END_HEADERS | u8::from(last);
        let block = |fields: Fields, last: bool| Draft {
            kind: frames::HEADERS,
            stream: 1,
            flags: ended(last),
            payload: fields.iter().flat_map(|(name, value)| literal(0, name, value)).collect(),
            pieces: Some(16_384),
            fields,
            ..Draft::default()
        };
        let only = body.is_none();
        script.add(Some(block(head, only)), 0);
        if let Some(body) = body {
            let mut left = &body[..];
            loop {
                let (now, later) = left.split_at(left.len().min(16_384));
                let flags = u8::from(trailers.is_empty() && later.is_empty());
                let payload = now.to_vec();
                script.add(
                    Some(Draft { kind: frames::DATA, stream: 1, flags, payload, ..Draft::default() }),
                    0,
                );
                left = later;
                if left.is_empty() {
                    break;
                }
            }
            if !trailers.is_empty() {
                script.add(Some(block(trailers, true)), 0);
            }
        }
        script
    }

    fn add(&mut self, draft: Option<Draft>, cut: usize) {
        let Some(draft) = draft else { return };
        self.note(&draft);
        if draft.cut {
            self.cuts = draft.payload.len() + 1;
        }
        let out = &mut self.parts.last_mut().expect("there is one").0;
        draft.write(cut, out);
    }

    /// What a frame says on its stream.
    fn note(&mut self, draft: &Draft) {
        let known = self.streams.iter_mut().position(|stream| stream.id == draft.stream);
        if draft.raw || (known.is_none() && draft.kind != frames::HEADERS) {
            return;
        }
        let at = known.unwrap_or_else(|| {
            self.streams.push(Stream { id: draft.stream, ..Stream::default() });
            self.streams.len() - 1
        });
        let stream = &mut self.streams[at];
        match draft.kind {
            frames::DATA => stream.body.extend_from_slice(&draft.payload),
            frames::CONTINUATION if !stream.open => {}
            frames::HEADERS | frames::CONTINUATION => {
                stream.open = draft.flags & frames::END_HEADERS == 0;
                stream.blocks += usize::from(draft.kind == frames::HEADERS);
                stream.whole |= stream.blocks == 1 && draft.flags & frames::END_STREAM != 0;
                let into = if stream.blocks == 1 { &mut stream.head } else { &mut stream.trailers };
                into.extend(draft.fields.iter().cloned());
            }
            _ => {}
        }
    }
}

impl Draft {
    /// The line that begins a frame: its kind, its stream, and whatever else it says of itself.
    fn begin(line: &str) -> Result<Draft, String> {
        if line == "RAW" {
            return Ok(Draft { raw: true, ..Draft::default() });
        }
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let other = kind.strip_prefix("TYPE").and_then(|number| number.parse().ok());
        let kind =
            KINDS.iter().position(|known| *known == kind).and_then(|at| u8::try_from(at).ok()).or(other);
        let kind = kind.ok_or("no such frame")?;
        let stream = words.next().and_then(|id| id.parse().ok()).ok_or("a frame without a stream")?;
        let mut draft = Draft { kind, stream, ..Draft::default() };
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let number = || value.parse::<usize>().map_err(|e| format!("{word}: {e}"));
            match key {
                "end_stream" | "ack" => draft.flags |= frames::END_STREAM,
                "end_headers" => draft.flags |= frames::END_HEADERS,
                "padded" => draft.flags |= frames::PADDED,
                "prioritised" => draft.flags |= frames::PRIORITISED,
                "flags" => draft.flags |= u8::try_from(number()?).map_err(|e| e.to_string())?,
                "pad" => draft.pad = Some(number()?),
                "depends" => draft.depends = Some(value.parse().map_err(|_| format!("a stream: {word}"))?),
                "pieces" => draft.pieces = Some(number()?),
                "cut" => draft.cut = true,
                "length" => draft.length = Some(number()?),
                "n" => {
                    let n: u32 = value.parse().map_err(|_| format!("a number: {word}"))?;
                    draft.payload.extend(n.to_be_bytes());
                }
                "set" => {
                    let both =
                        value.split_once(':').and_then(|(k, v)| Some((k.parse().ok()?, v.parse().ok()?)));
                    let (key, value): (u16, u32) = both.ok_or("set=KEY:VALUE is wanted")?;
                    draft.payload.extend([&key.to_be_bytes()[..], &value.to_be_bytes()].concat());
                }
                _ => return Err(format!("what is {word}")),
            }
        }
        Ok(draft)
    }

    /// Takes a line that belongs to the frame.
    fn takes(&mut self, line: &str, placed: &impl Fn(&str) -> String) -> Result<bool, String> {
        if let Some(text) = line.strip_prefix("> ") {
            self.payload.extend(entry::bytes(&placed(text))?);
        } else if let Some(text) = line.strip_prefix(": ") {
            let (method, path) = text.split_once(' ').ok_or("a method and a path are wanted")?;
            let usual = [(":method", method), (":scheme", "http"), (":authority", HOST), (":path", path)];
            for (name, value) in usual {
                self.field(0, name, &entry::octets(&placed(value))?);
            }
        } else if let Some(text) = line.strip_prefix("* ") {
            let (octets, means) = text.split_once(" = ").map_or((text, None), |(o, m)| (o, Some(m)));
            self.payload.extend(hex(octets)?);
            if let Some((name, value)) = means.map(|means| halves(means)).transpose()? {
                self.fields.push((entry::octets(&placed(name))?, entry::octets(&placed(value))?));
            }
        } else if let Some((first, text)) = [("| ", 0), ("|+ ", 0x40), ("|! ", 0x10)]
            .iter()
            .find_map(|(sign, first)| Some((*first, line.strip_prefix(sign)?)))
        {
            if text.starts_with('{') && text.ends_with('}') && !text.contains('*') {
                let text = placed(text);
                for (name, value) in text.split("\\r\\n").filter_map(|field| field.split_once(": ")) {
                    if name != "Host" {
                        self.field(first, &name.to_ascii_lowercase(), value);
                    }
                }
            } else {
                let (name, value) = halves(text)?;
                let (name, value) = (entry::octets(&placed(name))?, entry::octets(&placed(value))?);
                self.field(first, &name, &value);
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn field(&mut self, first: u8, name: &str, value: &str) {
        self.payload.extend(literal(first, name, value));
        self.fields.push((name.to_owned(), value.to_owned()));
    }

    fn write(&self, cut: usize, out: &mut Vec<u8>) {
        if self.raw {
            return out.extend_from_slice(&self.payload);
        }
        let whole = self.payload.len();
        let first = match (self.cut, self.pieces) {
            (true, _) => cut.min(whole),
            (_, Some(pieces)) => pieces.min(whole),
            _ => whole,
        };
        let (now, later) = self.payload.split_at(first);
        let mut flags = self.flags;
        let mut payload = Vec::new();
        if let Some(pad) = self.pad {
            flags |= frames::PADDED;
            payload.push(u8::try_from(pad).expect("padding is at most 255"));
        }
        if let Some(on) = self.depends {
            flags |= frames::PRIORITISED;
            payload.extend([&on.to_be_bytes()[..], &[15]].concat());
        }
        payload.extend_from_slice(now);
        payload.extend(vec![0; self.pad.unwrap_or(0)]);
        let continued = self.cut || !later.is_empty();
        let begun = if continued { flags & !frames::END_HEADERS } else { flags };
        let mut bytes = frame(self.kind, begun, self.stream, &payload);
        if let Some(length) = self.length {
            bytes[..3].copy_from_slice(&u32::try_from(length).expect("a length").to_be_bytes()[1..]);
        }
        out.extend(bytes);
        if !continued {
            return;
        }
        let size = if self.cut { usize::MAX } else { first.max(1) };
        let mut pieces: Vec<&[u8]> = later.chunks(size).collect();
        if pieces.is_empty() {
            pieces.push(b"");
        }
        for (nth, piece) in pieces.iter().enumerate() {
            let last = if nth + 1 == pieces.len() { self.flags & frames::END_HEADERS } else { 0 };
            out.extend(frame(frames::CONTINUATION, last, self.stream, piece));
        }
    }
}

/// `name: value`, where the value may be nothing.
fn halves(text: &str) -> Result<(&str, &str), String> {
    text.split_once(": ")
        .or_else(|| text.strip_suffix(':').map(|name| (name, "")))
        .ok_or_else(|| "a name and a value are wanted".to_owned())
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: String = text.split_whitespace().collect();
    let pair = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits.len()).step_by(2).map(|at| pair(at).ok_or_else(|| format!("hexadecimal: {text}"))).collect()
}
