//! HTTP/2 to upstreams, and gRPC all the way.
use crate::support::frames;
use crate::support::{
    Authority, Gateway, Http2, Http2Upstream, Setup, World, eventually, noise, sha256, tag,
};

pub(crate) struct Far {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Http2Upstream,
    pub(crate) caller: crate::support::Actor,
}

pub(crate) fn far() -> Far {
    far_with(|s| s)
}

pub(crate) fn far_with(change: impl FnOnce(Setup) -> Setup) -> Far {
    let upstream = Http2Upstream::start();
    let policy = format!(
        "[[workspace]]\nid = \"w\"\nenvironment = \"production\"\n[[api]]\nid = \"a\"\ndialect = \"voucherify\"\n\
         upstream = {{ production = {{ addresses = [\"http://{}\"], http2 = true }} }}\n[[api.route]]\npath = \"/v1/*\"\n",
        upstream.address
    );
    let setup = Setup::new().policy(policy).set("plain_http", "http2", "true");
    let mut gateway = change(setup.set("runtime", "cores", 1)).prepare();
    let caller = gateway.actor("w", "server", &[]);
    gateway.start();
    Far { gateway, upstream, caller }
}

impl Far {
    pub(crate) fn connect(&self) -> Http2 {
        Http2::over(self.gateway.connect())
    }
}

/// A caller's version and an upstream's have nothing to do with each other.
#[test]
fn either_version_reaches_it() {
    let far = far();
    let tag = tag();
    for length in [0, 1, 20_000, 1_000_000] {
        let body = noise(1, length);
        let answer = far.gateway.ask(far.caller.post(&format!("/v1/{tag}/one?q=1"), &body));
        assert_eq!((answer.status, sha256(&answer.body)), (200, sha256(&body)), "{length}");
        assert_eq!(answer.trailers, [("x-trailer".to_owned(), "0".to_owned())]);
        let head = far.caller.request("POST", &format!("/v1/{tag}/one"), "Transfer-Encoding: chunked\r\n");
        let size = format!("{length:x}\r\n");
        let chunk = if length > 0 { [size.as_bytes(), &body, b"\r\n"].concat() } else { Vec::new() };
        let answer = far.gateway.ask([head.as_bytes(), &chunk, b"0\r\nX-Up: 2\r\n\r\n"].concat());
        assert_eq!((answer.status, sha256(&answer.body)), (200, sha256(&body)), "{length}");
    }
    let asked = far.upstream.asked(&format!("{tag}/one?q=1"));
    assert_eq!(asked[0].get(":method"), Some("POST"));
    assert_eq!(
        (asked[0].get(":scheme"), asked[0].get(":authority")),
        (Some("http"), Some("api.example.com"))
    );
    assert_eq!((asked[0].get("te"), asked[0].get("doorward-workspace")), (Some("trailers"), Some("w")));
    assert!(asked[0].get("host").is_none() && asked[0].get("connection").is_none(), "{asked:?}");
    assert!(asked[2].get("content-length") == Some("20000"), "{asked:?}");
    let all = far.upstream.asked(&tag);
    assert!(all.iter().any(|a| a.trailers == [("x-up".to_owned(), "2".to_owned())]));
    assert_eq!(all.iter().map(|a| a.connection).max(), Some(1), "one connection served them all");
    let mut caller = far.connect();
    let answer = caller.ask(far.caller.get(&format!("/v1/{tag}")));
    assert_eq!((answer.status, &answer.trailers[..]), (200, &[("x-trailer".to_owned(), "0".to_owned())][..]));
    let answer = caller.ask(far.caller.get(&format!("/v1/{tag}/length")));
    assert_eq!((answer.text().as_str(), answer.get("content-length")), ("hello", Some("5")));
    assert_eq!(answer.interim[0].get("link"), Some("</a>"));
    assert_eq!(caller.ask(far.caller.get(&format!("/v1/{tag}/nothing"))).status, 204);
    let answer = far.gateway.ask(far.caller.request("HEAD", &format!("/v1/{tag}/length"), ""));
    assert_eq!((answer.status, answer.body.len()), (200, 0), "a body that is none");
}

/// Unary, streaming in both directions, trailers alone, and a refusal.
#[test]
fn grpc_passes() {
    let far = far();
    let mut caller = far.connect();
    let open = |lines: &str| {
        let lines = format!("Content-Type: application/grpc\r\nTE: trailers\r\n{lines}");
        far.caller.request("POST", "/v1/greeter/Talk", &lines)
    };
    let message = |text: &str| [&[0][..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
    let id = caller.ask_as_open(&open(""));
    // The head of the answer comes before the request has ended, and each message before the next is sent.
    caller.until(|c| c.heard(id).answer.status == 200).expect("a head");
    let mut all = Vec::new();
    for n in 0..20 {
        let one = message(&format!("message {n}"));
        caller.data(id, &one, false);
        all.extend_from_slice(&one);
        caller.until(|c| c.heard(id).answer.body == all).expect("the message back");
    }
    caller.data(id, b"", true);
    let answer = caller.answer(id);
    assert_eq!(answer.get("content-type"), Some("application/grpc"));
    assert_eq!(answer.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
    assert_eq!(answer.body, all);
    // An error is trailers alone.
    let id = caller.ask_as_open(&open("").replace("Talk", "only"));
    caller.data(id, message("x"), true);
    let answer = caller.answer(id);
    assert_eq!((answer.status, answer.get("grpc-status")), (200, Some("7")));
    // A refusal is one of HTTP, which clients map (401: UNAUTHENTICATED).
    let refused = far.caller.with_secret("no").request("POST", "/v1/x", "Content-Type: application/grpc\r\n");
    caller.ask(refused).expect(401, "credential_invalid");
}

/// What an upstream refuses is not sent again, and what was said of one request ends no other.
#[test]
fn nothing_is_sent_twice() {
    let far = far();
    let tag = tag();
    let mut caller = far.connect();
    for wrong in ["refuse", "wrong"] {
        caller.ask(far.caller.get(&format!("/v1/{tag}/{wrong}"))).expect(502, "upstream_failed");
        assert_eq!(far.upstream.asked(&format!("{tag}/{wrong}")).len(), 1);
    }
    let id = caller.ask_as(far.caller.get(&format!("/v1/{tag}/long")));
    let heard = caller.try_answer(id).expect("something");
    assert!(!heard.ended || heard.answer.status == 502, "{heard:?}");
    // The upstream goes away: what it did not process is not sent again, what comes later goes elsewhere.
    caller.ask(far.caller.get(&format!("/v1/{tag}/first"))).expect_ok();
    let before = far.upstream.connections();
    caller.ask(far.caller.get(&format!("/v1/{tag}/goaway"))).expect(502, "upstream_failed");
    assert_eq!(far.upstream.asked(&format!("{tag}/goaway")).len(), 1);
    caller.ask(far.caller.get(&format!("/v1/{tag}/last"))).expect_ok();
    assert!(far.upstream.connections() > before);
}

#[test]
fn whoever_takes_a_request_back_resets_it_upstream() {
    let far = far();
    let tag = tag();
    let mut caller = far.connect();
    let id = caller.ask_as(far.caller.get(&format!("/v1/{tag}/hold")));
    eventually("the request", || !far.upstream.asked(&tag).is_empty());
    caller.send(frames::number(frames::RST_STREAM, id, frames::CANCEL));
    eventually("its end", || far.upstream.asked(&tag)[0].reset == Some(frames::CANCEL));
    let mut old = far.gateway.connect();
    old.send(far.caller.get(&format!("/v1/{tag}/hold/2")));
    eventually("the request", || far.upstream.asked(&tag).len() == 2);
    drop(old);
    eventually("its end", || far.upstream.asked(&tag)[1].reset == Some(frames::CANCEL));
    caller.ask(far.caller.get("/v1/x")).expect_ok();
}

/// More at a time than one connection takes: further ones are opened, and no more than needed.
#[test]
fn many_at_a_time() {
    let far = far();
    let tag = tag();
    let mut callers = [far.connect(), far.connect()];
    let ids: Vec<_> = callers
        .iter_mut()
        .map(|c| (0..60).map(|_| c.ask_as(far.caller.get(&format!("/v1/{tag}/hold")))).collect::<Vec<_>>())
        .collect();
    eventually("all of them", || far.upstream.asked(&tag).len() == 120);
    assert!((3..=4).contains(&far.upstream.connections()), "{}", far.upstream.connections());
    for (caller, ids) in callers.iter_mut().zip(ids) {
        ids.iter().for_each(|id| {
            caller.send(frames::number(frames::RST_STREAM, *id, frames::CANCEL));
        });
        caller.ask(far.caller.get("/v1/x")).expect_ok();
    }
}

/// An upstream without HTTP/2 fails, and is not asked in another way.
#[test]
fn an_upstream_that_speaks_another_version_fails() {
    let old = World::shared();
    let policy = format!(
        "[[workspace]]\nid = \"w\"\nenvironment = \"production\"\n[[api]]\nid = \"a\"\ndialect = \"voucherify\"\n\
         upstream = {{ production = {{ addresses = [\"http://{}\"], http2 = true }} }}\n[[api.route]]\npath = \"/v1/*\"\n",
        old.production.address
    );
    let mut gateway = Setup::new().policy(policy).prepare();
    let caller = gateway.actor("w", "server", &[]);
    gateway.start();
    gateway.ask(caller.get("/v1/x")).expect(502, "upstream_failed");
}

/// Over TLS it is agreed on by ALPN; where it is not, the request is not sent.
#[test]
fn over_tls_both_sides_agree_on_it() {
    let authority = Authority::new();
    let upstream = authority.http2_upstream("localhost");
    let (other, read) = authority.serve("localhost", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let setup = Setup::new();
    let roots = format!("{:?}", setup.folder().write("roots.pem", &authority.pem()));
    let api = |name: &str, port: u16| {
        format!(
            "[[api]]\nid = \"{name}\"\ndialect = \"voucherify\"\n\
             upstream = {{ production = {{ addresses = [\"https://localhost:{port}\"], http2 = true }} }}\n\
             [[api.route]]\npath = \"/{name}/*\"\n"
        )
    };
    let policy = "[[workspace]]\nid = \"w\"\nenvironment = \"production\"\n".to_owned()
        + &api("new", upstream.address.port())
        + &api("old", other.port());
    let mut gateway = setup.policy(policy).set("upstream", "ca_file", roots).prepare();
    let caller = gateway.actor("w", "server", &[]);
    gateway.start();
    let answer = gateway.ask(caller.post("/new/x", b"over TLS"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "over TLS"));
    assert_eq!(upstream.asked("/new/x")[0].get(":scheme"), Some("https"));
    gateway.ask(caller.get("/old/x")).expect(502, "upstream_failed");
    assert_eq!(read.load(std::sync::atomic::Ordering::SeqCst), 0);
}

/// Whoever speaks HTTP/2 alone is probed in it.
#[test]
fn probes_speak_it_as_well() {
    let upstream = Http2Upstream::start();
    let policy = format!(
        "[[workspace]]\nid = \"w\"\nenvironment = \"production\"\n[[api]]\nid = \"a\"\ndialect = \"voucherify\"\n\
         upstream = {{ production = {{ addresses = [\"http://{}\"], http2 = true, \
         probe = {{ path = \"/nothing/health\", every_s = 1, unhealthy_after = 1 }} }} }}\n\
         [[api.route]]\npath = \"/v1/*\"\n",
        upstream.address
    );
    let mut gateway = Setup::new().policy(policy).prepare();
    let caller = gateway.actor("w", "server", &[]);
    gateway.start();
    eventually("two probes", || upstream.asked("/nothing/health").len() >= 2);
    assert_eq!(upstream.asked("/nothing/health")[0].get(":method"), Some("GET"));
    gateway.ask(caller.get("/v1/x")).expect_ok();
}
