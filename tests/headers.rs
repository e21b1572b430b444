//! Header fields: what reaches the upstream is an exact set, and nobody but the gateway says who calls.
use crate::support::{HOST, Seen, Shared, World, tag};

fn sent(world: &Shared, lines: &str) -> Seen {
    let tag = tag();
    world.ask(world.server.request("GET", &format!("/v1/{tag}"), lines)).expect_ok();
    world.production.one(&tag)
}

/// What the gateway says to an upstream about a server's request.
const OURS: [&str; 12] = [
    "doorward-credential",
    "doorward-kind",
    "doorward-request-id",
    "doorward-scheme",
    "doorward-scopes",
    "doorward-workspace",
    "host",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "connection",
];

/// Names that upstreams may trust, in the spellings that some of them take for the same.
fn names_of_trust() -> Vec<String> {
    let plain = [
        "Doorward-Request-Id",
        "Doorward-Workspace",
        "Doorward-Credential",
        "Doorward-Kind",
        "Doorward-Scheme",
        "Doorward-Scopes",
        "Doorward-Subject",
        "Doorward-Code",
        "Doorward-Anything",
        "Doorward",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-User",
        "X-Forwarded",
        "X-Real-IP",
        "X-Client-IP",
        "X-Original-URL",
        "X-Original-URI",
        "X-Rewrite-URL",
        "True-Client-IP",
        "CF-Connecting-IP",
    ];
    let mut all = Vec::new();
    for name in plain {
        all.extend([
            name.to_owned(),
            name.to_ascii_lowercase(),
            name.to_ascii_uppercase(),
            name.replace('-', "_"),
            name.to_ascii_uppercase().replace('-', "_"),
            name.replacen('-', "_", 1),
            name.replace('-', "."),
        ]);
    }
    all
}

/// Cases 8, 9 and 12, SXFF-1: whatever a caller sends under these names, in any spelling, never arrives.
#[test]
fn nobody_can_speak_for_the_gateway() {
    let world = World::shared();
    for name in names_of_trust() {
        let seen = sent(&world, &format!("{name}: spoofed\r\n"));
        let raw = String::from_utf8_lossy(&seen.head.raw).into_owned();
        assert!(!raw.contains("spoofed"), "{name} arrived: {raw}");
        assert_eq!(seen.get("doorward-workspace"), Some("acme-live"), "{name}");
        assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"), "{name}");
    }
    // All at once, twice each, on a route where the gateway names nobody.
    let tag = tag();
    for part in names_of_trust().chunks(20) {
        let lines: String = part.iter().map(|name| format!("{name}: spoofed\r\n").repeat(2)).collect();
        world.ask(format!("GET /public/{tag} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n")).expect_ok();
    }
    for seen in world.production.seen(&tag) {
        assert!(!String::from_utf8_lossy(&seen.head.raw).contains("spoofed"), "{:?}", seen.head);
        let ours = seen.head.names().into_iter().filter(|n| n.starts_with("doorward"));
        assert_eq!(ours.collect::<Vec<_>>(), ["doorward-request-id"]);
    }
}

/// Case 10, S9110-1: naming ours in `Connection` removes nothing.
#[test]
fn naming_ours_in_connection_removes_nothing() {
    let world = World::shared();
    for name in OURS.iter().filter(|name| !matches!(**name, "host" | "connection")) {
        for spelling in [(*name).to_owned(), name.to_ascii_uppercase()] {
            let seen = sent(&world, &format!("Connection: {spelling}, close\r\n"));
            assert!(seen.get(name).is_some(), "{name} is gone");
        }
    }
}

/// S9110-1: what is named in `Connection` stays behind, and so does what belongs to the connection.
#[test]
fn hop_by_hop_fields_stay_behind() {
    let world = World::shared();
    let seen = sent(
        &world,
        "Connection: X-Own ,x-second\r\nconnection: X-THIRD\r\nX-Own: 1\r\nX-Second: 1\r\nX-Third: 1\r\n\
         Keep-Alive: timeout=5\r\nTE: trailers\r\nUpgrade: websocket\r\nProxy-Connection: close\r\n\
         Proxy-Authorization: Basic eA==\r\nTransfer_Encoding: chunked\r\nContent_Length: 9\r\nX-Stays: 1\r\n",
    );
    let others: Vec<String> = seen.head.names().into_iter().filter(|n| !OURS.contains(&n.as_str())).collect();
    assert_eq!(others, ["x-stays"]);
}

/// Naming the field that carries the credential would hide it from somebody.
#[test]
fn a_credential_may_not_be_named_in_connection() {
    let world = World::shared();
    let World { server, single, page, .. } = &*world;
    for (caller, path, name) in [
        (server, "/v1/", "X-App-Token"),
        (server, "/v1/", "x-app-id"),
        (single, "/std/", "X-API-Key"),
        (page, "/client/v1/", "X-Client-Token"),
    ] {
        let tag = tag();
        let answer =
            world.ask(caller.request("GET", &format!("{path}{tag}"), &format!("Connection: {name}\r\n")));
        assert_eq!((answer.status, answer.code()), (400, "request_ambiguous"), "{name}: {answer:?}");
        assert!(world.production.seen(&tag).is_empty());
    }
}

/// Case 12: an allow list. Everything the upstream sees of a plain request is named here.
#[test]
fn the_upstream_sees_exactly_this() {
    let world = World::shared();
    let tag = tag();
    let lines = "User-Agent: t\r\nAccept: */*\r\nX-One: 1\r\nCookie: a=b\r\nAuthorization: Basic eA==\r\n\
        Content-Type: text/plain\r\nX-One: 2\r\nContent-Length: 2\r\n";
    let request = world.server.request("POST", &format!("/v1/{tag}"), lines);
    world.ask(format!("{request}hi")).expect_ok();
    let seen = world.production.one(&tag);
    let theirs =
        ["accept", "authorization", "content-length", "content-type", "cookie", "user-agent", "x-one"];
    let mut allowed: Vec<&str> = OURS.into_iter().chain(theirs).collect();
    allowed.sort_unstable();
    let names: Vec<String> = seen.head.names().into_iter().filter(|n| n != "connection").collect();
    allowed.retain(|name| *name != "connection");
    assert_eq!(names, allowed);
    assert_eq!(seen.head.all("x-one"), ["1", "2"], "repeated fields stay apart and in order");
    assert_eq!((seen.get("cookie"), seen.body.as_slice()), (Some("a=b"), b"hi".as_slice()));
    for name in OURS.iter().filter(|name| seen.get(name).is_none()) {
        assert_eq!(*name, "connection");
    }
}

/// What goes on goes on byte for byte, in its order.
#[test]
fn values_go_on_byte_for_byte() {
    let world = World::shared();
    let tag = tag();
    let high: Vec<u8> = (0x80..=0xff).collect();
    let mut lines = b"X-B: two  spaces\tand a tab\r\nx-a: ".to_vec();
    lines.extend_from_slice(&high);
    lines.extend_from_slice(b"\r\nX-B: \"a, b\"\r\nX-EMPTY:\r\n");
    let request = world.server.request("GET", &format!("/v1/{tag}"), "LINES");
    let (before, behind) = request.split_once("LINES").expect("it is there");
    world.ask([before.as_bytes(), &lines, behind.as_bytes()].concat()).expect_ok();
    let seen = world.production.one(&tag);
    let theirs: Vec<&(String, String)> = seen
        .head
        .fields
        .iter()
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-") && name.len() < 8)
        .collect();
    let expected: Vec<(String, String)> = [
        ("X-B", "two  spaces\tand a tab".to_owned()),
        ("x-a", high.iter().map(|b| char::from(*b)).collect()),
        ("X-B", "\"a, b\"".to_owned()),
        ("X-EMPTY", String::new()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    assert_eq!(theirs, expected.iter().collect::<Vec<_>>());
}

/// Other dialects' credentials are removed as well, wherever they could be read.
#[test]
fn aliases_of_credential_fields_stay_behind() {
    let world = World::shared();
    let seen = sent(
        &world,
        "X_App_Token: alias\r\nX_APP_ID: alias\r\nX_API_Key: alias\r\nX_Client_Token: alias\r\n",
    );
    assert!(!String::from_utf8_lossy(&seen.head.raw).contains("alias"), "{:?}", seen.head);
}

/// S9110-3: each intermediary adds itself to `Via`, behind those before it.
#[test]
fn via_is_added_to() {
    let world = World::shared();
    let seen = sent(&world, "Via: 1.0 first, 1.1 second\r\n");
    let via = seen.head.all("via").join(", ");
    let name = via.strip_prefix("1.0 first, 1.1 second, 1.1 doorward-").expect("ours comes last");
    assert!(name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{via}");
}

/// What upstreams say under our names is not ours; their own connection is not the caller's.
#[test]
fn upstreams_cannot_speak_for_the_gateway_either() {
    let world = World::shared();
    let tag = tag();
    let answer = "HTTP/1.1 200 OK\r\nDoorward-Code: spoofed\r\nDoorward-Request-Id: spoofed\r\nDoorward_Code: spoofed\r\n\
        Connection: X-Drop\r\nX-Drop: spoofed\r\nKeep-Alive: timeout=spoofed\r\nX-Keep: 1\r\nSet-Cookie: a=1\r\n\
        Set-Cookie: b=2\r\nServer: theirs\r\nContent-Length: 2\r\n\r\nok";
    world.production.on(&tag, crate::support::Do::answer(answer));
    let answer = world.ask(world.server.get(&format!("/v1/{tag}")));
    answer.expect_ok();
    assert!(!String::from_utf8_lossy(&answer.head.raw).contains("spoofed"), "{answer:?}");
    assert_eq!(answer.head.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!((answer.get("x-keep"), answer.get("server")), (Some("1"), Some("theirs")));
}

/// An empty body stays an empty body where it was announced, and nothing is announced where nothing was.
#[test]
fn empty_bodies_are_announced_as_they_were() {
    let world = World::shared();
    for (method, lines, length) in [
        ("POST", "Content-Length: 0\r\n", Some("0")),
        ("PUT", "Content-Length: 0\r\n", Some("0")),
        ("GET", "", None),
        ("DELETE", "", None),
    ] {
        let tag = tag();
        world.ask(world.server.request(method, &format!("/v1/{tag}"), lines)).expect_ok();
        let seen = world.production.one(&tag);
        assert_eq!(
            (seen.get("content-length"), seen.get("transfer-encoding")),
            (length, None),
            "{method} {lines}"
        );
    }
}

/// S9110-3: a request never goes round in circles, not even where an operator points the gateway at itself.
#[test]
fn nothing_goes_round_in_circles() {
    let world = World::new();
    let own = world.gateway.address("plain");
    let policy = World::policy(&world.production, &world.sandbox)
        .replace("http://127.0.0.1:1\"", &format!("http://{own}\""));
    let policy = policy.replace("path = \"/dead/*\"", "path = \"/round/*\"\npublic = true");
    if world.gateway.apply(&policy).code == 0 {
        let ask = |path: &str| world.ask(format!("GET /round/{path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        crate::support::eventually("the policy", || ask("early").status != 404);
        let answer = ask("x");
        assert!(answer.status >= 400, "{answer:?}");
        let rounds = world.gateway.events_with("\"path\":\"/round/x\",").len();
        assert!(rounds < 10, "{rounds} rounds, then {answer:?}");
    }
}

/// Each answer has an id of its own, and the upstream is told the same one.
#[test]
fn request_ids_differ() {
    let world = World::shared();
    let mut connection = world.gateway.connect();
    let ids: Vec<String> =
        (0..20).map(|_| connection.expect_serves(&world.server.get("/v1/x")).id().to_owned()).collect();
    let different: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), 20);
}
