//! Every byte of a signed message changed, one at a time: nothing is accepted, unless the byte lies outside what is signed.
//!
//! What may be changed all the same is told by [`harmless`], and nothing else may:
//! - the signature's own header field, its spaces: it is removed before the upstream;
//! - header fields that are not signed;
//! - the case of a header field's name (RFC 9110 5.1), and white space around a value (5.5): the same message;
//! - the case of hexadecimal digits in an escape of the query (RFC 3986 6.2.2.1): the same query;
//! - with Escher the case of the method, which is written in capitals before it is signed: routes do not take it;
//!
//! One more is possible where a configuration takes `%2B` that was signed as a space, and it has a test of its own.
use crate::support::{Http, Known, Seeded, at, read};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::schemes::escher::{self, Config, How, Signer, SigningSecret, ToSign};

const NOW: &str = "2015-08-30T12:36:00Z";
const KNOWN: Known<'static> = Known { id: "KEY", secret: "secret" };
/// Values that each byte is changed to besides one bit less or more.
const OTHERS: &[u8] = b" \t\r\n:;,/?&=%+.\"0aA~\x00\xff";

/// Who may be changed, and why that does no harm.
fn harmless(message: &[u8], at: usize, to: u8, config: &Config, signed: &[&str]) -> Option<&'static str> {
    let head = message.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let start = message[..at].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let line = &message[start..start + message[start..].iter().position(|b| *b == b'\r').unwrap_or(0)];
    let from = message[at];
    let case = from.eq_ignore_ascii_case(&to);
    if at >= head {
        return None;
    }
    if start == 0 {
        let space = line.iter().position(|b| *b == b' ').unwrap();
        let query = line.iter().position(|b| *b == b'?').unwrap_or(line.len());
        let escape = (1..=2).any(|n| at >= n && line.get(at - n) == Some(&b'%'));
        if at < space && case && config.hashes().len() == 2 {
            return Some("method");
        }
        if at > query && escape && case {
            return Some("hexadecimal");
        }
        return None;
    }
    let colon = line.iter().position(|b| *b == b':')?;
    let name = String::from_utf8(line[..colon].to_ascii_lowercase()).unwrap();
    let inside = at - start;
    if inside < colon && case {
        return Some("name");
    }
    if name == "authorization" && inside > colon {
        return (from == b' ' || to == b' ' || to == b'\t').then_some("spaces of the signature");
    }
    if inside == colon + 1 && to == b'\t' {
        return Some("space before a value");
    }
    (!signed.contains(&&*name)).then_some("not signed")
}

fn antavo() -> Config {
    Config::antavo("us/api/antavo_request").unwrap().with_presigned(3_600)
}

fn aws4() -> Config {
    Config::aws4("us-east-1/execute-api/aws4_request").unwrap().with_presigned(3_600)
}

/// A message of each kind, with the fields that are signed in it.
fn messages() -> Vec<(Config, Vec<u8>, Vec<&'static str>)> {
    let signer = Signer { id: KNOWN.id.to_owned(), secret: SigningSecret::new(KNOWN.secret.as_bytes()) };
    let header = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    let mut all = Vec::new();
    for (config, date) in
        [(antavo(), "date"), (antavo().with_escaped_plus_as_space(false), "date"), (aws4(), "x-amz-date")]
    {
        for (method, body, presigned) in [("POST", r#"{"points": 325}"#, false), ("GET", "", true)] {
            let req = ToSign {
                method: method.to_owned(),
                host: "api.example:8443".to_owned(),
                target: "/customers/8%C3%A9?name=John%20Doe&b=1,2&a=%2B1&a=x!".to_owned(),
                headers: vec![
                    header("Content-Type", "application/json; charset=\"utf 8\""),
                    header("X-Trace", "some 1"),
                ],
                body: BodyDigest::of(Hash::Sha256, body.as_bytes()),
            };
            let how = How { fields: vec!["content-type".to_owned()], ..How::default() };
            let made = if presigned {
                escher::presign(&config, &signer, &req, &how, 900, at(NOW))
            } else {
                escher::sign(&config, &signer, &req, &how, at(NOW))
            };
            let http = Http::signed(&req, body.as_bytes(), &made.unwrap());
            assert_eq!(http.code(&config, at(NOW), &KNOWN), "ok");
            all.push((config.clone(), http.bytes(), vec!["host", "content-type", date]));
        }
    }
    all
}

/// Whether every value is tried for every byte. Every day it is a sample: one bit less or more, and what often matters.
fn all_values() -> bool {
    std::env::var_os("DOORWARD_N").is_some()
}

#[test]
fn no_changed_byte_is_accepted() {
    let whole = all_values();
    let (mut tried, mut accepted, mut kinds) = (0, 0, std::collections::BTreeMap::new());
    for (config, message, signed) in messages() {
        assert_eq!(read(&message).unwrap().code(&config, at(NOW), &KNOWN), "ok");
        for i in 0..message.len() {
            let bits = (0..8).map(|bit| message[i] ^ (1 << bit));
            let sample = bits.chain(OTHERS.iter().copied()).collect();
            let values: Vec<u8> = if whole { (0..=255).collect() } else { sample };
            for to in values.into_iter().filter(|to| *to != message[i]) {
                let mut changed = message.clone();
                changed[i] = to;
                tried += 1;
                let Some(http) = read(&changed) else { continue };
                if http.code(&config, at(NOW), &KNOWN) != "ok" {
                    continue;
                }
                accepted += 1;
                let why = harmless(&message, i, to, &config, &signed);
                let shown = String::from_utf8_lossy(&changed).into_owned();
                let why = why.unwrap_or_else(|| panic!("byte {i} became {:?}:\n{shown}", char::from(to)));
                *kinds.entry(why).or_insert(0) += 1;
            }
        }
    }
    println!("figures: {tried} bytes changed, {accepted} accepted, all harmless: {kinds:?}");
    assert!(tried > if whole { 500_000 } else { 50_000 });
    assert!(kinds.contains_key("not signed") && kinds.contains_key("hexadecimal"), "{kinds:?}");
}

/// Who takes `%2B` signed as a space can't tell a space from a plus; whoever does not need to should not.
#[test]
fn the_price_of_a_plus_signed_as_a_space() {
    let signer = Signer { id: KNOWN.id.to_owned(), secret: SigningSecret::new(KNOWN.secret.as_bytes()) };
    let req = ToSign {
        method: "GET".to_owned(),
        host: "api.example".to_owned(),
        target: "/x?name=John%20Doe".to_owned(),
        headers: Vec::new(),
        body: BodyDigest::empty(Hash::Sha256),
    };
    let made = escher::sign(&antavo(), &signer, &req, &How::default(), at(NOW)).unwrap();
    let mut http = Http::signed(&req, b"", &made);
    http.target = b"/x?name=John%2BDoe".to_vec();
    let proof = http.judge(&antavo(), at(NOW), &KNOWN).unwrap().unwrap();
    assert!(proof.reading().escaped_plus_is_space);
    assert_eq!(proof.string_to_sign(), &made.string_to_sign, "once-only holds all the same");
    let strict = antavo().with_escaped_plus_as_space(false);
    assert_eq!(http.code(&strict, at(NOW), &KNOWN), "signature_invalid");
}

/// Bytes that come or go.
#[test]
fn no_byte_more_or_less_is_accepted() {
    let (whole, seeded) = (all_values(), &mut Seeded(7));
    let (mut tried, mut accepted) = (0, 0);
    for (config, message, signed) in messages() {
        for i in 0..message.len() {
            let mut less = message.clone();
            less.remove(i);
            let sample = vec![*seeded.pick(OTHERS)];
            let new: Vec<u8> = if whole { (0..=255).collect() } else { sample };
            let more = new.into_iter().map(|new| {
                let mut more = message.clone();
                more.insert(i, new);
                (more, Some(new))
            });
            for (changed, added) in std::iter::once((less, None)).chain(more) {
                tried += 1;
                let Some(http) = read(&changed) else { continue };
                if http.code(&config, at(NOW), &KNOWN) != "ok" {
                    continue;
                }
                accepted += 1;
                // White space, and fields that are not signed: their own bytes, or a line that became another field.
                let space = |b: u8| matches!(b, b' ' | b'\t');
                let same = read(&changed).is_some_and(|http| {
                    signed.iter().all(|name| values(&http, name) == values(&read(&message).unwrap(), name))
                });
                let target = http.target == read(&message).unwrap().target;
                assert!(
                    target && (same || space(added.unwrap_or(message[i]))),
                    "byte {i}:\n{}",
                    String::from_utf8_lossy(&changed)
                );
            }
        }
    }
    println!("figures: {tried} bytes put in or left out, {accepted} accepted, all harmless");
    assert!(tried > if whole { 500_000 } else { 3_000 });
}

fn values(http: &Http, name: &str) -> Vec<Vec<u8>> {
    let own = http.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
    own.map(|(_, v)| v.clone()).chain((name == "host").then(|| http.host.clone())).collect()
}
