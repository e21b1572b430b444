//! Access tokens that are none, or are for somebody else: none of them opens anything, in whatever order they come.
use crate::support::{HOST, PLACES, TokenWorld, bearer, sha256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use doorward_core::jwt::{Algorithm, SigningKey, decode, encode};
use serde_json::{Value, json};

/// Case 15: a token of each dialect at an API of each dialect, remembered or not, on one connection and on many.
#[test]
fn a_token_opens_the_apis_of_its_own_dialect_alone() {
    let world = TokenWorld::new();
    let tokens: Vec<(&str, &str, String)> =
        PLACES.iter().map(|(dialect, path)| (*dialect, *path, world.token(dialect))).collect();
    let before = world.upstream.count();
    let expect = |dialect: &str, place: &str, answer: &crate::support::Answer| match dialect == place {
        true => drop(answer.expect_ok()),
        false => drop(answer.expect(if place == "avanan" { 403 } else { 401 }, "token_invalid")),
    };
    let mut good = 0;
    for _ in 0..3 {
        for (place, path) in PLACES {
            for (dialect, _, token) in &tokens {
                expect(dialect, place, &world.ask(path, token));
                good += usize::from(*dialect == place);
            }
        }
    }
    // One core has met all of them by now: every order of two APIs on one connection.
    let mut connection = world.gateway.connect();
    for (first, first_path) in PLACES {
        for (second, second_path) in PLACES {
            for (dialect, _, token) in &tokens {
                for (place, path) in [(first, first_path), (second, second_path)] {
                    expect(dialect, place, &connection.send(bearer("GET", path, token, "")).answer());
                    good += usize::from(*dialect == place);
                }
            }
        }
    }
    assert_eq!(world.upstream.count(), before + good, "nothing else got through");
}

fn parts(token: &str) -> (Value, Value, String) {
    let parts: Vec<&str> = token.split('.').collect();
    let json = |part: &str| serde_json::from_slice(&decode(part).expect("base64url")).expect("JSON");
    (json(parts[0]), json(parts[1]), parts[2].to_owned())
}

fn join(header: &str, payload: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", encode(header.as_bytes()), encode(payload.as_bytes()))
}

/// The signature of a key over a text, whatever that is.
fn signature_of(key: &SigningKey, text: &str) -> String {
    let (bytes, random) = (key.to_pkcs8().expect("a key"), SystemRandom::new());
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes.as_bytes()).expect("a key");
    encode(pair.sign(&random, text.as_bytes()).expect("a signature").as_ref())
}

/// S8725-1, S8725-2, S7515-1, S7515-2, S9068-2: whatever is changed in a good token, it is good no more.
#[test]
fn a_token_that_was_changed_opens_nothing() {
    let world = TokenWorld::new();
    let good = world.token("standard");
    world.settled("/t/x", &good);
    let (header, payload, signature) = parts(&good);
    let (head, body) = (header.to_string(), payload.to_string());
    let mut tokens = vec![
        good[..good.len() - 1].to_owned(),
        format!("{good}="),
        format!("{good}."),
        format!(".{good}"),
        good.replace('.', ".."),
        good.rsplit_once('.').unwrap().0.to_owned(),
        format!("{}.", good.rsplit_once('.').unwrap().0),
        good.to_ascii_uppercase(),
        "a".repeat(8_192),
        sha256(good.as_bytes()),
    ];
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS256",
        "HS512",
        "RS256",
        "PS256",
        "ES384",
        "EdDSA",
        "es256",
        "PBES2-HS256+A128KW",
    ] {
        let mut changed = header.clone();
        changed["alg"] = alg.into();
        tokens.push(join(&changed.to_string(), &body, &signature));
        tokens.push(join(&changed.to_string(), &body, ""));
    }
    let kids = [
        "",
        "../../dev/null",
        "' OR 1=1--",
        "http://127.0.0.1:1/key",
        "\u{0}",
        "\u{e4}",
        &"k".repeat(4_000),
        "*",
    ];
    for kid in kids {
        let mut changed = header.clone();
        changed["kid"] = kid.into();
        tokens.push(join(&changed.to_string(), &body, &signature));
    }
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("dpop+jwt")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("jwk", json!({})),
        ("jku", json!("http://127.0.0.1:1/")),
        ("x5u", json!("http://127.0.0.1:1/")),
        ("x5c", json!([])),
    ] {
        let mut changed = header.clone();
        changed[name] = value;
        tokens.push(join(&changed.to_string(), &body, &signature));
    }
    for (name, value) in [
        ("exp", json!(9_999_999_999_i64)),
        ("scope", json!("read write admin:all")),
        ("sub", json!(world.of("voucherify").id)),
        ("iss", json!("https://api.example/")),
        ("aud", json!("https://other.example")),
    ] {
        let mut changed = payload.clone();
        changed[name] = value;
        tokens.push(join(&head, &changed.to_string(), &signature));
    }
    tokens.push(join(&head.replacen('{', r#"{"alg":"ES256","#, 1), &body, &signature));
    // The same words, signed by a key that is none of ours: under its own name, under ours, and brought along.
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    for own in [stranger.kid(), header["kid"].as_str().unwrap()] {
        let mut changed = header.clone();
        changed["kid"] = own.into();
        let signed = join(&changed.to_string(), &body, "");
        let signature = signature_of(&stranger, signed.strip_suffix('.').unwrap());
        tokens.push(format!("{signed}{signature}"));
    }
    let before = world.upstream.count();
    for token in &tokens {
        let answer = world.ask("/t/x", token);
        assert_eq!(answer.status, 401, "{token}: {answer:?}");
        assert!(["token_invalid", "credential_malformed"].contains(&answer.code()), "{token}: {answer:?}");
        let event = world.gateway.event(answer.id());
        assert!(event["credential"].is_null(), "nobody is blamed: {event}");
    }
    assert_eq!(world.upstream.count(), before);
    world.ask("/t/x", &good).expect_ok();
    let log = world.gateway.log();
    assert!(!log.contains("dev/null") && !log.contains("OR 1=1"), "{log}");
}

/// Avanan's clients send a token beside their signature: it must be their own.
#[test]
fn beside_a_signature_stands_the_signers_own_token() {
    let world = TokenWorld::new();
    let own = world.of("avanan").clone();
    assert!(own.id.starts_with("US:dwi_"), "{}", own.id);
    let other = world.gateway.actor("live", "server", &["--dialect", "avanan"]);
    let (token, others) = (world.token("avanan"), world.token_for(&other.id, &[]));
    let path = "/v1.0/scopes?x=1";
    crate::support::eventually("the credentials", || {
        [(&own, &token), (&other, &others)]
            .iter()
            .all(|(a, t)| world.ask_signed(path, a, Some(t)).status == 200)
    });
    let before = world.upstream.count();
    world.ask_signed(path, &own, None).expect(401, "credential_malformed");
    for bad in [&*others, "a.b.c", &world.token("vista")] {
        world.ask_signed(path, &own, Some(bad)).expect(403, "token_invalid");
    }
    world
        .ask_signed(path, &own.with_secret("a secret that is not theirs"), Some(&token))
        .expect(403, "signature_invalid");
    let alone = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nx-av-token: {token}\r\n\r\n");
    world.gateway.ask(alone).expect(401, "credential_malformed");
    world.ask(path, &token).expect(401, "scheme_not_accepted");
    assert_eq!(world.upstream.count(), before);
    let tag = crate::support::tag();
    world.ask_signed(&format!("/v1.0/{tag}"), &own, Some(&token)).expect_ok();
    let seen = world.upstream.one(&tag);
    assert_eq!((seen.get("x-av-token"), seen.get("doorward-scheme")), (None, Some("avanan")));
    world.gateway.command(&["token", "revoke", "--credential", &own.id]).ok();
    crate::support::eventually("the end of the token", || {
        world.ask_signed(path, &own, Some(&token)).code() == "token_revoked"
    });
}
