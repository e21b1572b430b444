//! From where callers may call: lists of a workspace at an API, over real sockets from several addresses of this machine.
use crate::support::{Actor, Answer, Conn, Setup, Site, eventually, tag};
use std::net::SocketAddr;
use std::ops::Deref;

/// `{upstream}` stands for the upstream's address, `{rows}` for what is said about networks.
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
id = "till"
dialect = "standard"
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/till/*"
{rows}
"#;

/// The rule as vendors state it, with addresses that this machine has: the first lets 127.0.1.0 to 127.0.1.255 in, the
/// second only itself.
pub(crate) const TWO: &str = "allow = [\"127.0.1.3/24\", \"127.0.2.2\"]";

/// A gateway with callers of two workspaces.
pub(crate) struct Shop {
    site: Site,
    pub(crate) acme: Actor,
    pub(crate) page: Actor,
    other: Actor,
    till: Actor,
}

/// What is said about networks of a workspace at an API.
pub(crate) fn row(workspace: &str, api: &str, network: &str) -> String {
    format!("\n[[policy]]\nworkspace = \"{workspace}\"\napi = \"{api}\"\nnetwork = {{ {network} }}\n")
}

impl Deref for Shop {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Shop {
    pub(crate) fn open(rows: &str) -> Shop {
        Shop::with(rows, |setup| setup)
    }

    pub(crate) fn with(rows: &str, change: impl FnOnce(Setup) -> Setup) -> Shop {
        let mut site = Site::prepare(POLICY, &[("rows", rows)], change);
        let gateway = &mut site.gateway;
        let acme = gateway.actor("acme", "server", &[]);
        let page = gateway.actor("acme", "client", &["--origin", "https://shop.example"]);
        let other = gateway.actor("other", "server", &[]);
        let till = gateway.actor("acme", "server", &["--dialect", "standard"]);
        gateway.start();
        Shop { site, acme, page, other, till }
    }

    /// The policy with other rows.
    pub(crate) fn written(&self, rows: &str) -> String {
        self.policy(&[("rows", rows)])
    }

    pub(crate) fn apply(&self, rows: &str) {
        self.gateway.apply(&self.written(rows)).ok();
        self.gateway.obeys_all();
    }

    /// One request from an address of this machine.
    #[track_caller]
    pub(crate) fn from(&self, source: &str, request: &str) -> Answer {
        from(source, self.gateway.address("plain"), request)
    }

    /// Whether a request gets in; whatever does not must be refused for its address, by a rule that stands there.
    #[track_caller]
    fn lets_in(&self, source: &str, request: &str, stands: &str) -> bool {
        let answer = self.from(source, request);
        let event = self.gateway.event(answer.id());
        assert_eq!(event["client"], source, "{event}");
        if answer.status == 200 {
            return true;
        }
        answer.expect(403, "network_denied");
        assert_eq!((&event["rule"], &event["policy"]), (&"network".into(), &stands.into()), "{event}");
        assert_eq!(event["detail"], "network-foreign", "{event}");
        false
    }
}

#[track_caller]
pub(crate) fn from(source: &str, to: SocketAddr, request: &str) -> Answer {
    Conn::from_address(source, to).expect_serves(request)
}

/// SXFF-4: host bits are masked, and one address is only itself. Other workspaces, other APIs, and callers without a
/// credential are not meant.
#[test]
fn the_two_address_example() {
    let shop = Shop::open(&row("acme", "shop", TWO));
    let acme = shop.acme.get("/v1/x");
    for source in ["127.0.1.0", "127.0.1.3", "127.0.1.77", "127.0.1.254", "127.0.2.2"] {
        assert!(shop.lets_in(source, &acme, ""), "{source}");
        assert!(shop.lets_in(source, &shop.page.get("/client/v1/x"), ""), "{source}");
    }
    for source in
        ["127.0.0.1", "127.0.0.255", "127.0.2.0", "127.0.2.1", "127.0.2.3", "127.1.1.3", "127.255.255.254"]
    {
        assert!(!shop.lets_in(source, &acme, "acme/shop"), "{source}");
        assert!(!shop.lets_in(source, &shop.page.get("/client/v1/x"), "acme/shop"), "{source}");
        for meant in [&shop.other.get("/v1/x"), &shop.till.get("/till/x")] {
            assert!(shop.lets_in(source, meant, ""), "{source}");
        }
        assert_eq!(shop.from(source, "GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
        // Who is not proved learns nothing about lists.
        let wrong = shop.acme.with_secret(&format!("dws_{}", "x".repeat(40)));
        shop.from(source, &wrong.get("/v1/x")).expect(401, "credential_invalid");
    }
    // What was refused did not arrive.
    let tag = tag();
    assert!(!shop.lets_in("127.0.0.1", &shop.acme.get(&format!("/v1/{tag}")), "acme/shop"));
    assert!(shop.upstream.seen(&tag).is_empty());
}

/// The caller is told its address and what to do, in the API's own shape.
#[test]
fn a_refusal_says_what_was_judged() {
    let shop = Shop::open(&(row("acme", "till", TWO) + &row("acme", "shop", TWO)));
    let answer = shop.from("127.0.0.1", &shop.till.get("/till/x"));
    answer.expect(403, "network_denied");
    let problem = answer.json();
    assert!(problem["detail"].as_str().is_some_and(|told| told.contains("127.0.0.1")), "{problem}");
    let answer = shop.from("127.0.0.1", &shop.acme.get("/v1/x"));
    answer.expect(403, "network_denied");
    assert_eq!(answer.json()["code"], 403, "{answer:?}");
}

/// Off lets everybody in, observe lets in and tells, enforce refuses; on and empty refuses all.
#[test]
fn modes_and_empty_lists() {
    let shop = Shop::open("");
    let get = shop.acme.get("/v1/x");
    let would_refuse = |source: &str| {
        let answer = shop.from(source, &get);
        answer.expect_ok();
        shop.gateway.event(answer.id())["would_refuse"].clone()
    };
    for (network, inside, outside) in [
        ("mode = \"off\", allow = [\"127.0.1.0/24\"]", None, None),
        ("mode = \"off\", allow = []", None, None),
        ("mode = \"observe\", allow = [\"127.0.1.0/24\"]", None, Some("observe")),
        ("mode = \"observe\", allow = []", Some("observe"), Some("observe")),
        ("mode = \"enforce\", allow = [\"127.0.1.0/24\"]", None, Some("enforce")),
        ("allow = [\"127.0.1.0/24\"]", None, Some("enforce")),
        ("allow = []", Some("enforce"), Some("enforce")),
        ("allow = [\"0.0.0.0/0\"]", None, None),
        ("allow = [\"::ffff:127.0.1.7/120\"]", None, Some("enforce")),
        // Nobody who comes over IPv4 has an IPv6 address, whatever it maps to.
        ("allow = [\"::/0\"]", Some("enforce"), Some("enforce")),
        ("allow = [\"2002:7f00:107::/48\", \"64:ff9b::7f00:107\"]", Some("enforce"), Some("enforce")),
    ] {
        shop.apply(&row("acme", "shop", network));
        for (source, want) in [("127.0.1.7", inside), ("127.0.2.7", outside)] {
            match want {
                Some("enforce") => assert!(!shop.lets_in(source, &get, "acme/shop"), "{network} {source}"),
                Some(_) => {
                    assert_eq!(would_refuse(source), serde_json::json!(["network"]), "{network} {source}")
                }
                None => assert!(would_refuse(source).is_null(), "{network} {source}"),
            }
        }
    }
}

/// Case 28: a list that is changed is obeyed on connections that are open already, and soon.
#[test]
fn a_changed_list_is_obeyed_soon() {
    let shop = Shop::open(&row("acme", "shop", TWO));
    let get = shop.acme.get("/v1/x");
    let mut connection = Conn::from_address("127.0.1.7", shop.gateway.address("plain"));
    connection.expect_serves(&get).expect_ok();
    shop.gateway.apply(&shop.written(&row("acme", "shop", "allow = [\"127.0.2.2\"]"))).ok();
    eventually("the list to be obeyed", || connection.expect_serves(&get).code() == "network_denied");
    assert!(shop.lets_in("127.0.2.2", &get, ""));
    shop.gateway.apply(&shop.written("")).ok();
    eventually("the list to be gone", || connection.expect_serves(&get).status == 200);
}

/// Everything that is wrong is told with its line, and nothing is written.
#[test]
fn what_is_no_network_is_refused_with_its_line() {
    let shop = Shop::open(&row("acme", "shop", TWO));
    let bad = "allow = [\"10.0.0.0/33\", \"010.0.0.1\", \"fe80::1%eth0\", \"[::1]\", \"10.0.0.1:80\", \"0x0a000001\", \
               \"167772161\", \"10.0.0.0/255.0.0.0\", \"::ffff:10.0.0.1/24\", \"10.0.0.1-10.0.0.9\", \"localhost\", \"\"]";
    let run = shop.gateway.apply(&shop.written(&row("acme", "shop", bad)));
    assert_eq!(run.code, 1, "{run:?}");
    for (n, why) in [
        "IPv4 ends at /32",
        "begin with 0",
        "has a zone",
        "has brackets",
        "has a port",
        "four decimal numbers",
        "four decimal numbers",
        "has a mask",
        "is an IPv4 address in IPv6",
        "is a range",
        "is not a network",
        "is not a network",
    ]
    .iter()
    .enumerate()
    {
        let place = format!("policy[0].network.allow[{n}]: ");
        let line = run.stderr.lines().find(|line| line.contains(&place));
        assert!(
            line.is_some_and(|line| line.contains("line ") && line.contains(why)),
            "{place}{why}: {run:?}"
        );
    }
    for (row, why) in [
        (row("acme", "shop", "mode = \"on\", allow = []"), "none of off, observe, enforce"),
        (row("acme", "shop", "mode = \"enforce\""), "`allow` is missing"),
        (row("acme", "shop", "allow = [], deny = [\"10.0.0.1\"]"), "no such setting"),
        (row("acme", "shop", "allow = \"10.0.0.1\""), "expected a list"),
    ] {
        let run = shop.gateway.apply(&shop.written(&row));
        assert!(run.code == 1 && run.said().contains(why), "{row}: {run:?}");
    }
    shop.gateway.obeys_all();
    assert!(!shop.lets_in("127.0.0.1", &shop.acme.get("/v1/x"), "acme/shop"), "nothing was written");
}
