//! Lists of networks that credentials have of their own: besides what policies say, for their tokens too.
use crate::network::{Shop, TWO, row};
use crate::support::{
    Conn, Gateway, OAUTH_POLICY, Office, TokenWorld, basic, bearer, eventually, post, rows,
};

/// Sets or clears a list, and waits until it is obeyed.
fn network(gateway: &Gateway, words: &[&str]) {
    gateway.command(&[&["credential", "network"], words].concat()).ok();
    gateway.obeys_all();
}

/// The API's list is asked first, then the credential's; both must let the caller in.
#[test]
fn both_lists_have_to_let_a_caller_in() {
    let shop = Shop::open(&row("acme", "shop", TWO));
    let id = shop.acme.id.as_str();
    let get = shop.acme.get("/v1/x");
    let judged = |source: &str| {
        let answer = shop.from(source, &get);
        let event = shop.gateway.event(answer.id());
        match answer.status {
            200 => "in".to_owned(),
            _ => {
                answer.expect(403, "network_denied");
                assert_eq!(event["rule"], "network", "{event}");
                event["policy"].as_str().unwrap_or_default().to_owned()
            }
        }
    };
    network(&shop.gateway, &["set", id, "--network", "127.0.1.128/25", "--network", "127.0.3.1"]);
    for (source, want) in [
        ("127.0.1.200", "in"),
        ("127.0.1.7", "credential"),
        ("127.0.2.2", "credential"),
        ("127.0.3.1", "acme/shop"),
        ("127.0.0.1", "acme/shop"),
    ] {
        assert_eq!(judged(source), want, "{source}");
    }
    // What the API only watches, the credential's own list still refuses.
    shop.apply(&row("acme", "shop", &format!("mode = \"observe\", {TWO}")));
    assert_eq!((judged("127.0.3.1").as_str(), judged("127.0.2.2").as_str()), ("in", "credential"));
    shop.apply("");
    assert_eq!((judged("127.0.3.1").as_str(), judged("127.0.2.2").as_str()), ("in", "credential"));
    // The list is one credential's alone.
    shop.from("127.0.2.2", &shop.page.get("/client/v1/x")).expect_ok();
    network(&shop.gateway, &["clear", id]);
    assert_eq!(judged("127.0.2.2"), "in");
}

/// Case 28: a list that is set is obeyed on open connections as soon as a block is.
#[test]
fn a_list_is_obeyed_soon() {
    let shop = Shop::open("");
    let get = shop.acme.get("/v1/x");
    let mut connection = Conn::from_address("127.0.1.7", shop.gateway.address("plain"));
    connection.expect_serves(&get).expect_ok();
    let words = ["credential", "network", "set", &shop.acme.id, "--network", "127.0.2.2"];
    shop.gateway.command(&words).ok();
    eventually("the list to be obeyed", || connection.expect_serves(&get).code() == "network_denied");
    shop.gateway.command(&["credential", "network", "clear", &shop.acme.id]).ok();
    eventually("the list to be gone", || connection.expect_serves(&get).status == 200);
}

/// Tokens are used from where their credential may be, also those that were given before, and those that a core has seen
/// already (case 15).
#[test]
fn tokens_obey_their_credentials_list() {
    let world = TokenWorld::new();
    let gateway = &world.gateway;
    let token = world.token("standard");
    let get = bearer("GET", "/t/x", &token, "");
    let from = |source: &str| Conn::from_address(source, gateway.address("plain")).expect_serves(&get);
    world.settled("/t/x", &token);
    from("127.0.1.7").expect_ok();
    network(gateway, &["set", &world.of("standard").id, "--network", "127.0.1.0/24"]);
    for _ in 0..8 {
        from("127.0.1.7").expect_ok();
        let refused = from("127.0.0.1");
        refused.expect(403, "network_denied");
        let event = gateway.event(refused.id());
        assert_eq!((&event["scheme"], &event["policy"]), (&"bearer".into(), &"credential".into()), "{event}");
    }
}

/// Clients that prove themselves at a token endpoint are held to both lists there.
#[test]
fn token_endpoints_obey_lists() {
    let office = Office::open();
    let (gateway, client) = (&office.gateway, &office.client);
    let form = [("grant_type", "client_credentials")];
    let ask = |source: &str| {
        let request = post("/oauth/token", &basic(client), &form);
        Conn::from_address(source, gateway.address("plain")).expect_serves(&request)
    };
    let expect_refused = |source: &str| {
        let answer = ask(source);
        answer.expect(403, "network_denied");
        assert_eq!(answer.json()["error"], "access_denied");
        let event = gateway.event(answer.id());
        assert_eq!(
            (&event["rule"], &event["credential"]),
            (&"network".into(), &client.id.as_str().into()),
            "{event}"
        );
    };
    network(gateway, &["set", &client.id, "--network", "127.0.1.0/24"]);
    ask("127.0.1.7").expect_ok();
    expect_refused("127.0.0.1");
    network(gateway, &["clear", &client.id]);
    ask("127.0.0.1").expect_ok();
    let policy = OAUTH_POLICY.to_owned() + &row("live", "oauth", "allow = [\"127.0.1.0/24\"]");
    gateway.apply(&policy).ok();
    gateway.obeys_all();
    ask("127.0.1.7").expect_ok();
    expect_refused("127.0.0.1");
    let observed = policy.replace("network = {", "network = { mode = \"observe\",");
    gateway.apply(&observed).ok();
    gateway.obeys_all();
    ask("127.0.0.1").expect_ok();
}

/// Lists are made with credentials, shown, written out and read in again.
#[test]
fn lists_are_shown_and_travel() {
    let shop = Shop::open("");
    let gateway = &shop.gateway;
    let words = [
        "--workspace",
        "acme",
        "--kind",
        "server",
        "--network",
        "192.168.0.3/24",
        "--network",
        "::ffff:10.0.0.1",
        "--network",
        "192.168.0.7",
    ];
    let made = gateway.create(&words).remove(0);
    let want = serde_json::json!(["10.0.0.1", "192.168.0.0/24"]);
    assert_eq!(made["networks"], want, "{made}");
    let id = made["id"].as_str().expect("an id");
    assert_eq!(gateway.show(id)["networks"], want);
    let card = gateway.command(&["credential", "show", id]).ok().stdout;
    assert!(card.contains("networks   10.0.0.1 192.168.0.0/24"), "{card}");
    assert!(gateway.show(&shop.acme.id)["networks"].is_null());
    let listed = rows(&gateway.command(&["credential", "list", "--json"]).ok().stdout);
    let listed = listed.iter().find(|c| c["id"] == id).expect("it is listed");
    assert_eq!(listed["networks"], want);
    // Into another installation.
    let there = Shop::open("");
    let import = |networks: Option<serde_json::Value>| {
        let mut line = made.clone();
        match networks {
            Some(networks) => line["networks"] = networks,
            None => drop(line.as_object_mut().expect("an object").remove("networks")),
        }
        let file = there.gateway.folder.write("import.jsonl", &line.to_string());
        there.gateway.command(&["credential", "import", "-f", &file])
    };
    import(Some(want.clone())).ok();
    assert_eq!(there.gateway.show(id)["networks"], want);
    let same = import(Some(serde_json::json!(["192.168.0.0/25", "192.168.0.128/25", "10.0.0.1/32"])));
    assert!(same.ok().stdout.contains("1 were there already"), "the same addresses are the same list");
    for other in [None, Some(serde_json::json!([])), Some(serde_json::json!(["10.0.0.1"]))] {
        let run = import(other.clone());
        assert!(
            run.code == 1 && run.said().contains("not the same: role, networks, limit"),
            "{other:?}: {run:?}"
        );
    }
    // An empty list lets nobody in.
    let mut closed = made.clone();
    closed["networks"] = serde_json::json!([]);
    closed["id"] = "closed-to-all".into();
    let file = there.gateway.folder.write("closed.jsonl", &closed.to_string());
    there.gateway.command(&["credential", "import", "-f", &file]).ok();
    assert_eq!(there.gateway.show("closed-to-all")["networks"], serde_json::json!([]));
    let card = there.gateway.command(&["credential", "show", "closed-to-all"]).ok().stdout;
    assert!(card.contains("can't be used from anywhere"), "{card}");
    there.gateway.obeys_all();
    let actor = crate::support::Actor::from_row(&closed);
    there.from("127.0.0.1", &actor.get("/v1/x")).expect(403, "network_denied");
}

/// Whatever is wrong is told, and nothing is written.
#[test]
fn mistakes_are_told_and_nothing_is_written() {
    let shop = Shop::open("");
    let (gateway, id) = (&shop.gateway, shop.acme.id.as_str());
    network(gateway, &["set", id, "--network", "127.0.0.1"]);
    let before = gateway.show(id);
    let set = |networks: &[&str]| {
        let words: Vec<&str> = networks.iter().flat_map(|network| ["--network", *network]).collect();
        gateway.command(&[&["credential", "network", "set", id], &words[..]].concat())
    };
    let run = set(&["10.0.0.0/33", "127.0.0.2", "010.0.0.1"]);
    assert!(
        run.code == 1 && run.said().contains("IPv4 ends at /32") && run.said().contains("begin with 0"),
        "{run:?}"
    );
    let many: Vec<String> = (0..1_001).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
    let run = set(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(run.code == 1 && run.said().contains("1000 are possible"), "{run:?}");
    assert_eq!(set(&[]).code, 2, "a list of nobody is a block");
    let run = gateway.command(&["credential", "network", "set", "nobody", "--network", "127.0.0.1"]);
    assert!(run.code == 1 && run.said().contains("there is no credential `nobody`"), "{run:?}");
    let run = gateway.command(&["credential", "network", "clear", "nobody"]);
    assert_eq!(run.code, 1, "{run:?}");
    let run = gateway.command(&[
        "credential",
        "create",
        "--workspace",
        "acme",
        "--kind",
        "server",
        "--network",
        "[::1]",
    ]);
    assert!(run.code == 1 && run.said().contains("has brackets"), "{run:?}");
    assert_eq!(gateway.show(id), before);
    // The module stays on while somebody needs it, and is on before somebody does.
    let policy = |modules: &str| {
        let text = shop.written("");
        text.replacen("id = \"acme\"\n", &format!("id = \"acme\"\n{modules}\n"), 1)
    };
    let off = policy("modules = [\"client_side\"]");
    let run = gateway.apply(&off);
    assert!(run.code == 1 && run.said().contains("the module `network` can't be off"), "{run:?}");
    network(gateway, &["clear", id]);
    gateway.apply(&off).ok();
    let run = set(&["127.0.0.1"]);
    assert!(
        run.code == 1 && run.said().contains("the module `network` of workspace `acme` is off"),
        "{run:?}"
    );
    let run = gateway.command(&[
        "credential",
        "create",
        "--workspace",
        "acme",
        "--kind",
        "server",
        "--network",
        "::1",
    ]);
    assert!(run.code == 1 && run.said().contains("is off"), "{run:?}");
    gateway.apply(&policy("")).ok();
    set(&["127.0.0.1"]).ok();
}
