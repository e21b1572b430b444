//! Case 13, at random: whatever callers and proxies write into forwarded lines, the decision is about who connects to the
//! outermost of our proxies. A model of its own says who that is.
use crate::network::{Shop, row};
use crate::support::{Conn, Dice, number_of_trials};
use std::collections::HashMap;

/// What an element of a list means, whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// An address on the list.
    Listed,
    /// An address that is not.
    Foreign,
    /// One of our proxies.
    Ours,
    /// No address.
    Nobody,
}
use Means::{Foreign, Listed, Nobody, Ours};

const LIST: &str = r#"allow = ["192.168.0.3/24", "192.168.1.2", "2001:db8:1::/48", "127.0.3.3"]"#;
const ELEMENTS: [(&str, Means); 28] = [
    ("192.168.0.0", Listed),
    ("192.168.0.255", Listed),
    ("192.168.1.2", Listed),
    ("192.168.0.9:4711", Listed),
    ("::ffff:192.168.0.9", Listed),
    ("2001:db8:1::9", Listed),
    ("[2001:db8:1::9]", Listed),
    ("[2001:db8:1::9]:443", Listed),
    ("192.168.1.1", Foreign),
    ("192.168.1.3", Foreign),
    ("203.0.113.66", Foreign),
    ("203.0.113.66:1", Foreign),
    ("2001:db8:2::9", Foreign),
    ("::ffff:192.168.1.1", Foreign),
    ("127.0.0.9", Foreign),
    ("10.1.1.1", Ours),
    ("127.0.0.1", Ours),
    ("::ffff:10.9.9.9", Ours),
    ("", Nobody),
    ("unknown", Nobody),
    ("_hidden", Nobody),
    ("192.168.0.9/32", Nobody),
    ("192.168.000.9", Nobody),
    ("192.168.0", Nobody),
    ("[192.168.0.9]", Nobody),
    ("fe80::1%lo", Nobody),
    ("0xc0a80009", Nobody),
    ("192.168.0.9 192.168.0.9", Nobody),
];
/// Who connects: one of our proxies, a stranger, and somebody who is listed.
const PEERS: [(&str, Means); 3] = [("127.0.0.1", Ours), ("127.0.0.9", Foreign), ("127.0.3.3", Listed)];
const NAMES: [&str; 3] = ["X-Forwarded-For", "x-forwarded-for", "X-FORWARDED-FOR"];
const COMMAS: [&str; 4] = [",", ", ", " ,", " ,\t"];
/// What other programs would believe.
const NOISE: [&str; 3] =
    ["Forwarded: for=192.168.0.9\r\n", "X-Real-IP: 192.168.0.9\r\n", "X-Forwarded: 192.168.0.9\r\n"];

/// Whether a request is let in: the rightmost element that is none of our proxies counts, over all lines.
fn lets_in(peer: Means, elements: &[Means]) -> bool {
    match peer {
        Ours => elements.iter().rev().find(|means| **means != Ours) == Some(&Listed),
        other => other == Listed,
    }
}

#[test]
fn no_combination_lets_anybody_in_who_is_not_listed() {
    let trials = number_of_trials(300);
    let shop = Shop::with(&row("acme", "shop", LIST), |s| {
        s.set("trusted_proxies", "networks", "[\"127.0.0.1\", \"10.0.0.0/8\"]")
    });
    let mut dice = Dice(0x5ff4);
    let mut pick = |count: usize| dice.roll(count as u64) as usize;
    let mut connections: HashMap<&str, Conn> = HashMap::new();
    let (mut allowed, mut denied, mut wrong) = (0, 0, Vec::new());
    for _ in 0..trials {
        let (source, peer) = PEERS[[0, 0, 0, 1, 2][pick(5)]];
        let (mut lines, mut all) = (String::new(), Vec::new());
        for _ in 0..pick(5) {
            let elements: Vec<_> = (0..1 + pick(4)).map(|_| ELEMENTS[pick(ELEMENTS.len())]).collect();
            all.extend(elements.iter().map(|(_, means)| *means));
            let texts: Vec<&str> = elements.iter().map(|(text, _)| *text).collect();
            lines.push_str(&format!("{}: {}\r\n", NAMES[pick(3)], texts.join(COMMAS[pick(4)])));
        }
        if pick(3) == 0 {
            lines.push_str(NOISE[pick(3)]);
        }
        let request = shop.acme.request("GET", "/v1/x", &lines);
        let connection = connections
            .entry(source)
            .or_insert_with(|| Conn::from_address(source, shop.gateway.address("plain")));
        let answer = connection.expect_serves(&request);
        let got = match (answer.status, answer.code()) {
            (200, _) => true,
            (403, "network_denied") => false,
            _ => panic!("{source}\n{lines}{answer:?}"),
        };
        *(if got { &mut allowed } else { &mut denied }) += 1;
        if got != lets_in(peer, &all) {
            wrong.push(format!("let in: {got}, from {source}\n{lines}"));
        }
    }
    println!("figures: {allowed} let in, {denied} refused, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{} of {trials} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(allowed > trials / 20 && denied > trials / 20, "{allowed} let in, {denied} refused");
}
