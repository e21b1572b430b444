//! For what callers are let in: scopes, roles, licences, modules, and rules that are watched before they refuse.
use crate::support::{Actor, Answer, Signer, Site, eventually, now, rows, wait_for};
use serde_json::Value;
use std::ops::{Deref, DerefMut};

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
pub(crate) struct House {
    site: Site,
}

impl Deref for House {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for House {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}

impl House {
    pub(crate) fn new(workspace: &str, more: &str) -> House {
        let mut site = Site::prepare(POLICY, &[("workspace", workspace), ("more", more)], |setup| setup);
        site.gateway.start();
        House { site }
    }

    /// The policy with other parts.
    pub(crate) fn written(&self, workspace: &str, more: &str) -> String {
        self.policy(&[("workspace", workspace), ("more", more)])
    }

    pub(crate) fn apply(&self, workspace: &str, more: &str) -> String {
        self.gateway.apply(&self.written(workspace, more)).ok().stdout
    }

    /// What a command says about a policy that it does not take.
    pub(crate) fn refused(&self, workspace: &str, more: &str) -> String {
        let run = self.gateway.apply(&self.written(workspace, more));
        assert_eq!(run.code, 1, "{run:?}");
        run.said()
    }

    pub(crate) fn server(&self, more: &[&str]) -> Actor {
        self.gateway.actor("acme", "server", more)
    }

    /// Asks as soon as the node knows who it is.
    pub(crate) fn get(&self, who: &Actor, path: &str) -> Answer {
        let known = || self.gateway.ask(who.get(path)).code() != "credential_invalid";
        eventually("the credential to be known", known);
        self.gateway.ask(who.get(path))
    }

    pub(crate) fn event(&self, answer: &Answer) -> Value {
        self.gateway.event(answer.id())
    }

    /// The report's lines about one rule.
    pub(crate) fn report(&self, rule: &str) -> Vec<Value> {
        let words = ["report", "readiness", "--workspace", "acme", "--rule", rule, "--json"];
        rows(&self.gateway.command(&words).ok().stdout)
    }

    /// What is reported of somebody, once so many calls are.
    pub(crate) fn reported(&self, rule: &str, who: &Actor, calls: u64) -> Value {
        wait_for(&format!("{calls} calls in the report"), || {
            let report = self.report(rule);
            let all = report.first()?["credentials"].as_array()?.clone();
            all.into_iter().find(|c| c["credential"] == who.id.as_str() && c["calls"] == calls)
        })
    }
}

/// A `[[policy]]` of `acme` at `v1`.
pub(crate) fn row(lines: &str) -> String {
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
    let without = house.written("", "").replace("name = \"auditor\"", "name = \"other\"");
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
