//! How soon a token is refused at every node, whichever way it was killed, while callers go on using it.
use crate::feed::{Spread, figures, is_proof};
use crate::support::{
    Actor, Conn, DEADLINE, Gateway, HOST, ISSUER, OAUTH_POLICY, Office, Setup, Upstream, basic,
    number_of_trials,
};
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// How soon every node has to refuse, where time counts; and in the midst of all other tests.
const REFUSED: Duration = Duration::from_secs(1);
const REFUSED_WHEN_BUSY: Duration = Duration::from_secs(5);
/// Between two requests to one node: 500 a second to both.
const PACE: Duration = Duration::from_millis(4);

const API: &str = r#"
[[api]]
id = "orders"
dialect = "standard"
schemes = ["bearer"]
upstream = { production = "http://{upstream}" }
[[api.route]]
path = "/orders/*"
"#;

/// The ways to kill a token.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Its client gives it up.
    Endpoint,
    /// An operator revokes it.
    ByName,
    /// An operator revokes all of the credential's.
    All,
    Block,
    Delete,
    /// A new secret for the credential, and no token of the old one.
    NewSecret,
}

impl Way {
    const ALL: [Way; 6] = [Way::Endpoint, Way::ByName, Way::All, Way::Block, Way::Delete, Way::NewSecret];

    fn kill(self, office: &Office, client: &Actor, token: &str) {
        let id = client.id.as_str();
        let words: &[&str] = match self {
            Way::Endpoint => {
                let answer = office.post("/oauth/revoke", &basic(client), &[("token", token)]);
                assert_eq!(answer.status, 200, "{answer:?}");
                return;
            }
            Way::ByName => {
                let jti = office.opened(token).1["jti"].as_str().expect("a name").to_owned();
                office.gateway.command(&["token", "revoke", "--jti", &jti]).ok();
                return;
            }
            Way::All => &["token", "revoke", "--credential", id],
            Way::Block => &["credential", "block", id],
            Way::Delete => &["credential", "delete", id],
            Way::NewSecret => &["credential", "regenerate", id, "--revoke-tokens"],
        };
        office.gateway.command(words).ok();
    }
}

/// What a stream of requests to one node has seen of the token it uses.
#[derive(Default)]
struct Seen {
    /// Which token: they are counted.
    number: usize,
    token: String,
    accepted: usize,
    last_accepted: Option<Instant>,
    refused: Option<String>,
    over: bool,
}

#[derive(Default)]
struct Stream {
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Stream {
    /// Uses the token of the moment, again and again.
    fn run(&self, node: SocketAddr) {
        let mut connection = Conn::open(node);
        loop {
            let started = Instant::now();
            let (number, request) = {
                let seen = self.seen.lock().expect("no thread panics with it");
                if seen.over {
                    return;
                }
                let lines = format!("Authorization: Bearer {}\r\n", seen.token);
                (seen.number, format!("GET /orders/1 HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"))
            };
            if number > 0 {
                let answer = connection.send(request).answer();
                let at = Instant::now();
                if answer.closes() {
                    connection = Conn::open(node);
                }
                let mut seen = self.seen.lock().expect("no thread panics with it");
                if seen.number == number {
                    if answer.status == 200 {
                        (seen.accepted, seen.last_accepted) = (seen.accepted + 1, Some(at));
                        seen.refused = None;
                    } else {
                        seen.refused.get_or_insert_with(|| format!("{} {}", answer.status, answer.code()));
                    }
                    self.changed.notify_all();
                }
            }
            std::thread::sleep(PACE.saturating_sub(started.elapsed()));
        }
    }

    fn use_from_now_on(&self, number: usize, token: &str) {
        *self.seen.lock().expect("no thread panics with it") =
            Seen { number, token: token.to_owned(), ..Seen::default() };
    }

    #[track_caller]
    fn wait_until<T>(&self, what: &str, found: impl Fn(&Seen) -> Option<T>) -> T {
        let seen = self.seen.lock().expect("no thread panics with it");
        let not_yet = |seen: &mut Seen| found(seen).is_none();
        let (seen, late) =
            self.changed.wait_timeout_while(seen, DEADLINE, not_yet).expect("no thread panics with it");
        assert!(!late.timed_out(), "{what}: {} accepted, refused: {:?}", seen.accepted, seen.refused);
        found(&seen).expect("it was waited for")
    }

    fn end(&self) {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).over = true;
    }
}

/// Ends the streams, however a test ends.
struct Ending<'a>(&'a [Stream]);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(Stream::end);
    }
}

/// Both nodes, however the token is killed: within a second, and never again.
#[test]
fn a_killed_token_is_refused_at_every_node() {
    let upstream = Upstream::start();
    let policy = format!("{OAUTH_POLICY}{}", API.replace("{upstream}", &upstream.address.to_string()));
    let office = Office::with(|setup| setup.policy(policy));
    let mut other =
        Setup::beside(&office.gateway).set("tokens", "issuer", format!("{:?}", ISSUER)).prepare_unchecked();
    other.start();
    let nodes: [&Gateway; 2] = [&office.gateway, &other];
    let streams: [Stream; 2] = Default::default();
    let trials = number_of_trials(2);
    let bound = if is_proof() { REFUSED } else { REFUSED_WHEN_BUSY };
    std::thread::scope(|scope| {
        for (stream, node) in streams.iter().zip(nodes) {
            let address = node.address("plain");
            scope.spawn(move || stream.run(address));
        }
        let _ending = Ending(&streams);
        let mut number = 0;
        for way in Way::ALL {
            let mut took = Vec::new();
            let mut client = office.hire("live", "oauth_client", &[]);
            for _ in 0..trials {
                number += 1;
                let token = office.given(&client, &[]);
                streams.iter().for_each(|stream| stream.use_from_now_on(number, &token));
                for stream in &streams {
                    stream.wait_until("it is taken at first", |seen| (seen.accepted > 1).then_some(()));
                }
                way.kill(&office, &client, &token);
                let killed = Instant::now();
                for stream in &streams {
                    let why = stream.wait_until("it is refused in the end", |seen| seen.refused.clone());
                    let fits = match way {
                        Way::Block => why == "401 credential_blocked",
                        _ => why == "401 token_revoked" || why == "401 token_invalid",
                    };
                    assert!(fits, "{way:?}: {why}");
                }
                for stream in &streams {
                    let last = stream.wait_until("it was taken", |seen| seen.last_accepted);
                    took.push(last.saturating_duration_since(killed));
                }
                match way {
                    Way::Block => {
                        office.gateway.command(&["credential", "unblock", &client.id]).ok();
                        nodes.iter().for_each(|node| node.obeys_all());
                    }
                    Way::Delete | Way::NewSecret => {
                        client = office.hire("live", "oauth_client", &[]);
                        other.obeys_all();
                    }
                    Way::Endpoint | Way::ByName | Way::All => nodes.iter().for_each(|node| node.obeys_all()),
                }
            }
            let spread = Spread::of(took);
            figures(format_args!("{way:?}, {trials} times: the last acceptance after the 2xx: {spread}"));
            assert!(spread.longest() <= bound, "{way:?}: {spread}");
        }
    });
}
