//! What every ledger has to do, wherever it remembers: each test runs on memory and on Redis.
use super::redis::OnRedis;
use super::*;
use doorward_core::ports::{Ledger, Share};
use std::collections::{HashMap, HashSet};

/// A ledger with a clock that is set by hand.
pub(super) trait Subject: Sized {
    /// How many random worlds the model is tried in.
    const WORLDS: u64;
    /// A fresh one; `None` where it can't be had, which is told.
    async fn begin(test: &str, hand: &Hand, settings: Settings) -> Option<Self>;
    fn ledger(&self) -> Arc<dyn Ledger>;
    /// Its clock shows what the hand shows.
    async fn follow(&self, hand: &Hand);
    fn entries(&self) -> u64;
    /// The node is killed, and started again.
    async fn killed(self) -> Self;
    /// All that was remembered is lost, and the node is started again.
    async fn lost(self) -> Self;
    async fn tidy(&self);

    async fn claim(&self, hand: &Hand, once: &Once) -> Claim {
        self.follow(hand).await;
        self.ledger().claim(once).await
    }
}

/// In memory, with a journal.
struct InMemory {
    folder: Folder,
    hand: Hand,
    settings: Settings,
    ledger: MemoryLedger,
}

impl Subject for InMemory {
    const WORLDS: u64 = 40;
    async fn begin(_: &str, hand: &Hand, settings: Settings) -> Option<InMemory> {
        let folder = Folder::new();
        let ledger = start_as(&folder.0, hand, FIRST, "home", "boot", settings);
        Some(InMemory { folder, hand: hand.clone(), settings, ledger })
    }
    fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(self.ledger.clone())
    }
    async fn follow(&self, _: &Hand) {}
    fn entries(&self) -> u64 {
        self.ledger.entries() as u64
    }
    async fn killed(self) -> InMemory {
        // What it wrote is all there is.
        let folder = self.folder.copy();
        let ledger = start_as(&folder.0, &self.hand, AGAIN, "home", "boot", self.settings);
        InMemory { folder, ledger, ..self }
    }
    async fn lost(self) -> InMemory {
        let folder = Folder::new();
        let ledger = start_as(&folder.0, &self.hand, AGAIN, "home", "boot", self.settings);
        InMemory { folder, ledger, ..self }
    }
    async fn tidy(&self) {
        self.ledger.tidy();
    }
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test] async fn $name() { super::$name::<super::InMemory>(stringify!($name)).await })+
        }
        mod on_redis {
            $(#[tokio::test] async fn $name() { super::$name::<super::OnRedis>(stringify!($name)).await })+
        }
    };
}

on_both!(
    nothing_is_accepted_twice_whatever_happens,
    a_full_share_refuses_its_owner_alone,
    the_window_is_exact,
    a_replay_is_refused_until_it_is_too_old,
    of_a_hundred_copies_one_is_new,
    after_a_loss_nothing_that_may_be_known_is_taken,
);

/// R3, R5, R7, R10: clocks go and jump, processes are killed, windows change; nothing is ever accepted twice, nothing that
/// is new and in time is refused but by the fence or a share.
async fn nothing_is_accepted_twice_whatever_happens<S: Subject>(test: &str) {
    let mut seen = HashMap::<&str, u32>::new();
    for seed in 0..S::WORLDS {
        let mut random = Random(seed);
        let hand = Hand::of_today();
        let settings =
            Settings { entries: 150, workspace_entries: 100, credential_entries: 60, skew_ms: 400_000 };
        let Some(mut ledger) = S::begin(test, &hand, settings).await else { return };
        let (mut accepted, mut fence) = (HashSet::new(), UnixMillis(i64::MIN));
        let mut made: Vec<(u64, i64)> = Vec::new();
        for n in 0..3_000 {
            match random.below(100) {
                0 => {
                    // The fence may be lower then, as far as all is known again.
                    ledger = ledger.killed().await;
                    fence = UnixMillis(i64::MIN);
                }
                1 => hand.pass(-(random.below(600_000) as i64)),
                2 => hand.pass(random.below(600_000) as i64),
                3..20 => hand.pass(random.below(20_000) as i64),
                20 => ledger.tidy().await,
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
                    let once = Once { key: key(number), window, owner };
                    let claim = ledger.claim(&hand, &once).await;
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
                            assert!(until >= fence, "it fell");
                            fence = until;
                            "fenced"
                        }
                        Claim::Full(_) => {
                            assert!(in_time && !known, "seed {seed} step {n}");
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
        assert!(seen.get(each).is_some_and(|n| *n > 50), "{each} hardly happened: {seen:?}");
    }
}

/// A full share refuses its owner alone, and what was remembered makes room when its time is over.
async fn a_full_share_refuses_its_owner_alone<S: Subject>(test: &str) {
    let hand = Hand::of_today();
    let settings = Settings { entries: 6, workspace_entries: 4, credential_entries: 3, skew_ms: SKEW_MS };
    let Some(ledger) = S::begin(test, &hand, settings).await else { return };
    let begin = hand.now();
    let mut n = 0;
    let mut next = |workspace, credential| {
        n += 1;
        let owner = Shares { workspace: ShareId(workspace), credential: ShareId(credential) };
        Once { owner, ..once(n, hand.now()) }
    };
    for _ in 0..3 {
        assert_eq!(ledger.claim(&hand, &next(1, 11)).await, Claim::New);
    }
    assert_eq!(ledger.claim(&hand, &next(1, 11)).await, Claim::Full(Share::Credential));
    assert_eq!(ledger.claim(&hand, &next(1, 12)).await, Claim::New);
    assert_eq!(ledger.claim(&hand, &next(1, 12)).await, Claim::Full(Share::Workspace));
    for _ in 0..2 {
        assert_eq!(ledger.claim(&hand, &next(2, 21)).await, Claim::New);
    }
    assert_eq!(ledger.claim(&hand, &next(2, 21)).await, Claim::Full(Share::Ledger));
    // What is known is known, however full.
    assert_eq!(ledger.claim(&hand, &once(1, begin)).await, Claim::Replayed);
    hand.pass(i64::from(SKEW_MS) + 33_000);
    ledger.follow(&hand).await;
    ledger.tidy().await;
    assert_eq!(ledger.claim(&hand, &next(1, 11)).await, Claim::New);
    assert_eq!(ledger.claim(&hand, &once(1, begin)).await, Claim::TooLate { now: UnixMillis(hand.now()) });
    ledger.tidy().await;
    assert_eq!(ledger.entries(), 1);
    for _ in 0..2 {
        assert_eq!(ledger.claim(&hand, &next(1, 11)).await, Claim::New);
    }
    assert_eq!(ledger.claim(&hand, &next(1, 11)).await, Claim::Full(Share::Credential), "it is counted anew");
}

/// R3: from the first instant to the last, both included, and not one millisecond more.
async fn the_window_is_exact<S: Subject>(test: &str) {
    let hand = Hand::of_today();
    let Some(ledger) = S::begin(test, &hand, Settings::default()).await else { return };
    let (now, owner) = (UnixMillis(hand.now()), once(0, 0).owner);
    let mut n = 0;
    for (early, late) in [(SKEW_MS, SKEW_MS), (60_000, 1), (0, 0), (1, 250_000)] {
        let (first, last) = (now.plus_ms(-i64::from(late)), now.plus_ms(i64::from(early)));
        for (date, told) in [
            (first.plus_ms(-1), Claim::TooLate { now }),
            (first, Claim::New),
            (last, Claim::New),
            (last.plus_ms(1), Claim::TooEarly { now }),
        ] {
            n += 1;
            let once = Once { key: key(n), window: Window::new(date, early, late), owner };
            assert_eq!(ledger.claim(&hand, &once).await, told, "{early} {late} {date}");
            if told == Claim::New {
                assert_eq!(ledger.claim(&hand, &once).await, Claim::Replayed, "{early} {late} {date}");
            }
        }
    }
}

/// R3: dated as early and as late as may be, and sent again every second until it is refused by its age.
async fn a_replay_is_refused_until_it_is_too_old<S: Subject>(test: &str) {
    let hand = Hand::of_today();
    let Some(ledger) = S::begin(test, &hand, Settings::default()).await else { return };
    let skew = i64::from(SKEW_MS);
    let all = [0, 1, skew, 1 - skew, -skew].map(|ahead| once(ahead.unsigned_abs() + 9, hand.now() + ahead));
    for once in &all {
        assert_eq!(ledger.claim(&hand, once).await, Claim::New);
    }
    for _ in 0..=2 * skew / 1_000 {
        hand.pass(1_000);
        ledger.follow(&hand).await;
        ledger.tidy().await;
        for once in &all {
            let told = ledger.claim(&hand, once).await;
            let in_time = hand.now() <= once.window.until().0;
            assert_eq!(told == Claim::Replayed, in_time, "{told:?}");
            assert!(in_time || matches!(told, Claim::TooLate { .. }), "{told:?}");
        }
    }
    assert_eq!(ledger.claim(&hand, &once(1, hand.now())).await, Claim::New);
}

/// R2: a hundred copies at once, again and again: one each is new.
async fn of_a_hundred_copies_one_is_new<S: Subject>(test: &str) {
    let hand = Hand::of_today();
    let Some(subject) = S::begin(test, &hand, Settings::default()).await else { return };
    subject.follow(&hand).await;
    let ledger = subject.ledger();
    for n in 0..100 {
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (ledger, once) = (Arc::clone(&ledger), once(n, hand.now()));
                tokio::spawn(async move { ledger.claim(&once).await })
            })
            .collect();
        let mut told = Vec::new();
        for task in tasks {
            told.push(task.await.unwrap());
        }
        assert_eq!(told.iter().filter(|claim| **claim == Claim::New).count(), 1, "{n}");
        assert_eq!(told.iter().filter(|claim| **claim == Claim::Replayed).count(), 99, "{n}");
    }
}

/// R8: a fresh one has nothing to lose. A killed node has lost nothing. A loss raises the fence past all that may have been
/// accepted, and what is dated behind it is taken when its time comes.
async fn after_a_loss_nothing_that_may_be_known_is_taken<S: Subject>(test: &str) {
    let hand = Hand::of_today();
    let Some(mut ledger) = S::begin(test, &hand, Settings::default()).await else { return };
    let (begin, skew) = (hand.now(), i64::from(SKEW_MS));
    let all = [0, -skew, skew].map(|ahead| once(ahead.unsigned_abs() + u64::from(ahead < 0), begin + ahead));
    for once in &all {
        assert_eq!(ledger.claim(&hand, once).await, Claim::New);
    }
    for _ in 0..3 {
        ledger = ledger.killed().await;
        for once in &all {
            assert_eq!(ledger.claim(&hand, once).await, Claim::Replayed);
        }
    }
    for round in 0..3 {
        hand.pass(7_000);
        ledger.follow(&hand).await;
        ledger = ledger.lost().await;
        for once in &all {
            let told = ledger.claim(&hand, once).await;
            assert!(fenced(told) || matches!(told, Claim::TooLate { .. }), "{told:?}");
        }
        let Claim::Fenced { until } = ledger.claim(&hand, &once(9, hand.now() + skew)).await else {
            panic!("nothing was lost");
        };
        let high = until.0 - (hand.now() + skew);
        // On a server, the store's clock has a say, too, and that one goes on.
        assert!((1..=60_000).contains(&high), "{high}");
        hand.pass(until.0 - hand.now());
        assert!(fenced(ledger.claim(&hand, &once(9, until.0 - 1)).await));
        assert_eq!(ledger.claim(&hand, &once(100 + round, until.0)).await, Claim::New);
        ledger = ledger.killed().await;
        assert!(fenced(ledger.claim(&hand, &once(9, until.0 - 1)).await), "the fence stays");
        assert_eq!(ledger.claim(&hand, &once(100 + round, until.0)).await, Claim::Replayed);
    }
}
