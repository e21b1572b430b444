//! Whoever asked before decides nothing: every pair of requests, one behind the other on one connection and from one core's
//! memory, is answered as each of them alone (case 15).
use crate::network::row;
use crate::support::{Actor, Conn, Gateway, HOST, Setup, Upstream};
use std::collections::BTreeMap;

const POLICY: &str = r#"
[[workspace]]
id = "acme"
environment = "production"
[[workspace]]
id = "other"
environment = "production"
[[workspace]]
id = "test"
environment = "sandbox"

[[api]]
id = "shop"
dialect = "voucherify"
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/v1/read/*"
scope = "read"
[[api.route]]
path = "/v1/write/*"
scope = "write"

[[api]]
id = "hosted"
dialect = "voucherify"
hosts = ["shop.example"]
workspaces = ["acme"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/v1/read/*"

[[api]]
id = "till"
dialect = "standard"
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/till/*"
[[api.route]]
path = "/open/*"
public = true
"#;

/// Addresses of this machine; the first is on the list of `acme`.
const SOURCES: [&str; 2] = ["127.0.1.3", "127.0.2.2"];

struct Asker {
    name: &'static str,
    lines: String,
}

fn requests(askers: &[Asker]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for Asker { name, lines } in askers {
        for (host, path) in [
            (HOST, "/v1/read/x"),
            (HOST, "/v1/write/x"),
            ("shop.example", "/v1/read/x"),
            ("SHOP.example:8080", "/v1/read/x"),
            (HOST, "/till/x"),
            (HOST, "/open/x"),
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
            all.push((format!("{name} at {host}{path}"), request));
        }
    }
    all
}

/// What is answered: the status and the code.
fn ask(connection: &mut Conn, request: &str) -> (u16, String) {
    let answer = connection.send(request).answer();
    (answer.status, answer.code().to_owned())
}

#[test]
fn case_15_no_verdict_crosses_to_another_caller_route_host_or_address() {
    let upstream = Upstream::start();
    let rows = row("acme", "shop", "allow = [\"127.0.1.3\"]");
    let policy = POLICY.replace("{upstream}", &upstream.address.to_string()) + &rows;
    let mut gateway: Gateway = Setup::new().set("runtime", "cores", 1).policy(policy).prepare();
    let of = |actor: Actor| actor.lines();
    let reader = gateway.actor("acme", "server", &["--scope", "read"]);
    let writer = gateway.actor("acme", "server", &["--scope", "write"]);
    let other = gateway.actor("other", "server", &["--scope", "read", "--scope", "write"]);
    let tester = gateway.actor("test", "server", &["--dialect", "voucherify", "--scope", "read"]);
    let till = gateway.actor("acme", "integration", &["--dialect", "standard"]);
    gateway.start();
    let askers = [
        Asker { name: "a reader", lines: reader.lines() },
        Asker { name: "a writer", lines: writer.lines() },
        Asker { name: "somebody else's", lines: other.lines() },
        Asker { name: "a sandbox's", lines: tester.lines() },
        Asker { name: "a till", lines: till.lines() },
        Asker { name: "a wrong secret", lines: of(reader.with_secret("wrong")) },
        Asker { name: "another's secret", lines: of(reader.with_secret(&writer.secret)) },
        Asker { name: "nobody", lines: String::new() },
    ];
    let all = requests(&askers);
    let address = gateway.address("plain");
    // Alone: a connection each.
    let alone: Vec<Vec<_>> = SOURCES
        .iter()
        .map(|source| all.iter().map(|(_, r)| ask(&mut Conn::from_address(source, address), r)).collect())
        .collect();
    let mut kinds: BTreeMap<(u16, &str), usize> = BTreeMap::new();
    alone.iter().flatten().for_each(|(status, code)| *kinds.entry((*status, code)).or_default() += 1);
    assert!(kinds.len() >= 5 && kinds[&(200, "")] > 10, "{kinds:?}");
    let mut connections = SOURCES.map(|source| Conn::from_address(source, address));
    let (mut pairs, mut hits) = (0, Vec::new());
    for (first, (before, request)) in all.iter().enumerate() {
        for (second, (behind, next)) in all.iter().enumerate() {
            for (from, to) in [(0, 0), (1, 1), (0, 1), (1, 0)] {
                pairs += 1;
                let got = [ask(&mut connections[from], request), ask(&mut connections[to], next)];
                if got != [alone[from][first].clone(), alone[to][second].clone()] {
                    hits.push(format!(
                        "{before} from {}, then {behind} from {}: {got:?}",
                        SOURCES[from], SOURCES[to]
                    ));
                }
            }
        }
    }
    println!("figures: pairs: {pairs} of {} requests, {} cross hits", all.len() * SOURCES.len(), hits.len());
    assert!(hits.is_empty(), "{}", hits.join("\n"));
}
