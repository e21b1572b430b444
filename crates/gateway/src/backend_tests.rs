use super::*;
use crate::condition::Conditions;
use crate::io::Stream;
use doorward_core::policy::Upstream;
use std::cell::Cell;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1) };
}

fn now() -> u64 {
    NOW.get()
}

fn group(conditions: &Conditions, hosts: &[&str], connections: Option<u32>) -> Rc<Group<Stream>> {
    let addresses: Box<[_]> =
        hosts.iter().map(|h| Arc::new(Address::parse(&format!("http://{h}:1")).unwrap())).collect();
    let backends = addresses.iter().map(|a| Rc::new(Backend::new(Arc::clone(a), conditions.of(a)))).collect();
    let upstream = Upstream { addresses, http2: false, connections, probe: None };
    Rc::new(Group::new(Arc::new(upstream), backends))
}

fn seat(group: &Rc<Group<Stream>>, tried: u32) -> Seat<Stream> {
    match group.choose(tried, now) {
        Choice::This(seat) => seat,
        _ => panic!("there is an address"),
    }
}

#[test]
fn the_least_loaded_is_chosen_and_ties_take_turns() {
    let all = Conditions::default();
    let g = group(&all, &["a", "b", "c"], None);
    let held: Vec<usize> = (0..6).map(|_| seat(&g, 0).at).collect();
    assert_eq!(held, [0, 1, 2, 0, 1, 2]);
    let (x, y) = (seat(&g, 0), seat(&g, 0));
    let third = seat(&g, 0);
    assert_eq!(x.at + y.at + third.at, 3, "each has one now");
    let at = y.at;
    drop(y);
    let (again, next) = (seat(&g, 0), seat(&g, 0));
    assert_eq!(again.at, at, "the one that has less to do");
    assert_ne!((next.bit(), g.backends.len()), (0, 0));
    assert!(matches!(g.choose(0b111, now), Choice::Nothing));
}

#[test]
fn who_rests_is_left_out_until_one_request_tries_it() {
    NOW.set(1);
    let all = Conditions::default();
    let g = group(&all, &["a", "b"], None);
    (0..3).for_each(|_| g.backends[0].condition.failed("x", false, 1));
    assert!((0..5).all(|_| seat(&g, 0).at == 1));
    assert_eq!(seat(&g, 0b10).at, 0, "but it is better than nothing");
    NOW.set(1_001);
    let trial = seat(&g, 0);
    assert_eq!((trial.at, trial.trial), (0, true));
    assert!((0..5).all(|_| seat(&g, 0).at == 1), "nobody else tries it meanwhile");
    trial.fine();
    drop(trial);
    assert!((0..2).any(|_| seat(&g, 0).at == 0));
}

#[test]
fn where_all_rest_the_least_bad_is_tried() {
    NOW.set(1);
    let all = Conditions::default();
    let g = group(&all, &["a", "b"], None);
    (0..3).for_each(|_| g.backends[0].condition.failed("x", false, 500));
    (0..3).for_each(|_| g.backends[1].condition.failed("x", false, 1));
    assert!((0..4).all(|_| seat(&g, 0).at == 1), "the one that is well sooner");
    let lone = group(&all, &["a"], Some(9));
    assert_eq!(seat(&lone, 0).at, 0, "one alone is never left out");
    assert!(!seat(&lone, 0).trial);
}

#[test]
fn places_are_bounded_for_all_cores_together() {
    let all = Conditions::default();
    let (g, other_core) = (group(&all, &["a", "b"], Some(2)), group(&all, &["a", "b"], Some(2)));
    let mut held = vec![seat(&g, 0), seat(&g, 0), seat(&other_core, 0)];
    held.push(seat(&other_core, 0));
    assert!(matches!(g.choose(0, now), Choice::Full));
    assert!(matches!(other_core.choose(0b01, now), Choice::Full));
    held.remove(0);
    drop(seat(&other_core, 0));
    held.clear();
    assert!(matches!(g.choose(0b11, now), Choice::Nothing));
    assert_eq!(all.state(&g.upstream.addresses[0]).in_flight, 0);
}
