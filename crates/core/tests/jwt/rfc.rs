//! The examples of the RFCs.
use crate::support::public_vectors;
use doorward_core::jwt::{Algorithm, Compact, JwtFault, KeyFault, KeySet, VerifyKey, decode};
use serde_json::Value;
use std::path::Path;

fn read(folder: &Path, file: &str) -> Value {
    let text = std::fs::read(folder.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    serde_json::from_slice(&text).unwrap()
}

/// The public part of a key.
fn public(key: &Value) -> String {
    let mut key = key.clone();
    key.as_object_mut()
        .unwrap()
        .retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
    key.to_string()
}

/// S7638-1
#[test]
fn thumbprints() {
    // RFC 8037 A.3.
    let key = VerifyKey::from_jwk(
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    );
    assert_eq!(key.unwrap().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let Some(folder) = public_vectors("rfc-small") else { return };
    let vector = &read(&folder, "oauth_small_vectors.json")["jwk_thumbprint_sha256"];
    let key = VerifyKey::from_jwk(&vector["jwk"].to_string()).unwrap();
    assert_eq!(key.thumbprint(), vector["thumbprint"].as_str().unwrap());
    assert_eq!((key.kid(), key.alg()), (key.thumbprint(), Algorithm::Rs256));
}

#[test]
fn cookbook_signatures() {
    let Some(folder) = public_vectors("rfc7520-cookbook") else { return };
    let rsa = read(&folder, "jws__4_1.rsa_v15_signature.json");
    let mut keys = KeySet::default();
    keys.add(VerifyKey::from_jwk(&public(&rsa["input"]["key"])).unwrap()).unwrap();
    let token = rsa["output"]["compact"].as_str().unwrap();
    let signed = Compact::parse(token).unwrap().verify(&keys).unwrap();
    assert_eq!(signed.payload(), rsa["input"]["payload"].as_str().unwrap().as_bytes());
    assert!(signed.claims().is_err(), "a sentence claims nothing");
    // The same key and name, and an algorithm that it is not for.
    let pss = read(&folder, "jws__4_2.rsa-pss_signature.json");
    let fault = Compact::parse(pss["output"]["compact"].as_str().unwrap()).unwrap_err();
    assert_eq!(fault, JwtFault::Algorithm);
    for (file, kept) in
        [("jws__4_5.signature_with_detached_content.json", 2), ("jws__4_3.ecdsa_signature.json", 3)]
    {
        let token = read(&folder, file)["output"]["compact"].as_str().unwrap().to_owned();
        let parts = token.split('.').filter(|part| !part.is_empty()).count();
        let fault = if kept == 2 { JwtFault::Parts } else { JwtFault::Algorithm };
        assert_eq!((parts, Compact::parse(&token).unwrap_err()), (kept, fault), "{file}");
    }
    // Its token names no key, so it is no token of ours; the signature is good all the same.
    let ed = read(&folder, "curve25519__jws.json");
    let key = VerifyKey::from_jwk(&public(&ed["input"]["key"])).unwrap();
    let signature = decode(ed["signing"]["sig"].as_str().unwrap()).unwrap();
    let message = ed["signing"]["sig-input"].as_str().unwrap().as_bytes();
    assert!(key.signed(message, &signature) && !key.signed(&message[1..], &signature));
    let fault = Compact::parse(ed["output"]["compact"].as_str().unwrap()).unwrap_err();
    assert_eq!(fault, JwtFault::Member("kid"));
}

#[test]
fn cookbook_keys() {
    let Some(folder) = public_vectors("rfc7520-cookbook") else { return };
    let of = |file: &str| VerifyKey::from_jwk(&read(&folder, file).to_string()).map(|key| key.alg());
    assert_eq!(of("jwk__3_3.rsa_public_key.json"), Ok(Algorithm::Rs256));
    assert_eq!(of("jwk__3_1.ec_public_key.json"), Err(KeyFault::Kind), "P-521");
    assert_eq!(of("jwk__3_2.ec_private_key.json"), Err(KeyFault::Private("d")));
    assert_eq!(of("jwk__3_4.rsa_private_key.json"), Err(KeyFault::Private("d")));
    assert_eq!(of("jwk__3_5.symmetric_key_mac_computation.json"), Err(KeyFault::Private("k")));
    assert_eq!(of("jwk__3_6.symmetric_key_encryption.json"), Err(KeyFault::Private("k")));
}
