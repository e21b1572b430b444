//! Project Wycheproof's signatures of the three algorithms: every one that must not be taken is refused.
use doorward_core::jwt::{KeyFault, VerifyKey, encode};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify};

/// How a set went: what had to be refused and was, what had to be taken and was.
#[derive(Default)]
struct Tally {
    refused: usize,
    taken: usize,
}

impl Tally {
    fn note(&mut self, what: &str, id: usize, result: TestResult, taken: bool) {
        match result {
            TestResult::Invalid => {
                assert!(!taken, "{what} {id} must be refused");
                self.refused += 1;
            }
            TestResult::Valid => {
                assert!(taken, "{what} {id} must be taken");
                self.taken += 1;
            }
            TestResult::Acceptable => {}
        }
    }
}

/// Without the zeros before a number, as JSON web keys have them.
fn plain(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|b| *b != 0).unwrap_or(number.len());
    &number[start..]
}

/// 32 bytes, big end first.
fn coordinate(number: &[u8]) -> String {
    let number = plain(number);
    encode(&[&vec![0; 32 - number.len()], number].concat())
}

/// S7515-3
#[test]
fn es256() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        let (x, y) = (coordinate(&group.key.affine_x), coordinate(&group.key.affine_y));
        let key =
            VerifyKey::from_jwk(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)).unwrap();
        for test in &group.tests {
            tally.note("ES256", test.tc_id, test.result, key.signed(&test.msg, &test.sig));
        }
    }
    assert!(tally.refused >= 80 && tally.taken >= 150, "{} {}", tally.refused, tally.taken);
}

/// S7515-3
#[test]
fn eddsa() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        let x = encode(&group.key.pk);
        let key = VerifyKey::from_jwk(&format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#)).unwrap();
        for test in &group.tests {
            tally.note("EdDSA", test.tc_id, test.result, key.signed(&test.msg, &test.sig));
        }
    }
    assert!(tally.refused >= 60 && tally.taken >= 60, "{} {}", tally.refused, tally.taken);
}

#[test]
fn rs256() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256};
    let mut tally = Tally::default();
    for name in [Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256] {
        for group in &rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let (n, e) = (encode(plain(&group.key.n)), encode(plain(&group.key.e)));
            let key = match VerifyKey::from_jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)) {
                Ok(key) => key,
                // The sets have keys with exponents that are not taken at all.
                Err(fault) => {
                    assert!(matches!(fault, KeyFault::Weak(_)), "{fault}");
                    assert!(plain(&group.key.e).len() > 4, "{fault}");
                    continue;
                }
            };
            for test in &group.tests {
                tally.note("RS256", test.tc_id, test.result, key.signed(&test.msg, &test.sig));
            }
        }
    }
    assert!(tally.refused >= 700 && tally.taken >= 20, "{} {}", tally.refused, tally.taken);
}
