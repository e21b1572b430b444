//! Entries of the corpus, as `tests/corpus/*.txt` have them. How one is written stands in CONTRIBUTING.md.
use crate::support::frames;
use std::path::Path;

/// What has to come of one request of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Refused, and the connection ends: what stands behind it is no request.
    Refused { status: u16, code: String, detail: Option<String> },
    /// Refused; the connection may go on, in step.
    Denied { status: u16, code: String, detail: Option<String> },
    /// It reaches the upstream as it was sent, or under another target; whether the connection ends then.
    Passed { target: Option<String>, ends: bool },
    /// The stream ends with this code, and the connection goes on (RFC 9113 5.4.2).
    Reset(u32),
    /// The connection ends with this code (RFC 9113 5.4.1).
    Ended(u32),
}

/// What is sent, a kind for each protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Bytes, still with their placeholders and escapes.
    Http1(String),
    /// Lines that [`super::script`] reads.
    Http2(Vec<String>),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it stands, for whoever has to look at it.
    pub(crate) place: String,
    /// The demands that it covers, as they are called in the head of tests/main.rs.
    pub(crate) demands: Vec<String>,
    pub(crate) name: String,
    pub(crate) message: Message,
    /// For each request in it, in order.
    pub(crate) expected: Vec<Expected>,
}

/// Every entry of every file in the corpus.
pub(crate) fn all() -> Vec<Entry> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let files = std::fs::read_dir(&folder).expect("the corpus is there").flatten().map(|file| file.path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        parse(&name, &std::fs::read_to_string(path).expect("it can be read"))
    };
    files.iter().flat_map(|path| read(path).unwrap_or_else(|why| panic!("{why}"))).collect()
}

/// Reads one file.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = |why: &str| Err(format!("{file}:{number}: {why}: {line}"));
        if let Some(title) = line.strip_prefix("== ") {
            let Some((demands, name)) = title.split_once(": ") else {
                return wrong("demands, a colon and a name are wanted");
            };
            let demands: Vec<String> = demands.split(", ").map(str::to_owned).collect();
            if name.is_empty() || !demands.iter().all(|demand| is_demand(demand)) {
                return wrong("no demand is called so");
            }
            let message = match file.starts_with("h2") {
                true => Message::Http2(Vec::new()),
                false => Message::Http1(String::new()),
            };
            let place = format!("{file}:{number}");
            entries.push(Entry { place, demands, name: name.to_owned(), message, expected: Vec::new() });
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(entry) = entries.last_mut() else { return wrong("no entry has begun") };
        if let Some(text) = line.strip_prefix("=> ") {
            match expected(text) {
                Some(expected) => entry.expected.push(expected),
                None => return wrong("no such expectation"),
            }
            continue;
        }
        let bytes = match &mut entry.message {
            Message::Http1(bytes) => bytes,
            Message::Http2(lines) => {
                lines.push(line.to_owned());
                continue;
            }
        };
        if let Some(text) = line.strip_prefix("> ") {
            bytes.push_str(text);
        } else if let Some(text) = line.strip_prefix("| ").or((line == "|").then_some("")) {
            bytes.push_str(text);
            bytes.push_str("\\r\\n");
        } else {
            return wrong("what line is this");
        }
    }
    let nothing = |message: &Message| match message {
        Message::Http1(bytes) => bytes.is_empty(),
        Message::Http2(lines) => lines.is_empty(),
    };
    let half = |entry: &&Entry| entry.expected.is_empty() || nothing(&entry.message);
    match entries.iter().find(half) {
        Some(entry) => Err(format!("{}: nothing is sent, or nothing expected", entry.place)),
        None => Ok(entries),
    }
}

/// `S9112-1`, `SXFF-3`, `case 12`.
fn is_demand(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match (text.strip_prefix("case "), text.strip_prefix('S').and_then(|rest| rest.split_once('-'))) {
        (Some(case), _) => number(case),
        (_, Some((of, nth))) => !of.is_empty() && number(nth),
        _ => false,
    }
}

fn expected(text: &str) -> Option<Expected> {
    let words: Vec<&str> = text.split(' ').collect();
    let (kind, rest) = words.split_first()?;
    if *kind == "passed" {
        let (rest, ends) = match rest {
            [rest @ .., "ends"] => (rest, true),
            rest => (rest, false),
        };
        return match rest {
            [] => Some(Expected::Passed { target: None, ends }),
            ["as", target] => Some(Expected::Passed { target: Some((*target).to_owned()), ends }),
            _ => None,
        };
    }
    if let (&("reset" | "ended"), [code]) = (kind, rest) {
        let code = frames::code(code)?;
        return Some(if *kind == "reset" { Expected::Reset(code) } else { Expected::Ended(code) });
    }
    let (status, code, detail) = match rest {
        [status, code] => (status, code, None),
        [status, code, detail] => (status, code, Some((*detail).to_owned())),
        _ => return None,
    };
    let (status, code) = (status.parse().ok()?, (*code).to_owned());
    match *kind {
        "refused" => Some(Expected::Refused { status, code, detail }),
        "denied" => Some(Expected::Denied { status, code, detail }),
        _ => None,
    }
}

/// The same, an octet a character.
pub(crate) fn octets(text: &str) -> Result<String, String> {
    Ok(bytes(text)?.into_iter().map(char::from).collect())
}

/// The bytes that a text stands for: `{300*text}` is that text so many times, `\r \n \t \s \0 \\ \xHH` are octets.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((times, inner, behind)) = repeated(rest) {
            out.extend(bytes(inner)?.repeat(times));
            rest = behind;
            continue;
        }
        rest = &rest[first.len_utf8()..];
        if first != '\\' {
            out.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.chars().next().ok_or("a backslash at the end")?;
        rest = &rest[escape.len_utf8()..];
        out.push(match escape {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            's' => b' ',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                let digits = rest.get(..2).ok_or("two digits belong behind \\x")?;
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).map_err(|e| format!("\\x{digits}: {e}"))?
            }
            other => return Err(format!("no escape: \\{other}")),
        });
    }
    Ok(out)
}

fn repeated(text: &str) -> Option<(usize, &str, &str)> {
    let (inner, behind) = text.strip_prefix('{')?.split_once('}')?;
    let (times, inner) = inner.split_once('*')?;
    Some((times.parse().ok()?, inner, behind))
}
