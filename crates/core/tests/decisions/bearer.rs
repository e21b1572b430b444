//! The table of decisions about access tokens.
use crate::bearer_pages::{forms, pages, scopes};
use crate::tokens::{EPOCH, SINCE, Wanted, credential, key, sent, world_with_tokens};
use crate::{Core, NOW, Request, compare, heading};
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::decide::Step;
use doorward_core::jwt::{Algorithm, decode, encode};
use doorward_core::live::Live;
use doorward_core::origin::OriginEntry;
use doorward_core::reason::Reason;
use doorward_core::schemes::Outgoing;
use doorward_core::token::{Jti, KEPT_AFTER_EXPIRY_MS};
use std::collections::BTreeSet;
use std::fmt::Write;

pub(crate) const POLICY: &str = r#"
[[api]]
id = "tokens"
dialect = "standard"
schemes = ["api_key", "bearer"]
workspaces = ["live", "far"]
upstream = { production = "http://tokens:1" }
cors = { origins = ["https://page.example"] }
route = [
    { path = "/t/any" },
    { path = "/t/read", scope = "read" },
    { path = "/t/write", scope = "write" },
    { path = "/t/open", public = true },
    { path = "/t/local", target = "introspect" },
]
[[api]]
id = "resource"
dialect = "standard"
schemes = ["bearer"]
audiences = ["https://api.example/things", "urn:things"]
upstream = { production = "http://resource:1" }
route = [{ path = "/t/resource" }]
[[api]]
id = "shop"
dialect = "voucherify"
schemes = ["api_key", "publishable", "bearer"]
upstream = { production = "http://shop:1" }
route = [{ path = "/v1/*" }, { path = "/client/v1/*", client_side = true }]
[[api]]
id = "async"
dialect = "antavo"
schemes = ["bearer"]
upstream = { production = "http://async:1" }
route = [{ path = "/async/*", scope = "loyalty.async_events" }]
[[api]]
id = "ocapi"
dialect = "vista"
schemes = ["bearer"]
upstream = { production = "http://ocapi:1" }
route = [{ path = "/ocapi/*" }]
[[api]]
id = "mail"
dialect = "avanan"
schemes = ["avanan", "bearer"]
upstream = { production = "http://mail:1" }
route = [{ path = "/mail/*" }]
"#;

const RECORDS: [&str; 5] = ["standard", "voucherify", "antavo", "vista", "avanan"];

/// An address of each API.
const PLACES: [(&str, &str); 6] = [
    ("standard", "/t/read"),
    ("standard, for resources", "/t/resource"),
    ("voucherify", "/v1/vouchers"),
    ("antavo", "/async/events"),
    ("vista", "/ocapi/v1/sites"),
    ("avanan", "/mail/scopes"),
];

pub(crate) fn changed(change: impl FnOnce(&mut Wanted)) -> Outgoing {
    let mut wanted = Wanted::of("standard");
    change(&mut wanted);
    wanted.sent()
}

fn live() -> Live {
    let live = world_with_tokens(POLICY);
    let put = |id: &str, change: &dyn Fn(&mut Credential)| {
        let mut one = credential(id, "standard");
        change(&mut one);
        live.directory.put(one);
    };
    put("blocked", &|c| c.status = Status::Blocked);
    put("expired", &|c| c.expires_at = Some(NOW));
    put("elsewhere", &|c| c.workspace = "other".into());
    put("far", &|c| c.workspace = "far".into());
    put("lost", &|c| c.workspace = "nowhere".into());
    put("weak", &|c| c.plain_key = true);
    put("page", &|c| c.kind = Kind::Client);
    put("reader", &|c| c.scopes = ["read".into()].into());
    put("writer", &|c| c.scopes = ["write".into()].into());
    let mut bound = credential("bound", "voucherify");
    bound.origins = [OriginEntry::parse("https://shop.example").unwrap()].into();
    live.directory.put(bound);
    live.tokens.revoke(Jti::new([66; 16]), NOW.plus_ms(KEPT_AFTER_EXPIRY_MS));
    live
}

/// The payload of a token under another header, with the same signature.
fn under(header: &str, token: &str) -> String {
    let (_, rest) = token.split_once('.').unwrap();
    format!("{}.{rest}", encode(header.as_bytes()))
}

/// What may be wrong with a token, and what may be right.
fn tokens() -> Vec<(&'static str, Outgoing)> {
    let good = Wanted::of("standard").make();
    let kid = key(Algorithm::Es256).kid();
    let header = |alg: &str, kid: &str, more: &str| {
        let text = format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"at+jwt"{more}}}"#);
        sent(&under(&text, &good))
    };
    let of = |id: &'static str| changed(move |t| t.subject = id.to_owned());
    let value =
        |text: String| Outgoing { target: String::new(), headers: vec![("Authorization".to_owned(), text)] };
    let issued = |ms: i64| changed(move |t| t.at = NOW.plus_ms(ms));
    let (head, rest) = good.split_once('.').unwrap();
    let payload = String::from_utf8(decode(rest.split_once('.').unwrap().0).unwrap()).unwrap();
    let forged = format!(
        "{head}.{}.{}",
        encode(payload.replace("read", "write").as_bytes()),
        &rest[rest.find('.').unwrap() + 1..]
    );
    vec![
        ("nothing", Outgoing::default()),
        ("another scheme", value("Basic YTpi".to_owned())),
        ("good", sent(&good)),
        ("good, `bearer` and spaces", value(format!("bearer   {good}"))),
        ("good, signed with RS256", changed(|t| t.alg = Algorithm::Rs256)),
        ("expires in a second", issued(-3_599_000)),
        ("expires now", issued(-3_600_000)),
        ("issued a minute ahead", issued(60_000)),
        ("issued 61 s ahead", issued(61_000)),
        ("revoked", changed(|t| t.jti = 66)),
        ("all of the credential's revoked", changed(|t| t.since = SINCE - 1)),
        ("of a number to come", changed(|t| t.since = SINCE + 1)),
        ("of another epoch", changed(|t| t.epoch = "fedcba9876543210fedcba9876543210")),
        ("of another issuer", changed(|t| t.issuer = "https://api.example.org")),
        ("for a resource", changed(|t| t.resources = &["https://api.example/things"])),
        ("for two resources", changed(|t| t.resources = &["urn:others", "urn:things"])),
        ("for another resource", changed(|t| t.resources = &["https://api.example/Things"])),
        ("its credential is gone", of("nobody")),
        ("its credential is blocked", of("blocked")),
        ("its credential has expired", of("expired")),
        ("its credential is not served here", of("elsewhere")),
        ("its credential is of another region", of("far")),
        ("its credential's workspace is not there", of("lost")),
        ("its credential is weak by now", of("weak")),
        ("its credential is publishable", of("page")),
        ("its credential has other names", of("voucherify")),
        ("signed by a key of nobody", changed(|t| t.alg = Algorithm::EdDsa)),
        ("another scope written in", sent(&forged)),
        ("alg none", header("none", kid, "")),
        ("alg HS256", header("HS256", kid, "")),
        ("alg of another key", header("RS256", kid, "")),
        ("kid of another key", header("ES256", key(Algorithm::Rs256).kid(), "")),
        ("kid of nobody", header("ES256", "../../dev/null", "")),
        ("crit", header("ES256", kid, r#","crit":["exp"]"#)),
        ("jwk", header("ES256", kid, r#","jwk":{}"#)),
        (
            "typ of another kind",
            sent(&under(&format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT"}}"#), &good)),
        ),
        ("not signed", sent(&good[..good.rfind('.').unwrap() + 1])),
        ("no token of anybody", sent("opaque")),
        ("empty", value("Bearer".to_owned())),
        ("two words", value("Bearer a b".to_owned())),
    ]
}

pub(crate) fn line(
    table: &mut String,
    live: &Live,
    seen: &mut BTreeSet<Reason>,
    path: &str,
    name: &str,
    out: &Outgoing,
) {
    let said = Request::new("GET", path, out).decide(live, seen);
    let _ = writeln!(table, "{name:<49} {said}");
}

/// Holds all of it against `bearer.txt`.
pub(crate) fn table(seen: &mut BTreeSet<Reason>) {
    let live = live();
    let mut all = String::from(
        "# Written by crates/core/tests/decisions/bearer.rs. Everything not named is as plain as can be.\n",
    );
    let table = &mut all;
    heading(table, "Every kind of token at every API that takes tokens");
    for (place, path) in PLACES {
        for record in RECORDS {
            line(table, &live, seen, path, &format!("{record} -> {place}"), &Wanted::of(record).sent());
        }
    }
    heading(table, "GET /t/any: an API that takes keys and tokens");
    for (name, out) in tokens() {
        line(table, &live, seen, "/t/any", name, &out);
    }
    let some = [
        "nothing",
        "good",
        "for a resource",
        "for two resources",
        "for another resource",
        "no token of anybody",
    ];
    for (method, path, note) in [
        ("GET", "/t/resource", "an API with audiences of its own"),
        ("POST", "/t/local", "answered here, where no token opens anything"),
        ("GET", "/strict", "an API that takes no tokens"),
    ] {
        heading(table, &format!("{method} {path}: {note}"));
        for (name, out) in tokens().iter().filter(|(name, _)| some.contains(name)) {
            let said = Request::new(method, path, out).decide(&live, seen);
            let _ = writeln!(table, "{name:<49} {said}");
        }
    }
    two(table, &live, seen);
    scopes(table, &live, seen);
    pages(table, &live, seen);
    forms(table, &live, seen);
    states(table, &live, seen);
    compare("bearer.txt", &all);
}

fn two(table: &mut String, live: &Live, seen: &mut BTreeSet<Reason>) {
    heading(table, "GET /t/any: a token and something else");
    let good = Wanted::of("standard").sent();
    let also = |name: &str, value: &str| {
        let mut out = good.clone();
        out.headers.push((name.to_owned(), value.to_owned()));
        out
    };
    let value = good.headers[0].1.clone();
    for (name, out) in [
        ("the same token twice", also("authorization", &value)),
        ("Authorization of another scheme", also("authorization", "Basic YTpi")),
        ("a key", also("x-api-key", "single.secret")),
        ("x-av-token alone is Avanan's", also("x-av-token", "a.b.c")),
        (
            "access_token in the query",
            Outgoing { target: "/t/any?access_token=a".to_owned(), ..good.clone() },
        ),
        (
            "access_token in the query alone",
            Outgoing { target: "/t/any?access_token=a".to_owned(), headers: Vec::new() },
        ),
        (
            "the same at a public route",
            Outgoing { target: "/t/open?access_token=a".to_owned(), headers: Vec::new() },
        ),
        ("a token at a public route", Outgoing { target: "/t/open".to_owned(), ..good.clone() }),
        ("a bad token at a public route", Outgoing { target: "/t/open".to_owned(), ..sent("a.b.c") }),
    ] {
        let path = if out.target.starts_with("/t/open") { "/t/open" } else { "/t/any" };
        line(table, live, seen, path, name, &out);
    }
}

/// What a node says that can't know.
fn states(table: &mut String, live: &Live, seen: &mut BTreeSet<Reason>) {
    let names = [
        "good",
        "expires now",
        "its credential is gone",
        "signed by a key of nobody",
        "kid of nobody",
        "no token of anybody",
    ];
    let mut say = |table: &mut String, live: &Live, title: &str| {
        heading(table, title);
        for (name, out) in tokens().iter().filter(|(name, _)| names.contains(name)) {
            line(table, live, seen, "/t/any", name, out);
        }
    };
    live.store_lost();
    say(table, live, "GET /t/any: a node whose store does not answer");
    live.store_answered();
    live.tokens.replace(EPOCH, &doorward_core::jwt::KeySet::default());
    say(table, live, "GET /t/any: a node without keys");
    let without = crate::world_of(POLICY, None);
    without.tokens.replace(EPOCH, &crate::tokens::key_set());
    say(table, &without, "GET /t/any: a node without an issuer");
}

/// The cache crosses nothing: what was taken at one API is judged anew at each other, in every order.
#[test]
fn a_token_that_was_taken_once_is_taken_nowhere_else() {
    let live = live();
    let core = Core::new();
    let all: Vec<(&str, Outgoing)> =
        RECORDS.iter().map(|record| (*record, Wanted::of(record).sent())).collect();
    let say = |core: &Core, path: &str, out: &Outgoing| {
        Request::new("GET", path, out).decide_on(core, &live, &mut BTreeSet::new())
    };
    for (first_place, first) in PLACES {
        for (second_place, second) in PLACES {
            for (record, out) in &all {
                for path in [first, second, first] {
                    let fresh = say(&Core::new(), path, out);
                    assert_eq!(
                        say(&core, path, out),
                        fresh,
                        "{record} at {first_place}, then {second_place}"
                    );
                }
            }
        }
    }
    assert_eq!(core.seen.borrow().len(), all.len(), "each is remembered once");
    // What changes for one credential or token changes at once, remembered or not.
    let out = &all[0].1;
    assert!(say(&core, "/t/read", out).starts_with("permit"));
    let mut one = credential("standard", "standard");
    one.status = Status::Blocked;
    live.directory.put(one.clone());
    assert!(say(&core, "/t/read", out).contains("credential_blocked"));
    one.status = Status::Active;
    one.scopes = ["write".into()].into();
    live.directory.put(one.clone());
    assert!(say(&core, "/t/read", out).contains("scope_missing"));
    (one.scopes, one.tokens_since) = (["read".into()].into(), SINCE + 1);
    live.directory.put(one.clone());
    assert!(say(&core, "/t/read", out).contains("token_revoked"));
    one.tokens_since = SINCE;
    live.directory.put(one);
    assert!(say(&core, "/t/read", out).starts_with("permit"));
    live.tokens.revoke(Jti::new([1; 16]), NOW.plus_ms(1));
    assert!(say(&core, "/t/read", out).contains("token_revoked"));
}

/// What the upstream is told that the caller may do: what token and credential have in common.
#[test]
fn the_scope_that_counts_is_told() {
    let live = live();
    for (subject, scope, expected) in [
        ("standard", "read write", "read write"),
        ("reader", "read write", "read"),
        ("reader", "", ""),
        ("reader", "other", ""),
    ] {
        let out = changed(|t| (t.subject, t.scope) = (subject.to_owned(), scope));
        let decision = Request::new("GET", "/t/any", &out).step(&live);
        assert!(matches!(decision.step, Step::Permit(_)));
        assert_eq!(decision.facts.scopes().collect::<Vec<_>>().join(" "), expected, "{subject} {scope}");
    }
    // Such tokens don't say: the credential does.
    let mut one = credential("vista", "vista");
    one.scopes = ["a".into(), "b".into()].into();
    live.directory.put(one);
    let decision = Request::new("GET", "/ocapi/v1/sites", &Wanted::of("vista").sent()).step(&live);
    assert_eq!(decision.facts.scopes().collect::<Vec<_>>(), ["a", "b"]);
}

/// What a whole decision costs: with a token that this core has met, with one that it has not, and with a key.
#[test]
#[ignore = "it measures, and asserts nothing"]
fn cost() {
    let live = live();
    fn ns(rounds: u32, mut run: impl FnMut()) -> u128 {
        let start = std::time::Instant::now();
        (0..rounds).for_each(|_| run());
        start.elapsed().as_nanos() / u128::from(rounds)
    }
    let key = Outgoing {
        target: String::new(),
        headers: vec![("x-api-key".to_owned(), "single.secret".to_owned())],
    };
    for (name, path, out) in [
        ("a key", "/t/any", key),
        ("ES256", "/t/read", Wanted::of("standard").sent()),
        ("RS256", "/ocapi/v1/sites", Wanted::of("vista").sent()),
        ("ES256, by path", "/v1/vouchers/a", Wanted::of("voucherify").sent()),
    ] {
        let core = Core::new();
        let ask = |core: &Core| match Request::new("GET", path, &out).step_on(core, &live).step {
            Step::Permit(_) => {}
            other => panic!("{name}: {other:?}"),
        };
        ask(&core);
        let seen = ns(20_000, || ask(&core));
        let unseen = ns(500, || ask(&Core::new()));
        println!("{name:<16} seen before {seen} ns, first seen {unseen} ns");
    }
}
