//! A signed request says how it came as well, whether or not that was signed: circles end.
use crate::support::{Engine, Gateway, Setup, Upstream, eventually, tag};
use std::net::SocketAddr;

const SIGNED: &str = "dialect = \"antavo\"\nschemes = [\"escher\"]";

/// S9110-3: of what is not signed, `Via` alone goes on, and `Max-Forwards` counts.
#[test]
fn s9110_3_signed_requests_tell_their_way() {
    let up = Upstream::start();
    let policy = policy(SIGNED, up.address) + "methods = [\"GET\", \"OPTIONS\"]\n";
    let mut gateway = Setup::new().policy(policy).prepare();
    let caller = gateway.actor("live", "server", &["--dialect", "antavo"]);
    gateway.start();
    let tag = tag();
    let request = caller.signed("OPTIONS", &format!("/circle/{tag}"));
    let request = request.field("Via", "1.0 first").field("Via", "1.1 second").field("Max-Forwards", "3");
    gateway.ask(request.bytes()).expect_ok();
    let seen = up.one(&tag);
    let via = seen.head.all("via").join(", ");
    assert!(via.starts_with("1.0 first, 1.1 second, 1.1 doorward-"), "{via}");
    assert_eq!(seen.get("max-forwards"), Some("2"));
    // The same where its caller signed it.
    let tag = self::tag();
    let request = caller.signed("GET", &format!("/circle/{tag}")).signing("Via", "1.1  first");
    gateway.ask(request.bytes()).expect_ok();
    let via = up.one(&tag).head.all("via").join(", ");
    assert!(via.starts_with("1.1 first, 1.1 doorward-"), "{via}");
    let last = caller.signed("OPTIONS", "/circle/last").field("Max-Forwards", "0");
    assert_eq!(gateway.ask(last.bytes()).status, 204);
    assert!(up.seen("/circle/last").is_empty());
}

fn policy(api: &str, upstream: SocketAddr) -> String {
    format!(
        "[[workspace]]\nid = \"live\"\nenvironment = \"production\"\n[[api]]\nid = \"a\"\n{api}\n\
         upstream = {{ production = \"http://{upstream}\" }}\n[[api.route]]\npath = \"/circle/*\"\n"
    )
}

/// S9110-3: one installation passes everything on to another one, which asks for signatures and leads back to the first.
#[test]
fn s9110_3_a_circle_through_a_signed_route_ends() {
    let open = "dialect = \"voucherify\"";
    let nobody: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    let mut first = Setup::new().policy(policy(open, nobody)).prepare();
    first.start();
    let mut second = Setup::new().policy(policy(SIGNED, first.address("plain"))).prepare();
    let caller = second.actor("live", "server", &["--dialect", "antavo"]);
    second.start();
    first.apply(&(policy(open, second.address("plain")) + "public = true\n")).ok();
    // On PostgreSQL both are of one installation, and the second one sees that.
    let finds = if Engine::of_this_run() == Engine::Sqlite { &first } else { &second };
    let loops = |gateway: &Gateway| gateway.events_with("\"loop\"").len();
    eventually("the circle", || {
        let answer = first.ask(caller.signed("GET", &format!("/circle/{}", tag())).bytes());
        answer.status == 502 && loops(finds) > 0
    });
}
