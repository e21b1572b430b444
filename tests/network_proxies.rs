//! Lists of networks behind proxies: the real caller is judged, and whoever can't be told is nobody (SXFF, case 13).
use crate::network::{Shop, TWO, from, row};
use crate::support::{Gateway, Nginx, Setup, eventually};

fn trusting(setup: Setup, networks: &str) -> Setup {
    setup.set("trusted_proxies", "networks", networks)
}

/// nginx in front, as a trusted proxy: each caller is judged by its own address, whatever it writes itself.
#[test]
fn behind_a_trusted_nginx_the_real_caller_counts() {
    let shop = Shop::with(&row("acme", "shop", TWO), |s| trusting(s, &format!("[{:?}]", Nginx::ADDRESS)));
    let Some(nginx) =
        Nginx::before("behind_a_trusted_nginx_the_real_caller_counts", shop.gateway.address("plain"))
    else {
        return;
    };
    for lines in [
        "",
        "X-Forwarded-For: 127.0.1.3\r\n",
        "X-Forwarded-For: 127.0.1.3, 127.0.2.2\r\nX-Forwarded-For: 127.0.1.9\r\n",
        "X-Forwarded-For: unknown\r\n",
        "X-Forwarded-For: \r\n",
        "Forwarded: for=127.0.1.3\r\nX-Real-IP: 127.0.1.3\r\nTrue-Client-IP: 127.0.1.3\r\n",
    ] {
        let get = shop.acme.request("GET", "/v1/x", lines);
        for source in ["127.0.1.0", "127.0.1.3", "127.0.1.255", "127.0.2.2"] {
            let answer = from(source, nginx.address, &get);
            answer.expect_ok();
            let event = shop.gateway.event(answer.id());
            assert_eq!(
                (&event["client"], &event["proxy"]),
                (&source.into(), &Nginx::ADDRESS.into()),
                "{lines}"
            );
        }
        for source in ["127.0.0.1", "127.0.2.1", "127.0.2.3", "127.9.9.9"] {
            let answer = from(source, nginx.address, &get);
            answer.expect(403, "network_denied");
            let event = shop.gateway.event(answer.id());
            assert_eq!((&event["client"], &event["rule"]), (&source.into(), &"network".into()), "{lines}");
        }
    }
    // nginx itself calls for nobody, and nobody is on no list.
    let answer = from(Nginx::ADDRESS, shop.gateway.address("plain"), &shop.acme.get("/v1/x"));
    answer.expect(403, "network_denied");
    assert_eq!(shop.gateway.event(answer.id())["detail"], "client-unknown");
}

/// The same nginx, of which nobody has told the gateway: everybody is nginx, and nobody is who they say.
#[test]
fn behind_an_nginx_that_is_not_trusted_everybody_is_nginx() {
    let shop = Shop::open(&row("acme", "shop", TWO));
    let name = "behind_an_nginx_that_is_not_trusted_everybody_is_nginx";
    let Some(nginx) = Nginx::before(name, shop.gateway.address("plain")) else { return };
    for source in ["127.0.1.3", "127.0.2.2", "127.0.0.1"] {
        for lines in ["", "X-Forwarded-For: 127.0.1.3\r\n"] {
            let answer = from(source, nginx.address, &shop.acme.request("GET", "/v1/x", lines));
            answer.expect(403, "network_denied");
            let event = shop.gateway.event(answer.id());
            assert_eq!(event["client"], Nginx::ADDRESS, "{event}");
            assert!(event["proxy"].is_null(), "{event}");
        }
    }
    // Whoever lists nginx lets everybody in who reaches it.
    shop.apply(&row("acme", "shop", &format!("allow = [{:?}]", Nginx::ADDRESS)));
    from("127.0.0.1", nginx.address, &shop.acme.get("/v1/x")).expect_ok();
    from("127.0.0.1", shop.gateway.address("plain"), &shop.acme.get("/v1/x")).expect(403, "network_denied");
}

/// Case 13: {peer trusted or not} x {0 to 3 lines} x {an allowed address first, in the middle, last} x {what else stands
/// there}: nobody gets in by what it wrote itself, and nobody is kept out by it.
#[test]
fn no_line_of_a_callers_own_lets_it_in() {
    let shop = Shop::with(&row("acme", "shop", "allow = [\"192.168.0.3/24\", \"192.168.1.2\"]"), |s| {
        trusting(s, "[\"127.0.0.1\", \"10.0.0.0/8\"]")
    });
    let (mut wrong_allows, mut wrong_denials, mut tried) = (0, 0, 0);
    let mut ask = |source: &str, lines: &[String], want: bool| {
        let lines: String = lines.iter().map(|line| format!("X-Forwarded-For: {line}\r\n")).collect();
        let answer = shop.from(source, &shop.acme.request("GET", "/v1/x", &lines));
        let got = match (answer.status, answer.code()) {
            (200, _) => true,
            (403, "network_denied") => false,
            _ => panic!("{lines}: {answer:?}"),
        };
        wrong_allows += usize::from(got && !want);
        wrong_denials += usize::from(!got && want);
        tried += 1;
    };
    for lines in 0..=3 {
        for spoofed in 0..(3 * lines).max(1) {
            for filler in ["198.51.100.1", "10.9.9.9", "garbage", ""] {
                let element = |at: usize| if at == spoofed { "192.168.0.255" } else { filler };
                let sent: Vec<String> =
                    (0..lines).map(|n| [0, 1, 2].map(|k| element(3 * n + k)).join(", ")).collect();
                // It connects by itself, and is not believed.
                ask("127.0.0.9", &sent, false);
                // Through a proxy that adds its address, and through two.
                for (caller, want) in [
                    ("203.0.113.66", false),
                    ("192.168.1.1", false),
                    ("192.168.1.2", true),
                    ("192.168.0.0", true),
                ] {
                    let mut through = sent.clone();
                    through.push(caller.to_owned());
                    ask("127.0.0.1", &through, want);
                    through.push("10.1.1.1".to_owned());
                    ask("127.0.0.1", &through, want);
                }
            }
        }
    }
    assert_eq!((wrong_allows, wrong_denials), (0, 0), "of {tried}");
    assert_eq!(tried, (1 + 3 + 6 + 9) * 4 * 9);
}

/// SXFF-2, SXFF-3: where a trusted proxy does not tell, or tells what can't be read, the caller is nobody. Without a rule
/// about networks it calls all the same.
#[test]
fn nobody_is_on_no_list() {
    let rows = row("acme", "shop", "allow = [\"0.0.0.0/0\", \"::/0\"]");
    let shop = Shop::with(&rows, |s| trusting(s, "[\"127.0.0.1\", \"10.0.0.0/8\"]"));
    let unknown = [
        "",
        "X-Forwarded-For: unknown\r\n",
        "X-Forwarded-For: 192.0.2.7, unknown\r\n",
        "X-Forwarded-For: 192.0.2.7, _hidden\r\n",
        "X-Forwarded-For: 192.0.2.7, 010.0.0.1\r\n",
        "X-Forwarded-For: 192.0.2.7, 0xc0000207\r\n",
        "X-Forwarded-For: 192.0.2.7, 3221225991\r\n",
        "X-Forwarded-For: 192.0.2.7, fe80::1%lo\r\n",
        "X-Forwarded-For: 192.0.2.7, [192.0.2.8]\r\n",
        "X-Forwarded-For: 192.0.2.7, ::192.0.2.8\r\n",
        "X-Forwarded-For: 192.0.2.7, \r\n",
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For:\r\n",
        "X-Forwarded-For: 10.1.1.1\r\n",
        "Forwarded: for=192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\n",
    ];
    for lines in unknown {
        let answer = shop.from("127.0.0.1", &shop.acme.request("GET", "/v1/x", lines));
        answer.expect(403, "network_denied");
        let event = shop.gateway.event(answer.id());
        assert!(event["client"].is_null() && event["proxy"] == "127.0.0.1", "{lines}: {event}");
        assert_eq!(event["detail"], "client-unknown", "{lines}");
    }
    for known in ["192.0.2.7", "[2001:db8::7]:443", "::ffff:192.0.2.7", "2002:c000:207::1", "192.0.2.7:4711"]
    {
        let lines = format!("X-Forwarded-For: {known}\r\n");
        shop.from("127.0.0.1", &shop.acme.request("GET", "/v1/x", &lines)).expect_ok();
    }
    shop.apply("");
    for lines in unknown {
        shop.from("127.0.0.1", &shop.acme.request("GET", "/v1/x", lines)).expect_ok();
    }
}

/// A rule that can't know the real caller is told at start and by `check`, and one that can is not.
#[test]
fn rules_that_cant_know_the_caller_are_told() {
    let checked = |gateway: &Gateway| gateway.command(&["check"]).ok().stdout;
    let blind =
        "warning: policy acme/shop: the network rule lets nobody in: this node listens on this machine alone";
    let rows = row("acme", "shop", "allow = [\"192.0.2.0/24\"]");
    let shop = Shop::open(&rows);
    assert!(checked(&shop.gateway).contains(blind), "{}", checked(&shop.gateway));
    let told = |text: &str| eventually(text, || shop.gateway.log().contains(text));
    told("policy acme/shop: the network rule lets nobody in: this node listens on this machine alone");
    // A policy that comes later is told as well, and a credential's list.
    shop.gateway.command(&["credential", "network", "set", &shop.acme.id, "--network", "127.0.0.0/8"]).ok();
    shop.apply(&row("acme", "shop", "mode = \"observe\", allow = []"));
    told("policy acme/shop (only observed): the network rule lets nobody in: its list is empty");
    told(&format!("credential {}: the network rule lets everybody in: this node listens", shop.acme.id));
    shop.apply("");
    let said = checked(&shop.gateway);
    assert!(
        !said.contains("policy acme/shop") && said.contains(&format!("warning: credential {}", shop.acme.id)),
        "{said}"
    );
    // With the proxy named, all is well.
    let shop = Shop::with(&rows, |s| trusting(s, "[\"127.0.0.1\"]"));
    let said = checked(&shop.gateway);
    assert!(!said.contains("warning:") && !said.contains("trusted"), "{said}");
    assert!(!shop.gateway.log().contains("the network rule"), "{}", shop.gateway.log());
    let said = checked(&Shop::with(&rows, |s| trusting(s, "[\"127.0.0.1\", \"192.0.2.0/25\"]")).gateway);
    assert!(said.contains("lists addresses of trusted proxies"), "{said}");
    let said = checked(&Shop::with(&rows, |s| s.set("listen", "plain", "\"0.0.0.0:0\"")).gateway);
    assert!(
        !said.contains("warning:") && said.contains("note: callers are judged by the address that connects"),
        "{said}"
    );
}
