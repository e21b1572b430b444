//! Tokens and their keys from the command line. Nothing secret stands in arguments, logs or changes.
use crate::support::{Gateway, Run, Setup, Upstream, World, doorward, doorward_fed, eventually, rows};
use serde_json::Value;

const ISSUER: &str = "https://api.example";

/// An installation that issues tokens, and has not been started yet.
pub(crate) fn prepared() -> (Gateway, [Upstream; 2]) {
    let upstreams = [Upstream::start(), Upstream::start()];
    let setup = Setup::new().policy(World::policy(&upstreams[0], &upstreams[1]));
    (setup.set("tokens", "issuer", format!("{ISSUER:?}")).prepare(), upstreams)
}

pub(crate) fn started() -> (Gateway, [Upstream; 2]) {
    let (mut gateway, upstreams) = prepared();
    gateway.start();
    (gateway, upstreams)
}

pub(crate) fn fed(gateway: &Gateway, words: &[&str], stdin: &str) -> Run {
    doorward_fed(&[words, &["--config", &gateway.config]].concat(), stdin.as_bytes())
}

pub(crate) fn one(run: Run) -> Value {
    rows(&run.ok().stdout).remove(0)
}

pub(crate) fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("no {field} in {row}"))
}

pub(crate) fn issued(gateway: &Gateway, id: &str, more: &[&str]) -> Value {
    one(gateway.command(&[&["token", "issue", "--json", "--id", id], more].concat()))
}

pub(crate) fn introspected(gateway: &Gateway, token: &str) -> Value {
    one(fed(gateway, &["token", "introspect", "--json"], token))
}

fn server(gateway: &Gateway, more: &[&str]) -> String {
    let words = [&["--workspace", "acme-live", "--kind", "server"], more].concat();
    text(&gateway.create(&words)[0], "id").to_owned()
}

fn keys(gateway: &Gateway) -> Vec<Value> {
    rows(&gateway.command(&["token", "key", "list", "--json"]).ok().stdout)
}

/// Refused in a sentence, with nothing written.
#[track_caller]
pub(crate) fn refused(run: Run, part: &str) {
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.is_empty() && run.stderr.contains(part), "{part}: {run:?}");
}

#[test]
fn a_token_is_issued_looked_at_listed_and_ended() {
    let (gateway, _upstreams) = started();
    let id = server(&gateway, &["--dialect", "standard", "--scope", "read", "--scope", "write"]);
    let made =
        issued(&gateway, &id, &["--scope", "read", "--resource", "https://orders.example", "--life-s", "60"]);
    let (token, jti) = (text(&made, "token"), text(&made, "jti"));
    assert_eq!((text(&made, "scope"), text(&made, "dialect")), ("read", "standard"));
    let told = introspected(&gateway, token);
    assert_eq!((&told["active"], text(&told, "jti"), text(&told, "scope")), (&true.into(), jti, "read"));
    assert_eq!(told["audience"], serde_json::json!(["https://orders.example"]));
    assert_eq!(text(&told, "credential"), id);
    // For people: the token alone, which goes into a file as it is.
    let plain = gateway.command(&["token", "issue", "--id", &id]).ok().stdout;
    let file = gateway.folder.write("token", &plain);
    let told = gateway.command(&["token", "introspect", "--token-file", &file]).ok().stdout;
    assert!(
        told.contains("it would be taken") && told.contains("read write") && told.contains(ISSUER),
        "{told}"
    );

    let other = server(&gateway, &[]);
    let voucherify = issued(&gateway, &other, &[]);
    let listed = |more: &[&str]| {
        let run = gateway.command(&[&["token", "list", "--json"], more].concat()).ok();
        let mut names: Vec<String> = rows(&run.stdout).iter().map(|t| text(t, "jti").to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(listed(&[]).len(), 3);
    assert_eq!(listed(&["--workspace", "acme-live"]).len(), 3);
    assert_eq!(listed(&["--workspace", "acme-test"]), Vec::<String>::new());
    assert_eq!(listed(&["--credential", &other]), [text(&voucherify, "jti")]);
    assert_eq!(listed(&["--limit", "2"]).len(), 2);
    let table = gateway.command(&["token", "list"]).ok().stdout;
    assert!(table.contains(jti) && table.contains("expires") && !table.contains(token), "{table}");

    // By its name, by itself, and all of them.
    assert_eq!(one(gateway.command(&["token", "revoke", "--jti", jti, "--json"]))["revoked"], true);
    assert_eq!(one(gateway.command(&["token", "revoke", "--jti", jti, "--json"]))["revoked"], false);
    let told = introspected(&gateway, token);
    assert_eq!((&told["active"], text(&told, "reason")), (&false.into(), "it was revoked"));
    gateway.command(&["token", "revoke", "--token-file", &file]).ok();
    assert_eq!(introspected(&gateway, plain.trim())["active"], false);
    gateway.command(&["token", "revoke", "--credential", &other]).ok();
    let told = introspected(&gateway, text(&voucherify, "token"));
    assert!(text(&told, "reason").contains("all tokens"), "{told}");
    assert_eq!(listed(&[]), Vec::<String>::new());
    let again = issued(&gateway, &other, &[]);
    assert_eq!(introspected(&gateway, text(&again, "token"))["active"], true);
    gateway.command(&["credential", "block", &other]).ok();
    assert!(text(&introspected(&gateway, text(&again, "token")), "reason").contains("is blocked"));
    gateway.command(&["check"]).ok();
    // Neither what was printed nor what is remembered gives a token away.
    let stored = gateway.stored();
    let (log, events) = (gateway.log(), std::fs::read_to_string(gateway.events_file()).unwrap_or_default());
    for secret in [token, plain.trim(), text(&again, "token")] {
        let signature = secret.rsplit('.').next().unwrap();
        assert!(!log.contains(signature) && !events.contains(signature));
        assert!(!stored.windows(signature.len()).any(|w| w == signature.as_bytes()));
    }
}

/// S9068, R5: what a token may do is never more than its credential may; what can't be is told in a sentence.
#[test]
fn tokens_that_cannot_be_are_refused_in_a_sentence() {
    let (gateway, _upstreams) = started();
    let standard = server(&gateway, &["--dialect", "standard", "--scope", "read", "--scope", "admin:all"]);
    let aws = server(&gateway, &["--dialect", "aws4"]);
    let antavo = server(&gateway, &["--dialect", "antavo"]);
    let client =
        gateway.create(&["--workspace", "acme-live", "--kind", "client", "--origin", "https://shop.example"]);
    let blocked = server(&gateway, &[]);
    gateway.command(&["credential", "block", &blocked]).ok();
    let weak = gateway.create(&[
        "--workspace",
        "acme-test",
        "--kind",
        "server",
        "--dialect",
        "antavo",
        "--plain-key",
    ]);
    let pair = server(&gateway, &["--dialect", "voucherify"]);
    let viewer = server(&gateway, &["--dialect", "voucherify", "--role", "viewer"]);
    let issue = |id: &str, more: &[&str]| gateway.command(&[&["token", "issue", "--id", id], more].concat());
    for (id, more, part) in [
        ("nobody", &[][..], "there is no credential `nobody`"),
        (&standard, &["--scope", "write"], "has not the scope `write`"),
        (&standard, &["--scope", "admin:all"], "has not the scope `admin:all`"),
        (&standard, &["--resource", "orders"], "is no resource"),
        (&standard, &["--resource", "https://a.example/#x"], "is no resource"),
        (&standard, &["--life-s", "3601"], "1 to 3600 seconds"),
        (&antavo, &["--resource", "https://a.example"], "no resource of one's choice"),
        // What the dialect's endpoint gives nobody, nobody gets here either.
        (&antavo, &["--scope", "orders"], "tokens of antavo have no scope `orders`"),
        (&pair, &["--scope", "vouchers:read"], "tokens of voucherify have no scope `vouchers:read`"),
        (&pair, &["--scope", "api everything"], "tokens of voucherify have no scope `everything`"),
        (&viewer, &[], "no scope of"),
        (&aws, &[], "no tokens of the dialect aws4"),
        (text(&client[0], "id"), &[], "gets no tokens"),
        (text(&weak[0], "id"), &[], "gets no tokens"),
        (&blocked, &[], "is blocked"),
    ] {
        refused(issue(id, more), part);
    }
    assert_eq!(text(&issued(&gateway, &standard, &[]), "scope"), "read");
    assert_eq!(text(&issued(&gateway, &pair, &["--scope", "vouchers"]), "scope"), "vouchers");
    for (words, code, part) in [
        (&["token", "issue", "--id", &standard, "--life-s", "0"][..], 2, "a number of seconds, 1 at least"),
        (&["token", "revoke"], 2, "required"),
        (&["token", "revoke", "--jti", "short"], 2, "22 characters"),
        (&["token", "revoke", "--jti", "AAAAAAAAAAAAAAAAAAAAAB"], 2, "22 characters"),
        (&["token", "revoke", "--jti", "AAAAAAAAAAAAAAAAAAAAAA"], 1, "there is no token"),
        (&["token", "revoke", "--jti", "-AAAAAAAAAAAAAAAAAAAAA"], 1, "there is no token"),
        (&["token", "key", "remove", "-no-key-has-this-name"], 1, "-no-key-has-this-name"),
        (&["token", "revoke", "--credential", "nobody"], 1, "there is no credential"),
        (&["token", "list", "--workspace", "nowhere"], 1, "there is no workspace"),
        (&["token", "list", "--credential", "nobody"], 1, "there is no credential"),
        (&["token", "key", "rotate", "--alg", "HS256"], 2, "none of ES256, RS256, EdDSA"),
        (&["token", "key", "remove", "nothing"], 1, "there is no token key"),
        (&["token", "introspect", "--token-file", "/nowhere"], 1, "/nowhere"),
    ] {
        let run = gateway.command(words);
        assert!(run.code == code && run.stderr.contains(part), "{words:?}: {run:?}");
    }
    for (shown, part) in [("", "no token in it"), ("\n\n", "no token in it")] {
        refused(fed(&gateway, &["token", "introspect"], shown), part);
    }
    let huge = "a.".repeat(100_000);
    let foreign = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.";
    for shown in ["nonsense", foreign, &huge] {
        let told = introspected(&gateway, shown);
        assert_eq!(told["active"], false);
        assert!(!told.to_string().contains("admin"), "{told}");
        refused(fed(&gateway, &["token", "revoke", "--token-file", "-"], shown), "the token");
    }
    let signing = keys(&gateway).remove(0);
    refused(gateway.command(&["token", "key", "remove", text(&signing, "kid")]), "another one sign");
}

#[test]
fn without_an_issuer_there_are_no_tokens() {
    let mut gateway = Setup::new().policy(World::policy(&Upstream::start(), &Upstream::start())).prepare();
    gateway.start();
    let id = server(&gateway, &[]);
    refused(gateway.command(&["token", "issue", "--id", &id]), "write `[tokens]` with `issuer`");
    assert_eq!(keys(&gateway), Vec::<Value>::new());
    refused(gateway.command(&["token", "key", "rotate"]), "there are no keys yet");
    let bad = Setup::new().set("tokens", "issuer", "\"https://api.example/\"").prepare_unchecked();
    let told = gateway_check(&bad);
    assert!(told.contains("is no issuer"), "{told}");
}

fn gateway_check(gateway: &Gateway) -> String {
    let run = doorward(&["check", "--config", &gateway.config]);
    assert_eq!(run.code, 1, "{run:?}");
    run.stderr
}

/// S7517: of nodes that start at the same time one makes the keys, and the others take them.
#[test]
fn nodes_that_start_together_have_the_same_keys() {
    let (mut gateway, _upstreams) = prepared();
    assert_eq!(keys(&gateway), Vec::<Value>::new());
    let noted = gateway.command(&["check"]).ok().stdout;
    assert!(noted.contains("no ES256 key yet"), "{noted}");
    let setup = Setup::beside(&gateway).set("tokens", "issuer", format!("{ISSUER:?}"));
    let mut second = setup.prepare_unchecked();
    std::thread::scope(|scope| {
        scope.spawn(|| gateway.start());
        scope.spawn(|| second.start());
    });
    let all = keys(&gateway);
    let told: Vec<_> = all.iter().map(|k| (text(k, "algorithm"), text(k, "state"))).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&("ES256", "signing")) && told.contains(&("RS256", "signing")), "{told:?}");
    gateway.restart();
    assert_eq!(keys(&gateway), all, "a start makes none anew");
    let ok = gateway.command(&["check"]).ok().stdout;
    assert!(ok.contains(&format!("ok: {ISSUER} has ES256 keys")), "{ok}");
}

/// The next key is published before it signs, and the one before it verifies until its last token is over.
#[test]
fn keys_take_turns_and_no_token_is_lost() {
    let (gateway, _upstreams) = started();
    let id = server(&gateway, &["--dialect", "standard"]);
    let header = |made: &Value| text(made, "token").split('.').next().unwrap().to_owned();
    let before = issued(&gateway, &id, &[]);
    let rotated = |more: &[&str]| {
        let run = gateway.command(&[&["token", "key", "rotate", "--alg", "ES256", "--json"], more].concat());
        one(run)
    };
    let next = rotated(&[]);
    assert_eq!((text(&next, "state"), keys(&gateway).len()), ("next", 3));
    let note = gateway.command(&["check"]).ok().stdout;
    assert!(note.contains(&format!("ES256 key {} signs from", text(&next, "kid"))), "{note}");
    assert_eq!(header(&issued(&gateway, &id, &[])), header(&before), "it does not sign yet");
    refused(gateway.command(&["token", "key", "rotate"]), "waits already");
    // The one that waits signs; no other one is made.
    assert_eq!(text(&rotated(&["--now"]), "kid"), text(&next, "kid"));
    let after = issued(&gateway, &id, &[]);
    assert_ne!(header(&after), header(&before));
    let of = |kid: &str| keys(&gateway).into_iter().find(|k| k["kid"] == kid).unwrap();
    assert_eq!(text(&of(text(&next, "kid")), "state"), "signing");
    let mut all = vec![before, after];
    for _ in 0..3 {
        let kid = text(&rotated(&["--now"]), "kid").to_owned();
        eventually("the new key signs", || {
            all.push(issued(&gateway, &id, &[]));
            for made in &all {
                assert_eq!(introspected(&gateway, text(made, "token"))["active"], true, "{made}");
            }
            gateway.command(&["token", "key", "rotate", "--alg", "RS256", "--now"]).ok();
            text(&of(&kid), "state") == "signing"
        });
    }
    let retired = keys(&gateway).into_iter().find(|k| k["state"] == "retired").expect("an old key");
    assert!(retired["verify_until"].is_string());
    gateway.command(&["check"]).ok();
    // Whoever removes an old key, for instance since it was stolen, ends what it signed.
    let first = header(&all[0]);
    let oldest = keys(&gateway)
        .into_iter()
        .find(|k| k["algorithm"] == "ES256" && k["state"] == "retired")
        .expect("the first key");
    gateway.command(&["token", "key", "remove", text(&oldest, "kid")]).ok();
    for made in &all {
        let active = introspected(&gateway, text(made, "token"))["active"] == true;
        assert_eq!(active, header(made) != first, "{made}");
    }
    let log = gateway.log();
    assert!(!log.contains("PRIVATE") && log.contains("a key that signs tokens was made"), "{log}");
}

/// What a dialect does with tokens when a secret is made anew, unless somebody says otherwise.
#[test]
fn a_new_secret_keeps_or_ends_tokens() {
    let (gateway, _upstreams) = started();
    for (dialect, more, lives) in [
        ("voucherify", &[][..], true),
        ("voucherify", &["--keep-tokens"], true),
        ("voucherify", &["--revoke-tokens"], false),
        ("standard", &[], false),
        ("standard", &["--keep-tokens"], true),
        ("antavo", &["--revoke-tokens"], false),
    ] {
        let id = server(&gateway, &["--dialect", dialect]);
        let token = issued(&gateway, &id, &[]);
        gateway.command(&[&["credential", "regenerate", &id], more].concat()).ok();
        let told = introspected(&gateway, text(&token, "token"));
        assert_eq!(told["active"], lives, "{dialect} {more:?}: {told}");
    }
    let id = server(&gateway, &[]);
    let both = gateway.command(&["credential", "regenerate", &id, "--keep-tokens", "--revoke-tokens"]);
    assert_eq!(both.code, 2, "{both:?}");
}
