//! Where requests must be signed: enforced, observed, loosened, and who would be refused.
use crate::refusals::without_marks;
use crate::support::{
    Actor, Gateway, Setup, Signer, Upstream, eventually, never_within, now, rows, tag, wait_for,
};
use crate::writes::store_of;
use doorward_store::{Change, Purpose, Store};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How soon a node obeys a change in the midst of all other tests.
const OBEYED_WHEN_BUSY: Duration = Duration::from_secs(5);
/// Nodes write down what they have seen every few seconds.
const WRITTEN_DOWN: Duration = Duration::from_secs(4);

/// `club` takes ids alone in production and in the sandbox; `till` serves production alone.
const POLICY: &str = r#"
[[workspace]]
id = "acme"
environment = "production"
[[workspace]]
id = "acme-test"
environment = "sandbox"

[[api]]
id = "club"
dialect = "antavo"
schemes = ["escher", "api_key"]
plain_key = ["production", "sandbox"]
upstream = { production = "http://{upstream}", sandbox = "http://{upstream}" }
[[api.signing]]
once_only = "unsafe"
presigned_max_s = 600
[[api.route]]
path = "/club/*"

[[api]]
id = "till"
dialect = "antavo"
schemes = ["escher", "api_key"]
plain_key = ["production"]
workspaces = ["acme"]
upstream = { production = "http://{upstream}" }
[[api.signing]]
once_only = "unsafe"
presigned_max_s = 600
[[api.route]]
path = "/till/*"
"#;

/// A gateway and its callers: `plain` may call by its id alone, and sign as well; `signer` signs only.
struct Club {
    gateway: Gateway,
    upstream: Upstream,
    plain: Actor,
    signer: Actor,
}

impl Club {
    fn new(policies: &[(&str, &str, &str)]) -> Club {
        let upstream = Upstream::start();
        let policy = written(&upstream, policies);
        let mut gateway = Setup::new().policy(policy).prepare();
        let antavo = ["--dialect", "antavo"];
        let plain =
            gateway.actor("acme", "server", &[&antavo[..], &["--plain-key", "--name", "the shop"]].concat());
        let signer = gateway.actor("acme", "server", &antavo);
        gateway.start();
        Club { gateway, upstream, plain, signer }
    }

    /// Applies the policy with these modes, and returns what the command said.
    fn apply(&self, policies: &[(&str, &str, &str)]) -> String {
        self.gateway.apply(&written(&self.upstream, policies)).ok().stdout
    }

    /// Calls by the id alone, each on a connection of its own, so that every core has some.
    fn call(&self, who: &Actor, path: &str, times: usize) {
        for _ in 0..times {
            self.gateway.ask(who.get(path)).expect_ok();
        }
    }

    /// The report's line about one workspace at one API.
    fn report(&self, workspace: &str, api: &str) -> Value {
        let words = ["report", "readiness", "--workspace", workspace, "--api", api, "--json"];
        let mut all = rows(&self.gateway.command(&words).ok().stdout);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// What is reported of somebody.
    fn reported(&self, name: &str) -> Option<Value> {
        let report = self.report("acme", "club");
        let all = report["credentials"].as_array().expect("a list").clone();
        all.into_iter().find(|c| c["name"] == name)
    }

    /// Waits until so many calls of somebody are reported, and sees that there are no more.
    #[track_caller]
    fn expect_calls(&self, name: &str, calls: u64) -> Value {
        let at_least = || self.reported(name).filter(|c| c["calls"].as_u64() >= Some(calls));
        let found = wait_for(&format!("{calls} calls in the report"), at_least);
        assert_eq!(found["calls"], calls, "{found}");
        found
    }

    /// The changes of policies for workspaces, as the store has them.
    fn changes(&self) -> Vec<Change> {
        let (url, key) = store_of(&self.gateway.config);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let all = runtime.block_on(async {
            let store = Store::open(&url, &key, Purpose::Own, now()).await.expect("a store");
            let all = store.changes_after(0, 1_000).await.expect("changes");
            store.close().await;
            all
        });
        all.into_iter().filter(|c| c.kind == "policy").collect()
    }
}

fn written(upstream: &Upstream, policies: &[(&str, &str, &str)]) -> String {
    let row = |(workspace, api, mode): &(&str, &str, &str)| {
        format!("\n[[policy]]\nworkspace = \"{workspace}\"\napi = \"{api}\"\nsignatures = \"{mode}\"\n")
    };
    let rows: String = policies.iter().map(row).collect();
    POLICY.replace("{upstream}", &upstream.address.to_string()) + &rows
}

/// SD-2: production starts with signatures enforced. Who sends an id alone is told so, whether there is such an id or not.
#[test]
fn production_starts_enforced() {
    let club = Club::new(&[]);
    let Club { gateway, upstream, plain, signer } = &club;
    let tester = gateway.actor("acme-test", "server", &["--dialect", "antavo", "--plain-key"]);
    for path in ["/club/", "/till/"] {
        let tag = tag();
        let path = format!("{path}{tag}");
        let unknown = gateway.ask(plain.with_id("dwi_nobody").get(&path));
        unknown.expect(401, "signature_required");
        assert!(unknown.text().contains("UnauthorizedException"), "in the API's own shape: {unknown:?}");
        for known in [plain, signer] {
            let known = gateway.ask(known.get(&path));
            known.expect(401, "signature_required");
            assert_eq!(without_marks(&known), without_marks(&unknown));
        }
        gateway.command(&["credential", "block", &signer.id]).ok();
        eventually("the block to be obeyed", || {
            gateway.ask(Signer::of(signer).get(&path)).code() == "credential_blocked"
        });
        assert_eq!(without_marks(&gateway.ask(signer.get(&path))), without_marks(&unknown));
        gateway.command(&["credential", "unblock", &signer.id]).ok();
        eventually("it to be let in again", || gateway.ask(Signer::of(signer).get(&path)).status == 200);
        // What was let through was signed.
        gateway.ask(Signer::of(plain).get(&path)).expect_ok();
        assert!(upstream.seen(&tag).iter().all(|seen| !seen.target().contains("api_key")));
    }
    let enforced = gateway.ask(plain.get("/club/x"));
    let event = gateway.event(enforced.id());
    assert_eq!(
        (&event["rule"], &event["detail"]),
        (&"signatures".into(), &"signatures-enforced-here".into())
    );
    assert!(event["would_refuse"].is_null(), "{event}");
    // The sandbox does not start like that.
    let answer = gateway.ask(tester.get("/club/x"));
    answer.expect_ok();
    assert!(gateway.event(answer.id())["would_refuse"].is_null());
}

#[test]
fn what_is_observed_is_let_through_and_counted() {
    let mut club = Club::new(&[("acme", "club", "observe")]);
    let began = now();
    // Refused anyway: nobody's call, and no call that enforcement would change.
    club.gateway.ask(club.plain.with_id("dwi_nobody").get("/club/x")).expect(401, "credential_invalid");
    club.gateway.ask(club.signer.get("/club/x")).expect(401, "credential_invalid");
    assert_eq!(club.report("acme", "club")["ready"], true, "nobody has called");
    const CALLS: usize = 37;
    let answer = club.gateway.ask(club.plain.get("/club/x"));
    answer.expect_ok();
    assert_eq!(club.gateway.event(answer.id())["would_refuse"], serde_json::json!(["signatures"]));
    club.call(&club.plain, "/club/x", CALLS - 1);
    let signed = club.gateway.ask(Signer::of(&club.signer).get("/club/x"));
    signed.expect_ok();
    assert!(club.gateway.event(signed.id())["would_refuse"].is_null());
    let seen = club.expect_calls("the shop", CALLS as u64);
    never_within(WRITTEN_DOWN, "a call counts twice", || {
        club.reported("the shop").is_some_and(|c| c["calls"] != CALLS)
    });
    let label = seen["credential"].as_str().expect("a label");
    assert!(label.starts_with("weak-"), "{seen}");
    assert_eq!((&seen["can_sign"], &seen["refused_anyway"]), (&true.into(), &false.into()));
    assert!(seen["signed_at"].is_null() && seen["first_at"].as_str() <= seen["last_at"].as_str(), "{seen}");
    assert!(seen["first_at"].as_str() >= Some(&began.to_string()[..19]), "{seen}");
    let report = club.report("acme", "club");
    assert_eq!((&report["ready"], &report["would_be_refused"]), (&false.into(), &1.into()), "{report}");
    assert_eq!((&report["mode"], &report["signing_only"]), (&"observe".into(), &1.into()), "{report}");
    let since = report["since"].as_str().expect("since when");
    assert!(since <= &*began.to_string(), "it began with the policy: {since}");

    // It stays, and goes on, over a restart; what is on its way when the node is stopped is written down.
    club.call(&club.plain, "/club/x", 3);
    club.gateway.restart();
    club.expect_calls("the shop", CALLS as u64 + 3);
    club.call(&club.plain, "/club/x", 2);
    let again = club.expect_calls("the shop", CALLS as u64 + 5);
    assert_eq!(again["first_at"], seen["first_at"]);
    assert_ne!(again["last_at"], seen["last_at"]);
    // Who begins to sign is seen to.
    club.gateway.ask(Signer::of(&club.plain).get("/club/x")).expect_ok();
    let signs = wait_for("the signature", || club.reported("the shop").filter(|c| !c["signed_at"].is_null()));
    assert_eq!(signs["calls"], CALLS + 5);
    // What is counted goes with the credential.
    club.gateway.command(&["credential", "delete", &club.plain.id]).ok();
    assert_eq!((club.reported("the shop"), &club.report("acme", "club")["ready"]), (None, &true.into()));
}

/// While a store is away nothing is lost that was counted.
#[test]
fn calls_are_counted_while_the_store_is_away() {
    let club = Club::new(&[("acme", "club", "observe")]);
    club.call(&club.plain, "/club/x", 2);
    club.expect_calls("the shop", 2);
    club.gateway.take_store_away();
    let (away, mut calls) = (Instant::now(), 2);
    // Long enough for the node to try to write it down.
    while away.elapsed() < WRITTEN_DOWN {
        club.call(&club.plain, "/club/x", 1);
        calls += 1;
    }
    club.gateway.give_store_back();
    club.expect_calls("the shop", calls);
}

#[test]
fn enforcement_is_obeyed_at_once_and_loosening_it_is_said_and_written_down() {
    let club = Club::new(&[]);
    let Club { gateway, plain, signer, .. } = &club;
    let by_id = || gateway.ask(plain.get("/club/x")).code().to_owned();
    let signed = |who: &Actor| gateway.ask(Signer::of(who).get("/club/x"));
    assert_eq!(by_id(), "signature_required");

    let observe = [("acme", "club", "observe")];
    let dry = gateway.folder.write("dry.toml", &written(&club.upstream, &observe));
    let run = gateway.command(&["apply", "--dry-run", "-f", &dry]).ok();
    let loosened = "! policy acme/club: signatures enforce -> observe, loosened";
    assert!(run.stdout.lines().any(|line| line == loosened), "{}", run.stdout);
    assert_eq!((by_id(), club.changes().len()), ("signature_required".to_owned(), 0));
    assert!(club.apply(&observe).lines().any(|line| line == loosened));
    assert!(eventually("observation", || by_id().is_empty()) < OBEYED_WHEN_BUSY);

    // Back to what it is by default, by saying nothing.
    let said = club.apply(&[]);
    assert!(said.contains("* policy acme/club: signatures observe -> enforce\n"), "{said}");
    assert!(!said.contains("loosened"), "{said}");
    assert!(eventually("enforcement", || by_id() == "signature_required") < OBEYED_WHEN_BUSY);
    signed(plain).expect_ok();
    signed(signer).expect_ok();
    // Switched off where it was enforced explicitly, in two ways.
    club.apply(&[("acme", "club", "enforce"), ("acme-test", "club", "enforce")]);
    let said = club.apply(&[("acme", "club", "off")]);
    for line in ["acme/club: signatures enforce -> off", "acme-test/club: signatures enforce -> off"] {
        assert!(said.contains(&format!("! policy {line}, loosened\n")), "{said}");
    }
    assert!(eventually("it to be off", || by_id().is_empty()) < OBEYED_WHEN_BUSY);
    let json = gateway.folder.write("json.toml", &written(&club.upstream, &[]));
    let told = rows(&gateway.command(&["apply", "--dry-run", "--json", "-f", &json]).ok().stdout).remove(0);
    let expected = serde_json::json!([{"workspace": "acme", "api": "club", "rule": "signatures", "from": "off", "to": "enforce", "loosened": false}]);
    assert_eq!(told["modes"], expected);

    // Who did what, and what it was before.
    let changes = club.changes();
    let told: Vec<_> = changes.iter().map(|c| (c.workspace.as_deref(), &*c.id, &*c.action)).collect();
    let (acme, test) = (Some("acme"), Some("acme-test"));
    assert_eq!(
        told,
        [
            (acme, "club", "created"),
            (acme, "club", "deleted"),
            (acme, "club", "created"),
            (test, "club", "created"),
            (acme, "club", "changed"),
            (test, "club", "deleted"),
        ]
    );
    let last = &changes[4];
    let says = |text: &Option<String>, mode: &str| text.as_ref().is_some_and(|t| t.contains(mode));
    assert!(last.actor == "command-line" && says(&last.before, "enforce") && says(&last.after, "off"));
    gateway.command(&["check"]).ok();
}

/// An address that is signed in its query can be used again and again: that is not what enforcement is for.
#[test]
fn a_signed_address_is_not_good_enough() {
    let club = Club::new(&[("acme", "club", "observe")]);
    let Club { gateway, signer, .. } = &club;
    let address = |path: &str| gateway.ask(Signer::of(signer).get_address(path));
    // Every workspace of `till` enforces signatures, by default.
    address("/till/x").expect(401, "signature_required");
    let answer = address("/club/x");
    answer.expect_ok();
    assert_eq!(gateway.event(answer.id())["would_refuse"], serde_json::json!(["signatures"]));
    let seen = wait_for("the call", || club.reported(""));
    assert_eq!((&seen["credential"], &seen["calls"]), (&signer.id.clone().into(), &1.into()));
    club.apply(&[]);
    eventually("enforcement", || address("/club/x").code() == "signature_required");
    gateway.ask(Signer::of(signer).get("/club/x")).expect_ok();
}

#[test]
fn the_report_reads_well() {
    let club = Club::new(&[("acme", "club", "observe")]);
    let Club { gateway, plain, signer, .. } = &club;
    let report = |more: &[&str]| gateway.command(&[&["report", "readiness"], more].concat()).ok().stdout;
    let ready = report(&[]);
    assert!(ready.lines().any(|l| l.starts_with("acme at club: signatures observed since 2")), "{ready}");
    for line in [
        "  ready, but nobody has called yet, with a signature or without",
        "acme at till: signatures are enforced",
        "acme-test at club: signatures are accepted, not observed: nothing is counted",
        "  workspace = \"acme-test\"",
        "  api = \"club\"",
        "  signatures = \"observe\"",
    ] {
        assert!(ready.lines().any(|l| l == line), "{line}: {ready}");
    }
    assert_eq!(ready.lines().last(), Some("ready: no credential would be refused where rules are observed"));

    let blocked = gateway.actor("acme", "server", &["--dialect", "antavo", "--plain-key", "--name", "gone"]);
    eventually("it to be known", || gateway.ask(blocked.get("/club/x")).status == 200);
    gateway.command(&["credential", "block", &blocked.id]).ok();
    club.call(plain, "/club/x", 4);
    gateway.ask(Signer::of(signer).get("/club/x")).expect_ok();
    club.expect_calls("the shop", 4);
    wait_for("the other", || club.reported("gone"));
    wait_for("the signature", || (club.report("acme", "club")["signing_only"] == 1).then_some(()));
    let text = report(&["--workspace", "acme"]);
    let row = |name: &str| {
        let row = text.lines().find(|l| l.ends_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let (shop, gone) = (row("the shop"), row("gone"));
    assert!(shop[0].starts_with("weak-") && shop[1] == "4" && shop[4..6] == ["-", "-"], "{text}");
    assert_eq!(gone[5], "blocked");
    assert!(text.contains("  1 credential would be refused; 1 was seen to sign only\n"), "{text}");
    assert_eq!(text.lines().last(), Some("1 credential would be refused"));
    assert!(!text.contains("acme-test"), "{text}");
    for id in [&plain.id, &blocked.id] {
        assert!(
            !text.contains(id.as_str()) && !report(&["--json"]).contains(id.as_str()),
            "an id that is a key"
        );
    }
    let json = rows(&report(&["--json"]));
    let modes: Vec<_> = json.iter().map(|r| [&r["workspace"], &r["api"], &r["mode"], &r["ready"]]).collect();
    let off = [&"acme-test".into(), &"club".into(), &"off".into(), &Value::Null];
    let enforced = [&"acme".into(), &"till".into(), &"enforce".into(), &Value::Null];
    assert_eq!(modes, [[&"acme".into(), &"club".into(), &"observe".into(), &false.into()], off, enforced]);

    assert_eq!(report(&["--workspace", "acme-test"]).lines().last(), Some("nothing is observed"));
    for (words, said) in
        [(["--api", "nothing"], "no API `nothing`"), (["--workspace", "x"], "no workspace `x`")]
    {
        let run = gateway.command(&[&["report", "readiness"], &words[..]].concat());
        assert!(run.code == 1 && run.stderr.contains(said) && run.stdout.is_empty(), "{run:?}");
    }
    assert_eq!(gateway.command(&["report"]).code, 2);
}
