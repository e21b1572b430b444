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
            (0..3).map(|_| ask("127.0.0.2", &user.id, PASSWORD).status).collect::<Vec<_>>()
        }));
        // Whatever came of it, the others have to be told to stop.
        done.store(true, Ordering::Relaxed);
        assert_eq!(waited.ok(), Some(vec![200; 3]), "kept out by others");
    });
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
