//! A ledger that is full refuses, and forgets nothing that could still come again (R5).
use crate::faults::metric;
use crate::feed::figures;
use crate::support::{Actor, Signed, SigningWorld, number_of_trials, tag};

fn request(who: &Actor) -> Signed {
    who.signed("POST", &format!("/signed/{}", tag())).body("{}")
}

/// Sends new requests until one is refused as one too many; those that were accepted.
fn fill(world: &SigningWorld, who: &Actor, most: usize) -> Vec<Signed> {
    let (mut taken, mut connection) = (Vec::new(), world.gateway.connect());
    loop {
        let request = request(who);
        let answer = connection.send(request.bytes()).answer();
        if answer.status == 200 {
            assert!(taken.len() < most, "more than {most} were accepted");
            taken.push(request);
            continue;
        }
        answer.expect(503, "overloaded");
        let wait: u64 = answer.get("retry-after").and_then(|s| s.parse().ok()).expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        return taken;
    }
}

#[test]
fn r5_a_full_ledger_refuses_and_evicts_nothing() {
    let entries = number_of_trials(200).min(200_000) as usize;
    let share = |part: usize| (entries * part / 100).max(1);
    let world = SigningWorld::with(|s| {
        let s = s.set("ledger", "entries", entries).set("ledger", "entries_per_workspace", entries);
        s.set("ledger", "entries_per_credential", share(60))
    });
    // One credential's share, and then what is left for others.
    let mut all = fill(&world, &world.signer, share(60));
    assert_eq!(all.len(), share(60));
    all.extend(fill(&world, &world.second, entries - share(60)));
    assert_eq!(all.len(), entries);
    assert_eq!(metric(&world.gateway, "doorward_ledger_entries") as usize, entries);
    for who in [&world.signer, &world.second, &world.aws] {
        for _ in 0..20 {
            world.ask(request(who).bytes()).expect(503, "overloaded");
        }
    }
    // Early or late, each is still known; and a full ledger says what it knows.
    let mut connection = world.gateway.connect();
    for request in &all {
        connection.send(request.bytes()).answer().expect(401, "signature_replayed");
    }
    world.ask(world.server.get("/plain/x")).expect_ok();
    assert_eq!(world.production.seen("/signed/").len(), entries);
    figures(format_args!("a ledger of {entries}: full, refused 60 more, all {entries} still known, 0 extra"));
}

/// Who has used up its share takes nothing from others: another credential, another workspace.
#[test]
fn r5_a_full_share_refuses_only_its_owner() {
    let world = SigningWorld::with(|s| {
        let s = s.set("ledger", "entries", 100).set("ledger", "entries_per_workspace", 20);
        s.set("ledger", "entries_per_credential", 10)
    });
    assert_eq!(fill(&world, &world.signer, 10).len(), 10);
    assert_eq!(fill(&world, &world.second, 10).len(), 10);
    // The workspace's share is used up by the two; the sandbox has its own.
    world.ask(request(&world.aws).bytes()).expect(503, "overloaded");
    for _ in 0..10 {
        let request = world.tester.signed("POST", &format!("/explained/{}", tag())).body("{}");
        world.ask(request.bytes()).expect_ok();
        world.ask(request.bytes()).expect(401, "signature_replayed");
    }
    assert_eq!((world.production.count(), world.sandbox.count()), (20, 10));
}
