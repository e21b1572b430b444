//! Tokens for clients, by the RFCs: what is given, to whom, and what is refused in which words.
use crate::support::{Actor, HOST, ISSUER, Office, basic, eventually, get, now_s, post, raw, text_of};

#[track_caller]
fn refused(answer: &crate::support::Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)), "{answer:?}");
    let no_store = (answer.get("cache-control"), answer.get("pragma"));
    assert_eq!(no_store, (Some("no-store"), Some("no-cache")), "{answer:?}");
    assert_eq!(answer.get("content-type"), Some("application/json"));
    assert!(answer.get("doorward-code").is_some(), "{answer:?}");
    assert_eq!(answer.get("access-control-allow-origin"), None);
    let challenge = (status == 401).then(|| format!("Basic realm=\"{ISSUER}\""));
    assert_eq!(answer.get("www-authenticate"), challenge.as_deref());
}

/// S6749-6, S6749-7, S9068-1: a token says what RFC 9068 has it say, and its answer is kept by nobody.
#[test]
fn a_client_gets_a_token() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let answer = office.token(client, &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((answer.get("cache-control"), answer.get("pragma")), (Some("no-store"), Some("no-cache")));
    let body = answer.json();
    assert_eq!(body.as_object().map(|o| o.len()), Some(4), "no refresh token: {body}");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&"Bearer".into(), &3_600.into()));
    assert_eq!(body["scope"], "orders:read orders:write", "all of the client's");
    let (header, claims) = office.opened(&text_of(&answer, "access_token"));
    assert_eq!((&header["alg"], &header["typ"]), (&"ES256".into(), &"at+jwt".into()), "{header}");
    for (name, value) in [
        ("iss", ISSUER),
        ("aud", ISSUER),
        ("sub", &client.id),
        ("client_id", &client.id),
        ("scope", "orders:read orders:write"),
    ] {
        assert_eq!(claims[name], value, "{claims}");
    }
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!(exp - iat, 3_600);
    assert!((0..60).contains(&(now_s() - iat)), "{claims}");
    assert_eq!(claims["jti"].as_str().map(str::len), Some(22));
    let event = gateway.event(answer.id());
    assert_eq!(
        (&event["target"], &event["credential"]),
        (&"token".into(), &client.id.as_str().into()),
        "{event}"
    );
    assert_eq!((&event["decision"], &event["exposed"]), (&"permit".into(), &true.into()), "{event}");
    let again = office.token(client, &[]);
    assert_ne!(again.json()["access_token"], body["access_token"]);

    // A narrower scope is echoed; a wider one is refused, in whatever company, and so is one that is spelt otherwise.
    let narrow = office.token(client, &[("scope", "orders:read")]);
    assert_eq!(narrow.json()["scope"], "orders:read");
    assert_eq!(office.opened(&text_of(&narrow, "access_token")).1["scope"], "orders:read");
    assert_eq!(
        office.token(client, &[("scope", "orders:write orders:read orders:write")]).json()["scope"],
        "orders:write orders:read"
    );
    for scope in
        ["orders", "orders:read orders:delete", "Orders:read", "admin:all", "orders:read  orders:write", " "]
    {
        refused(&office.token(client, &[("scope", scope)]), 400, "invalid_scope");
    }
    // For a resource of the client's choice (RFC 8707).
    let aud = |form: &[(&str, &str)]| office.opened(&office.given(client, form)).1["aud"].clone();
    assert_eq!(aud(&[("resource", "https://a.example/x")]), "https://a.example/x");
    let both = [("resource", "https://a.example"), ("resource", "urn:b")];
    assert_eq!(aud(&both), serde_json::json!(["https://a.example", "urn:b"]));
    let many: Vec<(&str, &str)> = (0..9).map(|_| ("resource", "https://a.example")).collect();
    for form in [&[("resource", "a.example")][..], &[("resource", "https://a.example#x")], &many] {
        refused(&office.token(client, form), 400, "invalid_target");
    }
    // In the form, as an empty parameter that was not sent, and with others that mean nothing here.
    let form = [
        ("client_id", &*client.id),
        ("client_secret", &client.secret),
        ("grant_type", "client_credentials"),
        ("scope", ""),
        ("foo", "1"),
        ("foo", "2"),
    ];
    assert_eq!(office.post("/oauth/token", "", &form).status, 200);
}

/// S6749-4: whoever is no client hears the same, byte for byte.
#[test]
fn who_is_no_client_hears_the_same() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let (blocked, gone) =
        (office.hire("live", "oauth_client", &[]), office.hire("live", "oauth_client", &[]));
    gateway.command(&["credential", "block", &blocked.id]).ok();
    gateway.command(&["credential", "delete", &gone.id]).ok();
    gateway.obeys_all();
    let soon = doorward_core::time::UnixMillis((now_s() + 3) * 1_000).to_string();
    let expired = office.hire("live", "oauth_client", &["--expires", &soon]);
    let ends_with = office.token(&expired, &[]).json()["expires_in"].as_i64().unwrap();
    assert!((1..=3).contains(&ends_with), "a token outlives its credential: {ends_with}");
    let far = office.hire("far", "oauth_client", &[]);
    let key = office.hire("live", "server", &["--dialect", "voucherify"]);
    let page = office.hire("live", "client", &["--origin", "https://shop.example"]);
    let user = office.user("live", "clerk", &[]);
    eventually("the end of a credential", || office.token(&expired, &[]).code() == "credential_expired");
    let body = |answer: &crate::support::Answer| {
        refused(answer, 401, "invalid_client");
        let mut fields = answer.head.fields.clone();
        fields.retain(|(name, _)| !["date", "doorward-request-id", "doorward-code"].contains(&name.as_str()));
        (fields, answer.text())
    };
    let wrong = office.token(&client.with_secret("wrong"), &[]);
    let wanted = body(&wrong);
    for (actor, code, detail) in [
        (&client.with_id("nobody"), "credential_invalid", "wrong-client"),
        (&client.with_secret("ä:+%"), "credential_invalid", "wrong-client"),
        (&gone, "credential_invalid", "wrong-client"),
        (&blocked.with_secret("wrong"), "credential_invalid", "wrong-client"),
        (&blocked, "credential_blocked", "blocked"),
        (&expired, "credential_expired", "expired"),
        (&far, "region_denied", "other-region"),
        // Keys of other dialects, publishable keys and users are no clients here.
        (&key, "credential_invalid", "wrong-client"),
        (&page, "credential_invalid", "wrong-client"),
        (&user, "credential_invalid", "wrong-client"),
    ] {
        let answer = office.token(actor, &[]);
        assert_eq!((body(&answer), answer.code()), (wanted.clone(), code), "{actor:?}");
        let event = gateway.event(answer.id());
        assert_eq!((&event["code"], &event["detail"]), (&code.into(), &detail.into()), "{event}");
        assert_eq!(event["credential"].is_null(), code == "credential_invalid", "{event}");
    }
    let nobody = office.post("/oauth/token", "", &[("grant_type", "client_credentials")]);
    assert_eq!((body(&nobody), nobody.code()), (wanted.clone(), "credential_missing"));
    let name = [("grant_type", "client_credentials"), ("client_id", &*client.id)];
    assert_eq!(body(&office.post("/oauth/token", "", &name)), wanted, "a name proves nothing");
    // A new secret is the only one at once, whatever this node had seen before.
    let run = gateway.command(&["credential", "regenerate", &client.id, "--json"]).ok();
    let fresh = client.with_secret(crate::support::rows(&run.stdout)[0]["secret"].as_str().unwrap());
    eventually("the new secret", || office.token(&fresh, &[]).status == 200);
    assert_eq!(body(&office.token(client, &[])), wanted);
}

/// S6749-1, S6749-2, S6749-3, S6749-8: what can be read in two ways is not read at all.
#[test]
fn what_is_not_plain_is_refused() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let own = basic(client);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let good = "grant_type=client_credentials";
    let ask = |path: &str, lines: &str, body: &str| gateway.ask(raw(path, lines, body));
    let both = format!("{form}{own}");
    assert_eq!(ask("/oauth/token", &both, good).status, 200);
    let in_form = format!("client_id={}&client_secret={}", client.id, client.secret);
    for (lines, body) in [
        (&both, "grant_type=client_credentials&grant_type=client_credentials"),
        (&both, "grant_type=client_credentials&scope=orders:read&scope=orders:read"),
        (&both, "grant_type=client_credentials&scope=%ff"),
        (&both, "grant_type=client_credentials&scope=%4"),
        (&both, ""),
        (&both, "grant_type="),
        (&own, good),
        (&format!("Content-Type: application/json\r\n{own}"), "{\"grant_type\":\"client_credentials\"}"),
        (&format!("Content-Type: multipart/form-data; boundary=x\r\n{own}"), good),
        (&format!("{form}{form}{own}"), good),
        (&format!("{form}{own}{own}"), good),
        (&both, &format!("{good}&{in_form}")),
        (&both, &format!("{good}&client_secret={}", client.secret)),
        (&both, &format!("{good}&client_id=another")),
        (&both, &format!("{good}&client_assertion=x")),
    ] {
        refused(&ask("/oauth/token", lines, body), 400, "invalid_request");
    }
    for query in ["client_secret=x", "grant_type=client_credentials", "Client_Secret=x", "scope", "%74oken=x"]
    {
        let path = format!("/oauth/token?{query}");
        refused(&ask(&path, &both, good), 400, "invalid_request");
    }
    assert_eq!(ask("/oauth/token?tenant=1", &both, good).status, 200);
    for grant in ["authorization_code", "refresh_token", "implicit", "urn:x", "client_credentials "] {
        let body = format!("grant_type={}", crate::support::encoded(grant));
        refused(&ask("/oauth/token", &both, &body), 400, "unsupported_grant_type");
    }
    for method in ["GET", "PUT", "DELETE"] {
        let request = format!("{method} /oauth/token HTTP/1.1\r\nHost: {HOST}\r\n{own}\r\n");
        gateway.ask(request).expect(405, "method_not_allowed");
    }
    let long = format!("{good}&x={}", "x".repeat(70_000));
    ask("/oauth/token", &both, &long).expect(413, "body_too_large");
}

/// S6749-5: ids and secrets with any character in them.
#[test]
fn ids_and_secrets_hold_any_character() {
    let office = Office::open();
    for (n, secret) in
        ["a:b+c%d", "%41%2B%25", "s\u{e4}cret\u{1f600}&=", "plus+plus++", "    spaced    "].iter().enumerate()
    {
        let id = format!("odd-{n}");
        let file = office.gateway.folder.write(&id, secret);
        let run = office.gateway.command(&[
            "credential",
            "create",
            "--workspace",
            "live",
            "--kind",
            "oauth_client",
            "--dialect",
            "standard",
            "--id",
            &id,
            "--secret-file",
            &file,
            "--json",
        ]);
        // Those that can't be a key's secret are not taken in the first place.
        if run.code != 0 {
            assert!(run.said().contains("secret"), "{run:?}");
            continue;
        }
        office.gateway.obeys_all();
        let client = Actor { id, secret: (*secret).to_owned(), ..office.client.clone() };
        assert_eq!(office.token(&client, &[]).status, 200, "{secret}");
        let form =
            [("grant_type", "client_credentials"), ("client_id", &*client.id), ("client_secret", *secret)];
        assert_eq!(office.post("/oauth/token", "", &form).status, 200, "{secret}");
    }
}

/// S8414-1, S7517-1: the documents come from settings and policy alone.
#[test]
fn the_documents_tell_where_everything_is() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let path = "/.well-known/oauth-authorization-server";
    let answer = gateway.ask(get(path));
    let document = answer.json();
    assert_eq!(
        document,
        serde_json::json!({
            "issuer": ISSUER,
            "token_endpoint": format!("{ISSUER}/oauth/token"),
            "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
            "introspection_endpoint": format!("{ISSUER}/oauth/introspect"),
            "revocation_endpoint": format!("{ISSUER}/oauth/revoke"),
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials", "password"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        })
    );
    let evil = get(path).replace(
        &format!("Host: {HOST}\r\n"),
        "Host: evil.example\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nForwarded: host=evil.example\r\n",
    );
    assert_eq!(gateway.ask(evil).text(), answer.text());
    let keys = gateway.ask(get("/.well-known/jwks.json")).json();
    let keys = keys["keys"].as_array().unwrap();
    assert!(keys.len() >= 2, "{keys:?}");
    for key in keys {
        assert_eq!(key["use"], "sig");
        assert!(["ES256", "RS256", "EdDSA"].contains(&key["alg"].as_str().unwrap()), "{key}");
        assert!(["d", "p", "q", "dp", "dq", "qi", "k"].iter().all(|private| key[private].is_null()), "{key}");
    }
    let alone = gateway.ask(get("/key")).json();
    assert!(alone["alg"] == "RS256" && keys.contains(&alone), "{alone}");
    // What is switched off is not told, and not given.
    gateway.apply(&crate::support::OAUTH_POLICY.replace("password_grant = true", "")).ok();
    gateway.obeys_all();
    assert_eq!(
        gateway.ask(get(path)).json()["grant_types_supported"],
        serde_json::json!(["client_credentials"])
    );
    let form = [("grant_type", "password"), ("username", "a"), ("password", "b")];
    let off = office.post("/oauth/token", &basic(client), &form);
    refused(&off, 400, "unsupported_grant_type");
    assert_eq!(off.json()["error_description"], "the password grant is switched off here");
    // Who comes with another dialect's key is told how clients prove themselves here.
    let pair = office.post("/oauth/token", "X-App-Id: a\r\nX-App-Token: b\r\n", &form);
    pair.expect(401, "scheme_not_accepted");
    assert!(pair.text().contains("with HTTP Basic, or as client_id and client_secret"), "{pair:?}");
}

/// No page of anybody's reads what these endpoints say, and endpoints that a dialect does not have are none.
#[test]
fn endpoints_are_for_programs_alone() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let preflight = format!(
        "OPTIONS /oauth/token HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://shop.example\r\nAccess-Control-Request-Method: POST\r\n\r\n"
    );
    gateway.ask(preflight).expect(403, "origin_denied");
    let lines = format!("{}Origin: https://shop.example\r\n", basic(client));
    let answer = office.post("/oauth/token", &lines, &[("grant_type", "client_credentials")]);
    assert_eq!((answer.status, answer.get("access-control-allow-origin")), (200, None));
    gateway.ask(post("/v1/auth/introspect", &basic(client), &[("token", "x")])).expect(404, "route_unknown");
}

/// Without an issuer there are no tokens.
#[test]
fn without_an_issuer_there_are_no_tokens() {
    let office = Office::with(|setup| setup.without("tokens"));
    office.token(&office.client, &[]).expect(503, "unavailable");
    office.gateway.ask(get("/.well-known/jwks.json")).expect(503, "unavailable");
}
