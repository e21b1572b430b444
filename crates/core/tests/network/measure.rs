//! What looking an address up takes. `DOORWARD_N` tells how many ranges the list has, and asks for the bound; a few every
//! day, when other tests run beside it and nothing is optimised.
use crate::support::Dice;
use doorward_core::network::{Network, Networks};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

const EVERY_DAY: usize = 1_000;
/// Nanoseconds that one look-up may take in a list of 100,000 ranges.
const BOUND_NS: f64 = 300.0;
const LOOK_UPS: usize = 200_000;
const ROUNDS: usize = 5;

/// Every second address is on the list, in no order.
fn asked(dice: &mut Dice, networks: &[Network], six: bool) -> Vec<IpAddr> {
    let mut one = |n: usize| match (n % 2, six) {
        (0, _) => networks[dice.roll(networks.len() as u64) as usize].last(),
        (_, true) => IpAddr::V6(Ipv6Addr::from_bits(dice.wide())),
        (_, false) => IpAddr::V4(Ipv4Addr::from_bits(dice.next() as u32)),
    };
    (0..LOOK_UPS).map(&mut one).collect()
}

/// Ranges that don't touch each other, by lot.
fn spread(dice: &mut Dice, many: usize, six: bool) -> Vec<Network> {
    let one = |n: usize| match six {
        true => {
            let step = u128::MAX / many as u128;
            let at = Ipv6Addr::from_bits(n as u128 * step + dice.wide() % (step / 2));
            Network::new(at.into(), 64 + dice.roll(65) as u8)
        }
        false => {
            let step = u32::MAX / many as u32;
            let at = Ipv4Addr::from_bits(n as u32 * step + dice.next() as u32 % (step / 2));
            Network::new(at.into(), 26 + dice.roll(7) as u8)
        }
    };
    (0..many).filter_map(one).collect()
}

#[test]
fn looking_up_among_many_ranges() {
    let told: Option<usize> =
        std::env::var("DOORWARD_N").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let many = told.unwrap_or(EVERY_DAY);
    let mut dice = Dice(3);
    for six in [false, true] {
        let family = if six { "IPv6" } else { "IPv4" };
        let networks = spread(&mut dice, many, six);
        let started = Instant::now();
        let list = Networks::new(networks.iter().copied());
        let built_ms = started.elapsed().as_secs_f64() * 1e3;
        assert_eq!(list.ranges(), many, "none of them touch");
        let addresses = asked(&mut dice, &networks, six);
        let mut best = f64::MAX;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let found = addresses.iter().filter(|at| list.contains(black_box(**at))).count();
            best = best.min(started.elapsed().as_nanos() as f64 / LOOK_UPS as f64);
            assert!((LOOK_UPS / 2..LOOK_UPS * 3 / 4).contains(&found), "{found} of {LOOK_UPS}");
        }
        println!("figures: {many} ranges of {family}: {best:.0} ns a look-up, made in {built_ms:.1} ms");
        assert!(told.is_none() || best < BOUND_NS, "{best} ns");
    }
}
