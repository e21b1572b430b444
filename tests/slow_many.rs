//! Many slow or idle callers, and more requests than there is time for, beside callers that behave: what these notice, and
//! what it costs.
use crate::bulk::resident_mib;
use crate::faults::metric;
use crate::feed::{Spread, figures, is_proof};
use crate::support::{
    CALLERS, Conn, HOST, SteadySeen, World, answering, eventually, last_of_all, noise, number_of_trials,
    skipped, steadily, this_thread, wait_for,
};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the slowest of a hundred answers about health may take while there is too much to do.
const HEALTHY: Duration = Duration::from_millis(100);
/// How long callers that behave are watched with nothing else going on.
fn a_while() -> Duration {
    Duration::from_millis(if is_proof() { 5_000 } else { 500 })
}

fn on_path(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Starts a program that loads the gateway, after everything else that wants to run.
fn load(program: &str, words: &[String]) -> Child {
    let mut command = Command::new("nice");
    command.args(["-n", "19", program]).args(words).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it was found before")
}

fn told(what: &str, seen: &SteadySeen) -> Spread {
    let spread = Spread::of(seen.took.clone());
    figures(format_args!("  those who behave, {what}: {spread}, {} not answered with 200", seen.others));
    spread
}

/// How long the operator's questions take until `over`.
fn health(world: &World, over: &AtomicBool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !over.load(Relaxed) || took.is_empty() {
        for path in ["/healthz", "/readyz", "/metrics"] {
            let asked = Instant::now();
            assert_eq!(world.gateway.operations(path).status, 200, "{path}");
            took.push(asked.elapsed());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    took
}

/// How long a slow caller has in each phase.
fn deadline_ms() -> u64 {
    if is_proof() { 8_000 } else { 1_000 }
}
/// What slow callers ask for, in bytes: more than the system takes of it for those who do not, and less than would fill its
/// memory for sockets, at the upstream's end, where there are thousands of them.
const LONG_BYTES: usize = 512 << 10;
/// How fast slow callers come.
const A_SECOND: u64 = 400;
/// What the slowest of a hundred may always take: the machine's own unrest.
const UNREST: Duration = Duration::from_millis(1);

/// The modes of slowhttptest, none slower than it is by itself (a piece every ten seconds). It has all of its callers send at
/// the same instant; where that goes on to the upstream, too often would be more of a load than of slowness.
const MODES: [(&str, &str); 4] = [
    ("slow heads", "-H -i 1 -x 24"),
    ("slow bodies", "-B -i 5 -x 24 -t POST -s 60000"),
    ("ranges", "-R -t GET -a 10 -b 900"),
    ("slow reading", "-X -w 64 -y 128 -n 1 -z 8 -k 1"),
];

/// Where something is measured, this thread and what it starts have a core of their own.
fn on_core(core: &str) {
    if is_proof() {
        this_thread("taskset", &["-pc", core]);
    }
}

/// What it takes to be a slow caller, or to be asked by one, is not the gateway's: it has another core.
fn elsewhere<T: Send>(what: impl FnOnce() -> T + Send) -> T {
    last_of_all(|| {
        on_core("1");
        what()
    })
}

/// Each slow caller is ended within its time and a second, and nobody else notices.
#[test]
fn slow_callers_of_each_mode_of_slowhttptest() {
    if !on_path("slowhttptest") {
        return skipped("slow callers by slowhttptest", "it is not installed (Debian: slowhttptest)");
    }
    let n = number_of_trials(40);
    on_core("0");
    let world = World::with(|s| {
        let s = ["head_ms", "idle_ms", "body_ms", "write_ms"]
            .iter()
            .fold(s, |s, t| s.set("timeouts", t, deadline_ms()));
        s.set("limits", "queue_ms", 5).set("limits", "min_answer_rate_bytes_per_s", 4_096)
    });
    let upstream = elsewhere(|| answering(noise(9, LONG_BYTES))).to_string();
    let policy = World::policy(&world.production, &world.sandbox);
    world.gateway.apply(&policy.replace(&world.sandbox.address.to_string(), &upstream)).ok();
    let slow_path = format!("/customers/long?api_key={}", world.plain.id);
    let reached =
        || world.ask(format!("GET {slow_path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).body.len() == LONG_BYTES;
    wait_for("the policy", || reached().then_some(()));
    let mut missed = Vec::new();
    let address = world.gateway.address("plain");
    let request = world.server.get("/v1/x");
    let ((), alone) = steadily(address, &request, || std::thread::sleep(a_while()));
    let alone = told("alone", &alone);
    for (mode, words) in MODES {
        let before = resident_mib(world.gateway.pid());
        let count = format!("-c {n} -r {A_SECOND} -l 60 -p 5 -u http://{address}{slow_path}");
        let words: Vec<String> = format!("{words} {count}").split(' ').map(str::to_owned).collect();
        let ((most, last, resident), beside) = steadily(address, &request, || {
            let open = || metric(&world.gateway, "doorward_connections_open") as u64;
            let usual = wait_for("those who behave", || Some(open()).filter(|n| *n >= u64::from(CALLERS)));
            let mut tool = elsewhere(|| load("slowhttptest", &words));
            let (mut most, mut taken, mut resident) = (0, 0.0, before);
            let (mut came, began) = (Instant::now(), Instant::now());
            loop {
                let all = metric(&world.gateway, "doorward_connections_total");
                // The tool itself looks now and then whether there still is an answer.
                if all > taken + 2.0 {
                    came = Instant::now();
                }
                taken = all;
                let now = open();
                most = most.max(now.saturating_sub(usual));
                resident = resident.max(resident_mib(world.gateway.pid()));
                if now <= usual && began.elapsed() > Duration::from_millis(deadline_ms()) {
                    break;
                }
                let late = came.elapsed() > Duration::from_secs(40);
                assert!(!late, "{mode}: {} connections are still open", now - usual);
                std::thread::sleep(Duration::from_millis(20));
            }
            let last = came.elapsed();
            let _ = tool.kill();
            let _ = tool.wait();
            (most, last, resident)
        });
        figures(format_args!(
            "{mode}, {n} callers: {most} connections at a time, the last ended {:.1} s after it came (deadline {:.1} s), \
             RSS {before} MiB before, at most {resident} MiB",
            last.as_secs_f64(),
            deadline_ms() as f64 / 1_000.0,
        ));
        let beside = told("meanwhile", &beside);
        if is_proof() {
            let in_time = last <= Duration::from_millis(deadline_ms() + 1_000);
            if !in_time || beside.at(990) > alone.at(990).max(UNREST) * 2 {
                missed.push(mode);
            }
        }
    }
    assert!(missed.is_empty(), "see the figures of {missed:?}");
}

/// Connections on which nothing happens cost a little memory, and those who behave nothing.
#[test]
fn many_idle_connections() {
    let n = number_of_trials(200);
    let world = World::with(|s| {
        // From seven eighths on they would make room.
        let s = s.set("limits", "connections", n * 5 / 4 + 100).set("limits", "requests", 2_000);
        s.set("limits", "queue_ms", 5).set("timeouts", "idle_ms", 600_000)
    });
    let address = world.gateway.address("plain");
    let request = world.server.get("/v1/x");
    let ((), alone) = steadily(address, &request, || std::thread::sleep(a_while()));
    let alone = told("alone", &alone);
    let before = resident_mib(world.gateway.pid());
    let held: Vec<Conn> = (0..n)
        .map(|n| {
            let mut connection = Conn::from_address(&format!("127.0.1.{}", n % 4 + 1), address);
            connection.expect_serves(&request).expect_ok();
            connection
        })
        .collect();
    let ((), beside) = steadily(address, &request, || std::thread::sleep(a_while()));
    let resident = resident_mib(world.gateway.pid());
    assert!(metric(&world.gateway, "doorward_connections_open") >= n as f64, "none was ended");
    figures(format_args!(
        "{n} idle connections: RSS {before} MiB before, {resident} MiB with them, {:.2} KiB each",
        (resident.saturating_sub(before) * 1024) as f64 / n as f64
    ));
    let beside = told("beside them", &beside);
    if is_proof() {
        assert!(beside.at(990) <= alone.at(990).max(UNREST) * 2, "{beside}");
        assert!((resident - before) * 1024 <= 16 * n, "16 KiB each");
    }
    drop(held);
    eventually("all to be gone", || metric(&world.gateway, "doorward_connections_open") < 1.0);
}

/// An upstream that answers at once, and counts requests that should never have come.
struct Counting {
    address: SocketAddr,
    all: Arc<AtomicU64>,
    forged: Arc<AtomicU64>,
}

impl Counting {
    fn start() -> Counting {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (all, forged) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let upstream = Counting { address, all: Arc::clone(&all), forged: Arc::clone(&forged) };
        std::thread::spawn(move || {
            listener.set_nonblocking(true).expect("a socket");
            // One thread for all of them: many would each want their turn, and the gateway's would come late.
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                while let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(answer_at_once(socket, Arc::clone(&all), Arc::clone(&forged)));
                }
            });
        });
        upstream
    }
}

/// One request at a time, without a body, as the gateway sends them.
async fn answer_at_once(mut socket: tokio::net::TcpStream, all: Arc<AtomicU64>, forged: Arc<AtomicU64>) {
    let _ = socket.set_nodelay(true);
    let (mut room, mut have) = (vec![0; 16 << 10], 0);
    while let Ok(n @ 1..) = socket.read(&mut room[have..]).await {
        have += n;
        if !room[..have].ends_with(b"\r\n\r\n") {
            continue;
        }
        all.fetch_add(1, Relaxed);
        if room[..have].windows(7).any(|w| w == b"/forged") {
            forged.fetch_add(1, Relaxed);
        }
        have = 0;
        if socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

/// Connections of the flood.
const FLOOD: u64 = 600;

/// One flood: where it goes, with which header lines, how many a second over how many connections, and for how long.
struct Flood<'a> {
    url: String,
    headers: &'a str,
    connections: u64,
    /// `None`: as many as it can.
    rate: Option<u64>,
    seconds: u64,
    log: String,
}

impl Flood<'_> {
    fn start(&self) -> Child {
        let mut words = vec!["--h1".to_owned(), "-t1".to_owned(), format!("-c{}", self.connections)];
        words.extend([format!("-D{}", self.seconds), format!("--log-file={}", self.log)]);
        words.extend(self.rate.map(|rate| format!("--rps={}", rate as f64 / self.connections as f64)));
        words.extend(self.headers.lines().flat_map(|line| ["-H".to_owned(), line.to_owned()]));
        words.push(self.url.clone());
        let _ = std::fs::remove_file(&self.log);
        load("h2load", &words)
    }

    /// Answers by status, once it has ended.
    fn answers(&self, mut tool: Child) -> BTreeMap<u16, u64> {
        tool.wait().expect("a child");
        let log = std::fs::read_to_string(&self.log).expect("a log");
        let mut answers = BTreeMap::new();
        for status in log.lines().filter_map(|line| line.split('\t').nth(1)?.parse().ok()) {
            *answers.entry(status).or_default() += 1;
        }
        answers
    }
}

/// Three times as much as a core can do: those who behave are served as before, the rest hears of it soon, and whoever is not
/// let in is not let in.
#[test]
fn three_times_as_much_as_there_is_time_for() {
    if !on_path("h2load") {
        return skipped("overload", "h2load is not installed (Debian: nghttp2-client)");
    }
    let seconds = number_of_trials(2);
    let upstream = Counting::start();
    let world = World::with(|s| {
        let s = s.set("runtime", "cores", 1).set("limits", "queue_ms", 5);
        s.set("limits", "connections", 2 * FLOOD)
    });
    let policy = World::policy(&world.production, &world.sandbox);
    let policy = policy.replace(&world.production.address.to_string(), &upstream.address.to_string());
    world.gateway.apply(&policy).ok();
    let request = world.server.get("/v1/behaves");
    wait_for("the policy", || {
        let answer = world.ask(&request);
        (upstream.all.load(Relaxed) > 0 && answer.status == 200).then_some(())
    });
    let address = world.gateway.address("plain");
    let flood = |name: &str, headers, connections, rate, seconds| {
        let log = world.gateway.folder.file(&format!("{name}.tsv"));
        Flood { url: format!("http://{address}/v1/{name}"), headers, connections, rate, seconds, log }
    };
    let (good, wrong) = (world.server.lines(), world.server.with_secret("wrong").lines());
    let full = flood("capacity", &good, 64, None, seconds.min(5));
    let capacity = full.answers(full.start()).get(&200).copied().unwrap_or(0) / full.seconds;
    assert!(capacity > 0);
    let ((), alone) = steadily(address, &request, || std::thread::sleep(a_while()));
    let half = flood("half", &good, 64, Some(capacity / 2), seconds.min(5));
    let (_, beside_half) = steadily(address, &request, || half.answers(half.start()));
    let over = AtomicBool::new(false);
    let before = resident_mib(world.gateway.pid());
    let floods = [
        flood("good", &good, FLOOD / 2, Some(capacity * 3 / 2), seconds),
        flood("forged", &wrong, FLOOD / 2, Some(capacity * 3 / 2), seconds),
    ];
    let (answers, beside, asked, resident) = std::thread::scope(|scope| {
        let health = scope.spawn(|| health(&world, &over));
        let (answers, beside) = steadily(address, &request, || {
            let tools = floods.each_ref().map(Flood::start);
            let [good, forged] = tools;
            [floods[0].answers(good), floods[1].answers(forged)]
        });
        let resident = resident_mib(world.gateway.pid());
        over.store(true, Relaxed);
        (answers, beside, health.join().expect("health is told"), resident)
    });
    let count = |status| answers.iter().filter_map(|a| a.get(&status)).sum::<u64>();
    let all: u64 = answers.iter().flat_map(|a| a.values()).sum();
    let (served, shed, refused) = (count(200), count(503), count(401));
    figures(format_args!(
        "one core does {capacity} a second; {} asked for, {} a second let in or refused ({} % of what it does), {:.0} % of {all} \
         answers were 503; {} forged ones let in, {} reached the upstream; RSS {before} MiB before, {resident} MiB after",
        capacity * 3,
        (served + refused) / seconds,
        (served + refused) * 100 / (seconds * capacity),
        shed as f64 * 100.0 / all.max(1) as f64,
        answers[1].get(&200).unwrap_or(&0),
        upstream.forged.load(Relaxed),
    ));
    let alone = told("alone", &alone);
    let half = told("beside half of it", &beside_half);
    let health = Spread::of(asked);
    figures(format_args!("  health and metrics meanwhile: {health}"));
    let (refusals, total) = (beside.others, beside.took.len() as u64 + beside.others);
    let beside = told("beside three times as much", &beside);
    assert_eq!(upstream.forged.load(Relaxed), 0, "nothing that is not let in arrives");
    assert!(!answers[1].contains_key(&200));
    if is_proof() {
        assert!(shed > 0 && refusals * 100 <= total, "{shed} {refusals} of {total}");
        assert!(health.at(990) <= HEALTHY, "{health}");
        assert!(beside.at(990) <= half.at(990).max(alone.at(990)).max(UNREST) * 2, "{beside} beside {half}");
    }
}
