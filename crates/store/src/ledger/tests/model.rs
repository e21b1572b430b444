//! The ledger against the simplest thing that could be right: a list of all that was ever accepted.
use super::*;
use std::collections::{HashMap, HashSet};
use std::sync::Barrier;

/// R3, R5, R7, R10: clocks go and jump, processes are killed, windows change; nothing is ever accepted twice, nothing that
/// is new and in time is refused but by the fence or a share.
#[test]
fn nothing_is_accepted_twice_whatever_happens() {
    let mut seen = HashMap::<&str, u32>::new();
    for seed in 0..40 {
        let mut random = Random(seed);
        let (mut folder, hand) = (Folder::new(), Hand::new());
        let settings =
            Settings { entries: 150, workspace_entries: 100, credential_entries: 60, skew_ms: 400_000 };
        let open = |folder: &Folder, lease| start_as(&folder.0, &hand, lease, "home", "boot", settings);
        let mut ledger = open(&folder, FIRST);
        let mut accepted = HashSet::new();
        let mut made: Vec<(u64, i64)> = Vec::new();
        for n in 0..3_000 {
            match random.below(100) {
                0 => {
                    // Killed: what it wrote is all there is.
                    let left = folder.copy();
                    drop(ledger);
                    folder = left;
                    ledger = open(&folder, AGAIN);
                }
                1 => hand.pass(-(random.below(600_000) as i64)),
                2 => hand.pass(random.below(600_000) as i64),
                3..20 => hand.pass(random.below(20_000) as i64),
                20 => ledger.tidy(),
                _ => {
                    let again = !made.is_empty() && random.below(2) == 0;
                    let (number, date) = if again {
                        made[random.below(made.len() as u64) as usize]
                    } else {
                        (n, hand.now() + random.below(800_000) as i64 - 400_000)
                    };
                    made.push((number, date));
                    // Settings change, also between a request and its replay.
                    let skew = [60_000, SKEW_MS, SKEW_MS, 400_000][random.below(4) as usize];
                    let owner =
                        Shares { workspace: ShareId(number % 3), credential: ShareId(10 + number % 12) };
                    let window = Window::new(UnixMillis(date), skew, skew);
                    let before = ledger.fence();
                    let claim = ledger.claim_now(&Once { key: key(number), window, owner });
                    let in_time = (hand.now() - date).abs() <= i64::from(skew);
                    let known = accepted.contains(&number);
                    let name = match claim {
                        Claim::New => {
                            assert!(in_time && !known, "seed {seed} step {n}: accepted twice or out of time");
                            accepted.insert(number);
                            "new"
                        }
                        Claim::Replayed => {
                            assert!(in_time && known, "seed {seed} step {n}: never accepted");
                            "replayed"
                        }
                        Claim::TooEarly { .. } | Claim::TooLate { .. } => {
                            assert!(!in_time, "seed {seed} step {n}: in time");
                            "out of time"
                        }
                        Claim::Fenced { until } => {
                            assert!(UnixMillis(date) < until && in_time, "seed {seed} step {n}");
                            assert!(until >= before);
                            "fenced"
                        }
                        Claim::Full(_) => {
                            assert!(in_time && !known && ledger.entries() >= 60, "seed {seed} step {n}");
                            "full"
                        }
                        Claim::Unavailable => panic!("seed {seed} step {n}: it can be written"),
                    };
                    *seen.entry(name).or_default() += 1;
                }
            }
        }
    }
    println!("{seen:?}");
    for each in ["new", "replayed", "out of time", "fenced", "full"] {
        assert!(seen.get(each).is_some_and(|n| *n > 100), "{each} hardly happened: {seen:?}");
    }
}

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

/// A full share refuses its owner alone, and what was remembered makes room when its time is over.
#[test]
fn a_full_share_refuses_its_owner_alone() {
    use doorward_core::ports::Share;
    let (folder, hand) = (Folder::new(), Hand::new());
    let settings = Settings { entries: 6, workspace_entries: 4, credential_entries: 3, skew_ms: SKEW_MS };
    let ledger = start_as(&folder.0, &hand, FIRST, "home", "boot", settings);
    let mut n = 0;
    let mut claim = |workspace, credential| {
        n += 1;
        let owner = Shares { workspace: ShareId(workspace), credential: ShareId(credential) };
        ledger.claim_now(&Once { owner, ..once(n, hand.now()) })
    };
    assert!((0..3).all(|_| claim(1, 11) == Claim::New));
    assert_eq!(claim(1, 11), Claim::Full(Share::Credential));
    assert_eq!(claim(1, 12), Claim::New);
    assert_eq!(claim(1, 12), Claim::Full(Share::Workspace));
    assert!((0..2).all(|_| claim(2, 21) == Claim::New));
    assert_eq!(claim(2, 21), Claim::Full(Share::Ledger));
    hand.pass(i64::from(SKEW_MS) + 33_000);
    assert_eq!(claim(1, 11), Claim::New);
    assert_eq!(ledger.claim_now(&once(1, START)), Claim::TooLate { now: UnixMillis(hand.now()) });
    assert_eq!(ledger.entries(), 1);
    assert_eq!(
        ledger.claim_now(&once(99, hand.now() + 300_001)),
        Claim::TooEarly { now: UnixMillis(hand.now()) }
    );
}
