//! Credentials: managed from the command line, obeyed by the running node at once.
use crate::support::{Actor, Answer, Engine, Gateway, World, doorward, eventually, rows, skipped};
use std::time::{Duration, Instant};

/// How fast a change from another process must be obeyed, in the midst of all other tests. `feed` measures it.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Runs a command about one credential and measures how long the node takes to answer with `code`.
#[track_caller]
fn obeyed(world: &World, words: &[&str], ask: impl Fn() -> Answer, code: &str) {
    world.gateway.command(&[&["credential"], words].concat()).ok();
    let done = Instant::now();
    eventually(code, || ask().code() == code);
    assert!(done.elapsed() < AT_ONCE, "{words:?} took {:?}", done.elapsed());
}

#[test]
fn a_key_is_created_with_a_secret_that_is_told_once() {
    let world = World::shared();
    let gateway = &world.gateway;
    let words =
        ["--workspace", "acme-live", "--kind", "integration", "--dialect", "standard", "--name", "till"];
    let row = gateway.create(&[&words[..], &["--scope", "read", "--scope", "write"]].concat()).remove(0);
    for (key, value) in [
        ("workspace", "acme-live"),
        ("kind", "integration"),
        ("name", "till"),
        ("dialect", "standard"),
        ("scheme", "api_key"),
        ("status", "active"),
    ] {
        assert_eq!(row[key], value, "{key} in {row}");
    }
    assert_eq!(row["scopes"], serde_json::json!(["read", "write"]));
    assert_eq!((&row["plain_key"], &row["weak"]), (&false.into(), &false.into()));
    assert_eq!((&row["origins"], &row["expires_at"]), (&serde_json::json!([]), &serde_json::Value::Null));
    let actor = Actor::from_row(&row);
    assert!(actor.id.starts_with("dwi_") && actor.secret.starts_with("dws_") && actor.secret.len() >= 36);
    eventually("the new key", || world.ask(actor.get("/std/x")).status == 200);
    for words in [&["list"][..], &["show", &actor.id], &["show", &actor.id, "--json"], &["list", "--json"]] {
        let run = gateway.command(&[&["credential"], words].concat()).ok();
        assert!(run.stdout.contains(&actor.id), "{words:?}");
        assert!(!run.said().contains(&actor.secret), "{words:?} tells the secret");
    }
    let run = gateway.command(&["credential", "show", &actor.id, "--reveal", "--json"]);
    assert!(!run.said().contains(&actor.secret), "a standard key in production is shown once");
}

/// Voucherify shows a key again for two weeks, and always in a sandbox.
#[test]
fn a_secret_may_be_shown_again_where_the_dialect_says_so() {
    let world = World::shared();
    for actor in [&world.server, &world.tester] {
        let run = world.gateway.command(&["credential", "show", &actor.id, "--reveal", "--json"]).ok();
        assert_eq!(rows(&run.stdout)[0]["secret"], actor.secret.as_str());
    }
}

/// The window in which a secret can be shown again: two weeks, a quarter of an hour after a regeneration. Needs
/// libfaketime.
#[test]
fn the_window_of_a_secret_closes() {
    let Ok(library) = std::env::var("DOORWARD_FAKETIME") else {
        skipped("the_window_of_a_secret_closes", "DOORWARD_FAKETIME is not set");
        return;
    };
    let world = World::new();
    let at = |time: &str, words: &[&str]| {
        let config = ["--config", &world.gateway.config, "--json"];
        let environment = [("LD_PRELOAD", library.as_str()), ("FAKETIME", time), ("TZ", "UTC")];
        crate::support::doorward_with(&[&["credential"], words, &config].concat(), &environment)
    };
    let created = at(
        "2027-01-01 00:00:00",
        &["create", "--workspace", "acme-live", "--kind", "server", "--dialect", "voucherify"],
    );
    let key = Actor::from_row(&rows(&created.ok().stdout)[0]);
    let told = |time: &str, secret: &str| at(time, &["show", &key.id, "--reveal"]).stdout.contains(secret);
    assert!(told("2027-01-14 23:59:59", &key.secret));
    assert!(!told("2027-01-15 00:00:00", &key.secret), "two weeks are over");
    assert!(
        !told("2027-01-02 00:00:00", &key.secret),
        "a window that has closed is not opened by another clock"
    );
    let again = at("2027-02-01 00:00:00", &["regenerate", &key.id]).ok();
    let new = Actor::from_row(&rows(&again.stdout)[0]);
    assert!(told("2027-02-01 00:14:59", &new.secret));
    assert!(!told("2027-02-01 00:15:00", &new.secret), "a quarter of an hour is over");
}

#[test]
fn block_and_unblock_are_obeyed_at_once() {
    let world = World::new();
    let ask = || world.ask(world.server.get("/v1/x"));
    let id = world.server.id.as_str();
    for _ in 0..3 {
        obeyed(&world, &["block", id], ask, "credential_blocked");
        assert_eq!(world.gateway.show(id)["status"], "blocked");
        obeyed(&world, &["unblock", id], ask, "");
        ask().expect_ok();
    }
}

/// Every node that runs on the store obeys.
#[test]
fn a_second_node_obeys_too() {
    let world = World::new();
    let second = Gateway::beside(&world.gateway);
    second.ask(world.server.get("/v1/x")).expect_ok();
    world.gateway.command(&["credential", "block", &world.server.id]).ok();
    let done = Instant::now();
    for node in [&world.gateway, &second] {
        eventually("the block", || node.ask(world.server.get("/v1/x")).code() == "credential_blocked");
    }
    assert!(done.elapsed() < AT_ONCE, "{:?}", done.elapsed());
}

/// A connection that is open obeys as well.
#[test]
fn a_kept_connection_obeys_too() {
    let world = World::new();
    let mut connection = world.gateway.connect();
    connection.expect_serves(&world.server.get("/v1/x")).expect_ok();
    world.gateway.command(&["credential", "block", &world.server.id]).ok();
    let done = Instant::now();
    eventually("the block", || connection.expect_serves(&world.server.get("/v1/x")).status == 401);
    assert!(done.elapsed() < AT_ONCE);
}

#[test]
fn a_deleted_key_is_like_one_that_never_was() {
    let world = World::new();
    let ask = || world.ask(world.single.get("/std/x"));
    obeyed(&world, &["delete", &world.single.id], ask, "credential_invalid");
    assert_eq!(world.gateway.event(ask().id())["detail"], "unknown");
    let run = world.gateway.command(&["credential", "show", &world.single.id]);
    assert_eq!(run.code, 1);
    assert!(!world.gateway.command(&["credential", "list"]).ok().stdout.contains(&world.single.id));
}

#[test]
fn a_regenerated_key_has_a_new_secret_only() {
    let world = World::new();
    let run = world.gateway.command(&["credential", "regenerate", &world.server.id, "--json"]).ok();
    let done = Instant::now();
    let row = rows(&run.stdout).remove(0);
    let new = Actor::from_row(&row);
    assert_eq!(new.id, world.server.id);
    assert_ne!(new.secret, world.server.secret);
    eventually("the new secret", || world.ask(new.get("/v1/x")).status == 200);
    assert!(done.elapsed() < AT_ONCE);
    world.ask(world.server.get("/v1/x")).expect(401, "credential_invalid");
    // Tokens live on or die, and not both.
    let regenerate = ["credential", "regenerate", &new.id];
    for said in ["--keep-tokens", "--revoke-tokens"] {
        world.gateway.command(&[&regenerate[..], &[said]].concat()).ok();
    }
    let both = world.gateway.command(&[&regenerate[..], &["--keep-tokens", "--revoke-tokens"]].concat());
    assert_eq!(both.code, 2, "{both:?}");
}

/// Keys from elsewhere keep their id and secret.
#[test]
fn a_key_can_be_brought_along() {
    let world = World::shared();
    let gateway = &world.gateway;
    let secret = "11112222-3333-4444-5555-666677778888";
    let file = gateway.folder.write("imported.secret", &format!("{secret}\n"));
    let words = ["--id", "c70a6f00-cf91-4756-9df5-47628850002b", "--secret-file", &file];
    let actor = gateway.actor("acme-live", "server", &words);
    assert_eq!(actor.id, words[1]);
    let actor = actor.with_secret(secret);
    eventually("the new key", || world.ask(actor.get("/v1/x")).status == 200);
    // Ids are unique in the installation.
    let create =
        ["credential", "create", "--workspace", "other-live", "--kind", "server", "--dialect", "voucherify"];
    let again = gateway.command(&[&create[..], &words].concat());
    assert!(again.code == 1 && again.stderr.contains(words[1]), "{again:?}");
    world.ask(actor.get("/v1/x")).expect_ok();
}

#[test]
fn weak_keys_are_marked_wherever_they_are_shown() {
    let world = World::shared();
    let gateway = &world.gateway;
    let row = gateway.create(&[
        "--workspace",
        "acme-test",
        "--kind",
        "server",
        "--dialect",
        "antavo",
        "--plain-key",
    ]);
    let id = row[0]["id"].as_str().expect("an id");
    assert_eq!((&row[0]["plain_key"], &row[0]["weak"]), (&true.into(), &true.into()));
    assert_eq!(gateway.show(id)["weak"], true);
    let listed = rows(&gateway.command(&["credential", "list", "--json"]).ok().stdout);
    assert!(listed.iter().any(|row| row["id"] == id && row["weak"] == true));
    for words in [&["show", id][..], &["list"]] {
        let text = gateway.command(&[&["credential"], words].concat()).ok().stdout;
        assert!(text.contains("weak"), "{words:?}: {text}");
    }
}

/// Servers of a dialect that signs have a secret that is never sent, and kept sealed.
#[test]
fn credentials_that_sign_say_so_and_their_secrets_are_told_once() {
    let world = World::shared();
    let gateway = &world.gateway;
    for (dialect, kind) in [("antavo", "server"), ("aws4", "integration")] {
        let words = ["--workspace", "acme-live", "--kind", kind, "--dialect", dialect, "--name", "signer"];
        let row = gateway.create(&words).remove(0);
        assert_eq!((&row["dialect"], &row["scheme"]), (&dialect.into(), &"escher".into()));
        assert_eq!((&row["plain_key"], &row["weak"]), (&false.into(), &false.into()));
        let actor = Actor::from_row(&row);
        let id = &*actor.id;
        assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{id}");
        assert_eq!(gateway.show(id)["scheme"], "escher");
        let shown = gateway.command(&["credential", "show", id]).ok().stdout;
        assert!(shown.lines().any(|line| line == "scheme     escher"), "{shown}");
        let revealed = gateway.command(&["credential", "show", id, "--reveal"]);
        assert_eq!(revealed.code, 1, "it was told once: {revealed:?}");
        let again = rows(&gateway.command(&["credential", "regenerate", id, "--json"]).ok().stdout).remove(0);
        assert!(again["scheme"] == "escher" && again["secret"] != row["secret"], "another secret");
        for words in [&["credential", "list", "--json"][..], &["credential", "show", id], &["check"]] {
            let run = gateway.command(words).ok();
            assert!(!run.said().contains(&actor.secret), "{words:?}");
            assert!(!run.said().contains(again["secret"].as_str().expect("a secret")), "{words:?}");
        }
    }
    let words = ["--workspace", "acme-live", "--kind", "server", "--dialect", "aws4", "--plain-key"];
    let run = gateway.command(&[&["credential", "create"], &words[..]].concat());
    assert!(run.code == 1 && run.stderr.contains("never presents an id alone"), "{run:?}");
    let words = ["--workspace", "acme-live", "--kind", "client", "--dialect", "aws4", "--origin", "*"];
    let run = gateway.command(&[&["credential", "create"], &words[..]].concat());
    assert!(run.code == 1 && run.stderr.contains("aws4 has no client credentials"), "{run:?}");
}

#[test]
fn lists_can_be_narrowed_to_a_workspace() {
    let world = World::shared();
    let run = world.gateway.command(&["credential", "list", "--workspace", "acme-test", "--json"]).ok();
    let listed = rows(&run.stdout);
    assert!(listed.iter().all(|row| row["workspace"] == "acme-test"), "{listed:?}");
    assert!(listed.iter().any(|row| row["id"] == world.tester.id.as_str()));
    assert_eq!(world.gateway.command(&["credential", "list", "--workspace", "nowhere"]).code, 1);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = World::shared();
    let before = world.gateway.command(&["credential", "list", "--json"]).ok().stdout.lines().count();
    for (words, why) in [
        (&["--workspace", "nowhere", "--kind", "server"][..], "no such workspace"),
        (&["--workspace", "acme-live", "--kind", "robot"], "no such kind"),
        (&["--workspace", "acme-live", "--kind", "client"], "a page without origins"),
        (&["--workspace", "acme-live", "--kind", "client", "--origin", "*.shop.example"], "no origin"),
        (&["--workspace", "acme-live", "--kind", "client", "--origin", "null"], "null"),
        (
            &["--workspace", "acme-live", "--kind", "client", "--dialect", "standard", "--origin", "*"],
            "no pages there",
        ),
        (&["--workspace", "acme-live", "--kind", "server", "--origin", "*"], "origins of a server"),
        (&["--workspace", "acme-live", "--kind", "server", "--dialect", "aws9"], "no such dialect"),
        (
            &["--workspace", "acme-live", "--kind", "server", "--dialect", "voucherify", "--plain-key"],
            "no id alone there",
        ),
        (&["--workspace", "acme-live", "--kind", "server", "--expires", "tomorrow"], "no instant"),
        (&["--workspace", "acme-live", "--kind", "server", "--id", "a b", "--secret-file", "x"], "no id"),
        (&["--workspace", "acme-live", "--kind", "server", "--scope", "a b"], "no scope"),
    ] {
        let run = world.gateway.command(&[&["credential", "create"], words].concat());
        assert!(matches!(run.code, 1 | 2), "{why}: {run:?}");
        assert!(!run.stderr.is_empty(), "{why}: it does not say why");
    }
    for name in ["a\nb", "a\r\nX: y", "\u{1b}[31m", "\u{7f}", "\u{85}"] {
        let words = ["credential", "create", "--workspace", "acme-live", "--kind", "server", "--name", name];
        assert!(matches!(world.gateway.command(&words).code, 1 | 2), "a name {name:?}");
    }
    for (id, secret) in [
        ("a\r\nX: y", "0123456789abcdef0123456789abcdef"),
        ("\u{e4}", "0123456789abcdef0123456789abcdef"),
        ("", "0123456789abcdef0123456789abcdef"),
        ("good-id-1", ""),
        ("good-id-2", "two words"),
        ("good-id-3", "two\nlines"),
        ("good-id-4", "short"),
    ] {
        let file = world.gateway.folder.write("bad.secret", secret);
        let words = [
            "credential",
            "create",
            "--workspace",
            "acme-live",
            "--kind",
            "server",
            "--id",
            id,
            "--secret-file",
        ];
        let run = world.gateway.command(&[&words[..], &[&file]].concat());
        assert!(matches!(run.code, 1 | 2), "id {id:?}, secret {secret:?}: {run:?}");
        assert!(secret.len() < 6 || !run.said().contains(secret), "the secret is told: {run:?}");
    }
    for verb in ["show", "block", "unblock", "delete", "regenerate"] {
        assert_eq!(world.gateway.command(&["credential", verb, "dwi_nobody"]).code, 1, "{verb}");
    }
    let after = world.gateway.command(&["credential", "list", "--json"]).ok().stdout.lines().count();
    assert!(after >= before);
}

#[test]
fn the_master_key_is_kept_from_others() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::shared();
    let file = world.gateway.folder.file("master.key");
    let mode = std::fs::metadata(&file).expect("the key").permissions().mode();
    assert_eq!(mode & 0o077, 0, "others may read it");
    let before = std::fs::read(&file).expect("the key");
    assert_eq!(doorward(&["master-key", "create", &file]).code, 1, "it was overwritten");
    assert_eq!(std::fs::read(&file).expect("the key"), before);
    if Engine::of_this_run() == Engine::Sqlite {
        let database = std::fs::metadata(world.gateway.folder.file("doorward.db")).expect("the store");
        assert_eq!(database.permissions().mode() & 0o007, 0, "anybody may read the store");
    }
}

/// A credential is over at the instant that it names, whatever the clock did before (S7519-2 is about tokens; the rule
/// is the same). Needs libfaketime.
#[test]
fn an_expired_key_is_refused() {
    let Ok(library) = std::env::var("DOORWARD_FAKETIME") else {
        skipped("an_expired_key_is_refused", "DOORWARD_FAKETIME is not set");
        return;
    };
    let mut clock = String::new();
    let world = World::with(|setup| {
        clock = setup.folder().write("clock", "@2027-01-01 00:00:00");
        setup
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", &clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("TZ", "UTC")
    });
    // Written anew as a whole: a clock that is read while it is being written would be none.
    let set = |time: &str| {
        std::fs::write(format!("{clock}.new"), time).expect("a file");
        std::fs::rename(format!("{clock}.new"), &clock).expect("a file");
    };
    let key = world.gateway.actor("acme-live", "server", &["--expires", "2027-06-01T12:00:00Z"]);
    assert_eq!(
        world.gateway.show(&key.id)["expires_at"].as_str().map(|t| &t[..19]),
        Some("2027-06-01T12:00:00")
    );
    let ask = || world.ask(key.get("/v1/x"));
    eventually("the new key", || ask().status == 200);
    // A clock that stands still, to be exact about the instant.
    set("2027-06-01 11:59:59");
    ask().expect_ok();
    set("2027-06-01 12:00:00");
    let answer = ask();
    answer.expect(401, "credential_expired");
    assert!(
        world.gateway.event(answer.id())["at"]
            .as_str()
            .is_some_and(|at| at.starts_with("2027-06-01T12:00:0"))
    );
    world.ask(key.with_secret("wrong").get("/v1/x")).expect(401, "credential_invalid");
    world.ask(world.server.get("/v1/x")).expect_ok();
    set("2030-01-01 00:00:00");
    ask().expect(401, "credential_expired");
}
