//! Policy and configuration: read whole, refused whole, obeyed at once.
use crate::support::{Setup, World, doorward, eventually};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The lines that a complaint names.
fn lines_named(text: &str) -> Vec<usize> {
    let mut lines: Vec<usize> = Vec::new();
    for (at, _) in text.match_indices("line ") {
        let digits: String = text[at + 5..].chars().take_while(char::is_ascii_digit).collect();
        lines.extend(digits.parse::<usize>().ok());
    }
    lines.sort_unstable();
    lines.dedup();
    lines
}

/// The line of a text that holds a word, counted from 1.
fn line_of(text: &str, word: &str) -> usize {
    text.lines().position(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word}")) + 1
}

/// Puts mistakes into the policy, asserts that each is told with its line and that nothing has changed.
fn expect_refused(world: &World, mistakes: &[(&str, &str)]) {
    let mut policy = World::policy(&world.production, &world.sandbox);
    for (right, wrong) in mistakes {
        assert!(policy.contains(right), "{right}");
        policy = policy.replacen(right, wrong, 1);
    }
    let run = world.gateway.apply(&policy);
    assert_eq!(run.code, 1, "{run:?}");
    let named = lines_named(&run.said());
    for (_, wrong) in mistakes {
        let line = policy.lines().count()
            - policy.lines().rev().position(|l| l.contains(wrong)).expect("it is there");
        // A mistake between two objects may be told with the line where its object begins.
        let table = policy.lines().take(line).enumerate().filter(|(_, l)| l.starts_with("[["));
        let table = table.last().map_or(line, |(at, _)| at + 1);
        assert!(named.iter().any(|n| (table..=line).contains(n)), "line {line} ({wrong}): {}", run.said());
    }
    world.ask(world.server.get("/v1/x")).expect_ok();
}

#[test]
fn a_broken_policy_lists_all_its_mistakes() {
    let world = World::new();
    let before = world.gateway.command(&["export"]).ok().stdout;
    expect_refused(
        &world,
        &[
            ("environment = \"sandbox\"", "environment = \"testing\""),
            ("region = \"eu\"", "regoin = \"eu\""),
            ("dialect = \"standard\"", "dialect = \"standart\""),
            ("schemes = [\"publishable\"]", "schemes = [\"publishable\", \"smoke\"]"),
            ("path = \"/only/get\"", "path = \"only/get\""),
            ("methods = [\"GET\"]", "methods = [\"get\"]"),
            ("public = true", "public = \"yes\""),
            ("http://127.0.0.1:1\"", "127.0.0.1:1\""),
        ],
    );
    // Mistakes that show only between objects.
    expect_refused(
        &world,
        &[
            ("workspaces = [\"other-live\"]", "workspaces = [\"nowhere-live\"]"),
            ("path = \"/loose/*\"", "path = \"/pinned/*\""),
        ],
    );
    // Both kinds at once.
    expect_refused(
        &world,
        &[
            ("methods = [\"GET\"]", "methods = [\"get\"]"),
            ("workspaces = [\"other-live\"]", "workspaces = [\"nowhere-live\"]"),
        ],
    );
    // What does not parse has one mistake that can be told.
    expect_refused(&world, &[("client_side = true", "client_side == true")]);
    assert_eq!(world.gateway.command(&["export"]).ok().stdout, before, "something of it was taken");
}

#[test]
fn a_policy_that_is_missing_or_no_text_is_refused() {
    let world = World::shared();
    let run = world.gateway.command(&["apply", "-f", "nowhere.toml"]);
    assert!(run.code == 1 && run.stderr.contains("nowhere.toml"), "{run:?}");
    let file = world.gateway.folder.file("binary.toml");
    std::fs::write(&file, [0xff, 0xfe, 0]).expect("a file");
    assert_eq!(world.gateway.command(&["apply", "-f", &file]).code, 1);
}

/// A change is obeyed by a node that runs, from another process. How soon is what `feed` measures.
#[test]
fn a_change_is_obeyed_at_once() {
    let world = World::new();
    let World { gateway, server, .. } = &world;
    let policy = World::policy(&world.production, &world.sandbox);
    let ask = || world.ask(server.get("/fresh/x")).status;
    assert_eq!(ask(), 404);
    let with_more =
        policy.replace("path = \"/v1/*\"", "path = \"/v1/*\"\n[[api.route]]\npath = \"/fresh/*\"");
    let dry = gateway.folder.write("dry.toml", &with_more);
    gateway.command(&["apply", "--dry-run", "-f", &dry]).ok();
    assert_eq!(ask(), 404, "a dry run changed something");
    let mut slowest = Duration::ZERO;
    for n in 0..6 {
        let (text, status) = if n % 2 == 0 { (&with_more, 200) } else { (&policy, 404) };
        gateway.apply(text).ok();
        let done = Instant::now();
        eventually("the change", || ask() == status);
        slowest = slowest.max(done.elapsed());
    }
    println!("the slowest change took {slowest:?}");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

/// Requests that are under way while a policy changes feel nothing of it.
#[test]
fn a_change_disturbs_nobody() {
    let world = World::new();
    let policy = World::policy(&world.production, &world.sandbox);
    let done = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = world.gateway.connect();
                    let mut asked = 0;
                    while !done.load(Ordering::SeqCst) {
                        connection.send(world.server.post("/v1/chunked", b"body")).answer().expect_ok();
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        for n in 0..8 {
            world.gateway.apply(&policy.replace("/pinned/*", &format!("/pinned-{n}/*"))).ok();
        }
        done.store(true, Ordering::SeqCst);
        callers.into_iter().map(|caller| caller.join().expect("every request succeeds")).sum::<u32>()
    });
    assert!(asked > 20, "only {asked} requests");
}

/// What was exported can be applied, and changes nothing.
#[test]
fn export_and_apply_are_each_others_opposite() {
    let world = World::new();
    let gateway = &world.gateway;
    let first = gateway.command(&["export"]).ok().stdout;
    for part in ["acme-live", "/client/v1/*", "plain_key", "encoded_slash", "api.shop.example"] {
        assert!(first.contains(part), "{part} is missing in {first}");
    }
    let count = |said: &str| said.bytes().filter(u8::is_ascii_digit).map(char::from).collect::<String>();
    let before = count(&gateway.command(&["check"]).ok().said());
    gateway.apply(&first).ok();
    assert_eq!(gateway.command(&["export"]).ok().stdout, first);
    assert_eq!(count(&gateway.command(&["check"]).ok().said()), before, "applying it made changes");
    // Another installation takes it as well.
    let other = Setup::new().policy(first.clone()).prepare();
    assert_eq!(other.command(&["export"]).ok().stdout, first);
}

/// A workspace is production or sandbox for good.
#[test]
fn an_environment_is_fixed() {
    let world = World::shared();
    let policy = World::policy(&world.production, &world.sandbox);
    let run = world.gateway.apply(&policy.replacen("\"sandbox\"", "\"production\"", 1));
    assert!(run.code == 1 && run.said().contains("acme-test"), "{run:?}");
}

/// Every mistake of a configuration is told, with its line.
#[test]
fn a_broken_configuration_lists_all_its_mistakes() {
    let gateway = Setup::new()
        .set("limits", "connectoins", 5)
        .set("limits", "fields", "\"many\"")
        .set("timeouts", "head_ms", -1)
        .set("plain_http", "mode", "\"sometimes\"")
        .set("listen", "plain", "\"nowhere\"")
        .set("flavour", "sweet", true)
        .prepare_unchecked();
    let text = std::fs::read_to_string(&gateway.config).expect("it was written");
    for command in [vec!["check"], vec!["serve"]] {
        let run = gateway.command(&command);
        assert_eq!(run.code, 1, "{run:?}");
        let named = lines_named(&run.said());
        for word in ["connectoins", "fields", "head_ms", "mode", "plain =", "flavour"] {
            let line = line_of(&text, word);
            assert!(named.contains(&line), "{word} in line {line}: {}", run.said());
        }
    }
}

#[test]
fn commands_tell_how_they_are_used() {
    for words in [&["fly"][..], &[], &["serve"], &["credential", "create", "--kind"], &["apply", "--config"]]
    {
        let run = doorward(words);
        assert_eq!(run.code, 2, "{words:?}: {run:?}");
        assert!(["usage", "--help"].iter().any(|w| run.stderr.to_ascii_lowercase().contains(w)), "{run:?}");
    }
    assert!(doorward(&["--help"]).ok().stdout.contains("demo"));
}

/// An installation without a policy is a sound one: it knows no route.
#[test]
fn an_empty_installation_answers() {
    let mut gateway = Setup::new().prepare();
    gateway.start();
    gateway.ask("GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n").expect(404, "route_unknown");
    assert_eq!(gateway.operations("/readyz").status, 200);
    gateway.command(&["check"]).ok();
}

/// A node does not start on what it cannot trust, and says why.
#[test]
fn serve_refuses_to_start_on_nonsense() {
    let world = World::new();
    let gateway = &world.gateway;
    // Another key than the one that the store was made with.
    doorward(&["master-key", "create", &gateway.folder.file("other.key")]).ok();
    let config = std::fs::read_to_string(&gateway.config).expect("it was written");
    let other = gateway.folder.write("other.toml", &config.replace("master.key", "other.key"));
    for command in ["serve", "check"] {
        let run = doorward(&[command, "--config", &other]);
        assert!(run.code == 1 && run.stderr.contains("key"), "{run:?}");
    }
    let missing = gateway.folder.write("missing.toml", &config.replace("master.key", "missing.key"));
    let run = doorward(&["serve", "--config", &missing]);
    assert!(run.code == 1 && run.stderr.contains("missing.key"), "{run:?}");
    let short = gateway.folder.write("short.key", "c2hvcnQ=");
    let short =
        gateway.folder.write("short.toml", &config.replace(&gateway.folder.file("master.key"), &short));
    assert_eq!(doorward(&["serve", "--config", &short]).code, 1);
    // Files that can't be written.
    let nowhere = gateway.folder.file("no-such-folder/x");
    let events = gateway.folder.write("events.toml", &config.replace(&gateway.events_file(), &nowhere));
    let run = doorward(&["serve", "--config", &events]);
    assert!(run.code == 1 && run.stderr.contains("no-such-folder"), "{run:?}");
    let free = gateway.folder.write("free.toml", &config);
    let run = doorward(&["serve", "--config", &free, "--ready-file", &nowhere]);
    assert!(run.code == 1 && run.stderr.contains("no-such-folder"), "{run:?}");
    // An address that is taken.
    let taken = gateway.address("plain").to_string();
    let taken = config.replacen("127.0.0.1:0", &taken, 2);
    let taken = gateway.folder.write("taken.toml", &taken);
    let run = doorward(&["serve", "--config", &taken]);
    assert!(run.code == 1 && run.stderr.contains("127.0.0.1"), "{run:?}");
}
