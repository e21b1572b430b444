//! One node keeps the ledger.
use super::*;
use crate::{Purpose, Store};
use doorward_core::keyring::MasterKey;

async fn store(folder: &Folder) -> Store {
    let url = format!("sqlite:{}", folder.0.join("doorward.db").display());
    Store::open(&url, &MasterKey::new([7; 32]), Purpose::Own, UnixMillis(0)).await.unwrap()
}

/// A second node can't start with a ledger of its own; a node that lost its lease claims nothing, and when it has it again,
/// it knows that others claimed in between.
#[tokio::test]
async fn a_second_node_does_not_start_and_a_node_without_lease_stops() {
    let (folder, hand) = (Folder::new(), Hand::new());
    let store = store(&folder).await;
    let (one, two) = (folder.0.join("one"), folder.0.join("two"));
    let begin = |at: PathBuf| {
        let (store, clock) = (store.clone(), hand.clock());
        async move { MemoryLedger::start(&store, &at, Settings::default(), clock).await }
    };
    let first = begin(one.clone()).await.unwrap();
    assert_eq!(first.claim_now(&once(1, START)), Claim::New, "a fresh store raises no fence");
    assert!(matches!(begin(two.clone()).await, Err(LedgerError::HeldElsewhere)));
    assert!(matches!(begin(one.clone()).await, Err(LedgerError::FolderTaken(_))));
    // Killed and started again, at once.
    drop(first);
    drop(locked(&one));
    let first = begin(one.clone()).await.unwrap();
    assert_eq!(first.claim_now(&once(1, START)), Claim::Replayed);
    first.renew(&store).await.unwrap();
    assert_eq!(first.claim_now(&once(2, START)), Claim::New);
    // Another one takes it.
    first.stop(&store).await.unwrap();
    assert_eq!(first.claim_now(&once(3, START)), Claim::Unavailable);
    let second = begin(two.clone()).await.unwrap();
    assert!(fenced(second.claim_now(&once(1, START))), "it does not know what the first one accepted");
    assert!(matches!(first.renew(&store).await, Err(LedgerError::HeldElsewhere)));
    hand.pass(i64::from(SKEW_MS) + 1);
    let date = hand.now();
    assert_eq!(second.claim_now(&once(4, date)), Claim::Unavailable, "the lease is older than it may be");
    second.renew(&store).await.unwrap();
    assert_eq!(second.claim_now(&once(4, date)), Claim::New);
    // And back.
    second.stop(&store).await.unwrap();
    first.renew(&store).await.unwrap();
    assert!(fenced(first.claim_now(&once(4, date))));
    drop(first);
    drop(locked(&one));
    let first = begin(one).await.unwrap();
    assert!(fenced(first.claim_now(&once(4, date))), "the journal keeps the fence");
    store.close().await;
}

/// A lease that is not renewed is over by either clock.
#[tokio::test]
async fn a_lease_ends_by_itself() {
    let (folder, hand) = (Folder::new(), Hand::new());
    let ledger = start(&folder.0, &hand, FIRST);
    let asked = Instant::now();
    ledger.0.term.extend(asked, UnixMillis(START));
    assert_eq!(ledger.claim_now(&once(1, START)), Claim::New);
    hand.pass(super::super::LEASE_MS as i64);
    assert_eq!(ledger.claim_now(&once(2, START)), Claim::Unavailable);
    ledger.0.term.extend(asked, UnixMillis(hand.now()));
    assert_eq!(ledger.claim_now(&once(2, START)), Claim::New);
    ledger.0.term.end();
    assert_eq!(ledger.claim_now(&once(3, START)), Claim::Unavailable);
}

/// What is dated further from the time than anything before is accepted once the store knows of it: after a loss, the fence
/// is that high.
#[tokio::test]
async fn the_store_knows_the_longest_reach() {
    use doorward_core::ports::Ledger as _;
    const LONG_MS: u32 = 800_000;
    let (folder, hand) = (Folder::new(), Hand::new());
    let (store, journal) = (store(&folder).await, folder.0.join("one"));
    let open = || MemoryLedger::start(&store, &journal, Settings::default(), hand.clock());
    let long = |n| Once { window: Window::new(UnixMillis(START + 700_000), LONG_MS, SKEW_MS), ..once(n, 0) };
    let ledger = open().await.unwrap();
    assert_eq!(ledger.claim(&long(1)).await, Claim::Unavailable, "nobody has the store know");
    let keeper = tokio::spawn({
        let (ledger, store) = (ledger.clone(), store.clone());
        async move { ledger.keep(&store, |told| told.unwrap()).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(ledger.claim(&long(1)).await, Claim::New);
    assert_eq!(ledger.claim(&once(2, START)).await, Claim::New);
    keeper.abort();
    assert!(keeper.await.unwrap_err().is_cancelled());
    drop(ledger);
    drop(locked(&journal));
    // The folder itself names who holds the lease, so it stays.
    for file in std::fs::read_dir(&journal).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let ledger = open().await.unwrap();
    let until = UnixMillis(START + i64::from(LONG_MS) + 1);
    assert_eq!(ledger.claim(&long(1)).await, Claim::Fenced { until });
    store.close().await;
}
