//! TLS, and what becomes of requests that come without it.
use crate::support::{Authority, Conn, Do, Fault, HOST, Setup, TlsVersion, World, eventually, tag};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

struct Secured {
    world: World,
    authority: Authority,
}

/// A gateway that listens for both; plain HTTP is treated as `mode` says.
fn secured(mode: Option<&str>) -> Secured {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate();
    let world = World::with(|setup| {
        let setup = setup.tls(&certificate, &key);
        match mode {
            Some(mode) => setup.set("plain_http", "mode", format!("{mode:?}")),
            None => setup.unset("plain_http", "mode"),
        }
    });
    Secured { world, authority }
}

impl Secured {
    fn connect(&self, version: TlsVersion) -> Conn {
        self.authority.connect(self.world.gateway.address("tls"), version).expect("a handshake")
    }
}

/// ASVS 12.1: TLS 1.2 and 1.3, nothing else.
#[test]
fn both_versions_of_tls_are_served() {
    let secured = secured(None);
    let World { server, gateway, production, .. } = &secured.world;
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let tag = tag();
        let mut connection = secured.connect(version);
        let answer = connection.expect_serves(&server.get(&format!("/v1/{tag}")));
        answer.expect_ok();
        assert_eq!(answer.get("strict-transport-security"), Some("max-age=31536000"), "S6797-1");
        assert_eq!(production.one(&tag).get("x-forwarded-proto"), Some("https"));
        let event = gateway.event(answer.id());
        assert_eq!((&event["exposed"], &event["client"]), (&false.into(), &"127.0.0.1".into()), "{event}");
        // A kept connection, a body, a refusal.
        for length in [100_000, 5_000_000] {
            let body = crate::support::noise(1, length);
            assert!(connection.send(server.post("/v1/chunked", &body)).answer().body == body);
        }
        let refused = connection.expect_serves(&server.with_secret("wrong").get("/v1/x"));
        refused.expect(401, "credential_invalid");
        assert!(refused.get("strict-transport-security").is_some(), "S6797-1: on refusals as well");
        let rejected = connection.expect_serves(&server.request("GET", "/v1/x", "A : b\r\n"));
        rejected.expect(400, "request_ambiguous");
        assert!(rejected.get("strict-transport-security").is_some(), "S6797-1: and on rejects");
    }
}

#[test]
fn a_close_delimited_answer_over_tls_ends_properly() {
    let secured = secured(None);
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let mut connection = secured.connect(version);
        let answer = connection.send(secured.world.server.post("/v1/close", b"whole")).answer();
        assert_eq!(answer.text(), "whole");
        let old = secured.world.server.get("/v1/x").replace("HTTP/1.1", "HTTP/1.0");
        let mut connection = secured.connect(version);
        connection.send(old).answer().expect_ok();
        assert_eq!(connection.inbox.fill(), Err(Fault::Ended), "a proper end");
    }
}

/// What was cut off has no proper end over TLS either.
#[test]
fn a_cut_answer_over_tls_is_cut() {
    let secured = secured(None);
    let World { server, production, .. } = &secured.world;
    for version in [TlsVersion::V12, TlsVersion::V13] {
        for http in ["HTTP/1.0", "HTTP/1.1"] {
            let (tag, go) = (tag(), Arc::new(AtomicBool::new(false)));
            let start = b"HTTP/1.1 200 OK\r\n\r\nhalf".to_vec();
            production.on(&tag, vec![Do::Say(start), Do::Until(Arc::clone(&go)), Do::Reset]);
            let mut connection = secured.connect(version);
            connection.send(server.get(&format!("/v1/{tag}")).replace("HTTP/1.1", http));
            connection.inbox.fill().expect("the first half");
            go.store(true, Ordering::SeqCst);
            let answer = connection.try_answer("GET");
            assert!(matches!(answer, Err(Fault::Cut(_))), "{version:?} {http}: {answer:?}");
        }
    }
}

/// A greeting of TLS 1.1, without the extension that would offer more.
#[test]
fn tls_1_1_is_refused() {
    let secured = secured(None);
    let mut hello = vec![0x03, 0x02];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0x00, 0x2f, 1, 0]);
    let mut record = vec![0x16, 0x03, 0x01, 0, (hello.len() + 4) as u8, 1, 0, 0, hello.len() as u8];
    record.extend(hello);
    let mut socket = TcpStream::connect(secured.world.gateway.address("tls")).expect("a connection");
    socket.set_read_timeout(Some(crate::support::DEADLINE)).expect("a socket");
    socket.write_all(&record).expect("sent");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer[0] == 0x15, "an alert or nothing: {answer:?}");
    // And plain HTTP on this port is no request.
    let mut plain = Conn::open(secured.world.gateway.address("tls"));
    plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(plain.try_answer("GET").is_err());
}

#[test]
fn a_silent_handshake_ends() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate();
    let world = World::with(|s| s.tls(&certificate, &key).set("timeouts", "tls_handshake_ms", 300));
    for sent in [&b""[..], b"\x16\x03\x01"] {
        let mut connection = Conn::open(world.gateway.address("tls"));
        connection.send(sent).expect_closed();
    }
}

/// `check` tells all that is wrong with a certificate and its key at once.
#[test]
fn files_that_are_missing_are_told_together() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate();
    let gateway = Setup::new().tls(&certificate, &key).prepare();
    gateway.command(&["check"]).ok();
    let files = ["server.pem", "server.key"].map(|name| gateway.folder.file(name));
    gateway.folder.write("server.key", &authority.certificate().1);
    let said = gateway.command(&["check"]).stderr;
    assert!(said.contains("does not belong to the certificate"), "{said}");
    files.iter().for_each(|file| std::fs::remove_file(file).expect("it was there"));
    let run = gateway.command(&["check"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(files.iter().all(|file| run.stderr.contains(file.as_str())), "{run:?}");
}

/// Certificates are taken anew without a restart; connections that are there stay.
#[test]
fn certificates_are_reloaded() {
    let secured = secured(None);
    let World { server, gateway, .. } = &secured.world;
    let mut before = secured.connect(TlsVersion::V13);
    before.expect_serves(&server.get("/v1/x")).expect_ok();
    let new = Authority::new();
    let connects = |authority: &Authority| authority.connect(gateway.address("tls"), TlsVersion::V13).is_ok();
    assert!(!connects(&new));
    // A broken file changes nothing.
    gateway.folder.write("server.pem", "no certificate");
    gateway.signal("HUP");
    eventually("a complaint", || gateway.log().to_ascii_lowercase().contains("certificate"));
    assert!(connects(&secured.authority));
    let (certificate, key) = new.certificate();
    gateway.folder.write("server.key", &key);
    gateway.folder.write("server.pem", &certificate);
    eventually("the new certificate", || connects(&new));
    assert!(!connects(&secured.authority));
    before.expect_serves(&server.get("/v1/x")).expect_ok();
}

fn plain_get(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {HOST}:8080\r\n{lines}\r\n")
}

/// The default: 308 to the same address over HTTPS; a credential that was proved on the way is exposed.
#[test]
fn plain_http_is_redirected() {
    let secured = secured(None);
    let World { server, gateway, production, .. } = &secured.world;
    let port = gateway.address("tls").port();
    let tag = tag();
    let answer = gateway.ask(plain_get(&format!("/v1/{tag}?a=%2F&b"), &server.lines()));
    assert_eq!(answer.status, 308, "{answer:?}");
    let there = format!("https://{HOST}:{port}/v1/{tag}?a=%2F&b");
    assert_eq!(answer.get("location"), Some(there.as_str()));
    assert_eq!(answer.get("strict-transport-security"), None, "S6797-1: never over plain HTTP");
    assert!(production.seen(&tag).is_empty());
    let event = gateway.event(answer.id());
    assert_eq!((&event["decision"], &event["exposed"]), (&"redirect".into(), &true.into()), "{event}");
    assert_eq!(event["credential"], server.id.as_str());
    eventually("the flag", || gateway.show(&server.id)["exposed_at"] != serde_json::Value::Null);
    // Whatever form the request had.
    for (line, host, there) in [
        ("/v1/x", "[::1]:8080", format!("https://[::1]:{port}/v1/x")),
        ("/v1/x", "A.Example", format!("https://A.Example:{port}/v1/x")),
        ("http://a.example/v1/x?y", "a.example", format!("https://a.example:{port}/v1/x?y")),
    ] {
        let answer = gateway.ask(format!("GET {line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!((answer.status, answer.get("location")), (308, Some(there.as_str())));
    }
    // Nobody proved anything: nothing is exposed.
    for lines in [server.with_secret("wrong").lines(), String::new()] {
        let answer = gateway.ask(plain_get("/v1/x", &lines));
        assert_eq!((answer.status, &gateway.event(answer.id())["exposed"]), (308, &false.into()));
    }
    assert_eq!(gateway.show(&secured.world.tester.id)["exposed_at"], serde_json::Value::Null);
    // The method stays, also of a request with a body, and what is ambiguous stays refused.
    let mut connection = gateway.connect();
    assert_eq!(connection.send(server.post("/v1/x", b"body")).answer().status, 308);
    assert_eq!(connection.expect_serves(&server.get("/v1/x")).status, 308);
    gateway.ask(server.get("/v1/%2f")).expect(400, "request_ambiguous");
}

/// A redirect must not hand the plain key on.
#[test]
fn a_redirect_names_no_key_in_the_log() {
    let secured = secured(None);
    let World { plain, gateway, .. } = &secured.world;
    let answer = gateway.ask(plain.get("/customers/x"));
    assert_eq!(answer.status, 308);
    let event = gateway.event(answer.id());
    assert_eq!((&event["exposed"], &event["weak"]), (&true.into(), &true.into()), "{event}");
    assert!(!gateway.event_lines().join("\n").contains(&plain.id));
}

#[test]
fn the_port_of_redirects_can_be_set() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate();
    let world = World::with(|s| {
        s.tls(&certificate, &key).set("plain_http", "mode", "\"redirect\"").set(
            "plain_http",
            "https_port",
            443,
        )
    });
    let answer = world.ask(plain_get("/v1/x", ""));
    assert_eq!(answer.get("location"), Some(format!("https://{HOST}/v1/x").as_str()));
}

/// ASVS 4.1.2: refusing is one setting away.
#[test]
fn plain_http_can_be_refused() {
    let secured = secured(Some("refuse"));
    let World { server, gateway, production, .. } = &secured.world;
    let tag = tag();
    for lines in [server.lines(), server.with_secret("wrong").lines(), String::new()] {
        let answer = gateway.ask(plain_get(&format!("/v1/{tag}"), &lines));
        answer.expect(403, "insecure_transport");
        let exposed = lines == server.lines();
        assert_eq!(gateway.event(answer.id())["exposed"], exposed, "{lines}");
    }
    assert!(production.seen(&tag).is_empty());
    secured.connect(TlsVersion::V13).expect_serves(&server.get("/v1/x")).expect_ok();
}

/// Served because somebody said so; still flagged.
#[test]
fn plain_http_can_be_served() {
    let secured = secured(Some("serve"));
    let World { server, gateway, .. } = &secured.world;
    let answer = gateway.ask(server.get("/v1/x"));
    answer.expect_ok();
    assert_eq!(gateway.event(answer.id())["exposed"], true);
    assert_eq!(answer.get("strict-transport-security"), None);
}

#[test]
fn hsts_can_reach_further() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate();
    let world = World::with(|s| {
        s.tls(&certificate, &key).set("tls", "hsts_max_age_s", 60).set("tls", "hsts_include_subdomains", true)
    });
    let tag = tag();
    let theirs = "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 2\r\n\r\nok";
    world.production.on(&tag, Do::answer(theirs));
    let mut connection =
        authority.connect(world.gateway.address("tls"), TlsVersion::V13).expect("a handshake");
    let answer = connection.expect_serves(&world.server.get(&format!("/v1/{tag}")));
    assert_eq!(
        answer.head.all("strict-transport-security"),
        ["max-age=60; includeSubDomains"],
        "not doubled"
    );
}
