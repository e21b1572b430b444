//! Several limits at once: all of them or none.
use crate::model::Numbers;
use doorward_core::limits::{Bucket, LimitName, Spend, SpendKey, Spent, settle};

fn spend(name: LimitName, rate: &str, enforced: bool) -> Spend {
    let key = match name {
        LimitName::Workspace => SpendKey::workspace("acme", "v1"),
        LimitName::Credential => SpendKey::credential("app_1", None),
        LimitName::Client => SpendKey::client(Some("acme"), "v1", Some([192, 0, 2, 1].into())),
    };
    Spend { name, key, rate: rate.parse().expect("a rate"), enforced }
}

fn rooms(spent: &[doorward_core::limits::Level]) -> Vec<(bool, u32)> {
    spent.iter().map(|level| (level.room, level.remaining)).collect()
}

#[test]
fn what_one_limit_refuses_takes_nothing_of_another() {
    let spends = [spend(LimitName::Workspace, "5/60", true), spend(LimitName::Credential, "2/60", true)];
    let mut buckets = [Bucket::default(); 2];
    let mut ask = |now| rooms(&settle(&mut buckets, &spends, 1, now));
    assert_eq!(ask(0), [(true, 4), (true, 1)]);
    assert_eq!(ask(0), [(true, 3), (true, 0)]);
    assert_eq!(ask(0), [(true, 3), (false, 0)]);
    assert_eq!(ask(0), [(true, 3), (false, 0)], "as often as it is tried");
}

#[test]
fn what_is_observed_refuses_nobody_and_counts_as_if_it_did() {
    let spends = [
        spend(LimitName::Workspace, "3/60", true),
        spend(LimitName::Credential, "1/60", false),
        spend(LimitName::Client, "2/60", false),
    ];
    let mut buckets = [Bucket::default(); 3];
    let mut ask = |now| {
        let levels = settle(&mut buckets, &spends, 1, now);
        let spent = Spent { levels: levels.clone(), shared: false };
        (rooms(&levels), spent.refused(&spends))
    };
    assert_eq!(ask(0), (vec![(true, 2), (true, 0), (true, 1)], false));
    // Were it enforced, the credential's would refuse this one, and the address would not have spent it.
    assert_eq!(ask(0), (vec![(true, 1), (false, 0), (true, 1)], false));
    assert_eq!(ask(0), (vec![(true, 0), (false, 0), (true, 1)], false));
    // A request that is refused is not observed.
    assert_eq!(ask(60_000 - 1), (vec![(true, 1), (false, 0), (true, 2)], false));
    assert_eq!(ask(60_000 - 1), (vec![(true, 0), (false, 0), (true, 2)], false));
    assert_eq!(ask(60_000 - 1), (vec![(false, 0), (false, 0), (true, 2)], true));
}

#[test]
fn together_they_let_through_what_each_alone_would() {
    let mut numbers = Numbers(0x0bad_cafe_dead_beef);
    for _ in 0..200 {
        let rates = [numbers.rate(), numbers.rate(), numbers.rate()];
        let names = [LimitName::Workspace, LimitName::Credential, LimitName::Client];
        let spends: Vec<Spend> =
            (0..3).map(|i| Spend { rate: rates[i], ..spend(names[i], "1/1", true) }).collect();
        let (mut buckets, mut model) = ([Bucket::default(); 3], [Bucket::default(); 3]);
        let mut now = 1 << 40;
        for _ in 0..300 {
            now += numbers.below(3) * numbers.below(2_000);
            let levels = settle(&mut buckets, &spends, 1, now);
            let fits = (0..3).all(|i| model[i].fits(&rates[i].pace(1), now));
            assert_eq!(levels.iter().all(|level| level.room), fits);
            if fits {
                for (bucket, rate) in model.iter_mut().zip(rates) {
                    let _ = bucket.take(&rate.pace(1), now, true);
                }
            }
            assert_eq!(buckets, model);
        }
    }
}

#[test]
fn keys_of_different_limits_differ() {
    let client = |text: &str| SpendKey::client(Some("acme"), "v1", Some(text.parse().unwrap()));
    let keys = [
        SpendKey::workspace("acme", "v1"),
        SpendKey::workspace("acmev", "1"),
        SpendKey::credential("acme", None),
        SpendKey::credential("acme", Some("v1")),
        SpendKey::client(Some("acme"), "v1", None),
        SpendKey::client(None, "v1", None),
        SpendKey::client(None, "acme", None),
        client("192.0.2.1"),
        client("192.0.2.2"),
        client("2001:db8:0:1::1"),
        client("2001:db8:0:2::1"),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(keys[..at].iter().all(|other| other.bytes() != key.bytes()), "{key:?}");
    }
    // SXFF-2: a mapped address is the one that it maps, and one customer's IPv6 network is one caller.
    assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
    assert_eq!(client("2001:db8:0:1::1"), client("2001:db8:0:1:ffff:ffff:ffff:ffff"));
    assert_eq!(client("192.0.2.1").crowd(), client("2001:db8:0:2::1").crowd());
    assert_eq!(client("192.0.2.1").crowd(), Some(SpendKey::client(Some("acme"), "v1", None).bytes()));
    assert!(keys[..4].iter().all(|key| key.crowd().is_none()));
}
