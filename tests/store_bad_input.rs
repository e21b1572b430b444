//! What an operator may get wrong about a store on PostgreSQL: each time one sentence that says what it is, nothing is
//! written, and no password is told.
use crate::support::{Database, Gateway, Run, Setup, Upstream, Wire, eventually, skips_unless_postgres};
use std::time::{Duration, Instant};

/// How long a command may take to give up on a server that does not answer.
const GIVES_UP: Duration = Duration::from_secs(30);

/// Commands that open the store, each in its own way.
const COMMANDS: [&[&str]; 4] = [
    &["check"],
    &["serve"],
    &["credential", "list"],
    &["credential", "create", "--workspace", "acme-live", "--kind", "server"],
];

/// Asserts that a command was refused in one sentence with these words in it, and told no secret.
#[track_caller]
fn refused(what: &str, run: &Run, words: &[&str], secrets: &[&str]) {
    assert_eq!(run.code, 1, "{what}: {run:?}");
    // `check` tells first what it has found in order.
    assert!(run.stdout.lines().all(|line| line.starts_with("ok: the ")), "{what}: {run:?}");
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "{what}: {run:?}");
    let said = run.stderr.to_lowercase();
    for word in words {
        assert!(said.contains(&word.to_lowercase()), "{what}: `{word}` is not said: {run:?}");
    }
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        assert!(!run.said().contains(secret), "{what}: it tells `{secret}`: {run:?}");
    }
}

/// Every command on this configuration is refused in the same manner.
#[track_caller]
fn all_refused(what: &str, gateway: &Gateway, words: &[&str], secrets: &[&str]) {
    for command in COMMANDS {
        refused(&format!("{what}: {command:?}"), &gateway.command(command), words, secrets);
    }
}

/// A gateway with an address of its own for its store; nothing is run on it yet.
fn at(url: &str) -> Gateway {
    Setup::on_database(Database::prepared()).set("store", "url", format!("{url:?}")).prepare_unchecked()
}

#[test]
fn what_the_address_gets_wrong_is_named() {
    if skips_unless_postgres() {
        return;
    }
    let database = Database::prepared();
    let (address, password) = (database.address(), database.password());
    let before = database.dump();
    let url = database.url();
    // A port that was free a moment ago.
    let closed =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let name = database.name().to_owned();
    let elsewhere = url.replace(&name, "no_such_database");
    database.sql("DROP ROLE IF EXISTS doorward_nobody");
    database.sql("CREATE ROLE doorward_nobody LOGIN PASSWORD 'nobodys-secret'");
    for (what, url, words, secret) in [
        (
            "another host",
            database.url_at("no-such-host.invalid:5432"),
            vec!["no-such-host.invalid"],
            password,
        ),
        ("another port", database.url_at(closed), vec!["connect"], password),
        (
            "another password",
            database.url_of("postgres", "Wrong-Secret-1", address),
            vec!["password"],
            "Wrong-Secret-1",
        ),
        (
            "a user who is not there",
            database.url_of("nobody_here", "Wrong-Secret-2", address),
            vec!["nobody_here"],
            "Wrong-Secret-2",
        ),
        ("another database", elsewhere, vec!["no_such_database"], password),
        (
            "a user without rights",
            database.url_of("doorward_nobody", "nobodys-secret", address),
            vec!["permission", "doorward_nobody"],
            "nobodys-secret",
        ),
    ] {
        all_refused(what, &at(&url), &words, &[secret, password]);
    }
    database.sql("DROP ROLE doorward_nobody");
    assert_eq!(database.dump(), before, "something was written");
}

/// An address that is none is a mistake in the configuration, which is named with its line.
#[test]
fn an_address_that_is_none_is_refused_before_anything_is_opened() {
    if skips_unless_postgres() {
        return;
    }
    for url in [
        "postgres:",
        "postgres://",
        "postgres://:S3cret@/",
        "postgres://user:S3cret@host:99999/db",
        "postgres://user:S3cret@host:port/db",
        "mysql://user:S3cret@host/db",
        "http://user:S3cret@host/db",
    ] {
        let gateway = at(url);
        for command in COMMANDS {
            let run = gateway.command(command);
            assert!(run.code == 1 && run.stderr.contains("store"), "{url}: {run:?}");
            assert!(!run.said().contains("S3cret"), "{url}: {run:?}");
        }
    }
}

/// Whatever listens there, a command does not wait for ever, and does not take it for a database.
#[test]
fn what_is_no_database_server_is_found_out() {
    if skips_unless_postgres() {
        return;
    }
    let (database, web) = (Database::prepared(), Upstream::start());
    let silent = Wire::to(database.address());
    silent.stall();
    std::thread::scope(|scope| {
        for (what, address) in [("a web server", web.address), ("one that says nothing", silent.address)] {
            let database = &database;
            scope.spawn(move || {
                let started = Instant::now();
                let run = at(&database.url_at(address)).command(&["check"]);
                refused(what, &run, &["store"], &[database.password()]);
                assert!(started.elapsed() < GIVES_UP, "{what}: {:?}", started.elapsed());
            });
        }
    });
}

#[test]
fn another_master_key_opens_nothing_and_changes_nothing() {
    if skips_unless_postgres() {
        return;
    }
    let gateway = Setup::on_database(Database::prepared()).prepare_unchecked();
    gateway.command(&["check"]).ok();
    let before = gateway.database().dump();
    std::fs::write(gateway.folder.file("master.key"), "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n")
        .expect("another key");
    all_refused("another key", &gateway, &["master key"], &[gateway.database().password()]);
    assert_eq!(gateway.database().dump(), before);
}

/// What is wrong inside is told as well, and left as it is for whoever can mend it.
#[test]
fn a_database_that_is_not_as_it_was_left_is_refused() {
    if skips_unless_postgres() {
        return;
    }
    let set = |key: &str, value: &str| format!("UPDATE meta SET value = '{value}' WHERE key = '{key}'");
    let without = |key: &str| format!("DELETE FROM meta WHERE key = '{key}'");
    let gone = |table: &str| format!("DROP TABLE {table} CASCADE");
    let (check, serve, create) = (COMMANDS[0], COMMANDS[1], COMMANDS[3]);
    let opening = vec![check, serve, create];
    for (what, sql, commands, words) in [
        ("a newer schema", set("schema", "9999"), opening.clone(), vec!["9999", "newer program"]),
        ("a schema that is no number", set("schema", "x"), opening.clone(), vec!["damaged"]),
        ("no schema", without("schema"), opening.clone(), vec!["schema"]),
        ("no seal", without("seal"), opening.clone(), vec!["damaged", "seal"]),
        ("no keyring", "DELETE FROM keyring".to_owned(), opening.clone(), vec!["damaged", "keyring"]),
        ("no purpose", without("purpose"), opening.clone(), vec!["damaged", "purpose"]),
        ("a demo's", set("purpose", "demo"), vec![serve], vec!["demo"]),
        // What only those find out who read or write all of it.
        ("no epoch", without("epoch"), vec![check], vec!["damaged", "head"]),
        ("no head", "DELETE FROM head".to_owned(), vec![check], vec!["damaged", "head"]),
        ("no head to write with", "DELETE FROM head".to_owned(), vec![create], vec!["store"]),
        ("no changes", gone("change"), vec![check], vec!["no Doorward store"]),
        ("no credentials", gone("credential"), vec![check], vec!["credential"]),
    ] {
        let gateway = Setup::on_database(Database::prepared()).prepare_unchecked();
        gateway.database().sql(&sql);
        let before = gateway.database().dump();
        for command in commands {
            let run = gateway.command(command);
            refused(&format!("{what}: {command:?}"), &run, &words, &[gateway.database().password()]);
        }
        assert_eq!(gateway.database().dump(), before, "{what}: something was written");
    }
}

/// A database that is somebody else's is not written into.
#[test]
fn tables_of_others_are_left_alone() {
    if skips_unless_postgres() {
        return;
    }
    for sql in [
        "CREATE TABLE invoice (id BIGINT PRIMARY KEY); INSERT INTO invoice VALUES (1)",
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT); INSERT INTO meta VALUES ('title', 'a wiki')",
        "CREATE TABLE credential (id BIGINT PRIMARY KEY)",
    ] {
        let gateway = Setup::on_database(Database::empty()).prepare_unchecked();
        gateway.database().sql(sql);
        let before = gateway.database().dump();
        all_refused(sql, &gateway, &["table"], &[gateway.database().password()]);
        assert_eq!(gateway.database().dump(), before, "{sql}: something was written");
    }
}

/// An empty database is made a store by whichever of several programs comes first; the others find it made.
#[test]
fn an_empty_database_becomes_a_store_once() {
    if skips_unless_postgres() {
        return;
    }
    let gateway = Setup::on_database(Database::empty()).prepare_unchecked();
    std::thread::scope(|scope| {
        let openers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| gateway.command(&["credential", "list"]).ok())).collect();
        openers.into_iter().for_each(|opener| drop(opener.join().expect("none fails")));
    });
    gateway.command(&["check"]).ok();
    assert_eq!(gateway.database().sql("SELECT COUNT(*) FROM meta WHERE key = 'installation'").trim(), "1");
}

/// While it runs, a node tells no password either: not in its log, its command line, its metrics.
#[test]
fn a_node_that_loses_its_database_tells_no_password() {
    if skips_unless_postgres() {
        return;
    }
    let mut gateway = Setup::new().set("store", "max_staleness_s", 1).prepare();
    gateway.start();
    gateway.take_store_away();
    eventually("it is not ready", || gateway.operations("/readyz").status == 503);
    let password = gateway.database().password();
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", gateway.pid())).expect("it runs");
    for (place, text) in
        [("log", gateway.log()), ("command line", line), ("metrics", gateway.operations("/metrics").text())]
    {
        assert!(!text.contains(password), "{place}: {text}");
    }
    assert!(gateway.log().contains("store"), "{}", gateway.log());
    gateway.give_store_back();
    eventually("it is ready again", || gateway.operations("/readyz").status == 200);
}
