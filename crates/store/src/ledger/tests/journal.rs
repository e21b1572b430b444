//! What a killed process leaves behind.
use super::super::record::{HEADER_BYTES, RECORD_BYTES};
use super::*;

/// R7: cut anywhere, what was whole is remembered, and what was not was never told to anybody.
#[test]
fn a_journal_cut_at_any_byte_remembers_what_was_whole() {
    const CLAIMS: u64 = 12;
    let (folder, hand) = (Folder::new(), Hand::new());
    let ledger = start(&folder.0, &hand, FIRST);
    assert!((0..CLAIMS).all(|n| ledger.claim_now(&once(n, START)) == Claim::New));
    let length = HEADER_BYTES + CLAIMS as usize * RECORD_BYTES;
    for cut in 0..=length {
        let left = folder.copy();
        let [file] = left.segments().try_into().unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().len(), length as u64);
        std::fs::File::options().write(true).open(&file).unwrap().set_len(cut as u64).unwrap();
        let ledger = start(&left.0, &hand, AGAIN);
        if cut < HEADER_BYTES {
            assert!((0..CLAIMS).all(|n| fenced(ledger.claim_now(&once(n, START)))), "{cut}");
            continue;
        }
        let whole = ((cut - HEADER_BYTES) / RECORD_BYTES) as u64;
        for n in 0..CLAIMS {
            let told = ledger.claim_now(&once(n, START));
            assert_eq!(told, if n < whole { Claim::Replayed } else { Claim::New }, "{cut} {n}");
        }
        // And the next one after that, too.
        drop(ledger);
        let ledger = start(&left.0, &hand, AGAIN);
        assert!((0..CLAIMS).all(|n| ledger.claim_now(&once(n, START)) == Claim::Replayed), "{cut}");
    }
}

/// Any byte that is not what was written raises the fence; dates after it are taken.
#[test]
fn damaged_bytes_raise_the_fence() {
    let (folder, hand) = (Folder::new(), Hand::new());
    let ledger = start(&folder.0, &hand, FIRST);
    assert!((0..4).all(|n| ledger.claim_now(&once(n, START)) == Claim::New));
    drop(ledger);
    let length = HEADER_BYTES + 4 * RECORD_BYTES;
    for at in 0..length {
        let left = folder.copy();
        let [file] = left.segments().try_into().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&file, bytes).unwrap();
        let ledger = start(&left.0, &hand, AGAIN);
        let until = UnixMillis(START + i64::from(SKEW_MS) + 1);
        for n in 0..5 {
            assert_eq!(ledger.claim_now(&once(n, START)), Claim::Fenced { until }, "{at}");
            assert_eq!(ledger.claim_now(&once(n, until.0 - 1)), Claim::Fenced { until }, "{at}");
        }
        // A restart does not lower it, and once its time has come, all is as ever.
        drop(ledger);
        let later = Hand::new();
        later.pass(i64::from(SKEW_MS) + 1);
        let ledger = start(&left.0, &later, AGAIN);
        assert_eq!(ledger.claim_now(&once(9, until.0 - 1)), Claim::Fenced { until }, "{at}");
        assert_eq!(ledger.claim_now(&once(9, until.0)), Claim::New, "{at}");
    }
}

/// A fresh store has nothing to lose. A reboot, a lost or a foreign journal, and another's turn raise the fence.
#[test]
fn only_a_fresh_store_may_have_no_journal_of_its_own() {
    let (folder, hand) = (Folder::new(), Hand::new());
    let settings = Settings::default();
    let ledger = start(&folder.0, &hand, FIRST);
    assert_eq!(ledger.claim_now(&once(1, START)), Claim::New);
    let with = |installation, boot, lease| {
        let left = folder.copy();
        let ledger = start_as(&left.0, &hand, lease, installation, boot, settings);
        assert_eq!(left.segments().len(), if fenced(ledger.claim_now(&once(2, START))) { 1 } else { 2 });
        ledger.claim_now(&once(1, START))
    };
    assert_eq!(with("home", "boot", AGAIN), Claim::Replayed);
    assert!(fenced(with("home", "another boot", AGAIN)), "the machine was restarted");
    assert!(fenced(with("elsewhere", "boot", AGAIN)), "another installation's");
    assert!(fenced(with("home", "boot", Lease { turn: 2, first: false })), "another node's turn");
    assert!(fenced(with("home", "boot", FIRST)), "a store that does not know of it");
    let empty = Folder::new();
    assert!(fenced(start(&empty.0, &hand, AGAIN).claim_now(&once(1, START))), "it was removed");
    drop(ledger);
}

/// Segments follow each other, go when their time is over, and none may be missing.
#[test]
fn segments_come_and_go() {
    const EACH: u64 = 90_000;
    let (folder, hand) = (Folder::new(), Hand::new());
    let ledger = start(&folder.0, &hand, FIRST);
    for n in 0..3 * EACH {
        assert_eq!(ledger.claim_now(&once(n, START)), Claim::New);
    }
    assert_eq!(folder.segments().len(), 4, "12 MiB");
    for missing in 0..3 {
        let left = folder.copy();
        std::fs::remove_file(&left.segments()[missing]).unwrap();
        assert!(fenced(start(&left.0, &hand, AGAIN).claim_now(&once(0, START))), "{missing}");
    }
    let left = folder.copy();
    let again = start(&left.0, &hand, AGAIN);
    assert!((0..3 * EACH).all(|n| again.claim_now(&once(n, START)) == Claim::Replayed));
    hand.pass(i64::from(SKEW_MS) + 33_000);
    ledger.tidy();
    assert_eq!((folder.segments().len(), ledger.entries()), (1, 0));
    // A clock that is set back brings nothing back.
    drop(ledger);
    let ledger = start(&folder.0, &Hand::new(), AGAIN);
    assert!(fenced(ledger.claim_now(&once(0, START))));
}

/// Many tasks on one core claim at once: one write serves them all, and each is in the journal when it is told.
#[tokio::test]
async fn claims_of_one_core_are_written_together() {
    let (folder, hand) = (Folder::new(), Hand::new());
    let ledger: Arc<dyn doorward_core::ports::Ledger> = Arc::new(start(&folder.0, &hand, FIRST));
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move { ledger.claim(&once(n % 250, START)).await })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += usize::from(task.await.unwrap() == Claim::New);
    }
    assert_eq!(new, 250);
    let length = std::fs::metadata(&folder.segments()[0]).unwrap().len();
    assert_eq!(length as usize, HEADER_BYTES + 250 * RECORD_BYTES);
}
