//! Origins: which pages may use a publishable key, and what a browser is told (case group O).
use crate::support::{Actor, HOST, World, eventually, tag};

/// An entry, origins that it lets in, origins that it keeps out.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const TABLE: &[Row] = &[
    (
        "https://a.example",
        &["https://a.example", "https://A.Example", "https://a.example:443"],
        &[
            "http://a.example",
            "https://a.example:8443",
            "a.example",
            "https://www.a.example",
            "https://a.example.evil",
            "https://evil-a.example",
            "https://a.examples",
            "https://a.example.",
            "app://a.example",
        ],
    ),
    ("https://b.example:8443", &["https://b.example:8443"], &["https://b.example", "https://b.example:443"]),
    (
        "capacitor://localhost",
        &["capacitor://localhost"],
        &["http://localhost", "ionic://localhost", "localhost"],
    ),
    (
        "c.example",
        &["https://c.example", "http://c.example", "http://c.example:80", "c.example"],
        &[
            "https://c.example:8443",
            "https://www.c.example",
            "http://c.example:443",
            "app://c.example",
            "xc.example",
        ],
    ),
    (
        ".d.example",
        &["https://www.d.example", "http://x.y.d.example", "www.d.example"],
        &["https://d.example", "https://evild.example", "https://www.d.example:444", "https://.d.example"],
    ),
    ("*", &["https://anything.example", "capacitor://localhost", "http://x:3000"], &[]),
];

/// What is no origin, whoever asks.
const NO_ORIGIN: [&str; 11] = [
    "null",
    "",
    "https://a.example/",
    "https://a.example/path",
    "https://u@a.example",
    "https://a.example, https://b.example",
    "https://",
    "https://a.example:99999",
    "https://a.example?x",
    "://a.example",
    "https://\u{e4}.example",
];

#[test]
fn entries_let_in_what_they_name() {
    // Keys change what preflights are answered, so this one is not shared.
    let world = World::new();
    for (entry, inside, outside) in TABLE {
        let page = world.gateway.actor("acme-live", "client", &["--origin", entry]);
        let from = |origin: &str| world.ask(page.at(Some(origin)).get("/client/v1/x"));
        eventually("the new key", || from(inside[0]).status == 200);
        for origin in *inside {
            assert_eq!(from(origin).status, 200, "{entry} should let {origin} in");
        }
        for origin in outside.iter().chain(&NO_ORIGIN) {
            let answer = from(origin);
            assert_eq!((answer.status, answer.code()), (403, "origin_denied"), "{entry} let {origin:?} in");
        }
        world.ask(page.at(None).get("/client/v1/x")).expect(403, "origin_denied");
        let twice =
            page.at(Some(inside[0])).request("GET", "/client/v1/x", &format!("Origin: {}\r\n", inside[0]));
        world.ask(twice).expect(403, "origin_denied");
    }
}

/// An origin proves nothing: the key is needed as well, and an unknown key is not told about origins.
#[test]
fn an_origin_is_no_proof() {
    let world = World::shared();
    let page = &world.page;
    world.ask(page.with_secret("wrong").get("/client/v1/x")).expect(401, "credential_invalid");
    let stranger = page.with_secret("wrong").at(Some("https://evil.example"));
    world.ask(stranger.get("/client/v1/x")).expect(401, "credential_invalid");
    let nobody = format!("GET /client/v1/x HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://shop.example\r\n\r\n");
    world.ask(nobody).expect(401, "credential_missing");
}

fn preflight(target: &str, lines: &str) -> String {
    format!("OPTIONS {target} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n")
}

const ASKS: &str =
    "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: X-Client-Token, content-type\r\n";

#[test]
fn preflights_are_answered_here() {
    let world = World::shared();
    let other = world.gateway.actor("other-live", "client", &["--origin", "https://union.example"]);
    let ask = |origin: &str| world.ask(preflight("/client/v1/x", &format!("Origin: {origin}\r\n{ASKS}")));
    eventually("the new key", || ask("https://union.example").status / 100 == 2);
    let before = world.production.seen("OPTIONS").len();
    for origin in ["https://shop.example", "capacitor://localhost", "https://union.example"] {
        let answer = ask(origin);
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
        assert_eq!(answer.get("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.get("access-control-allow-credentials"), None);
        let methods = answer.get("access-control-allow-methods").unwrap_or_default();
        assert!(methods.split(',').any(|m| m.trim() == "POST"), "{answer:?}");
        let fields = answer.get("access-control-allow-headers").unwrap_or_default().to_ascii_lowercase();
        assert!(fields.contains("x-client-token") && fields.contains("content-type"), "{answer:?}");
        assert!(answer.head.all("vary").join(",").to_ascii_lowercase().contains("origin"), "{answer:?}");
        let event = world.gateway.event(answer.id());
        assert_eq!(
            (&event["decision"], &event["route"]),
            (&"preflight".into(), &"/client/v1/*".into()),
            "{event}"
        );
    }
    for origin in ["https://evil.example", "null", "https://shop.example.evil"] {
        let answer = ask(origin);
        answer.expect(403, "origin_denied");
        assert_eq!(answer.get("access-control-allow-origin"), None, "{answer:?}");
    }
    assert_eq!(world.production.seen("OPTIONS").len(), before, "a preflight was forwarded");
    // The key alone does not open an origin of another workspace.
    let crossed = Actor { origin: Some("https://union.example".to_owned()), ..world.page.clone() };
    world.ask(crossed.get("/client/v1/x")).expect(403, "origin_denied");
    world.ask(other.get("/client/v1/x")).expect_ok();
}

#[test]
fn preflights_open_nothing_else() {
    let world = World::shared();
    let origin = "Origin: https://shop.example\r\n";
    for (target, lines, status) in [
        // Not open to client side.
        ("/v1/x", format!("{origin}{ASKS}"), 403),
        ("/client/inner/x", format!("{origin}{ASKS}"), 403),
        ("/nowhere", format!("{origin}{ASKS}"), 404),
        // Not a preflight.
        ("/client/v1/x", origin.to_owned(), 405),
        ("/client/v1/x", ASKS.to_owned(), 405),
        // Asks for what the route does not take.
        ("/client/v1/x", format!("{origin}Access-Control-Request-Method: TRACE\r\n"), 405),
    ] {
        let tag = tag();
        let answer = world.ask(preflight(&format!("{target}?{tag}"), &lines));
        assert_eq!(answer.status, status, "{target} {lines}: {answer:?}");
        assert!(world.production.seen(&tag).is_empty());
    }
}

/// A page may read what it was answered, refusals included, where some key is meant for its origin.
#[test]
fn answers_say_who_may_read_them() {
    let world = World::shared();
    let page = &world.page;
    let allowed = page.get("/client/v1/x");
    let refused = page.with_secret("wrong").get("/client/v1/x");
    for request in [&allowed, &refused] {
        let answer = world.ask(request);
        assert_eq!(answer.get("access-control-allow-origin"), Some("https://shop.example"), "{answer:?}");
        assert_eq!(answer.get("access-control-allow-credentials"), None);
        assert!(answer.head.all("vary").join(",").to_ascii_lowercase().contains("origin"), "{answer:?}");
    }
    let elsewhere = world.ask(page.at(Some("https://evil.example")).get("/client/v1/x"));
    assert_eq!(elsewhere.get("access-control-allow-origin"), None);
    let server = world.ask(world.server.request("GET", "/v1/x", "Origin: https://shop.example\r\n"));
    assert_eq!(
        (server.status, server.get("access-control-allow-origin")),
        (200, None),
        "not open to client side"
    );
}

/// What the upstream says about reading is not doubled, and never widens what is said here.
#[test]
fn upstreams_do_not_widen_who_may_read() {
    let world = World::shared();
    let tag = tag();
    let answer = "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
        Vary: Accept\r\nContent-Length: 2\r\n\r\nok";
    world.production.on(&tag, crate::support::Do::answer(answer));
    let answer = world.ask(world.page.get(&format!("/client/v1/{tag}")));
    assert_eq!(answer.head.all("access-control-allow-origin"), ["https://shop.example"]);
    assert_eq!(answer.get("access-control-allow-credentials"), None);
    let vary = answer.head.all("vary").join(",").to_ascii_lowercase();
    assert!(vary.contains("accept") && vary.contains("origin"), "{answer:?}");
}
