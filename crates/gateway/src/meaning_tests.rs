//! Damaged heads, and what they become for an upstream: it has one meaning, that of the head.
use super::*;

#[path = "../tests/differential/corpus.rs"]
#[allow(dead_code, reason = "the differential tests use the rest")]
mod corpus;
#[path = "../tests/differential/mutate.rs"]
mod mutate;
#[path = "../../../tests/support/strict.rs"]
#[allow(dead_code, reason = "the black-box tests use the rest")]
mod strict;

use crate::random::{self, Random};

/// Heads where nothing else is asked for.
const EVERY_DAY: u64 = 40_000;

const POLICY: &str = r#"
workspace = [{ id = "w", environment = "production" }]
[[api]]
id = "open"
dialect = "voucherify"
names = ["voucherify", "standard"]
upstream = { production = "http://192.0.2.1" }
route = [{ path = "/*", public = true }]
"#;

/// Lines about which intermediaries and servers have disagreed.
const LINES: &[&[u8]] = &[
    b"Doorward-Workspace: x\r\n",
    b"doorward_kind: x\r\n",
    b"X_Forwarded_For: 10.0.0.1\r\n",
    b"X-Forwarded-For: a\r\n",
    b"Connection: close, x-forwarded-for\r\n",
    b"Connection: X-Own\r\nX-Own: 1\r\n",
    b"X-App-Token: t\r\n",
    b"x.app.id: i\r\n",
    b"X-API-Key: a.b\r\n",
    b"TE: trailers\r\n",
    b"Upgrade: h2c\r\n",
    b"Content_Length: 9\r\n",
    b"Forwarded: for=a\r\n",
    b"Expect: 100-continue\r\n",
    b"Via: 1.0 a\r\n",
    b"Proxy-Connection: keep-alive\r\n",
    b"X-Original-URL: /x\r\n",
    b"X-HTTP-Method-Override: DELETE\r\n",
    b"Transfer.Encoding: chunked\r\n",
];

/// Holds what arrives against what was sent, with a body of the length that was announced.
fn look(node: &Node, raw: &[u8], trusted: &Trusted) -> Result<bool, String> {
    let Became::Passed(_, head, framing) = node.takes(raw, "192.0.2.50".parse().unwrap(), trusted) else {
        return Ok(false);
    };
    let body = match framing {
        Framing::Chunked => b"3\r\nabc\r\n0\r\n\r\n".to_vec(),
        Framing::Length(n) if n <= 65_536 => vec![b'x'; n as usize],
        Framing::Length(_) => return Ok(false),
        Framing::None | Framing::UntilClose => Vec::new(),
    };
    let whole = |head: &[u8]| [head, &body].concat();
    let sent = strict::sent(&whole(raw)).map_err(|(_, why)| why)?;
    let arrived = strict::reached(&whole(&head))?.0;
    let ([sent], [arrived]) = (&sent[..], &arrived[..]) else {
        return Err(format!("{} sent, {} arrived", sent.len(), arrived.len()));
    };
    let target = match sent.target.split_once("://") {
        Some((_, rest)) if !sent.target.starts_with('/') => &rest[rest.find('/').unwrap_or(0)..],
        _ => &sent.target,
    };
    let framed = |framed| if framed == strict::Framed::Length(0) { strict::Framed::Nothing } else { framed };
    let same = (sent.method.as_str(), target) == (arrived.method.as_str(), arrived.target.as_str())
        && sent.body == arrived.body
        && framed(sent.framed) == framed(arrived.framed)
        && arrived.all("host") == sent.all("host")
        && arrived.all("x-forwarded-for") == ["192.0.2.50"]
        && !arrived.fields.iter().any(|(name, _)| strict::folded(name) == "x-app-token");
    if same { Ok(true) } else { Err(format!("sent {sent:?}\narrived {arrived:?}")) }
}

#[test]
fn damaged_heads_mean_the_same_to_upstreams_or_nothing() {
    let node = Node::new(POLICY).unwrap();
    let trusted = Trusted::default();
    let n = std::env::var("DOORWARD_N").ok().and_then(|n| n.parse().ok()).unwrap_or(EVERY_DAY);
    let (mut passed, mut refused) = (0_u64, 0_u64);
    for seed in 1..=n {
        let mut random = Random::new(seed);
        let message = random.pick(corpus::REQUESTS);
        let end = message.windows(4).position(|w| w == b"\r\n\r\n").map_or(message.len(), |at| at + 2);
        let mut head = message[..end].to_vec();
        (0..random.below(4)).for_each(|_| head.extend_from_slice(random.pick(LINES)));
        head.extend_from_slice(b"\r\n");
        let head =
            if random.below(3) == 0 { head } else { mutate::mutate(&head, corpus::REQUESTS, &mut random) };
        match look(&node, &head, &trusted) {
            Ok(true) => passed += 1,
            Ok(false) => refused += 1,
            Err(why) => panic!("seed {seed}: {why}\n{}", head.escape_ascii()),
        }
    }
    println!("figures: heads: {n} sent, {refused} refused, {passed} passed, 0 that mean something else");
    assert!(passed > n / 10 && refused > n / 10, "{passed} passed, {refused} refused");
}
