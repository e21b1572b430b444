//! The end of access tokens: by time, one by one, with all others, and with their credential.
use crate::support::{Actor, TokenWorld, eventually, wait_for};
use std::time::Duration;

/// So long may it take until every node obeys, in the midst of all other tests. `revocation` measures it.
const SOON: Duration = Duration::from_secs(5);

/// Waits until a token is refused, and returns the code.
fn end_of(world: &TokenWorld, token: &str) -> String {
    let start = std::time::Instant::now();
    let answer = wait_for("the token's end", || Some(world.ask("/t/x", token)).filter(|a| a.status != 200));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(answer.status, 401, "{answer:?}");
    answer.code().to_owned()
}

fn hire(world: &TokenWorld) -> (Actor, String) {
    let actor = world.gateway.actor("live", "server", &["--dialect", "standard"]);
    let token = world.token_for(&actor.id, &[]);
    world.settled("/t/x", &token);
    (actor, token)
}

/// S2 I, kill switch: a credential that is blocked takes its tokens with it, and brings them back.
#[test]
fn tokens_share_the_fate_of_their_credential() {
    let world = TokenWorld::new();
    let gateway = &world.gateway;
    let (one, token) = hire(&world);
    gateway.command(&["credential", "block", &one.id]).ok();
    assert_eq!(end_of(&world, &token), "credential_blocked");
    gateway.command(&["credential", "unblock", &one.id]).ok();
    eventually("it to be let in again", || world.ask("/t/x", &token).status == 200);
    gateway.command(&["credential", "regenerate", &one.id]).ok();
    assert_eq!(end_of(&world, &token), "token_revoked", "its secret is another one");
    let (two, token) = hire(&world);
    gateway.command(&["credential", "delete", &two.id]).ok();
    assert_eq!(end_of(&world, &token), "token_revoked", "its credential is gone");
    // Voucherify's tokens outlive the secret that they were given for.
    let shop = world.of("voucherify");
    let token = world.token("voucherify");
    world.settled("/v1/vouchers", &token);
    gateway.command(&["credential", "regenerate", &shop.id]).ok();
    let fresh = world.token("voucherify");
    world.settled("/v1/vouchers", &fresh);
    world.ask("/v1/vouchers", &token).expect_ok();
}

#[test]
fn tokens_are_revoked_one_by_one_and_all_at_once() {
    let world = TokenWorld::new();
    let gateway = &world.gateway;
    let (one, first) = hire(&world);
    let second = world.token_for(&one.id, &[]);
    let file = gateway.folder.write("token", &first);
    gateway.command(&["token", "revoke", "--token-file", &file]).ok();
    assert_eq!(end_of(&world, &first), "token_revoked");
    world.ask("/t/x", &second).expect_ok();
    gateway.command(&["token", "revoke", "--credential", &one.id]).ok();
    assert_eq!(end_of(&world, &second), "token_revoked");
    let third = world.token_for(&one.id, &[]);
    world.settled("/t/x", &third);
    // The credential itself was never touched.
    gateway.ask(one.get("/t/x")).expect_ok();
}

/// S7519-2: at the second that it names a token is dead.
#[test]
fn a_token_ends_when_it_says() {
    let world = TokenWorld::new();
    let (one, _) = hire(&world);
    let brief = world.token_for(&one.id, &["--life-s", "2"]);
    eventually("its end", || world.ask("/t/x", &brief).code() == "token_expired");
    let answer = world.ask("/t/x", &brief);
    assert_eq!(answer.get("www-authenticate"), Some("Bearer realm=\"things\", error=\"invalid_token\""));
}

/// Another key signs: what the former one signed is good until it ends, remembered or not.
#[test]
fn tokens_outlive_the_turn_of_their_key() {
    let world = TokenWorld::new();
    let (one, old) = hire(&world);
    world.gateway.command(&["token", "key", "rotate", "--now"]).ok();
    let by_another = |token: &String| token.split('.').next() != old.split('.').next();
    let new = wait_for("the new key", || Some(world.token_for(&one.id, &[])).filter(by_another));
    world.ask("/t/x", &new).expect_ok();
    world.ask("/t/x", &old).expect_ok();
}

/// A gateway without an issuer takes no tokens, and one that was started again takes those from before.
#[test]
fn tokens_outlive_a_restart() {
    let mut world = TokenWorld::new();
    let (one, token) = hire(&world);
    let revoked = world.token_for(&one.id, &[]);
    let file = world.gateway.folder.write("token", &revoked);
    world.gateway.command(&["token", "revoke", "--token-file", &file]).ok();
    world.gateway.restart();
    world.ask("/t/x", &token).expect_ok();
    world.ask("/t/x", &revoked).expect(401, "token_revoked");
}
