//! Rules of a whole policy: watched before they refuse, walked for whoever asks, applied twice, swapped under callers.
use crate::authorization::{House, row};
use crate::support::{Conn, doorward_fed, eventually, rows};
use serde_json::{Value, json};

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
        ["added", "changed", "removed", "modes", "loosened", "warnings"]
            .iter()
            .all(|list| plan[list].as_array().is_some_and(Vec::is_empty))
    };
    let again = plan(&house.written(modules, &all), false);
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
    let other = house.written("", &all.replace("user = \"ann\"\n", ""));
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
        let run = walk(request, &[more, &["--json"]].concat());
        let told = rows(&run.stdout).remove(0);
        assert_eq!((run.code, &*run.stderr), (i32::from(told["verdict"]["refused"] == true), ""), "{told}");
        told
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
            "token",
            "licence"
        ]
    );
    assert_eq!(found(&near, "signatures"), ["off"]);
    assert_eq!(
        (found(&near, "network"), found(&near, "scope")),
        (vec!["passes".to_owned(); 2], vec!["passes".to_owned()])
    );
    assert_eq!(near["verdict"]["refused"], false);
    let far = json(&who.get("/v1/premium/7"), &["--client", "198.51.100.1"]);
    assert_eq!(
        (found(&far, "network")[0].as_str(), found(&far, "licence")[0].as_str()),
        ("refuses", "would_refuse")
    );
    let network =
        far["checks"].as_array().and_then(|all| all.iter().find(|c| c["check"] == "network")).cloned();
    let network = network.expect("a network check");
    assert_eq!((&network["policy"], &network["code"]), (&"acme/v1".into(), &"network_denied".into()));
    let verdict = &far["verdict"];
    assert_eq!((&verdict["code"], &verdict["check"]), (&"network_denied".into(), &"network".into()));
    assert_eq!(verdict["would_refuse"], json!(["licence"]));
    // Without the credential in the request, by its id.
    let near = ["--credential", &who.id, "--client", "192.0.2.9"];
    let run = walk("GET /v1/keys HTTP/1.1\r\nHost: x\r\n\r\n", &near);
    let text = run.stdout;
    assert_eq!(
        (run.code, text.lines().last()),
        (1, Some("verdict: refused with scope_missing, by scope of acme/v1"))
    );
    let free = walk(&who.get("/v1/premium/7"), &near[2..]).ok().stdout;
    assert_eq!(free.lines().last(), Some("verdict: no check refuses it; licence would, if enforced"));
    let expected =
        "  scope       refuses scope_missing (scope-missing, of acme/v1): This needs the scope `admin:keys`.";
    assert!(text.lines().any(|l| l == expected), "{text}");
    let nobody = walk("GET /v1/keys HTTP/1.1\r\nHost: x\r\n\r\n", &[]);
    assert!(nobody.code == 1 && nobody.said().contains("--credential"), "{nobody:?}");
    let elsewhere = walk(&who.get("/nowhere"), &[]);
    assert!(elsewhere.code == 1 && elsewhere.said().contains("route_unknown"), "{elsewhere:?}");
}
