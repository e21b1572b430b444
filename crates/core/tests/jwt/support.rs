//! Keys, and tokens that say whatever a test wants, rightly signed.
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use doorward_core::jwt::{Algorithm, Compact, JwtFault, KeySet, SigningKey, VerifyKey, encode};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

/// One key of each algorithm, the same for all tests of a run.
pub(crate) fn key(alg: Algorithm) -> &'static SigningKey {
    static KEYS: [OnceLock<SigningKey>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
    let at = Algorithm::ALL.iter().position(|a| *a == alg).unwrap();
    KEYS[at].get_or_init(|| SigningKey::generate(alg).unwrap())
}

/// The public keys of them all.
pub(crate) fn key_set() -> KeySet {
    let mut set = KeySet::default();
    for alg in Algorithm::ALL {
        set.add(VerifyKey::from_jwk(key(*alg).public().jwk()).unwrap()).unwrap();
    }
    set
}

/// Signs bytes as they are, past the code that is tested.
pub(crate) fn sign(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let (bytes, random) = (key.to_pkcs8().unwrap(), SystemRandom::new());
    match key.alg() {
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes.as_bytes()).unwrap();
            pair.sign(&random, message).unwrap().as_ref().to_vec()
        }
        Algorithm::EdDsa => {
            Ed25519KeyPair::from_pkcs8(bytes.as_bytes()).unwrap().sign(message).as_ref().to_vec()
        }
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::from_pkcs8(bytes.as_bytes()).unwrap();
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
            signature
        }
    }
}

/// A token of that header and payload, signed by the key.
pub(crate) fn forge(key: &SigningKey, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
    let signature = sign(key, signed.as_bytes());
    format!("{signed}.{}", encode(&signature))
}

/// The header that such a key's tokens have.
pub(crate) fn header(key: &SigningKey, typ: &str) -> String {
    format!(r#"{{"alg":"{}","kid":"{}","typ":"{typ}"}}"#, key.alg().name(), key.kid())
}

/// All three steps.
pub(crate) fn judge(token: &str, keys: &KeySet) -> Result<(), JwtFault> {
    Compact::parse(token)?.verify(keys)?.claims().map(|_| ())
}

/// The folder of public vectors; says so where there is none.
pub(crate) fn public_vectors(of: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("DOORWARD_PUBLIC_VECTORS");
    if folder.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: public vectors of {of}: DOORWARD_PUBLIC_VECTORS is not set"
        );
    }
    folder.map(|folder| PathBuf::from(folder).join(of))
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}
