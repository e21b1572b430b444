//! What the disk and other processes do.
use super::*;
use std::process::Command;

/// Two ledgers never write one journal.
#[test]
fn a_folder_serves_one_process() {
    let (folder, hand) = (Folder::new(), Hand::new());
    let ledger = start(&folder.0, &hand, FIRST);
    assert!(matches!(lock(&folder.0), Err(LedgerError::FolderTaken(_))));
    drop(ledger);
    drop(locked(&folder.0));
}

/// A small disk that goes with its test; `None` where there may be none.
struct Disk(Folder);

impl Disk {
    fn new(kib: u32) -> Option<Disk> {
        let disk = Disk(Folder::new());
        let size = format!("size={kib}k");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&disk.0.0).status();
        mount.is_ok_and(|status| status.success()).then_some(disk)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0.0).status().ok();
    }
}

/// A full disk refuses claims, which can be tried again, and nothing has to be done when there is room again.
#[test]
fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = Disk::new(128) else {
        eprintln!("skipped: a_full_disk_refuses_and_recovers: no file system can be mounted here");
        return;
    };
    let hand = Hand::new();
    let ledger = start(&disk.0.0, &hand, FIRST);
    let ballast = disk.0.0.join("ballast");
    std::fs::write(&ballast, vec![0; 64 << 10]).unwrap();
    let told = (0..).map(|n| ledger.claim_now(&once(n, START)));
    let written = told.take_while(|claim| *claim == Claim::New).count() as u64;
    assert!((100..3_000).contains(&written), "{written}");
    for n in written..written + 100 {
        assert_eq!(ledger.claim_now(&once(n, START)), Claim::Unavailable);
        assert_eq!(ledger.claim_now(&once(n, START)), Claim::Unavailable, "it was taken back");
    }
    assert_eq!(ledger.claim_now(&once(0, START)), Claim::Replayed);
    assert_eq!(ledger.entries() as u64, written);
    std::fs::remove_file(&ballast).unwrap();
    for n in written..written + 100 {
        assert_eq!(ledger.claim_now(&once(n, START)), Claim::New);
    }
    drop(ledger);
    let ledger = start(&disk.0.0, &hand, AGAIN);
    assert!((0..written + 100).all(|n| ledger.claim_now(&once(n, START)) == Claim::Replayed));
}

/// R7: processes that are killed at any moment have written down what they had told.
#[test]
fn a_killed_process_forgets_nothing() {
    use std::io::{BufRead as _, BufReader};
    if let Ok(folder) = std::env::var("DOORWARD_TEST_LEDGER") {
        let ledger = start(Path::new(&folder), &Hand::new(), AGAIN);
        for n in 0.. {
            match ledger.claim_now(&once(n, START)) {
                Claim::New => println!("\nnew {n}"),
                Claim::Replayed => (),
                other => panic!("{other:?}"),
            }
        }
    }
    let (folder, hand) = (Folder::new(), Hand::new());
    drop(start(&folder.0, &hand, FIRST));
    let mut told = std::collections::HashSet::new();
    for round in 1..=20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ledger::tests::faults::a_killed_process_forgets_nothing", "--nocapture"])
            .env("DOORWARD_TEST_LEDGER", &folder.0)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut fresh = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(n) = line.strip_prefix("new ").and_then(|n| n.parse::<u64>().ok()) {
                assert!(told.insert(n), "round {round}: {n} was accepted twice");
                fresh += 1;
                if fresh == 50 * round {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(fresh >= 50 * round, "round {round}: {fresh}");
    }
    let ledger = start(&folder.0, &hand, AGAIN);
    assert!(told.iter().all(|n| ledger.claim_now(&once(*n, START)) == Claim::Replayed));
    println!("{} claims were told by 20 killed processes", told.len());
}
