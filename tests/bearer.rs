//! Access tokens at APIs: what is let in, what the upstream learns, and what callers are told.
use crate::support::{HOST, PLACES, TokenWorld, bearer, eventually, tag};

/// What reaches the upstream: who calls, as what, and with which rights; never the token.
#[test]
fn the_upstream_learns_who_calls_and_never_the_token() {
    let world = TokenWorld::new();
    for (dialect, path) in PLACES {
        let token = world.token(dialect);
        let tag = tag();
        let path = format!("{path}/{tag}");
        let answer = world.gateway.ask(bearer("GET", &path, &token, "X-Stays: 1\r\n"));
        answer.expect_ok();
        let seen = world.upstream.one(&tag);
        let raw = String::from_utf8_lossy(&seen.head.raw).into_owned();
        assert!(!raw.contains(&token) && !raw.to_ascii_lowercase().contains("authorization"), "{raw}");
        assert_eq!(seen.get("x-stays"), Some("1"));
        assert_eq!(seen.get("doorward-scheme"), Some("bearer"));
        assert_eq!(seen.get("doorward-credential"), Some(&*world.of(dialect).id));
        assert_eq!(seen.get("doorward-workspace"), Some("live"));
        let scopes = match dialect {
            "standard" => Some("read write"),
            "voucherify" => Some("api client_api"),
            "antavo" => Some("loyalty.async_events"),
            _ => None,
        };
        assert_eq!(seen.get("doorward-scopes"), scopes, "{dialect}");
        assert_eq!(seen.get("doorward-subject"), None, "{dialect}");
        let event = world.gateway.event(answer.id());
        assert_eq!((&event["scheme"], &event["dialect"]), (&"bearer".into(), &dialect.into()), "{event}");
        assert_eq!(event["credential"], world.of(dialect).id.as_str());
        assert!(!event.to_string().contains(&token));
    }
    assert!(!world.gateway.log().contains("eyJ"), "{}", world.gateway.log());
}

/// A token opens what is left of its scope, and the upstream is told what that is.
#[test]
fn a_token_opens_what_token_and_credential_have_in_common() {
    let world = TokenWorld::new();
    let gateway = &world.gateway;
    let id = &world.of("standard").id;
    let narrow = world.token_for(id, &["--scope", "read"]);
    let tag = tag();
    world.ask(&format!("/t/x/{tag}"), &narrow).expect_ok();
    assert_eq!(world.upstream.one(&tag).get("doorward-scopes"), Some("read"));
    let lacking = world.ask("/t/write/x", &narrow);
    lacking.expect(403, "scope_missing");
    let challenge = "Bearer realm=\"things\", error=\"insufficient_scope\", scope=\"write\"";
    assert_eq!(lacking.get("www-authenticate"), Some(challenge));
    assert!(lacking.json()["detail"].as_str().is_some_and(|d| d.contains("`write`")), "{lacking:?}");
    world.ask("/t/write/x", &world.token("standard")).expect_ok();
    // A key has no use for a token with that scope.
    let key = gateway.actor("live", "server", &["--dialect", "standard", "--scope", "read"]);
    eventually("the key is known", || gateway.ask(key.get("/t/x")).status == 200);
    let lacking_key = gateway.ask(key.get("/t/write/x"));
    lacking_key.expect(403, "scope_missing");
    assert_eq!(lacking_key.get("www-authenticate"), None);
    let event = gateway.event(lacking.id());
    assert_eq!((&event["rule"], &event["decision"]), (&"scope".into(), &"deny".into()));

    // By the path, where the dialect has it so; by whole segments, and never on the other side.
    let id = &world.of("voucherify").id;
    let vouchers = world.token_for(id, &["--scope", "vouchers"]);
    let pages = world.token_for(id, &["--scope", "client_validate"]);
    for (token, path, status) in [
        (&vouchers, "/v1/vouchers", 200),
        (&vouchers, "/v1/vouchers/a", 200),
        (&vouchers, "/v1/vouchersx", 403),
        (&vouchers, "/v1/campaigns", 403),
        (&vouchers, "/v1/campaigns/vouchers", 403),
        (&vouchers, "/client/v1/vouchers", 403),
        (&pages, "/client/v1/validate", 200),
        (&pages, "/client/v1/validations", 403),
        (&pages, "/v1/vouchers", 403),
    ] {
        let answer = world.ask(path, token);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        if status == 403 {
            answer.expect(403, "scope_missing");
            assert_eq!((&answer.json()["key"], &answer.json()["code"]), (&"forbidden".into(), &403.into()));
        }
    }
    for path in ["/v1/vouchers/../campaigns", "/v1/vouchers/%2e%2e/campaigns", "/v1//vouchers"] {
        world.ask(path, &vouchers).expect(400, "request_ambiguous");
    }
}

/// S6750-2: a challenge without an error where nothing was sent, and with one where a token was.
#[test]
fn callers_are_told_how_to_do_better() {
    let world = TokenWorld::new();
    for (dialect, path) in PLACES {
        let realm = match dialect {
            "standard" => "things",
            "voucherify" => "shop",
            "antavo" => "async",
            "vista" => "ocapi",
            _ => "post",
        };
        let nothing = world.gateway.ask(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        nothing.expect(401, "credential_missing");
        assert_eq!(nothing.get("www-authenticate"), Some(&*format!("Bearer realm=\"{realm}\"")));
        let basic = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Basic YTpi\r\n\r\n");
        let basic = world.gateway.ask(basic);
        basic.expect(401, "credential_missing");
        assert_eq!(basic.get("www-authenticate"), Some(&*format!("Bearer realm=\"{realm}\"")));
        let bad = world.ask(path, "a.b.c");
        // There, 401 is for what can't be read at all.
        let status = if dialect == "avanan" { 403 } else { 401 };
        bad.expect(status, "token_invalid");
        let challenge = format!("Bearer realm=\"{realm}\", error=\"invalid_token\"");
        assert_eq!(bad.get("www-authenticate"), (status == 401).then_some(&*challenge));
        let body = bad.json();
        match dialect {
            "standard" => {
                assert_eq!((&body["code"], &body["status"]), (&"token_invalid".into(), &401.into()))
            }
            "voucherify" => assert_eq!((&body["key"], &body["code"]), (&"unauthorized".into(), &401.into())),
            "antavo" => {
                let expected = r#"{"error":{"type":"UnauthorizedException","code":220052,"message":"Bearer token authentication failed"}}"#;
                assert_eq!((bad.text(), nothing.text()), (expected.to_owned(), expected.to_owned()));
            }
            "vista" => {
                assert_eq!(bad.get("content-type"), Some("application/problem+json"));
                assert_eq!(
                    (&body["type"], &body["status"]),
                    (&"urn:doorward:token_invalid".into(), &401.into())
                );
                assert_eq!(body["correlationId"], bad.id());
                assert_eq!(
                    (&body["errorCode"], &body["title"]),
                    (&0.into(), &"The token is not valid here.".into())
                );
            }
            _ => assert_eq!(bad.text(), r#"{"message":"Forbidden"}"#),
        }
    }
    let keys = world.gateway.ask(format!("GET /v1.0/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(keys.get("www-authenticate"), Some("ApiKey realm=\"doorward\""), "no tokens are taken there");
}

/// S6750-1, S6750-3: one token, in one field, read in one way.
#[test]
fn there_is_one_token_in_one_place() {
    let world = TokenWorld::new();
    let token = world.token("standard");
    world.settled("/t/x", &token);
    let ask = |method: &str, target: &str, lines: &str, body: &str| {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n{lines}");
        let framed =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        world.gateway.ask(format!("{head}{framed}\r\n{body}"))
    };
    let own = format!("Authorization: Bearer {token}\r\n");
    let upstream = world.upstream.seen("GET").len();
    for (target, lines, status, code) in [
        ("/t/x", format!("{own}{own}"), 400, "credential_ambiguous"),
        ("/t/x", format!("{own}authorization: Basic YTpi\r\n"), 400, "credential_ambiguous"),
        ("/t/x", format!("Authorization: Basic YTpi\r\n{own}"), 400, "credential_ambiguous"),
        ("/t/x", format!("{own}{}", world.of("standard").lines()), 400, "credential_ambiguous"),
        ("/t/x?access_token=a", own.clone(), 400, "credential_ambiguous"),
        ("/t/x?a=1;access%5Ftoken=a", own.clone(), 400, "credential_ambiguous"),
        ("/t/x?access_token=a", String::new(), 401, "credential_malformed"),
        ("/t/x", format!("Authorization: Bearer {token} x\r\n"), 401, "credential_malformed"),
        ("/t/x", "Authorization: Bearer\r\n".to_owned(), 401, "credential_malformed"),
        ("/t/x", format!("Authorization: Bearer\t{token}\r\n"), 401, "credential_malformed"),
        ("/t/x", format!("Authorization: Basic {token}\r\n"), 401, "credential_missing"),
        ("/t/introspect", own.clone(), 405, "method_not_allowed"),
    ] {
        ask("GET", target, &lines, "").expect(status, code);
    }
    ask("GET", &format!("/t/x?access_token={token}"), "", "").expect(401, "credential_malformed");
    assert_eq!(world.upstream.seen("GET").len(), upstream, "nothing of it got through");
    for word in ["bearer", "BEARER", "Bearer  "] {
        ask("GET", "/t/x", &format!("Authorization: {word} {token}\r\n"), "").expect_ok();
    }
    // What is answered here is opened by a secret, never by what a secret was given away for.
    ask("POST", "/t/introspect", &own, "token=a").expect(401, "scheme_not_accepted");
    let form = format!("{own}Content-Type: application/x-www-form-urlencoded\r\n");
    ask("POST", "/t/x", &form, "a=1&access_token=x").expect(400, "credential_ambiguous");
    ask("POST", "/t/x", &form, "access%5ftoken=x").expect(400, "credential_ambiguous");
    let tag = tag();
    ask("POST", &format!("/t/x/{tag}"), &form, "a=1&b=2").expect_ok();
    assert_eq!(world.upstream.one(&tag).body, b"a=1&b=2");
    let json = format!("{own}Content-Type: application/json\r\n");
    ask("POST", "/t/x", &json, "{\"access_token\":1}").expect_ok();
}

/// Pages may call with a token where the API says so, and are never given more than that.
#[test]
fn pages_may_use_tokens_where_an_api_says_so() {
    let world = TokenWorld::new();
    let token = world.token("standard");
    world.settled("/t/x", &token);
    let from = |method: &str, path: &str, origin: &str, lines: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {origin}\r\n{lines}\r\n");
        world.gateway.ask(head)
    };
    let asks = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization, X-API-Key, x-own\r\n";
    let seen = world.upstream.seen("OPTIONS").len();
    let answer = from("OPTIONS", "/t/x", "https://page.example", asks);
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(answer.get("access-control-allow-origin"), Some("https://page.example"));
    assert_eq!(answer.get("access-control-allow-credentials"), None);
    assert_eq!(answer.get("access-control-allow-headers"), Some("authorization, x-own, CaptchaResponse"));
    assert!(answer.get("access-control-allow-methods").is_some_and(|m| m.contains("POST")), "{answer:?}");
    for (path, origin) in [
        ("/t/x", "https://page.example.evil"),
        ("/t/x", "http://page.example"),
        ("/t/x", "null"),
        ("/t/introspect", "https://page.example"),
        ("/resource/x", "https://page.example"),
        ("/ocapi/x", "https://page.example"),
    ] {
        let answer = from("OPTIONS", path, origin, asks);
        answer.expect(403, "origin_denied");
        assert_eq!(answer.get("access-control-allow-origin"), None);
    }
    assert_eq!(world.upstream.seen("OPTIONS").len(), seen, "none was forwarded");
    let own = format!("Authorization: Bearer {token}\r\n");
    for (lines, status) in [(&*own, 200), ("Authorization: Bearer a.b.c\r\n", 401), ("", 401)] {
        let answer = from("GET", "/t/x", "https://page.example", lines);
        assert_eq!(answer.status, status);
        assert_eq!(answer.get("access-control-allow-origin"), Some("https://page.example"), "{answer:?}");
        assert!(answer.head.all("vary").join(",").contains("Origin"));
        assert_eq!(
            from("GET", "/t/x", "https://evil.example", lines).get("access-control-allow-origin"),
            None
        );
    }
    let by_key = from("GET", "/t/x", "https://page.example", &world.of("standard").lines());
    assert_eq!(
        (by_key.status, by_key.get("access-control-allow-origin")),
        (200, None),
        "no page has such a key"
    );
}

/// S9068-3: a token that is for one resource opens no other.
#[test]
fn a_standard_token_for_a_resource_opens_that_alone() {
    let world = TokenWorld::new();
    let id = &world.of("standard").id;
    let own = world.token_for(id, &["--resource", "https://api.example/things"]);
    eventually("the credential", || world.ask("/resource/x", &own).status == 200);
    world.ask("/t/x", &own).expect(401, "token_invalid");
    world.ask("/resource/x", &world.token("standard")).expect(401, "token_invalid");
    let other = world.token_for(id, &["--resource", "https://api.example/thing"]);
    let answer = world.ask("/resource/x", &other);
    answer.expect(401, "token_invalid");
    assert!(answer.text().contains("another audience"), "{answer:?}");
}
