//! A head as a whole: refused, or what goes on has one meaning, which is that of the head.
#![no_main]
#[path = "../../tests/support/strict.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod strict;

use doorward_gateway::Trusted;
use doorward_gateway::meaning::{Became, Node};
use doorward_gateway::wire::Framing;
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;
use strict::Framed;

const POLICY: &str = r#"
workspace = [{ id = "w", environment = "production" }]
[[api]]
id = "open"
dialect = "voucherify"
names = ["voucherify", "standard"]
upstream = { production = "http://192.0.2.1" }
route = [{ path = "/*", public = true }]
"#;

thread_local! {
    static NODE: LazyCell<Node> = LazyCell::new(|| Node::new(POLICY).expect("a policy"));
}

/// Lengths up to this, in bytes, are followed by a body.
const MOST_BODY: u64 = 4096;

fuzz_target!(|data: &[u8]| {
    let raw = [data, b"\r\n\r\n"].concat();
    // One head, and nothing behind it.
    if data.windows(4).any(|w| w == b"\r\n\r\n") {
        return;
    }
    let socket = [192, 0, 2, 50].into();
    let became = NODE.with(|node| node.takes(&raw, socket, &Trusted::default()));
    let Became::Passed(_, head, framing) = became else { return };
    let body = match framing {
        Framing::Chunked => b"3\r\nabc\r\n0\r\n\r\n".to_vec(),
        Framing::Length(n) if n <= MOST_BODY => vec![b'x'; n as usize],
        Framing::Length(_) => return,
        Framing::None | Framing::UntilClose => Vec::new(),
    };
    let sent = strict::sent(&[&raw[..], &body].concat()).unwrap_or_else(|(_, why)| panic!("{why}"));
    let (arrived, _) = strict::reached(&[&head[..], &body].concat()).unwrap_or_else(|why| panic!("{why}"));
    let ([sent], [arrived]) = (&sent[..], &arrived[..]) else {
        panic!("{} and {}", sent.len(), arrived.len())
    };
    assert_eq!((&sent.method, &sent.body), (&arrived.method, &arrived.body));
    assert!(
        sent.target.ends_with(&arrived.target) || arrived.target.len() < sent.target.len(),
        "{arrived:?}"
    );
    let framed = |framed| if framed == Framed::Length(0) { Framed::Nothing } else { framed };
    assert_eq!(framed(sent.framed), framed(arrived.framed));
    assert_eq!(sent.all("host"), arrived.all("host"));
    assert_eq!(arrived.all("x-forwarded-for"), ["192.0.2.50"]);
    assert_eq!(arrived.all("doorward-request-id").len(), 1);
    for (name, value) in &arrived.fields {
        let from_caller = sent.fields.contains(&(name.clone(), value.clone()));
        let lower = name.to_ascii_lowercase();
        let ours =
            ["host", "via", "content-length", "transfer-encoding", "connection", "doorward-request-id"];
        assert!(
            from_caller || ours.contains(&&*lower) || lower.starts_with("x-forwarded-"),
            "{name}: {value}"
        );
    }
});
