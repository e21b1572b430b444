//! Tokens by their records: issued, taken, and refused wherever a claim is not as it has to be.
use crate::support::{forge, header, key};
use doorward_core::jwt::{Algorithm, JwtFault, decode};
use doorward_core::time::UnixMillis;
use doorward_core::token::{
    Asker, Audience, Client, Grant, IssueFault, Issued, Issuer, Jti, RECORDS, TokenFault, TokenRecord,
    Tokens, Verified, Why, check, issue,
};
use serde_json::{Value, json};

pub(crate) const EPOCH: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const NOW_S: i64 = 1_795_285_931;
/// Not on a whole second.
pub(crate) const NOW: UnixMillis = UnixMillis(NOW_S * 1000 + 250);
pub(crate) const ISSUER: &str = "https://api.example";

pub(crate) fn record(dialect: &str) -> &'static TokenRecord {
    TokenRecord::of(dialect).unwrap()
}

pub(crate) fn tokens() -> Tokens {
    let tokens = Tokens::new(Issuer::parse(ISSUER).unwrap());
    tokens.replace(EPOCH, &crate::support::key_set());
    tokens
}

pub(crate) fn grant(record: &'static TokenRecord) -> Grant<'static> {
    let scope = if record.scope { "api vouchers" } else { "" };
    let (client, label, resources, life_s) = (None, None, &[][..], None);
    Grant { record, subject: "dwi_EXAMPLE", client, label, scope, resources, since: 7, life_s }
}

pub(crate) fn issued_at(grant: &Grant<'_>, now: UnixMillis, n: u8) -> Issued {
    let key = key(grant.record.algorithms[0]);
    issue(grant, &Issuer::parse(ISSUER).unwrap(), EPOCH, key, Jti::new([n; 16]), now).unwrap()
}

pub(crate) fn issued(grant: &Grant<'_>) -> Issued {
    issued_at(grant, NOW, 1)
}

pub(crate) fn claims(token: &str) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// Takes a token where its own dialect is spoken.
pub(crate) fn take(token: &str, record: &TokenRecord) -> Result<Verified, TokenFault> {
    check(token, record, &[], NOW, &tokens())
}

/// The fault of a token of a dialect with one claim changed, added, or taken away (`null`), rightly signed.
pub(crate) fn with(dialect: &str, name: &str, value: Value) -> Result<Verified, TokenFault> {
    let record = record(dialect);
    let mut payload = claims(&issued(&grant(record)).token);
    match value {
        Value::Null => payload.as_object_mut().unwrap().remove(name),
        value => payload.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    let key = key(record.algorithms[0]);
    take(&forge(key, &header(key, record.typ), &payload.to_string()), record)
}

pub(crate) fn invalid(why: Why) -> Result<Verified, TokenFault> {
    Err(TokenFault::Invalid(why))
}
pub(crate) fn member(name: &'static str) -> Result<Verified, TokenFault> {
    invalid(Why::Jwt(JwtFault::Member(name)))
}

/// S9068-1, and what each dialect's clients were seen to expect.
#[test]
fn tokens_say_what_their_record_has() {
    let (iat, jti) = (NOW_S, "AQEBAQEBAQEBAQEBAQEBAQ");
    let generation = format!("{EPOCH}.7");
    let all = [
        (
            "standard",
            json!({"iss": ISSUER, "sub": "dwi_EXAMPLE", "aud": ISSUER, "client_id": "dwi_EXAMPLE",
            "scope": "api vouchers", "iat": iat, "exp": iat + 3600, "jti": jti, "gen": generation}),
        ),
        (
            "antavo",
            json!({"iss": "https://api.example/v1/auth", "sub": "dwi_EXAMPLE",
            "aud": "https://api.example/v1/async", "scope": "api vouchers", "iat": iat, "exp": iat + 3600, "jti": jti,
            "gen": generation}),
        ),
        (
            "voucherify",
            json!({"iss": "https://api.example/v1/oauth", "sub": "dwi_EXAMPLE",
            "aud": "https://api.example/v1", "scope": "api vouchers", "iat": iat, "exp": iat + 900, "jti": jti,
            "gen": generation}),
        ),
        (
            "vista",
            json!({"iss": "https://api.example/", "sub": "dwi_EXAMPLE", "aud": "all",
            "token_usage": "access_token", "iat": iat, "nbf": iat, "exp": iat + 43_200, "jti": jti,
            "gen": generation}),
        ),
        (
            "avanan",
            json!({"iss": "https://api.example/v1.0", "sub": "dwi_EXAMPLE", "iat": iat, "exp": iat + 3600,
            "jti": jti, "gen": generation}),
        ),
    ];
    assert_eq!(all.len(), RECORDS.len());
    for (dialect, expected) in all {
        let record = record(dialect);
        let made = issued(&grant(record));
        assert_eq!(claims(&made.token), expected);
        assert_eq!((made.issued_s, made.expires_s), (NOW_S, NOW_S + record.life_s));
        let head: Value =
            serde_json::from_slice(&decode(made.token.split('.').next().unwrap()).unwrap()).unwrap();
        let key = key(record.algorithms[0]);
        assert_eq!(head, json!({"alg": key.alg().name(), "kid": key.kid(), "typ": record.typ}));
        let taken = take(&made.token, record).unwrap();
        assert_eq!((&*taken.subject, taken.since, taken.jti), ("dwi_EXAMPLE", 7, made.jti));
        assert_eq!((taken.issued_s, taken.expires_s), (made.issued_s, made.expires_s));
        let scopes = taken.scopes().map(|s| s.collect::<Vec<_>>());
        assert_eq!(scopes, record.scope.then(|| vec!["api", "vouchers"]));
        assert_eq!((taken.record, &taken.client, &taken.label), (record, &None, &None));
        assert!(!format!("{made:?}").contains("ey"), "a token is not shown");
    }
}

#[test]
fn what_a_caller_chooses_is_carried_where_it_may() {
    let resources = ["https://a.example", "https://b.example"];
    let client = Some(Asker { id: "dwi_CLIENT", since: 5 });
    let standard = Grant { client, resources: &resources, ..grant(record("standard")) };
    let made = issued(&standard);
    assert_eq!(claims(&made.token)["aud"], json!(resources));
    let audiences = ["https://b.example".into()];
    let taken = check(&made.token, standard.record, &audiences, NOW, &tokens()).unwrap();
    assert_eq!(taken.client, Some(Client { id: "dwi_CLIENT".into(), since: 5 }));
    assert_eq!(claims(&made.token)["client_gen"], "5");
    assert_eq!(
        taken.audience,
        Audience::Resources(Box::new(["https://a.example".into(), "https://b.example".into()]))
    );
    let label = "an app \"of\" ours";
    let vista = Grant { label: Some(label), ..grant(record("vista")) };
    assert_eq!(take(&issued(&vista).token, vista.record).unwrap().label.as_deref(), Some(label));
    let short = Grant { life_s: Some(300), ..grant(record("antavo")) };
    assert_eq!(issued(&short).expires_s, NOW_S + 300);
    let long = Grant { life_s: Some(1_000_000), ..grant(record("antavo")) };
    assert_eq!(issued(&long).expires_s, NOW_S + 3_600);
}

#[test]
fn what_no_token_may_say_is_not_issued() {
    let issuer = Issuer::parse(ISSUER).unwrap();
    let of = |grant: &Grant<'_>, alg: Algorithm, now: UnixMillis| {
        issue(grant, &issuer, EPOCH, key(alg), Jti::new([1; 16]), now).err()
    };
    let (standard, vista, avanan) =
        (grant(record("standard")), grant(record("vista")), grant(record("avanan")));
    let es = |grant: &Grant<'_>| of(grant, Algorithm::Es256, NOW);
    for alg in Algorithm::ALL {
        assert_eq!(of(&standard, *alg, NOW), None);
        let fault = (*alg != Algorithm::Rs256).then_some(IssueFault::Algorithm);
        assert_eq!(of(&vista, *alg, NOW), fault);
    }
    for scope in ["a  b", " a", "a ", "a\tb", "a\"b", "a\\b", "ä", "a\nb"] {
        assert_eq!(es(&Grant { scope, ..standard }), Some(IssueFault::Scope), "{scope}");
    }
    assert_eq!(es(&Grant { scope: "", ..standard }), None);
    assert_eq!(of(&Grant { scope: "api", ..avanan }, Algorithm::Rs256, NOW), Some(IssueFault::Scope));
    let many = ["https://a.example"; 9];
    assert_eq!(es(&Grant { resources: &many, ..standard }), Some(IssueFault::Resources));
    assert_eq!(es(&Grant { resources: &many[..8], ..standard }), None);
    assert_eq!(
        of(&Grant { resources: &many[..1], ..vista }, Algorithm::Rs256, NOW),
        Some(IssueFault::Resources)
    );
    assert_eq!(es(&Grant { label: Some("x"), ..standard }), Some(IssueFault::Label));
    let (most, more) = ("x".repeat(50), "x".repeat(51));
    assert_eq!(of(&Grant { label: Some(&more), ..vista }, Algorithm::Rs256, NOW), Some(IssueFault::Label));
    assert_eq!(of(&Grant { label: Some(&most), ..vista }, Algorithm::Rs256, NOW), None);
    for life_s in [0, -1] {
        assert_eq!(es(&Grant { life_s: Some(life_s), ..standard }), Some(IssueFault::Time));
    }
    assert_eq!(of(&standard, Algorithm::Es256, UnixMillis(-1)), Some(IssueFault::Time));
    assert_eq!(of(&standard, Algorithm::Es256, UnixMillis(i64::MAX)), Some(IssueFault::Time));
    let scope = "x".repeat(8_000);
    assert_eq!(es(&Grant { scope: &scope, ..standard }), Some(IssueFault::Jwt(JwtFault::TooLong)));
}

/// S8725-3: a token is good where its own dialect is spoken, and nowhere else.
#[test]
fn no_dialect_takes_anothers() {
    for own in &RECORDS {
        let token = issued(&grant(own)).token;
        for here in &RECORDS {
            let expected = if own == here { Ok(()) } else { Err(TokenFault::Invalid(Why::Dialect)) };
            assert_eq!(take(&token, here).map(|_| ()), expected, "{} at {}", own.dialect, here.dialect);
        }
    }
}

/// S9068-1, S7519-1, S8725-3: each claim is there, and is what it has to be.
#[test]
fn every_claim_counts() {
    for record in &RECORDS {
        let dialect = record.dialect;
        let text = |bad: &Value| !bad.is_string() || bad == "";
        for bad in [Value::Null, json!(""), json!(7), json!(["x"]), json!({})] {
            assert!(text(&bad) || bad.is_null());
            for name in ["iss", "sub", "jti", "gen"] {
                assert_eq!(with(dialect, name, bad.clone()), member(name), "{dialect} {bad}");
            }
        }
        for name in ["exp", "iat"] {
            for bad in
                [Value::Null, json!(NOW_S.to_string()), json!(1.5), json!(-1), json!([NOW_S]), json!(true)]
            {
                assert_eq!(with(dialect, name, bad), member(name), "{dialect}");
            }
        }
        for other in [
            "https://evil.example",
            "https://api.example.org",
            "https://api.example/v2",
            "HTTPS://API.EXAMPLE",
        ] {
            assert_eq!(with(dialect, "iss", json!(other)), invalid(Why::Issuer), "{dialect} {other}");
        }
        for bad in ["AQEBAQEBAQEBAQEBAQEBAR", "AQEBAQEBAQEBAQEBAQEB", "AQEBAQEBAQEBAQEBAQEBAQ==", "x"] {
            assert_eq!(with(dialect, "jti", json!(bad)), member("jti"), "{dialect} {bad}");
        }
        for bad in [
            "7",
            ".",
            &format!("{EPOCH}."),
            &format!("{EPOCH}.07"),
            &format!("{EPOCH}.-7"),
            &format!("{EPOCH}.+7"),
            &format!("{EPOCH}.7x"),
            &format!("{EPOCH}.99999999999999999999"),
        ] {
            assert_eq!(with(dialect, "gen", json!(bad)), member("gen"), "{dialect} {bad}");
        }
        assert_eq!(with(dialect, "gen", json!("fedcba.7")), Err(TokenFault::Revoked), "another epoch");
        assert_eq!(with(dialect, "gen", json!(".7")), Err(TokenFault::Revoked));
        assert_eq!(with(dialect, "exp", json!(NOW_S + record.life_s + 1)), invalid(Why::Life));
        assert_eq!(with(dialect, "exp", json!(NOW_S)), invalid(Why::Life));
        let nbf = if record.not_before { Value::Null } else { json!(NOW_S) };
        assert_eq!(with(dialect, "nbf", nbf), member("nbf"), "{dialect}");
        assert_eq!(with(dialect, "nbf", json!("1")), member("nbf"));
        let usage = if record.usage.is_some() { Value::Null } else { json!("access_token") };
        assert_eq!(with(dialect, "token_usage", usage), member("token_usage"), "{dialect}");
        assert_eq!(with(dialect, "token_usage", json!("refresh_token")), member("token_usage"));
        let scope = if record.scope { Value::Null } else { json!("api") };
        assert_eq!(with(dialect, "scope", scope), member("scope"), "{dialect}");
        assert_eq!(with(dialect, "scope", json!(["api"])), member("scope"));
        assert!(with(dialect, "more", json!({"a": [1]})).is_ok(), "what nobody asks for says nothing");
    }
    assert_eq!(with("standard", "client_id", Value::Null), member("client_id"));
    // Whoever asks for others says so in both claims.
    assert_eq!(with("standard", "client_id", json!("dwi_CLIENT")), member("client_gen"));
    for dialect in ["standard", "vista"] {
        assert_eq!(with(dialect, "client_gen", json!("5")), member("client_gen"));
    }
    assert_eq!(with("vista", "client_label", json!(7)), member("client_label"));
}
