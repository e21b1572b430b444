//! Whatever `wire` accepts, every other reader frames alike: seeded mutations of well-formed messages, read by `wire`,
//! by httparse, by hyper, by llhttp (Node.js) and by a plain reader of our own. That `wire` refuses what others accept is its
//! purpose.
//!
//! `DOORWARD_N` is the number of messages per test, `DOORWARD_SEED` the first seed. Runs are the same for the same
//! numbers; a disagreement fails with the seed of its message and the bytes.
//!
//! Where hyper is known to be stricter than `wire`, it is listed here, with the reason:
//! nothing so far.
#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test reports by printing and fails by panicking"
)]

#[path = "differential/corpus.rs"]
mod corpus;
#[path = "differential/message.rs"]
mod message;
#[path = "differential/model.rs"]
mod model;
#[path = "differential/mutate.rs"]
mod mutate;
#[path = "differential/node.rs"]
mod node;
#[path = "differential/ours.rs"]
mod ours;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/theirs.rs"]
mod theirs;

use doorward_gateway::wire::{Framing, Head};
use message::{End, Fields, Reading};
use mutate::mutate;
use node::{Kind, Node};
use random::Random;
use std::collections::BTreeMap;

/// Messages per test where nothing else is asked for.
const DEFAULT_N: u64 = 100_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// What came of a run.
#[derive(Default)]
struct Counts {
    sent: u64,
    accepted: u64,
    refused: u64,
    heads: u64,
    /// llhttp, where the machine has it.
    node: Option<Node>,
    /// How often it refused what was accepted, as it may.
    excused: BTreeMap<&'static str, u64>,
}

impl Counts {
    fn with_node() -> Counts {
        let node = Node::start();
        if node.is_none() {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            eprintln!("skipped: {test}: no Node.js on this machine, so llhttp has no say");
        }
        Counts { node, ..Counts::default() }
    }

    /// Has llhttp read a stream of which `wire` accepted something.
    fn ask_node(&mut self, kind: Kind, stream: &[u8], ours: &Reading) -> Result<(), String> {
        let Some(node) = &mut self.node else { return Ok(()) };
        let excuse = node.read(kind, stream).agrees(ours);
        let excuse = excuse.map_err(|why| format!("{}\n{why}", stream.escape_ascii()))?;
        excuse.into_iter().for_each(|code| *self.excused.entry(code).or_default() += 1);
        Ok(())
    }

    fn reading(&mut self, reading: &Reading) {
        self.sent += 1;
        match (reading.messages.is_empty(), reading.end) {
            (false, _) => self.accepted += 1,
            (true, End::Refused(_)) => self.refused += 1,
            (true, _) => {}
        }
    }

    /// A run that accepts or refuses nearly everything would prove nothing.
    fn report(&self, what: &str) {
        let Counts { sent, accepted, refused, heads, node, excused } = self;
        let llhttp =
            node.as_ref().map_or("llhttp not asked".to_owned(), |_| format!("llhttp refused {excused:?}"));
        println!(
            "figures: {what}: sent {sent}, accepted {accepted}, refused {refused}, heads {heads}, {llhttp}, disagreements 0"
        );
        assert!(*accepted > sent / 20 && *refused > sent / 20, "too few of one kind");
    }
}

/// Runs `one` for each seed; says which seed failed and on what.
fn each_seed(one: impl Fn(&mut Random, &mut Counts) -> Result<(), String>) -> Counts {
    let (first, n) = (setting("DOORWARD_SEED", 1), setting("DOORWARD_N", DEFAULT_N));
    let mut counts = Counts::with_node();
    for seed in first..first + n {
        let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        if let Err(complaint) = one(&mut random, &mut counts) {
            panic!("seed {seed}: {complaint}");
        }
    }
    counts
}

/// Holds one accepted request head against httparse and the third reader.
fn same_request(raw: &[u8], head: &Head) -> Result<(), String> {
    let mut room = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Request::new(&mut room);
    match parsed.parse(raw) {
        Ok(httparse::Status::Complete(end)) if end == raw.len() => {}
        other => return Err(format!("httparse says {other:?}")),
    }
    let plain = model::request(raw).map_err(|complaint| format!("the third reader says {complaint}"))?;
    let method = parsed.method.unwrap_or_default();
    let target = parsed.path.unwrap_or_default();
    let query = head.query.map_or(String::new(), |q| format!("?{}", q.on(raw).escape_ascii()));
    let ours = format!("{}{query}", head.path.on(raw).escape_ascii());
    let theirs = target.as_bytes().escape_ascii().to_string();
    let absolute = !target.starts_with('/');
    if head.method.on(raw) != method.as_bytes()
        || !(ours == theirs || absolute && theirs.ends_with(&ours))
        || Some(head.minor) != parsed.version
        || plain.start[0] != method
        || plain.start[1] != target
    {
        return Err(format!("start line: {method} {target} {plain:?}"));
    }
    same_fields(raw, head, parsed.headers, &plain)?;
    match head.framing {
        Framing::Chunked if plain.chunked => {}
        Framing::Length(bytes) if plain.length == Some(bytes) => {}
        Framing::None if !plain.chunked && plain.length.is_none_or(|bytes| bytes == 0) => {}
        other => return Err(format!("framing {other:?} {plain:?}")),
    }
    Ok(())
}

/// The same for a response head.
fn same_response(raw: &[u8], head: &Head) -> Result<(), String> {
    let mut room = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Response::new(&mut room);
    match parsed.parse(raw) {
        Ok(httparse::Status::Complete(end)) if end == raw.len() => {}
        other => return Err(format!("httparse says {other:?}")),
    }
    let plain = model::response(raw).map_err(|complaint| format!("the third reader says {complaint}"))?;
    if Some(head.status) != parsed.code
        || Some(head.minor) != parsed.version
        || Some(head.reason.on(raw)) != parsed.reason.map(str::as_bytes)
        || plain.start[1] != head.status.to_string()
    {
        return Err(format!("status line: {plain:?}"));
    }
    same_fields(raw, head, parsed.headers, &plain)
}

fn same_fields(
    raw: &[u8],
    head: &Head,
    parsed: &[httparse::Header<'_>],
    plain: &model::Plain,
) -> Result<(), String> {
    let wide = |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect::<String>();
    let ours: Vec<_> = head.fields.iter().map(|f| (wide(f.name.on(raw)), wide(f.value.on(raw)))).collect();
    let theirs: Vec<_> = parsed.iter().map(|h| (h.name.to_owned(), wide(h.value))).collect();
    let close_differs = plain.close != head.close && head.framing != Framing::UntilClose;
    if ours != theirs || ours != plain.fields || close_differs {
        return Err(format!("fields: {ours:?} {theirs:?} {plain:?}"));
    }
    Ok(())
}

/// Reads a stream of requests with all readers.
fn requests(stream: &[u8], random: &mut Random, counts: &mut Counts) -> Result<(), String> {
    let mut disagreement = None;
    let mut heads = 0;
    let reading = ours::requests(stream, random, |raw, head| {
        heads += 1;
        disagreement = disagreement.take().or(same_request(raw, head).err());
    });
    counts.reading(&reading);
    counts.heads += heads;
    if let Some(complaint) = disagreement {
        return Err(format!("{complaint}\n{}", stream.escape_ascii()));
    }
    if heads == 0 {
        return Ok(());
    }
    let step = if random.below(4) == 0 { 1 + random.below(40) } else { usize::MAX };
    let theirs = theirs::requests(stream, step);
    let same = match reading.end {
        // Beyond what was refused, others may go on as they like.
        End::Refused(_) => theirs.get(..reading.messages.len()) == Some(&reading.messages[..]),
        _ => theirs == reading.messages,
    };
    if !same {
        return Err(format!("{}\nours {reading:#?}\nhyper {theirs:#?}", stream.escape_ascii()));
    }
    counts.ask_node(Kind::Requests, stream, &reading)
}

#[test]
fn the_corpus_is_read_alike() {
    let mut counts = Counts::with_node();
    for (nth, message) in corpus::REQUESTS.iter().enumerate() {
        let stream = [message, corpus::CANARY].concat();
        requests(&stream, &mut Random::new(nth as u64), &mut counts).unwrap();
    }
    assert_eq!(
        (counts.sent, counts.accepted, counts.refused),
        (corpus::REQUESTS.len() as u64, counts.sent, 0)
    );
    let mut counts = Counts::with_node();
    for (nth, message) in corpus::RESPONSES.iter().enumerate() {
        for to_head in [false, true] {
            answers(message, to_head, &mut Random::new(nth as u64), &mut counts).unwrap();
        }
    }
    assert_eq!(counts.accepted, counts.sent);
}

#[test]
fn s9112_requests_that_are_accepted_are_framed_alike() {
    let counts = each_seed(|random, counts| {
        let message = mutate(random.pick(corpus::REQUESTS), corpus::REQUESTS, random);
        requests(&[&message, corpus::CANARY].concat(), random, counts)
    });
    counts.report("requests");
}

#[test]
fn s9112_7_chunked_bodies_that_are_accepted_are_decoded_alike() {
    let counts = each_seed(|random, counts| {
        let body = mutate(random.pick(corpus::CHUNKED_BODIES), corpus::CHUNKED_BODIES, random);
        let head = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        requests(&[head, &body[..], corpus::CANARY].concat(), random, counts)
    });
    counts.report("chunked bodies");
}

/// Reads one answer with all readers.
fn answers(stream: &[u8], to_head: bool, random: &mut Random, counts: &mut Counts) -> Result<(), String> {
    let mut disagreement = None;
    let mut heads = 0;
    let read = ours::answer(stream, to_head, random, |raw, head| {
        heads += 1;
        disagreement = disagreement.take().or(same_response(raw, head).err());
    });
    if let Some(complaint) = disagreement {
        return Err(format!("{complaint}\n{}", stream.escape_ascii()));
    }
    let Some((reading, framing)) = read else { return Ok(()) };
    counts.reading(&reading);
    counts.heads += heads;
    let Some(ours) = reading.messages.first() else { return Ok(()) };

    // hyper gets what belongs to the answer and no byte more. Does it take it for more, it waits; for less, the next
    // exchange fails.
    let ended = reading.end == End::Cut || framing == Framing::UntilClose;
    let step = if random.below(4) == 0 { 1 + random.below(40) } else { usize::MAX };
    let theirs = theirs::answer(&stream[..reading.consumed], to_head, ended, step);
    let same = theirs.message.as_ref() == Some(ours) && (reading.end != End::Clean || theirs.canary);
    if !same {
        return Err(format!(
            "to_head {to_head} {}\nours {reading:#?}\nhyper {theirs:#?}",
            stream.escape_ascii()
        ));
    }
    let kind = if to_head { Kind::AnswerToHead } else { Kind::Answer };
    counts.ask_node(kind, &stream[..reading.consumed], &reading)
}

#[test]
fn s9112_responses_that_are_accepted_are_framed_alike() {
    let counts = each_seed(|random, counts| {
        let message = mutate(random.pick(corpus::RESPONSES), corpus::RESPONSES, random);
        let to_head = random.below(8) == 0;
        answers(&message, to_head, random, counts)
    });
    counts.report("responses");
}

#[test]
fn the_readers_can_disagree() {
    // hyper serves a length together with chunked, and reads a bare line feed as a line end: `wire` refuses both. A
    // comparison that would not notice would notice nothing.
    let both =
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let mut random = Random::new(1);
    let reading = ours::requests(both, &mut random, |_, _| {});
    assert!(reading.messages.is_empty() && matches!(reading.end, End::Refused(_)));
    assert_eq!(theirs::requests(both, usize::MAX).len(), 1);
    if let Some(mut node) = Node::start() {
        let two = [corpus::CANARY, corpus::CANARY].concat();
        let one = ours::requests(corpus::CANARY, &mut random, |_, _| {});
        assert!(node.read(Kind::Requests, &two).agrees(&one).is_err());
        let both = ours::requests(&two, &mut random, |_, _| {});
        assert_eq!(node.read(Kind::Requests, &two).agrees(&both), Ok(None));
        assert!(node.read(Kind::Requests, corpus::CANARY).agrees(&both).is_err());
        assert_eq!(node.read(Kind::Requests, b"\0").count(), 0);
    }
    let other = ours::requests(corpus::CANARY, &mut random, |_, _| {}).messages;
    let theirs = theirs::requests(b"GET /canary HTTP/1.1\nHost: canary\n\n", usize::MAX);
    assert_eq!(other, theirs);
    assert_ne!(other[0].fields, Fields::default());
}
