//! Public OAuth clients, unmodified, against the demo: they find the endpoints, get tokens, have them judged, use them and
//! give them up. The libraries need Node.js and `DOORWARD_CLIENTS`.
use crate::support::{Actor, Conn, Demo, doorward, rows, skipped, skips_unless_sqlite};
use serde_json::{Value, json};
use std::process::Command;

/// A demo, unless its clients are not here.
fn demo(what: &str) -> Option<(Demo, String)> {
    if skips_unless_sqlite() {
        return None;
    }
    match std::env::var("DOORWARD_CLIENTS") {
        Ok(clients) => Some((Demo::start(), clients)),
        Err(_) => {
            skipped(what, "DOORWARD_CLIENTS is not set");
            None
        }
    }
}

/// Has a library do its work, and returns what it saw.
fn run(clients: &str, mut told: Value) -> Value {
    told["modules"] = json!(format!("{clients}/node_modules/"));
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/tokens.mjs");
    let mut node = Command::new("node");
    // Older ones keep it to themselves.
    node.arg("--experimental-global-webcrypto").arg(&script).env("TOLD", told.to_string());
    let out = node.output().expect("node runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A service user of the demo, and a client through which it may log in.
fn user_and_client(demo: &Demo) -> (Value, Actor) {
    let password = demo.folder.file("password");
    std::fs::write(&password, "nine purple lorries, late").expect("the folder takes files");
    let create = |words: &[&str]| {
        let data = demo.data();
        let all =
            [&["credential", "create", "--data", &data, "--json", "--workspace", "demo-production"], words];
        rows(&doorward(&all.concat()).ok().stdout).remove(0)
    };
    create(&["--kind", "user", "--id", "jane", "--dialect", "standard", "--password-file", &password]);
    let client = create(&["--kind", "oauth_client", "--dialect", "standard", "--password-grant"]);
    (json!({"username": "jane", "password": "nine purple lorries, late"}), Actor::from_row(&client))
}

fn expect_life(
    library: &str,
    clients: &str,
    demo: &Demo,
    client: &Actor,
    authentication: &str,
    user: Option<&Value>,
) {
    let gateway = demo.text("gateway");
    let told = json!({
        "library": library,
        "issuer": gateway,
        "client": {"id": client.id, "secret": client.secret},
        "authentication": authentication,
        "user": user,
        "api": format!("{gateway}/echo/with-a-token"),
    });
    let saw = run(clients, told);
    let about = format!("{library}, {authentication}: {saw}");
    assert_eq!(
        saw["tokens"]["token_type"].as_str().map(str::to_lowercase).as_deref(),
        Some("bearer"),
        "{about}"
    );
    assert_eq!(saw["tokens"]["expires_in"], 3_600, "{about}");
    assert!(saw["tokens"]["refresh_token"].is_null(), "{about}");
    assert_eq!(saw["used"]["status"], 200, "{about}");
    assert_eq!(saw["usedAgain"], json!({"status": 401, "code": "token_revoked"}), "{about}");
    if library == "openid-client" {
        let sub = user.map_or(client.id.as_str(), |user| user["username"].as_str().unwrap_or_default());
        assert_eq!((&saw["before"]["active"], &saw["before"]["sub"]), (&json!(true), &json!(sub)), "{about}");
        assert_eq!(saw["after"], json!({"active": false}), "{about}");
    }
    let token = saw["tokens"]["access_token"].as_str().expect("a token");
    assert!(!demo.log().contains(token) && !demo.log().contains(&client.secret), "{about}");
    assert!(demo.events().iter().all(|event| !event.to_string().contains(token)), "{about}");
}

#[test]
fn openid_client_of_npm_gets_uses_and_gives_up_tokens() {
    let Some((demo, clients)) = demo("openid-client") else { return };
    let server = demo.actor("production", "server", "standard");
    expect_life("openid-client", &clients, &demo, &server, "basic", None);
    expect_life("openid-client", &clients, &demo, &server, "post", None);
    let (user, client) = user_and_client(&demo);
    expect_life("openid-client", &clients, &demo, &client, "basic", Some(&user));
}

#[test]
fn simple_oauth2_of_npm_gets_uses_and_gives_up_tokens() {
    let Some((demo, clients)) = demo("simple-oauth2") else { return };
    let server = demo.actor("production", "server", "standard");
    expect_life("simple-oauth2", &clients, &demo, &server, "basic", None);
    expect_life("simple-oauth2", &clients, &demo, &server, "post", None);
    let (user, client) = user_and_client(&demo);
    expect_life("simple-oauth2", &clients, &demo, &client, "post", Some(&user));
}

/// Asks an endpoint of the demo with a form.
fn form(demo: &Demo, path: &str, more: &str, body: &str) -> Value {
    let gateway = demo.text("gateway").trim_start_matches("http://").parse().expect("an address");
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {gateway}\r\n{more}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = Conn::open(gateway).send(request).answer();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn got(demo: &Demo, path: &str) -> Value {
    let gateway = demo.text("gateway").trim_start_matches("http://").parse().expect("an address");
    let answer = Conn::open(gateway).send(format!("GET {path} HTTP/1.1\r\nHost: {gateway}\r\n\r\n")).answer();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn jose_of_npm_verifies_tokens_with_the_published_keys() {
    let Some((demo, clients)) = demo("jose") else { return };
    let gateway = demo.text("gateway").to_owned();

    let server = demo.actor("production", "server", "standard");
    let body =
        format!("grant_type=client_credentials&client_id={}&client_secret={}", server.id, server.secret);
    let token = form(&demo, "/oauth/token", "", &body);
    let metadata = got(&demo, "/.well-known/oauth-authorization-server");
    assert_eq!(metadata["issuer"], json!(gateway));
    let expected = json!({"issuer": gateway, "audience": gateway, "typ": "at+jwt", "algorithms": ["ES256"], "subject": server.id});
    let saw = run(
        &clients,
        json!({"library": "jose", "jwks": metadata["jwks_uri"], "token": token["access_token"], "expected": expected}),
    );
    assert_eq!(saw["payload"]["client_id"], json!(server.id), "{saw}");

    let user = demo.actor("production", "user", "vista");
    let encoded: String = user.secret.bytes().map(|b| format!("%{b:02X}")).collect();
    let body = format!(
        "grant_type=password&client_id=kiosk&username={}&password={encoded}",
        user.id.replace('@', "%40")
    );
    let token = form(&demo, "/connect/token", "", &body);
    let discovery = got(&demo, "/.well-known/openid-configuration");
    let expected = json!({"issuer": discovery["issuer"], "audience": "all", "algorithms": ["RS256"], "subject": user.id});
    let saw = run(
        &clients,
        json!({"library": "jose", "jwks": discovery["jwks_uri"], "token": token["access_token"], "expected": expected}),
    );
    assert_eq!(saw["payload"]["token_usage"], "access_token", "{saw}");
}
