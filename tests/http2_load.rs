//! Each flood over HTTP/2 for a while from four connections, beside normal traffic (cases 39 and 40): memory, and what the
//! others notice.
use crate::http2::connect;
use crate::http2_floods::{head, request};
use crate::support::frames::{self, frame};
use crate::support::{Conn, Gateway, Http2, World, number_of_trials};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Connections that flood at a time.
const FLOODERS: usize = 4;
/// Case 39: memory grows by less.
const GROWTH_KIB: u64 = 64 * 1024;
/// Between two requests of those who behave.
const PAUSE: Duration = Duration::from_millis(2);

/// What is sent over and over: for a stream that was begun (and this head), the n-th piece.
type Piece = fn(&mut Http2, &[u8], usize) -> Vec<u8>;

/// Rapid reset, a hundred requests at a time.
fn resets(caller: &mut Http2, head: &[u8], _: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..100 {
        let (id, bytes) = request(caller, head);
        out.extend(bytes);
        out.extend(frames::number(frames::RST_STREAM, id, frames::CANCEL));
    }
    out
}

/// The gateway is made to reset what it has begun.
fn made(caller: &mut Http2, head: &[u8], n: usize) -> Vec<u8> {
    let (id, mut out) = request(caller, head);
    out.extend(match n % 3 {
        0 => frames::number(frames::WINDOW_UPDATE, id, 0),
        1 => frame(frames::DATA, 1, id, b"x"),
        _ => frame(frames::HEADERS, 5, id, head),
    });
    out
}

fn continuations(caller: &mut Http2, _: &[u8], n: usize) -> Vec<u8> {
    if n == 0 {
        let id = caller.id();
        return frame(frames::HEADERS, frames::END_STREAM, id, b"\x82");
    }
    frame(frames::CONTINUATION, 0, 1, &[0x82; 1_000])
}

/// A small block that means much.
fn bombs(caller: &mut Http2, head: &[u8], _: usize) -> Vec<u8> {
    let mut bomb = head.to_vec();
    bomb.push(0x40);
    bomb.extend([1, b'b', 127, 0x81, 0x1d]);
    bomb.extend([b'c'; 127 + 1 + 29 * 128]);
    bomb.extend(std::iter::repeat_n(0xbe, 1_000));
    request(caller, &bomb).1
}

/// Requests whose answers nobody takes.
fn unread(caller: &mut Http2, head: &[u8], n: usize) -> Vec<u8> {
    if n < 99 {
        return request(caller, head).1;
    }
    std::thread::sleep(PAUSE);
    frames::number(frames::WINDOW_UPDATE, 1, 1)
}

const FLOODS: [(&str, Piece); 10] = [
    ("resets", resets),
    ("made resets", made),
    ("continuations", continuations),
    ("bombs", bombs),
    ("unread answers", unread),
    ("empty data", |_, _, _| frame(frames::DATA, 0, 1, b"").repeat(20)),
    ("settings", |_, _, n| frames::settings(&[(1, n as u32 % 4_096), (4, n as u32)]).repeat(20)),
    ("pings", |_, _, _| frame(frames::PING, 0, 0, b"12345678").repeat(20)),
    ("priorities", |_, _, _| frame(frames::PRIORITY, 0, 1, &[0, 0, 0, 9, 1]).repeat(20)),
    ("window updates", |_, _, _| frames::number(frames::WINDOW_UPDATE, 0, 1).repeat(20)),
];

fn resident_kib(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Floods until told to stop; how many connections that took.
fn flood(world: &World, piece: Piece, stop: &AtomicBool, cut: &AtomicUsize) {
    let head = head(world, "/v1/flood");
    let patience = Duration::from_millis(500);
    while !stop.load(Ordering::SeqCst) {
        let connection = Conn::open(world.gateway.address("plain")).patience(patience);
        let mut caller = Http2::over(connection);
        let open = caller.headers(&[(":method", "POST"), (":path", "/v1/flood"), (":scheme", "http")], false);
        assert_eq!(open, 1);
        for n in 0.. {
            let bytes = piece(&mut caller, &head, n);
            if caller.conn.try_send(bytes).is_err() || stop.load(Ordering::SeqCst) {
                break;
            }
        }
        cut.fetch_add(1, Ordering::SeqCst);
    }
}

/// Requests of those who behave, over both versions, for so long; what they took, sorted.
fn normal(world: &World, span: Duration) -> Vec<Duration> {
    let (mut new, mut old) = (connect(world), world.gateway.connect());
    let request = world.server.get("/v1/normal");
    let (started, mut took) = (Instant::now(), Vec::new());
    while started.elapsed() < span {
        let asked = Instant::now();
        if took.len() % 2 == 0 {
            new.ask(&request).expect_ok();
            // What is remembered of it would grow with the time that this takes.
            new.frames.clear();
        } else {
            old.send(&request).answer().expect_ok();
        }
        took.push(asked.elapsed());
        std::thread::sleep(PAUSE);
    }
    took.sort();
    took
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() * 99 / 100).min(sorted.len() - 1)]
}

#[test]
fn c39_floods_beside_normal_traffic() {
    // Every day a glance, so that the tests beside this one have a machine as well.
    let span = match number_of_trials(0) {
        0 => Duration::from_millis(200),
        seconds => Duration::from_secs(seconds),
    };
    let world = World::with(|s| s.set("plain_http", "http2", "true").set("events", "file", "\"/dev/null\""));
    normal(&world, Duration::from_millis(500));
    let alone = p99(&normal(&world, span.min(Duration::from_secs(60))));
    for (name, piece) in FLOODS {
        let before = resident_kib(&world.gateway);
        let (stop, cut) = (AtomicBool::new(false), AtomicUsize::new(0));
        let took = std::thread::scope(|scope| {
            for _ in 0..FLOODERS {
                scope.spawn(|| flood(&world, piece, &stop, &cut));
            }
            let took = normal(&world, span);
            stop.store(true, Ordering::SeqCst);
            took
        });
        let grown = resident_kib(&world.gateway).saturating_sub(before);
        println!(
            "figures: {name} for {:?}: {} connections cut, memory +{} KiB, p99 of {} others {:.1} ms ({:.1} ms alone)",
            span,
            cut.load(Ordering::SeqCst),
            grown,
            took.len(),
            p99(&took).as_secs_f64() * 1e3,
            alone.as_secs_f64() * 1e3,
        );
        assert!(grown < GROWTH_KIB, "{name}: {grown} KiB");
        assert!(cut.load(Ordering::SeqCst) >= FLOODERS, "{name}: nobody was cut off");
    }
    world.gateway.expect_no_panic();
}
