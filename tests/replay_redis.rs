//! Signed requests are accepted once by nodes that share a ledger on Redis (R1, R2, R8, R9).
use crate::faults::metric;
use crate::feed::figures;
use crate::replay::{flood, race};
use crate::support::{
    Conn, Dice, Gateway, Redis, Setup, Signed, SigningWorld, eventually, number_of_trials, tag,
};
use std::time::{Duration, Instant};

/// For how long the ledger is out of reach, at most.
const PARTITION: Duration = Duration::from_secs(3);

/// For how long it is tried again after a loss.
const AFTERWARDS: Duration = Duration::from_millis(700);

fn on(setup: Setup, redis: &Redis) -> Setup {
    setup.unset("ledger", "journal").set("ledger", "url", format!("{:?}", redis.url()))
}

/// Two nodes that share a ledger.
struct Pair {
    redis: Redis,
    world: SigningWorld,
    second: Gateway,
}

impl Pair {
    /// `None` without a Redis server, which is told.
    fn start(test: &str) -> Option<Pair> {
        let redis = Redis::start(test)?;
        let world = SigningWorld::with(|setup| on(setup, &redis));
        let mut second = on(Setup::beside(&world.gateway), &redis).prepare_unchecked();
        second.start();
        let pair = Pair { redis, world, second };
        for node in pair.nodes() {
            eventually("the ledger is there", || metric(node, "doorward_ledger_up") as u64 == 1);
        }
        Some(pair)
    }

    fn nodes(&self) -> [&Gateway; 2] {
        [&self.world.gateway, &self.second]
    }

    fn request(&self) -> Signed {
        self.world.signer.signed("POST", &format!("/signed/{}", tag())).body("{}")
    }
}

#[test]
fn r1_two_nodes_accept_each_request_once_between_them() {
    let Some(pair) = Pair::start("r1_two_nodes_accept_each_request_once_between_them") else { return };
    flood(&pair.nodes(), &pair.world.signer, &pair.world.production, number_of_trials(300));
}

#[test]
fn r2_of_a_hundred_copies_over_two_nodes_one_is_accepted() {
    let Some(pair) = Pair::start("r2_of_a_hundred_copies_over_two_nodes_one_is_accepted") else { return };
    let races = number_of_trials(1_000).div_ceil(100);
    race(&pair.nodes(), &pair.world.signer, &pair.world.production, races);
}

/// R8: the server loses everything, emptied or started again. What it had remembered is not accepted again, by no node.
#[test]
fn r8_a_ledger_that_lost_everything_lets_nothing_in_again() {
    let losses = number_of_trials(4).min(100);
    let mut tries = 0;
    for loss in 0..losses {
        // A loss raises the fence, so that there is nothing to lose for a while: each is another installation's.
        let test = "r8_a_ledger_that_lost_everything_lets_nothing_in_again";
        let Some(mut pair) = Pair::start(test) else { return };
        let accepted = |n: usize| {
            let request = pair.request();
            pair.nodes()[n % 2].ask(request.bytes()).expect_ok();
            request
        };
        let all: Vec<Signed> = (0..10).map(accepted).collect();
        let emptied = loss % 2 == 0;
        if emptied {
            pair.redis.ask(&["FLUSHALL"]);
        } else {
            pair.redis.start_again();
        }
        let lost = Instant::now();
        // From the first moment on, until an emptied one is in use again. One that was started again has to wait until the
        // lease of the one before is over.
        while lost.elapsed() < AFTERWARDS {
            for node in pair.nodes() {
                for request in all.iter().chain([&pair.request()]) {
                    let answer = node.ask(request.bytes());
                    answer.expect(503, "unavailable");
                    assert!(answer.get("retry-after").is_some(), "{answer:?}");
                    tries += 1;
                }
            }
        }
        if emptied {
            for node in pair.nodes() {
                eventually("it is in use again", || metric(node, "doorward_ledger_up") as u64 == 1);
                for request in &all {
                    node.ask(request.bytes()).expect(503, "unavailable");
                }
            }
        }
        assert_eq!(pair.world.production.count(), all.len(), "loss {loss}");
        pair.second.ask(pair.world.server.get("/plain/x")).expect_ok();
    }
    figures(format_args!("{losses} losses of the whole ledger under two nodes: {tries} replays, 0 extra"));
}

/// R9: the ledger is out of reach for a while. Nothing signed is accepted meanwhile, and nothing twice afterwards.
#[test]
fn r9_while_the_ledger_is_out_of_reach_nothing_is_accepted() {
    let Some(pair) = Pair::start("r9_while_the_ledger_is_out_of_reach_nothing_is_accepted") else { return };
    let first = pair.request();
    pair.world.ask(first.bytes()).expect_ok();
    let mut cut_off: Vec<Signed> = Vec::new();
    pair.redis.signal("STOP");
    let (stopped, mut dice) = (Instant::now(), Dice(4));
    while stopped.elapsed() < PARTITION {
        let node = pair.nodes()[dice.roll(2) as usize];
        let request = pair.request();
        node.ask(request.bytes()).expect(503, "unavailable");
        node.ask(first.bytes()).expect(503, "unavailable");
        node.ask(pair.world.server.get("/plain/x")).expect_ok();
        cut_off.push(request);
    }
    assert_eq!(pair.world.production.seen("/signed/").len(), 1);
    pair.redis.signal("CONT");
    for node in pair.nodes() {
        eventually("it is back", || metric(node, "doorward_ledger_up") as u64 == 1);
    }
    // Whether what was asked meanwhile was remembered or not: from now on each is accepted once at most.
    let mut connections: Vec<Conn> = pair.nodes().map(Gateway::connect).into();
    let mut let_in = 0;
    for request in &cut_off {
        for _ in 0..2 {
            let answers = connections.iter_mut().map(|c| c.send(request.bytes()).answer().status == 200);
            let_in += answers.filter(|yes| *yes).count();
        }
    }
    for connection in &mut connections {
        connection.send(first.bytes()).answer().expect(401, "signature_replayed");
        connection.send(pair.request().bytes()).answer().expect_ok();
    }
    let tally = pair.world.production.tally();
    assert!(
        tally.iter().filter(|(target, _)| target.contains("/signed/")).all(|(_, n)| *n == 1),
        "{tally:?}"
    );
    figures(format_args!(
        "out of reach for {PARTITION:?}: {} requests refused, {let_in} of them accepted once when sent again, 0 extra",
        cut_off.len()
    ));
}
