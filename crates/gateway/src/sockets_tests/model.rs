//! A reader of messages that shares nothing with the engine: what a careful peer would understand.

/// One message. Chunk sizes do not matter, everything else does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Start line and fields; the length and ids of answers of our own are left out by [`normal`].
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    pub(super) trailers: String,
}

impl Message {
    /// From the notation of the cases: head lines, then ` | body`, then ` | trailers`.
    pub(super) fn expected(text: &str) -> Message {
        let mut parts = text.split(" | ");
        let head = parts.next().unwrap_or_default().to_owned();
        let body = parts.next().unwrap_or_default().as_bytes().to_vec();
        Message { head, body, trailers: parts.next().unwrap_or_default().to_owned() }
    }
}

fn cut<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8], String> {
    let (cut, rest) = bytes.split_at_checked(n).ok_or("the body is cut short")?;
    *bytes = rest;
    Ok(cut)
}

fn line<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, String> {
    let end = bytes.windows(2).position(|w| w == b"\r\n").ok_or("a line is cut short")?;
    let line = cut(bytes, end)?;
    cut(bytes, 2)?;
    std::str::from_utf8(line).map_err(|e| e.to_string())
}

/// Reads a stream to its end. `answers`: responses, whose body may end with the stream.
pub(super) fn messages(stream: &[u8], to_head: bool, answers: bool) -> Result<Vec<Message>, String> {
    let mut all = Vec::new();
    read(stream, to_head, answers, &mut all).map(|()| all)
}

/// How many whole requests a stream begins with.
pub(super) fn whole_requests(stream: &[u8]) -> usize {
    let mut all = Vec::new();
    // What comes after them is still on its way.
    let _ = read(stream, false, false, &mut all);
    all.len()
}

fn read(stream: &[u8], to_head: bool, answers: bool, all: &mut Vec<Message>) -> Result<(), String> {
    let mut left = stream;
    while !left.is_empty() {
        let start = line(&mut left)?.to_owned();
        let mut m = Message { head: start.clone(), ..Message::default() };
        let (mut length, mut chunked) = (None, false);
        loop {
            let field = line(&mut left)?;
            if field.is_empty() {
                break;
            }
            let (name, value) = field.split_once(": ").ok_or("a field without colon")?;
            match name {
                "content-length" => length = Some(value.parse::<usize>().map_err(|e| e.to_string())?),
                "transfer-encoding" => chunked = true,
                // The same for every message, or different in every run.
                "doorward-request-id"
                | "via"
                | "x-forwarded-for"
                | "x-forwarded-proto"
                | "x-forwarded-host" => continue,
                _ => {}
            }
            m.head.push_str(&format!("; {field}"));
        }
        let status = start.split(' ').nth(1).unwrap_or_default();
        let bodiless = answers && (to_head || status.starts_with('1') || matches!(status, "204" | "304"));
        if chunked && !bodiless {
            loop {
                let size = usize::from_str_radix(line(&mut left)?, 16).map_err(|e| e.to_string())?;
                if size == 0 {
                    break;
                }
                m.body.extend_from_slice(cut(&mut left, size)?);
                if !line(&mut left)?.is_empty() {
                    return Err("a chunk without end".to_owned());
                }
            }
            loop {
                match line(&mut left)? {
                    "" => break,
                    field => m.trailers.push_str(field),
                }
            }
        } else if let Some(n) = length.filter(|_| !bodiless) {
            m.body = cut(&mut left, n)?.to_vec();
        } else if answers && !bodiless {
            m.body = std::mem::take(&mut left).to_vec();
        }
        if m.head.contains("doorward-code") {
            // An answer of our own: its text is tested elsewhere.
            m.head = format!("{start} (ours)");
            m.body.clear();
        }
        all.push(m);
    }
    Ok(())
}

/// Whether what was sent is a beginning of the whole, chunk sizes aside.
pub(super) fn assert_beginning(sent: &[u8], whole: &[u8], what: &str) {
    let flat = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        // Request ids differ where fewer requests were read; chunk sizes where less was read at once.
        let lines: Vec<String> = text
            .split_inclusive("\r\n")
            .filter(|l| {
                let size = l.len() <= 5 && l.trim_end().chars().all(|c| c.is_ascii_hexdigit());
                !size && !l.starts_with("doorward-request-id")
            })
            .map(|l| l.trim_end_matches("\r\n").to_owned())
            .collect();
        lines.concat()
    };
    let (sent, whole) = (flat(sent), flat(whole));
    assert!(whole.starts_with(&sent), "{what}: sent {sent:?} of {whole:?}");
}
