//! Tokens at an API: whatever stands in the field and in the query, and whatever a token of ours may claim. One token is taken,
//! from the field alone, as it stands there; and nothing that a token of its dialect does not say.
#![no_main]
use doorward_core::jwt::{Algorithm, KeySet, SigningKey, VerifyKey};
use doorward_core::schemes::Outgoing;
use doorward_core::schemes::bearer::{detect, sign};
use doorward_core::token::{Grant, Issuer, Jti, RECORDS, TokenRecord, Tokens, accept, issue, read};
use doorward_fuzz::{MOST_BYTES, NOW, Sent, parameters, splice};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::OnceLock;

const ISSUER: &str = "https://api.example";
const EPOCH: &str = "0123456789abcdef";

/// The keys of this run, and what is held to them.
fn world() -> &'static ([SigningKey; 2], Tokens) {
    static WORLD: OnceLock<([SigningKey; 2], Tokens)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let pair = [Algorithm::Es256, Algorithm::Rs256].map(|alg| SigningKey::generate(alg).expect("a key"));
        let mut keys = KeySet::default();
        for key in &pair {
            keys.add(VerifyKey::from_jwk(key.public().jwk()).expect("as it is published")).expect("two");
        }
        let tokens = Tokens::new(Issuer::parse(ISSUER).expect("an issuer"));
        tokens.replace(EPOCH, &keys);
        (pair, tokens)
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first().filter(|(_, rest)| rest.len() <= MOST_BYTES) else {
        return;
    };
    match choice % 3 {
        0 => field(rest),
        _ => claims(usize::from(choice / 3), choice % 3 == 1, rest),
    }
});

/// Lines of `Authorization`, one a line, after a query on the first one.
fn field(lines: &[u8]) {
    let mut lines = lines.split(|b| *b == b'\n');
    let query = lines.next().unwrap_or_default();
    let good = |b: &u8| matches!(b, b'\t' | b' '..=b'~' | 0x80..);
    let fields: Vec<(Vec<u8>, Vec<u8>)> = lines
        .filter(|line| line.iter().all(good))
        .map(|line| (b"Authorization".to_vec(), line.to_vec()))
        .collect();
    let target = [b"/x?".as_slice(), query].concat();
    let sent = Sent { method: "GET", target, fields };
    sent.view(|req| {
        let Ok(Some(found)) = detect(req) else { return };
        // In one field, after the word, and nowhere else.
        let [(_, value)] = &sent.fields[..] else { panic!("one of {}", sent.fields.len()) };
        let text = std::str::from_utf8(value).expect("a token is ASCII");
        let (word, token) = text.split_once(' ').expect("a space");
        assert!(
            word.eq_ignore_ascii_case("bearer") && token.trim_start_matches(' ') == found.token,
            "{text}"
        );
        assert!(!found.token.contains([' ', ',', '"', '\t']), "{text}");
        let query = sent.query().unwrap_or_default();
        assert!(
            parameters(query).iter().all(|(name, _)| !name.eq_ignore_ascii_case(b"access_token")),
            "{}",
            query.escape_ascii()
        );
        // The law: what is signed is detected.
        let mut out = Outgoing::default();
        sign(found.token, &mut out);
        let again = Sent {
            fields: vec![(b"authorization".to_vec(), out.headers[0].1.clone().into_bytes())],
            target: b"/".to_vec(),
            method: "GET",
        };
        again.view(|req| assert_eq!(detect(req).expect("read").expect("found").token, found.token));
    });
}

/// Claims that a key of ours has signed: those of a right token with a piece replaced, or anything.
fn claims(which: usize, changed: bool, rest: &[u8]) {
    let ([es, rs], tokens) = world();
    let record: &'static TokenRecord = &RECORDS[which % RECORDS.len()];
    let key = if record.algorithms.contains(&Algorithm::Es256) { es } else { rs };
    let grant = Grant {
        record,
        subject: "dwi_EXAMPLE",
        client: None,
        label: None,
        scope: if record.scope { "api" } else { "" },
        resources: &[],
        since: 7,
        life_s: None,
    };
    let issuer = Issuer::parse(ISSUER).expect("an issuer");
    let right = issue(&grant, &issuer, EPOCH, key, Jti::new([1; 16]), NOW).expect("it can be issued").token;
    let text = right.split('.').nth(1).and_then(doorward_core::jwt::decode).expect("base64url");
    let mut payload = if changed { text.clone() } else { rest.to_vec() };
    if changed {
        splice(&mut payload, rest);
    }
    let Ok(token) = key.sign(record.typ, &payload) else { return };
    let Ok(taken) = read(&token, tokens, &tokens.trust()) else {
        assert_ne!(payload, text, "the law");
        return;
    };
    let said: Value = serde_json::from_slice(&payload).expect("what is claimed is JSON");
    let text = |name: &str| said[name].as_str();
    let number = |name: &str| said[name].as_i64();
    assert_eq!(text("iss"), Some(&*taken.record.iss(&issuer)));
    assert_eq!((text("sub"), text("scope")), (Some(&*taken.subject), taken.scope.as_deref()));
    assert_eq!((number("iat"), number("exp")), (Some(taken.issued_s), Some(taken.expires_s)));
    assert_eq!(text("gen"), Some(&*format!("{EPOCH}.{}", taken.since)));
    assert_eq!(text("jti").and_then(Jti::parse), Some(taken.jti));
    assert!((1..=taken.record.life_s).contains(&(taken.expires_s - taken.issued_s)));
    let client = text("client_id").filter(|id| *id != &*taken.subject && taken.record.client);
    assert_eq!(client, taken.client.as_ref().map(|client| &*client.id));
    assert_eq!(said.get("client_gen").is_some(), taken.client.is_some());
    // At no API of another dialect, and at no time that it does not name.
    for other in &RECORDS {
        let good = accept(&taken, other, &[], NOW, tokens).is_ok();
        assert!(!good || other.dialect == taken.record.dialect && NOW.0 < taken.expires_s * 1000);
    }
}
