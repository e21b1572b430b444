//! `report readiness` after mixed traffic: several rules at several APIs are observed, some are enforced, and callers of every
//! kind call. What is reported is what a model has counted.
use crate::support::{Actor, Conn, Dice, HOST, Setup, Upstream, number_of_trials, rows, wait_for};
use std::collections::BTreeMap;

/// `{burst}` is how often a limit lets through; nothing is given back while a test runs.
const POLICY: &str = r#"
[[workspace]]
id = "acme"
environment = "production"
[[workspace]]
id = "beta"
environment = "production"
[[licence]]
name = "premium"
workspace = "beta"

[[api]]
id = "shop"
dialect = "voucherify"
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/shop/free"
[[api.route]]
path = "/shop/vouchers/*"
scope = "vouchers:read"
[[api.route]]
path = "/shop/premium"
licences = ["premium"]
[[api.route]]
path = "/shop/open"
public = true

[[api]]
id = "till"
dialect = "standard"
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/till/*"
scope = "till:use"

[[policy]]
workspace = "acme"
api = "shop"
scopes = "observe"
licences = "observe"
network = { mode = "observe", allow = ["127.0.0.2"] }
limits = { mode = "observe", credential = { requests = {burst}, per_s = 2678400 }, client = { requests = {burst}, per_s = 2678400 } }
[[policy]]
workspace = "acme"
api = "till"
scopes = "observe"
network = { allow = ["127.0.0.2"] }
[[policy]]
workspace = "beta"
api = "till"
limits = { mode = "observe", workspace = { requests = {burst}, per_s = 2678400 } }
"#;

/// Who calls: what the model knows of it.
struct Caller {
    actor: Actor,
    api: &'static str,
    vouchers: bool,
    till: bool,
}

/// Calls that a rule would have refused, by workspace, API, rule and caller.
type Counts = BTreeMap<(String, String, String, String), u64>;

#[derive(Default)]
struct Model {
    counts: Counts,
    spent: BTreeMap<String, u64>,
}

impl Model {
    /// One more request under a limit; whether there is no room.
    fn spend(&mut self, key: String, burst: u64) -> bool {
        let spent = self.spent.entry(key).or_default();
        let full = *spent >= burst;
        *spent += u64::from(!full);
        full
    }

    /// What comes of a call: whether it is let through.
    fn call(&mut self, caller: &Caller, path: &str, source: &str, burst: u64) -> bool {
        let (workspace, api) = (caller.actor.workspace.as_str(), caller.api);
        let (acme, listed) = (workspace == "acme", source == "127.0.0.2");
        let mut rules = Vec::new();
        let scope_missing = match api {
            "till" => !caller.till,
            _ => path.contains("vouchers") && !caller.vouchers,
        };
        match (workspace, api) {
            ("acme", "till") if !listed => return false,
            ("acme", "shop") if !listed => rules.push("network"),
            _ => {}
        }
        match scope_missing {
            true if acme => rules.push("scope"),
            true => return false,
            false => {}
        }
        if acme && path.contains("premium") {
            rules.push("licence");
        }
        let full = match (workspace, api) {
            ("acme", "shop") => self.spend(caller.actor.id.clone(), burst),
            ("beta", "till") => self.spend("beta/till".to_owned(), burst),
            _ => false,
        };
        rules.extend(full.then_some("limits"));
        for rule in rules {
            self.count(workspace, api, rule, &caller.actor.id);
        }
        true
    }

    fn count(&mut self, workspace: &str, api: &str, rule: &str, who: &str) {
        let key = [workspace, api, rule, who].map(str::to_owned);
        *self.counts.entry(key.into()).or_default() += 1;
    }
}

/// Without first and last, and without samples: those are held against the counts.
fn reported(text: &str) -> Counts {
    let mut counts = Counts::new();
    for line in rows(text) {
        let of = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let callers = line["credentials"].as_array().cloned().unwrap_or_default();
        assert_eq!(line["ready"], callers.is_empty(), "{line}");
        assert_eq!(line["would_be_refused"].as_u64(), Some(callers.len() as u64), "{line}");
        for caller in callers {
            let calls = caller["calls"].as_u64().unwrap_or_default();
            assert!(caller["first_at"].as_str() <= caller["last_at"].as_str(), "{caller}");
            let samples = caller["samples"].as_array().map_or(0, Vec::len) as u64;
            assert!((1..=calls.min(5)).contains(&samples), "{caller}");
            let who = caller["credential"].as_str().unwrap_or_default().to_owned();
            counts.insert((of("workspace"), of("api"), of("rule"), who), calls);
        }
    }
    counts
}

#[test]
fn what_mixed_callers_would_be_refused_is_reported() {
    let calls = number_of_trials(400);
    let burst = calls / 25;
    let upstream = Upstream::start();
    let policy = POLICY.replace("{upstream}", &upstream.address.to_string());
    let mut gateway = Setup::new().policy(policy.replace("{burst}", &burst.to_string())).prepare();
    let mut callers = Vec::new();
    for (workspace, api, dialect, more) in [
        ("acme", "shop", "voucherify", &[][..]),
        ("acme", "shop", "voucherify", &["--scope", "vouchers:read"]),
        ("acme", "shop", "voucherify", &["--role", "viewer"]),
        ("acme", "till", "standard", &[]),
        ("acme", "till", "standard", &["--scope", "till:*"]),
        ("beta", "shop", "voucherify", &[]),
        ("beta", "shop", "voucherify", &["--role", "merchant"]),
        ("beta", "till", "standard", &["--scope", "till:use"]),
        ("beta", "till", "standard", &["--role", "admin"]),
    ] {
        let actor = gateway.actor(workspace, "server", &[&["--dialect", dialect], more].concat());
        let has = |names: &[&str]| more.iter().any(|name| names.contains(name));
        let vouchers = has(&["vouchers:read", "viewer", "merchant"]);
        callers.push(Caller { actor, api, vouchers, till: has(&["till:*", "till:use", "admin"]) });
    }
    gateway.start();
    let sources = ["127.0.0.1", "127.0.0.2"];
    let mut connections = sources.map(|source| Conn::from_address(source, gateway.address("plain")));
    let (mut model, mut dice, mut refused) = (Model::default(), Dice(0x4ead), 0);
    for _ in 0..calls {
        let mut pick = |count: usize| dice.roll(count as u64) as usize;
        let from = pick(2);
        let who = pick(callers.len() + 1);
        let Some(caller) = callers.get(who) else {
            let open = format!("GET /shop/open HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
            connections[from].expect_serves(&open).expect_ok();
            if model.spend(sources[from].to_owned(), burst) {
                // Callers without a credential belong to no workspace: whoever observes this at the API is told.
                model.count("acme", "shop", "limits", "anonymous");
            }
            continue;
        };
        let paths: &[&str] = match caller.api {
            "till" => &["/till/open", "/till/close?secret=1"],
            _ => &["/shop/free", "/shop/vouchers/7?secret=1", "/shop/premium"],
        };
        let path = paths[pick(paths.len())];
        let answer = connections[from].expect_serves(&caller.actor.get(path));
        let through = model.call(caller, path, sources[from], burst);
        assert_eq!(answer.status == 200, through, "{path} from {}: {answer:?}", sources[from]);
        refused += u64::from(!through);
    }
    let report = || gateway.command(&["report", "readiness", "--json"]).ok().stdout;
    let told = wait_for("all calls in the report", || {
        let counts = reported(&report());
        (counts.values().sum::<u64>() >= model.counts.values().sum()).then_some(counts)
    });
    assert_eq!(told, model.counts);
    assert!(!report().contains("secret="));
    let rules: Vec<_> = told.keys().map(|(.., rule, _)| rule.as_str()).collect();
    assert!(["network", "scope", "licence", "limits"].iter().all(|rule| rules.contains(rule)), "{rules:?}");
    println!(
        "figures: {calls} calls, {refused} refused, {} would have been, of {} callers and rules",
        told.values().sum::<u64>(),
        told.len()
    );
    gateway.command(&["check"]).ok();
}
