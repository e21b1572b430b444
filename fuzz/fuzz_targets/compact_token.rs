//! Tokens: whatever stands there, and a right one with a piece replaced. Only what was signed is taken, whoever reads it
//! reads the same, and there is one way to write it.
#![no_main]
use doorward_core::jwt::{Algorithm, Claims, Compact, KeySet, SigningKey, VerifyKey, decode, encode};
use doorward_fuzz::{MOST_BYTES, splice};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::OnceLock;

const PAYLOAD: &str =
    r#"{"iss":"https://api.example","sub":"dwi_EXAMPLE","aud":["a","b"],"iat":1795285931,"exp":1795289531}"#;

/// A key of this run, who verifies with it, and a token that it signed. Ed25519: one token has one signature.
fn world() -> &'static (KeySet, String) {
    static WORLD: OnceLock<(KeySet, String)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
        let mut keys = KeySet::default();
        keys.add(VerifyKey::from_jwk(key.public().jwk()).expect("as it is published")).expect("the only one");
        (keys, key.sign("at+jwt", PAYLOAD.as_bytes()).expect("it is short"))
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first().filter(|(_, rest)| rest.len() <= MOST_BYTES) else {
        return;
    };
    let (keys, right) = world();
    match choice % 4 {
        0 => claims(rest),
        1 => {
            // A header that is not written by us, before a payload and a signature that are.
            let token = format!("{}{}", encode(rest), &right[right.find('.').expect("three parts")..]);
            judge(&token, keys, right);
        }
        2 => {
            let mut token = right.clone().into_bytes();
            splice(&mut token, rest);
            judge(&String::from_utf8_lossy(&token), keys, right);
        }
        _ => judge(&String::from_utf8_lossy(rest), keys, right),
    }
    // A key that was published is read as it was written; whatever is read as one is written in one way.
    if let Ok(text) = std::str::from_utf8(rest)
        && let Ok(key) = VerifyKey::from_jwk(text)
    {
        let again = VerifyKey::from_jwk(key.jwk()).expect("as it was written");
        assert_eq!((again.kid(), again.jwk(), again.alg()), (key.kid(), key.jwk(), key.alg()));
    }
});

fn judge(token: &str, keys: &KeySet, right: &str) {
    let Ok(read) = Compact::parse(token) else {
        assert_ne!(token, right);
        return;
    };
    for part in token.split('.') {
        assert_eq!(encode(&decode(part).expect("it was read")), part, "one way to write it");
    }
    let header: Value =
        serde_json::from_slice(&decode(token.split('.').next().expect("a header")).expect("read"))
            .expect("whatever is a header is JSON");
    assert_eq!(header["alg"], read.header().alg.name());
    assert_eq!(header["kid"], *read.header().kid);
    assert!(header.get("crit").is_none() && header.get("b64").is_none() && header.get("jwk").is_none());
    assert_eq!(read.verify(keys).is_ok(), token == right, "{token}");
}

/// Claims that are read are JSON to everybody else, with the same times and the same audience.
fn claims(payload: &[u8]) {
    let Ok(claims) = Claims::parse(payload) else { return };
    let theirs: Value = serde_json::from_slice(payload).expect("what is claimed is JSON");
    for name in ["exp", "nbf", "iat"] {
        let ours = claims.seconds(name).expect("it was looked at");
        assert_eq!(ours, theirs.get(name).map(|n| n.as_i64().expect("a whole number")));
    }
    for name in ["iss", "sub", "jti", "scope"] {
        if let Ok(ours) = claims.text(name) {
            assert_eq!(ours, theirs.get(name).map(|t| t.as_str().expect("text")));
        }
    }
    if let Ok(Some(ours)) = claims.audience() {
        match &theirs["aud"] {
            Value::String(one) => assert_eq!(ours, [one]),
            Value::Array(many) => {
                assert_eq!(ours, many.iter().map(|a| a.as_str().expect("text")).collect::<Vec<_>>())
            }
            other => panic!("{other}"),
        }
    }
}
