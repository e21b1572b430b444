//! The wire: a head means the same however it arrived and however it is written anew, a chunked body is the same however it
//! was cut, and a reader with nothing in common with ours takes what is accepted for the same requests.
#![no_main]
#[path = "../../tests/support/strict.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod strict;

use doorward_gateway::wire::{self, Chunked, Framing, Head, Limits, Lines};
use libfuzzer_sys::fuzz_target;
use strict::Framed;

/// The longest input that is looked at, in bytes.
const MOST_BYTES: usize = 4096;

/// Where the head ends, looked for in two steps.
fn head_end(bytes: &[u8], first: usize) -> Option<Option<usize>> {
    let mut lines = Lines::default();
    let limits = Limits::default();
    match lines.scan(&bytes[..first.min(bytes.len())], &limits) {
        Ok(None) => lines.scan(bytes, &limits).ok(),
        Ok(found) => Some(found),
        Err(_) => None,
    }
}

/// A head as its reading says it.
fn written(raw: &[u8], head: &Head) -> Vec<u8> {
    let mut out = [head.method.on(raw), b" ", head.path.on(raw)].concat();
    if let Some(query) = head.query {
        out.push(b'?');
        out.extend_from_slice(query.on(raw));
    }
    out.extend_from_slice(if head.minor == 0 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    for field in &head.fields {
        out.extend_from_slice(&[field.name.on(raw), b": ", field.value.on(raw), b"\r\n"].concat());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// What a reading says, apart from where it stands.
fn meaning(raw: &[u8], head: &Head) -> impl PartialEq + std::fmt::Debug {
    let fields: Vec<_> =
        head.fields.iter().map(|f| (f.name.on(raw).to_vec(), f.value.on(raw).to_vec(), f.kind)).collect();
    let start = [head.method, head.path, head.host].map(|place| place.on(raw).to_vec());
    let query = head.query.map(|query| query.on(raw).to_vec());
    let rest = (head.minor, head.framing, head.content_length, head.close, head.keep_alive, head.expect);
    (start, query, rest, (head.nominates, head.upgrade), fields)
}

/// Takes a chunked body apart, cut after so many bytes each; its data, how much of `bytes` it took, and its trailers.
type Decoded = (Vec<u8>, usize, Vec<(Vec<u8>, Vec<u8>)>, bool);
fn decoded(bytes: &[u8], step: usize) -> Option<Decoded> {
    let (mut chunked, mut data, mut at) = (Chunked::new(&Limits::default()), Vec::new(), 0);
    while at < bytes.len() && !chunked.done() {
        let piece = &bytes[at..bytes.len().min(at + step)];
        at += chunked.feed(piece, |place| data.extend_from_slice(&piece[place])).ok()?;
    }
    let trailers = chunked.trailers().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    Some((data, at, trailers, chunked.done()))
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first().filter(|(_, rest)| rest.len() <= MOST_BYTES) else { return };
    let first = usize::from(*cut);
    assert_eq!(head_end(bytes, first), head_end(bytes, bytes.len()), "the end depends on how it arrived");
    let Some(Some(end)) = head_end(bytes, bytes.len()) else { return };
    let (raw, behind) = bytes.split_at(end);
    let (limits, mut head, mut again) = (Limits::default(), Head::default(), Head::default());
    // The same bytes as an answer: read without a panic, and framed in one way.
    let _ = wire::response(raw, false, &limits, &mut again);
    if wire::request(raw, &limits, &mut head).is_err() {
        return;
    }
    let anew = written(raw, &head);
    wire::request(&anew, &limits, &mut again).expect("what is read can be written");
    assert_eq!(meaning(raw, &head), meaning(&anew, &again));
    let (body, taken) = match head.framing {
        Framing::None => (Some(Vec::new()), 0),
        Framing::Length(n) => {
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            (behind.get(..n).map(<[u8]>::to_vec), n)
        }
        Framing::Chunked => {
            let whole = decoded(behind, usize::MAX / 2);
            assert_eq!(whole, decoded(behind, 1 + first % 7), "a body depends on how it arrived");
            match whole {
                Some((body, taken, _, true)) => (Some(body), taken),
                _ => (None, 0),
            }
        }
        Framing::UntilClose => panic!("a request that ends with its connection"),
    };
    let Some(body) = body else { return };
    let sent = strict::sent(&bytes[..end + taken]).unwrap_or_else(|(_, why)| panic!("refused: {why}"));
    let [sent] = &sent[..] else { panic!("{} requests", sent.len()) };
    assert_eq!(sent.method.as_bytes(), head.method.on(raw));
    assert_eq!(sent.body, body);
    match (head.framing, sent.framed) {
        (Framing::Chunked, Framed::Chunked) | (Framing::None, Framed::Nothing | Framed::Length(0)) => {}
        (Framing::Length(a), Framed::Length(b)) if a == b as u64 => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(sent.fields.len(), head.fields.len());
});
