//! A key pair that signs tokens.
use super::jwk::Public;
use super::{Algorithm, JwtFault, KeyFault, MAX_TOKEN_BYTES, VerifyKey, encode};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::pkcs8::Document;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use std::fmt;

/// A key pair, named by the thumbprint of its public key.
pub struct SigningKey {
    pair: Pair,
    public: VerifyKey,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// A private key as bytes (PKCS #8), for whoever seals it. They are overwritten when it is dropped.
pub struct Pkcs8(Held);

enum Held {
    Document(Document),
    Der(Pkcs8V1Der<'static>),
}

impl Pkcs8 {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Document(bytes) => bytes.as_ref(),
            Held::Der(bytes) => bytes.as_ref(),
        }
    }
}

impl fmt::Debug for Pkcs8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pkcs8(..)")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {:?}, ..)", self.alg().name(), self.kid())
    }
}

impl SigningKey {
    /// Makes a new key pair; of RSA with 2048 bits.
    ///
    /// # Errors
    /// [`KeyFault::Library`] where the system gives no random numbers.
    pub fn generate(alg: Algorithm) -> Result<SigningKey, KeyFault> {
        let failed = |_| KeyFault::Library;
        SigningKey::new(match alg {
            Algorithm::Es256 => {
                Pair::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?)
            }
            Algorithm::Rs256 => Pair::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
            Algorithm::EdDsa => Pair::EdDsa(Ed25519KeyPair::generate().map_err(failed)?),
        })
    }

    /// Reads a key pair.
    ///
    /// # Errors
    /// [`KeyFault::Unreadable`] for other bytes, or a key of another algorithm; [`KeyFault::Weak`].
    pub fn from_pkcs8(alg: Algorithm, bytes: &[u8]) -> Result<SigningKey, KeyFault> {
        let failed = |_| KeyFault::Unreadable;
        SigningKey::new(match alg {
            Algorithm::Es256 => Pair::Es256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes).map_err(failed)?,
            ),
            Algorithm::Rs256 => Pair::Rs256(RsaKeyPair::from_pkcs8(bytes).map_err(failed)?),
            Algorithm::EdDsa => Pair::EdDsa(Ed25519KeyPair::from_pkcs8(bytes).map_err(failed)?),
        })
    }

    fn new(pair: Pair) -> Result<SigningKey, KeyFault> {
        let public = VerifyKey::new(&pair.public().ok_or(KeyFault::Unreadable)?, None)?;
        Ok(SigningKey { pair, public })
    }

    /// The private key, for whoever seals it.
    ///
    /// # Errors
    /// [`KeyFault::Library`].
    pub fn to_pkcs8(&self) -> Result<Pkcs8, KeyFault> {
        let held = match &self.pair {
            Pair::Es256(pair) => pair.to_pkcs8v1().map(Held::Document),
            Pair::Rs256(pair) => AsDer::<Pkcs8V1Der<'static>>::as_der(pair).map(Held::Der),
            Pair::EdDsa(pair) => pair.to_pkcs8v1().map(Held::Document),
        };
        held.map(Pkcs8).map_err(|_| KeyFault::Library)
    }

    /// How it signs.
    #[must_use]
    pub fn alg(&self) -> Algorithm {
        self.public.alg()
    }

    /// Its name: the thumbprint of its public key.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// What others verify with.
    #[must_use]
    pub fn public(&self) -> &VerifyKey {
        &self.public
    }

    /// Makes a token of a kind, as in `at+jwt`, with a payload.
    ///
    /// # Errors
    /// [`JwtFault::TooLong`], and [`JwtFault::Signature`] where the library can't sign.
    pub fn sign(&self, typ: &str, payload: &[u8]) -> Result<String, JwtFault> {
        let typ = serde_json::Value::from(typ);
        let header = format!(r#"{{"alg":"{}","kid":"{}","typ":{typ}}}"#, self.alg().name(), self.kid());
        let mut token = format!("{}.{}", encode(header.as_bytes()), encode(payload));
        let signature = self.signature(token.as_bytes()).ok_or(JwtFault::Signature)?;
        token.push('.');
        token.push_str(&encode(&signature));
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwtFault::TooLong);
        }
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, message).ok().map(|s| s.as_ref().to_vec()),
            Pair::EdDsa(pair) => pair.try_sign(message).ok().map(|s| s.as_ref().to_vec()),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

impl Pair {
    fn public(&self) -> Option<Public> {
        match self {
            Pair::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
                Some(Public::Es256(x.try_into().ok()?, y.try_into().ok()?))
            }
            Pair::EdDsa(pair) => Some(Public::EdDsa(pair.public_key().as_ref().try_into().ok()?)),
            Pair::Rs256(pair) => {
                // RSAPublicKey (RFC 8017 A.1.1): a sequence of two whole numbers.
                let (inside, rest) = der(0x30, pair.public_key().as_ref())?;
                let (n, more) = der(0x02, inside)?;
                let (e, after) = der(0x02, more)?;
                let plain = |n: &[u8]| n.strip_prefix(&[0]).unwrap_or(n).to_vec();
                (rest.is_empty() && after.is_empty()).then(|| Public::Rs256(plain(n), plain(e)))
            }
        }
    }
}

/// What stands in a DER value with that tag, and what comes after it.
fn der(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, bytes) = bytes.strip_prefix(&[tag])?.split_first()?;
    let (len, bytes) = if first & 0x80 == 0 {
        (usize::from(*first), bytes)
    } else {
        let (len, bytes) =
            bytes.split_at_checked(usize::from(first & 0x7f)).filter(|(len, _)| len.len() <= 4)?;
        (len.iter().fold(0, |n, b| n << 8 | usize::from(*b)), bytes)
    };
    bytes.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::{Compact, KeySet};

    #[test]
    fn a_key_goes_there_and_back_and_is_never_shown() {
        for alg in Algorithm::ALL {
            let key = SigningKey::generate(*alg).unwrap();
            let bytes = key.to_pkcs8().unwrap();
            let again = SigningKey::from_pkcs8(*alg, bytes.as_bytes()).unwrap();
            assert_eq!((again.kid(), again.alg()), (key.kid(), *alg));
            assert_eq!(again.public().jwk(), key.public().jwk());
            let mut keys = KeySet::default();
            keys.add(VerifyKey::from_jwk(key.public().jwk()).unwrap()).unwrap();
            let token = again.sign("JWT", b"{\"a\":1}").unwrap();
            let signed = Compact::parse(&token).unwrap().verify(&keys).unwrap();
            assert_eq!((signed.payload(), &*signed.header().kid), (b"{\"a\":1}".as_slice(), key.kid()));
            assert_eq!(format!("{bytes:?}"), "Pkcs8(..)");
            assert_eq!(format!("{key:?}"), format!("SigningKey({}, {:?}, ..)", alg.name(), key.kid()));
            for other in Algorithm::ALL.iter().filter(|o| *o != alg) {
                assert_eq!(
                    SigningKey::from_pkcs8(*other, bytes.as_bytes()).err(),
                    Some(KeyFault::Unreadable)
                );
            }
            assert_ne!(SigningKey::generate(*alg).unwrap().kid(), key.kid());
        }
    }

    #[test]
    fn a_payload_that_nobody_would_take_is_not_signed() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        assert_eq!(key.sign("JWT", &[b' '; MAX_TOKEN_BYTES]), Err(JwtFault::TooLong));
        assert!(key.sign("JWT", &[b' '; MAX_TOKEN_BYTES / 2]).is_ok());
    }
}
