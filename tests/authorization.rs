//! For what callers are let in: scopes, roles, licences, modules, and rules that are watched before they refuse.
use crate::support::{
    Actor, Answer, Conn, Gateway, Setup, Signer, Upstream, doorward_fed, eventually, now, rows, wait_for,
};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// `acme` has everything switched on; `try` is its sandbox.
const POLICY: &str = r#"
[[workspace]]
id = "acme"
environment = "production"
{workspace}
[[workspace.role]]
name = "auditor"
scopes = ["vouchers:read", "campaigns:*"]
[[workspace]]
id = "try"
environment = "sandbox"

[[api]]
id = "v1"
dialect = "voucherify"
names = ["voucherify", "antavo"]
schemes = ["api_key", "publishable", "escher"]
upstream = { production = "http://{upstream}", sandbox = "http://{upstream}" }
[[api.route]]
path = "/v1/free"
[[api.route]]
path = "/v1/vouchers/*"
methods = ["GET"]
scope = "vouchers:read"
[[api.route]]
path = "/v1/vouchers/*"
methods = ["POST"]
scope = "vouchers:write"
[[api.route]]
path = "/v1/premium/*"
licences = ["premium"]
[[api.route]]
path = "/v1/keys"
scope = "admin:keys"
[[api.route]]
path = "/client/v1/*"
client_side = true
{more}
"#;

/// A gateway, where it forwards to, and its policy without what a test adds.
struct House {
    gateway: Gateway,
    upstream: Upstream,
}

impl House {
    fn new(workspace: &str, more: &str) -> House {
        let upstream = Upstream::start();
        let mut gateway = Setup::new().policy(written(&upstream, workspace, more)).prepare();
        gateway.start();
        House { gateway, upstream }
    }

    fn apply(&self, workspace: &str, more: &str) -> String {
        self.gateway.apply(&written(&self.upstream, workspace, more)).ok().stdout
    }

    /// What a command says about a policy that it does not take.
    fn refused(&self, workspace: &str, more: &str) -> String {
        let run = self.gateway.apply(&written(&self.upstream, workspace, more));
        assert_eq!(run.code, 1, "{run:?}");
        run.said()
    }

    fn server(&self, more: &[&str]) -> Actor {
        self.gateway.actor("acme", "server", more)
    }

    /// Asks as soon as the node knows who it is.
    fn get(&self, who: &Actor, path: &str) -> Answer {
        let known = || self.gateway.ask(who.get(path)).code() != "credential_invalid";
        eventually("the credential to be known", known);
        self.gateway.ask(who.get(path))
    }

    fn event(&self, answer: &Answer) -> Value {
        self.gateway.event(answer.id())
    }

    /// The report's lines about one rule.
    fn report(&self, rule: &str) -> Vec<Value> {
        let words = ["report", "readiness", "--workspace", "acme", "--rule", rule, "--json"];
        rows(&self.gateway.command(&words).ok().stdout)
    }

    /// What is reported of somebody, once so many calls are.
    fn reported(&self, rule: &str, who: &Actor, calls: u64) -> Value {
        wait_for(&format!("{calls} calls in the report"), || {
            let report = self.report(rule);
            let all = report.first()?["credentials"].as_array()?.clone();
            all.into_iter().find(|c| c["credential"] == who.id.as_str() && c["calls"] == calls)
        })
    }
}

fn written(upstream: &Upstream, workspace: &str, more: &str) -> String {
    let policy = POLICY.replace("{upstream}", &upstream.address.to_string());
    policy.replace("{workspace}", workspace).replace("{more}", more)
}

/// A `[[policy]]` of `acme` at `v1`.
fn row(lines: &str) -> String {
    format!("[[policy]]\nworkspace = \"acme\"\napi = \"v1\"\n{lines}\n")
}

#[test]
fn a_route_asks_every_scheme_for_its_scope() {
    let house = House::new("", "");
    let may = |who: &Actor, path: &str| house.get(who, path).status == 200;
    let bare = house.server(&[]);
    house.get(&bare, "/v1/free").expect_ok();
    let denied = house.get(&bare, "/v1/vouchers/7");
    denied.expect(403, "scope_missing");
    assert!(denied.text().contains("vouchers:read"), "it names the scope: {}", denied.text());
    let event = house.event(&denied);
    assert_eq!((&event["rule"], &event["policy"]), (&"scope".into(), &"acme/v1".into()), "{event}");
    assert!(event["would_refuse"].is_null(), "{event}");

    for (scope, read, keys) in [
        ("vouchers:read", true, false),
        ("vouchers:*", true, false),
        ("*:read", true, false),
        ("*", true, false),
        ("orders:*", false, false),
        ("admin:keys", false, true),
        ("admin:*", false, true),
    ] {
        let who = house.server(&["--scope", scope]);
        assert_eq!((may(&who, "/v1/vouchers/7"), may(&who, "/v1/keys")), (read, keys), "{scope}");
    }
    // Signed requests as well.
    let antavo = ["--dialect", "antavo"];
    let signer = house.server(&antavo);
    let signed = |who: &Actor| house.gateway.ask(Signer::of(who).get("/v1/vouchers/7"));
    eventually("the signer to be known", || signed(&signer).code() != "signature_invalid");
    signed(&signer).expect(403, "scope_missing");
    let reader = house.server(&[&antavo[..], &["--scope", "vouchers:read"]].concat());
    eventually("the reader to be let in", || signed(&reader).status == 200);
}

#[test]
fn a_role_gives_its_scopes_and_takes_them_away() {
    let house = House::new("", "");
    let who = house.server(&[]);
    let code = |path: &str| house.gateway.ask(who.get(path)).code().to_owned();
    house.get(&who, "/v1/vouchers/7").expect(403, "scope_missing");
    let role =
        |words: &[&str]| house.gateway.command(&[&["credential", "role", &who.id, "--json"], words].concat());
    let given = rows(&role(&["viewer"]).ok().stdout).remove(0);
    assert_eq!(given["role"], "viewer");
    eventually("the role to be obeyed", || code("/v1/vouchers/7").is_empty());
    // The upstream is told what the caller may do.
    house.gateway.ask(who.get("/v1/vouchers/scopes")).expect_ok();
    let seen = house.upstream.seen("/v1/vouchers/scopes");
    assert_eq!(seen.last().and_then(|r| r.get("doorward-scopes")), Some("*:read"));
    let post = || house.gateway.ask(who.post("/v1/vouchers/7", b"{}"));
    post().expect(403, "scope_missing");
    role(&["user"]).ok();
    eventually("the other role to be obeyed", || post().status == 200);
    role(&["auditor"]).ok();
    eventually("its own role to be obeyed", || post().code() == "scope_missing");
    house.get(&who, "/v1/vouchers/7").expect_ok();
    // A role that is gone opens nothing, and its name can't be given.
    let without = written(&house.upstream, "", "").replace("name = \"auditor\"", "name = \"other\"");
    house.gateway.apply(&without).ok();
    eventually("the role to be gone", || code("/v1/vouchers/7") == "scope_missing");
    let run = role(&["auditor"]);
    let said = "the workspace `acme` has no role `auditor`; it has admin, merchant, other, user, viewer";
    assert!(run.code == 1 && run.said().contains(said), "{run:?}");
    role(&["admin"]).ok();
    eventually("the admin to be let in", || code("/v1/vouchers/7").is_empty());
    house.get(&who, "/v1/keys").expect(403, "scope_missing");
    let cleared = rows(&role(&["--clear"]).ok().stdout).remove(0);
    assert!(cleared.get("role").is_none(), "{cleared}");
    eventually("the role to be taken", || code("/v1/vouchers/7") == "scope_missing");
    assert_eq!(house.gateway.command(&["credential", "role", &who.id]).code, 2);
    let bad = house.gateway.command(&[
        "credential",
        "create",
        "--workspace",
        "acme",
        "--kind",
        "server",
        "--role",
        "boss",
    ]);
    assert!(bad.code == 1 && bad.said().contains("no role `boss`"), "{bad:?}");
    house.gateway.command(&["check"]).ok();
}

/// The end of a licence is an instant, and nothing has to happen for it.
#[test]
fn a_licence_ends_while_the_node_runs() {
    let house = House::new("", "");
    let who = house.server(&[]);
    let denied = house.get(&who, "/v1/premium/x");
    denied.expect(403, "licence_required");
    assert!(denied.text().contains("`premium`"), "it names the licence: {}", denied.text());
    let event = house.event(&denied);
    assert_eq!(
        (&event["rule"], &event["policy"], &event["detail"]),
        (&"licence".into(), &"acme/v1".into(), &"licence-missing".into())
    );
    let licence = |workspace: &str, until: &str, user: &str| {
        format!("[[licence]]\nname = \"premium\"\nworkspace = \"{workspace}\"\nuntil = \"{until}\"\n{user}\n")
    };
    // Another workspace's, and another user's.
    house.apply("", &licence("try", "2999-01-01", ""));
    house.apply(
        "",
        &format!("{}{}", licence("try", "2999-01-01", ""), licence("acme", "2999-01-01", "user = \"ann\"")),
    );
    eventually("the change to be obeyed", || {
        let answer = house.gateway.ask(who.get("/v1/premium/x"));
        house.event(&answer)["detail"] == "licence-not-in-force"
    });
    let until = now().plus_ms(4_000);
    house.apply("", &licence("acme", &until.to_string(), ""));
    eventually("the licence to be obeyed", || house.gateway.ask(who.get("/v1/premium/x")).status == 200);
    // It ends soon: the metric and the log say so before it does.
    let metric = format!(
        "doorward_licence_until_seconds{{workspace=\"acme\",licence=\"premium\",user=\"\"}} {}",
        until.0 / 1000
    );
    let metrics = house.gateway.operations("/metrics").text();
    assert!(metrics.lines().any(|line| line == metric), "{metric} is missing in {metrics}");
    eventually("the licence to end", || {
        house.gateway.ask(who.get("/v1/premium/x")).code() == "licence_required"
    });
    assert!(now() >= until, "it was good to its end");
    eventually("the log to say so", || house.gateway.log().contains("a licence has ended"));
    // Written anew, it would be no use; left as it is, it stays.
    let over = licence("acme", &until.to_string(), "");
    let said = house.apply("", &over);
    assert!(said.contains("unchanged") && !said.contains("licence"), "{said}");
    let said = house.refused("", &licence("acme", "2020-01-01", ""));
    assert!(said.contains("licence `acme/premium`: `until` is 2020-01-01, which is over"), "{said}");
    house.gateway.command(&["check"]).ok();
}

#[test]
fn a_module_that_is_off_refuses_its_scheme_and_hides_its_rules() {
    let house = House::new("", "");
    let page = house.gateway.actor("acme", "client", &["--origin", "https://shop.example"]);
    let signer = house.server(&["--dialect", "antavo"]);
    house.get(&page, "/client/v1/x").expect_ok();
    let signed = || house.gateway.ask(Signer::of(&signer).get("/v1/free"));
    eventually("the signer to be let in", || signed().status == 200);
    let hidden = row("network = { mode = \"observe\", allow = [] }\nlicences = \"off\"\ncaptcha = \"off\"");
    house.apply("modules = []", &hidden);
    eventually("the module to be off", || {
        house.gateway.ask(page.get("/client/v1/x")).code() == "scheme_not_accepted"
    });
    signed().expect(401, "scheme_not_accepted");
    let event = house.event(&signed());
    assert_eq!((&event["rule"], &event["detail"]), (&"module".into(), &"module-off".into()), "{event}");
    // The rule is not looked at, and counts nothing.
    let key = house.server(&[]);
    let answer = house.get(&key, "/v1/premium/x");
    answer.expect_ok();
    assert!(house.event(&answer)["would_refuse"].is_null());
    assert!(house.report("network").is_empty());
    // What is enforced keeps its module on.
    let said = house.refused("modules = []", "");
    assert!(
        said.contains("api `v1`, /v1/premium/*: `licences` is enforced for workspace `acme`, whose module `licences` is off"),
        "{said}"
    );
    let said = house.refused("modules = [\"licences\"]", &row("network = { allow = [] }"));
    assert!(said.contains("policy of `acme` at `v1`: `network` is enforced"), "{said}");
    let said = house.refused("modules = [\"licence\"]", "");
    assert!(
        said.contains("`licence` is none of network, signatures, client_side, captcha, licences, limits"),
        "{said}"
    );
}

/// What breaks if this is enforced now? Several rules, several callers, one answer.
#[test]
fn rules_are_watched_before_they_refuse() {
    let mut house = House::new(
        "",
        &row(
            "scopes = \"observe\"\nlicences = \"observe\"\nnetwork = { mode = \"observe\", allow = [\"127.0.0.2\"] }",
        ),
    );
    let (bare, reader) = (house.server(&["--name", "the till"]), house.server(&["--scope", "vouchers:read"]));
    house.get(&bare, "/v1/free").expect_ok();
    house.get(&reader, "/v1/free").expect_ok();
    for rule in ["scope", "licence"] {
        let report = house.report(rule);
        assert_eq!(
            (report.len(), &report[0]["ready"], &report[0]["mode"]),
            (1, &true.into(), &"observe".into())
        );
    }
    let answer = house.gateway.ask(bare.get("/v1/vouchers/7?secret=hidden"));
    answer.expect_ok();
    let event = house.event(&answer);
    assert_eq!(event["would_refuse"], json!(["network", "scope"]), "{event}");
    assert!(event["rule"].is_null() && event["policy"].is_null() && event["code"].is_null(), "{event}");
    for n in 0..7 {
        house.gateway.ask(bare.get(&format!("/v1/vouchers/{n}"))).expect_ok();
    }
    house.gateway.ask(bare.get("/v1/premium/x")).expect_ok();
    // From the listed address nothing is wrong with its network.
    let mut near = Conn::from_address("127.0.0.2", house.gateway.address("plain"));
    let answer = near.send(reader.get("/v1/vouchers/8")).answer();
    answer.expect_ok();
    assert!(house.event(&answer)["would_refuse"].is_null());
    // What is refused anyway counts for nothing.
    house.gateway.ask(bare.with_secret("wrong").get("/v1/vouchers/9")).expect(401, "credential_invalid");

    let seen = house.reported("scope", &bare, 8);
    assert_eq!((&seen["name"], &seen["refused_anyway"]), (&"the till".into(), &false.into()), "{seen}");
    assert!(seen["first_at"].as_str() < seen["last_at"].as_str(), "{seen}");
    let samples = seen["samples"].as_array().expect("samples");
    assert!((1..=5).contains(&samples.len()), "{seen}");
    for sample in samples {
        let path = sample["path"].as_str().unwrap_or_default();
        assert!(path.starts_with("/v1/vouchers/") && !path.contains("hidden"), "{sample}");
        assert_eq!((&sample["method"], &sample["client"]), (&"GET".into(), &"127.0.0.1".into()));
    }
    house.reported("licence", &bare, 1);
    let report = house.report("scope").remove(0);
    assert_eq!((&report["ready"], &report["would_be_refused"]), (&false.into(), &1.into()), "{report}");
    let metrics = house.gateway.operations("/metrics").text();
    assert!(metrics.contains("doorward_would_refuse_total{rule=\"scope\"} 8\n"), "{metrics}");
    // It outlives the process.
    house.gateway.restart();
    house.gateway.ask(bare.get("/v1/vouchers/7")).expect_ok();
    house.reported("scope", &bare, 9);
    let text = house.gateway.command(&["report", "readiness", "--rule", "scope"]).ok().stdout;
    assert!(text.lines().any(|l| l.starts_with("acme at v1: scope observed since 2")), "{text}");
    assert!(
        text.contains(&format!("  {}: 2", bare.id)) && text.contains("GET /v1/vouchers/7 from 127.0.0.1"),
        "{text}"
    );
    assert_eq!(text.lines().last(), Some("1 credential would be refused"));
    // Who would break does; who would not does not.
    let said = house.apply("", "");
    assert!(said.contains("* policy acme/v1: scopes observe -> enforce\n"), "{said}");
    assert!(said.contains("! policy acme/v1: network observe -> off, loosened\n"), "{said}");
    eventually("enforcement", || house.gateway.ask(bare.get("/v1/vouchers/7")).code() == "scope_missing");
    house.gateway.ask(reader.get("/v1/vouchers/7")).expect_ok();
    assert!(house.report("scope").is_empty(), "it is enforced, and nothing is counted");
    house.gateway.command(&["check"]).ok();
}

#[test]
fn a_policy_is_taken_once_and_given_back_the_same() {
    let all = format!(
        "{}{}",
        row("signatures = \"observe\"\nscopes = \"observe\"\ncaptcha = \"off\"\nlicences = \"enforce\"\n\
             network = { mode = \"observe\", allow = [\"192.168.0.3/24\", \"2001:db8::/32\"] }\n\
             limits = { mode = \"off\", workspace = { requests = 600, per_s = 60, burst = 100 }, client = { requests = 20, per_s = 60 } }"),
        "[[licence]]\nname = \"premium\"\nworkspace = \"acme\"\nuser = \"ann\"\nfrom = \"2026-01-01\"\nuntil = \"2999-01-01\"\nwarn_days = 7\n"
    );
    let modules =
        "modules = [\"network\", \"signatures\", \"client_side\", \"licences\", \"limits\", \"captcha\"]";
    let house = House::new(modules, &all);
    let plan = |policy: &str, dry: bool| {
        let file = house.gateway.folder.write("again.toml", policy);
        let dry: &[&str] = if dry { &["--dry-run"] } else { &[] };
        rows(&house.gateway.command(&[&["apply", "--json", "-f", &file], dry].concat()).ok().stdout).remove(0)
    };
    let empty = |plan: &Value| {
        ["added", "changed", "removed", "modes"]
            .iter()
            .all(|list| plan[list].as_array().is_some_and(Vec::is_empty))
    };
    let again = plan(&written(&house.upstream, modules, &all), false);
    assert!(empty(&again), "{again}");
    let exported = house.gateway.command(&["export"]).ok().stdout;
    let run = doorward_fed(
        &["apply", "--dry-run", "--json", "-f", "-", "--config", &house.gateway.config],
        exported.as_bytes(),
    );
    let back = rows(&run.ok().stdout).remove(0);
    assert!(empty(&back), "{back}");
    assert_eq!(back["unchanged"].as_array().map(Vec::len), Some(2 + 1 + 1 + 1), "{back}");
    // A plan tells what it would do, and does nothing.
    let other = written(&house.upstream, "", &all.replace("user = \"ann\"\n", ""));
    let dry = plan(&other, true);
    let named = |list: &str| {
        dry[list].as_array().expect("a list").iter().map(|o| o["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(named("added"), ["acme/premium"]);
    assert_eq!(
        (named("changed"), named("removed")),
        (vec!["acme".into()], vec![Value::from("acme/premium/ann")])
    );
    assert_eq!(house.gateway.command(&["export"]).ok().stdout, exported);
    plan(&other, false);
    assert!(empty(&plan(&other, false)));
    house.gateway.command(&["check"]).ok();
}

#[test]
fn the_checks_are_walked_for_whoever_asks() {
    let house = House::new("", &row("licences = \"observe\"\nnetwork = { allow = [\"192.0.2.0/24\"] }"));
    let who = house.server(&["--role", "viewer"]);
    let walk = |request: &str, more: &[&str]| {
        let words = [&["explain", "--checks", "--config", &house.gateway.config], more].concat();
        doorward_fed(&words, request.as_bytes())
    };
    let json = |request: &str, more: &[&str]| {
        rows(&walk(request, &[more, &["--json"]].concat()).ok().stdout).remove(0)
    };
    let found = |told: &Value, check: &str| {
        let all = told["checks"].as_array().expect("checks").clone();
        let of: Vec<_> = all.iter().filter(|c| c["check"] == check).map(|c| c["found"].clone()).collect();
        of.iter().map(|f| f.as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let near = json(&who.get("/v1/vouchers/7"), &["--client", "192.0.2.9"]);
    assert_eq!(
        (&near["api"], &near["route"], &near["scheme"]),
        (&"v1".into(), &"/v1/vouchers/*".into(), &"api_key".into())
    );
    let names: Vec<_> =
        near["checks"].as_array().expect("checks").iter().map(|c| c["check"].clone()).collect();
    assert_eq!(
        names,
        [
            "scheme",
            "signatures",
            "status",
            "expiry",
            "dialect",
            "region",
            "served",
            "module",
            "network",
            "network",
            "origin",
            "scope",
            "licence"
        ]
    );
    assert_eq!(found(&near, "signatures"), ["off"]);
    assert_eq!(
        (found(&near, "network"), found(&near, "scope")),
        (vec!["passes".to_owned(); 2], vec!["passes".to_owned()])
    );
    let far = json(&who.get("/v1/premium/7"), &["--client", "198.51.100.1"]);
    assert_eq!(
        (found(&far, "network")[0].as_str(), found(&far, "licence")[0].as_str()),
        ("refuses", "would_refuse")
    );
    let network =
        far["checks"].as_array().and_then(|all| all.iter().find(|c| c["check"] == "network")).cloned();
    let network = network.expect("a network check");
    assert_eq!((&network["policy"], &network["code"]), (&"acme/v1".into(), &"network_denied".into()));
    // Without the credential in the request, by its id.
    let text =
        walk("GET /v1/keys HTTP/1.1\r\nHost: x\r\n\r\n", &["--credential", &who.id, "--client", "192.0.2.9"])
            .ok()
            .stdout;
    let expected =
        "  scope       refuses scope_missing (scope-missing, of acme/v1): This needs the scope `admin:keys`.";
    assert!(text.lines().any(|l| l == expected), "{text}");
    let nobody = walk("GET /v1/keys HTTP/1.1\r\nHost: x\r\n\r\n", &[]);
    assert!(nobody.code == 1 && nobody.said().contains("--credential"), "{nobody:?}");
    let elsewhere = walk(&who.get("/nowhere"), &[]);
    assert!(elsewhere.code == 1 && elsewhere.said().contains("route_unknown"), "{elsewhere:?}");
}

/// A policy of 10,000 rules over 1,000 APIs and workspaces is swapped under callers who notice nothing.
#[test]
fn a_large_policy_is_swapped_without_a_slow_request() {
    let house = House::new("", "");
    let who = house.server(&["--scope", "vouchers:read"]);
    house.get(&who, "/v1/vouchers/7").expect_ok();
    let mut more = String::new();
    for n in 0..500 {
        let _ = write!(
            more,
            "[[workspace]]\nid = \"w{n}\"\nenvironment = \"production\"\n[[api]]\nid = \"a{n}\"\ndialect = \"standard\"\n\
             upstream = {{ production = \"http://{}\" }}\n[[api.route]]\npath = \"/a{n}/*\"\nscope = \"a{n}:read\"\n",
            house.upstream.address
        );
    }
    for n in 0..10_000 {
        let _ = write!(
            more,
            "[[policy]]\nworkspace = \"w{}\"\napi = \"a{}\"\nscopes = \"observe\"\nnetwork = {{ allow = [\"10.0.0.0/8\"] }}\n",
            n % 500,
            n / 20
        );
    }
    let policy = written(&house.upstream, "", &more);
    let applied = std::thread::scope(|scope| {
        let applying = scope.spawn(|| house.gateway.apply(&policy).ok().stdout);
        while !applying.is_finished() {
            house.gateway.ask(who.get("/v1/vouchers/7")).expect_ok();
        }
        applying.join().expect("it is applied")
    });
    assert_eq!(applied.matches("+ policy ").count(), 10_000);
    eventually("the new policy to be obeyed", || {
        let answer = house.gateway.ask("GET /a7/x HTTP/1.1\r\nHost: x\r\n\r\n");
        house.gateway.ask(who.get("/v1/vouchers/7")).expect_ok();
        answer.code() == "credential_missing"
    });
}
