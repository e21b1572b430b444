//! Whether a token is taken: for whom it is, of what kind, when, and whether it was revoked.
use crate::support::{forge, header, key};
use crate::tokens::{
    EPOCH, ISSUER, NOW, claims, grant, invalid, issued, issued_at, member, record, take, tokens, with,
};
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::dialect::Dialect;
use doorward_core::jwt::{Algorithm, JwtFault, KeySet, Part, SigningKey, VerifyKey};
use doorward_core::secret::SecretHash;
use doorward_core::time::UnixMillis;
use doorward_core::token::{
    Asker, Grant, Issued, Issuer, KEPT_AFTER_EXPIRY_MS, RECORDS, TokenFault, Tokens, Why, alive, check,
    client_alive,
};
use serde_json::{Value, json};

/// S9068-3
#[test]
fn audiences() {
    let wrong = invalid(Why::Audience);
    for (dialect, right) in [
        ("standard", ISSUER),
        ("antavo", "https://api.example/v1/async"),
        ("voucherify", "https://api.example/v1"),
        ("vista", "all"),
    ] {
        assert!(with(dialect, "aud", json!([right])).is_ok(), "{dialect}");
        for bad in [
            Value::Null,
            json!([]),
            json!(""),
            json!([""]),
            json!("other"),
            json!(["other"]),
            json!(right.to_uppercase()),
            json!(format!("{right}/")),
            json!(format!(" {right}")),
        ] {
            assert_eq!(with(dialect, "aud", bad.clone()), wrong, "{dialect} {bad}");
        }
        assert_eq!(with(dialect, "aud", json!({"a": right})), member("aud"));
        assert_eq!(with(dialect, "aud", json!([right, 7])), member("aud"));
        let two = with(dialect, "aud", json!(["other", right]));
        assert_eq!(two.is_ok(), dialect == "standard", "{dialect}");
    }
    for any in [json!("x"), json!([]), json!(ISSUER)] {
        assert_eq!(with("avanan", "aud", any), wrong, "its clients refuse any audience");
    }
    // An API that names its audiences takes these alone, not the issuer.
    let own: [Box<str>; 2] = ["https://a.example".into(), "https://b.example".into()];
    let standard = record("standard");
    let of = |resources: &[&str]| {
        let token = issued(&Grant { resources, ..grant(standard) }).token;
        check(&token, standard, &own, NOW, &tokens()).map(|_| ())
    };
    assert_eq!(of(&["https://b.example"]), Ok(()));
    assert_eq!(of(&["https://x.example", "https://a.example"]), Ok(()));
    for bad in [&[][..], &["https://x.example"], &["https://a.example/"], &["https://A.example"], &[ISSUER]] {
        assert_eq!(of(bad), Err(TokenFault::Invalid(Why::Audience)), "{bad:?}");
    }
    let token = issued(&Grant { resources: &["https://a.example"], ..grant(standard) }).token;
    assert_eq!(take(&token, standard), wrong, "no token for a resource is for everything");
}

/// S9068-2, S8725-3: an identity token, a proof or an assertion is no access token, whoever signed it.
#[test]
fn kinds_and_algorithms_are_the_records() {
    for record in &RECORDS {
        let payload = claims(&issued(&grant(record)).token).to_string();
        for alg in Algorithm::ALL {
            for typ in [
                "at+jwt",
                "application/at+jwt",
                "JWT",
                "dpop+jwt",
                "logout+jwt",
                "token-introspection+jwt",
                "",
            ] {
                let token = forge(key(*alg), &header(key(*alg), typ), &payload);
                let right = typ.trim_start_matches("application/") == record.typ;
                let expected = match (right, record.algorithms.contains(alg)) {
                    (false, _) => Err(TokenFault::Invalid(Why::Type)),
                    (true, false) => Err(TokenFault::Invalid(Why::Algorithm)),
                    (true, true) => Ok(()),
                };
                assert_eq!(take(&token, record).map(|_| ()), expected, "{} {alg:?} {typ}", record.dialect);
            }
            let untyped = format!(r#"{{"alg":"{}","kid":"{}"}}"#, alg.name(), key(*alg).kid());
            let fault = take(&forge(key(*alg), &untyped, &payload), record);
            assert_eq!(fault, invalid(Why::Type));
        }
    }
}

/// S7519-2: dead at the instant it names, not a millisecond later; and never from more than a minute ahead.
#[test]
fn times_to_the_millisecond() {
    for record in &RECORDS {
        let tokens = tokens();
        let made = issued(&grant(record));
        let at = |ms: i64| check(&made.token, record, &[], UnixMillis(ms), &tokens).map(|_| ());
        let (from, until) = (made.issued_s * 1000, made.expires_s * 1000);
        assert_eq!(
            (at(until - 1), at(until), at(until + 1)),
            (Ok(()), Err(TokenFault::Expired), Err(TokenFault::Expired))
        );
        assert_eq!(at(i64::MAX), Err(TokenFault::Expired));
        assert_eq!((at(from), at(from - 60_000)), (Ok(()), Ok(())));
        for early in [from - 60_001, 0, i64::MIN] {
            assert_eq!(at(early), Err(TokenFault::Invalid(Why::Future)));
        }
    }
}

#[test]
fn revoked_tokens_are_dead_until_they_have_expired() {
    let (tokens, record) = (tokens(), record("voucherify"));
    let (one, other) = (issued_at(&grant(record), NOW, 1), issued_at(&grant(record), NOW, 2));
    let at = |made: &Issued, ms: i64| check(&made.token, record, &[], UnixMillis(ms), &tokens).map(|_| ());
    assert_eq!(at(&one, NOW.0), Ok(()));
    tokens.revoke(one.jti, UnixMillis(one.expires_s * 1000));
    assert_eq!((at(&one, NOW.0), at(&other, NOW.0)), (Err(TokenFault::Revoked), Ok(())));
    // S7519-2: however often it is swept, at no instant is it good again.
    let until = one.expires_s * 1000;
    for ms in (until - 2_000..until + 2_000).step_by(7) {
        tokens.sweep(UnixMillis(ms));
        let dead = if ms < until { TokenFault::Revoked } else { TokenFault::Expired };
        assert_eq!(at(&one, ms), Err(dead));
    }
    tokens.sweep(UnixMillis(until + KEPT_AFTER_EXPIRY_MS + 1));
    assert_eq!((tokens.revoked(), at(&one, until)), (0, Err(TokenFault::Expired)));
}

#[test]
fn a_credential_disowns_all_of_its_tokens_at_once() {
    let record = record("standard");
    let taken = take(&issued(&grant(record)).token, record).unwrap();
    assert_eq!(alive(&taken, 7), Ok(()));
    for other in [0, 6, 8, -7, i64::MAX] {
        assert_eq!(alive(&taken, other), Err(TokenFault::Revoked));
    }
}

/// Case 28: a token that a client asked for in somebody's name dies with that client as well.
#[test]
fn a_client_takes_the_tokens_that_it_asked_for_with_it() {
    let credential = |id: &str, tokens_since, status, expires_at| Credential {
        id: id.into(),
        pseudonym: None,
        workspace: "live".into(),
        kind: Kind::OauthClient,
        name: "".into(),
        dialect: Dialect::named("standard").unwrap(),
        plain_key: false,
        password_grant: true,
        status,
        expires_at,
        scopes: Box::default(),
        origins: Box::default(),
        secret: SecretHash([0; 32]),
        signing: None,
        tokens_since,
        own: None,
    };
    let record = record("standard");
    let client = Some(Asker { id: "dwi_CLIENT", since: 5 });
    let taken = take(&issued(&Grant { client, ..grant(record) }).token, record).unwrap();
    let good = |c: Option<&Credential>| client_alive(&taken, c, NOW).is_ok();
    let own = credential("dwi_CLIENT", 5, Status::Active, Some(NOW.plus_ms(1)));
    assert!(good(Some(&own)) && good(Some(&Credential { expires_at: None, ..own.clone() })));
    for dead in [
        credential("dwi_CLIENT", 4, Status::Active, None),
        credential("dwi_CLIENT", 6, Status::Active, None),
        credential("dwi_CLIENT", 5, Status::Blocked, None),
        credential("dwi_CLIENT", 5, Status::Active, Some(NOW)),
        credential("dwi_OTHER", 5, Status::Active, None),
    ] {
        assert!(!good(Some(&dead)), "{dead:?}");
    }
    assert!(!good(None));
    let alone = take(&issued(&grant(record)).token, record).unwrap();
    assert_eq!(client_alive(&alone, None, NOW), Ok(()), "nobody asked for it but its subject");
}

#[test]
fn another_epoch_other_keys_and_no_issuer() {
    let record = record("standard");
    let token = issued(&grant(record)).token;
    let tokens = tokens();
    let now = || check(&token, record, &[], NOW, &tokens).map(|_| ());
    assert_eq!(now(), Ok(()));
    tokens.replace("another", &crate::support::key_set());
    assert_eq!(now(), Err(TokenFault::Revoked));
    let mut others = KeySet::default();
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    others.add(VerifyKey::from_jwk(stranger.public().jwk()).unwrap()).unwrap();
    tokens.replace(EPOCH, &others);
    assert_eq!(now(), Err(TokenFault::Invalid(Why::Jwt(JwtFault::UnknownKey))));
    // Another key under the same name.
    let named = stranger.public().jwk().replace(stranger.kid(), key(Algorithm::Es256).kid());
    let mut others = KeySet::default();
    others.add(VerifyKey::from_jwk(&named).unwrap()).unwrap();
    tokens.replace(EPOCH, &others);
    assert_eq!(now(), Err(TokenFault::Invalid(Why::Jwt(JwtFault::Signature))));
    tokens.replace(EPOCH, &crate::support::key_set());
    assert_eq!(now(), Ok(()));
    let nobody = Tokens::default();
    nobody.replace(EPOCH, &crate::support::key_set());
    assert_eq!(check(&token, record, &[], NOW, &nobody), invalid(Why::NoIssuer));
    let elsewhere = Tokens::new(Issuer::parse("https://other.example").unwrap());
    elsewhere.replace(EPOCH, &crate::support::key_set());
    assert_eq!(check(&token, record, &[], NOW, &elsewhere), invalid(Why::Issuer));
}

#[test]
fn faults_say_nothing_of_what_was_sent() {
    let key = key(Algorithm::Es256);
    let canary = "CANARY";
    for (head, payload) in [
        (header(key, canary), json!({"iss": ISSUER}).to_string()),
        (header(key, "at+jwt"), json!({"iss": canary}).to_string()),
        (header(key, "at+jwt"), format!("{{\"{canary}\":1,\"{canary}\":2}}")),
        (format!(r#"{{"alg":"{canary}"}}"#), "{}".to_owned()),
        (format!(r#"{{"alg":"ES256","kid":"{canary}"}}"#), "{}".to_owned()),
    ] {
        let fault = take(&forge(key, &head, &payload), record("standard")).unwrap_err();
        assert!(!format!("{fault} {fault:?}").contains(canary), "{fault}");
    }
    let fault = take(&forge(key, &header(key, "at+jwt"), "[]"), record("standard")).unwrap_err();
    assert_eq!(fault, TokenFault::Invalid(Why::Jwt(JwtFault::Json(Part::Payload))));
}
