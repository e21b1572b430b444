//! The disk is full, or takes no writes; nobody reads the event log. Requests go on, what can't be written is said or counted.
use crate::faults::{expect_soon, failed, metric, served_during};
use crate::support::{
    Folder, Run, Setup, Upstream, World, eventually, number_of_trials, rows, skipped, skips_unless_sqlite,
    tag, wait_for,
};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A small disk of its own, in memory; gone when its owner goes.
struct Disk {
    folder: Folder,
}

impl Disk {
    /// `None` where nobody may mount one, which is told.
    fn new(test: &str) -> Option<Disk> {
        let folder = Folder::new();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "doorward-test"]).arg(folder.path());
        let out = mount.stdin(Stdio::null()).output();
        if out.as_ref().is_ok_and(|out| out.status.success()) {
            return Some(Disk { folder });
        }
        skipped(test, "no small disk can be mounted here");
        None
    }

    fn filler(&self) -> String {
        self.folder.file("filler")
    }

    /// Leaves room for less than `bytes`.
    fn fill(&self, bytes: usize) {
        let mut filler = File::options().create(true).append(true).open(self.filler()).expect("a file");
        let (mut block, zeros) = (64 * 1024, vec![0; 64 * 1024]);
        while block > 0 {
            if filler.write_all(&zeros[..block]).is_err() {
                block /= 2;
            }
        }
        let full = filler.metadata().expect("a file").len();
        filler.set_len(full.saturating_sub(bytes as u64)).expect("a file");
    }

    fn clear(&self) {
        std::fs::remove_file(self.filler()).expect("it was full");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also where somebody still has a file open on it.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

fn create(at: &crate::support::Gateway) -> Run {
    let words = ["credential", "create", "--workspace", "acme-live", "--kind", "server", "--count", "50"];
    at.command(&[&words[..], &["--dialect", "voucherify", "--json"]].concat())
}

/// The store and the event log are on a disk that is full: what is written is written whole or refused, requests go on,
/// events are lost and counted, and once there is room again all is as before.
#[test]
fn a_full_disk_stops_writing_and_nothing_else() {
    if skips_unless_sqlite() {
        return;
    }
    let Some(disk) = Disk::new("a_full_disk_stops_writing_and_nothing_else") else { return };
    let events = disk.folder.file("events.jsonl");
    let world = World::with(|setup| {
        let store = format!("{:?}", format!("sqlite:{}", disk.folder.file("doorward.db")));
        setup.set("store", "url", store).set("events", "file", format!("{events:?}"))
    });
    let lost = || metric(&world.gateway, "doorward_events_lost_total") as u64;
    let mut known = world.server_ids();
    for trial in 0..number_of_trials(3) {
        // Not always at the same place of a page or a line.
        disk.fill(usize::try_from(trial % 7).unwrap_or(0) * 4_096);
        let before = lost();
        let (_, took) = served_during(&world.gateway, &world.server, || {
            let run = create(&world.gateway);
            failed("full disk", &run);
            assert!(run.stderr.contains("full") || run.stderr.contains("room"), "{run:?}");
            known.extend(
                rows(&run.stdout).iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()),
            );
            let block = world.gateway.command(&["credential", "block", &world.server.id]);
            assert!(block.code == 1, "{block:?}");
            eventually("events are lost", || lost() > before);
        });
        expect_soon("full disk", took);
        disk.clear();
        world.ask(world.server.get("/v1/x")).expect_ok();
        let run =
            wait_for("writing works again", || Some(create(&world.gateway)).filter(|run| run.code == 0));
        let made: Vec<_> = rows(&run.stdout).iter().map(crate::support::Actor::from_row).collect();
        known.extend(made.iter().map(|actor| actor.id.clone()));
        assert_eq!(world.server_ids(), known, "what was acknowledged, and nothing else");
        let last = made.last().expect("some were made");
        eventually("it is followed", || world.ask(last.get("/v1/x")).status == 200);
        world.gateway.command(&["check"]).ok();
        let word = tag();
        eventually("events are written again", || {
            world.ask(world.server.get(&format!("/v1/{word}"))).expect_ok();
            std::fs::read_to_string(&events).unwrap_or_default().contains(&word)
        });
    }
    let text = std::fs::read_to_string(&events).expect("the event log");
    for line in text[..text.rfind('\n').map_or(0, |end| end + 1)].lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "half a line: {line}");
    }
    assert_eq!(world.gateway.log().matches("events can't be written").count() as u64, number_of_trials(3));
}

/// Who may only read the store's file gets a sentence, and changes nothing.
#[test]
fn a_store_that_may_only_be_read_is_not_written_to() {
    if skips_unless_sqlite() {
        return;
    }
    let world = World::new();
    let folder = world.gateway.folder.path();
    let files = ["doorward.db", "doorward.db-wal", "doorward.db-shm"].map(|name| folder.join(name));
    let mode = |of: &Path, mode: u32| {
        std::fs::set_permissions(of, std::fs::Permissions::from_mode(mode)).expect("its owner may");
    };
    for (what, files_mode, folder_mode) in
        [("the files", 0o400, 0o700), ("the folder", 0o600, 0o500), ("both", 0o400, 0o500)]
    {
        let before = world.server_ids();
        files.iter().filter(|file| file.exists()).for_each(|file| mode(file, files_mode));
        mode(folder, folder_mode);
        let words = ["credential", "create", "--workspace", "acme-live", "--kind", "server"];
        let (run, took) = served_during(&world.gateway, &world.server, || {
            as_owner(&[&words[..], &["--dialect", "standard", "--config", &world.gateway.config]].concat())
        });
        if files_mode == 0o400 {
            failed(what, &run);
            assert!(run.stderr.contains("read") || run.stderr.contains("ermission"), "{what}: {run:?}");
        }
        expect_soon(what, took);
        mode(folder, 0o700);
        files.iter().filter(|file| file.exists()).for_each(|file| mode(file, 0o600));
        if files_mode == 0o400 {
            assert_eq!(world.server_ids(), before, "{what}");
        }
        world.gateway.command(&["check"]).ok();
    }
    world.gateway.actor("acme-live", "server", &[]);
}

/// Runs a command with no more rights to files than their owner has, also where the tests run as root.
fn as_owner(words: &[&str]) -> Run {
    let program = env!("CARGO_BIN_EXE_doorward");
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--", program]);
    let test = command.arg("--version").output();
    let mut command = if test.is_ok_and(|out| out.status.success()) {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--", program]);
        command
    } else {
        Command::new(program)
    };
    let out = command.args(words).stdin(Stdio::null()).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: out.status.code().unwrap_or(-1), stdout: text(&out.stdout), stderr: text(&out.stderr) }
}

/// The event log is a pipe that nobody reads: no request waits, what does not fit is counted, and the node ends when it is
/// told to. Whoever comes to read gets whole lines.
#[test]
fn an_event_log_that_nobody_reads_holds_up_nobody() {
    let upstream = Upstream::start();
    let mut pipe = String::new();
    let setup = Setup::new().policy(World::policy(&upstream, &upstream));
    pipe.push_str(&setup.folder().file("pipe"));
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let mut gateway = setup.set("events", "file", format!("{pipe:?}")).prepare();
    let caller = gateway.actor("acme-live", "server", &[]);
    gateway.start();
    let lost = |gateway: &crate::support::Gateway| metric(gateway, "doorward_events_lost_total") as u64;
    // Long lines fill whatever waits.
    let long = caller.get(&format!("/v1/{}", "x".repeat(12_000)));
    let mut took = Vec::new();
    let mut connection = gateway.connect();
    while lost(&gateway) == 0 {
        for _ in 0..200 {
            let started = Instant::now();
            connection.expect_serves(&long).expect_ok();
            took.push(started.elapsed());
        }
        assert!(took.len() < 20_000, "nothing was ever lost");
    }
    expect_soon("a pipe that nobody reads", took);
    // Somebody reads after all.
    let word = tag();
    let (reading, file) = (std::sync::atomic::AtomicBool::new(true), File::open(&pipe).expect("the pipe"));
    let text = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut file, mut text, mut room) = (file, Vec::new(), vec![0; 64 * 1024]);
            while let Ok(n) = file.read(&mut room) {
                let seen = text.len().saturating_sub(word.len());
                text.extend_from_slice(&room[..n]);
                let found = contains(&text[seen..], word.as_bytes());
                if n == 0 || found || !reading.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
            text
        });
        let started = Instant::now();
        while !reader.is_finished() && started.elapsed() < Duration::from_secs(10) {
            gateway.ask(caller.get(&format!("/v1/{word}"))).expect_ok();
        }
        reading.store(false, std::sync::atomic::Ordering::Relaxed);
        gateway.ask(caller.get(&format!("/v1/{word}"))).expect_ok();
        reader.join().expect("the reader")
    });
    assert!(contains(&text, word.as_bytes()), "no new event came through");
    let text = String::from_utf8_lossy(&text);
    for line in text[..text.rfind('\n').map_or(0, |end| end + 1)].lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "half a line: {line}");
    }
    // Full again, and told to stop.
    let before = lost(&gateway);
    while lost(&gateway) == before {
        (0..200).for_each(|_| drop(connection.expect_serves(&long)));
    }
    gateway.signal("TERM");
    let status = gateway.ended();
    assert_eq!(status.code(), Some(0), "{status:?}");
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|w| w == word)
}
