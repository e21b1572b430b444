//! What no token may be. Each case is signed by the right key, so that nothing but its own fault refuses it.
use crate::support::{forge, header, judge, key, key_set, sign};
use aws_lc_rs::hmac;
use doorward_core::jwt::{Algorithm, Compact, JwtFault, Part, encode};

const GOOD: &str = r#"{"iss":"https://api.example","exp":1795285931}"#;

#[test]
fn a_right_token_is_taken_whatever_signs_it() {
    let keys = key_set();
    for alg in Algorithm::ALL {
        let token = forge(key(*alg), &header(key(*alg), "JWT"), GOOD);
        assert_eq!(judge(&token, &keys), Ok(()));
        let spaced =
            format!("{{ \"kid\" :\t\"{}\",\n\"x\":1, \"alg\":\"{}\" }}", key(*alg).kid(), alg.name());
        assert_eq!(
            judge(&forge(key(*alg), &spaced, GOOD), &keys),
            Ok(()),
            "members that say nothing are left"
        );
    }
}

#[test]
fn headers() {
    use JwtFault::{Algorithm as Alg, HeaderMember, Json, Member, UnknownKey};
    let keys = key_set();
    // `K` is the name of the key.
    let cases: &[(&str, &str, JwtFault)] = &[
        ("S8725-1", r#"{"alg":"none","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"None","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"NONE","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"nOnE","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"es256","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"ES256 ","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"ES384","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"HS256","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"RS256","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"alg":"EdDSA","kid":"K"}"#, Alg),
        ("S8725-1", r#"{"kid":"K"}"#, Member("alg")),
        ("S8725-1", r#"{"alg":null,"kid":"K"}"#, Member("alg")),
        ("S8725-1", r#"{"alg":["ES256"],"kid":"K"}"#, Member("alg")),
        ("S8725-2", r#"{"alg":"ES256"}"#, Member("kid")),
        ("S8725-2", r#"{"alg":"ES256","kid":""}"#, Member("kid")),
        ("S8725-2", r#"{"alg":"ES256","kid":7}"#, Member("kid")),
        ("S8725-2", r#"{"alg":"ES256","kid":["K"]}"#, Member("kid")),
        ("S8725-2", r#"{"alg":"ES256","kid":{"$ne":""}}"#, Member("kid")),
        ("S8725-2", r#"{"alg":"ES256","kid":"../../dev/null"}"#, UnknownKey),
        ("S8725-2", r#"{"alg":"ES256","kid":"' OR 1=1--"}"#, UnknownKey),
        ("S8725-2", r#"{"alg":"ES256","kid":"https://evil.example/key"}"#, UnknownKey),
        ("S8725-2", r#"{"alg":"ES256","kid":"K "}"#, UnknownKey),
        ("S8725-2", r#"{"alg":"ES256","kid":"\u0000"}"#, UnknownKey),
        ("S8725-2", r#"{"alg":"ES256","kid":"K\u0000"}"#, UnknownKey),
        ("S8725-2", r#"{"alg":"ES256","kid":"ключ"}"#, UnknownKey),
        ("S8725-2", r#"{"alg":"ES256","kid":"K","jku":"https://evil.example"}"#, HeaderMember("jku")),
        ("S8725-2", r#"{"alg":"ES256","kid":"K","jwk":{}}"#, HeaderMember("jwk")),
        ("S8725-2", r#"{"alg":"ES256","kid":"K","x5u":"https://evil.example"}"#, HeaderMember("x5u")),
        ("S8725-2", r#"{"alg":"ES256","kid":"K","x5c":[]}"#, HeaderMember("x5c")),
        ("S8725-4", r#"{"alg":"ES256","kid":"K","zip":"DEF"}"#, HeaderMember("zip")),
        ("S8725-4", r#"{"alg":"ES256","kid":"K","enc":"A128GCM"}"#, HeaderMember("enc")),
        ("S8725-4", r#"{"alg":"PBES2-HS256+A128KW","kid":"K","p2c":1}"#, HeaderMember("p2c")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","crit":["exp"]}"#, HeaderMember("crit")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","crit":["x"],"x":1}"#, HeaderMember("crit")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","crit":[]}"#, HeaderMember("crit")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","crit":["x","x"],"x":1}"#, HeaderMember("crit")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","crit":"x","x":1}"#, HeaderMember("crit")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","crit":["alg"]}"#, HeaderMember("crit")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","crit":null}"#, HeaderMember("crit")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","\u0063rit":["x"]}"#, HeaderMember("crit")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","b64":false}"#, HeaderMember("b64")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","b64":false,"crit":["b64"]}"#, HeaderMember("crit")),
        ("S7515-1", r#"{"alg":"ES256","kid":"K","b64":true}"#, HeaderMember("b64")),
        ("S8725-3", r#"{"alg":"ES256","kid":"K","typ":1}"#, Member("typ")),
        ("S7519-1", r#"{"alg":"ES256","alg":"ES256","kid":"K"}"#, Json(Part::Header)),
        ("S7519-1", r#"{"alg":"none","alg":"ES256","kid":"K"}"#, Json(Part::Header)),
        ("S7519-1", r#"{"alg":"ES256","kid":"K","\u006bid":"K"}"#, Json(Part::Header)),
        ("S7519-1", r#"{"alg":"ES256","kid":"K","x":{"a":1,"a":1}}"#, Json(Part::Header)),
        ("S7515-2", r#"["ES256","K"]"#, Json(Part::Header)),
        ("S7515-2", r#""ES256""#, Json(Part::Header)),
        ("S7515-2", r#"{"alg":"ES256","kid":"K"}{}"#, Json(Part::Header)),
        ("S7515-2", r#"{"alg":"ES256","kid":"K""#, Json(Part::Header)),
    ];
    let key = key(Algorithm::Es256);
    for (demand, text, fault) in cases {
        let text = text.replace("\"K", &format!("\"{}", key.kid()));
        assert_eq!(judge(&forge(key, &text, GOOD), &keys), Err(*fault), "{demand} {text}");
    }
}

/// S8725-1: what is public is no secret.
#[test]
fn a_public_key_signs_nothing() {
    let keys = key_set();
    for alg in Algorithm::ALL {
        let key = key(*alg);
        for (secret, said) in
            [(key.public().jwk(), "HS256"), (key.kid(), "HS256"), (key.public().jwk(), alg.name())]
        {
            let signed = format!(
                "{}.{}",
                encode(format!(r#"{{"alg":"{said}","kid":"{}"}}"#, key.kid()).as_bytes()),
                encode(GOOD.as_bytes())
            );
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
            let fault = if said == "HS256" { JwtFault::Algorithm } else { JwtFault::Signature };
            assert_eq!(judge(&format!("{signed}.{}", encode(tag.as_ref())), &keys), Err(fault));
        }
    }
}

/// S8725-1, S8725-3: the key that is named has to have signed, by its own algorithm.
#[test]
fn no_key_stands_for_another() {
    let keys = key_set();
    for named in Algorithm::ALL {
        for signer in Algorithm::ALL {
            for said in Algorithm::ALL {
                let text = format!(r#"{{"alg":"{}","kid":"{}"}}"#, said.name(), key(*named).kid());
                let expected = match (said == named, signer == named) {
                    (true, true) => Ok(()),
                    (true, false) => Err(JwtFault::Signature),
                    (false, _) => Err(JwtFault::Algorithm),
                };
                assert_eq!(judge(&forge(key(*signer), &text, GOOD), &keys), expected);
            }
        }
    }
}

/// S8725-2: a name that is too long is not even looked up.
#[test]
fn names_of_keys_are_bounded() {
    let keys = key_set();
    let of = |n: usize| {
        let text = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(n));
        judge(&forge(key(Algorithm::Es256), &text, GOOD), &keys)
    };
    assert_eq!(of(128), Err(JwtFault::UnknownKey));
    assert_eq!(of(129), Err(JwtFault::Member("kid")));
    assert_eq!(of(10_000), Err(JwtFault::TooLong));
}

/// S7519-1
#[test]
fn payloads() {
    let (keys, key) = (key_set(), key(Algorithm::EdDsa));
    let judge = |payload: &str| judge(&forge(key, &header(key, "JWT"), payload), &keys);
    for time in ["exp", "nbf", "iat"] {
        for bad in [
            "\"1795285931\"",
            "1795285931.0",
            "1.5",
            "-1",
            "null",
            "[1]",
            "[]",
            "{}",
            "true",
            "1e9",
            "253402300800",
        ] {
            let payload = format!(r#"{{"{time}":{bad}}}"#);
            assert_eq!(judge(&payload), Err(JwtFault::Member(time)), "{payload}");
        }
        for bad in ["1e400", "NaN", "-Infinity"] {
            let payload = format!(r#"{{"{time}":{bad}}}"#);
            assert_eq!(judge(&payload), Err(JwtFault::Json(Part::Payload)), "{payload}");
        }
    }
    for bad in [
        r#"{"exp":1795285931,"exp":1795285931}"#,
        r#"{"exp":1,"\u0065xp":1795285931}"#,
        r#"{"sub":"a","x":{"sub":"b","sub":"c"}}"#,
        r#"{"x":[[{"a":1,"a":1}]]}"#,
        "[]",
        "null",
        "\"text\"",
        "1",
        "{}x",
        " ",
        "{\"a\":\"\u{1}\"}",
    ] {
        assert_eq!(judge(bad), Err(JwtFault::Json(Part::Payload)), "{bad}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    assert_eq!(judge(&deep), Err(JwtFault::Json(Part::Payload)));
}

/// S7515-2
#[test]
fn only_the_compact_form_is_read() {
    use JwtFault::{Encoding, Parts};
    let (keys, key) = (key_set(), key(Algorithm::EdDsa));
    let good = forge(key, &header(key, "JWT"), GOOD);
    let [h, p, s]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(judge(&good, &keys), Ok(()));
    let cases: Vec<(String, JwtFault)> = vec![
        (String::new(), Parts),
        (h.to_owned(), Parts),
        (format!("{h}.{p}"), Parts),
        (format!("{h}.{p}."), Parts),
        (format!("{h}..{s}"), Parts),
        (format!(".{p}.{s}"), Parts),
        ("..".to_owned(), Parts),
        (format!("{good}."), Parts),
        (format!(".{good}"), Parts),
        (format!("{good}.{s}"), Parts),
        (format!("{h}.{p}.{s}.{p}.{s}"), Parts),
        (format!("{h}=.{p}.{s}"), Encoding(Part::Header)),
        (format!("{h}.{p}=.{s}"), Encoding(Part::Payload)),
        (format!("{h}.{p}.{s}=="), Encoding(Part::Signature)),
        (format!(" {good}"), Encoding(Part::Header)),
        (format!("{good} "), Encoding(Part::Signature)),
        (format!("{good}\n"), Encoding(Part::Signature)),
        (format!("{h}.{p}\r\n.{s}"), Encoding(Part::Payload)),
        (format!("{h}.{p}.{s}\0"), Encoding(Part::Signature)),
        (format!("{h}.{p}.+{}", &s[1..]), Encoding(Part::Signature)),
        (format!("{h}.{p}./{}", &s[1..]), Encoding(Part::Signature)),
        (format!("{h}.{p}.?{}", &s[1..]), Encoding(Part::Signature)),
        (format!("{h}.{p}.%2D{}", &s[1..]), Encoding(Part::Signature)),
        (format!("{h}.####{p}.{s}"), Encoding(Part::Payload)),
        (format!("{h}.{p}.{s}ä"), Encoding(Part::Signature)),
        (format!("{h}.{p}.A"), Encoding(Part::Signature)),
        (format!("Bearer {good}"), Encoding(Part::Header)),
        (format!(r#"{{"payload":"{p}","signatures":[{{"protected":"{h}","signature":"{s}"}}]}}"#), Parts),
    ];
    for (token, fault) in cases {
        assert_eq!(judge(&token, &keys), Err(fault), "{token}");
    }
    // 64 bytes of a signature leave four bits in the last character: only one of sixteen is right.
    let last = s.chars().last().unwrap();
    let mut taken = 0;
    for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        let token = format!("{h}.{p}.{}{c}", &s[..s.len() - 1]);
        let said = judge(&token, &keys);
        match said {
            Ok(()) => {
                assert_eq!(c, last);
                taken += 1;
            }
            Err(fault) => {
                assert!(matches!(fault, Encoding(Part::Signature) | JwtFault::Signature), "{c} {fault:?}")
            }
        }
    }
    assert_eq!(taken, 1);
    let canonical = |c: char| "AQgw".contains(c);
    assert!(canonical(last));
}

/// S7515-3: r and s are from 1 to n - 1, 32 bytes each.
#[test]
fn signatures_of_es256() {
    /// The order of P-256, and one less.
    const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let hex = |h: &str| -> [u8; 32] {
        std::array::from_fn(|i| u8::from_str_radix(&h[2 * i..2 * i + 2], 16).unwrap())
    };
    let (keys, key) = (key_set(), key(Algorithm::Es256));
    let good = forge(key, &header(key, "JWT"), GOOD);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let right = sign(key, signed.as_bytes());
    let with = |s: &[u8]| judge(&format!("{signed}.{}", encode(s)), &keys);
    assert_eq!(with(&right), Ok(()));
    assert_ne!(encode(&right), signature, "ECDSA is random");
    let n = hex(N);
    let (mut less, mut one) = (n, [0; 32]);
    less[31] -= 1;
    one[31] = 1;
    for r in [[0; 32], one, less, n, [0xff; 32]] {
        for s in [[0; 32], one, less, n, [0xff; 32]] {
            assert_eq!(with(&[r, s].concat()), Err(JwtFault::Signature));
        }
        assert_eq!(with(&[&r, &right[32..]].concat()), Err(JwtFault::Signature));
        assert_eq!(with(&[&right[..32], &r].concat()), Err(JwtFault::Signature));
    }
    // DER, as X.509 has it: a sequence of two whole numbers.
    let whole = |n: &[u8]| {
        let n: Vec<u8> = if n[0] & 0x80 != 0 { [&[0], n].concat() } else { n.to_vec() };
        [&[2, n.len() as u8], &n[..]].concat()
    };
    let inside = [whole(&right[..32]), whole(&right[32..])].concat();
    assert_eq!(with(&[&[0x30, inside.len() as u8], &inside[..]].concat()), Err(JwtFault::Signature));
    for bad in [
        right[..63].to_vec(),
        right[1..].to_vec(),
        [&right[..], &[0]].concat(),
        [&[0], &right[..]].concat(),
        [&[0], &right[..32], &[0], &right[32..]].concat(),
        [&right[32..], &right[..32]].concat(),
        [&right[..], &right[..]].concat(),
        vec![0; 1],
    ] {
        assert_eq!(with(&bad), Err(JwtFault::Signature), "{} bytes", bad.len());
    }
}

/// Every single bit counts, whatever the algorithm.
#[test]
fn nothing_can_be_changed() {
    let keys = key_set();
    for alg in Algorithm::ALL {
        let good = forge(key(*alg), &header(key(*alg), "JWT"), GOOD);
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            for flip in [1, 2, 32] {
                bytes[at] ^= flip;
                let text = String::from_utf8(bytes.clone()).unwrap();
                assert!(judge(&text, &keys).is_err(), "{alg:?} {at}");
                bytes[at] ^= flip;
            }
        }
        assert!(Compact::parse(&good).unwrap().verify(&doorward_core::jwt::KeySet::default()).is_err());
    }
}

#[test]
fn a_token_is_8_kib_at_most() {
    let (keys, key) = (key_set(), key(Algorithm::EdDsa));
    let of = |n: usize| {
        let token = forge(key, &header(key, "JWT"), &format!(r#"{{"a":"{}"}}"#, "x".repeat(n)));
        (token.len(), judge(&token, &keys))
    };
    let fits = (5_800..6_144).rev().map(of).find(|(len, _)| *len <= 8_192).unwrap();
    assert!(fits.0 > 8_188, "{}", fits.0);
    assert_eq!(fits.1, Ok(()));
    assert_eq!(of(6_144).1, Err(JwtFault::TooLong));
}
