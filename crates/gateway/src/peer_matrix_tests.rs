//! Case 13, SXFF-1 to SXFF-4: every mixture of peers, lines, and what stands in them, against what they mean.
use super::*;
use crate::wire;
use doorward_core::network::{Network, Networks};

#[path = "../tests/forwarded/table.rs"]
mod table;

use crate::random::Random;
use table::{DECOYS, ELEMENTS, HOPS, Meaning, caller, lines};

/// Peers: their address, and whether they are trusted.
const PEERS: &[(&str, bool)] = &[
    ("10.0.0.1", true),
    ("2001:db8:1::9", true),
    ("192.0.2.50", false),
    ("11.0.0.1", false),
    ("2001:db8::50", false),
    ("2002:a00:1::", false),
];

struct Tried {
    combinations: u64,
    trusted: Trusted,
    wrong: Vec<String>,
}

impl Tried {
    fn new(header: TrustedHeader) -> Tried {
        // Host bits are masked.
        let networks = ["10.9.8.7/8", "127.0.0.1", "2001:db8:1::5/48"].map(|n| Network::parse(n).unwrap());
        let trusted = Trusted { networks: Networks::new(networks), header };
        Tried { combinations: 0, trusted, wrong: Vec::new() }
    }

    fn ask(&mut self, (socket, trusted): (&str, bool), text: &str, said: &[Meaning]) {
        self.combinations += 1;
        let raw = format!("GET / HTTP/1.1\r\nHost: a\r\n{text}\r\n").into_bytes();
        let mut head = wire::Head::default();
        wire::request(&raw, &wire::Limits::default(), &mut head).unwrap();
        let at = Connected { socket: socket.parse().unwrap(), tls: false, plain_http: PlainHttp::Serve };
        let peer = Peer::behind(at, &self.trusted, &raw, &head.fields);
        let got = peer.as_ref().map(|peer| (peer.client, peer.text.as_str(), peer.proxy));
        let want = trusted.then(|| {
            let client: Option<IpAddr> = caller(said).map(|text| text.parse().unwrap());
            (client, caller(said).unwrap_or_default(), Some(at.socket))
        });
        if got != want {
            self.wrong.push(format!("{socket} {text:?}: {got:?}, not {want:?}"));
        }
    }

    fn all(mut self, name: &str, table: &[(&str, Meaning)], least: u64) {
        let mut random = Random::new(13);
        for peer in PEERS {
            self.ask(*peer, "", &[]);
            for a in 0..table.len() {
                for b in 0..table.len() {
                    // On one line, and on two.
                    for places in [vec![vec![a, b]], vec![vec![a], vec![b]]] {
                        let spaced = random.below(2) == 0;
                        let (text, said) = lines(name, table, &places, spaced);
                        let decoy = random.pick(DECOYS);
                        let text = if random.below(2) == 0 { text + decoy } else { decoy.to_owned() + &text };
                        self.ask(*peer, &text, &said);
                    }
                }
            }
            for _ in 0..2_000 {
                let places: Vec<Vec<usize>> = (0..1 + random.below(3))
                    .map(|_| (0..1 + random.below(4)).map(|_| random.below(table.len())).collect())
                    .collect();
                let name = [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()];
                let (text, said) = lines(&name[random.below(3)], table, &places, random.below(2) == 0);
                self.ask(*peer, &text, &said);
            }
        }
        let Tried { combinations, wrong, .. } = &self;
        println!("figures: {name}: {combinations} combinations, {} wrong", wrong.len());
        assert!(wrong.is_empty(), "{}", wrong[..wrong.len().min(30)].join("\n"));
        assert!(*combinations >= least, "{combinations}");
    }
}

#[test]
fn case_13_x_forwarded_for_in_every_spelling() {
    Tried::new(TrustedHeader::XForwardedFor).all("X-Forwarded-For", HOPS, 5_000);
}

#[test]
fn case_13_forwarded_in_every_spelling() {
    Tried::new(TrustedHeader::Forwarded).all("Forwarded", ELEMENTS, 5_000);
}

/// The header that is not configured tells nothing, whoever sends it.
#[test]
fn sxff_1_the_other_header_is_not_looked_at() {
    for (header, name, table) in [
        (TrustedHeader::XForwardedFor, "Forwarded", ELEMENTS),
        (TrustedHeader::Forwarded, "X-Forwarded-For", HOPS),
    ] {
        let mut tried = Tried::new(header);
        for at in 0..table.len() {
            let (text, _) = lines(name, table, &[vec![at]], false);
            PEERS.iter().for_each(|peer| tried.ask(*peer, &text, &[]));
        }
        assert!(tried.wrong.is_empty(), "{}", tried.wrong.join("\n"));
    }
}
