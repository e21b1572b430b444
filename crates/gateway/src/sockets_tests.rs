//! The engine against a mock of both its sockets, which split, stall and reset at every byte. What arrives must be what
//! the model says, byte for byte; nothing may hang.
//!
//! `DOORWARD_N=0` runs every combination of splits; the default leaves out most pairs.
use crate::desk::Desk;
use crate::local::{Answering, Local, LocalAnswer, LocalRequest};
use crate::places::Places;
use crate::pool::Dial;
use crate::serve::{plain, serve};
use crate::settings::{Limits, Settings, Timeouts, Trusted};
use crate::sink::EventBuffer;
use crate::stats::CoreStats;
use crate::worker::{Clocks, Parts, Worker};
use doorward_core::live::Live;
use doorward_core::policy::{Address, compile, draft};
use doorward_core::request::PlainHttp;
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

mod cases;
mod mock;
mod model;
mod tunnel;

use cases::{CASES, Case};
use mock::{Mock, Script, Trouble};
use model::{Message, messages};

struct Dialer(RefCell<VecDeque<Mock>>);

impl Dial for Dialer {
    type Io = Mock;
    async fn connect(&self, _: &Address, _: bool) -> io::Result<Mock> {
        self.0.borrow_mut().pop_front().ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }
}

fn live() -> &'static Arc<Live> {
    static LIVE: OnceLock<Arc<Live>> = OnceLock::new();
    LIVE.get_or_init(|| {
        let text = "[[api]]\nid = \"a\"\ndialect = \"standard\"\nupstream = { production = \"http://u:1\" }\n\
            [[api.route]]\npath = \"/open/*\"\npublic = true\n[[api.route]]\npath = \"/keyed\"\n[[api.route]]\npath = \"/up\"\npublic = true\nupgrades = [\"websocket\"]\n\
            [[api.route]]\npath = \"/here\"\npublic = true\ntarget = \"token\"\n[[api.route]]\npath = \"/key\"\npublic = true\ntarget = \"jwks\"\n";
        let live = Live::new(Arc::new(Keys::derive(&[7; 32])));
        live.policy.store(Arc::new(compile(&draft::read(text).unwrap(), None).unwrap()));
        live.renew(1, 1, u64::MAX);
        Arc::new(live)
    })
}

/// Answers with what it was told.
struct Echo;

impl Local for Echo {
    fn answer(self: Arc<Self>, r: LocalRequest) -> Answering {
        if r.body == b"never" {
            return Box::pin(std::future::pending());
        }
        let head = [&r.method[..], b" ", &r.path, b" "].concat();
        let answer = LocalAnswer::new(200).body("text/plain", [&head[..], &r.body].concat());
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// What a run left behind.
struct Run {
    caller: Mock,
    upstreams: Vec<Mock>,
    events: usize,
    /// The event lines.
    lines: String,
    kept: usize,
}

fn settings() -> Arc<Settings> {
    static SETTINGS: OnceLock<Arc<Settings>> = OnceLock::new();
    Arc::clone(SETTINGS.get_or_init(|| {
        Arc::new(Settings {
            name: "test".to_owned(),
            cores: 1,
            plain_http: PlainHttp::Serve,
            plain_http2: false,
            https_port: None,
            hsts: None,
            trusted: Trusted::default(),
            timeouts: Timeouts::default(),
            limits: Limits { body_bytes: 4096, local_body_bytes: 32, queue_ms: 0, ..Limits::default() },
            upstream_roots: Arc::new(rustls::RootCertStore::empty()),
        })
    }))
}

/// Runs one connection to its end, under a clock that jumps to whatever is waited for.
fn run(caller: Script, upstreams: Vec<Script>) -> Run {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let caller = Mock::new(caller);
    let upstreams: Vec<Mock> = upstreams.into_iter().map(Mock::new).collect();
    let (send, lines) = sync_channel(1024);
    let (facts, _keep) = tokio::sync::mpsc::channel(16);
    let worker = Rc::new(Worker::new(Parts {
        settings: settings(),
        live: Arc::clone(live()),
        clocks: Clocks { now: || UnixMillis(0), monotonic_ms: || 1 },
        dial: Dialer(RefCell::new(upstreams.iter().cloned().collect())),
        stats: Arc::new(CoreStats::default()),
        ledger: Arc::new(doorward_core::ports::NoLedger),
        limiter: Arc::new(doorward_core::ports::NoLimiter),
        captchas: Arc::new(doorward_core::ports::NoCaptchas),
        desk: Desk::new(Arc::new(Echo), runtime.handle().clone()),
        room: Arc::default(),
        conditions: Arc::default(),
        places: Arc::new(Places::new(1, 1)),
        events: EventBuffer::new(Some(send)),
        draining: Arc::default(),
        facts,
        seed: [0; 16],
    }));
    let ticking = Rc::clone(&worker);
    let serving =
        serve(Rc::clone(&worker), caller.clone(), plain([127, 0, 0, 1].into(), false, PlainHttp::Serve));
    let local = tokio::task::LocalSet::new();
    runtime.block_on(local.run_until(async move {
        let ticker = tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                ticking.tick();
                while ticking.clock.wake_some() {}
            }
        });
        tokio::time::timeout(Duration::from_secs(3600), serving).await.expect("a connection ends");
        ticker.abort();
    }));
    let kept = worker.pool.idle();
    worker.hand_over_events();
    let lines = String::from_utf8(lines.try_iter().flatten().collect()).unwrap();
    Run { caller, upstreams, events: lines.lines().count(), lines, kept }
}

fn caller(case: &Case) -> Script {
    Script {
        says: vec![(0, case.request.to_vec())],
        splits: vec![],
        takes: usize::MAX,
        trouble: Trouble::None,
        ends: false,
    }
}

fn upstreams(case: &Case) -> Vec<Script> {
    let one = |says: &&[(usize, &[u8])]| Script {
        says: says.iter().map(|(after, bytes)| (*after, bytes.to_vec())).collect(),
        splits: vec![],
        takes: usize::MAX,
        trouble: Trouble::None,
        ends: case.upstream_ends,
    };
    case.upstream.iter().map(one).collect()
}

fn heard(mock: &Mock) -> Vec<u8> {
    mock.state.borrow().heard.clone()
}

/// What must arrive where, whatever the splits.
fn check(case: &Case, run: &Run, how: &str) {
    let to_head = case.request.starts_with(b"HEAD");
    let mut at_caller =
        messages(&heard(&run.caller), to_head, true).unwrap_or_else(|e| panic!("{}, {how}: {e}", case.name));
    // Sent only where the body had not begun to arrive.
    at_caller.retain(|m| m.head != "HTTP/1.1 100 Continue");
    let wanted: Vec<Message> = case.answers.iter().map(|a| Message::expected(a)).collect();
    assert_eq!(at_caller, wanted, "{}, {how}: at the caller; {}", case.name, run.lines);
    let sent: Vec<u8> = run.upstreams.iter().flat_map(heard).collect();
    let at_upstream = messages(&sent, false, false).unwrap_or_else(|e| panic!("{}, {how}: {e}", case.name));
    let wanted: Vec<Message> = case.forwarded.iter().map(|a| Message::expected(a)).collect();
    assert_eq!(at_upstream, wanted, "{}, {how}: at the upstream", case.name);
    assert_eq!(run.events, case.events, "{}, {how}: events", case.name);
    assert!(!run.caller.state.borrow().aborted, "{}, {how}: a whole answer is not an abort", case.name);
}

#[test]
fn every_split_gives_the_same_bytes() {
    let every_pair = std::env::var("DOORWARD_N").is_ok_and(|n| n == "0");
    for case in CASES {
        check(case, &run(caller(case), upstreams(case)), "whole");
        let length = |s: &Script| s.says.iter().map(|(_, b)| b.len()).sum::<usize>();
        let requests = length(&caller(case));
        let answers: usize = upstreams(case).first().map_or(0, length);
        for takes in [1, 7, usize::MAX] {
            for at in 0..=requests {
                let mut from = caller(case);
                from.splits = vec![at];
                from.takes = takes;
                let mut to = upstreams(case);
                to.iter_mut().for_each(|s| s.takes = takes);
                check(case, &run(from, to), &format!("request split at {at}, writes of {takes}"));
            }
            for at in 0..=answers {
                let mut to = upstreams(case);
                to.iter_mut().for_each(|s| (s.splits, s.takes) = (vec![at], takes));
                check(case, &run(caller(case), to), &format!("answer split at {at}, writes of {takes}"));
            }
        }
        let mut everywhere = caller(case);
        everywhere.splits = (0..=requests).collect();
        let mut both = upstreams(case);
        both.iter_mut().for_each(|s| s.splits = (0..=answers).collect());
        check(case, &run(everywhere, both), "both byte by byte");
        let step = if every_pair { 1 } else { 17 };
        for at in (0..=requests).step_by(step) {
            for other in (0..=answers).step_by(step) {
                let mut from = caller(case);
                from.splits = vec![at];
                let mut to = upstreams(case);
                to.iter_mut().for_each(|s| s.splits = vec![other]);
                check(case, &run(from, to), &format!("request split at {at}, answer at {other}"));
            }
        }
    }
}

/// A caller that stops, ends or resets anywhere: nothing hangs, and the upstream saw a beginning of what it should have
/// seen, never something else.
#[test]
fn a_caller_may_fail_anywhere() {
    for case in CASES {
        let whole: Vec<u8> = run(caller(case), upstreams(case)).upstreams.iter().flat_map(heard).collect();
        for at in 0..case.request.len() {
            for trouble in [Trouble::Silence(at), Trouble::End(at), Trouble::Reset(at)] {
                let mut from = caller(case);
                from.trouble = trouble;
                let r = run(from, upstreams(case));
                let sent: Vec<u8> = r.upstreams.iter().flat_map(heard).collect();
                let what = format!("{}, caller {trouble:?}", case.name);
                model::assert_beginning(&sent, &whole, &what);
                let complete = messages(&sent, false, false).is_ok();
                assert!(complete || r.kept == 0, "{what}: a half-used upstream connection was kept");
            }
        }
        let answered = heard(&run(caller(case), upstreams(case)).caller).len();
        for at in 0..answered {
            let mut from = caller(case);
            from.trouble = Trouble::Deaf(at);
            let r = run(from, upstreams(case));
            assert_eq!(heard(&r.caller).len(), at, "{}: a caller deaf after {at}", case.name);
        }
    }
}

/// An upstream that stops, ends or resets anywhere: the caller gets the whole answer, a 502 or 504, or an answer that
/// is visibly cut short. Never a wrong one that looks whole.
#[test]
fn an_upstream_may_fail_anywhere() {
    for case in CASES.iter().filter(|c| !c.upstream.is_empty()) {
        let to_head = case.request.starts_with(b"HEAD");
        let wanted: Vec<Message> = case.answers.iter().map(|a| Message::expected(a)).collect();
        let length: usize = case.upstream[0].iter().map(|(_, b)| b.len()).sum();
        for at in 0..length {
            for trouble in [Trouble::Silence(at), Trouble::End(at), Trouble::Reset(at), Trouble::Deaf(at)] {
                let what = format!("{}, upstream {trouble:?}", case.name);
                let mut to = upstreams(case);
                to.truncate(1);
                to[0].trouble = trouble;
                let r = run(caller(case), to);
                let got = heard(&r.caller);
                let aborted = r.caller.state.borrow().aborted;
                let ends_by_closing = case.upstream_ends && matches!(trouble, Trouble::End(_));
                match messages(&got, to_head, true) {
                    Ok(seen) if !aborted => {
                        let seen = seen.iter().filter(|m| m.head != "HTTP/1.1 100 Continue");
                        for (i, m) in seen.enumerate() {
                            let failed =
                                m.head.starts_with("HTTP/1.1 502 ") || m.head.starts_with("HTTP/1.1 504 ");
                            let expected = wanted.get(i).is_some_and(|w| {
                                w == m || ends_by_closing && w.head == m.head && w.body.starts_with(&m.body)
                            });
                            assert!(failed || expected, "{what}: {m:?}");
                        }
                    }
                    Ok(_) => {}
                    Err(why) => assert!(aborted, "{what}: {why} without an abort"),
                }
                if !matches!(trouble, Trouble::Deaf(_)) {
                    assert_eq!(r.kept, 0, "{what}: a failed upstream connection was kept");
                }
            }
        }
    }
}
