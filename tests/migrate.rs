//! An installation moves between engines with one command, and nobody who calls notices more than a change of settings.
use crate::support::{
    Actor, Database, Dice, Engine, Folder, Gateway, Run, Setup, Upstream, World, doorward, eventually,
    number_of_trials, rows, skips_unless_postgres,
};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A place that an installation moves to: its address without a password, and what else the command needs.
struct Place {
    address: String,
    password_file: Option<String>,
    /// For the settings of a node there.
    database: Option<Database>,
    folder: Folder,
}

impl Place {
    fn file() -> Place {
        let folder = Folder::new();
        Place {
            address: format!("sqlite:{}", folder.file("doorward.db")),
            password_file: None,
            database: None,
            folder,
        }
    }

    fn server() -> Place {
        let (folder, database) = (Folder::new(), Database::empty());
        let file = folder.file("password");
        secret(&file, database.password().as_bytes());
        let address = database.url().replace(&format!(":{}@", database.password()), "@");
        Place { address, password_file: Some(file), database: Some(database), folder }
    }

    /// The other engine than that of this run; on SQLite alone, another file.
    fn new() -> Vec<Place> {
        match Engine::of_this_run() {
            Engine::Sqlite => vec![Place::file()],
            Engine::Postgres => vec![Place::file(), Place::server()],
        }
    }

    fn words(&self) -> Vec<String> {
        let mut words = vec!["--to".to_owned(), self.address.clone()];
        words.extend(self.password_file.iter().flat_map(|f| ["--to-password-file".to_owned(), f.clone()]));
        words
    }

    /// Whether there is anything.
    fn is_empty(&self) -> bool {
        match &self.database {
            Some(database) => {
                database.sql("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'").trim() == "0"
            }
            None => !std::path::Path::new(&self.folder.file("doorward.db")).exists(),
        }
    }

    /// A node there, with the old one's master key.
    fn gateway(&self, old: &Gateway) -> Gateway {
        let setup = Setup::beside(old).set("store", "url", format!("{:?}", self.address));
        match &self.password_file {
            Some(file) => setup.set("store", "password_file", format!("{file:?}")),
            None => setup,
        }
        .prepare_unchecked()
    }
}

fn secret(file: &str, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(file, content).expect("the folder takes files");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("the mode");
}

fn migrate(from: &Gateway, to: &Place, more: &[&str]) -> Run {
    let to = to.words();
    let mut words = vec!["migrate", "--from", &from.config];
    words.extend(to.iter().map(String::as_str));
    words.extend(more);
    doorward(&words)
}

#[track_caller]
fn refused(run: &Run, code: i32, words: &str) {
    assert_eq!(run.code, code, "{run:?}");
    assert_eq!(run.stdout, "", "{run:?}");
    assert!(run.stderr.contains(words), "`{words}` is not said: {run:?}");
    assert!(code == 2 || run.stderr.trim_end().lines().count() == 1, "{run:?}");
}

/// Everything that the command line tells of a store, secrets that may be shown included.
fn everything(gateway: &Gateway, actors: &[Actor]) -> Vec<String> {
    let mut all = vec![
        gateway.command(&["export"]).ok().stdout,
        gateway.command(&["credential", "list", "--json"]).ok().stdout,
    ];
    for actor in actors {
        // One that may not be shown any more may not be shown there either.
        all.push(gateway.command(&["credential", "show", &actor.id, "--reveal", "--json"]).said());
    }
    all
}

/// Every engine that this run has, each way: keys, lists, secrets and policy are what they were, the old store takes no
/// changes, and its node goes on until it is pointed elsewhere.
#[test]
fn everything_works_at_the_new_store() {
    let world = World::new();
    let many: Vec<Actor> = world
        .gateway
        .create(&["--workspace", "acme-live", "--kind", "server", "--count", "300"])
        .iter()
        .map(Actor::from_row)
        .collect();
    let (blocked, gone) = (&many[0], &many[1]);
    world.gateway.command(&["credential", "block", &blocked.id]).ok();
    world.gateway.command(&["credential", "delete", &gone.id]).ok();
    let shown = [&many[2], &world.tester, &world.page, &world.single].map(Clone::clone);
    // From the store of this run to each other place, and on from there.
    let mut old: Vec<Gateway> = Vec::new();
    for place in &Place::new() {
        let from = old.last().unwrap_or(&world.gateway);
        let before = everything(from, &shown);
        let dry = rows(&migrate(from, place, &["--dry-run", "--json"]).ok().stdout).remove(0);
        assert!(place.is_empty(), "a dry run wrote");
        let told = rows(&migrate(from, place, &["--json"]).ok().stdout).remove(0);
        for count in ["changes", "credentials", "objects", "displays", "signing"] {
            assert_eq!(dry[count], told[count], "{count}");
        }
        assert_eq!((told["credentials"].as_i64(), told["before"].as_bool()), (Some(304), Some(false)));
        assert!(!told.to_string().contains("password"), "{told}");

        let mut new = place.gateway(&world.gateway);
        new.command(&["check"]).ok();
        assert_eq!(everything(&new, &shown), before);
        new.start();
        for actor in &many[2..] {
            new.ask(actor.get("/v1/x")).expect_ok();
        }
        new.ask(blocked.get("/v1/x")).expect(401, "credential_blocked");
        new.ask(gone.get("/v1/x")).expect(401, "credential_invalid");
        new.ask(world.plain.get("/customers/x")).expect_ok();
        new.ask(many[2].with_secret("wrong").get("/v1/x")).expect(401, "credential_invalid");

        // The old one serves, tells where the new one is, and takes nothing.
        world.ask(many[2].get("/v1/x")).expect_ok();
        for words in [
            &["credential", "block", many[3].id.as_str()][..],
            &["credential", "create", "--workspace", "acme-live", "--kind", "server"],
            &["credential", "regenerate", many[3].id.as_str()],
        ] {
            refused(&from.command(words), 1, &format!("the store was moved to {}", place.address));
        }
        // And a node that is left on it says that it learns nothing any more.
        eventually("a warning", || world.gateway.log().contains("still obeys the old one"));
        let again = rows(&migrate(from, place, &["--json"]).ok().stdout).remove(0);
        assert_eq!(again["before"], true);
        refused(&migrate(from, &Place::file(), &[]), 1, "the store was moved to");
        new.command(&["credential", "unblock", &blocked.id]).ok();
        new.command(&["credential", "block", &blocked.id]).ok();
        old.push(new);
    }
}

/// Killed at any point, and run again: all of it is there in the end, and there was never half of it anywhere.
#[test]
fn kill9_in_the_middle_of_a_move() {
    let trials = number_of_trials(4);
    let upstream = Upstream::start();
    let mut dice = Dice(7);
    let mut cut = 0;
    for trial in 0..trials {
        let from = Setup::new().policy(World::policy(&upstream, &upstream)).prepare();
        let actors: Vec<Actor> = from
            .create(&["--workspace", "acme-live", "--kind", "server", "--count", "300"])
            .iter()
            .map(Actor::from_row)
            .collect();
        let places = Place::new();
        let place = places.last().expect("one");
        let mut child = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(["migrate", "--from", &from.config])
            .args(place.words())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        std::thread::sleep(Duration::from_micros(5_000 + dice.roll(150_000)));
        let ended = child.try_wait().expect("a child");
        let _ = child.kill();
        let _ = child.wait();
        cut += u64::from(ended.is_none());
        // Cut off before its end, the old store takes changes, or is all at the new one already.
        let writes = from.command(&["credential", "block", &actors[0].id]);
        let run = migrate(&from, place, &["--json"]);
        if run.code == 1 {
            // All was there, and the old store was not told so before it was written to: the one thing left to do is said.
            assert!(
                writes.code == 0 && run.stderr.contains("empty that place first"),
                "trial {trial}: {run:?}"
            );
            continue;
        }
        let told = rows(&run.ok().stdout).remove(0);
        let mut new = place.gateway(&from);
        new.command(&["check"]).ok();
        new.start();
        assert_eq!(told["before"], writes.code != 0, "trial {trial}: {told} {writes:?}");
        let code = if writes.code == 0 { "credential_blocked" } else { "" };
        assert_eq!(new.ask(actors[0].get("/v1/x")).code(), code, "trial {trial}");
        for actor in &actors[1..] {
            new.ask(actor.get("/v1/x")).expect_ok();
        }
    }
    println!("{trials} moves, {cut} of them killed before their end");
}

/// Bad input: a sentence, nothing written, and no password told.
#[test]
fn what_cannot_be_moved_is_told() {
    let gateway = Setup::new().prepare();
    gateway.apply("[[workspace]]\nid = \"acme\"\nenvironment = \"production\"\n").ok();
    let folder = Folder::new();
    let key = gateway.folder.file("master.key");
    let file = format!("sqlite:{}", folder.file("doorward.db"));
    let other_key = folder.file("other.key");
    doorward(&["master-key", "create", &other_key]).ok();
    let run = |words: &[&str]| doorward(&[&["migrate"], words].concat());
    // Wrong usage.
    for words in [
        &["--from", &gateway.config, "--to", "postgres://ann:S3cret@db.example/d"][..],
        &["--from", "postgres://ann:S3cret@db.example/d", "--to", &file, "--master-key-file", &key],
        &["--from", &gateway.config, "--to", "postgres://ann:S3cret@db.example:port/d"],
        &["--from", &gateway.config, "--to", "mysql://ann:S3cret@db.example/d"],
        &["--from", &gateway.config, "--to", "sqlite:"],
        &["--from", &file, "--to", &file],
        &["--from", &gateway.config, "--to", &file, "--to-password-file", &key],
        &["--from", &gateway.config, "--from-password-file", &key, "--to", &file],
        &["--to", &file],
    ] {
        let run = run(words);
        refused(&run, 2, "");
        assert!(!run.stderr.contains("S3cret"), "{run:?}");
    }
    let password = run(&["--from", &gateway.config, "--to", "postgres://ann:S3cret@db.example/d"]);
    refused(&password, 2, "--to-password-file");
    // No such thing.
    let none = format!("sqlite:{}", folder.file("none.db"));
    refused(&run(&["--from", &none, "--to", &file, "--master-key-file", &key]), 1, "there is no store");
    refused(&run(&["--from", &folder.file("none.toml"), "--to", &file]), 1, "No such file");
    refused(
        &run(&["--from", &gateway.config, "--to", &file, "--master-key-file", &folder.file("none.key")]),
        1,
        "no master key",
    );
    refused(
        &run(&["--from", &gateway.config, "--to", &file, "--master-key-file", &other_key]),
        1,
        "not the master key",
    );
    let nowhere = format!("sqlite:{}", folder.file("no/such/folder.db"));
    refused(&run(&["--from", &gateway.config, "--to", &nowhere]), 1, "No such file");
    for name in ["none.db", "doorward.db"] {
        assert!(!std::path::Path::new(&folder.file(name)).exists(), "{name} was made");
    }
    // Somebody else's.
    let other = Setup::new().prepare();
    other.apply("[[workspace]]\nid = \"other\"\nenvironment = \"production\"\n").ok();
    let before = other.command(&["export"]).ok().stdout;
    // The settings of the other name another key.
    let by_settings = run(&["--from", &gateway.config, "--to", &other.config]);
    assert_eq!(by_settings.code, 1, "{by_settings:?}");
    let same = run(&["--from", &gateway.config, "--to", &gateway.config]);
    refused(&same, 1, "the very store");
    assert_eq!(other.command(&["export"]).ok().stdout, before);
    gateway.command(&["credential", "create", "--workspace", "acme", "--kind", "server"]).ok();
}

/// A server that cannot be reached, a wrong password, a database that holds other things.
#[test]
fn a_server_that_does_not_take_it_is_told() {
    if skips_unless_postgres() {
        return;
    }
    let gateway = Setup::new().prepare();
    gateway.apply("[[workspace]]\nid = \"acme\"\nenvironment = \"production\"\n").ok();
    let place = Place::server();
    let wrong = gateway.folder.file("wrong");
    secret(&wrong, b"Wrong-Secret");
    let run = |to: &str, password: &str| {
        doorward(&["migrate", "--from", &gateway.config, "--to", to, "--to-password-file", password])
    };
    let good = place.password_file.clone().expect("a file");
    refused(&run(&place.address, &wrong), 1, "see that user and password are right");
    refused(&run(&place.address, &gateway.folder.file("none")), 1, "No such file");
    let name = place.database.as_ref().expect("one").name().to_owned();
    refused(&run(&place.address.replace(&name, "no_such_database"), &good), 1, "make it first");
    assert!(place.is_empty());
    let database = place.database.as_ref().expect("one");
    database.sql("CREATE TABLE customers (id BIGINT)");
    refused(&run(&place.address, &good), 1, "holds other tables");
    database.sql("DROP TABLE customers");
    let other = Place::server();
    let there = Setup::on_database(Database::empty()).prepare_unchecked();
    there.command(&["credential", "list"]).ok();
    let theirs = there.database().url().replace(&format!(":{}@", there.database().password()), "@");
    refused(&run(&theirs, &good), 1, "another installation is there");
    gateway.command(&["credential", "create", "--workspace", "acme", "--kind", "server"]).ok();
    run(&other.address, &good).ok();
}
