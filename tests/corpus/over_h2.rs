//! Entries over HTTP/2: those that are written as frames, and those of HTTP/1.1 that HTTP/2 can say as well.
use super::entry::{Entry, Expected, Message};
use super::script::Script;
use super::{Place, Tally, Told, arrived, judge};
use crate::support::frames::{self, frame};
use crate::support::strict::{self, Fields, Request};
use crate::support::{Answer, Fault, Http2, tag};

/// Sends an entry's frames, cut wherever it wants to be cut.
pub(super) fn run(place: &Place, entry: &Entry, lines: &[String], tally: &mut Tally) -> Result<(), String> {
    let mut cut = 0;
    loop {
        let (own, smuggled) = (tag(), tag());
        let script = Script::read(lines, cut, |text| place.placed(text, &own, &smuggled))?;
        send(place, entry, &script, (&own, &smuggled), tally)
            .map_err(|why| format!("cut at {cut}: {why}"))?;
        cut += 1;
        if cut >= script.cuts {
            return Ok(());
        }
    }
}

/// Sends a script, with a plain request behind it, and looks at everything that comes of it.
fn send(
    place: &Place,
    entry: &Entry,
    script: &Script,
    (own, smuggled): (&str, &str),
    tally: &mut Tally,
) -> Result<(), String> {
    let mut caller = Http2::watch(place.gateway.connect());
    for (bytes, answered) in &script.parts {
        // The gateway may end the connection before all of it is sent.
        let _ = caller.conn.try_send(bytes);
        for stream in &script.streams[..*answered] {
            caller.try_answer(stream.id).map_err(|fault| format!("no answer on {}: {fault:?}", stream.id))?;
        }
    }
    let mut wanted: Vec<(Request, String)> = Vec::new();
    let mut ended = false;
    let mut streams = script.streams.iter();
    for expected in &entry.expected {
        tally.requests += 1;
        if let Expected::Ended(code) = expected {
            let fault = caller.until(|_| false).err();
            let told = caller.goaway.map(|(_, code)| code);
            if !matches!(fault, Some(Fault::Ended | Fault::Cut(_))) || told != Some(*code) {
                return Err(format!("not ended with {code}: {told:?}, {fault:?}, {:?}", caller.frames));
            }
            (ended, tally.refused) = (true, tally.refused + 1);
            continue;
        }
        let stream = streams.next().ok_or("no stream is left for what is expected")?;
        if let Expected::Reset(code) = expected {
            let came = caller.until(|c| c.heard(stream.id).reset.is_some());
            let reset = caller.heard(stream.id).reset;
            if came.is_err() || reset != Some(*code) {
                return Err(format!("not reset with {code}: {came:?} {reset:?} {:?}", caller.frames));
            }
            tally.refused += 1;
            continue;
        }
        let heard = caller.try_answer(stream.id).map_err(|fault| format!("no answer: {fault:?}"))?;
        if !heard.ended {
            return Err(format!("no whole answer: {heard:?}"));
        }
        let request = stream.request();
        let fields = judge(&heard.answer, expected, Some(&request), true)?;
        tally.count(expected);
        if let Expected::Passed { target, .. } = expected {
            let target = target.as_ref().map_or(request.target.clone(), |t| t.replace("{T}", own));
            wanted.push((request, target));
        }
        let request_id = heard.answer.id().to_owned();
        tally.told.push(Told { place: entry.place.clone(), request_id, fields });
    }
    let behind = tag();
    if !ended {
        let last = script.streams.iter().map(|stream| stream.id).max().unwrap_or(0);
        let answer = canary(place, &mut caller, (last + 1) | 1, &behind)?;
        if answer.status != 200 || caller.goaway.is_some() {
            return Err(format!("out of step: {answer:?} {:?}", caller.goaway));
        }
    }
    let wanted: Vec<_> = wanted.iter().map(|(request, target)| (request, target.clone())).collect();
    arrived(place, &wanted, (!ended).then_some(&behind), smuggled)
}

/// Another request on the same connection, which has to be read like the first.
fn canary(place: &Place, caller: &mut Http2, id: u32, behind: &str) -> Result<Answer, String> {
    let path = format!("/v1/{behind}");
    let (key, secret) = (place.server.id.as_str(), place.server.secret.as_str());
    let block = frames::block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", &path),
        (":authority", crate::support::HOST),
        ("x-app-id", key),
        ("x-app-token", secret),
    ]);
    let both = frames::END_HEADERS | frames::END_STREAM;
    caller.conn.try_send(frame(frames::HEADERS, both, id, &block)).map_err(|e| format!("cut off: {e}"))?;
    let heard = caller.try_answer(id).map_err(|fault| format!("out of step: {fault:?}"))?;
    if heard.ended { Ok(heard.answer) } else { Err(format!("the next one is not answered: {heard:?}")) }
}

/// As much data as may be sent before anything is heard.
const MOST_BYTES: usize = 65_535;

/// What belongs to one connection in HTTP/1.1, and is malformed in HTTP/2 (RFC 9113 8.2.2).
const CONNECTION: &[&str] =
    &["connection", "keep-alive", "proxy-connection", "upgrade", "te", "transfer-encoding"];

/// What an entry of HTTP/1.1 says, in frames, if HTTP/2 can say it: a single request whose lines end as lines do, that names
/// no other authority in its target, and says nothing about its connection.
fn retold(bytes: &[u8], expected: &Expected) -> Option<Script> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let text: String = bytes[..end].iter().map(|b| char::from(*b)).collect();
    let mut lines = text.split("\r\n");
    let start = lines.next()?.strip_suffix(" HTTP/1.1")?;
    let (method, target) = start.split_once(' ')?;
    if matches!(expected, Expected::Passed { .. }) && target.contains("://") && !target.starts_with('/') {
        return None;
    }
    let mut head: Fields = vec![(":method".into(), method.into()), (":scheme".into(), "http".into())];
    head.push((":path".into(), target.into()));
    let (mut chunked, mut length) = (false, None);
    let (mut hosts, mut fields) = (Vec::new(), Vec::new());
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim_matches(' ').to_owned());
        let edges = value.starts_with('\t') || value.ends_with('\t');
        if edges
            || line.starts_with([' ', '\t'])
            || name.ends_with([' ', '\t'])
            || line.contains(['\r', '\n'])
        {
            return None;
        }
        match name.as_str() {
            "transfer-encoding" if value == "chunked" && !chunked => {
                chunked = true;
                continue;
            }
            name if CONNECTION.contains(&name) => return None,
            "host" => {
                hosts.push(value);
                continue;
            }
            "content-length" => length = value.parse::<usize>().ok(),
            _ => {}
        }
        fields.push((name, value));
    }
    match &hosts[..] {
        [] => {}
        [host] => head.push((":authority".into(), host.clone())),
        all => fields.extend(all.iter().map(|host| ("host".to_owned(), host.clone()))),
    }
    head.extend(fields);
    if chunked {
        // Chunks are for HTTP/1.1 alone: only what is in them can be said, and what is wrong with them can't.
        let of_trailers = |detail: &Option<String>| detail.as_ref().is_some_and(|d| d.starts_with("trailer"));
        let of_chunks = matches!(expected, Expected::Refused { detail, .. } if !of_trailers(detail));
        let [request] = &strict::sent(bytes).ok()?[..] else { return None };
        let trailers: Fields =
            request.trailers.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone())).collect();
        if of_chunks
            || length.is_some()
            || request.body.len() > MOST_BYTES
            || trailers.iter().any(|(name, _)| CONNECTION.contains(&name.as_str()))
        {
            return None;
        }
        return Some(Script::of(head, Some(request.body.clone()), trailers));
    }
    let body = &bytes[end + 4..];
    let said = head.iter().any(|(name, _)| name == "content-length");
    match length {
        Some(length) if length != body.len() || length > MOST_BYTES => None,
        None if !body.is_empty() && !said => None,
        _ => Some(Script::of(head, said.then(|| body.to_vec()), Vec::new())),
    }
}

/// Sends an entry of HTTP/1.1 over HTTP/2, where it can be said there; the verdict has to be the same. Whether it was sent.
pub(super) fn run_retold(place: &Place, entry: &Entry, tally: &mut Tally) -> Result<bool, String> {
    let (Message::Http1(text), [expected]) = (&entry.message, &entry.expected[..]) else { return Ok(false) };
    let (own, smuggled) = (tag(), tag());
    let Some(script) = retold(&place.filled(text, &own, &smuggled)?, expected) else { return Ok(false) };
    let expected = match expected.clone() {
        // What is wrong is told in the words of the version.
        Expected::Refused { status, code, .. } => Expected::Refused { status, code, detail: None },
        // Nothing but HTTP/1.1 ends a connection with an answer.
        Expected::Passed { target, .. } => Expected::Passed { target, ends: false },
        other => other,
    };
    let retold =
        Entry { expected: vec![expected], place: format!("{} as HTTP/2", entry.place), ..entry.clone() };
    send(place, &retold, &script, (&own, &smuggled), tally).map(|()| true)
}
