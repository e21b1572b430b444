//! Limits in memory.
use super::*;
use doorward_core::limits::{Bucket, settle};
use std::collections::HashMap;

#[test]
fn it_counts_as_the_core_says_and_forgets_nothing_that_is_owed() {
    let mut numbers = Numbers(0x5eed_0001);
    for rates in [["5/1", "20/60/3", "1/1/2"], ["100/1/10", "3/3600", "2/10"]] {
        let (hand, mut model) = (Hand::default(), HashMap::<Vec<u8>, Bucket>::new());
        let limiter = hand.limiter();
        for _ in 0..20_000 {
            let pause = [0, 0, 1, 7, 100, 900][numbers.below(6) as usize];
            let now = hand.pass(pause);
            let spends = numbers.spends(&rates);
            let mut buckets: Vec<Bucket> =
                spends.iter().map(|s| model.get(s.key.bytes()).copied().unwrap_or_default()).collect();
            let expected = settle(&mut buckets, &spends, 1, now);
            let spent = limiter.spend_now(&spends);
            assert_eq!((spent.levels, spent.shared), (expected, false));
            for (spend, bucket) in spends.iter().zip(buckets) {
                model.insert(spend.key.bytes().to_vec(), bucket);
            }
            if numbers.below(50) == 0 {
                limiter.tidy();
            }
        }
    }
}

#[test]
fn what_owes_nothing_any_more_is_forgotten_and_its_room_given_back() {
    let hand = Hand::default();
    let limiter = hand.limiter();
    for id in 0..50_000 {
        assert!(limiter.spend_now(&[of_credential(&id.to_string(), "1/10/2")]).levels[0].room);
    }
    let (most, empty) = (limiter.bytes(), hand.limiter().bytes());
    assert_eq!(limiter.entries(), 50_000);
    hand.pass(9_999);
    limiter.tidy();
    assert_eq!(limiter.entries(), 50_000, "a unit is owed still");
    hand.pass(1);
    limiter.tidy();
    assert_eq!(limiter.entries(), 0);
    assert!(most > 1_500_000 && limiter.bytes() < empty + 64 * 1_024, "{most} {}", limiter.bytes());
    // Without anybody who tidies up, as well.
    for id in 0..1_000_000_u32 {
        hand.pass(1);
        let _ = limiter.spend_now(&[of_address(id, "1/1")]);
    }
    assert!(limiter.entries() < 64 * 512, "a thousand at a time are owed: {}", limiter.entries());
}

#[test]
fn addresses_are_bounded_and_those_that_are_too_many_are_as_one() {
    const MOST: usize = 64 * 20;
    let hand = Hand::default();
    let limiter = hand.limiter().with_addresses(MOST);
    let first = of_address(1, "5/10");
    for _ in 0..4 {
        assert!(limiter.spend_now(std::slice::from_ref(&first)).levels[0].room);
    }
    let mut through = 0;
    for number in 2..100_000 {
        through += usize::from(limiter.spend_now(&[of_address(number, "5/10")]).levels[0].room);
    }
    assert!(limiter.entries() <= MOST + 1, "{}", limiter.entries());
    // Some parts are full before others, and all that are too many together come through as often as one address.
    assert!(through > MOST / 2 && through <= MOST + 5, "{through}");
    assert!(limiter.crowded() > 90_000);
    // Who was there before has what was his, and others' limits know nothing of it.
    assert!(limiter.spend_now(std::slice::from_ref(&first)).levels[0].room);
    assert!(!limiter.spend_now(std::slice::from_ref(&first)).levels[0].room);
    let both = [of_credential("k", "1/10"), of_address(99_999, "5/10")];
    let spent = limiter.spend_now(&both);
    assert_eq!([spent.levels[0].room, spent.levels[1].room], [true, false]);
    assert!(limiter.spend_now(&both[..1]).levels[0].room, "nothing was spent of it");
    // When they have not called for long enough, there is room for others.
    hand.pass(10_000);
    let through = (200_000..200_500).filter(|n| limiter.spend_now(&[of_address(*n, "5/10")]).levels[0].room);
    assert_eq!(through.count(), 500);
}

#[test]
fn addresses_that_are_counted_elsewhere_are_bounded_too() {
    const MOST: usize = 64 * 20;
    let hand = Hand::default();
    let limiter = hand.limiter().with_addresses(MOST);
    let apart = |numbers: std::ops::Range<u32>| {
        numbers.filter(|number| limiter.tells_apart(&of_address(*number, "5/10"))).count()
    };
    let first = apart(0..100_000);
    assert!(first > MOST / 2 && first <= MOST && limiter.entries() == first, "{first}");
    assert!(limiter.crowded() > 90_000);
    // Who is known stays known, and whoever is no address is not one of too many.
    assert_eq!(apart(0..10), 10);
    assert!(limiter.tells_apart(&of_credential("k", "5/10")) && limiter.entries() == first);
    // Nothing is spent of what is counted here.
    assert_eq!(limiter.spend_now(&[of_address(0, "5/10")]).levels[0].remaining, 4);
    let [crowd, known] = [7, 8].map(|number| of_address(number, "5/10").key.of_the_crowd());
    assert!(crowd == known && crowd.crowd().is_none());
    // When they have not called for long enough, there is room for others.
    hand.pass(10_000);
    assert_eq!(apart(200_000..200_500), 500);
}

#[test]
fn however_many_threads_ask_no_more_comes_through() {
    let limiter = Arc::new(Hand::default().limiter());
    let asked = |limiter: &MemoryLimiter, thread: u32| {
        let rates = ["10000/86400", "4000/86400", "4000/86400"];
        let shared = [of_workspace("acme", rates[0]), of_credential("k", rates[1]), of_address(7, rates[2])];
        let own = [of_workspace("acme", rates[0]), of_address(100 + thread, "100000/86400")];
        let count = |spends: &[Spend]| limiter.spend_now(spends).levels.iter().all(|level| level.room);
        (0..5_000)
            .map(|_| [u64::from(count(&shared)), u64::from(count(&own))])
            .fold([0, 0], |a, b| [a[0] + b[0], a[1] + b[1]])
    };
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let limiter = Arc::clone(&limiter);
            std::thread::spawn(move || asked(&limiter, thread))
        })
        .collect();
    let all = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .fold([0, 0], |a, b| [a[0] + b[0], a[1] + b[1]]);
    assert_eq!(all[0] + all[1], 10_000, "{all:?}");
    assert!(all[0] <= 4_000);
    let left = limiter.spend_now(&[of_credential("k", "4000/86400")]).levels[0];
    let left = u64::from(left.remaining) + u64::from(left.room);
    assert_eq!(left, 4_000 - all[0], "what was refused was not spent");
}

#[test]
fn of_several_nodes_each_counts_a_share() {
    let (hand, sharers) = (Hand::default(), Sharers::default());
    let limiter = hand.sharing(sharers.clone());
    sharers.set(3);
    let spend = [of_credential("k", "9/10")];
    let through =
        |limiter: &MemoryLimiter| (0..20).filter(|_| limiter.spend_now(&spend).levels[0].room).count();
    assert_eq!(through(&limiter), 3);
    assert!(limiter.spend_now(&spend).shared);
    hand.pass(10_000);
    assert_eq!(through(&limiter), 3);
    sharers.set(0);
    assert_eq!((sharers.get(), through(&limiter)), (1, 9));
    sharers.set(100);
    assert_eq!(through(&limiter), 1, "a share is at least one request");
}

/// What it costs; run by hand with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn measured() {
    let start = std::time::Instant::now();
    let limiter =
        MemoryLimiter::new(Arc::new(move || start.elapsed().as_millis() as u64), Sharers::default());
    for count in 1..=3 {
        let all = [
            of_credential("app_1", "1000000/1"),
            of_workspace("acme", "1000000/1"),
            of_address(1, "1000000/1"),
        ];
        let from = std::time::Instant::now();
        for _ in 0..1_000_000 {
            assert!(limiter.spend_now(&all[..count]).levels[0].remaining > 0);
        }
        eprintln!("{count} limits: {} ns", from.elapsed().as_nanos() / 1_000_000);
    }
}
