//! A vendor's public client library, unmodified, against the demo. Needs Node.js and the libraries in `DOORWARD_CLIENTS`.
use crate::support::{Actor, Demo, eventually, skipped, skips_unless_sqlite};
use serde_json::{Value, json};
use std::process::Command;

/// Runs one of the scripts; `None` where the libraries are not there.
fn run(script: &str, demo: &Demo, caller: &Actor) -> Option<Value> {
    let Ok(clients) = std::env::var("DOORWARD_CLIENTS") else {
        skipped(script, "DOORWARD_CLIENTS is not set");
        return None;
    };
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").join(script);
    let told = json!({
        "modules": format!("{clients}/node_modules/"),
        "apiUrl": demo.text("gateway"),
        "id": caller.id,
        "secret": caller.secret,
        "origin": caller.origin,
    });
    let out = Command::new("node").arg(source).env("TOLD", told.to_string()).output().expect("node runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{script}: {text}{}", String::from_utf8_lossy(&out.stderr));
    Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

/// Asserts that the calls arrived: as the library's user saw them, and in the events.
fn expect_arrived(demo: &Demo, caller: &Actor, told: &Value, calls: &[(&str, &str)]) {
    for (method, path) in calls {
        let has = |event: &Value| {
            event["method"] == *method && event["path"] == *path && event["credential"] == caller.id.as_str()
        };
        eventually(path, || {
            demo.events().iter().any(|e| has(e) && e["decision"] == "permit" && e["status"] == 200)
        });
        let echoes = told["calls"].as_array().expect("calls");
        let echo = echoes.iter().find(|echo| echo["method"] == *method && echo["path"] == *path);
        let echo = echo.unwrap_or_else(|| panic!("{method} {path} is not among {echoes:?}"));
        assert_eq!(echo["headers"]["doorward-workspace"][0], caller.workspace.as_str(), "{echo}");
        assert!(!echo.to_string().contains(&caller.secret), "the upstream saw the secret");
    }
}

#[test]
fn the_voucherify_sdk_works_from_a_server() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    let caller = demo.actor("production", "server", "voucherify");
    let Some(told) = run("voucherify-server.mjs", &demo, &caller) else { return };
    expect_arrived(
        &demo,
        &caller,
        &told,
        &[
            ("GET", "/v1/vouchers"),
            ("GET", "/v1/vouchers/WELCOME%2010"),
            ("POST", "/v1/vouchers/NEW-1"),
            ("GET", "/v1/customers"),
            ("POST", "/v1/customers"),
            ("GET", "/v1/campaigns"),
            ("POST", "/v1/validations"),
            ("POST", "/v1/redemptions"),
            ("DELETE", "/v1/vouchers/NEW-1"),
        ],
    );
    let list = told["calls"]
        .as_array()
        .and_then(|c| c.iter().find(|c| c["path"] == "/v1/vouchers"))
        .expect("a call");
    assert!(list["query"].as_str().is_some_and(|q| q.contains("limit=3")), "{list}");
    let made = told["calls"]
        .as_array()
        .and_then(|c| c.iter().find(|c| c["path"] == "/v1/redemptions"))
        .expect("a call");
    assert!(made["body"].as_str().is_some_and(|b| b.contains("WELCOME")), "{made}");
}

#[test]
fn the_voucherify_sdk_works_from_a_page() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    let caller = demo.actor("production", "client", "voucherify");
    let Some(told) = run("voucherify-client.mjs", &demo, &caller) else { return };
    let calls = [
        ("POST", "/client/v1/validations"),
        ("POST", "/client/v1/redemptions"),
        ("POST", "/client/v1/events"),
    ];
    expect_arrived(&demo, &caller, &told, &calls);
    // From elsewhere it is refused, in a form that the library understands.
    let foreign =
        run("voucherify-client.mjs", &demo, &caller.at(Some("https://evil.example"))).expect("it ran before");
    assert_eq!(foreign["errors"][0]["code"], 403, "{foreign}");
}

/// The library makes an error of the vendor's kind of a refusal.
#[test]
fn the_voucherify_sdk_understands_a_refusal() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    let caller = demo.actor("production", "server", "voucherify").with_secret("wrong");
    let Some(told) = run("voucherify-server.mjs", &demo, &caller) else { return };
    let errors = told["errors"].as_array().expect("errors");
    assert!(told["calls"].as_array().is_some_and(Vec::is_empty) && !errors.is_empty());
    for error in errors {
        assert_eq!((&error["code"], &error["key"]), (&401.into(), &"unauthorized".into()), "{error}");
        assert_eq!(error["message"], "Unauthorized");
    }
}
