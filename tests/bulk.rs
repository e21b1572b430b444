//! Many credentials: taken over from a file, listed page by page, searched; and what a million of them cost.
use crate::support::{Actor, Gateway, Setup, Upstream, World, eventually, number_of_trials, rows};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SECRET: &str = "0123456789abcdef-imported";

fn prepared() -> (Gateway, [Upstream; 2]) {
    let upstreams = [Upstream::start(), Upstream::start()];
    let policy = World::policy(&upstreams[0], &upstreams[1]);
    (Setup::new().policy(policy).prepare(), upstreams)
}

fn entry(id: &str) -> Value {
    json!({"workspace": "acme-live", "kind": "server", "dialect": "voucherify", "id": id, "secret": SECRET})
}

fn with(mut entry: Value, field: &str, value: impl Into<Value>) -> Value {
    entry[field] = value.into();
    entry
}

/// A file with these lines, and the words that import it.
fn file(gateway: &Gateway, lines: &[String]) -> String {
    gateway.folder.write("import.jsonl", &lines.join("\n"))
}

fn import(gateway: &Gateway, entries: &[Value]) -> crate::support::Run {
    let lines: Vec<String> = entries.iter().map(ToString::to_string).collect();
    gateway.command(&["credential", "import", "--json", "-f", &file(gateway, &lines)])
}

fn listed(gateway: &Gateway, words: &[&str]) -> Vec<String> {
    let run = gateway.command(&[&["credential", "list", "--json"], words].concat()).ok();
    rows(&run.stdout).iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Whatever `create` printed can be taken over by another installation, and begun again at will.
#[test]
fn what_was_created_elsewhere_is_taken_over_as_it_is() {
    let (elsewhere, _kept) = prepared();
    let mut made = elsewhere.create(&["--workspace", "acme-live", "--kind", "server", "--count", "40"]);
    made.extend(elsewhere.create(&["--workspace", "acme-live", "--kind", "client", "--origin", "*"]));
    let weak = ["--workspace", "acme-test", "--kind", "server", "--dialect", "antavo", "--plain-key"];
    made.extend(elsewhere.create(&weak));
    let (mut gateway, _upstreams) = prepared();
    // An id that stands alone needs no secret, and what was blocked stays so.
    let alone = json!({"workspace": "acme-test", "kind": "server", "dialect": "antavo", "plain_key": true, "id": "alone"});
    let blocked = with(entry("no-entry"), "status", "blocked");
    let signs = with(with(entry("signs"), "dialect", "aws4"), "scheme", "escher");
    let all = [&made[..], &[alone, blocked, signs]].concat();
    let run = import(&gateway, &all).ok();
    assert_eq!(rows(&run.stdout), [json!({"created": 45, "there": 0})]);
    assert_eq!(rows(&import(&gateway, &all).ok().stdout), [json!({"created": 0, "there": 45})]);
    assert_eq!(gateway.show("signs")["scheme"], "escher");
    gateway.command(&["check"]).ok();
    gateway.start();
    for row in made.iter().filter(|row| row["kind"] == "server" && row["plain_key"] == false) {
        gateway.ask(Actor::from_row(row).get("/v1/x")).expect_ok();
    }
    gateway.ask("GET /customers/x?api_key=alone HTTP/1.1\r\nHost: api.example.com\r\n\r\n").expect_ok();
    let blocked = Actor::from_row(&entry("no-entry"));
    gateway.ask(blocked.get("/v1/x")).expect(401, "credential_blocked");
    // What was changed here since is no difference in the key.
    gateway.command(&["credential", "block", "alone"]).ok();
    import(&gateway, &all).ok();
    assert_eq!(gateway.show("alone")["status"], "blocked");
}

/// All mistakes are told with their lines, none with what may be a secret, and nothing is written.
#[test]
fn every_bad_line_is_told_before_anything_is_written() {
    let (gateway, _upstreams) = prepared();
    let good = |id: &str| entry(id).to_string();
    let lines = [
        good("fine-1"),
        "{\"workspace\": \"acme-live\", \"id\": tell-nobody}".to_owned(),
        with(entry("no-workspace"), "workspace", "nowhere").to_string(),
        with(entry("short-secret"), "secret", "tell-nobody").to_string(),
        with(entry("no-text"), "secret", json!(["tell-nobody"])).to_string(),
        String::new(),
        with(entry("no-secret"), "secret", Value::Null).to_string(),
        with(with(entry("two-mistakes"), "kind", "robot"), "tenant", "x").to_string(),
        "[\"tell-nobody\"]".to_owned(),
        good("fine-1"),
        with(entry("over"), "expires_at", "2020-01-01T00:00:00Z").to_string(),
        with(entry("a b"), "scheme", "publishable").to_string(),
        good("fine-2"),
        with(with(entry("signs"), "dialect", "aws4"), "scheme", "api_key").to_string(),
    ];
    let run = gateway.command(&["credential", "import", "-f", &file(&gateway, &lines)]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    for (line, why) in [
        (2, "no JSON"),
        (3, "nowhere"),
        (4, "a secret has"),
        (5, "`secret` is no text"),
        (7, "`secret` is missing"),
        (8, "robot"),
        (8, "`tenant`"),
        (9, "no JSON object"),
        (10, "line 1 has the same id"),
        (11, "expired"),
        (12, "`scheme`"),
        (14, "`scheme`: a server credential of its dialect uses escher"),
    ] {
        let told = run.stderr.lines().any(|l| l.starts_with(&format!("line {line}: ")) && l.contains(why));
        assert!(told, "line {line}, {why}: {}", run.stderr);
    }
    assert!(run.stderr.ends_with("nothing was written\n") && run.stderr.lines().count() == 13, "{run:?}");
    assert!(!run.stderr.contains("tell-nobody") && !run.stderr.contains(SECRET), "{run:?}");
    assert!(listed(&gateway, &[]).is_empty());
    for bad in ["/nowhere/at-all", &gateway.folder.file("")] {
        let run = gateway.command(&["credential", "import", "-f", bad]);
        assert!(run.code == 1 && run.stderr.contains(bad), "{run:?}");
    }
    let long = gateway.folder.write("long.jsonl", &"x".repeat(100_000));
    let run = gateway.command(&["credential", "import", "-f", &long]);
    assert!(run.code == 1 && run.stderr.contains("line 1 has more than"), "{run:?}");
}

/// An id that somebody else has is a mistake; one that is there with the same secret is not.
#[test]
fn ids_that_are_taken_are_told_with_their_lines() {
    let (gateway, _upstreams) = prepared();
    import(&gateway, &[entry("one"), entry("two"), entry("three")]).ok();
    let before = listed(&gateway, &[]);
    let run = import(
        &gateway,
        &[
            entry("one"),
            entry("new"),
            with(entry("two"), "secret", "another-secret-0123456789"),
            with(with(entry("three"), "workspace", "other-live"), "name", "till"),
        ],
    );
    assert_eq!(run.code, 1, "{run:?}");
    let told: Vec<&str> = run.stderr.lines().collect();
    assert!(told[0].starts_with("line 3: ") && told[0].ends_with("not the same: secret"), "{run:?}");
    assert!(told[1].starts_with("line 4: ") && told[1].ends_with("not the same: workspace, name"), "{run:?}");
    assert_eq!((told.len(), listed(&gateway, &[])), (3, before));
    let run = import(&gateway, &[entry("one"), entry("new")]).ok();
    assert_eq!(rows(&run.stdout), [json!({"created": 1, "there": 1})]);
}

/// Secrets come by standard input as well. Killed at any instant, an import is begun again and ends.
#[test]
fn an_import_that_was_killed_is_begun_again() {
    let (gateway, _upstreams) = prepared();
    let count = 3_000;
    let lines: Vec<String> = (0..count).map(|n| entry(&format!("key-{n}")).to_string()).collect();
    let text = lines.join("\n");
    for after_ms in [30, 120, 250] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(["credential", "import", "-f", "-", "--config", &gateway.config])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        // Whoever is killed stops reading.
        let _ = child.stdin.take().expect("a pipe").write_all(text.as_bytes());
        std::thread::sleep(Duration::from_millis(after_ms));
        let _ = child.kill();
        let _ = child.wait();
        gateway.command(&["check"]).ok();
    }
    let there = listed(&gateway, &[]).len();
    let run = gateway.command(&["credential", "import", "--json", "-f", &file(&gateway, &lines)]).ok();
    assert_eq!(rows(&run.stdout), [json!({"created": count - there, "there": there})]);
    assert_eq!(listed(&gateway, &[]).len(), count);
}

/// Many are made in few transactions, and each line stands for one that is there.
#[test]
fn many_are_created_at_once() {
    let (gateway, _upstreams) = prepared();
    let made = gateway.create(&["--workspace", "acme-live", "--kind", "server", "--count", "1300"]);
    let made: HashSet<&str> = made.iter().filter_map(|row| row["id"].as_str()).collect();
    let there = listed(&gateway, &[]);
    assert!(made.len() == 1_300 && there.len() == 1_300 && there.iter().all(|id| made.contains(id.as_str())));
}

#[test]
fn lists_come_page_by_page_and_can_be_searched() {
    let (gateway, _upstreams) = prepared();
    let mut all: Vec<Value> = (0..1_101).map(|n| entry(&format!("key-{n:04}"))).collect();
    all.push(with(entry("zz-named"), "name", "Till 100% Main Street"));
    all.push(with(with(entry("zz-other"), "workspace", "other-live"), "kind", "integration"));
    all.push(json!({"workspace": "acme-test", "kind": "server", "dialect": "antavo", "plain_key": true,
        "id": "weaksecret", "name": "street"}));
    import(&gateway, &all).ok();
    gateway.command(&["credential", "block", "key-0500"]).ok();

    assert_eq!(listed(&gateway, &[]).len(), 1_104);
    let people = gateway.command(&["credential", "list"]).ok().stdout;
    let people: Vec<&str> = people.lines().collect();
    assert_eq!((people.len(), people[1_000]), (1_001, "... and more: --after key-0999"));
    let rest = gateway.command(&["credential", "list", "--after", "key-0999"]).ok().stdout;
    assert_eq!(rest.lines().count(), 104);
    assert_eq!(
        listed(&gateway, &["--limit", "3", "--after", "key-0006"]),
        ["key-0007", "key-0008", "key-0009"]
    );
    assert_eq!(listed(&gateway, &["--limit", "600"]).len(), 600);
    let exactly = gateway.command(&["credential", "list", "--limit", "1104"]).ok().stdout;
    assert!(exactly.lines().count() == 1_104 && !exactly.contains("more"));

    assert_eq!(listed(&gateway, &["--status", "blocked"]), ["key-0500"]);
    assert_eq!(listed(&gateway, &["--kind", "integration"]), ["zz-other"]);
    assert_eq!(listed(&gateway, &["--workspace", "other-live"]), ["zz-other"]);
    assert_eq!(listed(&gateway, &["--search", "key-11"]), ["key-1100"]);
    assert_eq!(listed(&gateway, &["--search", "0% main"]), ["zz-named"]);
    assert_eq!(listed(&gateway, &["--search", "STREET"]), ["weaksecret", "zz-named"]);
    assert_eq!(listed(&gateway, &["--search", "street", "--workspace", "acme-live"]), ["zz-named"]);
    // An id that is as good as a secret is not found by a piece of it.
    assert!(listed(&gateway, &["--search", "weaksecre"]).is_empty());
    assert_eq!(listed(&gateway, &["--search", "weaksecret"]), ["weaksecret"]);
    let none = gateway.command(&["credential", "list", "--search", "nothing like it"]).ok().stdout;
    assert_eq!(none, "there are no such credentials\n");
    for wrong in [["--limit", "0"], ["--search", ""], ["--status", "gone"], ["--kind", "robot"]] {
        let run = gateway.command(&[&["credential", "list"], &wrong[..]].concat());
        assert!(run.code == 2 && !run.stderr.is_empty(), "{run:?}");
    }
}

/// Resident memory of a process, in MiB.
pub(crate) fn resident_mib(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("it runs");
    let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number of pages");
    pages * 4096 / (1024 * 1024)
}

/// A story for `DOORWARD_N` credentials: they are taken over, loaded, listed, searched, changed; figures are told.
#[test]
fn size_of_an_installation() {
    let n = number_of_trials(2_000);
    let (mut gateway, _upstreams) = prepared();
    let timed = |what: &str, work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        println!("{n} credentials, {what}: {:?}", started.elapsed());
        started.elapsed()
    };
    let path = gateway.folder.file("many.jsonl");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    for i in 0..n {
        // An odd factor: every id once, in no order.
        let line = with(
            entry(&format!("dwi_{:022}", i.wrapping_mul(2_654_435_761) % (1 << 32))),
            "name",
            format!("Till number {i}"),
        );
        writeln!(out, "{line}").expect("a file");
    }
    drop(out);
    timed("import", &mut || drop(gateway.command(&["credential", "import", "-f", &path]).ok()));
    gateway.start();
    let (mib, started) = (resident_mib(gateway.pid()), gateway.started_in);
    println!("{n} credentials, start until ready: {started:?}, memory: {mib} MiB");
    assert!(mib <= 55 + n * 645 / 1_000_000, "{mib} MiB");
    let first = Actor::from_row(&entry(&format!("dwi_{:022}", 0)));
    gateway.ask(first.get("/v1/x")).expect_ok();
    for (what, words) in [
        ("the first page", &["--limit", "100"][..]),
        ("a page in the midst", &["--limit", "100", "--after", "dwi_0000000000000000000500"]),
        ("a search for one", &["--search", &format!("Number {}", n - 1)]),
        ("a search for none", &["--search", "not there"]),
        ("the blocked ones", &["--status", "blocked"]),
    ] {
        let took = timed(what, &mut || drop(listed(&gateway, words)));
        assert!(took < Duration::from_secs(5), "{what}: {took:?}");
    }
    timed("all of them listed", &mut || assert_eq!(listed(&gateway, &[]).len() as u64, n));
    for (verb, status) in [("block", 401), ("unblock", 200)] {
        let took = timed(verb, &mut || {
            gateway.command(&["credential", verb, &first.id]).ok();
            eventually(verb, || gateway.ask(first.get("/v1/x")).status == status);
        });
        assert!(took < Duration::from_secs(5), "{verb}: {took:?}");
    }
    println!("{n} credentials, memory in the end: {} MiB", resident_mib(gateway.pid()));
}
