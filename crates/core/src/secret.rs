//! What the master key is used for: hashing key secrets, sealing what must be read again, chaining the change table,
//! and pseudonyms of ids that are as good as secrets.
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, hkdf, hmac};
use smallvec::SmallVec;
use std::fmt;

/// Length of the master key in bytes.
pub const MASTER_KEY_BYTES: usize = 32;

/// HMAC-SHA256 of a key's id and secret. Secrets have at least 128 random bits, so a fast keyed hash is enough: without
/// the master key, the store does not even allow guessing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// The keys derived from the master key, one a purpose.
pub struct Keys {
    hash: hmac::Key,
    seal: RandomizedNonceKey,
    chain: hmac::Key,
    pseudonym: hmac::Key,
    check: [u8; 32],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// What a sealed secret belongs to. It opens nowhere else: not for another workspace, credential, purpose or version.
#[derive(Clone, Copy, Debug)]
pub struct SealedFor<'a> {
    /// The workspace.
    pub workspace: &'a str,
    /// The credential's id.
    pub credential: &'a str,
    /// What it is kept for, as in `display`.
    pub purpose: &'a str,
    /// How often the secret was made anew.
    pub version: i64,
}

/// A sealed secret does not open: another master key, another owner, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open with this master key, or does not belong here")]
pub struct SealBroken;

struct Len(usize);
impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// One purpose's key (RFC 5869 2.3). Thirty-two bytes are well within HKDF's limit, so expanding can't fail.
fn derive(prk: &hkdf::Prk, purpose: &str) -> [u8; 32] {
    let mut out = [0; 32];
    let info = [b"doorward/1/".as_slice(), purpose.as_bytes()];
    prk.expand(&info, Len(out.len()))
        .and_then(|okm| okm.fill(&mut out))
        .expect("32 bytes are within HKDF's limit");
    out
}

/// Each part with its length before it, so that no two lists of parts look alike.
fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut ctx = hmac::Context::with_key(key);
    for part in parts {
        ctx.update(&(part.len() as u64).to_be_bytes());
        ctx.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(ctx.sign().as_ref());
    out
}

impl Keys {
    /// Derives every key from the master key with HKDF-SHA256 (RFC 5869).
    #[must_use]
    pub fn derive(master: &[u8; MASTER_KEY_BYTES]) -> Keys {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"doorward").extract(master);
        let key = |purpose| hmac::Key::new(hmac::HMAC_SHA256, &derive(&prk, purpose));
        Keys {
            hash: key("key-secret"),
            seal: RandomizedNonceKey::new(&AES_256_GCM, &derive(&prk, "seal"))
                .expect("AES-256 takes 32 bytes"),
            chain: key("change-chain"),
            pseudonym: key("pseudonym"),
            check: derive(&prk, "check"),
        }
    }

    /// A value that tells whether a master key fits a store, and tells nothing else.
    #[must_use]
    pub fn check(&self) -> [u8; 32] {
        self.check
    }

    /// The hash under which the secret of `id` is kept.
    #[must_use]
    pub fn hash(&self, id: &[u8], secret: &[u8]) -> SecretHash {
        // In one piece, as `mac` would put it together: it is the one MAC on a request's way.
        let mut message = SmallVec::<[u8; 256]>::new();
        for part in [id, secret] {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&self.hash, &message).as_ref());
        SecretHash(out)
    }

    /// Whether `secret` is the one of `known`. Costs the same for every answer, and with no `known` at all.
    #[must_use]
    pub fn fits(&self, id: &[u8], secret: &[u8], known: Option<&SecretHash>) -> bool {
        const NOBODY: SecretHash = SecretHash([0; 32]);
        let same =
            constant_time::verify_slices_are_equal(&self.hash(id, secret).0, &known.unwrap_or(&NOBODY).0);
        same.is_ok() & known.is_some()
    }

    /// Seals a secret with AES-256-GCM: a random nonce, the ciphertext, the tag.
    #[must_use]
    pub fn seal(&self, owner: &SealedFor<'_>, secret: &[u8]) -> Vec<u8> {
        let mut data = secret.to_vec();
        let nonce = self
            .seal
            .seal_in_place_append_tag(Aad::from(aad(owner)), &mut data)
            .expect("a short secret can be sealed");
        [nonce.as_ref().as_slice(), &data].concat()
    }

    /// Opens what [`Keys::seal`] sealed for the same owner.
    ///
    /// # Errors
    /// [`SealBroken`] for another owner, another master key, or changed bytes.
    pub fn open(&self, owner: &SealedFor<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealBroken> {
        let (nonce, data) = sealed.split_at_checked(NONCE_LEN).ok_or(SealBroken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealBroken)?;
        let mut data = data.to_vec();
        let plain =
            self.seal.open_in_place(nonce, Aad::from(aad(owner)), &mut data).map_err(|_| SealBroken)?;
        Ok(plain.to_vec())
    }

    /// The MAC of one row of the change table, over the MAC of the row before it.
    #[must_use]
    pub fn chain(&self, before: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut all = vec![before];
        all.extend_from_slice(parts);
        mac(&self.chain, &all)
    }

    /// A lasting name for an id that opens doors by itself, so that logs and upstreams need not see it.
    #[must_use]
    pub fn pseudonym(&self, id: &str) -> String {
        let m = mac(&self.pseudonym, &[id.as_bytes()]);
        let hex: String = m[..12].iter().map(|b| format!("{b:02x}")).collect();
        format!("weak-{hex}")
    }
}

fn aad(o: &SealedFor<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in [o.workspace, o.credential, o.purpose] {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(&o.version.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_where_it_belongs() {
        let keys = Keys::derive(&[1; 32]);
        let owner = SealedFor { workspace: "w", credential: "c", purpose: "display", version: 1 };
        let sealed = keys.seal(&owner, b"hush");
        assert_eq!(keys.open(&owner, &sealed).as_deref(), Ok(b"hush".as_slice()));
        assert_ne!(sealed, keys.seal(&owner, b"hush"), "a nonce is never used twice");
        for other in [
            SealedFor { workspace: "v", ..owner },
            SealedFor { credential: "d", ..owner },
            SealedFor { purpose: "sign", ..owner },
            SealedFor { version: 2, ..owner },
            SealedFor { workspace: "wc", credential: "", ..owner },
        ] {
            assert_eq!(keys.open(&other, &sealed), Err(SealBroken));
        }
        assert_eq!(Keys::derive(&[2; 32]).open(&owner, &sealed), Err(SealBroken));
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 1;
            assert_eq!(keys.open(&owner, &bad), Err(SealBroken));
            assert_eq!(keys.open(&owner, &sealed[..i]), Err(SealBroken));
        }
    }

    #[test]
    fn a_secret_fits_its_own_id_alone() {
        let keys = Keys::derive(&[1; 32]);
        let known = keys.hash(b"id", b"secret");
        assert!(keys.fits(b"id", b"secret", Some(&known)));
        assert!(!keys.fits(b"i", b"dsecret", Some(&known)));
        assert!(!keys.fits(b"id", b"secret", None));
        assert!(!Keys::derive(&[2; 32]).fits(b"id", b"secret", Some(&known)));
        assert_eq!(format!("{known:?} {keys:?}"), "SecretHash(..) Keys(..)");
    }
}
