use super::*;
use std::task::{Context, Waker};

const LIMIT_MS: u64 = 5;

fn address(n: u8) -> IpAddr {
    [10, 0, n, 1].into()
}

/// One tick: so many requests of each caller, and how long the queue was; how many were let in.
fn tick<const N: usize>(load: &Load, asked: [u32; N], wait_ms: u64) -> [u32; N] {
    load.waited(Duration::from_millis(wait_ms));
    let let_in = std::array::from_fn(|n| {
        (0..asked[n]).map(|_| u32::from(load.admit(address(n as u8), false).is_ok())).sum()
    });
    load.next_tick();
    let_in
}

#[test]
fn a_long_queue_costs_those_who_made_it_long() {
    let load = Load::new(LIMIT_MS, 100, 100);
    let asked = [1_000, 10, 10];
    assert_eq!(tick(&load, asked, 20), asked, "one tick is no proof");
    assert_eq!(tick(&load, asked, 20), asked);
    let mut last = 1_000;
    for _ in 0..5 {
        let [flood, a, b] = tick(&load, asked, 20);
        assert!(flood <= last * 7 / 8 && flood > 10 && (a, b) == (10, 10), "{flood}, {a}, {b}");
        last = flood;
    }
    // It grows again once there is time, and ends with the flood.
    let [flood, ..] = tick(&load, asked, 1);
    let [more, ..] = tick(&load, asked, 1);
    assert!(more > flood && more < 1_000, "{more} after {flood}");
    for _ in 0..30 {
        tick(&load, [10, 10, 10], 1);
    }
    assert!(!load.sheds());
    assert_eq!(tick(&load, asked, 1), asked);
}

/// Where everybody asks for little and all of it is too much, everybody is let in now and then.
#[test]
fn many_who_ask_for_little_take_turns() {
    let load = Load::new(LIMIT_MS, 100, 100);
    let asked = [1; 200];
    for _ in 0..12 {
        tick(&load, asked, 40);
    }
    let mut let_in = [0; 200];
    for _ in 0..PARTS {
        let now = tick(&load, asked, 4);
        now.iter().zip(&mut let_in).for_each(|(now, all)| *all += now);
    }
    // A few share a place with another, who comes first.
    let with_a_turn = let_in.iter().filter(|n| **n > 0).count();
    let all: u32 = let_in.iter().sum();
    assert!(with_a_turn > 150 && all < 200 * PARTS, "{with_a_turn}, {all}");
}

#[test]
fn a_queue_that_few_requests_make_long_is_no_reason() {
    let load = Load::new(LIMIT_MS, 100, 100);
    (0..10).for_each(|_| assert_eq!(tick(&load, [FEW - 1], 400), [FEW - 1]));
    let never = Load::new(0, 100, 100);
    (0..10).for_each(|_| assert_eq!(tick(&never, [1_000], 400), [1_000]));
}

#[test]
fn after_a_long_moment_those_who_ask_for_much_wait_for_their_turn() {
    let load = Load::new(LIMIT_MS, 10_000, 10_000);
    let goes_on = |n| {
        let mut turn = std::pin::pin!(load.turn(address(n)));
        turn.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    };
    let ask = || {
        (0..1_000).for_each(|_| drop(load.admit(address(0), false)));
        (0..20).for_each(|_| drop(load.admit(address(1), false)));
    };
    tick(&load, [1_000, 20], 1);
    ask();
    assert!(goes_on(0) && goes_on(1), "the queue is short");
    tick(&load, [1_000, 20], 3);
    ask();
    assert!(!goes_on(0) && goes_on(1));
    (0..TURNS_TICKS).for_each(|_| assert_eq!(tick(&load, [1_000, 20], 1), [1_000, 20]));
    ask();
    assert!(goes_on(0) && goes_on(1), "it is short again");
}

#[test]
fn requests_at_a_time_are_bounded() {
    let load = Load::new(LIMIT_MS, 2, 2);
    let (first, second) = (load.serve(), load.serve());
    assert!(load.admit(address(1), false).is_ok());
    let third = load.serve();
    assert_eq!(load.admit(address(1), false).unwrap_err(), Busy::Requests);
    drop((first, third));
    assert!(load.admit(address(1), false).is_ok());
    drop(second);
}

/// Any number of requests come over one connection of HTTP/2: those of one address leave room for others.
#[test]
fn no_address_has_all_requests_at_a_time() {
    let load = Load::new(LIMIT_MS, 100, 20);
    let mut held: Vec<_> = (0..20).map(|_| load.admit(address(1), false).unwrap()).collect();
    assert_eq!(load.admit(address(1), false).unwrap_err(), Busy::Requests);
    held.push(load.admit(address(2), false).unwrap());
    held.push(load.admit(address(1), true).unwrap());
    held.clear();
    assert!(load.admit(address(1), false).is_ok());
    assert!(load.of_each.iter().all(|own| own.get() == 0));
}

/// Addresses that one network gives itself are one caller.
#[test]
fn a_network_of_ipv6_is_one_caller() {
    let load = Load::new(LIMIT_MS, 100, 100);
    let own = |n: u16| IpAddr::from([0x2001, 0xdb8, 1, 1, 0, 0, 0, n]);
    for _ in 0..6 {
        load.waited(Duration::from_millis(20));
        assert!((0..400).filter(|n| load.admit(own(*n), false).is_ok()).count() <= 400);
        load.next_tick();
    }
    let let_in = (0..400).filter(|n| load.admit(own(*n), false).is_ok()).count();
    assert!(let_in < 200, "{let_in}");
}

#[test]
fn connections_come_back_one_after_the_other() {
    let load = Load::new(LIMIT_MS, 100, 100);
    let mut seen = std::collections::HashSet::new();
    for connection in 0..1_000 {
        let ticks = load.pause_ticks(connection);
        assert!(PAUSE_TICKS.contains(&ticks));
        seen.insert(ticks);
    }
    assert_eq!(seen.len(), PAUSE_TICKS.count());
}
