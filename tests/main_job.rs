//! The main job: a request with a credential is decided and reaches the upstream, which learns who calls.
use crate::support::{Actor, HOST, Seen, Shared, Upstream, World, tag};

/// What an upstream must never see of a caller.
fn expect_no_credential(seen: &Seen, caller: &Actor) {
    let raw = String::from_utf8_lossy(&seen.head.raw).to_ascii_lowercase();
    for name in ["x-app-id", "x-app-token", "x-client-", "x-api-key", "api_key="] {
        assert!(!raw.contains(name), "{name} went on: {raw}");
    }
    assert!(!raw.contains(&caller.secret.to_ascii_lowercase()), "the secret went on: {raw}");
}

struct Told<'a> {
    upstream: &'a Upstream,
    scheme: &'a str,
    api: &'a str,
    route: &'a str,
    weak: bool,
}

/// Sends a request and holds everything that is said about it against what is so.
fn call(world: &Shared, caller: &Actor, path: &str, told: &Told<'_>) -> Seen {
    let tag = tag();
    let answer = world.ask(caller.get(&format!("{path}?a=%2F..&t={tag}&b")));
    answer.expect_ok();
    let seen = told.upstream.one(&tag);
    assert_eq!(seen.target(), format!("{path}?a=%2F..&t={tag}&b"), "the rest of the query stays as it was");
    expect_no_credential(&seen, caller);
    assert!(seen.get("via").is_some_and(|via| via.starts_with("1.1 doorward-")), "{seen:?}");
    let event = world.gateway.event(answer.id());
    for (key, value) in [
        ("doorward-request-id", answer.id()),
        ("doorward-workspace", caller.workspace.as_str()),
        ("doorward-kind", caller.kind.as_str()),
        ("doorward-scheme", told.scheme),
        ("doorward-credential", event["credential"].as_str().unwrap_or_default()),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", HOST),
        ("host", HOST),
    ] {
        assert_eq!(seen.get(key), Some(value), "{key}");
    }
    for (key, value) in [
        ("client", "127.0.0.1"),
        ("method", "GET"),
        ("path", path),
        ("host", HOST),
        ("api", told.api),
        ("route", told.route),
        ("workspace", caller.workspace.as_str()),
        ("scheme", told.scheme),
        ("dialect", caller.dialect.as_str()),
        ("decision", "permit"),
    ] {
        assert_eq!(event[key], value, "{key} in {event}");
    }
    assert_eq!(event["weak"], told.weak, "{event}");
    assert_eq!(event["status"], 200);
    assert_eq!(event["complete"], true);
    let other = told.upstream.address == world.production.address;
    let other = if other { &world.sandbox } else { &world.production };
    assert!(other.seen(&tag).is_empty(), "the request went to two upstreams");
    seen
}

#[test]
fn a_header_pair_reaches_the_upstream() {
    let world = World::shared();
    let told =
        Told { upstream: &world.production, scheme: "api_key", api: "vouchers", route: "/v1/*", weak: false };
    let seen = call(&world, &world.server, "/v1/vouchers/WELCOME", &told);
    assert_eq!(seen.get("doorward-credential"), Some(world.server.id.as_str()));
    assert_eq!(seen.get("doorward-scopes"), Some("api read"));
}

#[test]
fn a_single_header_reaches_the_upstream() {
    let world = World::shared();
    let told = Told {
        upstream: &world.production,
        scheme: "api_key",
        api: "standard",
        route: "/std/*",
        weak: false,
    };
    let seen = call(&world, &world.single, "/std/things", &told);
    assert_eq!(seen.get("doorward-credential"), Some(world.single.id.as_str()));
    assert_eq!(seen.get("doorward-scopes"), None, "it has none");
}

#[test]
fn a_publishable_pair_with_its_origin_reaches_the_upstream() {
    let world = World::shared();
    let told = Told {
        upstream: &world.production,
        scheme: "publishable",
        api: "client",
        route: "/client/v1/*",
        weak: false,
    };
    let seen = call(&world, &world.page, "/client/v1/validate", &told);
    assert_eq!(seen.get("origin"), Some("https://shop.example"), "an origin is no credential");
}

/// SD-3: an id that opens doors by itself stands in no log and goes to no upstream.
#[test]
fn an_id_alone_opens_the_sandbox_and_is_seen_nowhere() {
    let world = World::shared();
    let told = Told {
        upstream: &world.sandbox,
        scheme: "api_key",
        api: "members",
        route: "/customers/*",
        weak: true,
    };
    let seen = call(&world, &world.plain, "/customers/8eb1b522", &told);
    let name = seen.get("doorward-credential").expect("a name").to_owned();
    let digits = name.strip_prefix("weak-").expect("a pseudonym");
    assert!(digits.len() == 24 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
    for (text, what) in [
        (String::from_utf8_lossy(&seen.head.raw).into_owned(), "the upstream"),
        (world.gateway.event_lines().join("\n"), "the event lines"),
        (world.gateway.log(), "the log"),
        (world.gateway.operations("/metrics").text(), "the metrics"),
    ] {
        assert!(!text.contains(&world.plain.id), "{what} has the id");
    }
    let again = call(&world, &world.plain, "/customers/1", &told);
    assert_eq!(again.get("doorward-credential"), Some(name.as_str()), "the same caller has the same name");
}

#[test]
fn the_query_parameter_goes_without_a_trace() {
    let world = World::shared();
    let id = &world.plain.id;
    let tags = [tag(), tag(), tag(), tag()];
    let [a, b, c, d] = &tags;
    for (tag, sent, arrives) in [
        (a, format!("/customers/{a}?api_key={id}"), format!("/customers/{a}")),
        (b, format!("/customers/{b}?api_key={id}&x=1&x=2"), format!("/customers/{b}?x=1&x=2")),
        (c, format!("/customers/{c}?x=%20&api_key={id}&y"), format!("/customers/{c}?x=%20&y")),
        (d, format!("/customers/{d}?my_api_key=1&api_key={id}"), format!("/customers/{d}?my_api_key=1")),
    ] {
        world.ask(format!("GET {sent} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).expect_ok();
        assert_eq!(world.sandbox.one(tag).target(), arrives, "for {sent}");
    }
}

/// SD-4: the credential's environment picks the upstream.
#[test]
fn a_sandbox_key_never_reaches_production() {
    let world = World::shared();
    let told =
        Told { upstream: &world.sandbox, scheme: "api_key", api: "vouchers", route: "/v1/*", weak: false };
    call(&world, &world.tester, "/v1/vouchers", &told);
    // An API without a sandbox upstream does not fall back on production.
    let tag = tag();
    let answer = world.ask(world.tester.get(&format!("/loose/{tag}")));
    answer.expect(401, "credential_invalid");
    assert!(world.production.seen(&tag).is_empty());
}

#[test]
fn a_workspace_may_have_several_credentials() {
    let world = World::shared();
    let created = world.gateway.create(&["--workspace", "acme-live", "--kind", "server", "--count", "3"]);
    assert_eq!(created.len(), 3);
    let actors: Vec<Actor> = created.iter().map(Actor::from_row).collect();
    for actor in &actors {
        crate::support::eventually("the new key to be obeyed", || {
            world.ask(actor.get("/v1/x")).status == 200
        });
        let tag = tag();
        world.ask(actor.get(&format!("/v1/{tag}"))).expect_ok();
        assert_eq!(world.production.one(&tag).get("doorward-credential"), Some(actor.id.as_str()));
    }
    world.ask(actors[0].with_secret(&actors[1].secret).get("/v1/x")).expect(401, "credential_invalid");
}

#[test]
fn a_public_route_needs_no_credential_and_names_nobody() {
    let world = World::shared();
    let tag = tag();
    let answer = world.ask(format!("GET /public/{tag} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    answer.expect_ok();
    let seen = world.production.one(&tag);
    let ours: Vec<String> = seen.head.names().into_iter().filter(|n| n.starts_with("doorward")).collect();
    assert_eq!(ours, ["doorward-request-id"]);
    let event = world.gateway.event(answer.id());
    assert_eq!((&event["decision"], &event["credential"]), (&"permit".into(), &serde_json::Value::Null));
}
