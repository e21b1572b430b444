//! The table of decisions: who presents what, where, from which origin, and what comes of it.
//!
//! `decisions/table.txt` is for reviewers: every line is one decision. The test fails where the machine decides
//! otherwise, and where a reason is in no line. With `DOORWARD_WRITE_TABLE=1` the table is written anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
mod asked;
mod avanan;
mod bearer;
mod bearer_pages;
mod duties;
mod keys;
mod local;
mod rules;
mod signed;
mod tokens;

use asked::{Core, Request};
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::decide::{Permit, Target};
use doorward_core::dialect::Dialect;
use doorward_core::live::Live;
use doorward_core::origin::OriginEntry;
use doorward_core::policy::{compile, draft};
use doorward_core::reason::Reason;
use doorward_core::request::{PlainHttp, Transport};
use doorward_core::schemes::escher::SigningSecret;
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use doorward_core::token::Issuer;
use keys::presented;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

const POLICY: &str = r#"
workspace = [
    { id = "live", environment = "production", region = "us" },
    { id = "test", environment = "sandbox" },
    { id = "far", environment = "production", region = "eu" },
    { id = "other", environment = "production" },
]
[[api]]
id = "things"
dialect = "voucherify"
names = ["voucherify", "standard"]
schemes = ["api_key", "publishable"]
workspaces = ["live", "test", "far"]
upstream = { production = "http://live:1" }
route = [
    { path = "/things/*", methods = ["GET", "POST"] },
    { path = "/things/open", methods = ["GET"], public = true },
    { path = "/client/*", methods = ["GET", "POST"], client_side = true },
]
[[api]]
id = "loyalty"
dialect = "antavo"
plain_key = ["sandbox"]
upstream = { production = "http://live:1", sandbox = "http://test:1" }
route = [{ path = "/customers/*" }]
[[api]]
id = "signed"
dialect = "antavo"
names = ["antavo", "aws4"]
schemes = ["escher", "api_key"]
plain_key = ["production", "sandbox"]
workspaces = ["live", "test"]
upstream = { production = "http://live:1", sandbox = "http://test:1" }
signing = [{ dialect = "antavo", presigned_max_s = 900 }, { dialect = "aws4", once_only = "unsafe" }]
route = [{ path = "/signed/*" }]
[[policy]]
workspace = "test"
api = "signed"
signatures = "observe"
[[api]]
id = "mixed"
dialect = "antavo"
schemes = ["escher", "api_key"]
plain_key = ["production", "sandbox"]
workspaces = ["live", "test"]
upstream = { production = "http://live:1", sandbox = "http://test:1" }
signing = [{ presigned_max_s = 900 }]
route = [{ path = "/mixed/*" }]
[[policy]]
workspace = "live"
api = "mixed"
signatures = "observe"
[[api]]
id = "always"
dialect = "antavo"
schemes = ["escher", "api_key"]
plain_key = ["production"]
workspaces = ["live"]
upstream = { production = "http://live:1" }
signing = [{ presigned_max_s = 900 }]
route = [{ path = "/always/*" }]
[[api]]
id = "own"
dialect = "antavo"
schemes = ["escher"]
upstream = { production = "http://live:1" }
signing = [{ prefix = "OWN", vendor = "Own", skew_s = 900 }]
route = [{ path = "/own/*" }]
[[api]]
id = "strict"
dialect = "antavo"
upstream = { production = "http://live:1", sandbox = "http://test:1" }
route = [{ path = "/strict" }]
"#;

/// Where a permitted request goes.
fn place(permit: &Permit) -> String {
    match permit.target() {
        Target::Upstream(forward) => forward.upstream().addresses[0].host.clone(),
        Target::Local(endpoint) => format!("answered here: {}", endpoint.name()),
    }
}

/// The instant of every request.
const NOW: UnixMillis = UnixMillis(1_000_000_000);

/// Reasons that no decision gives: the engine does, before or after it. The black-box tests provoke each of them.
const OF_THE_ENGINE: &[Reason] = &[
    Reason::RequestTimeout,
    Reason::BodyTooLarge,
    Reason::ExpectationFailed,
    Reason::HeadTooLarge,
    Reason::UpstreamFailed,
    Reason::UpstreamTimeout,
];

fn world(more: &str) -> Live {
    world_of(more, Issuer::parse("https://api.example").ok())
}

fn world_of(more: &str, issuer: Option<Issuer>) -> Live {
    let keys = Arc::new(Keys::derive(&[3; 32]));
    let live = Live::with_issuer(Arc::clone(&keys), issuer);
    live.policy
        .store(Arc::new(compile(&draft::read(&format!("{POLICY}{more}")).unwrap(), Some("us")).unwrap()));
    live.store_answered();
    live.renew(1, 1, 999);
    for (id, workspace, kind, dialect) in [
        ("server", "live", Kind::Server, "voucherify"),
        ("integration", "live", Kind::Integration, "voucherify"),
        ("blocked", "live", Kind::Server, "voucherify"),
        ("expired", "live", Kind::Server, "voucherify"),
        ("sandbox", "test", Kind::Server, "voucherify"),
        ("far", "far", Kind::Server, "voucherify"),
        ("other", "other", Kind::Server, "voucherify"),
        ("single", "live", Kind::Server, "standard"),
        ("client", "live", Kind::Client, "voucherify"),
        ("weak", "test", Kind::Server, "antavo"),
        ("weak-live", "live", Kind::Server, "antavo"),
        ("strong", "test", Kind::Server, "antavo"),
        ("signer", "live", Kind::Server, "antavo"),
        ("signer-blocked", "live", Kind::Server, "antavo"),
        ("signer-other", "other", Kind::Server, "antavo"),
        ("aws", "live", Kind::Server, "aws4"),
    ] {
        live.directory.put(Credential {
            id: id.into(),
            pseudonym: None,
            workspace: workspace.into(),
            kind,
            name: "".into(),
            dialect: Dialect::named(dialect).unwrap(),
            plain_key: id.starts_with("weak"),
            password_grant: false,
            status: if id.ends_with("blocked") { Status::Blocked } else { Status::Active },
            expires_at: (id == "expired").then_some(NOW),
            scopes: Box::default(),
            origins: match kind {
                Kind::Client => [OriginEntry::parse("https://shop.example").unwrap()].into(),
                _ => Box::default(),
            },
            secret: keys.hash(id.as_bytes(), b"secret"),
            signing: Dialect::named(dialect).unwrap().signing.map(|_| SigningSecret::new(b"secret")),
            own: None,
            tokens_since: 0,
        });
    }
    live
}

fn heading(table: &mut String, text: &str) {
    let _ = write!(table, "\n## {text}\n\n");
}

#[test]
fn every_decision_is_as_the_table_says() {
    let live = world("");
    let mut seen = BTreeSet::new();
    let mut table = String::from(
        "# Written by crates/core/tests/decisions.rs. Everything not named is as plain as can be.\n",
    );
    for (method, path, note) in [
        ("GET", "/things/1", "a route for servers"),
        ("GET", "/client/1", "a route open to client side, without an Origin"),
        ("GET", "/things/open", "a public route"),
        ("GET", "/customers/1", "an API that takes an id alone, in sandboxes"),
        ("GET", "/strict", "an API of the same dialect that does not"),
    ] {
        heading(&mut table, &format!("{method} {path}: {note}"));
        for (name, out) in presented() {
            let said = Request::new(method, path, &out).decide(&live, &mut seen);
            let _ = writeln!(table, "{name:<34} {said}");
        }
    }
    let all = presented();
    let with = |name: &str| &all.iter().find(|(n, _)| *n == name).unwrap().1;
    let origins: &[&[&str]] = &[
        &["https://shop.example"],
        &["http://shop.example"],
        &["https://shop.example.evil"],
        &["null"],
        &["https://shop.example/"],
        &["https://shop.example", "https://shop.example"],
    ];
    heading(&mut table, "GET /client/1, by origin");
    for name in ["client pair", "client pair, wrong token", "pair", "nothing"] {
        for origin in origins {
            let mut r = Request::new("GET", "/client/1", with(name));
            r.more = origin.iter().map(|o| ("origin", *o)).collect();
            let said = r.decide(&live, &mut seen);
            let _ = writeln!(table, "{name:<26} {:<46} {said}", origin.join(" + "));
        }
    }
    heading(&mut table, "Preflights");
    for (path, method) in
        [("/client/1", "POST"), ("/client/1", "DELETE"), ("/things/1", "POST"), ("/nowhere", "POST")]
    {
        for origin in &origins[..4] {
            let mut r = Request::new("OPTIONS", path, with("nothing"));
            r.more = vec![("origin", origin[0]), ("access-control-request-method", method)];
            let said = r.decide(&live, &mut seen);
            let _ = writeln!(table, "{path:<12} {method:<8} {:<28} {said}", origin[0]);
        }
    }
    heading(&mut table, "Paths and methods, with a good pair");
    for (method, path) in [
        ("GET", "/nowhere"),
        ("PUT", "/things/1"),
        ("OPTIONS", "/things/1"),
        ("TRACE", "/things/1"),
        ("POST", "/things/open"),
        ("GET", "/things/open/"),
        ("GET", "/things"),
        ("GET", "/thingsX"),
        ("GET", "//things/1"),
        ("GET", "/things//1"),
        ("GET", "/things/../things/1"),
        ("GET", "/things/%2e%2e/x"),
        ("GET", "/things/a%2fb"),
        ("GET", "/things/a%5cb"),
        ("GET", "/things/%6fpen"),
        ("GET", "/things/open;x"),
        ("GET", "/things/a%20b"),
        ("GET", "/things/%zz"),
        ("OPTIONS", "*"),
    ] {
        let said = Request::new(method, path, with("pair")).decide(&live, &mut seen);
        let _ = writeln!(table, "{method:<8} {path:<24} {said}");
    }
    heading(&mut table, "Plain HTTP");
    for mode in [PlainHttp::Serve, PlainHttp::Redirect, PlainHttp::Refuse] {
        for name in ["pair", "pair, wrong secret", "pair, blocked", "pair and single", "nothing"] {
            let mut r = Request::new("GET", "/things/1", with(name));
            r.transport = Transport::Plain(mode);
            let said = r.decide(&live, &mut seen);
            let _ = writeln!(table, "{:<10} {name:<22} {said}", format!("{mode:?}").to_lowercase());
        }
    }
    heading(&mut table, "A node that has not heard from its store for too long");
    for name in ["pair", "pair, wrong secret", "nothing"] {
        let mut r = Request::new("GET", "/things/1", with(name));
        r.now_ms = 1000;
        let said = r.decide(&live, &mut seen);
        let _ = writeln!(table, "{name:<22} {said}");
    }

    signed::table(&mut table, &live, &mut seen);
    bearer::table(&mut seen);
    rules::table(&mut seen);

    compare("table.txt", &table);
    let missing: Vec<_> =
        Reason::ALL.iter().filter(|r| !seen.contains(r) && !OF_THE_ENGINE.contains(r)).collect();
    assert!(missing.is_empty(), "no line of the table gives {missing:?}");
    assert!(OF_THE_ENGINE.iter().all(|r| !seen.contains(r)));
}

/// Holds a table against what is written.
fn compare(file: &str, table: &str) {
    let file = format!("{}/tests/decisions/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("DOORWARD_WRITE_TABLE").is_some() {
        std::fs::write(&file, table).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let mut lines = written.lines().zip(table.lines()).filter(|(w, t)| w != t);
    if let Some((was, is)) = lines.next() {
        panic!("decided otherwise than the table says\n table: {was}\n now:   {is}");
    }
    assert_eq!(written.lines().count(), table.lines().count(), "the table has too many or too few lines");
}

/// The law of every scheme: what is signed is detected and verifies.
#[test]
fn what_is_signed_verifies() {
    let live = world("");
    let mut seen = BTreeSet::new();
    for (name, path) in [("pair", "/things/1"), ("single", "/things/1"), ("id alone", "/customers/1")] {
        let out = presented().into_iter().find(|(n, _)| *n == name).unwrap().1;
        let said = Request::new("GET", path, &out).decide(&live, &mut seen);
        assert!(said.starts_with("permit"), "{name}: {said}");
    }
}
