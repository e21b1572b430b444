//! Public keys that are taken, and those that are not.
use crate::support::{key, key_set};
use doorward_core::jwt::{Algorithm, KeyFault, KeySet, MAX_KEYS, VerifyKey, decode, encode};
use serde_json::{Value, json};

fn jwk(alg: Algorithm) -> Value {
    serde_json::from_str(key(alg).public().jwk()).unwrap()
}

/// The fault of a key with one member changed, added, or taken away (`null`).
fn with(alg: Algorithm, name: &str, value: Value) -> Option<KeyFault> {
    let mut changed = jwk(alg);
    match value {
        Value::Null => changed.as_object_mut().unwrap().remove(name),
        value => changed.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    VerifyKey::from_jwk(&changed.to_string()).err()
}

#[test]
fn keys_as_they_are_published_are_taken() {
    for alg in Algorithm::ALL {
        let (own, read) = (key(*alg).public(), VerifyKey::from_jwk(key(*alg).public().jwk()).unwrap());
        assert_eq!((read.kid(), read.alg(), read.jwk()), (own.kid(), *alg, own.jwk()));
        assert_eq!(read.thumbprint(), own.kid());
        assert_eq!(with(*alg, "key_ops", json!(["verify"])), None);
        for left_out in ["alg", "use", "kid"] {
            assert_eq!(with(*alg, left_out, Value::Null), None);
        }
        let mut unnamed = jwk(*alg);
        unnamed.as_object_mut().unwrap().remove("kid");
        assert_eq!(VerifyKey::from_jwk(&unnamed.to_string()).unwrap().kid(), own.kid());
    }
}

/// S7517-1
#[test]
fn keys_for_something_else_are_refused() {
    for alg in Algorithm::ALL {
        assert_eq!(with(*alg, "use", json!("enc")), Some(KeyFault::Use("use")));
        assert_eq!(with(*alg, "use", json!("")), Some(KeyFault::Use("use")));
        assert_eq!(with(*alg, "use", json!(1)), Some(KeyFault::Member("use")));
        for ops in [
            json!([]),
            json!(["sign"]),
            json!(["sign", "verify"]),
            json!(["verify", "verify"]),
            json!("verify"),
            json!(["encrypt"]),
            json!([1]),
        ] {
            assert_eq!(with(*alg, "key_ops", ops), Some(KeyFault::Use("key_ops")));
        }
        for other in ["HS256", "PS256", "none", "ES384", "RS512", ""] {
            assert_eq!(with(*alg, "alg", json!(other)), Some(KeyFault::Use("alg")));
        }
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert_eq!(with(*alg, private, json!("AQAB")), Some(KeyFault::Private(private)));
        }
        for kind in ["oct", "rsa", "Ec", ""] {
            assert_eq!(with(*alg, "kty", json!(kind)), Some(KeyFault::Kind));
        }
        assert_eq!(with(*alg, "kty", Value::Null), Some(KeyFault::Member("kty")));
        for (bad, fault) in [(json!(""), "kid"), (json!(7), "kid"), (json!("k".repeat(129)), "kid")] {
            assert_eq!(with(*alg, "kid", bad), Some(KeyFault::Member(fault)));
        }
        assert_eq!(with(*alg, "crv", json!("P-521")), Some(KeyFault::Kind));
    }
    for bad in ["", "[]", "{", r#"{"kty":"EC","kty":"EC"}"#, "null"] {
        assert_eq!(VerifyKey::from_jwk(bad).err(), Some(KeyFault::Json), "{bad}");
    }
}

/// S7517-1: points are on the curve, and written in full.
#[test]
fn points_of_p256() {
    let x = decode(jwk(Algorithm::Es256)["x"].as_str().unwrap()).unwrap();
    let mut off = x.clone();
    off[31] ^= 1;
    for (name, bytes) in
        [("x", off.as_slice()), ("x", &[0; 32]), ("x", &[0xff; 32]), ("y", &x), ("y", &[0; 32])]
    {
        let fault = with(Algorithm::Es256, name, json!(encode(bytes)));
        assert_eq!(fault, Some(KeyFault::Weak("the point is not on P-256")));
    }
    for bytes in [&x[1..], &[&[0], &x[..]].concat(), &[]] {
        assert_eq!(with(Algorithm::Es256, "x", json!(encode(bytes))), Some(KeyFault::Member("x")));
    }
    assert_eq!(with(Algorithm::Es256, "x", json!(encode(&x) + "=")), Some(KeyFault::Member("x")));
    assert_eq!(with(Algorithm::Es256, "y", Value::Null), Some(KeyFault::Member("y")));
}

/// S7515-3: nobody needs a private key for a point of small order.
#[test]
fn points_of_ed25519() {
    let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    let other_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    let mut small = vec![[0; 32]];
    for text in [order_8, other_8] {
        small.push(std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()));
    }
    let mut one = [0; 32];
    one[0] = 1;
    small.push(one);
    // p - 1, and what is too large to be written: p, p + 1, and up to 2^255 - 1.
    for first in 0xec..=0xff {
        let mut y = [0xff; 32];
        (y[0], y[31]) = (first, 0x7f);
        small.push(y);
    }
    for point in small {
        for sign in [0, 0x80] {
            let mut point = point;
            point[31] |= sign;
            let fault = with(Algorithm::EdDsa, "x", json!(encode(&point)));
            assert!(matches!(fault, Some(KeyFault::Weak(_))), "{point:02x?}");
        }
    }
    for bytes in [&[7; 31][..], &[7; 33], &[]] {
        assert_eq!(with(Algorithm::EdDsa, "x", json!(encode(bytes))), Some(KeyFault::Member("x")));
    }
}

/// S8725-5
#[test]
fn rsa_keys_are_long_and_odd() {
    let n = decode(jwk(Algorithm::Rs256)["n"].as_str().unwrap()).unwrap();
    assert_eq!(n.len(), 256);
    let modulus = |bytes: &[u8]| with(Algorithm::Rs256, "n", json!(encode(bytes)));
    let weak = |fault: Option<KeyFault>| matches!(fault, Some(KeyFault::Weak(_)));
    assert_eq!(modulus(&n), None);
    let mut shorter = n.clone();
    shorter[0] = 0x7f;
    assert!(weak(modulus(&shorter)), "2047 bits");
    assert!(weak(modulus(&n[128..])), "1024 bits");
    assert!(weak(modulus(&[&[1], &[0; 1023][..], &[1]].concat())), "8193 bits");
    let mut even = n.clone();
    even[255] &= !1;
    assert!(weak(modulus(&even)));
    assert_eq!(modulus(&[&[0], &n[..]].concat()), Some(KeyFault::Member("n")));
    assert_eq!(modulus(&[]), Some(KeyFault::Member("n")));
    let exponent = |bytes: &[u8]| with(Algorithm::Rs256, "e", json!(encode(bytes)));
    for good in [&[3][..], &[1, 0, 1], &[0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(exponent(good), None, "{good:?}");
    }
    for bad in [&[1][..], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        assert!(weak(exponent(bad)), "{bad:?}");
    }
    for bad in [&[][..], &[0], &[0, 1, 0, 1]] {
        assert_eq!(exponent(bad), Some(KeyFault::Member("e")), "{bad:?}");
    }
    // A modulus as the broken maker's are: a power of 65537.
    let mut roca = vec![1u8];
    for _ in 0..128 {
        let (mut sum, mut carry) = (Vec::new(), 0);
        let (up, same) = ([&roca[..], &[0, 0]].concat(), [&[0, 0], &roca[..]].concat());
        for (a, b) in up.iter().zip(&same).rev() {
            let both = u16::from(*a) + u16::from(*b) + carry;
            sum.push(both as u8);
            carry = both >> 8;
        }
        sum.reverse();
        roca = sum;
    }
    let start = roca.iter().position(|b| *b != 0).unwrap();
    let fault = modulus(&roca[start..]);
    assert_eq!(fault, Some(KeyFault::Weak("the modulus was made by a broken maker (CVE-2017-15361)")));
}

/// S7517-1
#[test]
fn sets_are_taken_whole_or_not_at_all() {
    let set = key_set();
    let text = set.jwks();
    let read = KeySet::from_jwks(&text).unwrap();
    assert_eq!((read.len(), read.jwks()), (3, text.clone()));
    for private in ["\"d\"", "\"p\"", "\"q\"", "\"k\""] {
        assert!(!text.contains(private));
    }
    let one = key(Algorithm::Es256).public().jwk();
    let two = key(Algorithm::EdDsa).public().jwk();
    let of = |keys: &[&str]| KeySet::from_jwks(&format!("{{\"keys\":[{}]}}", keys.join(","))).err();
    assert_eq!(of(&[one, two]), None);
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[one, two, one]), Some(KeyFault::Repeated));
    let renamed = two.replace(key(Algorithm::EdDsa).kid(), key(Algorithm::Es256).kid());
    assert_eq!(of(&[one, &renamed]), Some(KeyFault::Repeated), "the same name for two keys");
    assert_eq!(of(&[one, r#"{"kty":"oct","k":"AQAB","kid":"s"}"#]), Some(KeyFault::Private("k")));
    assert_eq!(of(&[one, "7"]), Some(KeyFault::Json));
    assert_eq!(of(&[one, r#"{"kty":"EC"}"#]), Some(KeyFault::Kind));
    for bad in ["{}", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
        assert_eq!(KeySet::from_jwks(bad).err(), Some(KeyFault::Member("keys")), "{bad}");
    }
    assert_eq!(KeySet::from_jwks("[]").err(), Some(KeyFault::Json));
    let many: Vec<String> =
        (0..=MAX_KEYS).map(|i| two.replace(key(Algorithm::EdDsa).kid(), &format!("k{i}"))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(of(&many[..MAX_KEYS]), None);
    assert_eq!(of(&many), Some(KeyFault::TooMany));
}
