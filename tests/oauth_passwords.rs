//! Tokens for the passwords of users: who gets them, and how slow guessing is.
use crate::support::{Actor, Answer, Conn, Office, PASSWORD, basic, post};
use std::time::{Duration, Instant};

fn form<'a>(name: &'a str, password: &'a str) -> [(&'a str, &'a str); 3] {
    [("grant_type", "password"), ("username", name), ("password", password)]
}

fn error(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
}

fn refused(error: &str) -> (u16, String) {
    (if error == "invalid_client" { 401 } else { 400 }, error.to_owned())
}

/// A user gets a token where the workspace says so, through a client that may, and never more than both may do.
#[test]
fn a_user_gets_a_token_for_a_password() {
    let office = Office::open();
    let Office { gateway, client } = &office;
    let user = office.user("live", "clerk", &["--scope", "orders:read", "--scope", "stock:read"]);
    let through = office.hire("live", "oauth_client", &["--password-grant", "--scope", "orders:read"]);
    let foreign = office.hire("other", "oauth_client", &["--password-grant"]);
    let elsewhere = office.user("other", "other-clerk", &[]);
    let ask =
        |lines: &str, name: &str, password: &str| office.post("/oauth/token", lines, &form(name, password));

    let alone = ask("", &user.id, PASSWORD);
    assert_eq!((alone.status, &alone.json()["scope"]), (200, &"orders:read stock:read".into()), "{alone:?}");
    let token = crate::support::text_of(&alone, "access_token");
    let claims = office.opened(&token).1;
    assert_eq!((&claims["sub"], &claims["client_id"]), (&"clerk".into(), &"clerk".into()));
    let told = office.introspect(client, &token).json();
    assert_eq!((&told["active"], &told["username"]), (&true.into(), &"clerk".into()), "{told}");
    assert_eq!(gateway.event(alone.id())["credential"], "clerk");

    let both = ask(&basic(&through), &user.id, PASSWORD);
    assert_eq!(both.json()["scope"], "orders:read", "{both:?}");
    let claims = office.opened(&crate::support::text_of(&both, "access_token")).1;
    assert_eq!((&claims["sub"], &claims["client_id"]), (&"clerk".into(), &through.id.as_str().into()));
    let more = [&form(&user.id, PASSWORD)[..], &[("scope", "stock:read")]].concat();
    assert_eq!(error(&office.post("/oauth/token", &basic(&through), &more)), refused("invalid_scope"));

    for (lines, name, password, wanted) in [
        (String::new(), "clerk", "not the password", "invalid_grant"),
        (String::new(), "nobody", PASSWORD, "invalid_grant"),
        // Nor is anybody who can't be looked up.
        (String::new(), "cl\0erk", PASSWORD, "invalid_grant"),
        (String::new(), "cl\u{e4}rk", PASSWORD, "invalid_grant"),
        (String::new(), &*"clerk".repeat(200), PASSWORD, "invalid_grant"),
        // Servers and clients are no users.
        (String::new(), &*client.id, &*client.secret, "invalid_grant"),
        (basic(client), "clerk", PASSWORD, "unauthorized_client"),
        (basic(&through.with_secret("wrong")), "clerk", PASSWORD, "invalid_client"),
        (basic(&foreign), "clerk", PASSWORD, "invalid_grant"),
        (String::new(), &*elsewhere.id, PASSWORD, "unauthorized_client"),
        (String::new(), "clerk", "", "invalid_request"),
    ] {
        let answer = ask(&lines, name, password);
        assert_eq!(error(&answer), refused(wanted), "{name} {lines}: {answer:?}");
        assert_eq!((answer.get("cache-control"), answer.get("pragma")), (Some("no-store"), Some("no-cache")));
    }
    let name = [&form(&user.id, PASSWORD)[..], &[("client_id", &through.id)]].concat();
    assert_eq!(
        error(&office.post("/oauth/token", "", &name)),
        refused("invalid_client"),
        "a name proves nothing"
    );
    // Blocked, with the right password: the same words.
    gateway.command(&["credential", "block", "clerk"]).ok();
    gateway.obeys_all();
    let blocked = ask("", "clerk", PASSWORD);
    assert_eq!((error(&blocked), blocked.code()), (refused("invalid_grant"), "credential_blocked"));
    assert_eq!(blocked.text(), ask("", "nobody-else", PASSWORD).text());
    assert!(!office.is_active(client, &token));
    let lines = gateway.event_lines().join("\n") + &gateway.log();
    assert!(!lines.contains(PASSWORD) && !lines.contains("not the password"), "a password is told");
}

/// S800-63B: after some wrong passwords each further try waits, for names that nobody has as well; the right one from
/// another network is never kept out, and a start forgets nothing.
#[test]
fn guessing_is_slow() {
    let mut office = Office::open();
    let user = office.user("live", "clerk", &[]);
    let from = |office: &Office, source: &str, name: &str, password: &str| {
        let mut connection = Conn::from_address(source, office.gateway.address("plain"));
        connection.send(post("/oauth/token", "", &form(name, password))).answer()
    };
    let latest = std::cell::Cell::new(Instant::now());
    let guesses = |office: &Office, name: &str| -> Vec<(bool, String)> {
        let ask = || {
            latest.set(Instant::now());
            from(office, "127.0.0.1", name, "a wrong password")
        };
        let all = (0..6).map(|_| ask()).map(|answer| {
            assert_eq!(error(&answer), refused("invalid_grant"));
            (answer.get("retry-after").is_some(), answer.text())
        });
        all.collect()
    };
    let unknown = guesses(&office, "nobody");
    let known = guesses(&office, &user.id);
    assert_eq!(known, unknown, "it shows who is there");
    let waits: Vec<bool> = known.iter().map(|(waits, _)| *waits).collect();
    assert_eq!(waits, [false, false, false, false, false, true]);
    // Now the right one waits as well, unread, with the same answer; from elsewhere it is taken.
    let delayed = from(&office, "127.0.0.1", &user.id, PASSWORD);
    if latest.get().elapsed() < Duration::from_secs(1) {
        assert_eq!(error(&delayed), refused("invalid_grant"), "{delayed:?}");
        assert_eq!(delayed.get("retry-after"), Some("1"));
        assert_eq!(office.gateway.event(delayed.id())["detail"], "too-many-wrong-passwords");
    }
    assert_eq!(from(&office, "127.0.0.2", &user.id, PASSWORD).status, 200);
    // The count outlives a start.
    let again = crate::support::wait_for("the wait to be over", || {
        let answer = from(&office, "127.0.0.1", &user.id, "a wrong password");
        (office.gateway.event(answer.id())["detail"] == "wrong-password").then_some(answer)
    });
    assert_eq!(again.get("retry-after"), Some("2"));
    office.gateway.restart();
    let later = from(&office, "127.0.0.1", &user.id, "a wrong password");
    assert!(later.get("retry-after").is_some(), "{later:?}");
    crate::support::wait_for("the right one to be taken", || {
        (from(&office, "127.0.0.1", &user.id, PASSWORD).status == 200).then_some(())
    });
    let forgiven = from(&office, "127.0.0.1", &user.id, "a wrong password");
    assert_eq!((error(&forgiven), forgiven.get("retry-after")), (refused("invalid_grant"), None));
}

/// Tries that come at once are counted one by one: none of them slips through.
#[test]
fn tries_at_once_are_counted() {
    let office = Office::open();
    let user = office.user("live", "clerk", &[]);
    let ask = |actor: &Actor| office.post("/oauth/token", "", &form(&actor.id, "a wrong password"));
    let details: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..16).map(|_| scope.spawn(|| ask(&user))).collect();
        let answers = all.into_iter().map(|one| one.join().expect("a thread"));
        answers.map(|answer| office.gateway.event(answer.id())["detail"].to_string()).collect()
    });
    let hashed = details.iter().filter(|detail| detail.contains("\"wrong-password\"")).count();
    let waited = details.iter().filter(|detail| detail.contains("too-many-wrong-passwords")).count();
    // One more each second, should they take that long.
    assert!((6..=8).contains(&hashed) && hashed + waited == 16, "{details:?}");
}
