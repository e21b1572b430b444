//! Events, metrics, health: each request leaves one line; no secret leaves any.
use crate::support::{Do, HOST, World, eventually, tag, wait_for};
use std::time::Duration;

const KEYS: [&str; 24] = [
    "at",
    "request_id",
    "client",
    "method",
    "path",
    "host",
    "api",
    "route",
    "workspace",
    "credential",
    "scheme",
    "dialect",
    "weak",
    "exposed",
    "decision",
    "code",
    "detail",
    "rule",
    "status",
    "complete",
    "upstream_us",
    "total_us",
    "request_bytes",
    "response_bytes",
];

/// Requests of every kind: each has one event line, whose keys are always the same, in the same order.
#[test]
fn each_request_has_one_line_of_one_form() {
    let world = World::new();
    let World { server, page, plain, gateway, .. } = &world;
    let tag = tag();
    world.production.on(&tag, Do::answer_and_close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"));
    let requests = [
        server.get("/v1/x?secret=1"),
        server.with_secret("wrong").get("/v1/x"),
        page.get("/client/v1/x"),
        plain.get("/customers/x"),
        server.get("/v1/%2f"),
        server.get("/nowhere"),
        server.get("/dead/x"),
        server.get(&format!("/v1/{tag}")),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET /public/x HTTP/1.0\r\nHost: {HOST}\r\n\r\n"),
    ];
    for request in &requests {
        let _ = gateway.connect().send(request).try_answer("GET");
    }
    let mut pipelined = gateway.connect();
    pipelined.send(server.get("/v1/1") + &server.get("/v1/2"));
    pipelined.answer();
    pipelined.answer();
    eventually("all lines", || gateway.event_lines().len() == requests.len() + 2);
    for line in gateway.event_lines() {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let object = event.as_object().expect("an object");
        assert_eq!(object.len(), KEYS.len(), "{line}");
        let places: Vec<usize> = KEYS
            .iter()
            .map(|key| line.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key}: {line}")))
            .collect();
        assert!(places.is_sorted(), "the keys are in another order: {line}");
        let at = event["at"].as_str().expect("an instant");
        assert!(
            at.len() == 24 && at.ends_with('Z') && at.as_bytes()[10] == b'T' && at.as_bytes()[19] == b'.',
            "{at}"
        );
        for key in ["status", "total_us", "request_bytes", "response_bytes"] {
            assert!(event[key].is_u64(), "{key}: {line}");
        }
        for key in ["weak", "exposed", "complete"] {
            assert!(event[key].is_boolean(), "{key}: {line}");
        }
        assert!(
            event["request_bytes"].as_u64() > Some(0) && event["response_bytes"].as_u64() > Some(0),
            "{line}"
        );
        assert!(event["upstream_us"].as_u64() <= event["total_us"].as_u64(), "{line}");
        assert!(!line.contains("secret=1"), "the query is logged: {line}");
    }
}

#[test]
fn sizes_and_times_are_those_of_the_request() {
    let world = World::shared();
    let tag = tag();
    let slow = b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n".to_vec();
    world.production.on(&tag, vec![Do::Body, Do::Pause(100), Do::Say(slow), Do::Say(vec![b'x'; 50_000])]);
    let answer = world.ask(world.server.post(&format!("/v1/{tag}"), &[b'y'; 20_000]));
    let event = world.gateway.event(answer.id());
    let number = |key: &str| event[key].as_u64().expect("a number");
    assert!((20_000..22_000).contains(&number("request_bytes")), "{event}");
    assert!((50_000..52_000).contains(&number("response_bytes")), "{event}");
    assert!(number("upstream_us") >= 100_000 && number("total_us") >= number("upstream_us"), "{event}");
}

/// Case 34: whatever bytes a caller sends, one request is one line of clean JSON.
#[test]
fn nothing_that_is_sent_breaks_a_line() {
    let world = World::new();
    let mut sent = 0;
    for byte in (1..=0x20).chain(0x7f..=0xff).chain(*b"\"\\<>{}") {
        for (before, after) in [
            (format!("GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nX-App-Id: a"), "b\r\nX-App-Token: c\r\n\r\n"),
            (format!("GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nX-API-Key: a"), "b.c\r\n\r\n"),
            ("GET /v1/x".to_owned(), "y HTTP/1.1\r\nHost: api\r\n\r\n"),
            ("GET /v1/x HTTP/1.1\r\nHost: a".to_owned(), "b\r\n\r\n"),
            ("G".to_owned(), "T /v1/x HTTP/1.1\r\nHost: api\r\n\r\n"),
        ] {
            let request = [before.as_bytes(), &[byte], after.as_bytes()].concat();
            let _ = world.gateway.connect().send(request).try_answer("GET");
            sent += 1;
        }
    }
    for path in ["/v1/%0a%22", "/v1/%1b[31m", "/v1/%e2%80%a8", "/v1/%7f"] {
        world.ask(world.server.get(path));
        sent += 1;
    }
    // Not one line was broken in two, and not one is missing.
    eventually("all lines", || world.gateway.event_lines().len() >= sent);
    let lines = world.gateway.event_lines();
    assert_eq!(lines.len(), sent);
    for line in &lines {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line:?}");
        let raw = line
            .chars()
            .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}'));
        assert!(!raw, "{line:?}");
    }
    assert!(
        !world.gateway.log().chars().any(|c| c.is_control() && !"\n\t".contains(c)),
        "the log has raw bytes"
    );
}

/// How a secret may be written.
pub(crate) fn spellings(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
    vec![secret.to_owned(), hex, base64(secret.as_bytes())]
}

/// Base64 without what depends on the end.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks_exact(3) {
        let n = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        out.extend([18, 12, 6, 0].map(|shift| char::from(ALPHABET[(n >> shift) as usize & 63])));
    }
    out
}

/// Case 35: secrets in every place where a caller may put them, right or wrong; none shows up anywhere.
#[test]
fn no_secret_leaves_a_trace() {
    let mut world = World::new();
    let World { server, tester, single, page, plain, gateway, .. } = &world;
    let actors = [server, tester, single, page];
    for actor in actors {
        let secret = &actor.secret;
        for request in [
            actor.get("/v1/x"),
            actor.get("/client/v1/x"),
            actor.with_id("nobody").get("/std/x"),
            actor.get("/dead/x"),
            actor.get("/v1/%2f"),
            actor.request("GET", "/v1/x", &format!("X-App-Token: {secret}\r\nX-API-Key: {secret}\r\n")),
            actor.request("GET", "/v1/x", &format!("Broken {secret}\r\n")),
            format!("GET /v1/x?token={secret} HTTP/1.1\r\nHost: {HOST}\r\nX-App-Token: {secret}\r\n\r\n"),
            format!("GET /customers/x?api_key={secret} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
            format!("GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {secret}\r\n\r\n"),
        ] {
            let _ = gateway.connect().send(request).try_answer("GET");
        }
    }
    for path in ["/customers/x", "/customers/%2f", "/v1/x", "/nowhere", "/dead/x"] {
        let _ = gateway.connect().send(plain.get(path)).try_answer("GET");
    }
    gateway.command(&["credential", "regenerate", &tester.id, "--json"]).ok();
    let metrics = gateway.operations("/metrics").text();
    let read = |path: String| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let process = ["cmdline", "environ"].map(|f| read(format!("/proc/{}/{f}", gateway.pid())));
    let exported = gateway.command(&["export"]).ok().stdout;
    let listed = gateway.command(&["credential", "list", "--json"]).ok().stdout;
    let secrets: Vec<String> = actors.iter().flat_map(|a| spellings(&a.secret)).collect();
    let weak = spellings(&plain.id);
    world.gateway.signal("TERM");
    world.gateway.ended();
    let file = |name: &str| read(world.gateway.folder.file(name));
    for (place, text) in [
        ("event lines", file("events.jsonl")),
        ("log", file("stderr.log")),
        ("standard output", file("stdout.log")),
        ("metrics", metrics),
        ("command line", process[0].clone()),
        ("environment", process[1].clone()),
        ("export", exported),
    ] {
        for secret in secrets.iter().chain(&weak) {
            assert!(!text.contains(secret.as_str()), "{place}: {secret}");
        }
    }
    let stored = String::from_utf8_lossy(&world.gateway.stored()).into_owned();
    assert!(stored.contains(&world.server.id), "nothing of the store was read");
    for (place, text) in [("store", stored), ("list", listed)] {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{place}: {secret}");
        }
    }
}

/// The file can be moved away; after SIGHUP a new one is written.
#[test]
fn the_event_file_is_opened_again() {
    let world = World::new();
    let first = world.ask(world.server.get("/v1/x"));
    world.gateway.event(first.id());
    let moved = world.gateway.folder.file("moved.jsonl");
    std::fs::rename(world.gateway.events_file(), &moved).expect("a file");
    world.gateway.signal("HUP");
    eventually("a new file", || {
        world.ask(world.server.get("/v1/x"));
        std::fs::metadata(world.gateway.events_file()).is_ok()
    });
    let second = world.ask(world.server.get("/v1/x"));
    world.gateway.event(second.id());
    assert!(!std::fs::read_to_string(moved).expect("a file").contains(second.id()));
}

#[test]
fn event_lines_can_go_to_standard_output() {
    let world = World::with(|s| s.set("events", "file", "\"-\""));
    let answer = world.ask(world.server.get("/v1/x"));
    eventually("the line", || {
        std::fs::read_to_string(world.gateway.folder.file("stdout.log"))
            .is_ok_and(|out| out.contains(answer.id()))
    });
}

/// A value of a metric; all of its series added up.
fn metric(text: &str, name: &str) -> Option<f64> {
    let series =
        text.lines().filter(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    let values: Vec<f64> = series.filter_map(|l| l.rsplit(' ').next()?.parse().ok()).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

#[test]
fn metrics_count_what_happened() {
    let world = World::new();
    let read = || {
        let answer = world.gateway.operations("/metrics");
        assert_eq!(answer.status, 200);
        let kind = answer.get("content-type").unwrap_or_default();
        assert!(kind.contains("text/plain") || kind.contains("openmetrics"), "{kind}");
        answer.text()
    };
    let text = read();
    assert!(text.lines().any(|l| l.starts_with("# TYPE doorward_")), "{text}");
    let failopen = text.lines().find(|l| !l.starts_with('#') && l.contains("failopen_total"));
    assert_eq!(failopen.and_then(|l| l.rsplit(' ').next()), Some("0"), "{text}");
    for _ in 0..7 {
        world.ask(world.server.get("/v1/x")).expect_ok();
    }
    world.ask(world.server.with_secret("wrong").get("/v1/x"));
    world.ask("GET / HTTP/1.1\r\n\r\n");
    let text = wait_for("nine requests to be counted", || {
        Some(read()).filter(|text| metric(text, "doorward_requests_total") == Some(9.0))
    });
    assert!(text.contains("credential_invalid"), "refusals are told apart by their code: {text}");
    assert!(text.lines().any(|l| l.contains("permit") && l.ends_with(" 7")), "{text}");
}

/// Case 14: health has a listener of its own; there nothing is forwarded, and here no header grants a pass.
#[test]
fn operations_are_apart() {
    let world = World::shared();
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/v1/x", 404), ("/", 404)] {
        assert_eq!(world.gateway.operations(path).status, status, "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        let probe = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: kube-probe/1.30\r\n\r\n");
        world.ask(probe).expect(404, "route_unknown");
    }
    let probe = format!("GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: GoogleHC/1.0\r\n\r\n");
    world.ask(probe).expect(401, "credential_missing");
}

/// A log that is not read must not hold requests back: here it is a pipe that nobody empties.
#[test]
fn a_blocked_log_holds_no_request_back() {
    let mut reader = None;
    let world = World::with(|setup| {
        let pipe = setup.folder().file("events.pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo runs").success());
        // Somebody has it open and reads nothing.
        reader = Some(std::fs::File::options().read(true).write(true).open(&pipe).expect("a pipe"));
        setup.set("events", "file", format!("{pipe:?}"))
    });
    assert!(reader.is_some());
    let mut connection = world.gateway.connect().patience(Duration::from_secs(5));
    for n in 0..1_000 {
        let answer = connection.expect_serves(&world.server.get("/v1/x"));
        assert_eq!(answer.status, 200, "request {n}");
    }
}
