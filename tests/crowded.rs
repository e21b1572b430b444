//! Heads and queries crowded with names: limits refuse most of them at once, and what they let in costs little, however the
//! names were chosen (case 43).
use crate::support::{Conn, World, tag};
use std::time::{Duration, Instant};

/// The processor time that one such request may take, and how long its answer may take.
const MOST_PER_REQUEST: Duration = Duration::from_millis(50);

/// So many different names of one length.
fn names(many: usize) -> impl Iterator<Item = String> {
    (0..many).map(|n| format!("x-{n:05}"))
}

/// More names than anybody may send: refused as soon as the limit is reached.
#[test]
fn case_43_a_crowd_of_names_is_refused_at_once() {
    let world = World::new();
    let fields: String = names(65_536).map(|name| format!("{name}: 1\r\n")).collect();
    let parameters: String = names(65_536).map(|name| format!("&{name}=1")).collect();
    let before = world.gateway.cpu_time();
    let mut slowest = Duration::ZERO;
    const TIMES: u32 = 20;
    for _ in 0..TIMES {
        for request in [
            world.server.request("GET", "/v1/x", &fields),
            world.server.get(&format!("/v1/x?{parameters}")),
            world.server.get(&format!("/v1/{}", "a/".repeat(65_536))),
        ] {
            let mut connection = world.gateway.connect();
            let started = Instant::now();
            // As much as it takes: it answers long before the end.
            let _ = connection.try_send(&request.as_bytes()[..100_000]);
            let answer = connection.answer();
            slowest = slowest.max(started.elapsed());
            answer.expect(431, "head_too_large");
            assert!(answer.closes());
        }
    }
    let each = (world.gateway.cpu_time() - before) / (3 * TIMES);
    println!(
        "figures: crowds refused: {each:?} of processor time each, the slowest answer after {slowest:?}"
    );
    assert!(each < MOST_PER_REQUEST, "{each:?}");
}

/// As many as the highest limits let in, chosen to collide in whatever looks at lengths, beginnings or ends.
#[test]
fn case_43_what_the_limits_let_in_costs_little() {
    let world = World::with(|s| s.set("limits", "head_bytes", 65_535).set("limits", "fields", 128));
    let few: String = names(120).map(|name| format!("{name}: 1\r\n")).collect();
    let same = "x-00000: 1\r\n".repeat(120);
    let options = (0..31).map(|n| format!("x-{n:05}")).collect::<Vec<_>>().join(",");
    let nominated =
        format!("Connection: {options}\r\n{}", names(119).map(|n| format!("{n}: 1\r\n")).collect::<String>());
    let cookies = format!("Cookie: {}\r\n", (0..6_000).map(|n| format!("c{n:04}=1; ")).collect::<String>());
    let hops = format!("X-Forwarded-For: {}\r\n", "10.0.0.1, ".repeat(6_000));
    let parameters = |name: &dyn Fn(usize) -> String, many| (0..many).map(name).collect::<Vec<_>>().join("&");
    let different = parameters(&|n| format!("x{n:05}=1"), 6_000);
    let equal = parameters(&|_| "x=1".to_owned(), 15_000);
    let cases = [
        ("fields", world.server.request("GET", "/v1/T", &few)),
        ("one field", world.server.request("GET", "/v1/T", &same)),
        ("fields that stay behind", world.server.request("GET", "/v1/T", &nominated)),
        ("cookies", world.server.request("GET", "/v1/T", &cookies)),
        ("addresses", world.server.request("GET", "/v1/T", &hops)),
        ("parameters", world.server.get(&format!("/v1/T?{different}"))),
        ("one parameter", world.server.get(&format!("/v1/T?{equal}"))),
        ("semicolons", world.server.get(&format!("/v1/T?{}", ";".repeat(60_000)))),
        ("segments", world.server.get(&format!("/v1/T{}", "/a".repeat(25_000)))),
        // A path with escapes has 8,192 bytes at most.
        ("escapes", world.server.get(&format!("/v1/T/{}", "%61".repeat(2_700)))),
    ];
    for (what, request) in cases {
        let tag = tag();
        let request = request.replace("/v1/T", &format!("/v1/{tag}"));
        assert!(request.len() < 65_535, "{what}: {} bytes", request.len());
        let before = world.gateway.cpu_time();
        const TIMES: u32 = 20;
        let mut connection = Conn::open(world.gateway.address("plain"));
        let mut slowest = Duration::ZERO;
        for _ in 0..TIMES {
            let started = Instant::now();
            let answer = connection.send(&request).answer();
            slowest = slowest.max(started.elapsed());
            assert_eq!(answer.status, 200, "{what}: {answer:?}");
        }
        let each = (world.gateway.cpu_time() - before) / TIMES;
        println!("figures: {what}: {each:?} of processor time each, the slowest answer after {slowest:?}");
        assert!(each < MOST_PER_REQUEST, "{what}: {each:?}");
        assert_eq!(world.production.seen(&tag).len(), TIMES as usize, "{what}");
    }
}
