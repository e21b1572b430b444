//! What goes wrong with the store while it is in use: known callers are served from memory for as long as that may be
//! relied on, then nobody; writes say whether they were made; and it all comes back by itself.
//!
//! The store's own faults are those of PostgreSQL behind a wire that a test can cut, and of an SQLite file that is gone
//! or held by somebody else.
use crate::support::{
    Actor, Dice, Engine, Gateway, Run, Setup, Wire, World, doorward, eventually, number_of_trials, rows,
    skips_unless_postgres, wait_for,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a command may take to give up on a store that does not answer.
const GIVES_UP: Duration = Duration::from_secs(30);
/// What the slowest of a hundred requests may take beside whatever the store does, on a machine as busy as one that runs
/// tests. A request that waited for the store would take seconds.
const SOON: Duration = Duration::from_millis(2_000);

/// Asserts that a command failed in one sentence.
#[track_caller]
pub(crate) fn failed(what: &str, run: &Run) {
    assert_eq!(run.code, 1, "{what}: {run:?}");
    let lines = run.stderr.trim_end().lines().count();
    assert!(lines == 1 && !run.stderr.trim().is_empty(), "{what}: {run:?}");
}

/// Calls without a pause while `work` goes on; what it gave, and how long each call took. Each must be let in.
pub(crate) fn served_during<T>(
    gateway: &Gateway,
    caller: &Actor,
    work: impl FnOnce() -> T,
) -> (T, Vec<Duration>) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let mut took = Vec::new();
            let mut connection = gateway.connect();
            while !over.load(Ordering::Relaxed) || took.len() < 100 {
                let started = Instant::now();
                connection.expect_serves(&caller.get("/v1/x")).expect_ok();
                took.push(started.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            took
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        let took = calling.join().expect("every call was served");
        (done.unwrap_or_else(|why| std::panic::resume_unwind(why)), took)
    })
}

#[track_caller]
pub(crate) fn expect_soon(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let slowest = took[took.len() * 99 / 100];
    println!(
        "{what}: {} requests, 99 of 100 within {slowest:?}, all within {:?}",
        took.len(),
        took[took.len() - 1]
    );
    assert!(slowest < SOON, "{what}: {slowest:?}");
}

/// A metric without labels.
pub(crate) fn metric(gateway: &Gateway, name: &str) -> f64 {
    let text = gateway.operations("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Warnings and worse in the operator's log, from some byte on.
pub(crate) fn complaints(gateway: &Gateway, from: usize) -> Vec<String> {
    let log = gateway.log();
    let worse = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    log[from..].lines().filter(worse).map(str::to_owned).collect()
}

/// Resident memory in KiB, threads, and open files of a gateway.
fn held(gateway: &Gateway) -> [u64; 3] {
    let of = format!("/proc/{}", gateway.pid());
    let status = std::fs::read_to_string(format!("{of}/status")).expect("it runs");
    let number = |key: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line of /proc");
        value.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let files = std::fs::read_dir(format!("{of}/fd")).expect("it runs").count() as u64;
    [number("VmRSS:"), number("Threads:"), files]
}

/// A node of this installation that reaches its database by a wire.
fn by_wire(world: &World, max_staleness_s: u32) -> (Gateway, Wire) {
    let wire = Wire::to(world.gateway.database().address());
    let setup = Setup::beside(&world.gateway).through(wire.address);
    let mut node = setup.set("store", "max_staleness_s", max_staleness_s).prepare_unchecked();
    node.start();
    (node, wire)
}

/// Past `max_staleness` everybody hears that the node can't tell, whoever they are; nobody hears that they are unknown.
#[test]
fn nothing_is_decided_from_what_is_too_old() {
    let world = World::with(|setup| setup.set("store", "max_staleness_s", 1));
    let callers = [
        world.server.clone(),
        world.server.with_secret("wrong"),
        world.server.with_id("nobody"),
        world.page.clone(),
        world.single.clone(),
    ];
    let answer = |caller: &Actor| {
        let target = match (caller.dialect.as_str(), caller.kind.as_str()) {
            ("standard", _) => "/std/x",
            (_, "client") => "/client/v1/x",
            _ => "/v1/x",
        };
        world.ask(caller.get(target))
    };
    for _ in 0..number_of_trials(2) {
        let log = world.gateway.log().len();
        answer(&callers[0]).expect_ok();
        answer(&callers[2]).expect(401, "credential_invalid");
        world.gateway.take_store_away();
        answer(&callers[0]).expect_ok();
        eventually("it refuses", || answer(&callers[0]).code() == "unavailable");
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(600) {
            for caller in &callers {
                answer(caller).expect(503, "unavailable");
            }
        }
        assert_eq!(world.gateway.operations("/readyz").status, 503);
        assert_eq!(world.gateway.operations("/healthz").status, 200);
        world.gateway.give_store_back();
        eventually("it is back", || answer(&callers[0]).status == 200);
        answer(&callers[2]).expect(401, "credential_invalid");
        let told = complaints(&world.gateway, log);
        assert_eq!(told.len(), 1, "one warning for one outage: {told:#?}");
    }
    assert_eq!(metric(&world.gateway, "doorward_failopen_total") as u64, 0);
}

/// While the store is away, however it went, requests take no longer, and nothing piles up.
#[test]
fn an_outage_disturbs_no_request() {
    let on_server = Engine::of_this_run() == Engine::Postgres;
    let world = World::new();
    let (node, wire) = if on_server {
        let (node, wire) = by_wire(&world, 60);
        (Some(node), Some(wire))
    } else {
        (None, None)
    };
    let node = node.as_ref().unwrap_or(&world.gateway);
    let ways: &[&str] = if on_server { &["refused", "stalled"] } else { &["gone"] };
    // Everything that is made once is made.
    served_during(node, &world.server, || std::thread::sleep(Duration::from_millis(2_500)));
    for way in ways {
        let (log, before) = (node.log().len(), held(node));
        let (_, took) = served_during(node, &world.server, || {
            match (&wire, *way) {
                (Some(wire), "refused") => wire.refuse(),
                (Some(wire), _) => wire.stall(),
                (None, _) => node.take_store_away(),
            }
            eventually("it is noticed", || metric(node, "doorward_store_up") as u64 == 0);
            // Who is not known here may be known to the store by now: nobody is told to be unknown, or wrong.
            for stranger in [world.server.with_id("nobody"), world.server.with_secret("wrong")] {
                node.ask(stranger.get("/v1/x")).expect(503, "unavailable");
            }
            std::thread::sleep(Duration::from_millis(2_500));
        });
        expect_soon(&format!("store {way}"), took);
        let after = held(node);
        println!("store {way}: KiB, threads, files {before:?} -> {after:?}");
        assert!(after[0] < before[0] + 16 * 1024, "memory: {before:?} {after:?}");
        assert!(after[1] <= before[1] + 4 && after[2] <= before[2] + 8, "{before:?} {after:?}");
        match &wire {
            Some(wire) => wire.flow(),
            None => node.give_store_back(),
        }
        eventually("it is back", || metric(node, "doorward_store_up") as u64 == 1);
        node.ask(world.server.with_id("nobody").get("/v1/x")).expect(401, "credential_invalid");
        let told = complaints(node, log);
        assert_eq!(told.len(), 1, "{way}: one warning for one outage: {told:#?}");
    }
}

/// Cut off anywhere while a command writes, it stops, and what it says is true: what it printed is there, and what may be
/// there beyond that it says.
#[test]
fn a_write_that_is_cut_off_says_what_became_of_it() {
    if skips_unless_postgres() {
        return;
    }
    let world = World::new();
    let mut there = world.server_ids().len();
    let mut dice = Dice(11);
    let (mut done, mut open, mut failures) = (0, 0, 0);
    for trial in 0..number_of_trials(8) {
        let wire = Wire::to(world.gateway.database().address());
        let writer = Setup::beside(&world.gateway).through(wire.address).prepare_unchecked();
        wire.delay(Duration::from_millis(dice.roll(6)));
        let words = ["credential", "create", "--workspace", "acme-live", "--kind", "server"];
        let more = ["--dialect", "voucherify", "--count", "100", "--json", "--config", &writer.config];
        let run = std::thread::scope(|scope| {
            let running = scope.spawn(|| doorward(&[&words[..], &more].concat()));
            wait_for("a connection", || (wire.open() > 0).then_some(()));
            std::thread::sleep(Duration::from_micros(dice.roll(1_500_000)));
            wire.refuse();
            running.join().expect("it ends")
        });
        let told = rows(&run.stdout).len();
        crate::kill9::settled(&world.gateway);
        let after = world.server_ids().len();
        let made = after - there;
        there = after;
        if run.code != 0 {
            failed(&format!("trial {trial}"), &run);
            failures += 1;
        }
        let says_open = run.stderr.contains("may or may not");
        open += u32::from(says_open);
        assert!(made == told || (made == told + 1 && says_open), "trial {trial}: {made} made, {run:?}");
        done += made;
        world.gateway.command(&["check"]).ok();
    }
    println!("{done} written, {failures} cut off, {open} of them at their commit");
    assert!(failures > 0, "nothing was ever cut off");
}

/// Cut off while the server makes a write last: nobody can tell the writer that it was made, and it is told that.
#[test]
fn a_commit_without_an_answer_is_told_as_open() {
    if skips_unless_postgres() {
        return;
    }
    let world = World::new();
    let database = world.gateway.database();
    // A commit that takes its time.
    database.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON change DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let sleeping =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    for cut in [Wire::cut, Wire::refuse] {
        let wire = Wire::to(database.address());
        let writer = Setup::beside(&world.gateway).through(wire.address).prepare_unchecked();
        let before = world.server_ids().len();
        let words = ["credential", "create", "--workspace", "acme-live", "--kind", "server", "--dialect"];
        let run = std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                doorward(&[&words[..], &["voucherify", "--json", "--config", &writer.config]].concat())
            });
            eventually("it commits", || database.sql(sleeping).trim() == "1");
            cut(&wire);
            running.join().expect("it ends")
        });
        failed("no answer to a commit", &run);
        assert!(run.stderr.contains("may or may not") && run.stdout.is_empty(), "{run:?}");
        // This server went on and did it.
        eventually("it is there", || world.server_ids().len() == before + 1);
    }
    world.gateway.command(&["check"]).ok();
}

/// A server that stops answering in the midst of a write holds nobody up for long: not the command, not other writers,
/// not a node that is told to stop.
#[test]
fn a_write_that_gets_no_answer_gives_up() {
    if skips_unless_postgres() {
        return;
    }
    let world = World::new();
    let (mut node, wire) = by_wire(&world, 60);
    let before = world.server_ids().len();
    let words = ["credential", "create", "--workspace", "acme-live", "--kind", "server", "--dialect"];
    let more = ["voucherify", "--count", "100000", "--json", "--config"];
    let config = node.config.clone();
    let words = [&words[..], &more, &[&config]].concat();
    let run = std::thread::scope(|scope| {
        let running = scope.spawn(|| doorward(&words));
        eventually("it writes", || world.server_ids().len() > before + 5);
        wire.stall();
        let started = Instant::now();
        node.signal("TERM");
        let status = node.ended();
        assert_eq!(status.code(), Some(0), "{status:?}");
        println!("the node ended after {:?}", started.elapsed());
        let run = running.join().expect("it ends");
        assert!(started.elapsed() < GIVES_UP, "{:?}", started.elapsed());
        println!("the command gave up after {:?}", started.elapsed());
        run
    });
    failed("no answer", &run);
    let (told, made) = (rows(&run.stdout).len(), world.server_ids().len() - before);
    let says_open = run.stderr.contains("may or may not");
    assert!(made == told || (made == told + 1 && says_open), "{made} made, {told} told: {}", run.stderr);
    // The server lets go of what the lost writer held.
    world.gateway.actor("acme-live", "server", &[]);
    world.gateway.command(&["check"]).ok();
}

/// Two seconds for each answer: changes come late, and nothing else changes.
#[test]
fn a_slow_store_makes_changes_late_and_nothing_else() {
    if skips_unless_postgres() {
        return;
    }
    let world = World::new();
    let (node, wire) = by_wire(&world, 16);
    let log = node.log().len();
    let caller = world.gateway.actor("acme-live", "server", &[]);
    eventually("it is known", || node.ask(caller.get("/v1/x")).status == 200);
    wire.delay(Duration::from_secs(1));
    world.gateway.command(&["credential", "block", &caller.id]).ok();
    let (_, took) = served_during(&node, &world.server, || {
        let late =
            eventually("it is obeyed", || node.ask(caller.get("/v1/x")).code() == "credential_blocked");
        println!("obeyed after {late:?}");
    });
    expect_soon("slow store", took);
    assert!(metric(&node, "doorward_directory_age_seconds") < 16.0);
    assert_eq!(metric(&node, "doorward_store_outages_total") as u64, 0);
    assert!(wire.open() <= 6, "{} connections", wire.open());
    wire.flow();
    eventually("it is quick again", || metric(&node, "doorward_directory_age_seconds") < 0.5);
    let told = complaints(&node, log);
    assert!(told.is_empty(), "{told:#?}");
}

/// A database that takes no writes for a while is still followed, also by new connections; writing is refused.
#[test]
fn a_read_only_store_is_followed_and_not_written_to() {
    if skips_unless_postgres() {
        return;
    }
    let world = World::with(|setup| setup.set("store", "max_staleness_s", 2));
    let database = world.gateway.database();
    let set = |how: &str| {
        let alter = format!("ALTER DATABASE {} {how}", database.name());
        database.sql(&format!("BEGIN; SET TRANSACTION READ WRITE; {alter}; COMMIT"));
        // Who is connected keeps the old setting.
        database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
    };
    let before = world.server_ids().len();
    set("SET default_transaction_read_only = on");
    let create =
        ["credential", "create", "--workspace", "acme-live", "--kind", "server", "--dialect", "standard"];
    let (_, took) = served_during(&world.gateway, &world.server, || {
        for words in [&create[..], &["credential", "block", &world.server.id]] {
            let run = world.gateway.command(words);
            failed("read-only", &run);
            assert!(run.stderr.contains("read-only"), "{run:?}");
        }
        std::thread::sleep(Duration::from_millis(2_500));
    });
    expect_soon("read-only store", took);
    assert_eq!(metric(&world.gateway, "doorward_store_up") as u64, 1);
    set("RESET default_transaction_read_only");
    let caller = world.gateway.actor("acme-live", "server", &[]);
    eventually("it is followed", || world.ask(caller.get("/v1/x")).status == 200);
    assert_eq!(world.server_ids().len(), before + 1);
}

impl World {
    /// Every credential's id.
    pub(crate) fn server_ids(&self) -> std::collections::HashSet<String> {
        let listed = rows(&self.gateway.command(&["credential", "list", "--json"]).ok().stdout);
        listed.iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()).collect()
    }
}
