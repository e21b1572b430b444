//! Signed requests are accepted once (security demands, Replay: R1 to R4, R6). What reached the upstream is the judge, not what was answered.
//!
//! What is asked of one node is asked of several that share a ledger in the same words: see `flood` and `race`.
use crate::faults::metric;
use crate::feed::figures;
use crate::support::{
    Actor, Answer, Conn, Dice, Gateway, Setup, Signed, SigningWorld, Upstream, eventually, now_s,
    number_of_trials, tag,
};
use std::collections::HashMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// How often each request is sent.
const COPIES: usize = 8;
/// Copies of one request that are sent at the same moment.
const AT_ONCE: usize = 100;
/// So many requests are signed at a time.
const ROUND: u64 = 500;

/// Asserts that an answer is that of a request which was accepted, or of one that was accepted before.
#[track_caller]
fn accepted(answer: &Answer) -> bool {
    let outcome = (answer.status, answer.code());
    assert!(matches!(outcome, (200, "") | (401, "signature_replayed")), "{answer:?}");
    answer.status == 200
}

/// Distinct requests, each sent several times to several nodes: at the same moment, or in different orders.
pub(crate) fn flood(nodes: &[&Gateway], signer: &Actor, upstream: &Upstream, total: u64) {
    let before = upstream.count() as u64;
    let mut connections: Vec<Conn> = (0..COPIES).map(|n| nodes[n % nodes.len()].connect()).collect();
    let (started, mut let_in) = (Instant::now(), 0);
    for round in 0..total.div_ceil(ROUND) {
        let count = ROUND.min(total - round * ROUND);
        let sign = |n| {
            let target = format!("/signed/flood?round={round}&n={n}");
            match n % 3 {
                0 => signer.signed("POST", &target).body(format!("{{\"points\":{n}}}")).bytes(),
                _ => signer.signed("GET", &target).bytes(),
            }
        };
        let requests: Vec<Vec<u8>> = (0..count).map(sign).collect();
        let barrier = Barrier::new(COPIES);
        let accepted_each = std::thread::scope(|scope| {
            let senders: Vec<_> = connections
                .iter_mut()
                .enumerate()
                .map(|(sender, connection)| {
                    let (requests, barrier) = (&requests, &barrier);
                    scope.spawn(move || {
                        let mut order: Vec<usize> = (0..requests.len()).collect();
                        if round % 2 == 1 {
                            let mut dice = Dice(round * COPIES as u64 + sender as u64);
                            (1..order.len()).for_each(|at| order.swap(at, dice.roll(at as u64 + 1) as usize));
                        }
                        let send = |at: usize| {
                            if round % 2 == 0 {
                                barrier.wait();
                            }
                            u64::from(accepted(&connection.send(&requests[at]).answer()))
                        };
                        order.into_iter().map(send).sum::<u64>()
                    })
                })
                .collect();
            senders.into_iter().map(|s| s.join().expect("every answer is one of two")).sum::<u64>()
        });
        assert_eq!(accepted_each, count, "accepted in round {round}");
        let_in += accepted_each;
        let arrived = upstream.count() as u64 - before;
        assert_eq!(arrived, let_in, "arrived after round {round}");
    }
    let tally = upstream.tally();
    let twice: Vec<_> = tally.iter().filter(|(target, n)| target.contains("/flood?") && **n != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let per_s = (total * COPIES as u64) as f64 / started.elapsed().as_secs_f64();
    figures(format_args!(
        "{total} requests, each sent {COPIES} times to {} node(s): the upstream saw {let_in}, 0 extra ({per_s:.0} requests/s)",
        nodes.len()
    ));
}

/// Many copies of one request at the same moment: one is accepted.
pub(crate) fn race(nodes: &[&Gateway], signer: &Actor, upstream: &Upstream, races: u64) {
    let mut connections: Vec<Conn> = (0..AT_ONCE).map(|n| nodes[n % nodes.len()].connect()).collect();
    let before = upstream.count() as u64;
    for number in 0..races {
        let request = signer.signed("POST", &format!("/signed/race{number}")).body("{}").bytes();
        // All but the last byte first, so that what is left is sent within a moment.
        let (most, last) = request.split_at(request.len() - 1);
        for connection in &mut connections {
            connection.send(most);
        }
        for connection in &mut connections {
            connection.send(last);
        }
        let let_in = connections.iter_mut().map(|c| accepted(&c.answer())).filter(|yes| *yes).count();
        assert_eq!((let_in, upstream.count() as u64 - before), (1, number + 1), "race {number}");
    }
    figures(format_args!(
        "{races} races of {AT_ONCE} copies over {} node(s): 1 accepted in each",
        nodes.len()
    ));
}

#[test]
fn r1_each_request_is_accepted_once_however_often_it_comes() {
    let world = SigningWorld::new();
    flood(&[&world.gateway], &world.signer, &world.production, number_of_trials(400));
}

#[test]
fn r2_of_a_hundred_copies_at_once_one_is_accepted() {
    let world = SigningWorld::new();
    race(&[&world.gateway], &world.signer, &world.production, number_of_trials(1_000).div_ceil(100));
}

/// R3: a request is remembered for as long as its date could be accepted. The skew is two seconds here.
#[test]
fn r3_a_request_is_remembered_until_its_age_refuses_it() {
    let world = SigningWorld::new();
    let mut told: HashMap<String, usize> = HashMap::new();
    for away in [-1, 0, 2] {
        let (tag, mut connection) = (tag(), world.gateway.connect());
        // A date at an end of what is accepted may be out of reach a moment later.
        let request = crate::support::wait_for("a date that fits", || {
            let request = world.signer.signed("GET", &format!("/tight/{tag}")).at(now_s() + away);
            let answer = connection.send(request.bytes()).answer();
            (answer.status == 200).then_some(request)
        });
        let started = Instant::now();
        loop {
            let answer = connection.send(request.bytes()).answer();
            assert_eq!(answer.status, 401, "{answer:?}");
            *told.entry(answer.code().to_owned()).or_default() += 1;
            if answer.code() == "signature_expired" {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "it never gets too old");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(world.production.seen(&tag).len(), 1);
    }
    assert_eq!(told.len(), 2, "{told:?}");
    figures(format_args!("replayed every millisecond until refused by age: {told:?}, 0 extra"));
}

/// R4: the same request in other words is the same request.
#[test]
fn r4_other_spellings_are_the_same_request() {
    let world = SigningWorld::new();
    for caller in [&world.signer, &world.aws] {
        let tag = tag();
        let target = format!("/signed/{tag}?b=a%2fc&a=1&a=%7e");
        let request = caller.signed("POST", &target).body("{\"a\": 1}").signing("X-Words", "two words");
        let request = request.field("Accept", "*/*");
        world.ask(request.bytes()).expect_ok();
        let text = String::from_utf8(request.bytes()).expect("text");
        let authorization = request.authorization();
        let with = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}: {text}");
            text.replacen(from, to, 1)
        };
        let value = |to: String| with(&authorization, &to);
        let date = format!("{}: {}\r\n", request.date_name(), request.date);
        let moved = with(&date, "").replacen("Accept:", &format!("{date}Accept:"), 1);
        let mut spellings = vec![
            text.clone(),
            with("Authorization:", "authorization:"),
            with("Authorization:", "AUTHORIZATION:"),
            with("Authorization: ", "Authorization:"),
            with("Authorization: ", "Authorization: \t  "),
            with(&date, &date.to_uppercase().replacen(": ", ":   ", 1)),
            with("X-Words: two words", "x-words:  two    words "),
            with("Host: api", "HOST:api"),
            value(format!("{authorization}  ")),
            value(authorization.replace(", ", ",")),
            value(authorization.replace(", ", ",   ")),
            moved,
            with("b=a%2fc&a=1&a=%7e", "a=1&b=a%2fc&a=%7e"),
            with("b=a%2fc&a=1&a=%7e", "a=~&a=1&b=a%2Fc"),
            with("b=a%2fc&a=1&a=%7e", "%62=%61%2Fc&a=%31&a=~"),
            with("Accept: */*\r\n", ""),
            with("Accept: */*\r\n", "Accept: text/html\r\nX-New: 1\r\nUser-Agent: other\r\n"),
            String::from_utf8(request.in_chunks(3)).expect("text"),
            String::from_utf8(request.in_chunks(1)).expect("text"),
            with("HTTP/1.1\r\n", "HTTP/1.1\r\nConnection: close\r\n"),
        ];
        if caller.dialect == "antavo" {
            let names = "SignedHeaders=date;host;x-words";
            spellings.push(value(authorization.replace(names, "SignedHeaders=x-words;host;date")));
        }
        for spelling in &spellings {
            let answer = world.ask(spelling);
            assert_eq!((answer.status, answer.code()), (401, "signature_replayed"), "{spelling}: {answer:?}");
        }
        // Folded over two lines it can't be read at all.
        let folded = value(authorization.replace(", S", ",\r\n S"));
        world.ask(folded).expect(400, "request_ambiguous");
        assert_eq!(world.production.seen(&tag).len(), 1, "{}", caller.dialect);
    }
}

/// R6: what is not proved is not remembered, and takes no request from who can prove it.
#[test]
fn r6_nobody_poisons_the_ledger() {
    let world = SigningWorld::new();
    let entries = || metric(&world.gateway, "doorward_ledger_entries") as u64;
    world.ask(world.signer.signed("GET", "/signed/first").bytes()).expect_ok();
    assert_eq!(entries(), 1);
    let mut connection = world.gateway.connect();
    let (unknown, wrong) = (world.signer.with_id("nobody"), world.signer.with_secret("wrong"));
    for number in 0..number_of_trials(300) {
        let path = format!("/signed/poison{number}");
        let request = match number % 5 {
            0 => unknown.signed("GET", &path).bytes(),
            1 => wrong.signed("GET", &path).bytes(),
            2 => format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(),
            3 => world.signer.signed("GET", &path).at(now_s() - 400).bytes(),
            _ => world.tester.signed("POST", &path).body("{}").bytes(),
        };
        assert_eq!(connection.send(request).answer().status, 401, "{number}");
    }
    assert_eq!(entries(), 1, "the ledger grew");
    // Whoever sends a victim's request first, with anything but the right signature, takes nothing from it.
    let victim = world.signer.signed("POST", "/signed/victim").body("{}");
    let authorization = victim.authorization();
    let (front, signature) = authorization.split_at(authorization.len() - 64);
    let other: String = signature.chars().rev().collect();
    let length = victim.length();
    for forged in [format!("{front}{other}"), format!("{front}{}", "0".repeat(64))] {
        let bytes = [victim.head_with(&forged, &length).as_bytes(), b"{}"].concat();
        world.ask(bytes).expect(401, "signature_invalid");
    }
    let second = Signed::by(&world.second, &victim);
    world.ask(second.bytes()).expect_ok();
    world.ask(victim.bytes()).expect_ok();
    world.ask(victim.bytes()).expect(401, "signature_replayed");
    world.ask(second.bytes()).expect(401, "signature_replayed");
    assert_eq!(entries(), 3);
}

/// An API may say that only what changes something is accepted once.
#[test]
fn an_api_may_let_safe_methods_be_repeated() {
    let world = SigningWorld::new();
    for (method, again) in
        [("GET", 200), ("HEAD", 200), ("POST", 401), ("PUT", 401), ("PATCH", 401), ("DELETE", 401)]
    {
        let request = world.signer.signed(method, &format!("/unsafe/{}", tag())).signing("X-Must", "1");
        world.ask(request.bytes()).expect_ok();
        let answer = world.ask(request.bytes());
        assert_eq!(answer.status, again, "{method}: {answer:?}");
        assert_eq!(answer.code(), if again == 200 { "" } else { "signature_replayed" });
        let arrived = world.production.seen(&request.target).len();
        assert_eq!(arrived, if again == 200 { 2 } else { 1 }, "{method}");
    }
}

/// A ledger in memory is one node's. Another node on the same store serves all but signed requests, and takes over when
/// the first one goes: nothing is accepted twice on the way.
#[test]
fn another_node_has_no_ledger_of_its_own() {
    let mut world = SigningWorld::new();
    let mut other = Setup::beside(&world.gateway);
    let journal = format!("{:?}", other.folder().file("ledger"));
    other = other.set("ledger", "journal", journal);
    let mut other = other.prepare_unchecked();
    other.start();
    let request = world.signer.signed("POST", &format!("/signed/{}", tag())).body("{}");
    let refused = other.ask(request.bytes());
    refused.expect(503, "unavailable");
    assert!(refused.get("retry-after").is_some(), "{refused:?}");
    assert_eq!((world.production.connections(), metric(&other, "doorward_ledger_up") as u64), (0, 0));
    assert!(other.log().contains("this node has no ledger"), "{}", other.log());
    other.ask(world.server.get("/plain/x")).expect_ok();
    // Not proved is not proved, here as there.
    let wrong = world.signer.with_secret("wrong").signed("GET", "/signed/x");
    other.ask(wrong.bytes()).expect(401, "signature_invalid");
    world.ask(request.bytes()).expect_ok();
    world.gateway.signal("TERM");
    world.gateway.ended();
    let mut codes = Vec::new();
    eventually("the other node takes over", || {
        codes.push(other.ask(request.bytes()).code().to_owned());
        metric(&other, "doorward_ledger_up") as u64 == 1
    });
    // It does not know what the first one accepted, so it takes nothing that may have been.
    let answer = other.ask(request.bytes());
    answer.expect(503, "unavailable");
    let wait: u64 = answer.get("retry-after").and_then(|s| s.parse().ok()).expect("seconds");
    assert!((1..=301).contains(&wait), "{wait}");
    assert!(codes.iter().all(|code| code == "unavailable"), "{codes:?}");
    assert_eq!(world.production.seen(&request.target).len(), 1);
}
