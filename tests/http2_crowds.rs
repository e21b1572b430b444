//! HTTP/2 where many come at once: callers behind one proxy do not wait for one another, idle connections make room, and who
//! floods is told of.
use crate::faults::metric;
use crate::support::frames::{self, frame};
use crate::support::{Conn, DEADLINE, Do, Fault, Http2, World, eventually, tag};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A connection of HTTP/2 from another address of this machine.
fn from(world: &World, source: &str) -> Conn {
    Conn::from_address(source, world.gateway.address("plain"))
}

/// Sends on all of these streams whatever the gateway lets be sent, until it has taken nothing for a while.
fn send_all(caller: &mut Http2, ids: &[u32]) {
    let piece = [b'x'; 16_384];
    loop {
        for id in ids {
            let n = caller.may_send(*id).min(piece.len());
            if n > 0 {
                caller.send_data(*id, &piece[..n], false);
            }
        }
        if ids.iter().any(|id| caller.may_send(*id) > 0) {
            continue;
        }
        match caller.next() {
            Ok(_) => {}
            Err(Fault::Silent(_)) => return,
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Uploads that the upstream does not read, of a few callers behind a trusted proxy: the others are served.
#[test]
fn stalled_uploads_behind_a_proxy_stall_nobody_else() {
    const STALLED: usize = 6;
    let world = World::with(|s| {
        let s = s.set("plain_http", "http2", "true").set("limits", "body_bytes", 1_u64 << 30);
        s.set("trusted_proxies", "networks", "[\"127.0.0.5\"]")
    });
    let (stalled, go) = (tag(), Arc::new(AtomicBool::new(false)));
    world.production.on(&stalled, vec![Do::Until(Arc::clone(&go)), Do::Close]);
    let mut proxy = Http2::over(from(&world, "127.0.0.5").patience(Duration::from_millis(500)));
    let head = |path: &str| world.server.request("POST", path, "X-Forwarded-For: 10.1.1.1\r\n");
    proxy.until(|c| !c.frames.is_empty()).expect("settings");
    let ids: Vec<u32> = (0..STALLED).map(|_| proxy.ask_as_open(&head(&format!("/v1/{stalled}")))).collect();
    send_all(&mut proxy, &ids);
    proxy.conn.inbox.from.socket().set_read_timeout(Some(DEADLINE)).expect("a socket");
    let id = proxy.ask_as_open(&head("/v1/others"));
    assert!(proxy.may_send(id) >= 1_000, "{} bytes may be sent", proxy.may_send(id));
    proxy.send_data(id, &[b'y'; 1_000], true);
    assert_eq!(proxy.answer(id).body, [b'y'; 1_000]);
    go.store(true, Ordering::SeqCst);
}

/// Callers behind a trusted proxy leave early, or ask for what nobody can read: the connection goes on for the others.
#[test]
fn what_some_do_behind_a_proxy_ends_its_connection_for_nobody() {
    let world = World::with(|s| {
        let s = s.set("plain_http", "http2", "true").set("limits", "head_bytes", 2_048);
        s.set("trusted_proxies", "networks", "[\"127.0.0.5\"]")
    });
    let left = tag();
    world.production.on(&left, vec![Do::Body, Do::Silence]);
    let mut proxy = Http2::over(from(&world, "127.0.0.5"));
    let request = |path: &str, more: &str| {
        world.server.request("GET", path, &format!("X-Forwarded-For: 10.1.1.1\r\n{more}"))
    };
    let stays =
        proxy.ask_as_open(&world.server.request("POST", "/v1/stays", "X-Forwarded-For: 10.1.1.2\r\n"));
    for _ in 0..600 {
        let id = proxy.ask_as(request(&format!("/v1/{left}"), ""));
        proxy.send(frames::number(frames::RST_STREAM, id, frames::CANCEL));
    }
    let long = format!("X-Long: {}\r\n", "a".repeat(3_000));
    for _ in 0..120 {
        proxy.ask(request("/v1/x", &long)).expect(431, "head_too_large");
    }
    proxy.send_data(stays, b"still there", true);
    assert_eq!(proxy.answer(stays).text(), "still there");
}

/// Whoever floods is cut off, counted and named; the log is not flooded with it.
#[test]
fn floods_leave_a_trace() {
    let world = World::with(|s| s.set("plain_http", "http2", "true").set("runtime", "cores", 1));
    let counted =
        |kind: &str| metric(&world.gateway, &format!("doorward_http2_floods_total{{kind=\"{kind}\"}}"));
    assert_eq!((counted("ping"), counted("reset")), (0.0, 0.0));
    const MANY: usize = 5;
    for _ in 0..MANY {
        let mut caller = Http2::over(from(&world, "127.0.0.7"));
        while caller.conn.try_send(frame(frames::PING, 0, 0, b"12345678").repeat(100)).is_ok() {}
        caller.expect_ended(frames::ENHANCE_YOUR_CALM);
    }
    eventually("all of them", || counted("ping") == MANY as f64);
    let log = world.gateway.log();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("an HTTP/2 connection was ended")).collect();
    assert!((1..=MANY).contains(&lines.len()), "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("127.0.0.7") && line.contains("ping")), "{lines:?}");
    let mut caller = Http2::over(from(&world, "127.0.0.7"));
    let block = frame(frames::HEADERS, frames::END_STREAM, 1, b"\x82");
    caller.send([block, frame(frames::CONTINUATION, 0, 1, b"\x82").repeat(9)].concat());
    caller.expect_ended(frames::ENHANCE_YOUR_CALM);
    eventually("a block without end", || counted("header_block") == 1.0);
    // More at a time than is allowed.
    let held = tag();
    world.production.on(&held, vec![Do::Body, Do::Silence]);
    let mut caller = Http2::over(from(&world, "127.0.0.7"));
    let ids: Vec<u32> = (0..103).map(|_| caller.ask_as(world.server.get(&format!("/v1/{held}")))).collect();
    ids[100..].iter().for_each(|id| caller.expect_reset(*id, frames::REFUSED_STREAM));
    eventually("three", || metric(&world.gateway, "doorward_http2_refused_streams_total") == 3.0);
}

/// Connections without requests make room where there is a crowd: those that never had one first.
#[test]
fn idle_connections_make_room() {
    const MINUTES_MS: u64 = 600_000;
    let world = World::with(|s| {
        let s = s.set("plain_http", "http2", "true").set("limits", "connections", 8);
        let s = s.set("timeouts", "head_ms", MINUTES_MS).set("timeouts", "idle_ms", MINUTES_MS);
        s.set("runtime", "cores", 1)
    });
    let slow = tag();
    world.production.on(&slow, vec![Do::Body, Do::Silence]);
    let mut busy = Http2::over(from(&world, "127.0.0.2"));
    let waits = busy.ask_as(world.server.get(&format!("/v1/{slow}")));
    let mut known = Http2::over(from(&world, "127.0.0.2"));
    known.expect_serves(&world.server.get("/v1/x"));
    let mut unused = many(&world, 6);
    unused.iter_mut().for_each(|c| c.until(|c| !c.frames.is_empty()).expect("settings"));
    // Seven eighths are taken: one of them is to end, and it is told so.
    eventually("room", || metric(&world.gateway, "doorward_connections_open") < 8.0);
    let ended = unused.iter_mut().filter_map(is_told).collect::<Vec<_>>();
    assert!(!ended.is_empty() && ended.iter().all(|told| *told == (0, frames::NO_ERROR)), "{ended:?}");
    known.expect_serves(&world.server.get("/v1/x"));
    drop(unused);
    eventually("room", || metric(&world.gateway, "doorward_connections_open") <= 2.0);
    // Those that were used leave as well, a little later, but for those on which something is to be done.
    let mut used = many(&world, 6);
    used.iter_mut().for_each(|c| drop(c.expect_serves(&world.server.get("/v1/x"))));
    eventually("room", || metric(&world.gateway, "doorward_connections_open") < 8.0);
    assert_eq!(is_told(&mut known), Some((3, frames::NO_ERROR)), "the one that was idle for longest");
    assert_eq!(is_told(&mut busy), None);
    assert!(!busy.heard(waits).ended);
}

fn many(world: &World, many: usize) -> Vec<Http2> {
    (0..many).map(|_| Http2::over(from(world, "127.0.0.3"))).collect()
}

/// What the gateway has said of the connection's end, if it has.
fn is_told(caller: &mut Http2) -> Option<(u32, u32)> {
    caller.conn.inbox.from.socket().set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
    while caller.next().is_ok() {}
    caller.goaway
}
