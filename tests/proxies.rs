//! Proxies in front: whom the gateway believes about the caller's address (cases 11 to 13, SXFF).
use crate::support::{Conn, World, tag};

/// A gateway that believes these networks.
fn trusting(networks: &str, header: &str) -> World {
    World::with(|s| {
        s.set("trusted_proxies", "networks", networks).set("trusted_proxies", "header", format!("{header:?}"))
    })
}

struct Told {
    client: serde_json::Value,
    upstream: Option<String>,
    proto: Option<String>,
    exposed: bool,
}

/// Sends a request from an address of this machine, with header lines as given.
fn ask(world: &World, source: &str, lines: &str) -> Told {
    let tag = tag();
    let mut connection = Conn::from_address(source, world.gateway.address("plain"));
    let answer = connection.expect_serves(&world.server.request("GET", &format!("/v1/{tag}"), lines));
    assert_eq!(answer.status, 200, "{lines}: {answer:?}");
    let event = world.gateway.event(answer.id());
    let seen = world.production.one(&tag);
    for name in ["forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip", "x-forwarded-port"] {
        assert_eq!(seen.get(name), None, "{name} went on");
    }
    Told {
        client: event["client"].clone(),
        upstream: seen.get("x-forwarded-for").map(str::to_owned),
        proto: seen.get("x-forwarded-proto").map(str::to_owned),
        exposed: event["exposed"] == true,
    }
}

#[track_caller]
fn expect(told: &Told, client: Option<&str>, what: &str) {
    assert_eq!(told.client.as_str(), client, "{what}");
    assert_eq!(told.upstream.as_deref(), client, "{what}: the upstream was told otherwise");
}

/// SXFF-1: by default nobody is believed.
#[test]
fn nobody_is_believed_by_default() {
    let world = World::new();
    for lines in [
        "X-Forwarded-For: 10.1.2.3\r\n",
        "X-Forwarded-For: 10.1.2.3, 127.0.0.1\r\nX-Forwarded-For: 10.1.2.4\r\n",
        "X-Real-IP: 10.1.2.3\r\nTrue-Client-IP: 10.1.2.3\r\nCF-Connecting-IP: 10.1.2.3\r\n",
        "Forwarded: for=10.1.2.3;proto=https;host=evil\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n",
    ] {
        let told = ask(&world, "127.0.0.1", lines);
        expect(&told, Some("127.0.0.1"), lines);
        assert_eq!((told.proto.as_deref(), told.exposed), (Some("http"), true), "{lines}");
    }
}

/// Case 13: {peer trusted or not} x {lines of X-Forwarded-For} x {where the spoofed address stands}.
#[test]
fn the_first_address_that_is_not_trusted_is_the_caller() {
    let world = trusting("[\"127.0.0.1/32\", \"10.0.0.0/8\"]", "x-forwarded-for");
    for (lines, client) in [
        // A trusted proxy that does not tell: unknown, which is nobody's address.
        ("", None),
        ("X-Forwarded-For: 192.0.2.7\r\n", Some("192.0.2.7")),
        ("X-Forwarded-For: 192.0.2.9, 192.0.2.7\r\n", Some("192.0.2.7")),
        ("X-Forwarded-For: 10.9.9.9, 192.0.2.7\r\n", Some("192.0.2.7")),
        ("X-Forwarded-For: 192.0.2.7, 10.1.1.1\r\n", Some("192.0.2.7")),
        ("X-Forwarded-For: 192.0.2.9, 192.0.2.7, 10.1.1.1, 10.1.1.2\r\n", Some("192.0.2.7")),
        ("X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.7\r\n", Some("192.0.2.7")),
        ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 10.1.1.1\r\n", Some("192.0.2.7")),
        (
            "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 10.1.1.1\r\n",
            Some("192.0.2.7"),
        ),
        ("X-Forwarded-For: 10.1.1.1, 10.1.1.2\r\n", None),
        // Whoever wrote an empty element did not tell who called.
        ("X-Forwarded-For: 192.0.2.7,,10.1.1.1\r\n", None),
        ("X-Forwarded-For: 192.0.2.7,\r\n", None),
        ("X-Forwarded-For: ,192.0.2.7\r\n", Some("192.0.2.7")),
        // SXFF-3: mapped addresses are the addresses that they map.
        ("X-Forwarded-For: ::ffff:192.0.2.7\r\n", Some("192.0.2.7")),
        ("X-Forwarded-For: 192.0.2.7, ::ffff:10.1.1.1\r\n", Some("192.0.2.7")),
        ("X-Forwarded-For: 2001:db8::7\r\n", Some("2001:db8::7")),
        // SXFF-2: garbage ends the search; who called is unknown.
        ("X-Forwarded-For: unknown\r\n", None),
        ("X-Forwarded-For: 192.0.2.7, garbage, 10.1.1.1\r\n", None),
        ("X-Forwarded-For: 010.0.0.1\r\n", None),
        ("X-Forwarded-For: 0x0a000001\r\n", None),
        ("X-Forwarded-For: 167772161\r\n", None),
        ("X-Forwarded-For: fe80::1%eth0\r\n", None),
        ("X-Forwarded-For: \r\n", None),
        // The other headers are not looked at.
        ("X-Real-IP: 192.0.2.7\r\n", None),
        ("Forwarded: for=192.0.2.7\r\n", None),
    ] {
        expect(&ask(&world, "127.0.0.1", lines), client, lines);
        // From elsewhere nothing of this is believed.
        expect(&ask(&world, "127.0.0.2", lines), Some("127.0.0.2"), lines);
    }
}

/// HTTPS reported by a proxy that is trusted counts; by anybody else it does not.
#[test]
fn https_is_believed_of_trusted_proxies_alone() {
    let world = World::with(|s| {
        s.set("trusted_proxies", "networks", "[\"127.0.0.1/32\"]").set("plain_http", "mode", "\"refuse\"")
    });
    let https = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n";
    let told = ask(&world, "127.0.0.1", https);
    expect(&told, Some("192.0.2.7"), https);
    assert_eq!((told.proto.as_deref(), told.exposed), (Some("https"), false));
    for (source, lines) in [
        ("127.0.0.2", https),
        ("127.0.0.1", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"),
        ("127.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n"),
        ("127.0.0.1", "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n"),
        ("127.0.0.1", "X-Forwarded-Ssl: on\r\n"),
        ("127.0.0.1", ""),
    ] {
        let mut connection = Conn::from_address(source, world.gateway.address("plain"));
        let answer = connection.expect_serves(&world.server.request("GET", "/v1/x", lines));
        assert_eq!((answer.status, answer.code()), (403, "insecure_transport"), "{source} {lines}");
    }
}

/// RFC 7239, where a proxy speaks that.
#[test]
fn forwarded_is_read_where_it_is_configured() {
    let world = trusting("[\"127.0.0.1/32\", \"10.0.0.0/8\", \"2001:db8:1::/48\"]", "forwarded");
    for (lines, client, proto) in [
        ("Forwarded: for=192.0.2.7\r\n", Some("192.0.2.7"), "http"),
        ("Forwarded: For=192.0.2.7;Proto=https\r\n", Some("192.0.2.7"), "https"),
        ("Forwarded: for=192.0.2.9, for=192.0.2.7;proto=https\r\n", Some("192.0.2.7"), "https"),
        ("Forwarded: for=192.0.2.7\r\nForwarded: for=10.1.1.1\r\n", Some("192.0.2.7"), "http"),
        ("Forwarded: for=\"192.0.2.7:4711\"\r\n", Some("192.0.2.7"), "http"),
        ("Forwarded: for=\"[2001:db8::7]:4711\"\r\n", Some("2001:db8::7"), "http"),
        ("Forwarded: for=192.0.2.7, for=\"[2001:db8:1::1]\"\r\n", Some("192.0.2.7"), "http"),
        ("Forwarded: for=_hidden\r\n", None, "http"),
        ("Forwarded: for=unknown\r\n", None, "http"),
        ("Forwarded: for=192.0.2.7, garbage\r\n", None, "http"),
        ("X-Forwarded-For: 192.0.2.7\r\n", None, "http"),
    ] {
        let told = ask(&world, "127.0.0.1", lines);
        expect(&told, client, lines);
        assert_eq!(told.proto.as_deref(), Some(proto), "{lines}");
        expect(&ask(&world, "127.0.0.2", lines), Some("127.0.0.2"), lines);
    }
}

/// SXFF-4: host bits are masked; what is no network is a mistake.
#[test]
fn networks_are_read_carefully() {
    let world = trusting("[\"127.0.0.77/24\"]", "x-forwarded-for");
    expect(&ask(&world, "127.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n"), Some("192.0.2.7"), "host bits");
    for bad in ["10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.1-10.0.0.9", ""] {
        let gateway =
            crate::support::Setup::new().set("trusted_proxies", "networks", format!("[{bad:?}]")).prepare();
        let run = gateway.command(&["check"]);
        assert!(run.code == 1 && run.said().contains("networks"), "{bad:?}: {run:?}");
    }
}
