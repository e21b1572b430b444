//! What tokens that are alive cost a node that has seen every one of them.
use crate::bulk::resident_mib;
use crate::feed::{figures, is_proof};
use crate::support::{HOST, OAUTH_POLICY, Office, Upstream, basic, number_of_trials, post};

/// What 100,000 tokens may take, in MiB.
const MOST_MIB: u64 = 64;
/// Connections that ask at once, so that each core meets tokens.
const CONNECTIONS: u64 = 32;

const API: &str = r#"
[[api]]
id = "orders"
dialect = "standard"
schemes = ["bearer"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/orders/*"
"#;

#[test]
fn many_live_tokens_take_little() {
    let upstream = Upstream::start();
    let policy = format!("{OAUTH_POLICY}{}", API.replace("{upstream}", &upstream.address.to_string()));
    let office = Office::with(|setup| setup.policy(policy));
    let Office { gateway, client } = &office;
    let each = number_of_trials(320).div_ceil(CONNECTIONS);
    let request = post("/oauth/token", &basic(client), &[("grant_type", "client_credentials")]);
    let use_them = |tokens: u64| {
        let one = || {
            let (mut desk, mut api) = (gateway.connect(), gateway.connect());
            for _ in 0..tokens {
                let given = desk.send(&request).answer();
                assert_eq!(given.status, 200, "{given:?}");
                let token = given.json()["access_token"].as_str().expect("a token").to_owned();
                let lines = format!("Host: {HOST}\r\nAuthorization: Bearer {token}\r\n");
                let answer = api.send(format!("GET /orders/1 HTTP/1.1\r\n{lines}\r\n")).answer();
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        };
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one)).collect();
            all.into_iter().for_each(|one| one.join().expect("a thread"));
        });
    };
    // Buffers, connections and whatever else is made once.
    use_them(2);
    let before = resident_mib(gateway.pid());
    use_them(each);
    let (after, tokens) = (resident_mib(gateway.pid()), each * CONNECTIONS);
    figures(format_args!("{tokens} live tokens, each used: {before} MiB before, {after} MiB after"));
    if is_proof() {
        assert!(after.saturating_sub(before) <= MOST_MIB * tokens.div_ceil(100_000), "{before} {after}");
    }
    assert_eq!(gateway.command(&["token", "list", "--json", "--limit", "3"]).ok().stdout.lines().count(), 3);
}
