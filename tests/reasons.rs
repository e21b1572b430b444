//! Every reason for which a request is refused, each provoked through a socket.
use crate::faults::metric;
use crate::support::{
    Actor, Answer, Conn, Do, HOST, Signer, TokenWorld, World, eventually, now, tag, wait_for,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Every code there is, with its status.
const REASONS: [(&str, u16); 35] = [
    ("request_ambiguous", 400),
    ("credential_ambiguous", 400),
    ("credential_missing", 401),
    ("credential_malformed", 401),
    ("credential_invalid", 401),
    ("credential_expired", 401),
    ("credential_blocked", 401),
    ("scheme_not_accepted", 401),
    ("signature_required", 401),
    ("signature_invalid", 401),
    ("signature_expired", 401),
    ("signature_replayed", 401),
    ("digest_invalid", 401),
    ("token_invalid", 401),
    ("token_expired", 401),
    ("token_revoked", 401),
    ("network_denied", 403),
    ("origin_denied", 403),
    ("scope_missing", 403),
    ("captcha_required", 403),
    ("captcha_invalid", 403),
    ("licence_required", 403),
    ("region_denied", 403),
    ("insecure_transport", 403),
    ("route_unknown", 404),
    ("method_not_allowed", 405),
    ("request_timeout", 408),
    ("body_too_large", 413),
    ("expectation_failed", 417),
    ("rate_limited", 429),
    ("head_too_large", 431),
    ("upstream_failed", 502),
    ("unavailable", 503),
    ("overloaded", 503),
    ("upstream_timeout", 504),
];

/// The codes that docs/reasons.md explains: those of its headings that are codes.
fn documented() -> BTreeSet<String> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reasons.md");
    let text = std::fs::read_to_string(file).expect("docs/reasons.md");
    let headings = text.lines().filter_map(|line| line.strip_prefix("## ")).map(|h| h.trim_matches('`'));
    let codes = headings.filter(|h| h.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    codes.map(str::to_owned).collect()
}

#[test]
fn the_reasons_here_are_those_of_the_documentation() {
    let here: BTreeSet<String> = REASONS.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(here, documented());
}

fn anonymous(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

#[test]
fn every_reason_is_provoked() {
    let mut provoked = BTreeSet::new();
    let mut note = |answer: &Answer| {
        let status = REASONS.iter().find(|(code, _)| *code == answer.code()).map(|(_, status)| *status);
        assert_eq!(status, Some(answer.status), "{answer:?}");
        provoked.insert(answer.code().to_owned());
    };
    by_asking().iter().for_each(&mut note);
    by_signing().iter().for_each(&mut note);
    by_tokens().iter().for_each(&mut note);
    by_rules().iter().for_each(&mut note);
    by_time(&mut note);
    by_settings(&mut note);
    let all: BTreeSet<String> = REASONS.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(provoked, all);
}

/// What a request alone brings about.
fn by_asking() -> Vec<Answer> {
    let world = World::shared();
    let World { server, single, page, gateway, .. } = &*world;
    let with = |lines: &str| server.request("GET", "/v1/x", lines);
    let blocked = gateway.actor("acme-live", "server", &[]);
    gateway.command(&["credential", "block", &blocked.id]).ok();
    let far = gateway.actor("acme-far", "server", &[]);
    let denied = |actor: &Actor, code: &str| {
        wait_for(code, || Some(world.ask(actor.get("/v1/x"))).filter(|a| a.code() == code))
    };
    let long = format!("X: {}\r\n", "x".repeat(20_000));
    let mut answers: Vec<Answer> = [
        with("Content-Length: 1\r\nContent-Length: 1\r\n"),
        with(&single.lines()),
        anonymous("/v1/x"),
        anonymous("/v1/x").replace("\r\n\r\n", "\r\nX-App-Id: half\r\n\r\n"),
        server.with_secret("wrong").get("/v1/x"),
        single.get("/v1/x"),
        page.at(Some("https://evil.example")).get("/client/v1/x"),
        anonymous("/nowhere"),
        single.request("POST", "/only/get", ""),
        with("Expect: 200-ok\r\n"),
        with(&long),
        server.get("/dead/x"),
        server.request("POST", "/v1/x", "Content-Length: 99999999\r\n"),
    ]
    .into_iter()
    .map(|request| world.ask(request))
    .collect();
    answers.extend([denied(&blocked, "credential_blocked"), denied(&far, "region_denied")]);
    answers
}

/// Takes signatures under two names.
const SIGNED: &str = r#"
[[api]]
id = "signed"
dialect = "antavo"
names = ["antavo", "aws4"]
schemes = ["escher", "api_key"]
plain_key = ["production"]
upstream = { production = "http://127.0.0.1:1" }
[[api.route]]
path = "/signed/*"
"#;

/// What signatures bring about.
fn by_signing() -> Vec<Answer> {
    let world = World::new();
    let policy = World::policy(&world.production, &world.sandbox) + SIGNED;
    world.gateway.apply(&policy).ok();
    let caller = |more: &[&str]| world.gateway.actor("acme-live", "server", more);
    let plain = caller(&["--dialect", "antavo", "--plain-key"]);
    let aws = Signer::of(&caller(&["--dialect", "aws4"]));
    let signer = Signer::of(&plain);
    let by_another = Signer::of(&plain.with_secret("not-the-secret-that-it-has"));
    eventually("it to be known", || world.ask(plain.get("/signed/x")).code() == "signature_required");
    let mut other_body = aws.request("POST", "/signed/x", b"one", now());
    other_body.truncate(other_body.len() - 3);
    other_body.extend(b"two");
    let once = signer.request("POST", "/signed/x", b"{}", now());
    let replayed = || Some(world.ask(&once)).filter(|a| a.code() == "signature_replayed");
    let replayed = wait_for("the same request to be refused", replayed);
    let answers = [
        plain.get("/signed/x").into_bytes(),
        by_another.get("/signed/x"),
        signer.request("GET", "/signed/x", b"", now().plus_ms(-3_600_000)),
        other_body,
    ]
    .map(|request| world.ask(request));
    answers.into_iter().chain([replayed]).collect()
}

/// What tokens bring about.
fn by_tokens() -> Vec<Answer> {
    let world = TokenWorld::new();
    let id = &world.of("standard").id;
    let (brief, narrow) =
        (world.token_for(id, &["--life-s", "1"]), world.token_for(id, &["--scope", "read"]));
    let over = || Some(world.ask("/t/x", &brief)).filter(|a| a.code() == "token_expired");
    let mut answers = vec![
        world.ask("/t/x", "a.b.c"),
        world.ask("/t/write/x", &narrow),
        wait_for("the token to expire", over),
    ];
    world.gateway.command(&["token", "revoke", "--credential", id]).ok();
    let revoked = || Some(world.ask("/t/x", &narrow)).filter(|a| a.code() == "token_revoked");
    answers.push(wait_for("the end of all tokens", revoked));
    answers
}

/// Three APIs, each with a rule that lets nobody in, or nobody twice.
const RULED: &str = r#"
[[api]]
id = "walled"
dialect = "voucherify"
upstream = { production = "http://{upstream}" }
route = [{ path = "/walled" }]
[[api]]
id = "counted"
dialect = "voucherify"
upstream = { production = "http://{upstream}" }
route = [{ path = "/counted" }]
[[api]]
id = "asking"
dialect = "voucherify"
upstream = { production = "http://{upstream}" }
route = [{ path = "/licensed", licences = ["premium"] }, { path = "/captcha", captcha = true }]
[[policy]]
workspace = "acme-live"
api = "walled"
network = { allow = [] }
[[policy]]
workspace = "acme-live"
api = "counted"
limits = { credential = { requests = 1, per_s = 3600 } }
"#;

/// What the rules of a workspace bring about.
fn by_rules() -> Vec<Answer> {
    let world = World::new();
    let ruled = RULED.replace("{upstream}", &world.production.address.to_string());
    world.gateway.apply(&(World::policy(&world.production, &world.sandbox) + &ruled)).ok();
    let ask = |path: &str| world.ask(world.server.get(path));
    eventually("the rules to be obeyed", || ask("/walled").code() == "network_denied");
    let limited = || Some(ask("/counted")).filter(|a| a.code() == "rate_limited");
    vec![
        ask("/walled"),
        ask("/licensed"),
        ask("/captcha"),
        world.ask(world.server.request("GET", "/captcha", "CaptchaResponse: solved\r\n")),
        wait_for("the limit", limited),
    ]
}

/// What time brings about.
fn by_time(note: &mut dyn FnMut(&Answer)) {
    let world = World::with(|s| s.set("timeouts", "head_ms", 300).set("timeouts", "response_ms", 300));
    let in_two_seconds = in_seconds(2);
    let brief = world.gateway.actor("acme-live", "server", &["--expires", &in_two_seconds]);
    let expired = || Some(world.ask(brief.get("/v1/x"))).filter(|a| a.code() == "credential_expired");
    note(&wait_for("the credential to expire", expired));
    note(&world.gateway.connect().send("GET / HT").answer());
    let tag = tag();
    world.production.on(&tag, vec![Do::Silence]);
    note(&world.ask(world.server.get(&format!("/v1/{tag}"))));
}

/// What only some settings bring about.
fn by_settings(note: &mut dyn FnMut(&Answer)) {
    let world = World::with(|s| s.set("plain_http", "mode", "\"refuse\"").set("limits", "connections", 2));
    note(&world.ask(world.server.get("/v1/x")));
    note(&overloaded(&world, world.gateway.address("plain")));
    note(&unavailable());
}

/// One connection more than there may be is told so.
fn overloaded(world: &World, address: SocketAddr) -> Answer {
    eventually("room for both", || metric(&world.gateway, "doorward_connections_open") == 0.0);
    let held = [(); 2].map(|()| {
        let mut connection = Conn::open(address);
        connection.expect_serves(&world.server.get("/v1/x"));
        connection
    });
    let mut third = Conn::open(address);
    let answer = third.answer();
    let seconds = answer.get("retry-after").expect("Retry-After").parse::<u32>();
    assert!(seconds.is_ok_and(|s| s > 0), "{answer:?}");
    third.expect_closed();
    drop(held);
    eventually("room for others", || {
        Conn::open(address).send(world.server.get("/v1/x")).try_answer("GET").is_ok_and(|a| a.status == 403)
    });
    answer
}

/// A gateway that has not heard from its store for too long decides nothing.
fn unavailable() -> Answer {
    let world = World::with(|s| s.set("store", "max_staleness_s", 1));
    // On a busy machine a second without news is nothing out of the ordinary.
    eventually("decisions", || world.ask(world.server.get("/v1/x")).status == 200);
    world.gateway.take_store_away();
    let denied = || Some(world.ask(world.server.get("/v1/x"))).filter(|a| a.status != 200);
    let answer = wait_for("decisions to end", denied);
    let ready = world.gateway.operations("/readyz");
    assert_eq!(ready.status, 503, "{ready:?}");
    answer
}

/// An instant as commands take it.
fn in_seconds(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let date = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{}", now.as_secs() + seconds), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .expect("date runs");
    String::from_utf8_lossy(&date.stdout).trim().to_owned()
}
