//! A list holds what its networks hold, and nobody else.
use crate::support::{Dice, at, holds, net};
use doorward_core::network::{Network, Networks};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn list(texts: &[&str]) -> Networks {
    Networks::new(texts.iter().map(|text| net(text)))
}

/// SXFF-4, the rule as Antavo states it: the first lets 192.168.0.0 to 192.168.0.255 in, the second only itself.
#[test]
fn the_two_address_example() {
    let list = list(&["192.168.0.3/24", "192.168.1.2"]);
    let in_it = |text: &str| list.contains(at(text));
    assert!(in_it("192.168.0.0") && in_it("192.168.0.3") && in_it("192.168.0.255") && in_it("192.168.1.2"));
    for out in ["192.168.1.0", "192.168.1.1", "192.168.1.3", "192.167.255.255", "10.0.0.1", "::1"] {
        assert!(!in_it(out), "{out}");
    }
}

/// SXFF-3: a mapped address is the IPv4 address; 6to4, NAT64, Teredo and the like are not what they carry.
#[test]
fn an_ipv4_address_inside_another_one_opens_nothing() {
    let four = list(&["192.0.2.0/24"]);
    assert!(
        four.contains(at("::ffff:192.0.2.7")) && list(&["::ffff:192.0.2.0/120"]).contains(at("192.0.2.7"))
    );
    for carries in [
        "2002:c000:207::",
        "2002:c000:207::1",
        "64:ff9b::192.0.2.7",
        "64:ff9b:1::192.0.2.7",
        "::192.0.2.7",
        "::ffff:0:192.0.2.7",
        "fe80::5efe:192.0.2.7",
        "2001:0:c000:207::",
        "c000:207::",
    ] {
        assert!(!four.contains(at(carries)), "{carries}");
    }
    // And the reverse: all of IPv6 is nobody of IPv4, all of IPv4 nobody of IPv6.
    let (all_six, all_four) = (list(&["::/0"]), list(&["0.0.0.0/0"]));
    for four in ["192.0.2.7", "::ffff:192.0.2.7"] {
        assert!(!all_six.contains(at(four)) && all_four.contains(at(four)), "{four}");
    }
    assert!(all_six.contains(at("2002:c000:207::")) && !all_four.contains(at("2002:c000:207::")));
    // A network of IPv6 around the mapped addresses does not open them either.
    assert!(
        !list(&["::fffe:0:0/95"]).contains(at("192.0.2.7")) && !list(&["::/64"]).contains(at("192.0.2.7"))
    );
}

#[test]
fn an_empty_list_holds_nobody() {
    let empty = Networks::default();
    assert!(empty.is_empty() && empty == list(&[]) && empty.ranges() == 0);
    assert!(!empty.contains(at("0.0.0.0")) && !empty.contains(at("::")) && !empty.holds_a_whole_family());
    assert!(empty.is_within(&list(&["::1"])) && !empty.overlaps(&list(&["0.0.0.0/0", "::/0"])));
}

#[test]
fn what_overlaps_or_touches_is_one() {
    for (texts, want) in [
        (&["10.0.0.0/9", "10.128.0.0/9"][..], &["10.0.0.0/8"][..]),
        (&["10.1.2.3", "10.0.0.0/8", "10.255.0.0/16"], &["10.0.0.0/8"]),
        (&["192.168.0.3/24", "192.168.0.7/24"], &["192.168.0.0/24"]),
        (&["10.0.0.1", "10.0.0.2"], &["10.0.0.1", "10.0.0.2"]),
        (&["10.0.0.2", "10.0.0.3", "10.0.0.4"], &["10.0.0.2/31", "10.0.0.4"]),
        (&["0.0.0.0/1", "128.0.0.0/1"], &["0.0.0.0/0"]),
        (&["::/1", "8000::/1"], &["::/0"]),
        (&["255.255.255.255", "::"], &["255.255.255.255", "::"]),
        (&["ffff::/16", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], &["ffff::/16"]),
        (&["::1", "127.0.0.1", "::1"], &["127.0.0.1", "::1"]),
    ] {
        let list = list(texts);
        assert_eq!(list.texts(), want, "{texts:?}");
        assert_eq!(Networks::new(list.iter()), list);
    }
    assert!(
        list(&["0.0.0.0/1", "128.0.0.0/1"]).holds_a_whole_family() && list(&["::/0"]).holds_a_whole_family()
    );
    assert!(!list(&["0.0.0.0/1", "::/1"]).holds_a_whole_family());
}

/// A network or an address near others, or of the ends, so that borders are met often.
fn near(dice: &mut Dice, six: bool) -> IpAddr {
    if six {
        let base = [0x2001_0db8u128 << 96, 0, u128::MAX, 0xffff_0000_0000, 0x2002_c000_0207u128 << 80];
        let picked = base[dice.roll(5) as usize] ^ (dice.wide() >> (64 + dice.roll(64)));
        IpAddr::V6(Ipv6Addr::from_bits(picked))
    } else {
        let base = [0x0a00_0000u32, 0, u32::MAX, 0xc000_0200];
        IpAddr::V4(Ipv4Addr::from_bits(
            base[dice.roll(4) as usize] ^ (dice.next() as u32 >> (8 + dice.roll(24))),
        ))
    }
}

/// Against the plainest model: one network after the other, compared bit by bit as text.
#[test]
fn a_list_holds_what_the_model_holds() {
    let mut dice = Dice(7);
    let (mut inside, mut outside) = (0, 0);
    for _ in 0..400 {
        let mut parts: Vec<(IpAddr, u8)> = Vec::new();
        for _ in 0..dice.roll(24) {
            let six = dice.roll(2) == 0;
            let address = near(&mut dice, six);
            let longest = if six { 128 } else { 32 };
            let shorter = [3, 12, longest + 1][dice.roll(3) as usize];
            let prefix = longest - dice.roll(shorter);
            if Network::new(address, prefix as u8).is_some() {
                parts.push((address, prefix as u8));
            }
        }
        let list = Networks::new(parts.iter().map(|(at, prefix)| Network::new(*at, *prefix).unwrap()));
        let again = Networks::new(list.iter());
        assert_eq!(again, list);
        assert!(list.ranges() <= parts.len() && list.iter().count() >= list.ranges());
        // Borders of every network, the addresses beside them, and others by lot.
        let mut asked: Vec<IpAddr> = (0..40).map(|n| near(&mut dice, n % 2 == 0)).collect();
        for network in parts.iter().map(|(at, prefix)| Network::new(*at, *prefix).unwrap()) {
            for border in [network.first(), network.last()] {
                asked.extend(match border {
                    IpAddr::V4(four) => [0, 1, u32::MAX]
                        .map(|by| IpAddr::V4(Ipv4Addr::from_bits(four.to_bits().wrapping_add(by)))),
                    IpAddr::V6(six) => [0, 1, u128::MAX]
                        .map(|by| IpAddr::V6(Ipv6Addr::from_bits(six.to_bits().wrapping_add(by)))),
                });
            }
        }
        for address in asked {
            let want = parts.iter().any(|(at, prefix)| holds(*at, *prefix, address));
            assert_eq!(list.contains(address), want, "{address} in {parts:?}");
            let one_by_one =
                parts.iter().any(|(at, prefix)| Network::new(*at, *prefix).unwrap().contains(address));
            assert_eq!(one_by_one, want, "{address} in {parts:?}");
            assert_eq!(again.contains(address), want);
            if let IpAddr::V4(four) = address {
                assert_eq!(list.contains(four.to_ipv6_mapped().into()), want, "mapped {address}");
            }
            *(if want { &mut inside } else { &mut outside }) += 1;
        }
    }
    assert!(inside > 5_000 && outside > 5_000, "{inside} inside, {outside} outside");
}

/// Overlapping and lying within, against what single addresses say.
#[test]
fn lists_are_compared_by_what_they_hold() {
    let mut dice = Dice(11);
    let mut seen = [0; 4];
    for _ in 0..4_000 {
        // Few bits, so that every address can be asked.
        let mut few = |most: u64| -> Networks {
            let one = |dice: &mut Dice| {
                Network::new(
                    Ipv4Addr::from_bits(0x0a00_0000 | dice.roll(32) as u32).into(),
                    27 + dice.roll(6) as u8,
                )
            };
            let many = dice.roll(most);
            Networks::new((0..many).filter_map(|_| one(&mut dice)))
        };
        let (a, b) = (few(4), few(6));
        let all = || (0..32).map(|n| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | n)));
        let (both, within) = (
            all().any(|at| a.contains(at) && b.contains(at)),
            all().all(|at| !a.contains(at) || b.contains(at)),
        );
        assert_eq!(
            (a.overlaps(&b), b.overlaps(&a), a.is_within(&b)),
            (both, both, within),
            "{:?} {:?}",
            a.texts(),
            b.texts()
        );
        assert_eq!(all().all(|at| a.contains(at) == b.contains(at)), a == b);
        seen[usize::from(both) * 2 + usize::from(within)] += 1;
    }
    assert!(seen.iter().all(|n| *n > 100), "{seen:?}");
    let (six, four) = (list(&["2001:db8::/32"]), list(&["10.0.0.0/8"]));
    assert!(!six.overlaps(&four) && list(&["2001:db8::7"]).is_within(&six) && !six.is_within(&four));
}
