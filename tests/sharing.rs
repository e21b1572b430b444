//! What one caller sends is never taken for part of another's request, however an upstream reads it.
use crate::support::{Conn, Do, World, eventually, skips_unless_sqlite, tag};

/// An upstream that looks for no body in a GET would take it for the next request on its connection: so that connection
/// is announced to end, and carries nothing else.
#[test]
fn a_body_where_none_is_expected_ends_the_upstream_connection() {
    let world = World::new();
    for method in ["GET", "DELETE", "HEAD"] {
        let tag = tag();
        let smuggled =
            format!("GET /v1/{tag}-smuggled HTTP/1.1\r\nHost: a\r\nDoorward-Workspace: other\r\n\r\n");
        let lines = format!("Content-Length: {}\r\n", smuggled.len());
        let request = world.server.request(method, &format!("/v1/{tag}"), &lines) + &smuggled;
        let answer =
            Conn::open(world.gateway.address("plain")).send(request).try_answer(method).expect("an answer");
        assert_eq!(answer.status, 200, "{method}");
        let seen = world.production.one(&tag);
        assert_eq!(seen.get("connection"), Some("close"), "{method}");
        assert_eq!(seen.body, smuggled.as_bytes(), "it travels as a body");
        let next = self::tag();
        world.ask(world.server.get(&format!("/v1/{next}"))).expect_ok();
        assert_ne!(
            world.production.one(&next).connection,
            seen.connection,
            "{method}: the connection was shared"
        );
    }
}

/// An upstream that answers before it has the whole request may take the rest for another one.
#[test]
fn an_early_answer_ends_the_upstream_connection() {
    let world = World::new();
    let tag = tag();
    let early = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    world.production.on(&tag, vec![Do::Say(early), Do::Body]);
    let mut caller = world.gateway.connect();
    caller.send(world.server.request("POST", &format!("/v1/{tag}"), "Content-Length: 10\r\n"));
    assert_eq!(caller.answer().text(), "ok");
    caller.send("0123456789");
    eventually("the whole request", || world.production.one(&tag).complete);
    let next = self::tag();
    world.ask(world.server.get(&format!("/v1/{next}"))).expect_ok();
    assert_ne!(world.production.one(&next).connection, world.production.one(&tag).connection);
}

/// What would make another request of this one, or tell about addresses, goes no further; nor does what servers fold to
/// a credential.
#[test]
fn names_that_servers_fold_or_obey_stay_here() {
    let world = World::shared();
    let tag = tag();
    let lines = "X-HTTP-Method-Override: DELETE\r\nX_HTTP_Method: PUT\r\nProxy: http://evil.example\r\nClient-IP: 6.6.6.6\r\n\
                 X.App-Id: victim\r\nX-App.Token: guess\r\nX-Api.Key: victim.guess\r\n";
    world.ask(world.server.request("GET", &format!("/v1/{tag}"), lines)).expect_ok();
    let text = String::from_utf8_lossy(&world.production.one(&tag).head.raw).to_lowercase();
    for gone in ["override", "x_http", "proxy:", "client-ip", "victim", "guess"] {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
    for query in ["api.key=1", "api%5bkey=1", "api+key=1", "%20api_key=1", "api_key[]=1", "API_KEY=1"] {
        let answer = world.ask(world.server.get(&format!("/v1/{tag}?{query}")));
        answer.expect(401, "credential_malformed");
    }
}

/// A store that is put in the place of the one in use is noticed: what changes there would never be obeyed.
#[test]
fn a_replaced_store_is_noticed() {
    if skips_unless_sqlite() {
        return;
    }
    let world = World::with(|s| s.set("store", "max_staleness_s", 1));
    world.ask(world.server.get("/v1/x")).expect_ok();
    let store = world.gateway.folder.file("doorward.db");
    std::fs::rename(&store, store.clone() + ".old").expect("moved");
    eventually("a refusal", || world.ask(world.server.get("/v1/x")).code() == "unavailable");
    assert_eq!(world.gateway.operations("/readyz").status, 503);
    assert!(world.gateway.log().contains("replaced or removed"), "{}", world.gateway.log());
    std::fs::rename(store.clone() + ".old", &store).expect("moved back");
    eventually("it is used again", || world.ask(world.server.get("/v1/x")).status == 200);
}
