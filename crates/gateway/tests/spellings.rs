//! Paths in every spelling: each is refused, or leads where it was judged to lead, whatever reads it (case group A).
//!
//! `DOORWARD_N` is the number of spellings; where it is given, each is read by every kind of server, otherwise by some.
#![allow(clippy::panic, clippy::print_stdout, reason = "a test reports by printing and fails by panicking")]

#[path = "spellings/generate.rs"]
mod generate;
#[path = "differential/random.rs"]
mod random;
#[path = "spellings/servers.rs"]
mod servers;

use doorward_core::decide::{self, Received, Step};
use doorward_core::live::Live;
use doorward_core::policy::{Policy, compile, draft};
use doorward_core::reason::Reason;
use doorward_core::request::{PlainHttp, RequestView, Transport};
use doorward_core::schemes::escher::KeptKeys;
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use doorward_core::token::Cache;
use doorward_gateway::wire::{self, Head, Limits};
use random::Random;
use servers::{Place, Server, served};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Spellings where nothing else is asked for.
const EVERY_DAY: u64 = 12_000;
/// How many kinds of servers read each of them then, beside the one with every habit.
const SERVERS_EVERY_DAY: usize = 12;

const HOST: &str = "api.example.com";

const PLACES: &[Place] = &[
    Place { template: "/public/*", public: true },
    Place { template: "/public/inner/*", public: false },
    Place { template: "/files/{name}", public: true },
    Place { template: "/files/{name}/parts/*", public: true },
    Place { template: "/files/admin", public: false },
    Place { template: "/v1/*", public: false },
    Place { template: "/admin", public: false },
    Place { template: "/loose/*", public: true },
    Place { template: "/loose/secret/*", public: false },
];

/// The rest of everything, open to anybody.
const REST: Place = Place { template: "/*", public: true };

fn policy(places: &[Place]) -> Policy {
    let mut text = "workspace = [{ id = \"w\", environment = \"production\" }]\n".to_owned();
    for (nth, Place { template, public }) in places.iter().enumerate() {
        let loose = template.starts_with("/loose");
        let paths = if loose {
            "paths = { encoded_slash = true, empty_segments = true, dot_segments = true }\n"
        } else {
            ""
        };
        text.push_str(&format!(
            "[[api]]\nid = \"a{nth}\"\ndialect = \"standard\"\n{paths}upstream = {{ production = \"http://192.0.2.1\" }}\n\
             route = [{{ path = \"{template}\", public = {public} }}]\n"
        ));
    }
    let draft = draft::read(&text).expect("a policy");
    compile(&draft, None).expect("a policy")
}

/// What becomes of a target.
enum Judged {
    /// Refused for its form, before any route.
    Unreadable,
    /// Refused for its path.
    Refused,
    /// Decided by this route; whether it goes on.
    By(usize, bool),
}

struct Node {
    live: Live,
    policy: Policy,
    keys: KeptKeys,
    tokens: RefCell<Cache>,
}

impl Node {
    fn new(places: &[Place]) -> Node {
        let live = Live::new(Arc::new(Keys::derive(&[3; 32])));
        live.store_answered();
        live.renew(1, 1, u64::MAX / 2);
        let tokens = RefCell::new(Cache::new(1, Default::default()));
        Node { live, policy: policy(places), keys: KeptKeys::default(), tokens }
    }

    fn judge(&self, target: &str) -> (Judged, Vec<u8>) {
        let raw = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").into_bytes();
        let mut head = Head::default();
        if wire::request(&raw, &Limits::default(), &mut head).is_err() {
            return (Judged::Unreadable, Vec::new());
        }
        let req = RequestView {
            raw: &raw,
            method: head.method.on(&raw),
            path: head.path.on(&raw),
            query: head.query.map(|query| query.on(&raw)),
            host: head.host.on(&raw),
            fields: &head.fields,
            client: None,
            transport: Transport::Plain(PlainHttp::Serve),
            now: UnixMillis(1_795_285_931_000),
        };
        let world = self.live.world(&self.policy, &self.keys, &self.tokens, 2);
        let decided = decide::start(&req, Received::Nothing, world);
        let route = || decided.facts.route.expect("a route was found").0;
        let judged = match &decided.step {
            Step::Permit(_) => Judged::By(route(), true),
            Step::Denied(denial) => match denial.refusal.reason {
                Reason::RequestAmbiguous | Reason::RouteUnknown => Judged::Refused,
                Reason::CredentialMissing => Judged::By(route(), false),
                other => panic!("{target}: {other:?}"),
            },
            _ => panic!("{target}: neither yes nor no"),
        };
        (judged, req.path.to_vec())
    }
}

#[derive(Default)]
struct Counts {
    spellings: u64,
    unreadable: u64,
    refused: u64,
    passed: u64,
    protected: u64,
    readings: u64,
    astray: BTreeMap<String, String>,
}

/// Judges a target, and has servers read it: all that find something there find what was decided about.
fn look(node: &Node, places: &[Place], target: &str, servers: &[Server], counts: &mut Counts) {
    counts.spellings += 1;
    let (judged, path) = node.judge(target);
    let (by, passed) = match judged {
        Judged::Unreadable => return counts.unreadable += 1,
        Judged::Refused => return counts.refused += 1,
        Judged::By(by, passed) => (by, passed),
    };
    assert_eq!(passed, places[by].public, "{target}");
    *(if passed { &mut counts.passed } else { &mut counts.protected }) += 1;
    for server in servers {
        counts.readings += 1;
        match served(server, places, &path) {
            Some(other) if other != by => {
                let how = format!("{} for {}", places[by].template, places[other].template);
                counts.astray.entry(format!("{how}: {target}")).or_insert_with(|| format!("{server:?}"));
            }
            _ => {}
        }
    }
}

fn run(places: &[Place], what: &str) {
    let asked = std::env::var("DOORWARD_N").ok().and_then(|n| n.parse::<u64>().ok());
    let n = asked.unwrap_or(EVERY_DAY);
    let node = Node::new(places);
    let mut counts = Counts::default();
    let every: Vec<Server> = (0..Server::KINDS).map(Server::nth).collect();
    let one_trick = generate::with_one_trick();
    let step = if asked.is_some() { 1 } else { one_trick.len().div_ceil(n as usize / 2).max(1) };
    let mut random = Random::new(7);
    let mut spelt = one_trick.into_iter().step_by(step);
    while counts.spellings < n {
        let next = if counts.spellings.is_multiple_of(2) { spelt.next() } else { None };
        let target = next.unwrap_or_else(|| generate::with_tricks(&mut random)).replace("HOST", HOST);
        match asked {
            Some(_) => look(&node, places, &target, &every, &mut counts),
            None => {
                let mut some: Vec<Server> = (0..SERVERS_EVERY_DAY).map(|_| random.pick(&every)).collect();
                some.extend(every.last());
                look(&node, places, &target, &some, &mut counts);
            }
        }
    }
    let Counts { spellings, unreadable, refused, passed, protected, readings, astray } = counts;
    println!(
        "figures: spellings, {what}: {spellings}, of them {} refused, {passed} let through, {protected} asked for a \
         credential; {readings} readings, {} astray",
        unreadable + refused,
        astray.len()
    );
    let some: Vec<String> =
        astray.iter().take(40).map(|(target, server)| format!("{target} by {server}")).collect();
    assert!(astray.is_empty(), "{} lead elsewhere:\n{}", astray.len(), some.join("\n"));
    assert!(unreadable + refused > spellings / 3 && passed > 5 && protected > 5, "too few of one kind");
}

#[test]
fn case_1_every_reading_of_a_path_is_the_one_that_was_judged() {
    run(PLACES, "islands in the open");
}

/// The same where whatever nobody names is open to all.
#[test]
fn case_4_every_reading_is_the_one_that_was_judged_where_the_rest_is_open() {
    let all: Vec<Place> = PLACES.iter().copied().chain([REST]).collect();
    run(&all, "the rest is open");
}

/// Found by `path_match`, and what is like it: `..` leads elsewhere for those who leave empty segments or drop them late,
/// and for those who follow it before they decode and after it.
#[test]
fn dots_beside_empty_segments_and_other_spellings_are_read_in_every_order() {
    let places = [PLACES, &[REST]].concat();
    let (node, mut counts) = (Node::new(&places), Counts::default());
    let every: Vec<Server> = (0..Server::KINDS).map(Server::nth).collect();
    let spelt = [
        "/loose/..//loose",
        "/loose/.//secret//..",
        "/loose/./secret/.../..",
        "/loose/./%ef%bd%93ecret/.../..",
        "/loose/.//%73ecret//%2e%2e",
        "/loose/a%2fb/../..%2fb/.*/..//v2(/x",
        "/loose/a/%2e%2e/../%2e%2e/x",
        "/loose/x/a/..;x/../..;x/../..;x/secret/../v1",
        "/loose/a%ef%bc%9fb/../secret%ef%bc%9f/x",
        "/loose//secret/..///.",
        "/loose//secret/..",
        "/loose/secret%2f..",
        "/loose/x%2f%2e%2e%2f../secret",
        "/loose/..%2floose..%2fsg/b/..%2fsecfet.y",
        "/loose/%2e%2e/Loose/x",
    ];
    for target in spelt {
        assert!(every.iter().any(|server| served(server, &places, target.as_bytes()) != Some(7)), "{target}");
        look(&node, &places, target, &every, &mut counts);
    }
    assert!(counts.astray.is_empty(), "{:#?}", counts.astray);
    assert_eq!(counts.refused, spelt.len() as u64);
    look(&node, &places, "/loose/a//b/./c", &every, &mut counts);
    assert_eq!(counts.passed, 1);
}

/// Servers that all read alike would find nothing.
#[test]
fn servers_differ() {
    let places = [PLACES, &[REST]].concat();
    let reached = |path: &str| -> Vec<&str> {
        let all = (0..Server::KINDS).filter_map(|n| served(&Server::nth(n), &places, path.as_bytes()));
        let mut all: Vec<&str> = all.map(|nth| places[nth].template).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    assert_eq!(reached("/public/a"), ["/public/*"]);
    for (path, protected) in [
        ("/public/%2e%2e/v1/x", "/v1/*"),
        ("/public/..%252fv1", "/v1/*"),
        ("/public/..%c0%afv1", "/v1/*"),
        ("/files/ADMIN", "/files/admin"),
        ("/files/admin%20", "/files/admin"),
        ("/files/admin;x", "/files/admin"),
        ("/files/%ef%bd%81dmin", "/files/admin"),
        ("/files/admin%00.css", "/files/admin"),
        ("//v1/x", "/v1/*"),
        ("/public/..\\v1", "/v1/*"),
        ("/%u0076%u0031/x", "/v1/*"),
        ("/admin.", "/admin"),
    ] {
        assert!(reached(path).contains(&protected), "{path}: {:?}", reached(path));
    }
}
