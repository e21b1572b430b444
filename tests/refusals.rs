//! Refusals: their shape, what they tell, and what they don't.
use crate::support::{Actor, Answer, Conn, HOST, Shared, World, tag, wait_for};
use std::time::Duration;

fn anonymous(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// Sends a request that must be refused, and asserts that nothing reached an upstream and that the event says so.
#[track_caller]
fn refused(world: &Shared, request: &str, tag: &str, status: u16, code: &str) -> Answer {
    let answer = world.ask(request);
    answer.expect(status, code);
    let event = world.gateway.event(answer.id());
    assert_eq!((event["decision"].as_str(), event["code"].as_str()), (Some("deny"), Some(code)), "{event}");
    assert_eq!(event["status"], status);
    assert_eq!(event["upstream_us"], serde_json::Value::Null, "{event}");
    assert!(world.production.seen(tag).is_empty() && world.sandbox.seen(tag).is_empty());
    answer
}

#[test]
fn credentials_that_cannot_be_read_are_malformed() {
    let world = World::shared();
    let World { server, plain, .. } = &*world;
    let (id, secret) = (&server.id, &server.secret);
    let long = "x".repeat(300);
    for lines in [
        format!("X-App-Id: {id}\r\n"),
        format!("X-App-Token: {secret}\r\n"),
        format!("X-App-Id: {id}\r\nX-App-Id: {id}\r\nX-App-Token: {secret}\r\n"),
        format!("X-App-Id: {id}\r\nX-App-Token: {secret}\r\nX-App-Token: {secret}\r\n"),
        format!("X-App-Id: {id}\r\nX-App-Token: \r\n"),
        format!("X-App-Id: {id} {id}\r\nX-App-Token: {secret}\r\n"),
        format!("X-App-Id: {id}\r\nX-App-Token: {long}\r\n"),
        format!("X-App-Id: {long}\r\nX-App-Token: {secret}\r\n"),
        format!("X-App-Id: \u{e4}\r\nX-App-Token: {secret}\r\n"),
        "X-API-Key: nodot\r\n".to_owned(),
        "X-API-Key: .\r\n".to_owned(),
        "X-API-Key: a.b\r\nX-API-Key: a.b\r\n".to_owned(),
        format!("X-Client-Application-Id: {id}\r\n"),
    ] {
        let tag = tag();
        let request = format!("GET /v1/{tag} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n");
        refused(&world, &request, &tag, 401, "credential_malformed");
    }
    for query in [
        format!("api_key={0}&api_key={0}", plain.id),
        format!("%61pi_key={}", plain.id),
        format!("API_KEY={}", plain.id),
        "api_key=".to_owned(),
        "api_key".to_owned(),
        "api_key=%61".to_owned(),
    ] {
        let tag = tag();
        refused(&world, &anonymous(&format!("/customers/{tag}?{query}")), &tag, 401, "credential_malformed");
    }
}

#[test]
fn two_credentials_are_one_too_many() {
    let world = World::shared();
    let World { server, single, page, plain, .. } = &*world;
    for (first, second) in [(server, single), (server, page), (single, page)] {
        let tag = tag();
        let request = first.request("GET", &format!("/v1/{tag}"), &second.lines());
        refused(&world, &request, &tag, 400, "credential_ambiguous");
    }
    let tag = tag();
    let target = plain.target(&format!("/customers/{tag}"));
    refused(&world, &server.get(&target), &tag, 400, "credential_ambiguous");
}

#[test]
fn what_is_not_accepted_here_is_said_before_anybody_is_looked_up() {
    let world = World::shared();
    let World { server, single, page, plain, .. } = &*world;
    let origin = Some("https://shop.example");
    for (caller, target) in [
        (single, "/v1/"),
        (page, "/v1/"),
        (server, "/client/v1/"),
        (server, "/std/"),
        // Not open to client side.
        (page, "/client/inner/"),
        (plain, "/v1/"),
    ] {
        let tag = tag();
        let known = refused(&world, &caller.get(&format!("{target}{tag}")), &tag, 401, "scheme_not_accepted");
        let unknown = caller.at(origin).with_id("dwi_nobody").get(&format!("{target}{tag}"));
        let unknown = refused(&world, &unknown, &tag, 401, "scheme_not_accepted");
        assert_eq!(without_marks(&known), without_marks(&unknown));
    }
}

/// Everything that was sent, but for what differs from request to request.
pub(crate) fn without_marks(answer: &Answer) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&answer.head.raw), answer.text());
    let text = text.replace(answer.id(), "(request id)");
    let date = answer.get("date").unwrap_or("no date");
    text.replace(date, "(date)")
}

/// SD-2, S6749-4: unknown, wrong, blocked elsewhere, not even well made: the caller sees no difference.
#[test]
fn unknown_and_wrong_are_the_same_in_bytes() {
    let world = World::shared();
    let World { server, single, page, gateway, .. } = &*world;
    let foreign = gateway.actor("other-live", "server", &[]);
    gateway.command(&["credential", "block", &foreign.id]).ok();
    wait_for("the block", || (world.ask(foreign.get("/v1/x")).code() == "credential_blocked").then_some(()));
    for (caller, path) in [(server, "/v1/x"), (single, "/std/x"), (page, "/client/v1/x")] {
        let mut damaged = caller.secret.clone();
        let last = damaged.pop().expect("a secret");
        damaged.push(if last == 'x' { 'y' } else { 'x' });
        let forms: Vec<(&str, Actor)> = vec![
            ("wrong secret", caller.with_secret(&foreign.secret)),
            ("wrong checksum", caller.with_secret(&damaged)),
            ("unknown id", caller.with_id("dwi_AAAAAAAAAAAAAAAAAAAAAA")),
            ("an id of another form", caller.with_id("nobody")),
            ("blocked in another workspace", caller.with_id(&foreign.id)),
        ];
        let answers: Vec<(&str, String)> = forms
            .iter()
            .map(|(what, who)| {
                (*what, without_marks(world.ask(who.get(path)).expect(401, "credential_invalid")))
            })
            .collect();
        for (what, answer) in &answers {
            assert_eq!(answer, &answers[0].1, "{what} against {}", answers[0].0);
        }
        let details: Vec<_> = forms.iter().map(|(_, who)| world.ask(who.get(path)).id().to_owned()).collect();
        assert_eq!(gateway.event(&details[0])["detail"], "wrong-secret");
        assert_eq!(gateway.event(&details[2])["detail"], "unknown");
    }
}

/// SD-2: the same point of the exchange. Nobody's body is awaited before the refusal.
#[test]
fn unknown_and_wrong_are_answered_at_the_same_point() {
    let world = World::shared();
    for caller in [world.server.with_secret("wrong"), world.server.with_id("nobody")] {
        let mut connection = Conn::open(world.gateway.address("plain")).patience(Duration::from_secs(5));
        connection.send(caller.request("POST", "/v1/x", "Content-Length: 10\r\n"));
        connection.answer().expect(401, "credential_invalid");
    }
}

/// SD-3: an id by itself opens nothing where the switch is not on, on both the API and the credential.
#[test]
fn an_id_alone_needs_both_switches() {
    let world = World::shared();
    let gateway = &world.gateway;
    let firm = gateway.actor("acme-test", "server", &["--dialect", "antavo"]);
    let live = gateway.actor("acme-live", "server", &["--dialect", "antavo", "--plain-key"]);
    for (caller, what) in [
        (&firm, "its credential is not plain"),
        (&live, "production is not open to plain keys"),
        (&Actor { dialect: "antavo".to_owned(), ..world.tester.clone() }, "a key that has a secret"),
    ] {
        let tag = tag();
        let refused = || {
            let answer = world.ask(caller.get(&format!("/customers/{tag}")));
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
            let known = gateway.event(answer.id())["detail"] != "unknown";
            known.then_some(())
        };
        wait_for("the key to be known", refused);
        assert!(world.production.seen(&tag).is_empty() && world.sandbox.seen(&tag).is_empty(), "{what}");
    }
}

#[test]
fn a_workspace_that_is_not_served_opens_nothing() {
    let world = World::shared();
    let tag = tag();
    refused(&world, &world.server.get(&format!("/pinned/{tag}")), &tag, 401, "credential_invalid");
    let theirs = world.gateway.actor("other-live", "server", &[]);
    crate::support::eventually("the new key", || world.ask(theirs.get("/pinned/x")).status == 200);
}

#[test]
fn a_region_is_told_only_after_the_proof() {
    let world = World::shared();
    let far = world.gateway.actor("acme-far", "server", &[]);
    wait_for("the new key", || (world.ask(far.get("/v1/x")).code() == "region_denied").then_some(()));
    let answer = world.ask(far.get("/v1/x"));
    answer.expect(403, "region_denied");
    assert!(answer.text().contains("eu"), "which region would be right: {}", answer.text());
    world.ask(far.with_secret("wrong").get("/v1/x")).expect(401, "credential_invalid");
}

#[test]
fn a_wrong_method_names_the_right_ones() {
    let world = World::shared();
    for method in ["POST", "DELETE", "OPTIONS", "TRACE", "QUERY"] {
        let answer = world.ask(world.single.request(method, "/only/get", ""));
        answer.expect(405, "method_not_allowed");
        assert_eq!(answer.get("allow"), Some("GET, HEAD"), "{method}");
    }
    world.gateway.ask(world.single.request("HEAD", "/only/get", "")).expect_ok();
    // S9110-3: TRACE is let through nowhere.
    world.ask(world.server.request("TRACE", "/v1/x", "")).expect(405, "method_not_allowed");
}

#[test]
fn each_api_refuses_in_its_own_style() {
    let world = World::shared();
    let problem = world.ask(anonymous("/std/x"));
    assert_eq!(problem.get("content-type"), Some("application/problem+json"));
    let body = problem.json();
    assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(401), Some("credential_missing")));
    assert_eq!(body["request_id"], problem.id());
    for key in ["type", "title", "detail"] {
        assert!(body[key].as_str().is_some_and(|t| !t.is_empty()), "{key} in {body}");
    }
    let voucherify = world.ask(anonymous("/v1/x"));
    let body = voucherify.json();
    assert!(voucherify.get("content-type").is_some_and(|t| t.starts_with("application/json")));
    assert_eq!((body["code"].as_u64(), body["key"].as_str()), (Some(401), Some("unauthorized")), "{body}");
    assert_eq!(body["message"], "Unauthorized");
    let antavo = world.ask(anonymous("/customers/x"));
    let body = antavo.json();
    assert_eq!(antavo.status, 401);
    assert_eq!(body["error"]["type"], "UnauthorizedException", "{body}");
    assert_eq!(body["error"]["message"], "No api_key provided", "{body}");
    for answer in [problem, voucherify, antavo, world.ask(anonymous("/nowhere"))] {
        assert_eq!(answer.get("content-length"), Some(answer.body.len().to_string().as_str()));
        assert_eq!(answer.get("cache-control"), Some("no-store"), "{answer:?}");
    }
    let head = world.gateway.ask(format!("HEAD /std/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!((head.status, head.body.len()), (401, 0));
}

/// What no route takes is told in the style of the API that the path belongs to, or comes closest to.
#[test]
fn wrong_methods_and_unknown_paths_have_a_style_too() {
    let world = World::shared();
    let body = world.ask(world.server.request("TRACE", "/v1/x", "")).json();
    assert_eq!(
        (body["code"].as_u64(), body["key"].as_str()),
        (Some(405), Some("method_not_allowed")),
        "{body}"
    );
    assert!(body["details"].as_str().is_some_and(|d| d.contains("GET")), "{body}");
    let body = world.ask(anonymous("/only/other")).json();
    assert_eq!(
        (body["status"].as_u64(), body["code"].as_str()),
        (Some(404), Some("route_unknown")),
        "{body}"
    );
    let body = world.ask(anonymous("/customers/%2f")).json();
    assert_eq!(body["error"]["type"], "BadRequestException", "{body}");
}

/// Without a known credential only host and path speak.
#[test]
fn unknown_routes_are_the_same_for_everybody() {
    let world = World::shared();
    let stranger = world.ask(anonymous("/nowhere"));
    let caller = world.ask(world.server.get("/nowhere"));
    stranger.expect(404, "route_unknown");
    assert_eq!(without_marks(&stranger), without_marks(&caller));
}

#[test]
fn unknown_expectations_fail() {
    let world = World::shared();
    for lines in [
        "Expect: 200-ok\r\n",
        "Expect: 100-continue, x\r\n",
        "Expect: 100-continue\r\nExpect: 100-continue\r\n",
    ] {
        let tag = tag();
        let answer = world.ask(world.server.request("GET", &format!("/v1/{tag}"), lines));
        assert!(matches!(answer.code(), "expectation_failed" | "request_ambiguous"), "{answer:?}");
        assert!(matches!(answer.status, 417 | 400));
        assert!(world.production.seen(&tag).is_empty());
    }
}
