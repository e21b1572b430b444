//! The keys that sign tokens change while everybody goes on.
use crate::support::{Gateway, Setup, Upstream, eventually, number_of_trials, rows};
use serde_json::Value;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const ISSUER: &str = "\"https://api.example\"";

fn policy(upstream: &Upstream) -> String {
    format!(
        "[[workspace]]\nid = \"live\"\nenvironment = \"production\"\n\
         [[api]]\nid = \"orders\"\ndialect = \"standard\"\nschemes = [\"bearer\"]\n\
         upstream = {{ production = \"http://{}\" }}\n[[api.route]]\npath = \"/orders/*\"\n",
        upstream.address
    )
}

fn issued(gateway: &Gateway, id: &str) -> String {
    let run = gateway.command(&["token", "issue", "--json", "--id", id]).ok();
    rows(&run.stdout)[0]["token"].as_str().expect("a token").to_owned()
}

fn keys(gateway: &Gateway) -> Vec<Value> {
    rows(&gateway.command(&["token", "key", "list", "--json"]).ok().stdout)
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// S7517: two nodes are asked without a pause, with tokens of every key so far, while one key takes the place of another:
/// none of their answers is a refusal.
#[test]
fn rotating_the_signing_key_disturbs_nobody() {
    let upstream = Upstream::start();
    let mut first = Setup::new().policy(policy(&upstream)).set("tokens", "issuer", ISSUER).prepare();
    first.start();
    let mut second = Setup::beside(&first).set("tokens", "issuer", ISSUER).prepare_unchecked();
    second.start();
    let made = first.create(&["--workspace", "live", "--kind", "server", "--dialect", "standard"]);
    let id = made[0]["id"].as_str().expect("an id").to_owned();
    let ask = |gateway: &Gateway, token: &str| {
        let head =
            "GET /orders/1 HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\nAuthorization: Bearer ";
        gateway.ask(format!("{head}{token}\r\n\r\n"))
    };
    let tokens = Mutex::new(vec![issued(&first, &id)]);
    for node in [&first, &second] {
        eventually("the credential", || ask(node, &tokens.lock().unwrap()[0]).status == 200);
    }
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let stop = Stop(&over);
        let nodes = [&first, &second].map(|node| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // The newest one is taken where it was not issued, too.
                    let some: Vec<String> = tokens.lock().unwrap().clone();
                    for token in &some {
                        let answer = ask(node, token);
                        assert_eq!(answer.status, 200, "{answer:?}");
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        });
        for _ in 0..number_of_trials(3) {
            let before = issued(&first, &id);
            let run = first.command(&["token", "key", "rotate", "--alg", "ES256", "--now", "--json"]).ok();
            let kid = rows(&run.stdout)[0]["kid"].as_str().expect("a name").to_owned();
            tokens.lock().unwrap().push(before.clone());
            eventually("the new key to sign", || {
                let token = issued(&second, &id);
                let changed = token.split('.').next() != before.split('.').next();
                tokens.lock().unwrap().push(token);
                changed
            });
            assert!(keys(&first).iter().any(|k| k["kid"] == kid.as_str()), "{kid}");
            if nodes.iter().any(std::thread::ScopedJoinHandle::is_finished) {
                break;
            }
        }
        drop(stop);
    });
    crate::feed::figures(format_args!(
        "{} requests while the keys changed {} times, none refused",
        asked.load(Ordering::Relaxed),
        number_of_trials(3)
    ));
    first.command(&["check"]).ok();
}
