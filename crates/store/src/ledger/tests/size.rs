//! How much room a ledger takes, and how fast it is.
use super::*;
use std::process::Command;

const MANY: u64 = 2_000_000;
const BYTES_EACH: usize = 48;
/// Two million claims are back within this, in milliseconds, when nothing is in the way.
const LOAD_MS: u128 = 2_000;

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// R5: two million in one window, none lost, none evicted, each in at most 48 bytes with all that belongs to it; and read
/// back in two seconds. In a process of its own, so that nothing else counts.
#[test]
fn two_million_in_one_window() {
    if std::env::var("DOORWARD_TEST_ALONE").is_err() {
        let alone = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ledger::tests::size::two_million_in_one_window", "--nocapture"])
            .env("DOORWARD_TEST_ALONE", "1")
            .output()
            .unwrap();
        print!("{}", String::from_utf8_lossy(&alone.stdout));
        assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stderr));
        return;
    }
    let (folder, hand) = (Folder::new(), Hand::new());
    // 100,000 credentials in 1,000 workspaces, over ten minutes of dates.
    let request = |n: u64| {
        let mut bytes = [0; 16];
        let mut random = Random(n);
        bytes[..8].copy_from_slice(&random.below(u64::MAX).to_be_bytes());
        bytes[8..].copy_from_slice(&random.below(u64::MAX).to_be_bytes());
        let credential = n % 100_000;
        let owner =
            Shares { workspace: ShareId(credential % 1_000), credential: ShareId(credential + 1_000) };
        let date = START - 299_000 + (n * 598_000 / MANY) as i64;
        Once { key: LedgerKey::new(bytes), owner, ..once(0, date) }
    };
    let resident = resident_bytes();
    let ledger = start(&folder.0, &hand, FIRST);
    let begin = Instant::now();
    let mut most = 0;
    for n in 0..MANY {
        assert_eq!(ledger.claim_now(&request(n)), Claim::New);
        if n >= MANY / 4 && n % 50_000 == 0 {
            most = most.max(ledger.bytes() / ledger.entries());
        }
    }
    let each_ns = begin.elapsed().as_nanos() / u128::from(MANY);
    let resident = (resident_bytes() - resident) / MANY as usize;
    let counted = ledger.bytes() / MANY as usize;
    let begin = Instant::now();
    for n in 0..MANY {
        assert_eq!(ledger.claim_now(&request(n)), Claim::Replayed);
    }
    let replay_ns = begin.elapsed().as_nanos() / u128::from(MANY);
    assert_eq!(ledger.entries() as u64, MANY);
    drop(ledger);
    let begin = Instant::now();
    let ledger = start(&folder.0, &hand, AGAIN);
    let load_ms = begin.elapsed().as_millis();
    println!(
        "bytes each: {counted} counted ({most} at most on the way), {resident} resident; \
         a new claim with its write {each_ns} ns, a replay {replay_ns} ns; loaded in {load_ms} ms"
    );
    for n in (0..MANY).step_by(200) {
        assert_eq!(ledger.claim_now(&request(n)), Claim::Replayed);
    }
    assert_eq!(ledger.entries() as u64, MANY);
    assert!(counted <= BYTES_EACH && most <= BYTES_EACH && resident <= BYTES_EACH);
    // A build without optimisation is no measure.
    assert!(cfg!(debug_assertions) || load_ms < LOAD_MS);
    // On one core, with many tasks at a time.
    let hundred = {
        let folder = Folder::new();
        let ledger = start(&folder.0, &hand, FIRST);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let begin = Instant::now();
        runtime.block_on(async {
            use doorward_core::ports::Ledger as _;
            let tasks: Vec<_> = (0..100)
                .map(|task| {
                    let ledger = ledger.clone();
                    tokio::spawn(async move {
                        for n in 0..MANY / 1_000 {
                            assert_eq!(ledger.claim(&request(n * 100 + task)).await, Claim::New);
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        begin.elapsed().as_nanos() / u128::from(MANY / 10)
    };
    println!("a new claim of a hundred tasks at a time, written together, {hundred} ns");
    // In memory alone.
    let memory = super::super::memory::Memory::new(Settings::default());
    let begin = Instant::now();
    for n in 0..MANY {
        assert_eq!(memory.claim(&request(n), UnixMillis(START)), Ok(()));
    }
    println!("a new claim without its write {} ns", begin.elapsed().as_nanos() / u128::from(MANY));
}
