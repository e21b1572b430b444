//! Tokens that are asked about and revoked: by whom, and what becomes of them.
use crate::support::{Actor, Answer, ISSUER, Office, basic, number_of_trials, tag};
use std::time::{Duration, Instant};

fn revoke(office: &Office, client: &Actor, token: &str) -> Answer {
    office.post("/oauth/revoke", &basic(client), &[("token", token)])
}

/// S7662-1, S7662-2: a token is told about to clients of its workspace, and for all others it is not there.
#[test]
fn a_token_is_told_about() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let (colleague, stranger) =
        (office.hire("live", "oauth_client", &[]), office.hire("other", "oauth_client", &[]));
    let token = office.given(client, &[("scope", "orders:read")]);
    let told = office.introspect(&colleague, &token);
    assert_eq!((told.status, told.get("cache-control")), (200, Some("no-store")));
    let (told, claims) = (told.json(), office.opened(&token).1);
    for (name, value) in [
        ("active", true.into()),
        ("scope", "orders:read".into()),
        ("client_id", client.id.as_str().into()),
        ("sub", client.id.as_str().into()),
        ("token_type", "Bearer".into()),
        ("iss", ISSUER.into()),
        ("aud", serde_json::json!([ISSUER])),
        ("exp", claims["exp"].clone()),
        ("iat", claims["iat"].clone()),
        ("jti", claims["jti"].clone()),
    ] {
        assert_eq!(told[name], value, "{name}: {told}");
    }
    assert!(office.is_active(client, &token));
    // Not for those of another workspace; not where it is for another resource, but for who got it.
    assert!(!office.is_active(&stranger, &token));
    let elsewhere = office.given(client, &[("resource", "https://elsewhere.example")]);
    assert!(office.is_active(client, &elsewhere) && !office.is_active(&colleague, &elsewhere));
    // Nor anything that is no token.
    let (head, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{head}.{first}{}", &signature[1..]);
    for no in ["x", "a.b.c", &forged, head, &format!("{token} "), &"x".repeat(9_000)] {
        assert!(!office.is_active(client, no), "{no}");
    }
    // Whoever does not prove to be a client hears nothing.
    let name = ("client_id", client.id.as_str());
    for (lines, form) in [
        (String::new(), vec![("token", token.as_str())]),
        (String::new(), vec![("token", &token), name]),
        (basic(&client.with_secret("wrong")), vec![("token", &token)]),
        (format!("Authorization: Bearer {token}\r\n"), vec![("token", &token)]),
    ] {
        for path in ["/oauth/introspect", "/oauth/revoke"] {
            let answer = office.post(path, &lines, &form);
            assert_eq!((answer.status, answer.json()["active"].is_null()), (401, true), "{answer:?}");
        }
    }
    let answer = office.post("/oauth/introspect", &basic(client), &[]);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")));
    let answer = office.post("/oauth/introspect", &basic(client), &[("token", &token), ("token", &token)]);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")));
    assert!(office.is_active(client, &token), "nothing of that has killed it");
    assert!(!gateway.event_lines().iter().any(|line| line.contains(&token)), "a token in an event");
}

/// S7009-1: a client revokes what it was given, whatever the hint says, and nothing else; nobody learns more.
#[test]
fn a_token_is_revoked() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let (colleague, stranger) =
        (office.hire("live", "oauth_client", &[]), office.hire("other", "oauth_client", &[]));
    let (token, sister) = (office.given(client, &[]), office.given(client, &[]));
    let foreign = [revoke(&office, &colleague, &token), revoke(&office, &stranger, &token)];
    let unknown = [revoke(&office, client, "x"), revoke(&office, client, &tag())];
    assert!(office.is_active(client, &token), "others have revoked it");
    let form = [("token", &*token), ("token_type_hint", "refresh_token")];
    let done = office.post("/oauth/revoke", &basic(client), &form);
    assert!(!office.is_active(client, &token), "alive after it was revoked");
    assert!(office.is_active(client, &sister));
    let again = revoke(&office, client, &token);
    for answer in foreign.iter().chain(&unknown).chain([&done, &again]) {
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{answer:?}");
        assert_eq!((answer.get("cache-control"), answer.get("doorward-code")), (Some("no-store"), None));
    }
    let event = gateway.event(done.id());
    assert_eq!(
        (&event["target"], &event["credential"]),
        (&"revoke".into(), &client.id.as_str().into()),
        "{event}"
    );
}

/// What kills a credential, or changes what it was given tokens for, kills its tokens.
#[test]
fn tokens_die_with_their_credential() {
    let office = Office::open();
    let (gateway, asks) = (&office.gateway, &office.client);
    for kill in ["block", "delete", "regenerate"] {
        let client = office.hire("live", "oauth_client", &[]);
        let token = office.given(&client, &[]);
        assert!(office.is_active(asks, &token));
        gateway.command(&["credential", kill, &client.id]).ok();
        gateway.obeys_all();
        assert!(!office.is_active(asks, &token), "alive after {kill}");
        let old = office.token(&client, &[]);
        assert_eq!((old.status, old.json()["error"].as_str()), (401, Some("invalid_client")), "{kill}");
    }
}

/// S7009-3: where nothing can be written down, nobody is told that it was.
#[test]
fn nothing_is_revoked_or_given_while_the_store_is_away() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let token = office.given(client, &[]);
    gateway.take_store_away();
    for answer in [revoke(&office, client, &token), office.token(client, &[])] {
        answer.expect(503, "unavailable");
        assert!(answer.get("retry-after").is_some(), "{answer:?}");
    }
    gateway.give_store_back();
    assert!(office.is_active(client, &token));
    crate::support::eventually("the store is back", || revoke(&office, client, &token).status == 200);
    assert!(!office.is_active(client, &token));
}

/// S7009-3: killed right after it said so, the token stays dead; and what was given stays good.
#[test]
fn what_was_revoked_stays_dead_through_a_kill() {
    let mut office = Office::open();
    let (mut slowest, trials) = (Duration::ZERO, number_of_trials(8));
    for trial in 0..trials {
        let (client, before) = (office.client.clone(), Instant::now());
        let (dead, alive) = (office.given(&client, &[]), office.given(&client, &[]));
        let answer = revoke(&office, &client, &dead);
        office.gateway.kill();
        assert_eq!(answer.status, 200, "{answer:?}");
        slowest = slowest.max(before.elapsed());
        office.gateway.start();
        assert!(!office.is_active(&client, &dead), "trial {trial}: risen from the dead");
        assert!(office.is_active(&client, &alive), "trial {trial}: forgotten");
    }
    crate::feed::figures(format_args!(
        "revoked, then killed: {trials} trials, 0 resurrections; two tokens given and one revoked in {slowest:?} at most"
    ));
}

/// A revocation on one node is obeyed on another, and a token of one is told about on the other.
#[test]
fn another_node_obeys() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let token = office.given(client, &[]);
    let setup = crate::support::Setup::beside(gateway).set("tokens", "issuer", format!("{ISSUER:?}"));
    let mut another = setup.prepare_unchecked();
    another.start();
    let form = [("token", token.as_str())];
    let ask = || {
        another.ask(crate::support::post("/oauth/introspect", &basic(client), &form)).json()["active"].clone()
    };
    assert_eq!(ask(), true);
    assert_eq!(revoke(&office, client, &token).status, 200);
    let took = crate::support::eventually("the other node to obey", || ask() == false);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// How many tokens a node gives in a second, and what each costs it. What is told is of this build, whichever it is.
#[test]
fn tokens_are_given_fast() {
    const CONNECTIONS: u64 = 64;
    let office = Office::open();
    let Office { gateway, client } = &office;
    let each = number_of_trials(1_280).div_ceil(CONNECTIONS);
    let request =
        crate::support::post("/oauth/token", &basic(client), &[("grant_type", "client_credentials")]);
    let spent_before = gateway.cpu_time();
    let begun = Instant::now();
    let slowest = std::thread::scope(|scope| {
        let one = || {
            let mut connection = gateway.connect();
            let all = (0..each).map(|_| {
                let asked = Instant::now();
                assert_eq!(connection.send(&request).answer().status, 200);
                asked.elapsed()
            });
            all.max().unwrap_or_default()
        };
        let all: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().expect("a thread")).max().unwrap_or_default()
    });
    let (took, tokens) = (begun.elapsed(), each * CONNECTIONS);
    let cost_us = (gateway.cpu_time() - spent_before).as_micros() as u64 / tokens;
    let rate = tokens as f64 / took.as_secs_f64();
    crate::feed::figures(format_args!(
        "{tokens} tokens given: {rate:.0} a second, {cost_us} us of CPU each, the slowest after {slowest:?}"
    ));
}
