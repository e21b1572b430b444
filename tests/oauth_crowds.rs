//! Those who try passwords in crowds, and clocks that are wrong for a while.
use crate::support::{Conn, FakeClock, Office, PASSWORD, basic, eventually, post};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whoever tries from one network, with however many names, keeps nobody out who has the right password and comes from
/// another one.
#[test]
fn one_network_does_not_take_all_the_room() {
    const CROWD: usize = 80;
    let office = Office::open();
    let user = office.user("live", "clerk", &[]);
    let address = office.gateway.address("plain");
    let ask = |source: &str, name: &str, password: &str| {
        let form = [("grant_type", "password"), ("username", name), ("password", password)];
        Conn::from_address(source, address).send(post("/oauth/token", "", &form)).answer()
    };
    let (done, turned_away) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for one in 0..CROWD {
            let (ask, done, turned_away) = (&ask, &done, &turned_away);
            scope.spawn(move || {
                for n in 0.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    let answer = ask("127.0.0.1", &format!("nobody-{one}-{n}"), "a wrong password");
                    turned_away.fetch_add(usize::from(answer.status == 503), Ordering::Relaxed);
                }
            });
        }
        let crowded = || turned_away.load(Ordering::Relaxed) > 0;
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("the room to be taken", crowded);
            let own = (0..3).map(|_| ask("127.0.0.2", &user.id, PASSWORD));
            own.map(|answer| (answer.status, answer.code().to_owned())).collect::<Vec<_>>()
        }));
        // Whatever came of it, the others have to be told to stop.
        done.store(true, Ordering::Relaxed);
        let own = waited.expect("the room was taken");
        println!("beside {CROWD} who try from one network: {own:?}");
        assert!(own.iter().any(|(status, _)| *status == 200), "kept out by others: {own:?}");
        // A store that a busy machine keeps waiting is no room that others have taken.
        assert!(own.iter().all(|(_, code)| code != "overloaded"), "kept out by others: {own:?}");
    });
}

/// SXFF-1: whoever says to come from elsewhere, in whatever field, is still who it is: guessing stays slow.
#[test]
fn guesses_count_whatever_a_caller_says_of_itself() {
    let office = Office::open();
    let user = office.user("live", "clerk", &[]);
    let form = [("grant_type", "password"), ("username", &*user.id), ("password", "a wrong password")];
    let waits: Vec<bool> = (0..6)
        .map(|n| {
            let elsewhere = format!("198.51.100.{n}");
            let lines = format!(
                "X-Forwarded-For: {elsewhere}\r\nX-Real-IP: {elsewhere}\r\nForwarded: for={elsewhere}\r\n\
                 True-Client-IP: {elsewhere}\r\nCF-Connecting-IP: {elsewhere}\r\nX-Client-IP: {elsewhere}\r\n"
            );
            office.post("/oauth/token", &lines, &form).get("retry-after").is_some()
        })
        .collect();
    assert_eq!(waits, [false, false, false, false, false, true]);
}

/// Case 35: at the token endpoints nothing secret is logged, at any level, wherever it was sent.
#[test]
fn nothing_secret_is_logged() {
    let office = Office::with(|setup| setup.env("DOORWARD_LOG", "trace"));
    let Office { gateway, client } = &office;
    let user = office.user("live", "clerk", &[]);
    let through = office.hire("live", "oauth_client", &["--password-grant"]);
    let canary = "canary-of-the-mine-0123456789";
    let token = office.given(client, &[]);
    let wrong = basic(&client.with_secret(canary));
    for (lines, form) in [
        (
            String::new(),
            vec![
                ("grant_type", "password"),
                ("username", &*user.id),
                ("password", canary),
                ("client_assertion", canary),
            ],
        ),
        (String::new(), vec![("grant_type", "password"), ("username", &*user.id), ("password", canary)]),
        (basic(&through), vec![("grant_type", "password"), ("username", &*user.id), ("password", PASSWORD)]),
        (basic(&through), vec![("grant_type", "password"), ("username", canary), ("password", PASSWORD)]),
        (wrong.clone(), vec![("grant_type", "client_credentials")]),
        (
            String::new(),
            vec![("grant_type", "client_credentials"), ("client_id", &client.id), ("client_secret", canary)],
        ),
        (format!("Authorization: Bearer {canary}\r\n"), vec![("grant_type", canary), ("scope", canary)]),
        (basic(client), vec![("token", &*token), ("token_type_hint", canary)]),
        (basic(client), vec![("token", canary)]),
        (basic(client), vec![("access_token", canary)]),
    ] {
        for path in [
            "/oauth/token",
            "/oauth/introspect",
            "/oauth/revoke",
            "/connect/token",
            "/v1/auth/token",
            "/v1/oauth/token",
        ] {
            office.post(path, &lines, &form);
            office.post(&format!("{path}?client_secret={canary}&access_token={canary}"), &lines, &form);
        }
    }
    let last = office.given(client, &[]);
    let all = gateway.event_lines().join("\n") + &gateway.log();
    assert!(all.contains(" DEBUG "), "nothing was told at that level");
    let hex: String = canary.bytes().map(|b| format!("{b:02x}")).collect();
    let coded = |lines: &str| lines.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    for secret in [
        canary,
        &hex,
        PASSWORD,
        &token,
        &last,
        &client.secret,
        &through.secret,
        &coded(&wrong),
        &coded(&basic(client)),
        &coded(&basic(&through)),
    ] {
        assert!(!all.contains(secret), "{secret} is told");
    }
}

/// Case 27: a clock that is ahead for a while, and set right again, brings no revoked token back.
#[test]
fn a_clock_that_was_ahead_brings_no_token_back() {
    let test = "a_clock_that_was_ahead_brings_no_token_back";
    let Some(clock) = FakeClock::showing(test, "+0") else { return };
    let mut office = Office::with(|setup| clock.given_to(setup));
    let client = office.client.clone();
    let (dead, alive) = (office.given(&client, &[]), office.given(&client, &[]));
    let revoke =
        |office: &Office, token: &str| office.post("/oauth/revoke", &basic(&client), &[("token", token)]);
    assert_eq!(revoke(&office, &dead).status, 200);
    clock.set("+7200");
    office.gateway.restart();
    let listed = |office: &Office| office.gateway.command(&["token", "list", "--json"]).ok().stdout;
    eventually("what is over by that clock to be removed", || listed(&office).is_empty());
    clock.set("+0");
    office.gateway.restart();
    assert!(!office.is_active(&client, &dead), "risen from the dead");
    // S7009-3: one whose row is gone can't be remembered as revoked, so nobody is told that it is.
    assert!(office.is_active(&client, &alive));
    revoke(&office, &alive).expect(503, "unavailable");
    office.gateway.command(&["token", "revoke", "--credential", &client.id]).ok();
    office.gateway.obeys_all();
    assert!(!office.is_active(&client, &alive));
}
