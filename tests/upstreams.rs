//! Several addresses for one service: load, health, probes, limits; and what a request says about its way.
use crate::faults::{complaints, metric};
use crate::support::{Actor, Answer, Do, Gateway, Http2Upstream, Setup, Upstream, eventually, tag, wait_for};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway on one core whose API has this upstream, and somebody who may call it.
fn gateway(upstream: &str, change: impl FnOnce(Setup) -> Setup) -> (Gateway, Actor) {
    let mut gateway = change(Setup::new().set("runtime", "cores", 1).policy(policy(upstream))).prepare();
    let caller = gateway.actor("acme", "server", &[]);
    gateway.start();
    (gateway, caller)
}

fn policy(upstream: &str) -> String {
    format!(
        "[[workspace]]\nid = \"acme\"\nenvironment = \"production\"\n[[api]]\nid = \"v\"\ndialect = \"voucherify\"\n\
         upstream = {{ production = {upstream} }}\n[[api.route]]\npath = \"/v1/*\"\n\
         methods = [\"GET\", \"POST\", \"OPTIONS\"]\n"
    )
}

/// Addresses as a list.
fn list<'a>(of: impl IntoIterator<Item = &'a SocketAddr>) -> String {
    let quoted: Vec<String> = of.into_iter().map(|a| format!("\"http://{a}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

/// An address where nobody is, and nobody else will be: no other test has an address of this network.
fn nobody() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let own = format!("127.77.0.{}:0", NEXT.fetch_add(1, Ordering::SeqCst));
    TcpListener::bind(own).and_then(|l| l.local_addr()).expect("a free port")
}

fn up(gateway: &Gateway, of: &SocketAddr) -> bool {
    metric(gateway, &format!("doorward_upstream_up{{upstream=\"http://{of}\"}}")) > 0.0
}

#[test]
fn load_is_spread_over_all_addresses() {
    let all = [Upstream::start(), Upstream::start(), Upstream::start()];
    let (gateway, caller) = gateway(&list(all.iter().map(|u| &u.address)), |s| s);
    for _ in 0..30 {
        gateway.ask(caller.get("/v1/x")).expect_ok();
    }
    assert_eq!(all.each_ref().map(Upstream::count), [10, 10, 10], "those that have equally much take turns");
    // One that has something to do gets less.
    let (tag, go) = (tag(), Arc::new(AtomicBool::new(false)));
    all.iter().for_each(|u| u.on(&tag, vec![Do::Until(Arc::clone(&go)), Do::Say(OK.to_vec())]));
    let mut busy = gateway.connect();
    busy.send(caller.get(&format!("/v1/{tag}")));
    let held = wait_for("the request", || all.iter().position(|u| !u.seen(&tag).is_empty()));
    let answer = gateway.ask(caller.get("/v1/x"));
    let event = gateway.event(answer.id());
    for _ in 0..20 {
        gateway.ask(caller.get("/v1/x")).expect_ok();
    }
    assert!(all[held].count() <= 12, "{:?}", all.each_ref().map(Upstream::count));
    let named = event["upstream"].as_str().expect("which one it was");
    assert!(all.iter().any(|u| named == format!("http://{}", u.address)), "{event}");
    go.store(true, Ordering::SeqCst);
    busy.answer().expect_ok();
}

/// A request that was not sent goes to the next address; who fails in a row rests, and comes back.
#[test]
fn a_dead_address_costs_no_request() {
    let (dead, live) = (nobody(), Upstream::start());
    let (gateway, caller) = gateway(&list([&dead, &live.address]), |s| s);
    let (from, began) = (gateway.log().len(), Instant::now());
    for n in 0..20 {
        let answer = gateway.ask(caller.post(&format!("/v1/{n}"), b"once"));
        assert_eq!(answer.expect_ok().text(), "once");
    }
    assert!(live.tally().values().all(|times| *times == 1) && live.count() == 20, "{:?}", live.tally());
    assert!(!up(&gateway, &dead) && up(&gateway, &live.address));
    let told = complaints(&gateway, from);
    assert_eq!(told.iter().filter(|line| line.contains(&dead.to_string())).count(), 1, "told once: {told:?}");
    let failures =
        metric(&gateway, &format!("doorward_upstream_failures_total{{upstream=\"http://{dead}\"}}"));
    // After three it rests for a second, and then for longer each time.
    let most = 4.0 + began.elapsed().as_secs_f64();
    assert!((3.0..=most).contains(&failures), "{failures}: it rests, and is tried now and then");
    // It comes back.
    let back = Upstream::at(&dead.to_string());
    eventually("the address to be used again", || {
        gateway.ask(caller.get("/v1/x")).expect_ok();
        back.count() > 0
    });
    // That is written down once the answer was handed on.
    eventually("the address to be up", || up(&gateway, &dead));
    assert!(gateway.log().contains("answers again"));
}

/// S9110: what an upstream may have seen is not sent again, whatever the method and wherever else it could go.
#[test]
fn what_was_sent_is_never_sent_again() {
    let (one, other) = (Upstream::start(), Upstream::start());
    let (gateway, caller) = gateway(&list([&one.address, &other.address]), |s| s);
    for (script, detail) in [
        (vec![Do::Body, Do::Reset], "upstream-reset"),
        (vec![Do::Body, Do::Close], "upstream-closed"),
        (vec![Do::Body, Do::Say(b"HTTP/1.1 2".to_vec()), Do::Close], "upstream-closed-in-head"),
    ] {
        let tag = tag();
        one.on(&tag, script.clone());
        other.on(&tag, script);
        for method in ["GET", "POST"] {
            let answer = gateway.ask(caller.request(method, &format!("/v1/{tag}/{method}"), ""));
            answer.expect(502, "upstream_failed");
            let got = gateway.event(answer.id())["detail"].as_str().unwrap_or_default().to_owned();
            assert!(got == detail || got == "upstream-reset", "{got}");
            let text = format!("{tag}/{method}");
            assert_eq!(one.seen(&text).len() + other.seen(&text).len(), 1, "{method} {detail}");
        }
    }
}

/// What is only guessed to be down is tried before a request is refused.
#[test]
fn where_all_rest_they_are_tried_all_the_same() {
    let (a, b) = (nobody(), nobody());
    let (gateway, caller) = gateway(&list([&a, &b]), |s| s);
    for _ in 0..8 {
        let answer = gateway.ask(caller.get("/v1/x"));
        answer.expect(502, "upstream_failed");
        assert_eq!(gateway.event(answer.id())["detail"], "upstream-connection-refused");
    }
    assert!(!up(&gateway, &a) && !up(&gateway, &b));
    let back = Upstream::at(&b.to_string());
    gateway.ask(caller.get("/v1/x")).expect_ok();
    assert_eq!(back.count(), 1, "at once: resting is only a guess");
}

#[test]
fn a_probe_takes_an_address_out_and_back() {
    let (one, other) = (Upstream::start(), Upstream::start());
    one.on("/up", Do::answer("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"));
    other.on("/up", Do::answer(OK));
    let upstream = format!(
        "{{ addresses = {}, probe = {{ path = \"/up\", every_s = 1, healthy_after = 1, unhealthy_after = 1 }} }}",
        list([&one.address, &other.address])
    );
    let (gateway, caller) = gateway(&upstream, |s| s);
    eventually("the probe to fail", || !up(&gateway, &one.address));
    assert!(up(&gateway, &other.address));
    let tag = tag();
    for _ in 0..10 {
        gateway.ask(caller.get(&format!("/v1/{tag}"))).expect_ok();
    }
    assert_eq!((one.seen(&tag).len(), other.seen(&tag).len()), (0, 10));
    let probe = one.seen("/up").remove(0);
    assert_eq!(probe.get("host"), Some(one.address.to_string().as_str()));
    assert_eq!((probe.get("user-agent"), probe.get("connection")), (Some("doorward-probe"), Some("close")));
    one.on("/up", Do::answer("HTTP/1.1 204 Fine\r\n\r\n"));
    eventually("the probe to be answered", || up(&gateway, &one.address));
    for _ in 0..10 {
        gateway.ask(caller.get(&format!("/v1/{tag}"))).expect_ok();
    }
    assert_eq!(one.seen(&tag).len(), 5);
    // A policy without the probe forgets what it said.
    one.on("/up", Do::answer("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"));
    eventually("the probe to fail again", || !up(&gateway, &one.address));
    gateway.apply(&policy(&list([&one.address, &other.address]))).ok();
    eventually("the verdict to be forgotten", || up(&gateway, &one.address));
}

/// HTTP/2 as well: who does not speak it is ill, and a dead address costs no request.
#[test]
fn http2_is_probed_in_http2() {
    let (speaks, does_not, dead) = (Http2Upstream::start(), Upstream::start(), nobody());
    let upstream = format!(
        "{{ addresses = {}, http2 = true, probe = {{ path = \"/up\", every_s = 1, unhealthy_after = 1 }} }}",
        list([&dead, &does_not.address, &speaks.address])
    );
    let (gateway, caller) = gateway(&upstream, |s| s);
    eventually("the probes", || !up(&gateway, &dead) && !up(&gateway, &does_not.address));
    eventually("the question", || !speaks.asked("/up").is_empty());
    let asked = speaks.asked("/up").remove(0);
    assert_eq!((asked.get(":method"), asked.get(":scheme")), (Some("GET"), Some("http")));
    assert_eq!(
        (asked.get(":authority"), asked.get("user-agent")),
        (Some(&*speaks.address.to_string()), Some("doorward-probe"))
    );
    for _ in 0..10 {
        let answer = gateway.ask(caller.post("/v1/x", b"once"));
        assert_eq!((answer.status, answer.text().as_str()), (200, "once"));
        assert!(answer.get("via").is_some_and(|via| via.starts_with("2.0 doorward-")), "{answer:?}");
    }
    assert!(up(&gateway, &speaks.address));
}

/// At its limit an address gets nothing more; who waits too long is told to come again.
#[test]
fn an_address_has_so_many_requests_and_no_more() {
    let up = Upstream::start();
    let upstream = format!("{{ addresses = {}, connections = 2 }}", list([&up.address]));
    let (gateway, caller) =
        gateway(&upstream, |s| s.set("runtime", "cores", 2).set("timeouts", "upstream_wait_ms", 300));
    let (tag, go) = (tag(), Arc::new(AtomicBool::new(false)));
    up.on(&tag, vec![Do::Until(Arc::clone(&go)), Do::Say(OK.to_vec())]);
    let mut held: Vec<_> = (0..2).map(|_| gateway.connect()).collect();
    for connection in &mut held {
        connection.send(caller.get(&format!("/v1/{tag}")));
    }
    eventually("both requests", || up.seen(&tag).len() == 2);
    // On whichever core: each connection goes to the next one.
    for _ in 0..2 {
        let started = Instant::now();
        let answer = gateway.ask(caller.get("/v1/third"));
        answer.expect(503, "overloaded");
        assert!(answer.get("retry-after").is_some(), "{answer:?}");
        assert!(started.elapsed() >= Duration::from_millis(300), "it waited for its turn");
        assert_eq!(gateway.event(answer.id())["detail"], "upstream-connections");
    }
    assert!(up.seen("/v1/third").is_empty());
    let mut waiting: Vec<_> = (0..2).map(|_| gateway.connect()).collect();
    for connection in &mut waiting {
        connection.send(caller.get("/v1/fourth"));
    }
    go.store(true, Ordering::SeqCst);
    for connection in waiting.iter_mut().chain(&mut held) {
        connection.answer().expect_ok();
    }
    let in_flight = format!("doorward_upstream_in_flight{{upstream=\"http://{}\"}}", up.address);
    eventually("every place to be free", || metric(&gateway, &in_flight) == 0.0);
}

/// Passes bytes on to another address.
fn forwarder(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    std::thread::spawn(move || {
        for from in listener.incoming().flatten() {
            let Ok(to) = TcpStream::connect(to) else { continue };
            for (mut a, mut b) in [(from.try_clone(), to.try_clone()), (to.try_clone(), from.try_clone())]
                .into_iter()
                .filter_map(|(a, b)| Some((a.ok()?, b.ok()?)))
            {
                std::thread::spawn(move || {
                    let mut room = [0; 4_096];
                    while let Ok(n @ 1..) = a.read(&mut room) {
                        if b.write_all(&room[..n]).is_err() {
                            break;
                        }
                    }
                    let _ = b.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    address
}

/// S9110-3: an address that leads back here ends there, and is not asked again and again.
#[test]
fn s9110_3_a_loop_ends() {
    let real = Upstream::start();
    let (gateway, caller) = gateway(&list([&real.address]), |s| s);
    gateway.ask(caller.get("/v1/first")).expect_ok();
    let ours = real.one("/v1/first").head.all("via").join(", ");
    let name = ours.strip_prefix("1.1 ").expect("a version and a name").to_owned();
    assert!(name.starts_with("doorward-") && name.len() > 16, "{name}");
    let refused = |answer: Answer| {
        answer.expect(502, "upstream_failed");
        assert_eq!(gateway.event(answer.id())["detail"], "loop");
    };
    for via in [
        format!("Via: 1.1 {name}"),
        format!("Via: 1.0 a, 1.1 b (x), HTTP/1.1 {name} (c), 2 d"),
        format!("Via: 1.1 a\r\nvia: 1.1 {name}"),
    ] {
        refused(gateway.ask(caller.request("GET", "/v1/looped", &format!("{via}\r\n"))));
        refused(gateway.ask(format!("GET /v1/looped HTTP/1.1\r\nHost: a\r\n{via}\r\n\r\n")));
    }
    for via in ["1.1 doorward", "1.1 doorward-0123456789abcdef"] {
        gateway.ask(caller.request("GET", "/v1/other", &format!("Via: {via}\r\n"))).expect_ok();
    }
    assert!(real.seen("/v1/looped").is_empty());
    // Another node of the installation has the same name.
    let mut second = Gateway::beside(&gateway);
    second.start();
    let answer = second.ask(caller.request("GET", "/v1/looped", &format!("Via: 1.1 {name}\r\n")));
    answer.expect(502, "upstream_failed");
    // The whole circle: out by an address that is not ours, and in again.
    let circle = forwarder(gateway.address("plain"));
    gateway.apply(&policy(&list([&circle]))).ok();
    eventually("the circle", || {
        let tag = tag();
        let answer = gateway.ask(caller.get(&format!("/v1/{tag}")));
        answer.status == 502
            && wait_for("both events", || Some(gateway.events_with(&tag)).filter(|e| e.len() == 2))
                .iter()
                .any(|event| event["detail"] == "loop")
    });
}

/// S9110-3: answers tell of this installation as well, and so does what comes in HTTP/1.0.
#[test]
fn s9110_3_both_directions_and_versions_have_via() {
    let up = Upstream::start();
    let (gateway, caller) = gateway(&list([&up.address]), |s| s);
    let tag = tag();
    up.on(&tag, Do::answer("HTTP/1.0 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 0\r\n\r\n"));
    let request = caller.get(&format!("/v1/{tag}")).replace("HTTP/1.1", "HTTP/1.0");
    let answer = gateway.ask(request);
    let name = up.one(&tag).get("via").and_then(|v| v.strip_prefix("1.0 ")).expect("1.0").to_owned();
    assert_eq!(answer.head.all("via").join(", "), format!("1.1 inner, 1.0 {name}"));
}

/// S9110-3: OPTIONS goes no further than it says.
#[test]
fn s9110_3_max_forwards() {
    let up = Upstream::start();
    let (gateway, caller) = gateway(&list([&up.address]), |s| s);
    let ask = |method: &str, lines: &str| gateway.ask(caller.request(method, "/v1/x", lines));
    let here = ask("OPTIONS", "Max-Forwards: 0\r\n");
    assert_eq!((here.status, here.get("allow")), (204, Some("GET, HEAD, OPTIONS, POST")), "{here:?}");
    assert_eq!(up.count(), 0);
    ask("OPTIONS", "Max-Forwards: 7\r\n").expect_ok();
    ask("OPTIONS", "").expect_ok();
    ask("GET", "Max-Forwards: 0\r\n").expect_ok();
    let seen: Vec<_> = up.seen("/v1/x").iter().map(|s| s.get("max-forwards").map(str::to_owned)).collect();
    assert_eq!(seen, [Some("6".to_owned()), None, Some("0".to_owned())]);
    for lines in ["Max-Forwards: -1\r\n", "Max-Forwards: 1\r\nMax-Forwards: 1\r\n", "Max-Forwards: 1, 2\r\n"]
    {
        ask("OPTIONS", lines).expect(400, "request_ambiguous");
    }
}
