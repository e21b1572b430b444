//! Many credentials: what a node with all of them needs, and how long everything takes then.
use crate::feed::{Asker, Spread, figures, is_proof};
use crate::support::{
    Actor, Database, Engine, Gateway, Run, Setup, Upstream, World, number_of_trials, rows,
    skips_unless_postgres,
};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a node may take until it is ready, whatever it has to load.
const LONGEST_START: Duration = Duration::from_secs(15);
/// How long a page of a list, or a search through all, may take.
const LONGEST_LIST: Duration = Duration::from_secs(5);
/// Most memory of a node, in MiB, with at most so many credentials.
const MOST_MEMORY: [(u64, u64); 2] = [(100_000, 120), (1_000_000, 700)];
/// How often one is blocked and let in again.
const CHANGES: usize = 10;

fn prepared() -> (Gateway, [Upstream; 2]) {
    let upstreams = [Upstream::start(), Upstream::start()];
    (Setup::new().policy(World::policy(&upstreams[0], &upstreams[1])).prepare(), upstreams)
}

/// Makes credentials with one command, however long it takes; the file has what it printed.
fn create(gateway: &Gateway, count: u64) -> String {
    let file = gateway.folder.file("created.jsonl");
    let words = ["--workspace", "acme-live", "--kind", "server", "--dialect", "voucherify", "--name", "till"];
    let status = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["credential", "create", "--json", "--count", &count.to_string(), "--config", &gateway.config])
        .args(words)
        .stdin(Stdio::null())
        .stdout(File::create(&file).expect("the folder takes files"))
        .status();
    assert!(status.expect("the program runs").success(), "the credentials are made");
    file
}

/// The callers that a file of lines tells of.
fn callers(file: &str) -> impl Iterator<Item = Actor> {
    let lines = BufReader::new(File::open(file).expect("it was made")).lines();
    lines.map(|line| Actor::from_row(&serde_json::from_str(&line.expect("a line")).expect("JSON")))
}

/// A line of `/proc/PID/...` that tells kB, in MiB. Nobody but root may read some of it.
fn memory_mib(pid: u32, file: &str, line: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let told = text.lines().find_map(|l| l.strip_prefix(line))?;
    Some(told.trim_start_matches(':').trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? / 1024)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (work(), started.elapsed())
}

#[test]
fn size_of_a_node_with_many_credentials() {
    let n = number_of_trials(1_200);
    let (mut gateway, _upstreams) = prepared();
    let (file, made) = timed(|| create(&gateway, n));
    let (mut first, mut count) = (None, 0);
    for caller in callers(&file) {
        count += 1;
        first = first.or(Some(caller));
    }
    let caller = first.expect("one was made");
    assert_eq!(count, n);
    gateway.start();
    let pid = gateway.pid();
    let resident = memory_mib(pid, "status", "VmRSS").expect("it runs");
    let shared_out = memory_mib(pid, "smaps_rollup", "Pss");

    let list = |words: &[&str]| -> (Run, Duration) {
        timed(|| gateway.command(&[&["credential", "list", "--json"], words].concat()).ok())
    };
    let (page, listed) = list(&["--limit", "100"]);
    assert_eq!(rows(&page.stdout).len(), 100);
    let (found, by_id) = list(&["--search", &caller.id]);
    assert_eq!(rows(&found.stdout).len(), 1);
    let (none, by_name) = list(&["--search", "nothing like it"]);
    assert!(rows(&none.stdout).is_empty());

    let mut asker = Asker::new(&gateway, &caller);
    asker.until(200);
    let changes = (0..CHANGES).map(|n| asker.change(&gateway, &caller.id, n % 2 == 0)[1]).collect();
    let obeyed = Spread::of(changes);
    let ready = gateway.started_in;
    let pss = shared_out.map_or_else(|| "?".to_owned(), |mib| mib.to_string());
    figures(format_args!(
        "{:?}, {n} credentials: made in {:.1} s, ready in {:.2} s, RSS {resident} MiB, PSS {pss} MiB, \
         first 100 listed in {listed:.0?}, found by id in {by_id:.0?}, by name nothing in {by_name:.0?}",
        Engine::of_this_run(),
        made.as_secs_f64(),
        ready.as_secs_f64(),
    ));
    figures(format_args!("  a command, until the node obeys: {obeyed}"));
    assert!(ready <= LONGEST_START, "{ready:?}");
    assert!([listed, by_id, by_name].iter().all(|took| *took <= LONGEST_LIST));
    if is_proof() {
        let most = MOST_MEMORY.iter().find(|(count, _)| n <= *count);
        assert!(most.is_none_or(|(_, mib)| resident <= *mib), "{resident} MiB");
        assert!(obeyed.longest() <= Duration::from_secs(1), "{obeyed}");
    }
}

/// How many call at once.
const CALLERS: usize = 4;

/// A thread's share of the callers, each let in once on a connection that is kept.
fn use_each_once(gateway: &Gateway, callers: &[Actor]) {
    let mut connection = gateway.connect();
    for caller in callers {
        let answer = connection.send(caller.get("/v1/x")).answer();
        assert_eq!((answer.status, answer.code()), (200, ""), "{}", caller.id);
        if answer.closes() {
            connection = gateway.connect();
        }
    }
}

/// An installation grows out of its file: every key opens at a node on the new store what it opened before.
#[test]
fn migrated_keys_open_what_they_opened() {
    if skips_unless_postgres() {
        return;
    }
    let n = number_of_trials(400);
    let upstreams = [Upstream::start(), Upstream::start()];
    let old = Setup::new();
    let file = format!("sqlite:{}", old.folder().file("doorward.db"));
    let old = old.set("store", "url", format!("{file:?}"));
    let old = old.policy(World::policy(&upstreams[0], &upstreams[1])).prepare();
    let mut new = Setup::on_database(Database::empty()).prepare_unchecked();
    let created = create(&old, n);
    let (status, moved) = timed(|| {
        Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(["migrate", "--from", &old.config, "--to", &new.config])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("the program runs")
    });
    assert!(status.success(), "{status}");
    new.start();
    let all: Vec<Actor> = callers(&created).collect();
    assert_eq!(all.len() as u64, n);
    let ((), used) = timed(|| {
        std::thread::scope(|scope| {
            for share in all.chunks(all.len().div_ceil(CALLERS)) {
                scope.spawn(|| use_each_once(&new, share));
            }
        });
    });
    assert_eq!(upstreams[0].count() as u64, n, "sent once each");
    new.command(&["check"]).ok();
    figures(format_args!(
        "{n} credentials: moved in {:.1} s; each used once at a node on the new store in {:.1} s, {n} of {n} let in",
        moved.as_secs_f64(),
        used.as_secs_f64(),
    ));
}
