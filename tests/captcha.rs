//! Captchas: a provider of the tests' own says what it is told to say, and nothing but a fresh response that it vouches for
//! opens a route that asks for one.
use crate::captcha_provider::{Provider, SECRET};
use crate::faults::metric;
use crate::support::{
    Actor, Answer, Conn, Demo, Folder, HOST, Setup, Site, doorward, eventually, skips_unless_sqlite, tag,
    wait_for,
};
use std::net::SocketAddr;
use std::ops::Deref;
use std::time::{Duration, Instant};

const POLICY: &str = r#"
[[workspace]]
id = "acme"
environment = "production"
[[workspace]]
id = "acme-test"
environment = "sandbox"

[[api]]
id = "members"
dialect = "vista"
schemes = ["api_key"]
names = ["voucherify"]
upstream = { production = "http://{upstream}", sandbox = "http://{upstream}" }
[[api.route]]
path = "/members/*"
captcha = true
[[api.route]]
path = "/cinemas/*"

[[policy]]
workspace = "acme"
api = "members"
captcha = "{mode}"
"#;

/// How long a caller waits for a provider at most, with what a busy machine takes.
const SOON: Duration = Duration::from_millis(6_000);

/// A gateway with a route that asks for a captcha, its upstream, the provider, and callers.
struct Shop {
    site: Site,
    provider: Provider,
    server: Actor,
    tester: Actor,
}

impl Deref for Shop {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Shop {
    fn new(mode: &str) -> Shop {
        let provider = Provider::start();
        let mut site = Site::prepare(POLICY, &[("mode", mode)], |setup| {
            let keys = ["recaptcha_url", "hcaptcha_url", "turnstile_url"];
            keys.into_iter().fold(setup, |setup, key| setup.set("captcha", key, provider.url()))
        });
        let server = site.gateway.actor("acme", "server", &[]);
        let tester = site.gateway.actor("acme-test", "server", &[]);
        site.gateway.start();
        Shop { site, provider, server, tester }
    }

    /// The same, with captchas set up and known.
    fn ready(mode: &str) -> Shop {
        let shop = Shop::new(mode);
        shop.set("acme", "recaptcha", SECRET, &["--hostname", "shop.example"]).ok();
        eventually("the captchas are known", || {
            let answer = shop.post(&format!("pass-{}", tag()));
            answer.status == 200 && shop.gateway.event(answer.id())["would_refuse"].is_null()
        });
        shop
    }

    fn set(&self, workspace: &str, provider: &str, secret: &str, more: &[&str]) -> crate::support::Run {
        let file = self.gateway.folder.write("secret", &format!("{secret}\n"));
        let words =
            ["captcha", "set", "--workspace", workspace, "--provider", provider, "--secret-file", &file];
        self.gateway.command(&[&words, more].concat())
    }

    fn request(&self, lines: &str) -> String {
        self.server.request("POST", &format!("/members/{}", tag()), &format!("{lines}Content-Length: 0\r\n"))
    }

    fn post(&self, response: &str) -> Answer {
        self.gateway.ask(self.request(&format!("CaptchaResponse: {response}\r\n")))
    }
}

#[test]
fn a_response_passes_once_and_never_reaches_the_upstream() {
    let shop = Shop::ready("enforce");
    let missing = shop.gateway.ask(shop.request(""));
    missing.expect(403, "captcha_required");
    shop.gateway.ask(shop.request("CaptchaResponse:\r\n")).expect(403, "captcha_required");
    let event = shop.gateway.event(missing.id());
    assert_eq!((&event["rule"], &event["policy"]), (&"captcha".into(), &"acme/members".into()));
    assert_eq!(event["detail"], "captcha-missing");
    // The name is anybody's spelling; what stands for its letters in other servers is not.
    let response = format!("pass-{}", tag());
    let request = shop.request(&format!("cApTcHaReSpOnSe: {response}\r\nX-Other: 1\r\n"));
    shop.gateway.ask(&request).expect_ok();
    let target = request.split(' ').nth(1).expect("a target").to_owned();
    let seen = shop.upstream.one(&target);
    assert_eq!((seen.get("captcharesponse"), seen.get("x-other")), (None, Some("1")));
    assert!(!String::from_utf8_lossy(&seen.head.raw).contains(&response));
    let asked = shop.provider.asked(&response);
    assert_eq!(
        asked,
        [("/siteverify".to_owned(), format!("secret={SECRET}&response={response}&remoteip=127.0.0.1"))]
    );
    // The same again, anywhere: the provider vouches for it still, and it does not pass.
    let again = shop.post(&response);
    again.expect(403, "captcha_invalid");
    assert_eq!(shop.gateway.event(again.id())["detail"], "captcha-used");
    // A route that asks for none passes nothing on either, and asks nobody.
    let elsewhere = shop.server.request("GET", "/cinemas/1", "CaptchaResponse: pass-elsewhere\r\n");
    shop.gateway.ask(elsewhere).expect_ok();
    assert_eq!(shop.upstream.one("/cinemas/1").get("captcharesponse"), None);
    assert!(shop.provider.asked("pass-elsewhere").is_empty());
    let told =
        |outcome: &str| metric(&shop.gateway, &format!("doorward_captchas_total{{outcome=\"{outcome}\"}}"));
    assert_eq!((told("passed") as u64, told("failed") as u64), (3, 0));
    // Nothing of it is in any log.
    let logs = [shop.gateway.log(), shop.gateway.event_lines().join("\n")].concat();
    assert!(!logs.contains(&response) && !logs.contains(SECRET));
}

/// Workspaces may share a provider's secret; a response that one of them took is no good for the other.
#[test]
fn a_response_passes_in_one_workspace_alone() {
    let shop = Shop::ready("enforce");
    shop.set("acme-test", "recaptcha", SECRET, &["--hostname", "shop.example"]).ok();
    let post = |who: &Actor, response: &str| {
        let lines = format!("CaptchaResponse: {response}\r\nContent-Length: 0\r\n");
        shop.gateway.ask(who.request("POST", "/members/x", &lines))
    };
    eventually("both take captchas", || post(&shop.tester, &format!("pass-{}", tag())).status == 200);
    for (first, second) in [(&shop.server, &shop.tester), (&shop.tester, &shop.server)] {
        let response = format!("pass-{}", tag());
        post(first, &response).expect_ok();
        let again = post(second, &response);
        again.expect(403, "captcha_invalid");
        assert_eq!(shop.gateway.event(again.id())["detail"], "captcha-used");
    }
    assert_eq!(metric(&shop.gateway, "doorward_failopen_total") as u64, 0);
}

#[test]
fn of_many_that_send_one_response_at_once_one_passes() {
    let shop = Shop::ready("enforce");
    let response = format!("pass-{}", tag());
    let passed: usize = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| usize::from(shop.post(&response).status == 200));
        let all: Vec<_> = (0..20).map(|_| ask()).collect();
        all.into_iter().map(|one| one.join().expect("no panic")).sum()
    });
    assert_eq!(passed, 1);
}

#[test]
fn whatever_a_provider_says_but_yes_refuses() {
    let shop = Shop::ready("enforce");
    for (response, detail) in [
        ("fail-1", "captcha-not-solved"),
        ("duplicate-1", "captcha-late-or-used"),
        ("liar-1", "captcha-other-hostname"),
        ("nohost-1", "captcha-no-hostname"),
        ("old-1", "captcha-too-old"),
        ("ahead-1", "captcha-from-the-future"),
        ("html-1", "captcha-not-json"),
        ("markup-1", "captcha-strange-answer"),
        ("twice-1", "captcha-strange-answer"),
        ("moved-1", "captcha-redirect"),
        ("error-1", "captcha-odd-status"),
        ("created-1", "captcha-odd-status"),
        ("large-1", "captcha-answer-broken"),
        ("bighead-1", "captcha-no-answer"),
        ("cut-1", "captcha-answer-broken"),
        ("garbage-1", "captcha-no-answer"),
        ("nothing-1", "captcha-no-answer"),
    ] {
        let (started, answer) = (Instant::now(), shop.post(response));
        answer.expect(403, "captcha_invalid");
        assert_eq!(shop.gateway.event(answer.id())["detail"], detail, "{response}");
        assert!(started.elapsed() < SOON, "{response}: {:?}", started.elapsed());
        assert_eq!(shop.provider.asked(response).len(), 1, "{response}: asked once, nowhere else");
    }
    for (response, detail) in [("hang-1", "captcha-late"), ("drip-1", "captcha-late")] {
        let (started, answer) = (Instant::now(), shop.post(response));
        answer.expect(403, "captcha_invalid");
        assert_eq!(shop.gateway.event(answer.id())["detail"], detail, "{response}");
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(2_900) && took < SOON, "{response}: {took:?}");
    }
    // What can't be a response is sent to nobody.
    let before = shop.provider.asked("").len();
    for lines in [
        "CaptchaResponse: pass-1\r\nCaptchaResponse: pass-2\r\n".to_owned(),
        "CaptchaResponse: pass 1\r\n".to_owned(),
        "CaptchaResponse: pass-\u{e9}\r\n".to_owned(),
        format!("CaptchaResponse: pass-{}\r\n", "x".repeat(8_200)),
    ] {
        shop.gateway.ask(shop.request(&lines)).expect(403, "captcha_invalid");
    }
    assert_eq!(shop.provider.asked("").len(), before);
    // Nobody's request waits for another's provider.
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..20)
            .map(|n| {
                scope.spawn({
                    let shop = &shop;
                    move || shop.post(&format!("hang-all-{n}"))
                })
            })
            .collect();
        wait_for("they wait", || (shop.provider.asked("hang-all").len() == 20).then_some(()));
        let started = Instant::now();
        shop.gateway.ask(shop.server.get("/cinemas/2")).expect_ok();
        shop.post(&format!("pass-{}", tag())).expect_ok();
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        for one in waiting {
            one.join().expect("no panic").expect(403, "captcha_invalid");
        }
    });
    shop.gateway.expect_no_panic();
}

/// Nothing that is not set up lets anybody pass, and it takes no restart to set it up.
#[test]
fn captchas_are_set_up_shown_and_removed() {
    let shop = Shop::new("enforce");
    let pass = || shop.post(&format!("pass-{}", tag()));
    let answer = pass();
    answer.expect(403, "captcha_invalid");
    assert_eq!(shop.gateway.event(answer.id())["detail"], "captcha-not-set-up");
    let show = || shop.gateway.command(&["captcha", "show", "--workspace", "acme", "--json"]);
    assert_eq!(show().code, 1);
    let one = ["--hostname", "Shop.Example"];
    shop.set("acme", "turnstile", SECRET, &one).ok();
    let told = show().ok();
    let row: serde_json::Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!((&row["provider"], &row["hostnames"][0]), (&"turnstile".into(), &"shop.example".into()));
    assert!(!told.stdout.contains(SECRET));
    let raw = shop.gateway.stored();
    assert!(!raw.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "the secret is sealed");
    eventually("it is obeyed", || pass().status == 200);
    shop.set("acme", "hcaptcha", "another-secret", &one).ok();
    eventually("the other secret is used", || pass().status == 403);
    shop.set("acme", "hcaptcha", SECRET, &["--hostname", "other.example"]).ok();
    eventually("the other host is obeyed", || {
        shop.gateway.event(pass().id())["detail"] == "captcha-other-hostname"
    });
    shop.gateway.command(&["captcha", "remove", "--workspace", "acme"]).ok();
    eventually("it is gone", || shop.gateway.event(pass().id())["detail"] == "captcha-not-set-up");
    assert_eq!(shop.gateway.command(&["captcha", "remove", "--workspace", "acme"]).code, 1);
    // Mistakes are told, and nothing is written.
    let test_secret = "6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe";
    for (workspace, provider, secret, hosts, code, why) in [
        ("nobody", "recaptcha", SECRET, &one[..], 1, "there is no workspace `nobody`"),
        ("acme", "recaptcha", test_secret, &one, 1, "publishes for tests"),
        ("acme", "hcaptcha", "0x0000000000000000000000000000000000000000", &one, 1, "publishes for tests"),
        ("acme", "turnstile", "1x0000000000000000000000000000000AA", &one, 1, "publishes for tests"),
        ("acme", "recaptcha", "a b", &one, 1, "the secret has 1 to 512"),
        ("acme", "recaptcha", "", &one, 1, "there is no secret in it"),
        (
            "acme",
            "recaptcha",
            SECRET,
            &["--hostname", "https://shop.example/"],
            1,
            "is not the name of a host",
        ),
        ("acme", "captcha", SECRET, &one, 2, "is not a provider of captchas"),
        ("acme", "recaptcha", SECRET, &[], 2, "--hostname"),
    ] {
        let run = shop.set(workspace, provider, secret, hosts);
        assert!(run.code == code && run.stderr.contains(why), "{provider} {hosts:?}: {run:?}");
        assert!(secret.is_empty() || secret == "a b" || !run.stderr.contains(secret), "{run:?}");
    }
    assert_eq!(show().code, 1);
    // In a sandbox they are what they are for.
    shop.set("acme-test", "recaptcha", test_secret, &one).ok();
    let check = shop.gateway.command(&["check"]).ok();
    assert!(!check.stdout.contains(test_secret));
    shop.gateway
        .ask(shop.tester.request("POST", "/members/1", "CaptchaResponse: fail-1\r\nContent-Length: 0\r\n"))
        .expect(403, "captcha_invalid");
}

/// A rule that is observed refuses nobody, whatever the provider says.
#[test]
fn an_observed_captcha_refuses_nobody() {
    let shop = Shop::ready("observe");
    for (response, refuses) in
        [("pass-observed", false), ("pass-observed", true), ("fail-o", true), ("", true)]
    {
        let answer = shop.post(response);
        answer.expect_ok();
        let event = shop.gateway.event(answer.id());
        let seen = event["would_refuse"].as_array().is_some_and(|rules| rules.contains(&"captcha".into()));
        assert_eq!(seen, refuses, "{response}: {event}");
    }
    shop.apply(&[("mode", "enforce")]).ok();
    eventually("it is enforced", || shop.post("").status == 403);
    shop.apply(&[("mode", "off")]).ok();
    eventually("it is off", || shop.post("").status == 200);
}

/// Secrets go over TLS, or stay on this machine.
#[test]
fn an_address_in_the_clear_is_refused() {
    let setup = Setup::new().set("captcha", "recaptcha_url", "\"http://verify.example/x\"");
    let run = setup.prepare_unchecked().command(&["check"]);
    assert!(
        run.code == 1 && run.stderr.contains("captcha.recaptcha_url") && run.stderr.contains("https://"),
        "{run:?}"
    );
}

/// The demo has a provider of its own.
#[test]
fn in_the_demo_a_response_that_begins_with_pass_passes_once() {
    if skips_unless_sqlite() {
        return;
    }
    let demo = Demo::start();
    let gateway: SocketAddr =
        demo.text("gateway").rsplit('/').next().and_then(|a| a.parse().ok()).expect("an address");
    let user = demo.actor("production", "user", "vista");
    let form = format!("grant_type=password&client_id=demo&username={}&password={}", user.id, user.secret);
    let length = form.len();
    let asked = format!(
        "POST /connect/token HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    let told = Conn::open(gateway).expect_serves(&asked);
    let token = told.json()["access_token"].as_str().expect("a token").to_owned();
    let login = |lines: &str| {
        Conn::open(gateway).expect_serves(&format!(
            "POST /ocapi/v1/members/authentication-token HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n{lines}Content-Length: 0\r\n\r\n"
        ))
    };
    login("").expect(403, "captcha_required");
    login("CaptchaResponse: pass-1\r\n").expect_ok();
    login("CaptchaResponse: pass-1\r\n").expect(403, "captcha_invalid");
    login("CaptchaResponse: fail\r\n").expect(403, "captcha_invalid");
    let reached = login("CaptchaResponse: pass-2\r\n").json();
    assert!(reached["headers"]["captcharesponse"].is_null(), "{reached}");
}

/// A store with a captcha in it moves, and its keys are exchanged, like everything else that is sealed.
#[test]
fn its_secret_is_sealed_anew_and_moves() {
    if skips_unless_sqlite() {
        return;
    }
    let shop = Shop::ready("enforce");
    let folder = Folder::new();
    let other = folder.file("other.key");
    doorward(&["master-key", "create", &other]).ok();
    let rotated = shop.gateway.command(&["master-key", "rotate", "--to", &other]);
    rotated.ok();
    shop.post(&format!("pass-{}", tag())).expect_ok();
    let target = format!("sqlite:{}", folder.file("moved.db"));
    let source = format!("sqlite:{}", shop.gateway.folder.file("doorward.db"));
    let moved = doorward(&["migrate", "--from", &source, "--to", &target, "--master-key-file", &other]);
    moved.ok();
}
