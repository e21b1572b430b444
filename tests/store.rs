//! The store: what was tampered with or damaged is found out, and nothing runs on it.
use crate::support::{Database, Engine, Gateway, Setup, Upstream, World, doorward, skips_unless_sqlite};

fn prepared() -> Gateway {
    let (production, sandbox) = (Upstream::start(), Upstream::start());
    let gateway = Setup::new().policy(World::policy(&production, &sandbox)).prepare();
    gateway.actor("acme-live", "server", &["--name", "tamper-with-me", "--scope", "read-only-scope"]);
    gateway.command(&["check"]).ok();
    gateway
}

/// Replaces text in the database, everywhere, by text of the same length, past the program.
fn tampered(gateway: Gateway, from: &str, to: &str) -> Gateway {
    assert_eq!(from.len(), to.len());
    if Engine::of_this_run() == Engine::Postgres {
        let dump = gateway.database().dump();
        assert!(dump.contains(from), "{from} is not in the database");
        return Setup::on_database(Database::from_dump(&dump.replace(from, to))).prepare_unchecked();
    }
    let file = gateway.folder.file("doorward.db");
    let mut bytes = std::fs::read(&file).expect("the store");
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, w)| *w == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "{from} is not in the file");
    for at in &places {
        bytes[*at..*at + to.len()].copy_from_slice(to.as_bytes());
    }
    std::fs::write(&file, bytes).expect("the store");
    gateway
}

/// The change table is chained: whoever writes to the database past the program is found out.
#[test]
fn a_store_that_was_tampered_with_is_found_out() {
    for (from, to) in [
        ("tamper-with-me", "tamper-with-us"),
        ("read-only-scope", "full-access-now"),
        ("acme-live", "acme-evil"),
    ] {
        let gateway = tampered(prepared(), from, to);
        let run = gateway.command(&["check"]);
        assert!(run.code == 1 && !run.stderr.is_empty(), "{from}: {run:?}");
    }
}

/// Whatever became of the file, the program says so and does not start on it.
#[test]
fn a_damaged_store_is_not_served() {
    if skips_unless_sqlite() {
        return;
    }
    let whole = prepared();
    let bytes = std::fs::read(whole.folder.file("doorward.db")).expect("the store");
    for (what, damaged) in [
        ("no database", b"this is no database at all".repeat(400)),
        ("its first page alone", bytes[..4096.min(bytes.len())].to_vec()),
        ("half of it", bytes[..bytes.len() / 2].to_vec()),
        (
            "zeros in its midst",
            [&bytes[..8192], &vec![0; bytes.len() - 16_384][..], &bytes[bytes.len() - 8192..]].concat(),
        ),
    ] {
        std::fs::write(whole.folder.file("doorward.db"), damaged).expect("the store");
        let run = whole.command(&["check"]);
        assert!(run.code == 1 && !run.stderr.is_empty(), "{what}: {run:?}");
        let list = whole.command(&["credential", "list"]);
        assert!(list.code == 1 || what != "no database", "{what}: {list:?}");
    }
}

/// Several writers at once, while a node reads and notes what is used: each waits for its turn, none fails.
#[test]
fn writers_take_turns() {
    let world = World::new();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let create =
            || world.gateway.create(&["--workspace", "acme-live", "--kind", "server", "--count", "25"]);
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
        for _ in 0..50 {
            world.ask(world.server.get("/v1/x")).expect_ok();
        }
        let created = writers.into_iter().flat_map(|writer| writer.join().expect("none fails"));
        created.map(|row| row["id"].as_str().unwrap_or_default().to_owned()).collect()
    });
    world.gateway.command(&["check"]).ok();
    let listed = world.gateway.command(&["credential", "list", "--json"]).ok().stdout;
    assert!(ids.len() == 100 && ids.iter().all(|id| listed.contains(id.as_str())));
}

/// A policy that was written by half is refused or taken as it stands; it never brings the program down.
#[test]
fn half_a_policy_does_no_harm() {
    let (production, sandbox) = (Upstream::start(), Upstream::start());
    let policy = World::policy(&production, &sandbox);
    let gateway = Setup::new().policy(policy.clone()).prepare();
    let before = gateway.command(&["export"]).ok().stdout;
    for end in (0..policy.len()).step_by(97) {
        let file = gateway.folder.write("half.toml", &policy[..end]);
        let run = gateway.command(&["apply", "--dry-run", "-f", &file]);
        assert!(matches!(run.code, 0 | 1), "cut at {end}: {run:?}");
    }
    assert_eq!(gateway.command(&["export"]).ok().stdout, before);
}

/// A key is a file of its own: without it the store tells nothing.
#[test]
fn another_key_opens_nothing() {
    let gateway = prepared();
    std::fs::remove_file(gateway.folder.file("master.key")).expect("the key");
    doorward(&["master-key", "create", &gateway.folder.file("master.key")]).ok();
    for words in [&["check"][..], &["credential", "list"], &["export"]] {
        let run = gateway.command(words);
        assert!(run.code == 1 && run.stderr.contains("key"), "{words:?}: {run:?}");
    }
}
