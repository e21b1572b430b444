//! Two threads at one ledger in memory.
use super::*;
use std::sync::Barrier;

/// R2: two at a time, one is told that it is new.
#[test]
fn of_two_at_a_time_one_is_new() {
    const TRIES: u64 = 100_000;
    const ROUND: u64 = 1_000;
    let (folder, hand) = (Folder::new(), Hand::new());
    let ledger = start(&folder.0, &hand, FIRST);
    let barrier = Barrier::new(2);
    let race = || {
        let mut new = Vec::new();
        for n in 0..TRIES {
            if n % ROUND == 0 {
                barrier.wait();
            }
            match ledger.claim_now(&once(n, START)) {
                Claim::New => new.push(n),
                other => assert_eq!(other, Claim::Replayed),
            }
        }
        new
    };
    let (mut all, other) = std::thread::scope(|s| {
        let (one, other) = (s.spawn(race), s.spawn(race));
        (one.join().unwrap(), other.join().unwrap())
    });
    println!("the first was faster {} times, the second {}", all.len(), other.len());
    all.extend(other);
    all.sort_unstable();
    assert!(all.into_iter().eq(0..TRIES));
    assert_eq!(ledger.entries() as u64, TRIES);
    drop(ledger);
    let ledger = start(&folder.0, &hand, AGAIN);
    assert!((0..TRIES).all(|n| ledger.claim_now(&once(n, START)) == Claim::Replayed));
}
