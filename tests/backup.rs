//! Backups of a store in use, and what becomes of callers, nodes and files when one takes the store's place.
use crate::support::{
    Actor, Gateway, Run, Setup, World, doorward, eventually, rows, skips_unless_postgres, skips_unless_sqlite,
};
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asserts that a command was refused in one sentence with this in it.
#[track_caller]
fn refused(run: &Run, words: &str) {
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(run.stdout, "", "{run:?}");
    assert!(run.stderr.contains(words), "`{words}` is not said: {run:?}");
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "{run:?}");
}

fn told(run: Run) -> Value {
    rows(&run.ok().stdout).remove(0)
}

fn backup(gateway: &Gateway, name: &str) -> (String, Value) {
    let file = gateway.folder.file(name);
    let made = told(gateway.command(&["backup", "--to", &file, "--json"]));
    (file, made)
}

/// Files beside the store whose names tell of a restore or of a backup that is under way.
fn left_over(gateway: &Gateway, word: &str) -> Vec<String> {
    let files = std::fs::read_dir(gateway.folder.path()).expect("the folder");
    let names = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(word)).collect()
}

/// Taken while a node serves and others write: everything acknowledged before the backup began is in it, what came later
/// is not, and all of it works once it was put back.
#[test]
fn a_backup_under_load_holds_what_was_acknowledged() {
    if skips_unless_sqlite() {
        return;
    }
    let mut world = World::new();
    let (acknowledged, stop) = (Mutex::new(Vec::<Actor>::new()), AtomicBool::new(false));
    let (file, made, before) = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let new = world.gateway.actor("acme-live", "server", &[]);
                    acknowledged.lock().expect("no writer failed").push(new);
                }
            });
        }
        let count = || acknowledged.lock().expect("no writer failed").len();
        eventually("some are written", || count() > 5);
        let before = acknowledged.lock().expect("no writer failed").clone();
        world.ask(world.server.get("/v1/x")).expect_ok();
        let (file, made) = backup(&world.gateway, "backup.db");
        world.ask(world.server.get("/v1/x")).expect_ok();
        let after = count();
        eventually("writing goes on", || count() > after);
        stop.store(true, Ordering::SeqCst);
        (file, made, before)
    });
    let late = world.gateway.actor("acme-live", "server", &[]);
    assert_eq!(made["master_key"], "not included");
    let key = std::fs::read(world.gateway.folder.file("master.key")).expect("the key");
    let bytes = std::fs::read(&file).expect("the backup");
    assert_eq!(made["bytes"], bytes.len());
    assert!(!bytes.windows(40).any(|w| w == &key[..40]));

    // Not while a node runs on it: which one is told.
    let running = world.gateway.command(&["restore", "--from", &file]);
    refused(&running, "the store is in use");
    assert!(running.stderr.contains("seen lately: test"), "{running:?}");
    eventually("the node goes on following", || world.ask(late.get("/v1/x")).status == 200);
    assert_eq!(left_over(&world.gateway, "restor"), Vec::<String>::new());

    world.gateway.signal("TERM");
    assert_eq!(world.gateway.ended().code(), Some(0));
    let restored = told(world.gateway.command(&["restore", "--from", &file, "--json"]));
    assert_eq!(restored["credentials"], made["credentials"]);
    assert_ne!(restored["epoch"], made["epoch"]);
    assert_eq!(restored["seq"].as_i64(), made["seq"].as_i64().map(|seq| seq + 1));
    world.gateway.command(&["check"]).ok();
    world.gateway.start();
    for actor in before.iter().chain([&world.server, &world.single]) {
        world.ask(actor.get(if actor.dialect == "standard" { "/std/x" } else { "/v1/x" })).expect_ok();
    }
    world.ask(late.get("/v1/x")).expect(401, "credential_invalid");
    // What was replaced is still there, and whole.
    let kept = restored["replaced"].as_str().expect("a file").to_owned();
    assert_eq!(left_over(&world.gateway, "before-restore").len(), 1);
    world.gateway.signal("TERM");
    world.gateway.ended();
    world.gateway.command(&["restore", "--from", &kept]).ok();
    world.gateway.start();
    world.ask(late.get("/v1/x")).expect_ok();
}

/// Bad input: one sentence, nothing written, and the store goes on as it was.
#[test]
fn what_is_no_backup_of_this_store_is_refused() {
    if skips_unless_sqlite() {
        return;
    }
    let gateway = Setup::new().prepare();
    gateway.apply("[[workspace]]\nid = \"acme\"\nenvironment = \"production\"\n").ok();
    gateway.create(&["--workspace", "acme", "--kind", "server", "--count", "50"]);
    let (good, _) = backup(&gateway, "good.db");
    let export = gateway.command(&["export"]).ok().stdout;
    let bytes = std::fs::read(&good).expect("the backup");
    let write = |name: &str, bytes: &[u8]| {
        let file = gateway.folder.file(name);
        std::fs::write(&file, bytes).expect("the folder takes files");
        file
    };
    let foreign = Setup::new().prepare();
    foreign.command(&["credential", "list"]).ok();
    let (foreign, _) = backup(&foreign, "foreign.db");
    let mut damaged = bytes.clone();
    let middle = bytes.len() / 2;
    damaged[middle..middle + 4096].fill(0x55);
    let before = std::fs::read(gateway.folder.file("doorward.db")).expect("the store");
    for (file, words) in [
        (gateway.folder.file("missing.db"), "No such file"),
        (write("text.db", b"notes"), "no SQLite database"),
        (write("half.db", &bytes[..middle]), "damaged"),
        (write("damaged.db", &damaged), "damaged"),
        (foreign, "not the master key"),
        (gateway.folder.file("doorward.db"), "is the store that is to be replaced"),
    ] {
        refused(&gateway.command(&["restore", "--from", &file]), words);
        assert_eq!(std::fs::read(gateway.folder.file("doorward.db")).expect("the store"), before, "{file}");
    }
    assert_eq!(left_over(&gateway, "restor"), Vec::<String>::new());
    assert_eq!(gateway.command(&["export"]).ok().stdout, export);
    gateway.command(&["check"]).ok();

    refused(&gateway.command(&["backup", "--to", &good]), "there is a file already");
    assert_eq!(std::fs::read(&good).expect("the backup"), bytes);
    refused(&gateway.command(&["backup", "--to", &gateway.folder.file("no/such/folder.db")]), "No such file");
    assert_eq!(left_over(&gateway, ".part"), Vec::<String>::new());
    for words in [&["backup"][..], &["restore"], &["restore", "--from", &good, "--in-place"]] {
        assert_eq!(gateway.command(words).code, 2, "{words:?}");
    }
    let nowhere = gateway.folder.file("nowhere");
    refused(
        &doorward(&["backup", "--data", &nowhere, "--to", &gateway.folder.file("x.db")]),
        "there is no store",
    );
    assert!(!std::path::Path::new(&nowhere).exists());
}

/// A server's store is put back by the server's tools. A node that runs meanwhile follows what is there then, and the
/// command gives it an epoch of its own.
#[test]
fn a_store_on_a_server_is_put_back_by_its_tools_and_begins_an_epoch() {
    if skips_unless_postgres() {
        return;
    }
    let world = World::new();
    let gateway = &world.gateway;
    let file = gateway.folder.file("backup.db");
    refused(&gateway.command(&["backup", "--to", &file]), "pg_dump");
    refused(&gateway.command(&["restore", "--from", &file]), "--in-place");
    let late = gateway.actor("acme-live", "server", &[]);
    let caught_up = |actor: &Actor, code: &str| {
        eventually("the node has caught up", || {
            let answer = gateway.ask(actor.get("/v1/x"));
            if code.is_empty() { answer.status == 200 } else { answer.code() == code }
        })
    };
    caught_up(&late, "");
    // As a restore to the instant before that change would leave it.
    let undo = format!(
        "BEGIN; DELETE FROM credential WHERE id = '{}'; DELETE FROM change WHERE seq = (SELECT seq FROM head); \
         UPDATE head SET seq = seq - 1; COMMIT",
        late.id
    );
    gateway.database().sql(&undo);
    caught_up(&late, "credential_invalid");
    let begun = told(gateway.command(&["restore", "--in-place", "--json"]));
    assert_eq!(begun["replaced"], Value::Null);
    gateway.command(&["check"]).ok();
    let again = told(gateway.command(&["restore", "--in-place", "--json"]));
    assert_ne!(begun["epoch"], again["epoch"]);
    gateway.ask(world.server.get("/v1/x")).expect_ok();
    caught_up(&gateway.actor("acme-live", "server", &[]), "");
    // What was put back and is not whole begins nothing.
    gateway.database().sql("UPDATE change SET actor = 'nobody' WHERE seq = 2");
    let before = gateway.database().dump();
    refused(&gateway.command(&["restore", "--in-place"]), "change 2");
    let rest = |dump: String| {
        dump.lines().filter(|l| !l.contains("INTO public.node")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(rest(gateway.database().dump()), rest(before));
}
