//! What a policy may say, word by word, and what becomes of credentials when it changes.
use crate::support::{Actor, Setup, Upstream, World, eventually, tag};

/// Asserts that each of these values makes the policy a broken one.
fn refused(gateway: &crate::support::Gateway, policy: &str, right: &str, wrongs: &[&str]) {
    assert!(policy.contains(right), "{right}");
    for wrong in wrongs {
        let file = gateway.folder.write("wrong.toml", &policy.replacen(right, wrong, 1));
        let run = gateway.command(&["apply", "--dry-run", "-f", &file]);
        assert!(run.code == 1 && run.said().contains("line"), "{wrong}: {run:?}");
    }
}

#[test]
fn nonsense_is_refused() {
    let (production, sandbox) = (Upstream::start(), Upstream::start());
    let policy = World::policy(&production, &sandbox);
    let gateway = Setup::new().policy(policy.clone()).prepare();
    let refused = |right: &str, wrongs: &[&str]| refused(&gateway, &policy, right, wrongs);
    refused(
        "\"http://127.0.0.1:1\"",
        &[
            "\"\"",
            "\"http://\"",
            "\"127.0.0.1:1\"",
            "\"ftp://127.0.0.1\"",
            "\"http://127.0.0.1:0\"",
            "\"http://127.0.0.1:99999\"",
            "\"http://u:p@127.0.0.1\"",
            "\"http://127.0.0.1/path\"",
            "\"http://127.0.0.1?query\"",
            "\"http://127.0.0.1#x\"",
            "\"http://a b\"",
            "\"http://[::1\"",
            "\"http://\u{e4}.example\"",
            "\"unix:/socket\"",
            "1",
        ],
    );
    refused(
        "\"/only/get\"",
        &[
            "\"\"",
            "\"only\"",
            "\"/a/../b\"",
            "\"/a/./b\"",
            "\"/a//b\"",
            "\"/a/{}\"",
            "\"/a/{x\"",
            "\"/a/*/b\"",
            "\"/a*\"",
            "\"/a b\"",
            "\"/a?b\"",
            "\"/a#b\"",
            "\"/a%2fb\"",
            "\"/a;b\"",
            "\"/\u{e4}\"",
            "\"/a\\\\b\"",
        ],
    );
    refused(
        "[\"GET\"]",
        &["[\"get\"]", "[\"TRACE\"]", "[\"CONNECT\"]", "[\"\"]", "[\"A B\"]", "\"GET\"", "[1]"],
    );
    refused(
        "\"shop.example\", ",
        &[
            "\"https://shop.example\", ",
            "\"shop.example:80\", ",
            "\"shop.example/x\", ",
            "\"*\", ",
            "\"\", ",
            "\"a b\", ",
        ],
    );
    refused(
        "id = \"acme-live\"",
        &["id = \"\"", "id = \"a b\"", "id = \"a/b\"", "id = \"\\u001b[31m\"", "id = 1", "ident = \"x\""],
    );
    refused("name = \"Acme\"", &["name = \"a\\nb\"", "name = \"\"", "name = true"]);
    // Twice the same.
    refused("id = \"acme-test\"", &["id = \"acme-live\""]);
    refused("id = \"vouchers\"", &["id = \"client\""]);
}

/// A workspace that goes takes its keys along; one of the same name that comes later does not bring them back into
/// another environment (SD-4).
#[test]
fn a_key_outlives_its_workspace_nowhere() {
    let world = World::new();
    let gateway = &world.gateway;
    let policy = World::policy(&world.production, &world.sandbox);
    let key = gateway.actor("other-live", "server", &[]);
    let ask = |key: &Actor, target: &str| world.ask(key.get(target));
    eventually("the new key", || ask(&key, "/v1/x").status == 200);
    let workspace = "[[workspace]]\nid = \"other-live\"\nenvironment = \"production\"\n";
    let without = policy.replace(workspace, "").replace("workspaces = [\"other-live\"]\n", "");
    let run = gateway.apply(&without);
    if run.code != 0 {
        assert!(run.said().contains("other-live"), "{run:?}");
        ask(&key, "/v1/x").expect_ok();
        return;
    }
    eventually("the key to be dead", || ask(&key, "/v1/x").code() == "credential_invalid");
    gateway.command(&["check"]).ok();
    let other = workspace.replace("production", "sandbox");
    if gateway.apply(&policy.replace(workspace, &other)).code == 0 {
        let tag = tag();
        eventually("the policy", || gateway.command(&["export"]).stdout.contains("other-live"));
        for _ in 0..20 {
            ask(&key, &format!("/v1/{tag}"));
        }
        assert!(world.sandbox.seen(&tag).is_empty(), "a production key came into a sandbox");
    }
}
