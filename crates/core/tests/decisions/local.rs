//! The table of decisions about routes that are answered here.
use crate::{Request, compare, heading, keys, signed, world};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::decide::Received;
use doorward_core::schemes::Outgoing;
use std::collections::BTreeSet;
use std::fmt::Write;

const API: &str = r#"
[[api]]
id = "local"
dialect = "antavo"
names = ["antavo", "voucherify", "standard"]
schemes = ["escher", "api_key", "publishable"]
plain_key = ["sandbox"]
signing = [{ presigned_max_s = 900 }]
route = [
    { path = "/local/token", target = "token" },
    { path = "/local/client", target = "token", public = true },
    { path = "/local/keys", target = "jwks" },
    { path = "/local/open", target = "jwks", public = true },
]
"#;

/// What is presented there, by name.
const NAMES: &[&str] = &[
    "nothing",
    "pair",
    "pair, unknown id",
    "pair, wrong secret",
    "pair, blocked",
    "pair, sandbox",
    "pair, other region",
    "half a pair",
    "pair and single",
    "client pair",
    "client pair, wrong token",
    "id alone",
    "id alone, unknown",
    "signed",
    "signed, wrong secret",
    "signed address",
];

fn presented(path: &str) -> Vec<(&'static str, Outgoing)> {
    let all = keys::presented().into_iter().chain(signed::presented(path));
    all.filter(|(name, _)| NAMES.contains(name)).collect()
}

#[test]
fn what_is_answered_here_is_decided_as_the_table_says() {
    let live = world(API);
    let seen = &mut BTreeSet::new();
    let mut all = String::from("# Written by crates/core/tests/decisions/local.rs.\n");
    let table = &mut all;
    for (path, note) in [
        ("/local/keys", "answered here, with a credential"),
        ("/local/open", "answered here, without one; what must not be shown opens nothing there either"),
    ] {
        heading(table, &format!("GET {path}: {note}"));
        for (name, out) in presented(path) {
            let said = Request::new("GET", path, &out).decide(&live, seen);
            let _ = writeln!(table, "{name:<34} {said}");
        }
    }
    heading(table, "POST: answered here, by what is known of the body");
    let digest = BodyDigest::of(Hash::Sha256, b"body");
    for path in ["/local/token", "/local/client"] {
        for (name, out) in presented(path) {
            if !["nothing", "pair", "pair, unknown id", "client pair", "id alone"].contains(&name) {
                continue;
            }
            for (body, what) in [
                (Received::Nothing, "none"),
                (Received::NotYet, "not read yet"),
                (Received::All { digest: &digest, bytes: b"body" }, "read"),
            ] {
                let mut r = Request::new("POST", path, &out);
                r.body = body;
                let said = r.decide(&live, seen);
                let _ = writeln!(table, "{path:<14} {name:<20} {what:<14} {said}");
            }
        }
    }
    heading(table, "Answered here: methods and preflights");
    for (method, path) in
        [("GET", "/local/token"), ("PUT", "/local/token"), ("POST", "/local/keys"), ("HEAD", "/local/open")]
    {
        let said = Request::new(method, path, &Outgoing::default()).decide(&live, seen);
        let _ = writeln!(table, "{method:<8} {path:<24} {said}");
    }
    for path in ["/local/token", "/local/client", "/local/open"] {
        for method in ["POST", "GET"] {
            let nothing = Outgoing::default();
            let mut r = Request::new("OPTIONS", path, &nothing);
            r.more = vec![("origin", "https://shop.example"), ("access-control-request-method", method)];
            let said = r.decide(&live, seen);
            let _ = writeln!(table, "OPTIONS  {path:<15} {method:<8} {said}");
        }
    }
    compare("local.txt", &all);
}
