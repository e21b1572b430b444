//! Token endpoints in the words of each dialect.
use crate::support::{Actor, ISSUER, Office, PASSWORD, basic, get, now_s, post, raw, text_of};
use doorward_core::schemes::avanan::{self, Covers, DateForm, ToSign};
use doorward_core::schemes::escher::{Signer, SigningSecret};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

const SCOPE: (&str, &str) = ("scope", "loyalty.async_events");
const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// Antavo's endpoint: its answer, and each of its errors with its number.
#[test]
fn antavo() {
    let office = Office::open();
    let own = office.hire("live", "server", &["--dialect", "antavo", "--scope", "loyalty.async_events"]);
    let unbound = office.hire("live", "server", &["--dialect", "antavo"]);
    let narrow = office.hire("live", "server", &["--dialect", "antavo", "--scope", "else"]);
    let plain = office.hire("try", "server", &["--dialect", "antavo", "--plain-key"]);
    let ask = |client: &Actor, form: &[(&str, &str)]| office.post("/v1/auth/token", &basic(client), form);
    let answer = ask(&own, &[GRANT, SCOPE]);
    let token = text_of(&answer, "access_token");
    assert_eq!(
        answer.text(),
        format!(
            "{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":3600,\"scope\":\"loyalty.async_events\"}}"
        )
    );
    let (header, claims) = office.opened(&token);
    assert_eq!((&header["typ"], &claims["sub"]), (&"JWT".into(), &own.id.as_str().into()));
    assert!(claims["iss"].as_str().unwrap().ends_with("/v1/auth"), "{claims}");
    assert_eq!(ask(&unbound, &[GRANT, SCOPE]).status, 200);
    let error = |error: &str, code: u32, message: &str| {
        format!(
            "{{\"status\":\"error\",\"error\":\"{error}\",\"details\":{{\"type\":\"BadRequestException\",\"code\":{code},\"message\":\"{message}\"}}}}"
        )
    };
    let request = error(
        "invalid_request",
        220_011,
        "The request includes a parameter that is not allowed for this grant type.",
    );
    let scope = error("invalid_scope", 220_015, "The requested scope is invalid, unknown, or malformed");
    for (client, form, wanted) in [
        (&own, &[SCOPE][..], &request),
        (&own, &[GRANT, GRANT, SCOPE], &request),
        (&own, &[GRANT, SCOPE, ("username", "x")], &request),
        (&own, &[GRANT, SCOPE, ("client_secret", &own.secret)], &request),
        (&own, &[GRANT], &scope),
        (&own, &[GRANT, ("scope", "loyalty.async_events else")], &scope),
        (&narrow, &[GRANT, SCOPE], &scope),
        (
            &own,
            &[("grant_type", "password"), SCOPE],
            &error(
                "unsupported_grant_type",
                220_014,
                "The authorization grant type is not supported by this server",
            ),
        ),
        (
            &plain,
            &[GRANT, SCOPE],
            &error(
                "unauthorized_client",
                220_013,
                "The authenticated client is not authorized to use this authorization grant type",
            ),
        ),
    ] {
        let answer = ask(client, form);
        assert_eq!((answer.status, &answer.text()), (400, wanted), "{form:?}");
        assert_eq!(answer.get("cache-control"), Some("no-store"));
    }
    let unauthorized = "{\"status\":\"error\",\"error\":\"invalid_client\",\"details\":{\"type\":\"UnauthorizedException\",\"code\":220010,\"message\":\"Client authentication failed\"}}";
    for client in
        [&own.with_secret("wrong"), &own.with_id("nobody"), &plain.with_secret("wrong"), &office.client]
    {
        let answer = ask(client, &[GRANT, SCOPE]);
        assert_eq!((answer.status, answer.text().as_str()), (401, unauthorized));
        assert_eq!(answer.get("www-authenticate"), Some("Basic realm=\"OAuth2 Token Endpoint\""));
    }
    // No client of one dialect is one of another.
    assert_eq!(office.token(&own, &[]).status, 401);
    assert!(!office.is_active(&office.client, &token), "told about at another dialect's endpoint");
}

/// Voucherify's endpoints: authenticated as every route, exact bodies, tokens of the workspace alone.
#[test]
fn voucherify() {
    let office = Office::open();
    let own = office.hire(
        "live",
        "server",
        &["--dialect", "voucherify", "--scope", "api", "--scope", "client_validate"],
    );
    let narrow = office.hire(
        "live",
        "server",
        &["--dialect", "voucherify", "--scope", "vouchers", "--scope", "client_api"],
    );
    let stranger = office.hire("other", "server", &["--dialect", "voucherify"]);
    let ask = |who: &Actor, path: &str, form: &[(&str, &str)]| office.post(path, &who.lines(), form);
    let token = |who: &Actor, scope: &str| ask(who, "/v1/oauth/token", &[GRANT, ("scope", scope)]);
    let answer = token(&own, "api");
    let given = text_of(&answer, "access_token");
    let expires_at = answer.json()["expires_at"].as_i64().unwrap();
    assert!((now_s() + 890..=now_s() + 900).contains(&expires_at));
    let id = &own.id;
    assert_eq!(
        answer.text(),
        format!(
            "{{\"access_token\":\"{given}\",\"client_id\":\"{id}\",\"expires_at\":{expires_at},\"expires_in\":900,\"scope\":\"api\",\"token_type\":\"Bearer\"}}"
        )
    );
    for (who, scope) in [
        (&own, "vouchers campaigns"),
        (&own, "client_validate"),
        (&narrow, "vouchers client_redeem"),
        (&stranger, "api client_api"),
    ] {
        assert_eq!(token(who, scope).json()["scope"], scope);
    }
    for (who, scope) in [
        (&own, "vouchers,campaigns"),
        (&own, "no-such"),
        (&own, "admin:all"),
        (&narrow, "api"),
        (&narrow, "campaigns"),
        (&own, "client_api"),
        (&own, "client_redeem"),
        (&stranger, "no-such"),
    ] {
        let answer = token(who, scope);
        let body =
            format!("{{\"code\":400,\"key\":\"invalid_scope\",\"message\":\"Invalid scope: {scope}\"}}");
        assert_eq!((answer.status, answer.text()), (400, body));
    }
    let grant = "{\"code\":400,\"key\":\"invalid_grant_type\",\"message\":\"Invalid grant_type\"}";
    let missing = "{\"code\":400,\"key\":\"missing_parameters\",\"message\":\"Missing parameters\"}";
    for (path, form, body) in [
        ("/v1/oauth/token", &[("scope", "api")][..], grant),
        ("/v1/oauth/token", &[("grant_type", "password"), ("scope", "api")], grant),
        ("/v1/oauth/token", &[GRANT], missing),
        ("/v1/oauth/introspect", &[], missing),
        ("/v1/oauth/token/revoke", &[("token", &given)], missing),
    ] {
        let answer = ask(&own, path, form);
        assert_eq!((answer.status, answer.text().as_str()), (400, body), "{path}");
    }
    office.gateway.ask(post("/v1/oauth/token", "", &[GRANT])).expect(401, "credential_missing");
    ask(&own.with_secret("wrong"), "/v1/oauth/token", &[GRANT]).expect(401, "credential_invalid");
    office.gateway.ask(raw("/v1/oauth/token", &own.lines(), "{}")).expect(400, "request_ambiguous");

    let form = [("access_token", given.as_str())];
    let told = ask(&narrow, "/v1/oauth/introspect", &form).json();
    assert_eq!(
        (&told["active"], &told["scope"], &told["client_id"]),
        (&true.into(), &"api".into(), &id.as_str().into())
    );
    assert_eq!((&told["access_token"], &told["expires_at"]), (&given.as_str().into(), &expires_at.into()));
    let inactive = |who: &Actor, token: &str| {
        let answer = ask(who, "/v1/oauth/introspect", &[("access_token", token)]);
        (answer.status, answer.text()) == (200, "{\"active\":false}".to_owned())
    };
    assert!(inactive(&stranger, &given) && inactive(&own, "x"));
    assert!(inactive(&own, &office.given(&office.client, &[])), "another dialect's token");
    let revoke = |who: &Actor, token: &str| {
        let answer = ask(who, "/v1/oauth/token/revoke", &[("access_token", token)]);
        (answer.status, answer.text())
    };
    assert_eq!(revoke(&stranger, &given), (404, String::new()));
    assert!(!inactive(&own, &given));
    assert_eq!(revoke(&own, &given), (204, String::new()));
    assert!(inactive(&own, &given));
    assert_eq!(revoke(&own, &given), (404, String::new()));
    assert_eq!(revoke(&own, "x"), (404, String::new()));
}

/// A thousand tokens of a workspace live at once, and no more; one that is revoked makes room.
#[test]
fn voucherify_has_a_thousand_tokens() {
    let office = Office::open();
    let own = office.hire("live", "server", &["--dialect", "voucherify"]);
    let stranger = office.hire("other", "server", &["--dialect", "voucherify"]);
    let request = |who: &Actor| post("/v1/oauth/token", &who.lines(), &[GRANT, ("scope", "api")]);
    let begun = Instant::now();
    let last: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = office.gateway.connect();
                    let all =
                        (0..100).map(|_| text_of(&connection.send(request(&own)).answer(), "access_token"));
                    all.last().unwrap_or_default()
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().expect("a thread")).collect()
    });
    println!("1,000 tokens over 10 connections in {:?}", begun.elapsed());
    let full = office.gateway.ask(request(&own));
    assert_eq!((full.status, &full.json()["key"]), (429, &"too_many_tokens".into()), "{full:?}");
    assert_eq!(full.code(), "rate_limited");
    assert_eq!(office.gateway.ask(request(&stranger)).status, 200, "another workspace");
    let form = [("access_token", last[0].as_str())];
    assert_eq!(office.post("/v1/oauth/token/revoke", &own.lines(), &form).status, 204);
    assert_eq!(office.gateway.ask(request(&own)).status, 200);
    assert_eq!(office.gateway.ask(request(&own)).status, 429);
}

/// Vista's endpoint: the password of a user, a label that says nothing, and answers in Vista's order and words.
#[test]
fn vista() {
    let office = Office::open();
    let words = ["--dialect", "vista"];
    let user = office.user("live", "cinema.api", &words);
    let stranger = office.user("other", "other.api", &words);
    let clerk = office.user("live", "clerk", &[]);
    let form = |name: &str, password: &str, more: &[(&str, &str)]| {
        let own = [("grant_type", "password"), ("username", name), ("password", password)];
        office.post("/connect/token", "", &[&own[..], more].concat())
    };
    // Characters, not bytes.
    let label = "\u{e9}".repeat(50);
    let answer = form(&user.id, PASSWORD, &[("client_id", &label), ("scope", "openid profile")]);
    let token = text_of(&answer, "access_token");
    assert_eq!(
        answer.text(),
        format!("{{\"token_type\":\"Bearer\",\"access_token\":\"{token}\",\"expires_in\":43200}}")
    );
    let (header, claims) = office.opened(&token);
    assert_eq!((&header["alg"], &header["typ"]), (&"RS256".into(), &"JWT".into()));
    for (name, value) in [
        ("iss", format!("{ISSUER}/")),
        ("aud", "all".to_owned()),
        ("sub", user.id.clone()),
        ("token_usage", "access_token".to_owned()),
        ("client_label", label.clone()),
    ] {
        assert_eq!(claims[name], value, "{claims}");
    }
    assert_eq!(
        (claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), &claims["nbf"]),
        (43_200, &claims["iat"])
    );
    assert_eq!(form(&user.id, PASSWORD, &[]).status, 200, "without a label");
    let lines = basic(&Actor { id: "label".to_owned(), secret: String::new(), ..user.clone() });
    let own = [("grant_type", "password"), ("username", &*user.id), ("password", PASSWORD)];
    assert_eq!(
        office.post("/connect/token", &lines, &own).status,
        200,
        "an empty secret, as some libraries send it"
    );

    let couple = ("invalid_grant", "The username/password couple is invalid.");
    let user_missing =
        ("invalid_request", "The mandatory 'username' and/or 'password' parameters are missing.");
    let client = ("invalid_request", "The specified 'client_id' parameter is invalid.");
    for (answer, (error, description)) in [
        (form(&user.id, "not the password", &[]), couple),
        (form("nobody", PASSWORD, &[]), couple),
        (form(&clerk.id, PASSWORD, &[]), couple),
        (form("", PASSWORD, &[]), user_missing),
        (form(&user.id, "", &[]), user_missing),
        (form(&user.id, PASSWORD, &[("client_id", &format!("{label}x"))]), client),
        (form(&user.id, PASSWORD, &[("client_id", "a\nb")]), client),
        (
            form(&user.id, PASSWORD, &[("client_id", "a"), ("client_secret", "b")]),
            ("invalid_request", "clients have no secrets here; send client_id alone"),
        ),
        (
            office.post("/connect/token", "", &[GRANT]),
            ("unsupported_grant_type", "The specified 'grant_type' parameter is not supported."),
        ),
        (
            office.post("/connect/token", "", &[]),
            ("invalid_request", "The mandatory 'grant_type' parameter is missing."),
        ),
        (
            office.gateway.ask(raw("/connect/token", "", "{}")),
            ("invalid_request", "The specified 'Content-Type' header is not valid."),
        ),
        (form(&stranger.id, PASSWORD, &[]), ("unauthorized_client", "this client gets no tokens this way")),
    ] {
        let body = format!("{{\"error\":\"{error}\",\"error_description\":\"{description}\"}}");
        assert_eq!((answer.status, answer.text()), (400, body));
        assert_eq!(answer.get("cache-control"), Some("no-store"));
    }
    let document = office.gateway.ask(get("/.well-known/openid-configuration")).json();
    assert_eq!(
        document,
        serde_json::json!({
            "issuer": format!("{ISSUER}/"),
            "token_endpoint": format!("{ISSUER}/connect/token"),
            "jwks_uri": format!("{ISSUER}/.well-known/jwks"),
            "response_types_supported": [],
            "grant_types_supported": ["password"],
            "token_endpoint_auth_methods_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    );
    let keys = |path: &str| office.gateway.ask(get(path)).json();
    assert_eq!(keys("/.well-known/jwks"), keys("/.well-known/jwks.json"));
}

/// Avanan's token for who signs for it: the bare text, and the key that a client verifies it with.
#[test]
fn avanan() {
    let office = Office::open();
    let secret = office.gateway.folder.write("avanan.secret", "my_avanan_secret_of_32_characters");
    let words = ["--dialect", "avanan", "--id", "myapp29", "--secret-file", &secret];
    let own = office.hire("live", "server", &words).with_secret("my_avanan_secret_of_32_characters");
    let ask = |actor: &Actor, covers: Covers, path: &str| {
        let signer = Signer { id: actor.id.clone(), secret: SigningSecret::new(actor.secret.as_bytes()) };
        let req_id = format!("{:032x}", u128::from(std::process::id()) << 64 | next());
        let to_sign = ToSign { target: path, covers, req_id: &req_id, date_form: DateForm::default() };
        let signed = avanan::sign(&signer, &to_sign, None, crate::support::now()).expect("it can be signed");
        let lines: String =
            signed.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        office.gateway.ask(get(path).replace("\r\n\r\n", &format!("\r\n{lines}\r\n")))
    };
    for covers in [Covers::Nothing, Covers::Target] {
        let answer = ask(&own, covers, "/v1.0/auth");
        assert_eq!((answer.status, answer.get("cache-control")), (200, Some("no-store")), "{answer:?}");
        assert_eq!(answer.get("content-type"), Some("text/plain; charset=utf-8"));
        let token = answer.text();
        let (header, claims) = office.opened(&token);
        assert_eq!((&header["alg"], &claims["sub"]), (&"RS256".into(), &own.id.as_str().into()));
        assert!(claims["aud"].is_null() && claims["iss"] == format!("{ISSUER}/v1.0"), "{claims}");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600);
        let key = office.gateway.ask(get("/v1.0/public_key"));
        assert_eq!((&key.json()["kid"], key.get("cache-control")), (&header["kid"], Some("no-store")));
        assert_eq!(office.gateway.event(answer.id())["credential"], own.id.as_str());
    }
    let wrong = ask(&own.with_secret("wrong"), Covers::Target, "/v1.0/auth");
    assert_eq!((wrong.status, wrong.text().as_str()), (403, "{\"message\":\"Forbidden\"}"));
    assert_eq!(office.gateway.ask(get("/v1.0/auth")).status, 401);
}

/// A number that none of this run had before.
fn next() -> u128 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).into()
}
