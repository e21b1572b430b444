//! What a killed process has accepted stays accepted; what is not known any more is not taken (R7, fence).
use crate::faults::metric;
use crate::feed::figures;
use crate::support::{
    Dice, FakeClock, Gateway, Signed, SigningWorld, eventually, now_s, number_of_trials, tag,
};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// After a loss, dates up to then and so much later are refused, in seconds.
const SKEW_S: i64 = 300;

/// Where a gateway's journal is.
fn journal(gateway: &Gateway) -> PathBuf {
    let beside = ["doorward.db.ledger", "ledger"].map(|name| gateway.folder.path().join(name));
    beside.into_iter().find(|folder| folder.is_dir()).expect("a journal")
}

/// The parts of a journal, the oldest first.
fn segments(gateway: &Gateway) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(journal(gateway)).expect("a folder");
    let mut parts: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    parts.retain(|path| path.extension().is_some_and(|e| e == "journal"));
    parts.sort();
    assert!(!parts.is_empty());
    parts
}

/// R7: killed between the original and its replay, or while the original is under way.
#[test]
fn r7_what_was_accepted_before_a_kill_is_not_accepted_after_it() {
    let mut world = SigningWorld::new();
    let (trials, mut dice) = (number_of_trials(20), Dice(5));
    let (mut answered, mut arrived, mut longest) = (0_u64, 0_u64, Duration::ZERO);
    let mut early: Vec<Signed> = Vec::new();
    for trial in 0..trials {
        let tag = format!("kill{trial:06}z");
        let request = world.signer.signed("POST", &format!("/signed/{tag}")).body(&tag);
        let mut connection = world.gateway.connect();
        connection.send(request.bytes());
        match trial % 3 {
            0 => {
                connection.answer().expect_ok();
                answered += 1;
            }
            // At once after it arrived; and whenever.
            1 => {
                eventually("it arrives", || !world.production.seen_lately(&tag).is_empty());
            }
            _ => std::thread::sleep(Duration::from_micros(dice.roll(3_000))),
        }
        world.gateway.kill();
        let before = world.production.seen_lately(&tag).len();
        world.gateway.start();
        longest = longest.max(world.gateway.started_in);
        for _ in 0..2 {
            let answer = world.ask(request.bytes());
            let outcome = (answer.status, answer.code());
            assert!(matches!(outcome, (200, "") | (401, "signature_replayed")), "trial {trial}: {answer:?}");
            assert!(before == 0 || answer.status == 401, "trial {trial}: accepted again");
        }
        let there = world.production.seen_lately(&tag).len();
        assert!(there <= 1 && there >= before, "trial {trial}: {there} arrived");
        arrived += there as u64;
        // What was accepted many kills ago is still known.
        if early.len() < 50 && there == 1 {
            early.push(request);
        }
        early.retain(|request| request.at_s > now_s() - SKEW_S + 30);
        if !early.is_empty() {
            let old = &early[dice.roll(early.len() as u64) as usize];
            world.ask(old.bytes()).expect(401, "signature_replayed");
        }
    }
    assert!(world.production.tally().values().all(|n| *n == 1), "{:?}", world.production.tally());
    figures(format_args!(
        "{trials} kills between a request and its replay ({answered} after the answer, {arrived} arrived): 0 extra, \
         the longest start {longest:.1?}"
    ));
}

/// Ended in good order and started again, it remembers as well.
#[test]
fn a_restart_remembers() {
    let mut world = SigningWorld::new();
    let requests: Vec<Signed> = (0..50)
        .map(|n| world.signer.signed("POST", &format!("/signed/{}", tag())).body(n.to_string()))
        .collect();
    for request in &requests {
        world.ask(request.bytes()).expect_ok();
    }
    for _ in 0..2 {
        world.gateway.restart();
        for request in &requests {
            world.ask(request.bytes()).expect(401, "signature_replayed");
        }
        assert_eq!(metric(&world.gateway, "doorward_ledger_entries") as u64, 50);
    }
    world.ask(world.signer.signed("GET", "/signed/new").bytes()).expect_ok();
    assert_eq!(world.production.count(), 51);
    assert!(!world.gateway.log().contains("not known which requests"), "{}", world.gateway.log());
}

/// Loses the journal in a way, and asserts that nothing that may have been accepted is taken until its time is over.
fn loses(test: &str, lose: &dyn Fn(&Gateway)) {
    let clock = FakeClock::showing(test, "+0");
    let mut world = SigningWorld::with(|setup| match &clock {
        Some(clock) => clock.given_to(setup),
        None => setup,
    });
    let post = |world: &SigningWorld, at| {
        world.signer.signed("POST", &format!("/signed/{}", tag())).body("{}").at(at)
    };
    let (early, late) = (post(&world, now_s()), post(&world, now_s() + SKEW_S - 20));
    world.ask(early.bytes()).expect_ok();
    world.ask(late.bytes()).expect_ok();
    world.gateway.signal("TERM");
    world.gateway.ended();
    lose(&world.gateway);
    world.gateway.start();
    let lost = now_s();
    assert!(world.gateway.log().contains("it is not known which requests were accepted"), "{test}");
    let fenced = |request: &Signed| {
        let answer = world.ask(request.bytes());
        answer.expect(503, "unavailable");
        let wait: i64 = answer.get("retry-after").and_then(|s| s.parse().ok()).expect("seconds");
        assert!((SKEW_S - 60..=SKEW_S + 1).contains(&wait), "{wait}");
    };
    for request in [&early, &late, &post(&world, now_s()), &post(&world, now_s() + SKEW_S - 20)] {
        fenced(request);
    }
    let until = metric(&world.gateway, "doorward_ledger_fence_until_seconds");
    assert!((until - (lost + SKEW_S) as f64).abs() < 5.0, "{until} is not {lost} and {SKEW_S}");
    // Everything else goes on.
    world.ask(world.server.get("/plain/x")).expect_ok();
    assert_eq!(world.production.seen("/signed/").len(), 2);
    let Some(clock) = clock else { return };
    // Once its time is over, what is signed then is taken, once; what was signed before is not.
    let ahead = SKEW_S + 3;
    clock.set(&format!("+{ahead}"));
    eventually("the lease is renewed under the new time", || {
        world.ask(post(&world, now_s() + ahead).bytes()).status == 200
    });
    let new = post(&world, now_s() + ahead);
    world.ask(new.bytes()).expect_ok();
    world.ask(new.bytes()).expect(401, "signature_replayed");
    let again = world.ask(late.bytes());
    assert!(matches!(again.code(), "unavailable" | "signature_replayed"), "{again:?}");
    assert_eq!(world.production.seen(&late.target).len(), 1);
    // And it stays so over a restart.
    world.gateway.restart();
    world.ask(new.bytes()).expect(401, "signature_replayed");
    assert_eq!(world.ask(late.bytes()).code(), "unavailable");
}

#[test]
fn a_journal_that_is_gone_raises_the_fence() {
    let test = "a_journal_that_is_gone_raises_the_fence";
    loses(test, &|gateway| std::fs::remove_dir_all(journal(gateway)).expect("a folder"));
}

#[test]
fn a_journal_that_is_damaged_raises_the_fence() {
    let test = "a_journal_that_is_damaged_raises_the_fence";
    loses(test, &|gateway| {
        let part = segments(gateway).pop().expect("a part");
        let mut bytes = std::fs::read(&part).expect("a file");
        let at = bytes.len() - 3;
        bytes[at] ^= 1;
        std::fs::write(&part, bytes).expect("a file");
    });
}

/// Kills that follow each other closely: whatever was answered stays known, for as long as it takes.
#[test]
fn a_start_that_is_killed_forgets_nothing() {
    let mut world = SigningWorld::new();
    let request = world.signer.signed("POST", &format!("/signed/{}", tag())).body("{}");
    world.ask(request.bytes()).expect_ok();
    let (mut dice, started) = (Dice(3), Instant::now());
    for _ in 0..number_of_trials(10) {
        world.gateway.kill();
        world.gateway.start_and_kill_within(Duration::from_micros(dice.roll(40_000)));
        world.gateway.start();
        world.ask(request.bytes()).expect(401, "signature_replayed");
        // Nobody waits longer than the request could be accepted.
        if started.elapsed() > Duration::from_secs(200) {
            break;
        }
    }
    assert_eq!(world.production.count(), 1);
}
