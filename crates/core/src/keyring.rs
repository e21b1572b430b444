//! The master key, and the keyring that it locks.
//!
//! A master key seals nothing but keyrings. What is done with secrets is done with keys from the ring, so that another
//! master key can take the place of one without touching what only the owners of secrets know.
use crate::secret::SealBroken;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf;
use std::collections::BTreeMap;
use std::fmt;

/// Length of every key in bytes.
pub const KEY_BYTES: usize = 32;
/// Length of the master key in bytes.
pub const MASTER_KEY_BYTES: usize = KEY_BYTES;
/// How many random bytes a new keyring is made of.
pub const KEYRING_BYTES: usize = 4 * KEY_BYTES;

/// How a keyring is written: the number of the form, the lasting keys, how many seal keys there are, and each of them
/// with its version.
const FORM: u8 = 1;
/// Bytes of what is told of a key in public.
const FINGERPRINT_BYTES: usize = 16;

struct Len(usize);
impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// What HKDF-SHA256 (RFC 5869) makes of a key for one purpose. So few bytes are well within its limit, so it can't fail.
fn derive<const N: usize>(key: &[u8], purpose: &str) -> [u8; N] {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"doorward").extract(key);
    let mut out = [0; N];
    let info = [b"doorward/1/".as_slice(), purpose.as_bytes()];
    prk.expand(&info, Len(N))
        .and_then(|okm| okm.fill(&mut out))
        .expect("a few bytes are within HKDF's limit");
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Overwrites keys that nobody needs any more. The black box keeps the compiler from leaving it out.
pub(crate) fn wipe(keys: &mut [u8]) {
    keys.fill(0);
    std::hint::black_box(keys);
}

/// The key that is kept outside the store. Whoever has it and the store can read every sealed secret.
#[derive(Clone)]
pub struct MasterKey {
    key: [u8; MASTER_KEY_BYTES],
    fingerprint: String,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.fingerprint)
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        wipe(&mut self.key);
    }
}

impl MasterKey {
    /// The master key with these bytes, which are random.
    #[must_use]
    pub fn new(key: [u8; MASTER_KEY_BYTES]) -> MasterKey {
        let fingerprint = hex(&derive::<FINGERPRINT_BYTES>(&key, "fingerprint"));
        MasterKey { key, fingerprint }
    }

    /// Its name in public, 32 hexadecimal digits: the same for the same key, and of no use for anything else.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What stores of the first schema keep to know their master key by.
    #[must_use]
    pub fn check(&self) -> [u8; KEY_BYTES] {
        derive(&self.key, "check")
    }

    /// The keys that stores of the first schema were written with: all of them hung on the master key alone.
    #[must_use]
    pub fn first_keyring(&self) -> Keyring {
        let key = |purpose| derive(&self.key, purpose);
        Keyring {
            hash: key("key-secret"),
            chain: key("change-chain"),
            pseudonym: key("pseudonym"),
            seals: BTreeMap::from([(1, key("seal"))]),
        }
    }

    /// A keyring as it is stored: sealed with AES-256-GCM, for this master key and one installation.
    #[must_use]
    pub fn lock(&self, installation: &str, ring: &Keyring) -> Vec<u8> {
        let mut data = ring.bytes();
        let nonce = self
            .wrapping()
            .seal_in_place_append_tag(Aad::from(self.aad(installation)), &mut data)
            .expect("a few keys can be sealed");
        [nonce.as_ref().as_slice(), &data].concat()
    }

    /// Opens what [`MasterKey::lock`] made for the same installation.
    ///
    /// # Errors
    /// [`SealBroken`] for another installation, another master key, or changed bytes.
    pub fn unlock(&self, installation: &str, locked: &[u8]) -> Result<Keyring, SealBroken> {
        let (nonce, data) = locked.split_at_checked(NONCE_LEN).ok_or(SealBroken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealBroken)?;
        let mut data = data.to_vec();
        let aad = Aad::from(self.aad(installation));
        let plain = self.wrapping().open_in_place(nonce, aad, &mut data).map_err(|_| SealBroken)?;
        let ring = Keyring::read(plain).ok_or(SealBroken);
        wipe(&mut data);
        ring
    }

    fn wrapping(&self) -> RandomizedNonceKey {
        let mut key: [u8; KEY_BYTES] = derive(&self.key, "wrap");
        let made = RandomizedNonceKey::new(&AES_256_GCM, &key).expect("AES-256 takes 32 bytes");
        wipe(&mut key);
        made
    }

    fn aad(&self, installation: &str) -> Vec<u8> {
        let mut out = b"keyring".to_vec();
        for part in [installation, &self.fingerprint] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

/// The keys of an installation, each random and for one purpose.
///
/// Three of them last as long as the installation: what they made can't be made anew, since nobody knows the secrets
/// that were hashed, and the chain of changes and the pseudonyms in logs have to stay what they are. The others seal:
/// there are versions of them, the newest one seals, and all of them open.
#[derive(Clone, PartialEq, Eq)]
pub struct Keyring {
    pub(crate) hash: [u8; KEY_BYTES],
    pub(crate) chain: [u8; KEY_BYTES],
    pub(crate) pseudonym: [u8; KEY_BYTES],
    /// Never empty.
    pub(crate) seals: BTreeMap<i64, [u8; KEY_BYTES]>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.name())
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        for key in
            [&mut self.hash, &mut self.chain, &mut self.pseudonym].into_iter().chain(self.seals.values_mut())
        {
            wipe(key);
        }
    }
}

impl Keyring {
    /// A new installation's keyring, made of random bytes.
    #[must_use]
    pub fn new(random: &[u8; KEYRING_BYTES]) -> Keyring {
        let mut keys = random.chunks_exact(KEY_BYTES).map(|key| {
            let mut out = [0; KEY_BYTES];
            out.copy_from_slice(key);
            out
        });
        let mut next = || keys.next().expect("there are bytes for four keys");
        Keyring { hash: next(), chain: next(), pseudonym: next(), seals: BTreeMap::from([(1, next())]) }
    }

    /// Adds a seal key made of random bytes; it is the one that seals from then on. Returns its version.
    pub fn add_seal(&mut self, key: [u8; KEY_BYTES]) -> i64 {
        let version = self.newest() + 1;
        self.seals.insert(version, key);
        version
    }

    /// Forgets all seal keys but the newest. What only they open is lost.
    pub fn keep_newest(&mut self) {
        let newest = self.newest();
        self.seals.retain(|version, key| {
            let kept = *version == newest;
            if !kept {
                wipe(key);
            }
            kept
        });
    }

    /// The version of the key that seals.
    #[must_use]
    pub fn newest(&self) -> i64 {
        self.seals.last_key_value().map_or(0, |(version, _)| *version)
    }

    /// Whether one seal key opens everything.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.seals.len() == 1
    }

    /// The public name of the key that seals. Two keys never have the same one, not even where both are the second of
    /// their store.
    #[must_use]
    pub fn name(&self) -> String {
        let told = self.seals.last_key_value().map(|(version, key)| {
            let fingerprint: [u8; FINGERPRINT_BYTES] = derive(key, "fingerprint");
            format!("{version}-{}", hex(&fingerprint))
        });
        told.unwrap_or_default()
    }

    /// The public name of the keys that last.
    pub(crate) fn lasting(&self) -> [u8; KEY_BYTES] {
        let mut all = [self.hash, self.chain, self.pseudonym].concat();
        let name = derive(&all, "fingerprint");
        wipe(&mut all);
        name
    }

    /// What the ledger's keys are made with. It hangs on a key that lasts, so that keyrings of every age have it.
    pub(crate) fn ledger(&self) -> [u8; KEY_BYTES] {
        derive(&self.hash, "ledger")
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![FORM];
        for key in [&self.hash, &self.chain, &self.pseudonym] {
            out.extend_from_slice(key);
        }
        out.extend_from_slice(&(self.seals.len() as u32).to_be_bytes());
        for (version, key) in &self.seals {
            out.extend_from_slice(&version.to_be_bytes());
            out.extend_from_slice(key);
        }
        out
    }

    fn read(mut bytes: &[u8]) -> Option<Keyring> {
        fn next<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
            let (head, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(*head)
        }
        let from = &mut bytes;
        if next(from)? != [FORM] {
            return None;
        }
        let (hash, chain, pseudonym) = (next(from)?, next(from)?, next(from)?);
        let mut seals = BTreeMap::new();
        for _ in 0..u32::from_be_bytes(next(from)?) {
            seals.insert(i64::from_be_bytes(next(from)?), next(from)?);
        }
        (from.is_empty() && !seals.is_empty()).then_some(Keyring { hash, chain, pseudonym, seals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Keyring {
        Keyring::new(&std::array::from_fn(|i| i as u8))
    }

    #[test]
    fn a_keyring_opens_only_with_its_master_key_and_for_its_installation() {
        let (master, mut ring) = (MasterKey::new([1; 32]), ring());
        assert_eq!(ring.add_seal([9; 32]), 2);
        let locked = master.lock("here", &ring);
        assert_eq!(master.unlock("here", &locked), Ok(ring.clone()));
        assert_ne!(locked, master.lock("here", &ring), "a nonce is never used twice");
        assert_eq!(master.unlock("there", &locked), Err(SealBroken));
        assert_eq!(MasterKey::new([2; 32]).unlock("here", &locked), Err(SealBroken));
        for i in 0..locked.len() {
            let mut bad = locked.clone();
            bad[i] ^= 1;
            assert_eq!(master.unlock("here", &bad), Err(SealBroken));
            assert_eq!(master.unlock("here", &locked[..i]), Err(SealBroken));
        }
    }

    #[test]
    fn nothing_but_a_whole_keyring_is_read() {
        let bytes = ring().bytes();
        assert_eq!(Keyring::read(&bytes), Some(ring()));
        for i in 0..bytes.len() {
            assert_eq!(Keyring::read(&bytes[..i]), None);
        }
        assert_eq!(Keyring::read(&[bytes.as_slice(), &[0]].concat()), None);
        let other_form = [&[FORM + 1], &bytes[1..]].concat();
        assert_eq!(Keyring::read(&other_form), None);
        let mut no_seal = bytes[..1 + 3 * KEY_BYTES].to_vec();
        no_seal.extend_from_slice(&[0; 4]);
        assert_eq!(Keyring::read(&no_seal), None);
    }

    #[test]
    fn the_newest_key_seals_and_the_others_can_go() {
        let mut ring = ring();
        let (first, lasting) = (ring.name(), ring.lasting());
        assert!(ring.is_settled() && first.starts_with("1-"));
        ring.add_seal([9; 32]);
        assert!(!ring.is_settled() && ring.name().starts_with("2-"));
        let mut other = self::ring();
        other.add_seal([8; 32]);
        assert_ne!(ring.name(), other.name(), "the same version is not the same key");
        ring.keep_newest();
        assert!(ring.is_settled() && ring.newest() == 2 && ring.lasting() == lasting);
        assert_eq!(ring.add_seal([7; 32]), 3, "a number is never given twice");
    }

    /// What is printed and stored in clear says which key it is, and holds nothing of it.
    #[test]
    fn a_fingerprint_tells_nothing() {
        let master = MasterKey::new([0xab; 32]);
        assert_eq!(master.fingerprint(), MasterKey::new([0xab; 32]).fingerprint());
        assert_ne!(master.fingerprint(), MasterKey::new([0xac; 32]).fingerprint());
        assert_eq!(master.fingerprint().len(), 2 * FINGERPRINT_BYTES);
        let shown = format!("{master:?} {:?} {:?}", ring(), master.first_keyring());
        assert!(!shown.contains("abab") && !shown.contains("171") && !shown.contains("0001"), "{shown}");
        let derived = [master.check(), derive(&master.key, "wrap"), derive(&master.key, "seal")];
        assert!(derived.iter().all(|key| !hex(key).starts_with(master.fingerprint())));
    }
}
