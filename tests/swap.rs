//! A large policy is swapped under callers: every request is answered all along, and how long each takes is told.
use crate::support::{Gateway, Setup, Upstream, eventually, number_of_trials};
use doorward_core::policy::{compile, draft};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const OWN: &str = r#"
[[workspace]]
id = "acme"
environment = "production"
[[api]]
id = "shop"
dialect = "voucherify"
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/v1/*"
"#;
const CALLERS: usize = 2;

/// So many rules, over a tenth as many APIs and as many workspaces.
fn large(rules: u64, upstream: &Upstream) -> String {
    let (mut text, places) = (OWN.replace("{upstream}", &upstream.address.to_string()), (rules / 10).max(1));
    for n in 0..places {
        let _ = write!(
            text,
            "[[workspace]]\nid = \"w{n}\"\nenvironment = \"production\"\n[[api]]\nid = \"a{n}\"\ndialect = \"standard\"\n\
             upstream = {{ production = \"http://{}\" }}\n[[api.route]]\npath = \"/a{n}/*\"\nscope = \"a{n}:read\"\n",
            upstream.address
        );
    }
    for n in 0..rules {
        let _ = write!(
            text,
            "[[policy]]\nworkspace = \"w{}\"\napi = \"a{}\"\nscopes = \"observe\"\nnetwork = {{ allow = [\"10.0.0.0/8\"] }}\n",
            (n + n / places) % places,
            n % places
        );
    }
    text
}

/// The middle one, the 99th of 100, and the slowest.
fn told(mut all: Vec<Duration>) -> String {
    all.sort_unstable();
    let at = |share: usize| all[(all.len() * share / 100).min(all.len() - 1)];
    format!("{:?} p50, {:?} p99, {:?} slowest of {}", at(50), at(99), at(100), all.len())
}

/// How long each request takes until `until` says so; each of them succeeds.
fn called(gateway: &Gateway, request: &str, until: &(dyn Fn() -> bool + Sync)) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    let (mut connection, mut took) = (gateway.connect(), Vec::new());
                    while took.is_empty() || !until() {
                        let began = Instant::now();
                        connection.expect_serves(request).expect_ok();
                        took.push(began.elapsed());
                    }
                    took
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("every request succeeds")).collect()
    })
}

#[test]
fn a_large_policy_is_swapped_under_callers() {
    let rules = number_of_trials(1_000);
    let upstream = Upstream::start();
    let text = large(rules, &upstream);
    let read = draft::read(&text).expect("a policy");
    let began = Instant::now();
    let compiled = compile(&read, None).expect("it compiles");
    let compiling = began.elapsed();
    assert_eq!(compiled.apis.iter().map(|api| api.rules.len() as u64).sum::<u64>(), rules);
    let own = OWN.replace("{upstream}", &upstream.address.to_string());
    let mut gateway = Setup::new().policy(own).prepare();
    let who = gateway.actor("acme", "server", &[]);
    gateway.start();
    let request = who.get("/v1/x");
    let began = Instant::now();
    let before = called(&gateway, &request, &|| began.elapsed() > Duration::from_millis(500));
    let obeyed = AtomicBool::new(false);
    let (during, applied) = std::thread::scope(|scope| {
        let calling = scope.spawn(|| called(&gateway, &request, &|| obeyed.load(Ordering::SeqCst)));
        let applied = gateway.apply(&text).ok().stdout;
        eventually("the new policy to be obeyed", || {
            gateway.ask("GET /a7/x HTTP/1.1\r\nHost: x\r\n\r\n").code() == "credential_missing"
        });
        obeyed.store(true, Ordering::SeqCst);
        (calling.join().expect("every request succeeds"), applied)
    });
    assert_eq!(applied.matches("+ policy ").count() as u64, rules);
    println!("figures: {rules} rules compiled in {compiling:?}");
    println!("figures: before the swap {}", told(before));
    println!("figures: during it       {}", told(during));
}
