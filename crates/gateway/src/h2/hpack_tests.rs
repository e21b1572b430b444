//! Blocks that another compressor made say the same here; whatever they are changed to, reading them ends.
use super::frame::{self, CONTINUATION, Frame, HEAD_BYTES, HEADERS, PREFACE};
use super::stranger::{Fields, fields};
use crate::random::Random;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Connections, and requests of each: as many as may be sent before the other end has said anything.
const CONNECTIONS: usize = 30;
const REQUESTS: usize = 90;

/// One request as Node.js takes it, and as it has to arrive.
fn request(random: &mut Random) -> (Value, Fields) {
    let mut map = Map::new();
    let mut want = Fields::new();
    let mut secret = Vec::new();
    let text = |random: &mut Random, most: usize| -> String {
        let inner: String = (0..random.below(most))
            .map(|_| match random.below(4) {
                0 => char::from(0xa0 + random.below(96) as u8),
                _ => char::from(b' ' + random.below(95) as u8),
            })
            .collect();
        inner.trim_matches([' ', '\u{a0}']).to_owned()
    };
    let latin = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
    let mut put = |name: &str, value: String| {
        want.push((name.as_bytes().to_vec(), latin(&value)));
        map.insert(name.to_owned(), value.into());
    };
    put(":method", random.pick(&["GET", "POST", "PUT", "PURGE"]).to_owned());
    put(":scheme", random.pick(&["http", "https"]).to_owned());
    put(":authority", random.pick(&["a.example", "b.example:8443"]).to_owned());
    put(":path", format!("/{}", random.next() % 50));
    for _ in 0..random.below(12) {
        let name = random.pick(&[
            "accept",
            "authorization",
            "x-a",
            "x-very-long-name-of-a-field",
            "user-agent",
            "via",
        ]);
        let name =
            if random.below(2) == 0 { name.to_owned() } else { format!("{name}-{}", random.below(40)) };
        if want.iter().any(|(known, _)| known == name.as_bytes()) {
            continue;
        }
        // Short ones come again, long ones push everything else out of the table.
        let value = match random.below(6) {
            0 => text(random, 3_000),
            1 => String::new(),
            2 => "the same".to_owned(),
            _ => text(random, 30),
        };
        want.push((name.as_bytes().to_vec(), latin(&value)));
        if random.below(4) == 0 {
            secret.push(name.clone());
        }
        map.insert(name, value.into());
    }
    (json!({ "fields": map, "secret": secret }), want)
}

/// The header blocks of what a client has sent.
fn blocks(sent: &[u8]) -> Vec<Vec<u8>> {
    let mut at = sent.strip_prefix(PREFACE).unwrap();
    let mut all: Vec<Vec<u8>> = Vec::new();
    while let Some(head) = Frame::read(at) {
        let (payload, rest) = at[HEAD_BYTES..].split_at(head.length);
        at = rest;
        match head.kind {
            HEADERS => {
                assert!(!head.has(frame::PADDED));
                all.push(payload[if head.has(frame::PRIORITISED) { 5 } else { 0 }..].to_vec());
            }
            CONTINUATION => all.last_mut().unwrap().extend_from_slice(payload),
            _ => {}
        }
    }
    all
}

/// S7541: nghttp2's compressor, with its table, its indices and its Huffman code.
#[test]
fn s7541_what_nghttp2_compresses_is_read_as_it_was_meant() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/h2/hpack_node.js");
    let mut command = Command::new("node");
    let Ok(mut node) = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        eprintln!("skipped: h2::hpack_tests: no Node.js on this machine, so nghttp2 has no say");
        return;
    };
    let mut random = Random::new(11);
    let asked: Vec<Vec<(Value, Fields)>> =
        (0..CONNECTIONS).map(|_| (0..REQUESTS).map(|_| request(&mut random)).collect()).collect();
    let lists: Vec<Vec<&Value>> =
        asked.iter().map(|list| list.iter().map(|(json, _)| json).collect()).collect();
    node.stdin.take().unwrap().write_all(json!(lists).to_string().as_bytes()).unwrap();
    let told = node.wait_with_output().unwrap();
    assert!(told.status.success());
    let told = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told.lines().count(), CONNECTIONS);
    for (line, list) in told.lines().zip(&asked) {
        let sent: Vec<u8> = (0..line.len() / 2)
            .map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let blocks = blocks(&sent);
        let got = fields(blocks.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(got.len(), REQUESTS);
        for (mut got, (_, want)) in got.into_iter().zip(list) {
            let mut want = want.clone();
            got.sort();
            want.sort();
            let other = got.iter().zip(&want).find(|(got, want)| got != want);
            assert!(got.len() == want.len() && other.is_none(), "{} of {}, {other:?}", got.len(), want.len());
        }
        for _ in 0..200 {
            let mut broken = blocks.clone();
            for _ in 0..=random.below(3) {
                let block = random.below(broken.len());
                let at = random.below(broken[block].len());
                broken[block][at] ^= 1 << random.below(8);
                broken[block].truncate(at + 1 + random.below(400));
            }
            // Whatever it is now, it is read to its end or refused.
            let read = fields(broken.iter().map(Vec::as_slice));
            assert!(read.is_none_or(|all| all.len() == REQUESTS));
        }
    }
}
