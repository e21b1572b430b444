//! Another implementation as the opposite: what one makes, the other takes.
use crate::support::{Seeded, forge, header, judge, key, key_set};
use doorward_core::jwt::{Algorithm, Compact, decode};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

fn theirs(alg: Algorithm) -> jsonwebtoken::Algorithm {
    match alg {
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}

fn jwk(alg: Algorithm) -> Jwk {
    serde_json::from_str(key(alg).public().jwk()).unwrap()
}

/// What they make of a token.
fn decoded(alg: Algorithm, token: &str) -> Option<Value> {
    let mut how = Validation::new(theirs(alg));
    how.validate_exp = false;
    how.required_spec_claims.clear();
    let key = DecodingKey::from_jwk(&jwk(alg)).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &how).ok().map(|decoded| decoded.claims)
}

#[test]
fn they_take_what_we_sign() {
    for alg in Algorithm::ALL {
        let payload = r#"{"iss":"https://api.example","exp":1795285931,"a":[1,"ä"]}"#;
        let token = key(*alg).sign("at+jwt", payload.as_bytes()).unwrap();
        assert_eq!(decoded(*alg, &token), Some(serde_json::from_str(payload).unwrap()));
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!((header.alg, header.typ.as_deref()), (theirs(*alg), Some("at+jwt")));
        assert_eq!(header.kid.as_deref(), Some(key(*alg).kid()));
        let mut other = token.clone();
        other.insert(token.find('.').unwrap() + 1, 'A');
        assert_eq!(decoded(*alg, &other), None);
    }
}

#[test]
fn we_take_what_they_sign() {
    for alg in Algorithm::ALL {
        let bytes = key(*alg).to_pkcs8().unwrap();
        let private = match alg {
            Algorithm::Es256 => EncodingKey::from_ec_der(bytes.as_bytes()),
            Algorithm::EdDsa => EncodingKey::from_ed_der(bytes.as_bytes()),
            // What stands in the last part of PKCS #8 is PKCS #1.
            Algorithm::Rs256 => EncodingKey::from_rsa_der(&bytes.as_bytes()[26..]),
        };
        let mut header = Header::new(theirs(*alg));
        header.kid = Some(key(*alg).kid().to_owned());
        let claims = json!({"sub": "dwi_1", "exp": 1_795_285_931, "aud": ["a", "b"]});
        let token = jsonwebtoken::encode(&header, &claims, &private).unwrap();
        let signed = Compact::parse(&token).unwrap().verify(&key_set()).unwrap();
        let ours = signed.claims().unwrap();
        assert_eq!((ours.text("sub"), ours.seconds("exp")), (Ok(Some("dwi_1")), Ok(Some(1_795_285_931))));
        assert_eq!(ours.audience(), Ok(Some(vec!["a", "b"])));
        assert!(signed.header().is_typ("JWT"));
    }
}

/// S7638-1
#[test]
fn thumbprints_are_the_same() {
    for alg in Algorithm::ALL {
        assert_eq!(jwk(*alg).thumbprint(ThumbprintHash::SHA256).unwrap(), key(*alg).kid());
    }
}

/// Whatever we take, they take, with the same claims: pieces of right tokens put together at random.
#[test]
fn we_take_nothing_that_they_refuse() {
    let (keys, mut random) = (key_set(), Seeded(7));
    let payloads =
        [r#"{"exp":1}"#, r#"{"exp":"1"}"#, r#"{"exp":1,"exp":2}"#, "{}", "[]", r#"{"a":{"b":{}}}"#];
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let alg = Algorithm::ALL[random.below(3)];
        let said = if random.below(4) == 0 { Algorithm::ALL[random.below(3)] } else { alg };
        let mut token = forge(key(alg), &header(key(said), "JWT"), payloads[random.below(payloads.len())]);
        match random.below(4) {
            0 => {
                let at = random.below(token.len());
                token.insert(at, ['A', '.', '=', '_'][random.below(4)]);
            }
            1 => {
                let at = random.below(token.len());
                token.remove(at);
            }
            _ => {}
        }
        match judge(&token, &keys) {
            Ok(()) => {
                let payload = decode(token.split('.').nth(1).unwrap()).unwrap();
                let claims: Value = serde_json::from_slice(&payload).unwrap();
                assert_eq!(decoded(said, &token), Some(claims), "{token}");
                taken += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(taken > 500 && refused > 500, "{taken} {refused}");
}
