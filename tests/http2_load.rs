//! Each flood over HTTP/2 for a while from four connections, beside normal traffic (cases 39 and 40): memory, and what the
//! others notice.
use crate::feed::{Spread, figures, is_proof};
use crate::http2_floods::{head, request};
use crate::support::frames::{self, frame};
use crate::support::{
    Conn, Gateway, Http2, World, answering, last_of_all, number_of_trials, this_thread, wait_for,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Connections that flood at a time.
const FLOODERS: usize = 4;
/// Case 39: memory grows by less.
const GROWTH_KIB: u64 = 64 * 1024;
/// So many times as long as without a flood may the slowest of a hundred take,
const SLOWER: u32 = 3;
/// which is taken for this at least: the machine's own unrest.
const UNREST: Duration = Duration::from_millis(1);
/// Between two requests of those who behave.
const PAUSE: Duration = Duration::from_millis(2);
/// Where they come from.
const POLITE: &str = "127.0.0.9";

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

/// The same where they were begun before they are taken back.
fn late_resets(caller: &mut Http2, head: &[u8], n: usize) -> Vec<u8> {
    if n.is_multiple_of(2) {
        return (0..100).flat_map(|_| request(caller, head).1).collect();
    }
    let next = caller.id();
    (1..=100).flat_map(|nth| frames::number(frames::RST_STREAM, next - 2 * nth, frames::CANCEL)).collect()
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

const FLOODS: [(&str, Piece); 11] = [
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
    ("late resets", late_resets),
];
/// Ends a flood, also where somebody was not served.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a process takes of memory: `VmRSS` now, `VmHWM` at most until now.
fn kib(gateway: &Gateway, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("it is told");
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a number")
}

/// Floods until told to stop; counts how often it was cut off.
fn flood(world: &World, piece: Piece, stop: &AtomicBool, cut: &AtomicUsize) {
    let head = head(&world.tester, "/v1/flood");
    let patience = Duration::from_millis(500);
    while !stop.load(Ordering::SeqCst) {
        let connection = Conn::open(world.gateway.address("plain")).patience(patience);
        let mut caller = Http2::over(connection);
        let open = caller.headers(&[(":method", "POST"), (":path", "/v1/flood"), (":scheme", "http")], false);
        assert_eq!(open, 1);
        for n in 0.. {
            let bytes = piece(&mut caller, &head, n);
            if caller.conn.try_send(bytes).is_err() {
                cut.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if stop.load(Ordering::SeqCst) {
                break;
            }
        }
    }
}

/// What requests take of those who behave, over both versions, for so long.
fn normal(world: &World, span: Duration) -> Spread {
    let connect = || Conn::from_address(POLITE, world.gateway.address("plain"));
    let (mut new, mut old) = (Http2::over(connect()), connect());
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
    Spread::of(took)
}

/// Takes one flood after the other until none is left, with a gateway of its own.
fn floods(next: &AtomicUsize, span: Duration, missed: &Mutex<Vec<&str>>) {
    let world = World::with(|s| {
        let s = s.set("plain_http", "http2", "true").set("events", "file", "\"/dev/null\"");
        s.set("runtime", "cores", 1)
    });
    let policy = World::policy(&world.production, &world.sandbox);
    let body = || vec![b'x'; 4_096];
    // What it takes to be asked by those who flood is not the gateway's.
    let (polite, other) = (answering(body()), last_of_all(|| answering(body())));
    let policy = policy.replace(&world.production.address.to_string(), &polite.to_string());
    world.gateway.apply(&policy.replace(&world.sandbox.address.to_string(), &other.to_string())).ok();
    let reached = || world.ask(world.server.get("/v1/normal")).body == body();
    wait_for("the policy", || reached().then_some(()));
    normal(&world, Duration::from_millis(500));
    let alone = normal(&world, span.min(Duration::from_secs(60)));
    let before = kib(&world.gateway, "VmRSS:");
    while let Some((name, piece)) = FLOODS.get(next.fetch_add(1, Ordering::SeqCst)) {
        let (stop, cut) = (AtomicBool::new(false), AtomicUsize::new(0));
        let beside = std::thread::scope(|scope| {
            for _ in 0..FLOODERS {
                scope.spawn(|| last_of_all(|| flood(&world, *piece, &stop, &cut)));
            }
            let _stop = Stop(&stop);
            normal(&world, span)
        });
        let (grown, cut) = (kib(&world.gateway, "VmHWM:").saturating_sub(before), cut.into_inner());
        figures(format_args!(
            "{name} for {span:?}: {cut} times cut off, memory at most +{grown} KiB, others {beside} (alone {alone})"
        ));
        if is_proof() {
            assert!(grown < GROWTH_KIB, "{name}: {grown} KiB");
            assert!(cut >= FLOODERS, "{name}: nobody was cut off");
            if beside.at(990) >= alone.at(990).max(UNREST) * SLOWER {
                missed.lock().expect("nobody panics here").push(*name);
            }
        }
    }
    world.gateway.expect_no_panic();
}

#[test]
fn c39_floods_beside_normal_traffic() {
    let (next, missed) = (AtomicUsize::new(0), Mutex::default());
    if !is_proof() {
        // Every day a glance, so that the tests beside this one have a machine as well.
        return floods(&next, Duration::from_millis(200), &missed);
    }
    let span = Duration::from_secs(number_of_trials(0));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for core in 0..cores {
            let (next, missed) = (&next, &missed);
            scope.spawn(move || {
                // Everything of it, the gateway as well: so each measures the same as if it were alone.
                this_thread("taskset", &["-pc", &core.to_string()]);
                floods(next, span, missed);
            });
        }
    });
    let missed = missed.into_inner().expect("nobody panics here");
    assert!(missed.is_empty(), "others were too slow beside {missed:?}");
}
