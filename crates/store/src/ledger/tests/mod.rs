//! A ledger in a folder of its own, with a clock that is set by hand.
mod faults;
mod journal;
mod lease;
mod model;
pub(crate) mod redis;
mod size;
mod suite;

use super::start::{Place, lock};
use super::{Clock, Lease, LedgerError, MemoryLedger, Settings};
use doorward_core::ports::{Claim, LedgerKey, Once, ShareId, Shares, Window};
use doorward_core::time::UnixMillis;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

const START: i64 = 1_800_000_000_000;
const SKEW_MS: u32 = 300_000;
const FIRST: Lease = Lease { turn: 1, first: true };
const AGAIN: Lease = Lease { turn: 1, first: false };

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("doorward-ledger-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst));
        let folder = std::env::temp_dir().join(name);
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    /// Another folder with the same files: what a killed process would have left.
    fn copy(&self) -> Folder {
        let other = Folder::new();
        for file in self.segments() {
            std::fs::copy(&file, other.0.join(file.file_name().unwrap())).unwrap();
        }
        other
    }

    /// The files of the journal, the oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(&self.0).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> =
            files.filter(|file| file.extension().is_some_and(|e| e == "journal")).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A clock that is set by hand.
#[derive(Clone)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn new() -> Hand {
        Hand(Arc::new(AtomicI64::new(START)))
    }
    /// One that shows what time it is, and stays there.
    fn of_today() -> Hand {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Hand(Arc::new(AtomicI64::new(i64::try_from(now.as_millis()).unwrap())))
    }
    fn pass(&self, ms: i64) {
        self.0.fetch_add(ms, SeqCst);
    }
    fn now(&self) -> i64 {
        self.0.load(SeqCst)
    }
    fn clock(&self) -> Clock {
        let hand = self.clone();
        Arc::new(move || UnixMillis(hand.now()))
    }
}

fn start(folder: &Path, hand: &Hand, lease: Lease) -> MemoryLedger {
    start_as(folder, hand, lease, "home", "boot", Settings::default())
}

fn start_as(
    folder: &Path,
    hand: &Hand,
    lease: Lease,
    installation: &str,
    boot: &str,
    settings: Settings,
) -> MemoryLedger {
    let file = locked(folder);
    let place = Place { folder, installation, boot };
    let ledger = MemoryLedger::open(&place, file, "me".to_owned(), lease, settings, hand.clock()).unwrap();
    ledger.0.term.extend(Instant::now(), UnixMillis(i64::MAX / 2));
    ledger
}

/// Locks a folder that nobody uses any more. Other tests start processes, and each has all that is open until it begins.
fn locked(folder: &Path) -> std::fs::File {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match lock(folder) {
            Err(LedgerError::FolderTaken(_)) if Instant::now() < deadline => std::thread::yield_now(),
            done => return done.unwrap(),
        }
    }
}

/// The key of a number, as random as a hash.
fn key(n: u64) -> LedgerKey {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &n.to_be_bytes());
    LedgerKey::new(digest.as_ref()[..16].try_into().unwrap())
}

/// The request with a number, of one owner.
fn once(n: u64, date: i64) -> Once {
    let owner = Shares { workspace: ShareId(1), credential: ShareId(2) };
    Once { key: key(n), window: Window::new(UnixMillis(date), SKEW_MS, SKEW_MS), owner }
}

fn fenced(claim: Claim) -> bool {
    matches!(claim, Claim::Fenced { .. })
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
