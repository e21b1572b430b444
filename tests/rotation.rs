//! The master key is changed while everybody goes on.
use crate::feed::Asker;
use crate::support::{
    Actor, Dice, Folder, Gateway, Run, Setup, Upstream, World, doorward, eventually, number_of_trials, rows,
};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn prepared(credentials: usize) -> (Gateway, Vec<Actor>, [Upstream; 2]) {
    let upstreams = [Upstream::start(), Upstream::start()];
    let gateway = Setup::new().policy(World::policy(&upstreams[0], &upstreams[1])).prepare();
    let count = credentials.to_string();
    let made = gateway.create(&["--workspace", "acme-live", "--kind", "server", "--count", &count]);
    (gateway, made.iter().map(Actor::from_row).collect(), upstreams)
}

/// Makes another master key.
fn another_key(folder: &Folder) -> String {
    let file = folder.file("another.key");
    doorward(&["master-key", "create", &file]).ok();
    file
}

#[track_caller]
fn expect_shown(gateway: &Gateway, actor: &Actor) {
    let run = gateway.command(&["credential", "show", &actor.id, "--reveal", "--json"]).ok();
    assert_eq!(rows(&run.stdout)[0]["secret"].as_str(), Some(&*actor.secret), "{run:?}");
}

/// Has a node know the store by another master key from its next start on.
fn give(gateway: &Gateway, key: &str) {
    std::fs::copy(key, gateway.folder.file("master.key")).expect("the key");
}

/// The old master key's fingerprint, from what a rotation told.
fn rotated(run: Run) -> (String, u64) {
    let told = rows(&run.ok().stdout).remove(0);
    (told["from"].as_str().expect("a fingerprint").to_owned(), told["resealed"].as_u64().expect("a number"))
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two nodes are asked without a pause while the master key changes and one after the other is started again: none of
/// their answers is a refusal. Secrets can be shown before, meanwhile and afterwards, and keys that were made before open
/// what they opened.
#[test]
fn rotating_the_master_key_disturbs_nobody() {
    let (mut first, actors, _upstreams) = prepared(200);
    first.start();
    let mut second = Gateway::beside(&first);
    let (key, old) = (another_key(&first.folder), first.folder.file("old.key"));
    std::fs::copy(first.folder.file("master.key"), &old).expect("the key");
    expect_shown(&first, &actors[0]);
    let over = AtomicBool::new(false);
    // What each node is asked while it is not the one that is started again.
    let asking = |gateway: &Gateway, part: &[Actor], over: &AtomicBool| {
        let mut askers: Vec<Asker> = part.iter().map(|actor| Asker::new(gateway, actor)).collect();
        let mut asked = 0;
        while !over.load(Ordering::Relaxed) {
            for asker in &mut askers {
                assert_eq!(asker.ask(), 200, "request {asked} while the master key changes");
                asked += 1;
            }
        }
        asked
    };
    let from = std::thread::scope(|scope| {
        let stop = Stop(&over);
        let callers = [
            scope.spawn(|| asking(&first, &actors[..20], &over)),
            scope.spawn(|| asking(&second, &actors[20..40], &over)),
        ];
        let showing = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                expect_shown(&second, &actors[1]);
            }
        });
        let (from, resealed) = rotated(first.command(&["master-key", "rotate", "--to", &key, "--json"]));
        assert_eq!(resealed, 200);
        // A node that knows of none of this makes keys that the other one obeys.
        let made = second.actor("acme-live", "server", &[]);
        Asker::new(&first, &made).until(200);
        expect_shown(&first, &made);
        drop(stop);
        for caller in callers {
            assert!(caller.join().expect("no request fails") > 0, "nobody asked");
        }
        showing.join().expect("secrets can be shown");
        from
    });
    // One by one the nodes get the new key; the other one answers meanwhile.
    for restarted in 0..2 {
        let (node, other) = if restarted == 0 { (&mut first, &second) } else { (&mut second, &first) };
        give(node, &key);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let stop = Stop(&over);
            let caller = scope.spawn(|| asking(other, &actors[40..60], &over));
            node.restart();
            drop(stop);
            assert!(caller.join().expect("no request fails") > 0, "nobody asked");
        });
        Asker::new(node, &actors[199]).until(200);
    }
    let check = first.command(&["check"]).ok();
    assert!(check.stdout.contains("2 master keys open the store"), "{check:?}");
    first.command(&["master-key", "retire", &from]).ok();
    let again =
        rows(&first.command(&["master-key", "retire", "--file", &old, "--json"]).ok().stdout).remove(0);
    assert_eq!((again["retired"].as_str(), again["before"].as_bool()), (Some(&*from), Some(true)));
    let check = first.command(&["check"]).ok();
    assert!(!check.stdout.contains("master keys open the store"), "{check:?}");
    assert!(check.stdout.contains("all 201 sealed secrets open"), "{check:?}");
    for node in [&first, &second] {
        for actor in &actors[..20] {
            node.ask(actor.get("/v1/x")).expect_ok();
        }
        expect_shown(node, &actors[2]);
    }
    // The old key opens nothing, and one sentence says so.
    give(&second, &old);
    for words in [&["check"][..], &["credential", "list"], &["export"]] {
        let run = second.command(words);
        assert_eq!(run.code, 1, "{words:?}: {run:?}");
        assert!(
            run.stderr.starts_with("this is not the master key of the store, or not any more"),
            "{run:?}"
        );
        assert_eq!(run.stderr.trim_end().lines().count(), 1, "{run:?}");
    }
    // Nor is anything of either master key in the store.
    let stored = first.stored();
    for file in [&old, &key] {
        let text = std::fs::read_to_string(file).expect("the key");
        assert!(!stored.windows(44).any(|w| w == text.trim().as_bytes()));
    }
}

/// Killed anywhere, and begun again until it ends.
#[test]
fn a_rotation_that_is_killed_is_taken_up_again() {
    let (mut gateway, actors, _upstreams) = prepared(2_000);
    gateway.start();
    let mut dice = Dice(11);
    for round in 0..number_of_trials(2) {
        let key = gateway.folder.file(&format!("{round}.key"));
        doorward(&["master-key", "create", &key]).ok();
        let mut kills = 0;
        // Early, late, and everywhere between, as far as it comes.
        for trial in 0..8 {
            let mut child = Command::new(env!("CARGO_BIN_EXE_doorward"))
                .args(["master-key", "rotate", "--to", &key, "--config", &gateway.config])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program runs");
            std::thread::sleep(Duration::from_micros(10_000 + dice.roll(25_000) * (1 + trial)));
            let _ = child.kill();
            kills += usize::from(child.wait().expect("a child").code().is_none());
            // Whatever it left behind, all goes on.
            gateway.command(&["check"]).ok();
            let n = dice.roll(actors.len() as u64) as usize;
            expect_shown(&gateway, &actors[n]);
            gateway.ask(actors[n].get("/v1/x")).expect_ok();
        }
        assert!(kills > 0, "it was always faster");
        let (from, _) = rotated(gateway.command(&["master-key", "rotate", "--to", &key, "--json"]));
        let old = gateway.folder.file("former.key");
        std::fs::copy(gateway.folder.file("master.key"), &old).expect("the key");
        give(&gateway, &key);
        gateway.command(&["master-key", "retire", "--file", &old]).ok();
        gateway.command(&["check"]).ok();
        let refused = doorward(&["master-key", "rotate", "--to", &key, "--config", &gateway.config]);
        assert!(refused.code == 1 && refused.stderr.contains("has already"), "{refused:?}");
        give(&gateway, &old);
        assert_eq!(gateway.command(&["check"]).code, 1, "{from} still opens the store");
        give(&gateway, &key);
    }
    // The node, which was started with the very first one, goes on all the while and starts again with the last.
    gateway.ask(actors[0].get("/v1/x")).expect_ok();
    gateway.restart();
    gateway.ask(actors[1].get("/v1/x")).expect_ok();
}

/// A data folder has its own key, which changes places with the new one.
#[test]
fn the_key_of_a_data_folder_is_replaced() {
    let folder = Folder::new();
    let data = folder.file("data");
    std::fs::create_dir(&data).expect("a folder");
    let file = |name: &str| format!("{data}/{name}");
    doorward(&["master-key", "create", &file("master.key")]).ok();
    let key = another_key(&folder);
    let policy = folder.write("policy.toml", "[[workspace]]\nid = \"w\"\nenvironment = \"sandbox\"\n");
    doorward(&["apply", "--data", &data, "-f", &policy]).ok();
    let old = std::fs::read(file("master.key")).expect("the key");
    for round in 0..2 {
        let run = doorward(&["master-key", "rotate", "--data", &data, "--to", &key, "--json"]).ok();
        let told = rows(&run.stdout).remove(0);
        let from = told["from"].as_str().expect("a fingerprint").to_owned();
        assert_eq!(
            std::fs::read(file("master.key")).expect("the key"),
            std::fs::read(&key).expect("the key")
        );
        let kept = file(&format!("master.key.{}", &from[..8]));
        assert_eq!(std::fs::read(&kept).expect("the key"), old);
        assert_eq!(told["kept"].as_str(), (round == 0).then_some(&*kept), "{run:?}");
        doorward(&["credential", "list", "--data", &data]).ok();
    }
    let kept =
        rows(&doorward(&["master-key", "rotate", "--data", &data, "--to", &key, "--json"]).ok().stdout);
    let from = kept[0]["from"].as_str().expect("a fingerprint");
    let own = doorward(&["master-key", "retire", "--data", &data, "--file", &key]);
    assert!(
        own.code == 1 && own.stderr.contains("the one that this command opened the store with"),
        "{own:?}"
    );
    doorward(&["master-key", "retire", "--data", &data, from]).ok();
    doorward(&["credential", "list", "--data", &data]).ok();
}

#[test]
fn a_rotation_that_can_not_be_is_refused_with_a_sentence() {
    let (gateway, actors, _upstreams) = prepared(1);
    let before = gateway.command(&["check"]).ok().stdout;
    let folder = Folder::new();
    let (own, open) = (gateway.folder.file("master.key"), another_key(&folder));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&open, mode).expect("its mode");
    let no_key = folder.write("no.key", "this is no key\n");
    Command::new("chmod").args(["600", &no_key]).status().expect("chmod runs");
    for (words, code, told) in [
        (
            vec!["rotate", "--to", "/nowhere/new.key"],
            1,
            "/nowhere/new.key: there is no master key; `doorward master-key create",
        ),
        (vec!["rotate", "--to", &no_key], 1, "no.key: a master key is 32 bytes in base64"),
        (vec!["rotate", "--to", &open], 1, "others than its owner can reach the master key"),
        (vec!["rotate", "--to", &own], 1, "is the one that the store has already"),
        (vec!["rotate"], 2, "--to"),
        (vec!["retire", "0123"], 1, "master key 0123 does not open this store; those that do: "),
        (vec!["retire", "--file", &own], 1, "is the one that this command opened the store with"),
        (vec!["retire"], 2, "FINGERPRINT"),
        (vec!["retire", "0123", "--file", &own], 2, "--file"),
    ] {
        let run = gateway.command(&[&["master-key"], &words[..]].concat());
        assert_eq!(run.code, code, "{words:?}: {run:?}");
        assert!(run.stderr.contains(told), "{words:?}: {run:?}");
        assert!(code == 2 || run.stderr.trim_end().lines().count() == 1, "{words:?}: {run:?}");
    }
    assert_eq!(gateway.command(&["check"]).ok().stdout, before, "nothing was written");
    eventually("the secret is shown", || {
        gateway.command(&["credential", "show", &actors[0].id, "--reveal"]).stdout.contains(&actors[0].secret)
    });
}
