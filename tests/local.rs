//! Routes that are answered by the node itself: who gets there, and how policies speak of them.
use crate::support::{HOST, Signer, World, eventually, tag};

/// Added to the policy of [`World`].
const LOCAL: &str = r#"
[[api]]
id = "own"
dialect = "voucherify"
names = ["voucherify", "antavo"]
schemes = ["api_key", "publishable", "escher"]
plain_key = ["sandbox"]
[[api.signing]]
dialect = "antavo"
presigned_max_s = 600
[[api.route]]
path = "/own/token"
target = "token"
[[api.route]]
path = "/own/open"
target = "revoke"
public = true
[[api.route]]
path = "/own/keys"
target = "jwks"
public = true
"#;

fn world() -> World {
    let world = World::with(|s| s.set("limits", "local_body_bytes", 1_000));
    let policy = World::policy(&world.production, &world.sandbox) + LOCAL;
    world.gateway.apply(&policy).ok();
    eventually("the policy", || world.ask(world.server.get("/own/keys")).status != 404);
    world
}

/// Nothing that others can read opens an endpoint, whatever the route says, and no page ever gets there.
#[test]
fn what_others_can_read_never_gets_to_an_endpoint() {
    let world = world();
    let signs = world.gateway.actor("acme-live", "server", &["--dialect", "antavo"]);
    let World { page, plain, gateway, production, sandbox, .. } = &world;
    let signer = Signer::of(&signs);
    eventually("the new credential", || {
        gateway.ask(signer.get("/own/keys")).get("doorward-code") != Some("signature_invalid")
    });
    for path in ["/own/token", "/own/open"] {
        for request in
            [page.post(path, b"x=y"), plain.post(path, b"x=y"), plain.with_id("nobody").post(path, b"x=y")]
        {
            gateway.ask(request).expect(401, "scheme_not_accepted");
        }
    }
    gateway.ask(signer.get_address("/own/keys")).expect(401, "scheme_not_accepted");
    for (path, method) in [("/own/token", "POST"), ("/own/open", "POST"), ("/own/keys", "GET")] {
        let answer = gateway.ask(format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://shop.example\r\n\
             Access-Control-Request-Method: {method}\r\n\r\n"
        ));
        answer.expect(403, "origin_denied");
        assert_eq!(answer.get("access-control-allow-origin"), None, "{answer:?}");
    }
    assert_eq!((production.connections(), sandbox.connections()), (0, 0));
}

/// S6749-1, S6749-8: other methods are not taken; a body that is too long is refused before anybody is looked up.
#[test]
fn requests_are_bounded_before_anybody_is_looked_up() {
    let world = world();
    let World { server, gateway, .. } = &world;
    for method in ["GET", "PUT", "DELETE"] {
        let answer = gateway.ask(server.request(method, "/own/token", ""));
        answer.expect(405, "method_not_allowed");
        assert_eq!(answer.get("allow"), Some("POST"));
    }
    for who in [server, &server.with_secret("wrong"), &server.with_id("nobody")] {
        let answer = gateway.ask(who.post("/own/token", &[b'x'; 1_001]));
        answer.expect(413, "body_too_large");
        let event = gateway.event(answer.id());
        assert_eq!((&event["target"], &event["detail"]), (&"token".into(), &"local-body".into()), "{event}");
        assert!(event["credential"].is_null(), "{event}");
    }
    // Whoever is let through, and nobody else, reaches the endpoint.
    for who in [server.with_secret("wrong"), server.with_id("nobody")] {
        gateway.ask(who.post("/own/token", &[b'x'; 1_000])).expect(401, "credential_invalid");
    }
    let tag = tag();
    let mut connection = gateway.connect();
    let answer =
        connection.expect_serves(&String::from_utf8_lossy(&server.post("/own/token", tag.as_bytes())));
    let event = gateway.event(answer.id());
    assert_eq!((&event["target"], &event["route"]), (&"token".into(), &"/own/token".into()), "{event}");
    assert_eq!(event["credential"], server.id.as_str(), "{event}");
    assert_eq!(answer.get("cache-control"), Some("no-store"), "{answer:?}");
    connection.expect_serves(&server.get("/v1/x")).expect_ok();
    assert_eq!(world.production.count(), 1);
}

/// What is written about such routes is exported as it was applied, and every mistake is told with its line.
#[test]
fn policies_name_what_answers() {
    let world = world();
    let World { gateway, production, sandbox, .. } = &world;
    let exported = gateway.command(&["export"]).ok().stdout;
    assert!(exported.contains("target = \"token\"") && exported.contains("target = \"jwks\""), "{exported}");
    gateway.apply(&exported).ok();
    assert_eq!(gateway.command(&["export"]).ok().stdout, exported);
    let policy = World::policy(production, sandbox) + LOCAL;
    for (right, wrong, told) in [
        ("target = \"token\"", "target = \"tokens\"", "`tokens` is none of token, introspect"),
        (
            "target = \"token\"",
            "target = \"token\"\nclient_side = true",
            "publishable keys never reach `token`",
        ),
        (
            "target = \"token\"",
            "target = \"token\"\nmethods = [\"GET\"]",
            "`token` takes POST and nothing else",
        ),
        ("target = \"token\"", "", "`upstream` is missing"),
    ] {
        let run = gateway.apply(&policy.replace(right, wrong));
        assert!(run.code == 1 && run.said().contains(told) && run.said().contains("line "), "{run:?}");
    }
    assert_eq!(gateway.command(&["export"]).ok().stdout, exported, "something of it was taken");
}
