//! Paths in every spelling, over real sockets, from somebody without a credential: what arrives leads nowhere else, whatever
//! reads it (case group A). Tens of thousands more are judged without sockets, beside the code.
use crate::support::{HOST, Recorder, Setup};
use random::Random;
use servers::{Place, Server, served};

#[path = "../crates/gateway/tests/spellings/generate.rs"]
mod generate;
#[path = "../crates/gateway/tests/differential/random.rs"]
#[allow(dead_code, reason = "the gateway's own tests use the rest")]
mod random;
#[path = "../crates/gateway/tests/spellings/servers.rs"]
mod servers;

const SPELLINGS: usize = 800;

const PLACES: &[Place] = &[
    Place { template: "/public/*", public: true },
    Place { template: "/public/inner/*", public: false },
    Place { template: "/files/{name}", public: true },
    Place { template: "/files/admin", public: false },
    Place { template: "/v1/*", public: false },
    Place { template: "/admin", public: false },
    Place { template: "/*", public: true },
];

#[test]
fn case_1_nothing_protected_is_reached_without_a_credential() {
    let upstream = Recorder::start();
    let mut policy = "workspace = [{ id = \"w\", environment = \"production\" }]\n".to_owned();
    for (nth, Place { template, public }) in PLACES.iter().enumerate() {
        policy.push_str(&format!(
            "[[api]]\nid = \"a{nth}\"\ndialect = \"standard\"\nupstream = {{ production = \"http://{}\" }}\n\
             route = [{{ path = \"{template}\", public = {public} }}]\n",
            upstream.address
        ));
    }
    let mut gateway = Setup::new().policy(policy).prepare();
    gateway.start();
    let mut connection = gateway.connect();
    let every: Vec<Server> = (0..Server::KINDS).map(Server::nth).collect();
    let one_trick = generate::with_one_trick();
    let step = one_trick.len() / (SPELLINGS / 2);
    let mut random = Random::new(1);
    let mut spelt = one_trick.into_iter().step_by(step);
    let (mut refused, mut asked, mut arrived) = (0, 0, 0);
    for _ in 0..SPELLINGS {
        let target = spelt.next().unwrap_or_else(|| generate::with_tricks(&mut random)).replace("HOST", HOST);
        let answer = connection.send(format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).answer();
        let reached = upstream.fresh().unwrap_or_else(|why| panic!("{target}: {why}"));
        match (answer.status, &reached[..]) {
            (200, [request]) => {
                arrived += 1;
                let path = request.target.split('?').next().unwrap_or_default();
                for server in &every {
                    let place = served(server, PLACES, path.as_bytes());
                    assert!(
                        place.is_none_or(|nth| PLACES[nth].public),
                        "{target} leads to {place:?} for {server:?}"
                    );
                }
            }
            (400, []) => refused += 1,
            (401 | 404, []) => asked += 1,
            other => panic!("{target}: {other:?}"),
        }
        if answer.closes() {
            connection = gateway.connect();
        }
    }
    gateway.expect_no_panic();
    println!(
        "figures: spellings over sockets: {SPELLINGS}, of them {refused} refused, {asked} asked for a credential, {arrived} arrived, 0 astray"
    );
    assert!(refused > SPELLINGS / 3 && arrived > 5);
}
