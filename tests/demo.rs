//! The demo: one command, and everything it says is true.
use crate::support::{Conn, Demo, HOST, doorward, skips_unless_sqlite};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;

fn address(url: &str) -> SocketAddr {
    url.rsplit('/').next().and_then(|a| a.parse().ok()).unwrap_or_else(|| panic!("{url}"))
}

#[test]
fn every_command_that_it_prints_works() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    println!("the demo was ready after {:?}", demo.started_in);
    let examples = demo.told["examples"].as_array().expect("examples");
    assert!(examples.len() >= 4, "one for each scheme: {examples:?}");
    let printed = std::fs::read_to_string(demo.folder.file("stdout.log")).expect("what it printed");
    demo.folder.write(".curlrc", "fail\nshow-error\n");
    let mut forwarded = 0;
    for example in examples {
        let (name, curl) =
            (example["name"].as_str().expect("a name"), example["curl"].as_str().expect("a command"));
        assert!(printed.contains(curl), "{name} is not printed as it stands: {curl}");
        // Every curl in it, also one whose answer goes into another one's request, fails unless the answer is a success.
        let out = Command::new("sh")
            .args(["-c", curl])
            .env("CURL_HOME", demo.folder.path())
            .current_dir(demo.folder.path())
            .output()
            .expect("sh runs");
        let body = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{name}: {curl}\n{body}{}", String::from_utf8_lossy(&out.stderr));
        if name.ends_with("a token from /v1.0/auth") {
            assert_eq!(body.split('.').count(), 3, "{name}: {body}");
            continue;
        }
        if name.contains("limits") {
            assert!(
                body.contains("ratelimit: \"credential\";r=") && body.contains("x-rate-limit-limit:"),
                "{body}"
            );
            continue;
        }
        let echoed: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        if name.contains("a token from ") {
            assert!(echoed["access_token"].is_string(), "{name}: {body}");
            continue;
        }
        if curl.contains("/oauth/introspect") {
            assert_eq!(echoed["active"], !curl.contains("/oauth/revoke"), "{body}");
            continue;
        }
        if curl.contains("/.well-known/") {
            assert!(
                echoed["issuer"] == demo.text("gateway") || echoed["keys"][0]["kid"].is_string(),
                "{body}"
            );
            continue;
        }
        forwarded += 1;
        for field in [
            "doorward-request-id",
            "doorward-workspace",
            "doorward-credential",
            "doorward-kind",
            "doorward-scheme",
        ] {
            assert!(echoed["headers"][field][0].is_string(), "{name}: no {field} in {echoed}");
        }
    }
    assert!(forwarded > 20, "{forwarded} of {}", examples.len());
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(demo.folder.file("demo.json")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o077, 0, "others may read the file with the secrets");
    assert!(printed.contains(demo.text("gateway")) && printed.contains(demo.text("gateway_tls")));
}

/// The sample upstream tells exactly what reached it.
#[test]
fn the_sample_upstream_echoes_what_reached_it() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    let caller = demo.actor("production", "server", "voucherify");
    let mut connection = Conn::open(address(demo.text("gateway")));
    let head =
        caller.request("POST", "/v1/vouchers?a=1&a=%20", "X-Two: 1\r\nX-Two: 2\r\nContent-Length: 5\r\n");
    let echoed = connection.send(format!("{head}hello")).answer().json();
    assert_eq!((&echoed["method"], &echoed["path"]), (&"POST".into(), &"/v1/vouchers".into()));
    assert_eq!((&echoed["query"], &echoed["body"]), (&"a=1&a=%20".into(), &"hello".into()));
    assert_eq!(echoed["headers"]["x-two"], serde_json::json!(["1", "2"]));
    assert_eq!(echoed["headers"]["host"], serde_json::json!([HOST]));
    let head = caller.request("POST", "/v1/vouchers", "Content-Length: 2\r\n");
    let echoed = connection.send([head.as_bytes(), &[0xff, 0]].concat()).answer().json();
    assert_eq!((&echoed["body_base64"], &echoed["body"]), (&"/wA=".into(), &Value::Null));
}

/// What others rely on: the fields, the credentials, the table of APIs.
#[test]
fn it_brings_what_it_promises() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    assert!(std::fs::read_to_string(demo.text("ca_file")).expect("a file").contains("BEGIN CERTIFICATE"));
    let single = demo.actor("production", "server", "standard");
    let page = demo.actor("production", "client", "voucherify");
    let pair = demo.actor("production", "server", "voucherify");
    let sandboxed = demo.actor("sandbox", "server", "voucherify");
    let plain = demo.actor("sandbox", "server", "antavo");
    assert!(page.origin.is_some(), "a plain and exact origin first");
    let mut connection = Conn::open(address(demo.text("gateway")));
    for (caller, target) in [
        (&pair, "/echo/x"),
        (&single, "/echo/x"),
        (&pair, "/v1/vouchers"),
        (&pair, "/v1/SKUs"),
        (&pair, "/v1/validation-rules-assignments"),
        (&sandboxed, "/v1/campaigns/x"),
        (&page, "/client/v1/validations"),
        (&plain, "/customers/8eb1b522"),
        (&plain, "/rewards"),
        (&plain, "/leaderboard"),
    ] {
        let answer = connection.expect_serves(&caller.get(target));
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert_eq!(answer.json()["headers"]["doorward-workspace"][0], caller.workspace.as_str(), "{target}");
    }
    assert_eq!(connection.expect_serves(&pair.get("/v1/nothing-of-that-name")).status, 404);
    let wrong = connection.expect_serves(&pair.with_secret("wrong").get("/v1/vouchers"));
    assert_eq!(wrong.json()["key"], "unauthorized");
}

/// A demo is no installation: its keys are known to whoever saw its output.
#[test]
fn its_store_is_not_served() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    let data = demo.data();
    let config = format!(
        "[store]\nurl = \"sqlite:{data}/doorward.db\"\nmaster_key_file = \"{data}/master.key\"\n[listen]\nplain = \"127.0.0.1:0\"\n[plain_http]\nmode = \"serve\"\n"
    );
    let config = demo.folder.write("serve.toml", &config);
    let run = doorward(&["serve", "--config", &config]);
    assert!(run.code == 1 && run.stderr.contains("demo"), "{run:?}");
    // But it can be managed.
    let listed = doorward(&["credential", "list", "--data", &data]).ok().stdout;
    assert!(listed.contains(&demo.actor("production", "server", "voucherify").id));
}

#[test]
fn off_loopback_it_needs_to_be_told() {
    if skips_unless_sqlite() {
        return;
    }
    let folder = crate::support::Folder::new();
    let run = doorward(&[
        "demo",
        "--data",
        &folder.file("data"),
        "--gateway",
        "0.0.0.0:0",
        "--gateway-tls",
        "127.0.0.1:0",
    ]);
    assert!(matches!(run.code, 1 | 2) && run.stderr.contains("allow-remote"), "{run:?}");
}

/// It starts again on the folder that it made.
#[test]
fn a_folder_is_used_again() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    let before = demo.actor("production", "server", "voucherify");
    let demo = demo.restart();
    assert_eq!(demo.actor("production", "server", "voucherify").id, before.id);
    let answer = Conn::open(address(demo.text("gateway"))).expect_serves(&before.get("/v1/vouchers"));
    assert_eq!(answer.status, 200);
}

/// Two demos on one folder would write over each other's certificate, policy and events.
#[test]
fn a_folder_belongs_to_one_demo_at_a_time() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    let any = ["--gateway", "127.0.0.1:0", "--gateway-tls", "127.0.0.1:0"];
    let run = doorward(&[&["demo", "--data", &demo.data()], &any[..]].concat());
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains(&demo.data()) && run.stderr.contains("a demo runs on"), "{run:?}");
    // The first one goes on, and is managed.
    let caller = demo.actor("production", "server", "voucherify");
    assert_eq!(
        Conn::open(address(demo.text("gateway"))).expect_serves(&caller.get("/v1/vouchers")).status,
        200
    );
    doorward(&["credential", "show", "--data", &demo.data(), &caller.id]).ok();
}

/// A user, an OAuth client and Avanan's caller are told with what they need, and a demo that is started again knows them.
#[test]
fn those_who_have_tokens_are_told() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    let (user, app) =
        (demo.actor("production", "user", "vista"), demo.actor("production", "oauth_client", "standard"));
    assert!(demo.actor("production", "server", "avanan").id.starts_with("US:"));
    assert!(user.secret.len() >= 12 && app.secret.starts_with("dws_"));
    let data = demo.data();
    let stored = std::fs::read(format!("{data}/doorward.db")).expect("the store");
    let password = user.secret.as_bytes();
    assert!(!stored.windows(password.len()).any(|w| w == password), "it is sealed");
    // The command line issues in the demo's own name.
    let issued = doorward(&["token", "issue", "--data", &data, "--id", &app.id]).ok().stdout;
    let request = |token: &str| {
        format!("GET /echo/x HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {}\r\n\r\n", token.trim())
    };
    let answer = Conn::open(address(demo.text("gateway"))).send(request(&issued)).answer();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["headers"]["doorward-scheme"][0], "bearer");
    let demo = demo.restart();
    let again = demo.actor("production", "user", "vista");
    assert_eq!((again.id, again.secret), (user.id, user.secret));
}
