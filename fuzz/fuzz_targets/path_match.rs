//! Paths: refused, or every kind of server that finds something there finds what was judged.
#![no_main]
#[path = "../../crates/gateway/tests/spellings/servers.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod servers;

use doorward_gateway::Trusted;
use doorward_gateway::meaning::{Became, Node};
use libfuzzer_sys::fuzz_target;
use servers::{Place, Server, served};
use std::cell::LazyCell;

const PLACES: &[Place] = &[
    Place { template: "/public/*", public: true },
    Place { template: "/public/inner/*", public: false },
    Place { template: "/files/{name}", public: true },
    Place { template: "/files/{name}/parts/*", public: true },
    Place { template: "/files/admin", public: false },
    Place { template: "/v1/*", public: false },
    Place { template: "/admin", public: false },
    Place { template: "/loose/*", public: true },
    Place { template: "/loose/secret/*", public: false },
    Place { template: "/*", public: true },
];

/// How many kinds of servers read each path.
const SERVERS: u32 = 64;

fn node() -> Node {
    let mut policy = "workspace = [{ id = \"w\", environment = \"production\" }]\n".to_owned();
    for (nth, Place { template, public }) in PLACES.iter().enumerate() {
        let odd = template.starts_with("/loose");
        policy.push_str(&format!(
            "[[api]]\nid = \"a{nth}\"\ndialect = \"standard\"\n\
             paths = {{ encoded_slash = {odd}, empty_segments = {odd}, dot_segments = {odd} }}\n\
             upstream = {{ production = \"http://192.0.2.1\" }}\nroute = [{{ path = \"{template}\", public = {public} }}]\n"
        ));
    }
    Node::new(&policy).expect("a policy")
}

thread_local! {
    static NODE: LazyCell<Node> = LazyCell::new(node);
}

fuzz_target!(|data: &[u8]| {
    let Some((seed, path)) = data.split_first_chunk::<2>() else { return };
    if path.iter().any(|b| b.is_ascii_whitespace() || *b == b'?') {
        return;
    }
    let raw = [b"GET /", path, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let became = NODE.with(|node| node.takes(&raw, [192, 0, 2, 50].into(), &Trusted::default()));
    let by = match became {
        Became::Passed(by, head, _) => {
            assert!(PLACES[by].public, "{}", path.escape_ascii());
            assert!(head.starts_with(&[b"GET /", path, b" HTTP/1.1\r\n"].concat()));
            by
        }
        // Decided, and a credential was missing.
        Became::Refused(Some(by)) if !PLACES[by].public => by,
        _ => return,
    };
    let path = [b"/", path].concat();
    let first = u32::from(u16::from_be_bytes(*seed));
    for n in (0..SERVERS).map(|n| (first + n * 97) % Server::KINDS).chain([Server::KINDS - 1]) {
        let server = Server::nth(n);
        let other = served(&server, PLACES, &path).unwrap_or(by);
        assert_eq!(PLACES[other].template, PLACES[by].template, "{} by {server:?}", path.escape_ascii());
    }
});
