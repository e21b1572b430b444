//! Tokens that a client asked for in somebody's name: what the upstream learns of the two, and that either ends them.
use crate::support::{
    Actor, HOST, OAUTH_POLICY, Office, PASSWORD, Upstream, basic, bearer, eventually, tag, text_of,
};
use crate::token_commands::{introspected, text};

/// A token server, and an API that takes its tokens.
fn world() -> (Office, Upstream) {
    let upstream = Upstream::start();
    let api = format!(
        "\n[[api]]\nid = \"things\"\ndialect = \"standard\"\nnames = [\"standard\", \"vista\"]\nschemes = [\"bearer\"]\n\
         upstream = {{ production = \"http://{}\" }}\n[[api.route]]\npath = \"/t/*\"\n",
        upstream.address
    );
    (Office::with(|setup| setup.policy(format!("{OAUTH_POLICY}{api}"))), upstream)
}

/// A token for the password of a user, through a client where one is named.
fn token_of(office: &Office, user: &Actor, through: Option<&Actor>) -> String {
    let form = [("grant_type", "password"), ("username", &*user.id), ("password", PASSWORD)];
    let lines = through.map(basic).unwrap_or_default();
    text_of(&office.post("/oauth/token", &lines, &form), "access_token")
}

/// Cases 8 to 10: the upstream learns in whose name a client calls, and whatever a caller says of that itself never arrives.
#[test]
fn the_upstream_learns_in_whose_name_a_client_calls() {
    let (office, upstream) = world();
    let user = office.user("live", "clerk", &[]);
    let clerk = office.user("live", "cinema", &["--dialect", "vista"]);
    let through = office.hire("live", "oauth_client", &["--password-grant"]);
    let label = "admin-app";
    let vista = |label: Option<&str>| {
        let form = [("grant_type", "password"), ("username", &*clerk.id), ("password", PASSWORD)];
        let label = label.map(|label| ("client_id", label));
        let form: Vec<_> = form.into_iter().chain(label).collect();
        text_of(&office.post("/connect/token", "", &form), "access_token")
    };
    let own = "Doorward-Subject: admin\r\nDOORWARD-SUBJECT: admin\r\nDoorward_Subject: admin\r\ndoorward.subject: admin\r\n";
    for (token, credential, kind, subject) in [
        (office.given(&office.client, &[]), &office.client, "oauth_client", None),
        (token_of(&office, &user, None), &user, "user", None),
        (token_of(&office, &user, Some(&through)), &user, "user", Some("clerk")),
        (vista(None), &clerk, "user", None),
        (vista(Some(label)), &clerk, "user", Some("cinema")),
    ] {
        for lines in ["", own, "Doorward-Subject: admin\r\nConnection: doorward-subject\r\n"] {
            let tag = tag();
            let answer = office.gateway.ask(bearer("GET", &format!("/t/{tag}"), &token, lines));
            // Whoever names our fields in Connection may be refused; nothing else comes of it.
            if lines.contains("Connection") && answer.status == 400 {
                continue;
            }
            answer.expect_ok();
            let seen = upstream.one(&tag);
            assert_eq!(seen.get("doorward-subject"), subject, "{kind}: {lines}");
            assert_eq!(seen.get("doorward-credential"), Some(&*credential.id));
            assert_eq!(
                (seen.get("doorward-kind"), seen.get("doorward-scheme")),
                (Some(kind), Some("bearer"))
            );
            let raw = String::from_utf8_lossy(&seen.head.raw).to_ascii_lowercase();
            assert!(!raw.contains("admin"), "{raw}");
            assert_eq!(raw.matches("subject").count(), usize::from(subject.is_some()), "{raw}");
        }
    }
}

/// Case 28: whatever ends a client ends the tokens that it asked for in the names of others.
#[test]
fn a_client_takes_the_tokens_that_it_asked_for_with_it() {
    let (office, _upstream) = world();
    let Office { gateway, client: asks } = &office;
    let user = office.user("live", "clerk", &[]);
    for kill in [
        &["credential", "block"][..],
        &["credential", "delete"],
        &["credential", "regenerate"],
        &["token", "revoke", "--credential"],
    ] {
        let through = office.hire("live", "oauth_client", &["--password-grant"]);
        let (token, alone) = (token_of(&office, &user, Some(&through)), token_of(&office, &user, None));
        gateway.ask(bearer("GET", "/t/x", &token, "")).expect_ok();
        assert!(office.is_active(asks, &token) && introspected(gateway, &token)["active"] == true);
        gateway.command(&[kill, &[&*through.id]].concat()).ok();
        gateway.obeys_all();
        gateway.ask(bearer("GET", "/t/x", &token, "")).expect(401, "token_revoked");
        assert!(!office.is_active(asks, &token), "alive after {kill:?}");
        let told = introspected(gateway, &token);
        assert!(text(&told, "reason").contains("the client that asked for it"), "{told}");
        // What the user got without it has nothing to do with it.
        gateway.ask(bearer("GET", "/t/x", &alone, "")).expect_ok();
    }
}

/// S7009-3: a token is revoked for ever, also while something else keeps it from being taken.
#[test]
fn what_is_revoked_while_it_is_not_taken_stays_dead() {
    let (office, _upstream) = world();
    let Office { gateway, .. } = &office;
    let user = office.user("live", "clerk", &[]);
    let through = office.hire("live", "oauth_client", &["--password-grant"]);
    let (dead, alive) = (token_of(&office, &user, Some(&through)), token_of(&office, &user, Some(&through)));
    gateway.command(&["credential", "block", &user.id]).ok();
    gateway.obeys_all();
    gateway.ask(bearer("GET", "/t/x", &dead, "")).expect(401, "credential_blocked");
    let answer = office.post("/oauth/revoke", &basic(&through), &[("token", &dead)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    gateway.command(&["credential", "unblock", &user.id]).ok();
    gateway.obeys_all();
    gateway.ask(bearer("GET", "/t/x", &alive, "")).expect_ok();
    gateway.ask(bearer("GET", "/t/x", &dead, "")).expect(401, "token_revoked");
    assert!(!office.is_active(&through, &dead) && office.is_active(&through, &alive));
}

/// S7662-1, R: what a node can't know while the store is away is not told as if it did.
#[test]
fn nobody_hears_of_tokens_that_a_node_may_not_know_yet() {
    let (office, _upstream) = world();
    let Office { gateway, client } = &office;
    let token = office.given(client, &[]);
    let key = serde_json::json!({"alg": "ES256", "kid": "a key of tomorrow", "typ": "at+jwt"}).to_string();
    let (_, rest) = token.split_once('.').expect("three parts");
    let of_tomorrow = format!("{}.{rest}", doorward_core::jwt::encode(key.as_bytes()));
    assert!(!office.is_active(client, &of_tomorrow));
    gateway.take_store_away();
    eventually("the store to be missed", || office.introspect(client, &of_tomorrow).status == 503);
    office.introspect(client, &of_tomorrow).expect(503, "unavailable");
    assert!(office.is_active(client, &token), "what is known is told");
    gateway.give_store_back();
    eventually("the store to be back", || office.introspect(client, &of_tomorrow).status == 200);
    assert!(gateway.ask(format!("GET /t/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).status == 401);
}
