//! The wall clock is set while requests are accepted once (R10). Whatever it shows, none is accepted twice.
use crate::feed::figures;
use crate::support::{FakeClock, Signed, SigningWorld, eventually, now_s, number_of_trials, tag};

/// By how many seconds the clock is set.
const JUMPS: [i64; 7] = [60, -1, 600, -600, 0, 3_600, -3_600];

/// A request that is signed at the time that the node's clock shows, so many seconds ahead of the true one.
fn request(world: &SigningWorld, ahead: i64) -> Signed {
    world.signer.signed("POST", &format!("/signed/{}", tag())).body("{}").at(now_s() + ahead)
}

#[test]
fn r10_clocks_that_are_set_make_nothing_new() {
    let Some(clock) = FakeClock::showing("r10_clocks_that_are_set_make_nothing_new", "+0") else { return };
    let mut world = SigningWorld::with(|setup| clock.given_to(setup));
    // Dates from one end of what is accepted to the other.
    let around = |world: &SigningWorld, ahead: i64| {
        [-280, -60, 0, 60, 280].map(|away| {
            let request = request(world, ahead + away);
            world.ask(request.bytes()).expect_ok();
            request
        })
    };
    let mut all: Vec<Signed> = around(&world, 0).to_vec();
    let (mut tries, mut highest) = (0, 0);
    let trials = number_of_trials(1).min(20) as usize * JUMPS.len();
    for ahead in JUMPS.into_iter().cycle().take(trials) {
        clock.set(&format!("{ahead:+}"));
        highest = highest.max(ahead);
        for _ in 0..3 {
            for request in &all {
                let answer = world.ask(request.bytes());
                tries += 1;
                let refused = matches!(
                    (answer.status, answer.code()),
                    (401, "signature_replayed" | "signature_expired") | (503, "unavailable")
                );
                assert!(refused, "{ahead:+} s: {answer:?}");
            }
        }
        // The lease goes by the new time after a while, and what is signed then is accepted. Set back, a node goes on from
        // the latest time that it saw, and takes nothing until the clock has caught up.
        if ahead < highest {
            continue;
        }
        eventually("new requests are accepted", || {
            let request = request(&world, ahead);
            let new = world.ask(request.bytes()).status == 200;
            all.extend(new.then_some(request));
            new
        });
    }
    // A program that is started again knows the clock alone. It was set forward, so that what was remembered is over; then
    // back, so that all of it would be good again.
    clock.set("+0");
    world.gateway.restart();
    for request in &all {
        let answer = world.ask(request.bytes());
        assert_ne!(answer.status, 200, "accepted after the restart: {answer:?}");
        tries += 1;
    }
    let tally = world.production.tally();
    assert!(tally.values().all(|n| *n == 1), "{tally:?}");
    figures(format_args!("the clock set {trials} times: {tries} replays of {} requests, 0 extra", all.len()));
}
