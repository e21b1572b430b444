//! Connections that change their protocol: only where a route lets them, and only once the upstream has agreed.
use crate::support::{
    Actor, Answer, Conn, Do, Gateway, Setup, Upstream, eventually, never_within, noise, tag,
};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
pub(crate) const ASK: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n";

/// What an upstream does with a connection once it has agreed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Echo,
    /// Sends for as long as anybody takes it.
    Flood,
    Silence,
}

/// An upstream that agrees when it is told to, and notes what came before and after.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    go: Arc<AtomicBool>,
    /// The heads that came.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
    /// What came behind the head before it agreed.
    early: Arc<Mutex<Vec<u8>>>,
    sent: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Peer {
    pub(crate) fn start(answer: &'static str, after: After) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let peer = Peer {
            address: listener.local_addr().expect("a bound socket"),
            go: Arc::new(AtomicBool::new(true)),
            heads: Arc::default(),
            early: Arc::default(),
            sent: Arc::default(),
            ended: Arc::default(),
        };
        let (go, heads, early) = (Arc::clone(&peer.go), Arc::clone(&peer.heads), Arc::clone(&peer.early));
        let (sent, ended) = (Arc::clone(&peer.sent), Arc::clone(&peer.ended));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (go, heads, early) = (Arc::clone(&go), Arc::clone(&heads), Arc::clone(&early));
                let (sent, ended) = (Arc::clone(&sent), Arc::clone(&ended));
                std::thread::spawn(move || {
                    let _ = serve(socket, answer, after, &go, (&heads, &early), &sent);
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        peer
    }
}

fn serve(
    mut socket: TcpStream,
    answer: &str,
    after: After,
    go: &AtomicBool,
    (heads, early): (&Mutex<Vec<String>>, &Mutex<Vec<u8>>),
    sent: &AtomicUsize,
) -> std::io::Result<()> {
    let (mut got, mut room) = (Vec::new(), [0; 65_536]);
    let end = loop {
        if let Some(at) = got.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        match socket.read(&mut room)? {
            0 => return Ok(()),
            n => got.extend_from_slice(&room[..n]),
        }
    };
    let mut behind = got.split_off(end);
    heads.lock().expect("no test panics here").push(String::from_utf8_lossy(&got).to_lowercase());
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    while !go.load(Ordering::SeqCst) {
        if let Ok(n) = socket.read(&mut room) {
            behind.extend_from_slice(&room[..n]);
        }
    }
    early.lock().expect("no test panics here").extend_from_slice(&behind);
    socket.set_read_timeout(None)?;
    socket.write_all(answer.as_bytes())?;
    if after == After::Flood {
        loop {
            sent.fetch_add(socket.write(&room)?, Ordering::SeqCst);
        }
    }
    if after == After::Echo {
        socket.write_all(&behind)?;
    }
    loop {
        match socket.read(&mut room)? {
            0 => return socket.shutdown(Shutdown::Write),
            n if after == After::Echo => socket.write_all(&room[..n])?,
            _ => {}
        }
    }
}

struct House {
    gateway: Gateway,
    caller: Actor,
}

impl House {
    fn policy(upstream: SocketAddr, route: &str) -> String {
        format!(
            "[[workspace]]\nid = \"acme\"\nenvironment = \"production\"\n[[api]]\nid = \"v\"\n\
             dialect = \"voucherify\"\nupstream = {{ production = \"http://{upstream}\" }}\n\
             [[api.route]]\npath = \"/ws/*\"\n{route}\n"
        )
    }

    fn with(upstream: SocketAddr, route: &str, change: impl FnOnce(Setup) -> Setup) -> House {
        let setup = change(Setup::new().policy(House::policy(upstream, route)));
        let mut gateway = setup.prepare();
        let caller = gateway.actor("acme", "server", &[]);
        gateway.start();
        House { gateway, caller }
    }

    fn on(upstream: SocketAddr) -> House {
        House::with(upstream, "upgrades = [\"websocket\"]", |s| s)
    }

    /// A connection that has changed its protocol, and the answer that said so.
    fn open(&self) -> (Conn, Answer) {
        let mut connection = self.gateway.connect();
        connection.send(self.caller.request("GET", "/ws/x", ASK));
        let head = connection.inbox.head().expect("an answer");
        assert!(head.start.starts_with("HTTP/1.1 101 "), "{head:?}");
        let answer = Answer { status: 101, head, ..Answer::default() };
        (connection, answer)
    }
}

/// Case 36: bytes go both ways, as they are; the event comes at the end and tells how many they were.
#[test]
fn both_ways_are_open_after_101() {
    let peer = Peer::start(SWITCH, After::Echo);
    let house = House::on(peer.address);
    let (mut connection, answer) = house.open();
    assert_eq!((answer.get("upgrade"), answer.get("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!((answer.get("sec-websocket-accept"), answer.get("content-length")), (Some("x"), None));
    let data = noise(7, 3_000_000);
    let mut writer = connection.writer();
    let sent = data.clone();
    let writing = std::thread::spawn(move || writer.write_all(&sent));
    assert!(connection.inbox.exactly(data.len()).is_ok_and(|got| got == data), "all of it comes back");
    writing.join().expect("no panic").expect("it is taken");
    assert!(house.gateway.events_with(answer.id()).is_empty(), "it is not over");
    // One way ends, then the other.
    connection.end_sending();
    assert_eq!(connection.inbox.rest().expect("a proper end"), b"");
    let event = house.gateway.event(answer.id());
    assert_eq!((event["status"].as_u64(), event["complete"].as_bool()), (Some(101), Some(true)), "{event}");
    let length = data.len() as u64;
    for way in ["request_bytes", "response_bytes"] {
        let bytes = event[way].as_u64().expect("a number");
        assert!((length..length + 2_000).contains(&bytes), "{way}: {event}");
    }
}

/// S9110-2, case 36 (CVE-2026-2833): nothing behind the head reaches the upstream before it has agreed.
#[test]
fn nothing_is_sent_on_before_101() {
    let peer = Peer::start(SWITCH, After::Echo);
    peer.go.store(false, Ordering::SeqCst);
    let house = House::on(peer.address);
    let mut connection = house.gateway.connect();
    let inner = house.caller.get("/ws/inner");
    connection.send(house.caller.request("GET", "/ws/x", ASK) + &inner);
    never_within(Duration::from_millis(300), "something came early", || {
        !peer.early.lock().expect("no panic").is_empty()
    });
    peer.go.store(true, Ordering::SeqCst);
    assert!(connection.inbox.head().expect("an answer").start.starts_with("HTTP/1.1 101 "));
    assert_eq!(connection.inbox.exactly(inner.len()).expect("it comes now"), inner.as_bytes());
    assert_eq!(*peer.early.lock().expect("no panic"), b"");
}

/// S9110-2 (CVE-2024-23326): another answer is an ordinary one, and what follows is the caller's next request.
#[test]
fn an_upstream_may_decline() {
    let up = Upstream::start();
    let house = House::on(up.address);
    let mut connection = house.gateway.connect();
    connection.send(house.caller.request("GET", "/ws/one", ASK) + &house.caller.get("/ws/two"));
    connection.answer().expect_ok();
    connection.answer().expect_ok();
    let (one, two) = (up.one("/ws/one"), up.one("/ws/two"));
    assert_eq!((one.get("upgrade"), one.get("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(one.get("sec-websocket-key"), Some("k"));
    assert_eq!((two.get("upgrade"), two.get("doorward-credential")), (None, Some(house.caller.id.as_str())));
    assert_ne!(one.connection, two.connection, "nothing else comes on that connection");
    // What is no request is refused, and goes nowhere.
    let mut connection = house.gateway.connect();
    connection.send(house.caller.request("GET", "/ws/three", ASK)).send(b"\x81\x85abcdhello");
    connection.answer().expect_ok();
    assert_eq!(connection.answer().status, 400);
    assert_eq!(up.count(), 3);
}

/// Nobody gets another protocol than asked for, nor one that nobody asked for.
#[test]
fn an_upstream_that_changes_to_something_else_is_refused() {
    let says = |answer: &str| {
        let up = Upstream::start();
        up.on("/ws/", vec![Do::Say(answer.as_bytes().to_vec()), Do::Silence]);
        (House::on(up.address), up)
    };
    for answer in [
        SWITCH.replace("Upgrade: websocket", "Upgrade: other"),
        SWITCH.replace("Upgrade: websocket", "Upgrade: websocket, other"),
        SWITCH.replace("Connection: Upgrade\r\n", ""),
        SWITCH.replace("Upgrade: websocket\r\n", ""),
    ] {
        let (house, _up) = says(&answer);
        let refused = house.gateway.ask(house.caller.request("GET", "/ws/x", ASK));
        refused.expect(502, "upstream_failed");
        assert_eq!(house.gateway.event(refused.id())["detail"], "upstream-upgrade");
    }
    let (house, _up) = says(SWITCH);
    house.gateway.ask(house.caller.get("/ws/x")).expect(502, "upstream_failed");
}

/// S9110-2: what a route does not name, HTTP/1.0, and what is not clearly meant is an ordinary request.
#[test]
fn what_is_not_taken_up_is_not_passed_on() {
    let up = Upstream::start();
    let (open, shut) = (House::on(up.address), House::with(up.address, "", |s| s));
    let ask = |house: &House, change: &dyn Fn(String) -> String| {
        let tag = tag();
        let request = change(house.caller.request("GET", &format!("/ws/{tag}"), ASK));
        house.gateway.ask(request).expect_ok();
        let seen = up.one(&tag);
        assert_eq!((seen.get("upgrade"), seen.get("connection")), (None, None), "{seen:?}");
    };
    ask(&shut, &|r| r);
    ask(&open, &|r| r.replace("HTTP/1.1", "HTTP/1.0"));
    ask(&open, &|r| r.replace("Upgrade: WebSocket", "Upgrade: h2c"));
    ask(&open, &|r| r.replace("Upgrade: WebSocket", "Upgrade: websocket, h2c"));
    ask(&open, &|r| r.replace("keep-alive, Upgrade", "keep-alive"));
    let tag = tag();
    let lines = format!("{ASK}Content-Length: 2\r\n");
    let body = house_post(&open, &tag, &lines);
    open.gateway.ask(body).expect_ok();
    assert_eq!(up.one(&tag).get("upgrade"), None, "a body and an upgrade are two things");
    // And whoever has no right to the route gets nothing of it.
    let refused = open.gateway.ask(open.caller.with_secret("wrong").request("GET", "/ws/none", ASK));
    refused.expect(401, "credential_invalid");
    assert!(up.seen("/ws/none").is_empty());
}

fn house_post(house: &House, tag: &str, lines: &str) -> String {
    house.caller.request("GET", &format!("/ws/{tag}"), lines) + "hi"
}

/// A credential that is blocked, or a route that says so no more, ends what it had opened.
#[test]
fn what_is_no_longer_permitted_is_cut() {
    let peer = Peer::start(SWITCH, After::Echo);
    let house = House::on(peer.address);
    let cut = |what: &str, do_it: &dyn Fn(), code: &str| {
        let (mut connection, answer) = house.open();
        connection.send("hello");
        assert_eq!(connection.inbox.exactly(5).expect("an echo"), b"hello");
        do_it();
        let started = Instant::now();
        assert!(connection.inbox.rest().is_err(), "{what}: it does not end as if it were whole");
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        let event = house.gateway.event(answer.id());
        assert_eq!(
            (event["code"].as_str(), event["detail"].as_str()),
            (Some(code), Some("upgraded-refused")),
            "{event}"
        );
    };
    let id = house.caller.id.as_str();
    cut("blocked", &|| drop(house.gateway.command(&["credential", "block", id]).ok()), "credential_blocked");
    house.gateway.command(&["credential", "unblock", id]).ok();
    eventually("the credential to be good", || house.gateway.ask(house.caller.get("/ws/x")).status != 401);
    cut(
        "the route changed",
        &|| drop(house.gateway.apply(&House::policy(peer.address, "")).ok()),
        "route_unknown",
    );
    eventually("the upstream's side to end", || peer.ended.load(Ordering::SeqCst) >= 3);
}

#[test]
fn silence_and_the_end_of_the_node_end_it() {
    let peer = Peer::start(SWITCH, After::Silence);
    let quiet = House::with(peer.address, "upgrades = [\"websocket\"]", |s| {
        s.set("timeouts", "upgraded_idle_ms", 300)
    });
    let (mut connection, answer) = quiet.open();
    assert!(connection.inbox.rest().is_err());
    assert_eq!(quiet.gateway.event(answer.id())["detail"], "upgraded-idle");
    let mut house =
        House::with(peer.address, "upgrades = [\"websocket\"]", |s| s.set("timeouts", "drain_ms", 300));
    let (mut connection, answer) = house.open();
    house.gateway.signal("TERM");
    assert!(connection.inbox.rest().is_err());
    let status = house.gateway.ended();
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert_eq!(house.gateway.event(answer.id())["detail"], "node-stops");
}

/// A caller that takes nothing makes its upstream wait; nothing piles up here.
#[test]
fn a_slow_side_slows_the_other_down() {
    const MOST: usize = 64 << 20;
    let peer = Peer::start(SWITCH, After::Flood);
    let house = House::on(peer.address);
    let (mut connection, _) = house.open();
    let mut before = 0;
    eventually("the upstream to wait", || {
        std::thread::sleep(Duration::from_millis(300));
        let now = peer.sent.load(Ordering::SeqCst);
        assert!(now < MOST, "{now} bytes are somewhere");
        now == std::mem::replace(&mut before, now) && now > 0
    });
    assert!(connection.inbox.exactly(before + 1_000_000).is_ok(), "it goes on");
}

/// Limits are told on a 101 as on any other answer: what the upstream says of its own is left out.
#[test]
fn limits_are_told_on_101_by_this_node_alone() {
    const TELLS: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        RateLimit: \"theirs\";r=1;t=1\r\nRateLimit-Policy: \"theirs\";q=1;w=1\r\nX-Rate-Limit-Limit: 1\r\n\
        X-Rate-Limit-Remaining: 1\r\nX-Rate-Limit-Retry: 1\r\nX-Other: kept\r\n\r\n";
    let peer = Peer::start(TELLS, After::Echo);
    let route = "upgrades = [\"websocket\"]";
    let policy = "[[policy]]\nworkspace = \"acme\"\napi = \"v\"\nlimits = { workspace = { requests = 600, per_s = 60 } }";
    let house = House::with(peer.address, &format!("{route}\n{policy}"), |s| s);
    let (_, answer) = house.open();
    assert_eq!(answer.get("x-other"), Some("kept"));
    assert_eq!(answer.head.all("x-rate-limit-limit"), ["600"], "{answer:?}");
    for name in ["ratelimit", "ratelimit-policy", "x-rate-limit-remaining", "x-rate-limit-retry"] {
        let told = answer.head.all(name);
        assert!(matches!(told[..], [one] if !one.contains("theirs") && one != "1"), "{name}: {told:?}");
    }
    // Where nothing is limited here, they are the upstream's to tell.
    let house = House::with(peer.address, route, |s| s);
    assert_eq!(house.open().1.get("x-rate-limit-limit"), Some("1"));
}
