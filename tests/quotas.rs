//! How often callers may call: refused beyond that, told before; counted together by nodes that share a Redis server, and
//! by shares while it is away.
use crate::faults::metric;
use crate::support::{Actor, Answer, Conn, Redis, Setup, Site, eventually, rows, wait_for};
use std::ops::Deref;

/// `{limits}` stands for what is limited at `shop`.
const POLICY: &str = r#"
[[workspace]]
id = "acme"
environment = "production"
[[workspace]]
id = "other"
environment = "production"

[[api]]
id = "shop"
dialect = "voucherify"
schemes = ["api_key", "publishable"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/v1/*"
[[api.route]]
path = "/client/v1/*"
client_side = true
[[api.route]]
path = "/open/*"
public = true

[[api]]
id = "plain"
dialect = "standard"
names = ["voucherify"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/plain/*"

[[policy]]
workspace = "acme"
api = "shop"
limits = { {limits} }

[[policy]]
workspace = "acme"
api = "plain"
limits = { {limits} }
"#;

/// A gateway with a limit, its upstream, and a caller.
struct Shop {
    site: Site,
    server: Actor,
}

impl Deref for Shop {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Shop {
    fn with(limits: &str, change: impl FnOnce(Setup) -> Setup) -> Shop {
        let mut site = Site::prepare(POLICY, &[("limits", limits)], change);
        let server = site.gateway.actor("acme", "server", &[]);
        site.gateway.start();
        Shop { site, server }
    }

    /// The policy with other limits.
    fn limited(&self, limits: &str) -> String {
        self.policy(&[("limits", limits)])
    }

    fn new(limits: &str) -> Shop {
        Shop::with(limits, |setup| setup)
    }

    fn ask(&self, path: &str) -> Answer {
        self.gateway.ask(self.server.get(path))
    }
}

/// How many of so many are let through; the others are refused as they should be.
fn through(ask: impl Fn() -> Answer, count: usize) -> usize {
    let ok = |answer: &Answer| {
        if answer.status != 200 {
            answer.expect(429, "rate_limited");
        }
        answer.status == 200
    };
    (0..count).filter(|_| ok(&ask())).count()
}

fn field(answer: &Answer, name: &str) -> String {
    answer.get(name).unwrap_or_else(|| panic!("no {name}: {answer:?}")).to_owned()
}

#[test]
fn a_burst_comes_through_and_what_is_beyond_is_refused_until_it_fits() {
    let shop = Shop::new("credential = { requests = 3600, per_s = 3600, burst = 5 }");
    let first = shop.ask("/v1/x");
    first.expect_ok();
    assert_eq!(field(&first, "ratelimit-policy"), "\"credential\";q=3600;w=3600");
    assert_eq!(field(&first, "ratelimit"), "\"credential\";r=4;t=1");
    assert_eq!(
        (field(&first, "x-rate-limit-limit"), field(&first, "x-rate-limit-remaining")),
        ("3600".into(), "4".into())
    );
    assert!((4..=5).contains(&through(|| shop.ask("/v1/x"), 7)), "one more if the seconds went by");
    let refused = wait_for("no room", || Some(shop.ask("/v1/x")).filter(|a| a.status == 429));
    refused.expect(429, "rate_limited");
    assert_eq!(field(&refused, "retry-after"), "1");
    assert!(field(&refused, "ratelimit").starts_with("\"credential\";r=0;t="));
    assert_eq!(refused.json()["message"], "API limit reached");
    let again: i64 = field(&refused, "x-rate-limit-retry").parse().expect("seconds");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    assert!((0..=2).contains(&(again - now as i64)), "{again} {now}");
    eventually("a second later there is room", || shop.ask("/v1/x").status == 200);
    // Nothing of what is refused reaches anybody, and everybody knows why.
    let event = shop.gateway.event(refused.id());
    assert_eq!((&event["code"], &event["rule"]), (&"rate_limited".into(), &"limits".into()));
    assert_eq!((&event["policy"], &event["detail"]), (&"acme/shop".into(), &"limit-of-credential".into()));
    let served = shop.upstream.seen("/v1/x").len() as f64;
    assert_eq!(metric(&shop.gateway, "doorward_limits_spent_total{outcome=\"room\"}"), served);
    assert!(metric(&shop.gateway, "doorward_limits_spent_total{outcome=\"no_room\"}") >= 1.0);
    // Another credential has its own, another API its own way of saying so.
    let other = shop.gateway.actor("acme", "server", &[]);
    eventually("it is known", || shop.gateway.ask(other.get("/v1/x")).status == 200);
    assert!(shop.ask("/plain/x").get("x-rate-limit-limit").is_none());
    let refused = wait_for("no room", || Some(shop.ask("/plain/x")).filter(|a| a.status == 429));
    assert_eq!(
        (refused.json()["code"].clone(), field(&refused, "retry-after")),
        ("rate_limited".into(), "1".into())
    );
    assert!(
        refused.json()["detail"].as_str().is_some_and(|d| d.contains("3600 requests in 3600 s")),
        "{refused:?}"
    );
}

#[test]
fn all_of_a_workspace_share_its_limit_and_what_one_limit_refuses_takes_nothing_of_another() {
    let shop = Shop::new(
        "workspace = { requests = 8, per_s = 86400 }, credential = { requests = 5, per_s = 86400 }",
    );
    let (second, foreign) =
        (shop.gateway.actor("acme", "server", &[]), shop.gateway.actor("other", "server", &[]));
    eventually("others are known", || {
        [&second, &foreign].iter().all(|a| shop.gateway.ask(a.get("/none")).status == 404)
            && shop.gateway.ask(foreign.get("/v1/f")).status == 200
    });
    assert_eq!(through(|| shop.ask("/v1/x"), 20), 5);
    let told = shop.ask("/v1/x");
    assert_eq!(field(&told, "ratelimit").split(';').nth(1), Some("r=3"), "the workspace's: {told:?}");
    assert_eq!(through(|| shop.gateway.ask(second.get("/v1/x")), 20), 3);
    let event = shop.gateway.event(shop.gateway.ask(second.get("/v1/x")).id());
    assert_eq!(event["detail"], "limit-of-workspace");
    // Where nobody has set a limit, none is told.
    let answer = shop.gateway.ask(foreign.get("/v1/x"));
    answer.expect_ok();
    assert!(answer.get("ratelimit").is_none() && answer.get("ratelimit-policy").is_none());
    // What is refused for another reason spends nothing, and wrong secrets are told nothing.
    let wrong = shop.gateway.ask(second.with_secret("wrong").get("/v1/x"));
    wrong.expect(401, "credential_invalid");
    assert!(wrong.get("ratelimit").is_none());
}

#[test]
fn client_side_each_address_has_its_own_limit_and_who_has_no_credential_too() {
    let shop = Shop::new("client = { requests = 3, per_s = 86400 }");
    let page = shop.gateway.actor("acme", "client", &["--origin", "https://shop.example"]);
    let from = |address: &str, request: &str| {
        Conn::from_address(address, shop.gateway.address("plain")).expect_serves(request)
    };
    let get = page.get("/client/v1/x");
    eventually("it is known", || from("127.0.0.9", &get).status == 200);
    let readable = from("127.0.0.9", &get);
    assert!(field(&readable, "access-control-expose-headers").contains("RateLimit"), "{readable:?}");
    for address in ["127.0.0.2", "127.0.0.3"] {
        assert_eq!(through(|| from(address, &get), 6), 3, "{address}");
    }
    let anonymous = format!("GET /open/x HTTP/1.1\r\nHost: {}\r\n\r\n", crate::support::HOST);
    assert_eq!(through(|| from("127.0.0.2", &anonymous), 6), 3);
    assert_eq!(through(|| from("127.0.0.4", &anonymous), 6), 3);
    assert_eq!(
        through(|| from("127.0.0.2", &shop.server.get("/v1/x")), 6),
        6,
        "a server's addresses have none"
    );
}

/// A rule that is observed refuses nobody, is told to nobody, and counts what it would have refused.
#[test]
fn an_observed_limit_refuses_nobody() {
    let shop = Shop::new("mode = \"observe\", credential = { requests = 2, per_s = 86400 }");
    let answers: Vec<Answer> = (0..6).map(|_| shop.ask("/v1/x")).collect();
    for (number, answer) in answers.iter().enumerate() {
        answer.expect_ok();
        assert!(answer.get("ratelimit").is_none() && answer.get("x-rate-limit-limit").is_none());
        let event = shop.gateway.event(answer.id());
        let seen = event["would_refuse"].as_array().is_some_and(|rules| rules.contains(&"limits".into()));
        assert_eq!(seen, number >= 2, "{number}: {event}");
    }
    assert_eq!(metric(&shop.gateway, "doorward_would_refuse_total{rule=\"limits\"}"), 4.0);
    // Enforced from now on, it refuses at once: what was spent is spent.
    let enforced = shop.limited("credential = { requests = 2, per_s = 86400 }");
    shop.gateway.apply(&enforced).ok();
    eventually("it is obeyed", || shop.ask("/v1/x").status == 429);
    let off = shop.limited("mode = \"off\", credential = { requests = 2, per_s = 86400 }");
    shop.gateway.apply(&off).ok();
    eventually("it is off", || shop.ask("/v1/x").status == 200);
    assert_eq!(through(|| shop.ask("/v1/x"), 5), 5);
}

/// Callers without a credential count, too: the report of readiness tells of them in one line.
#[test]
fn what_is_observed_of_callers_without_a_credential_is_reported() {
    let shop = Shop::new("mode = \"observe\", client = { requests = 2, per_s = 86400 }");
    let report = || {
        let words = ["report", "readiness", "--rule", "limits", "--api", "shop", "--json"];
        rows(&shop.gateway.command(&words).ok().stdout).remove(0)
    };
    assert_eq!(report()["ready"], true);
    let anonymous = format!("GET /open/x?secret=1 HTTP/1.1\r\nHost: {}\r\n\r\n", crate::support::HOST);
    for _ in 0..6 {
        shop.gateway.ask(&anonymous).expect_ok();
    }
    let seen = wait_for("four of them in the report", || {
        let report = report();
        let one = report["credentials"].as_array()?.first()?.clone();
        (one["calls"] == 4).then_some((report, one))
    });
    let (report, one) = seen;
    assert_eq!((&one["credential"], &one["kind"]), (&"anonymous".into(), &"anonymous".into()), "{one}");
    assert_eq!((&report["ready"], &report["would_be_refused"]), (&false.into(), &1.into()), "{report}");
    let sample = &one["samples"][0];
    assert_eq!((&sample["path"], &sample["client"]), (&"/open/x".into(), &"127.0.0.1".into()), "{one}");
    let text = shop.gateway.command(&["report", "readiness", "--rule", "limits"]).ok().stdout;
    assert_eq!(text.lines().last(), Some("callers without a credential would be refused"), "{text}");
    assert_eq!(metric(&shop.gateway, "doorward_would_refuse_total{rule=\"limits\"}"), 4.0);
    assert_eq!(metric(&shop.gateway, "doorward_failopen_total"), 0.0);
}

/// A credential's own limit is in the place of what the policy says about credentials, at all APIs together.
#[test]
fn a_credential_may_have_a_limit_of_its_own() {
    let shop = Shop::new("credential = { requests = 9, per_s = 86400 }");
    let limit = |words: &[&str]| shop.gateway.command(&[&["credential", "limit"], words].concat());
    let set = limit(&["set", &shop.server.id, "4/86400"]).ok().stdout;
    assert!(set.contains("limit      4/86400/4\n"), "{set}");
    let wrong = limit(&["set", &shop.server.id, "4"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("requests/seconds"), "{wrong:?}");
    eventually("it is obeyed", || field(&shop.ask("/v1/x"), "ratelimit-policy").contains("q=4;"));
    wait_for("no room", || (shop.ask("/v1/x").status == 429).then_some(()));
    let refused = shop.ask("/plain/x");
    refused.expect(429, "rate_limited");
    let event = shop.gateway.event(refused.id());
    assert_eq!((&event["policy"], &event["rule"]), (&"credential".into(), &"limits".into()));
    // It has no mode: what policies observe or switch off are their own limits.
    for mode in ["observe", "off"] {
        let text = shop.limited(&format!("mode = \"{mode}\", workspace = {{ requests = 1, per_s = 86400 }}"));
        shop.gateway.apply(&text).ok();
        eventually("it is obeyed", || {
            let refused = shop.ask("/v1/x");
            refused.expect(429, "rate_limited");
            field(&refused, "ratelimit-policy") == "\"credential\";q=4;w=86400"
        });
    }
    // The module stays on while somebody needs it.
    let off = shop.limited("mode = \"off\", workspace = { requests = 1, per_s = 1 }").replacen(
        "id = \"acme\"\n",
        "id = \"acme\"\nmodules = [\"network\"]\n",
        1,
    );
    let run = shop.gateway.apply(&off);
    assert!(run.code == 1 && run.stderr.contains("the module `limits` can't be off"), "{run:?}");
    assert!(!limit(&["clear", &shop.server.id]).ok().stdout.contains("limit "));
    eventually("it is gone", || shop.ask("/v1/x").status == 200);
    shop.gateway.apply(&off).ok();
    let run = limit(&["set", &shop.server.id, "4/86400"]);
    assert!(run.code == 1 && run.stderr.contains("module `limits` of workspace `acme` is off"), "{run:?}");
}

#[test]
fn what_is_no_limit_is_told_and_nothing_is_written() {
    let shop = Shop::new("credential = { requests = 1000, per_s = 1 }");
    for (limits, why) in [
        ("credential = { requests = 0, per_s = 60 }", "from 1 to 1000000"),
        ("credential = { requests = -1, per_s = 60 }", "from 1 to 1000000"),
        ("credential = { requests = 1, per_s = 0 }", "from 1 to 2678400"),
        ("credential = { requests = 1, per_s = 1, burst = 0 }", "from 1 to 1000000"),
        ("credential = { requests = 1.5, per_s = 60 }", "requests"),
        ("credential = { requests = 1 }", "`per_s` is missing"),
        ("credential = { requests = 1, per_m = 1 }", "per_m"),
        ("", "limits nothing"),
    ] {
        let run = shop.gateway.apply(&shop.limited(limits));
        assert!(
            run.code == 1 && run.stderr.contains(why) && run.stderr.contains("line "),
            "{limits}: {run:?}"
        );
    }
    shop.ask("/v1/x").expect_ok();
    // Whoever has switched the module off can't enforce a limit.
    let without = shop.limited("credential = { requests = 1, per_s = 1 }").replacen(
        "environment = \"production\"",
        "environment = \"production\"\nmodules = [\"network\"]",
        1,
    );
    let run = shop.gateway.apply(&without);
    assert!(run.code == 1 && run.stderr.contains("module `limits` is off"), "{run:?}");
}

/// What the upstream says of limits is not told beside what is true here.
#[test]
fn an_upstreams_own_fields_do_not_stand_beside_ours() {
    let shop = Shop::new("credential = { requests = 1000, per_s = 86400 }");
    let said = "HTTP/1.1 200 OK\r\nRateLimit: \"x\";r=1;t=1\r\nX-Rate-Limit-Limit: 7\r\nX-Own: 1\r\nContent-Length: 0\r\n\r\n";
    shop.upstream.on("said", crate::support::Do::answer(said));
    let answer = shop.ask("/v1/said");
    assert_eq!(
        (answer.head.all("ratelimit").len(), answer.head.all("x-rate-limit-limit")),
        (1, vec!["1000"])
    );
    assert_eq!(answer.get("x-own"), Some("1"));
    let foreign = shop.gateway.actor("other", "server", &[]);
    let answer = wait_for("it is known", || {
        Some(shop.gateway.ask(foreign.get("/v1/said"))).filter(|a| a.status == 200)
    });
    assert_eq!(
        answer.get("x-rate-limit-limit"),
        Some("7"),
        "without a limit here, it is the upstream's to tell"
    );
}

fn on(setup: Setup, redis: &Redis) -> Setup {
    setup.unset("ledger", "journal").set("ledger", "url", format!("{:?}", redis.url()))
}

/// R: two nodes on one server let no more through than one would; while it is away each has its half, and says so.
#[test]
fn two_nodes_on_one_redis_share_a_limit_and_halve_it_while_that_is_away() {
    let test = "two_nodes_on_one_redis_share_a_limit_and_halve_it_while_that_is_away";
    let Some(mut redis) = Redis::start(test) else { return };
    let limits =
        "credential = { requests = 40, per_s = 86400 }, workspace = { requests = 1000, per_s = 86400 }";
    let shop = Shop::with(limits, |setup| on(setup, &redis));
    let mut second = on(Setup::beside(&shop.gateway), &redis).prepare_unchecked();
    second.start();
    let nodes = [&shop.gateway, &second];
    let all = |name: &str, value: f64| {
        eventually(name, || nodes.iter().all(|node| metric(node, name) == value));
    };
    all("doorward_limits_up", 1.0);
    all("doorward_limits_sharers", 2.0);
    let passed: usize = std::thread::scope(|scope| {
        let asking = |n: usize| {
            let (shop, node) = (&shop, nodes[n % 2]);
            scope.spawn(move || through(|| node.ask(shop.server.get("/v1/x")), 25))
        };
        let threads: Vec<_> = (0..4).map(asking).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(passed, 40);
    assert!(nodes.iter().all(|node| metric(node, "doorward_limits_degraded_total") == 0.0));
    redis.kill();
    for node in nodes {
        // Never more than its share, from the first moment on; and no request waits long or fails.
        assert_eq!(through(|| node.ask(shop.server.get("/v1/x")), 60), 20);
        assert_eq!(metric(node, "doorward_limits_degraded_total"), 60.0);
        let told = node.log().matches("so this one counts its share").count();
        assert_eq!(told, 1, "{}", node.log());
    }
    all("doorward_limits_up", 0.0);
    all("doorward_failopen_total", 0.0);
    let said = shop.gateway.command(&["check"]).ok().stdout;
    assert!(said.contains("warning: the Redis server") && said.contains("does not answer"), "{said}");
    redis.start_again();
    all("doorward_limits_up", 1.0);
    assert_eq!(through(|| second.ask(shop.server.get("/v1/x")), 60), 40, "the server began anew");
    assert_eq!(through(|| shop.ask("/v1/x"), 10), 0);
    shop.gateway.expect_no_panic();
    second.expect_no_panic();
}
