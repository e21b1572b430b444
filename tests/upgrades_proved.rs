//! Connections that change their protocol, for callers that prove themselves with a token or a signature instead of a key.
use crate::support::{Actor, Answer, Conn, Gateway, ISSUER, Setup, bearer, eventually};
use crate::upgrades::{ASK, After, Peer, SWITCH};
use std::time::{Duration, Instant};

const POLICY: &str = r#"
[[workspace]]
id = "live"
environment = "production"

[[api]]
id = "tokens"
dialect = "standard"
schemes = ["bearer"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/token/*"
upgrades = ["websocket"]

[[api]]
id = "signed"
dialect = "antavo"
names = ["antavo", "aws4"]
schemes = ["escher"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/signed/*"
upgrades = ["websocket"]
"#;

/// A node asks once a second whether a connection may go on; so long may it take in the midst of all other tests.
const SOON: Duration = Duration::from_secs(5);

struct House {
    gateway: Gateway,
    peer: Peer,
}

impl House {
    fn new() -> House {
        let peer = Peer::start(SWITCH, After::Echo);
        let policy = POLICY.replace("{upstream}", &peer.address.to_string());
        let setup = Setup::new().policy(policy).set("tokens", "issuer", format!("{ISSUER:?}"));
        let mut gateway = setup.prepare();
        gateway.start();
        House { gateway, peer }
    }

    fn hire(&self, dialect: &str) -> Actor {
        self.gateway.actor("live", "server", &["--dialect", dialect])
    }

    fn token(&self, actor: &Actor, more: &[&str]) -> String {
        let issue = ["token", "issue", "--id", actor.id.as_str()];
        self.gateway.command(&[&issue, more].concat()).ok().stdout.trim().to_owned()
    }

    /// Asks until the node knows the caller; a connection that has changed its protocol, and says back what it is told.
    fn open(&self, mut request: impl FnMut() -> String) -> Tunnel {
        let mut opened = None;
        eventually("the connection to change its protocol", || {
            let mut connection = self.gateway.connect();
            connection.send(request());
            let head = connection.inbox.head().expect("an answer");
            let status = head.word(1).parse().expect("a status");
            let answer = Answer { status, head, ..Answer::default() };
            assert!([101, 401].contains(&status), "{answer:?}");
            opened = (status == 101).then(|| Tunnel { connection, id: answer.id().to_owned() });
            opened.is_some()
        });
        let mut tunnel = opened.expect("it was waited for");
        tunnel.echo();
        tunnel
    }

    fn heads(&self) -> Vec<String> {
        self.peer.heads.lock().expect("no test panics here").clone()
    }
}

struct Tunnel {
    connection: Conn,
    id: String,
}

impl Tunnel {
    fn echo(&mut self) {
        self.connection.send("hello");
        assert_eq!(self.connection.inbox.exactly(5).expect("an echo"), b"hello");
    }

    /// It goes on although it is asked about more than once.
    fn goes_on(&mut self) {
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(2_500) {
            self.echo();
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asserts that it is cut soon after something was done, visibly, and says why.
    #[track_caller]
    fn expect_cut(mut self, house: &House, what: &str, code: &str) {
        let started = Instant::now();
        assert!(self.connection.inbox.rest().is_err(), "{what}: it does not end as if it were whole");
        let took = started.elapsed();
        println!("figures: upgrades, {what}: cut after {} ms", took.as_millis());
        assert!(took < SOON, "{what}: {took:?}");
        let event = house.gateway.event(&self.id);
        let told = (event["code"].as_str(), event["detail"].as_str());
        assert_eq!(told, (Some(code), Some("upgraded-refused")), "{what}: {event}");
    }
}

/// Case 36: a token opens it, and the end of the token is its end.
#[test]
fn a_token_opens_it_and_ends_with_it() {
    let house = House::new();
    let actor = house.hire("standard");
    let ask = |token: &str| bearer("GET", "/token/x", token, ASK);
    let (first, second) = (house.token(&actor, &[]), house.token(&actor, &[]));
    let (mut one, mut two) = (house.open(|| ask(&first)), house.open(|| ask(&second)));
    let heads = house.heads();
    let head = heads.last().expect("it arrived");
    assert!(head.contains(&format!("doorward-credential: {}\r\n", actor.id.to_lowercase())), "{head}");
    assert!(
        head.contains("doorward-scheme: bearer\r\n") && head.contains("\r\nupgrade: websocket\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nsec-websocket-key: k\r\n") && !head.contains("authorization"), "{head}");
    two.goes_on();
    one.echo();
    // One of them is revoked, then their credential is blocked.
    let file = house.gateway.folder.write("token", &first);
    house.gateway.command(&["token", "revoke", "--token-file", &file]).ok();
    one.expect_cut(&house, "a token that was revoked", "token_revoked");
    two.echo();
    house.gateway.command(&["credential", "block", &actor.id]).ok();
    two.expect_cut(&house, "a token whose credential was blocked", "credential_blocked");
    // Neither opens another one.
    let before = house.heads().len();
    for token in [&first, &second] {
        assert_eq!(house.gateway.ask(ask(token)).status, 401);
    }
    assert_eq!(house.heads().len(), before, "nothing of it reached the upstream");
}

/// Case 36: a signature opens it once, and says nothing about how long; its credential does.
#[test]
fn a_signature_opens_it_and_its_credential_ends_it() {
    let house = House::new();
    for dialect in ["antavo", "aws4"] {
        let actor = house.hire(dialect);
        let ask = || {
            let signed = actor.signed("GET", "/signed/x").signing("Sec-WebSocket-Key", "k");
            signed
                .field("Sec-WebSocket-Extensions", "unsigned")
                .head("Connection: Upgrade\r\nUpgrade: websocket\r\n")
        };
        let mut sent = String::new();
        let mut tunnel = house.open(|| {
            sent = ask();
            sent.clone()
        });
        let heads = house.heads();
        let head = heads.last().expect("it arrived");
        assert!(head.contains(&format!("doorward-credential: {}\r\n", actor.id.to_lowercase())), "{head}");
        assert!(
            head.contains("doorward-scheme: escher\r\n") && head.contains("\r\nupgrade: websocket\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nsec-websocket-key: k\r\n") && !head.contains("unsigned"), "{head}");
        assert!(!head.contains("authorization"), "{head}");
        tunnel.goes_on();
        // The same bytes again open nothing, nor does what nobody signed.
        let before = house.heads().len();
        house.gateway.ask(&sent).expect(401, "signature_replayed");
        let forged = ask().replace("Sec-WebSocket-Key: k", "Sec-WebSocket-Key: l");
        house.gateway.ask(forged).expect(401, "signature_invalid");
        assert_eq!(house.heads().len(), before, "nothing of it reached the upstream");
        tunnel.echo();
        house.gateway.command(&["credential", "block", &actor.id]).ok();
        tunnel.expect_cut(&house, "a signature whose credential was blocked", "credential_blocked");
    }
}
