//! What keys are used for: hashing key secrets, sealing what must be read again, chaining the change table, and
//! pseudonyms of ids that are as good as secrets.
use crate::guessing::{GUESS_KEY_BYTES, GuessKey, Network};
use crate::keyring::{KEY_BYTES, Keyring, MasterKey};
use crate::password::PasswordHash;
use crate::ports::{LEDGER_KEY_BYTES, LedgerKey, OnceBy, ShareId};
use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{constant_time, hmac};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// HMAC-SHA256 of a key's id and secret. Secrets have at least 128 random bits, so a fast keyed hash is enough: without
/// its key, the store does not even allow guessing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// An installation's keys, ready for use. Those that seal change while a process runs, the others never.
pub struct Keys {
    hash: hmac::Key,
    chain: hmac::Key,
    pseudonym: hmac::Key,
    /// Made from the lasting keys, so it lasts as they do, and is the same on every node.
    ledger: hmac::Key,
    /// Names the lasting ones.
    lasting: [u8; KEY_BYTES],
    seals: ArcSwap<Seals>,
}

/// The keys that seal, as they are at one moment: the newest one seals, all of them open.
pub struct Seals {
    newest: i64,
    name: String,
    keys: BTreeMap<i64, RandomizedNonceKey>,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seals({})", self.name)
    }
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

/// A sealed secret does not open: another key, another owner, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open with these keys, or does not belong here")]
pub struct SealBroken;

/// A keyring has other lasting keys: it is another installation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keyring is another installation's")]
pub struct OtherInstallation;

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

/// The same as [`mac`], put together first: for what is on a request's way.
fn mac_in_one(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    const WORD: usize = size_of::<u64>();
    let length = parts.iter().map(|part| WORD + part.len()).sum();
    let mut message = SmallVec::<[u8; 512]>::from_elem(0, length);
    let mut rest = &mut message[..];
    for part in parts {
        let (word, after) = rest.split_at_mut(WORD);
        word.copy_from_slice(&(part.len() as u64).to_be_bytes());
        let (place, after) = after.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = after;
    }
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(key, &message).as_ref());
    out
}

impl Keys {
    /// The keys of a keyring.
    #[must_use]
    pub fn new(ring: &Keyring) -> Keys {
        let key = |bytes: &[u8; KEY_BYTES]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        Keys {
            hash: key(&ring.hash),
            chain: key(&ring.chain),
            pseudonym: key(&ring.pseudonym),
            ledger: key(&ring.ledger()),
            lasting: ring.lasting(),
            seals: ArcSwap::from_pointee(Seals::new(ring)),
        }
    }

    /// What stands in the place of a secret's hash where there is a password: it binds the password's hash to its
    /// credential, so that whoever can only write to the store can't put one of his own there. No secret has this hash.
    #[must_use]
    pub fn mark_of_password(&self, id: &str, password: &PasswordHash) -> SecretHash {
        SecretHash(mac(&self.hash, &[id.as_bytes(), b"password", password.as_str().as_bytes()]))
    }

    /// The keys of [`MasterKey::first_keyring`].
    #[must_use]
    pub fn derive(master: &[u8; KEY_BYTES]) -> Keys {
        Keys::new(&MasterKey::new(*master).first_keyring())
    }

    /// The keys that seal, as they are now.
    #[must_use]
    pub fn seals(&self) -> Arc<Seals> {
        self.seals.load_full()
    }

    /// Takes the seal keys of a keyring in the place of those before, and returns them.
    ///
    /// # Errors
    /// [`OtherInstallation`], and nothing has changed.
    pub fn renew(&self, ring: &Keyring) -> Result<Arc<Seals>, OtherInstallation> {
        if ring.lasting() != self.lasting {
            return Err(OtherInstallation);
        }
        let seals = Arc::new(Seals::new(ring));
        self.seals.store(Arc::clone(&seals));
        Ok(seals)
    }

    /// The hash under which the secret of `id` is kept.
    #[must_use]
    pub fn hash(&self, id: &[u8], secret: &[u8]) -> SecretHash {
        SecretHash(mac_in_one(&self.hash, &[id, secret]))
    }

    /// Whether `secret` is the one of `known`. Costs the same for every answer, and with no `known` at all.
    #[must_use]
    pub fn fits(&self, id: &[u8], secret: &[u8], known: Option<&SecretHash>) -> bool {
        const NOBODY: SecretHash = SecretHash([0; 32]);
        let same =
            constant_time::verify_slices_are_equal(&self.hash(id, secret).0, &known.unwrap_or(&NOBODY).0);
        same.is_ok() & known.is_some()
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

    /// The name of this installation in `Via` (RFC 9110 7.6.3): the same on each of its nodes, another one elsewhere.
    #[must_use]
    pub fn installation(&self) -> String {
        let m = mac(&self.pseudonym, &[b"installation", b"via"]);
        let hex: String = m[..8].iter().map(|b| format!("{b:02x}")).collect();
        format!("doorward-{hex}")
    }

    /// Under what the ledger remembers a proved request: its credential, and what makes it the one it is. The string that
    /// was signed, for a scheme without a nonce.
    #[must_use]
    pub fn ledger_key(&self, by: OnceBy, credential: &str, once: &[u8]) -> LedgerKey {
        let m = mac_in_one(&self.ledger, &[by.name().as_bytes(), credential.as_bytes(), once]);
        let mut out = [0; LEDGER_KEY_BYTES];
        out.copy_from_slice(&m[..LEDGER_KEY_BYTES]);
        LedgerKey::new(out)
    }

    /// Under what the failures of whoever tries a name from a network are counted. It lasts, and is the same on every node.
    #[must_use]
    pub fn guess_key(&self, name: &str, network: Network) -> GuessKey {
        let m = mac(&self.ledger, &[b"guess", name.as_bytes(), network.as_bytes()]);
        let mut out = [0; GUESS_KEY_BYTES];
        out.copy_from_slice(&m[..GUESS_KEY_BYTES]);
        GuessKey(out)
    }

    /// The name of a workspace's share of the ledger. It lasts, so it can be made once for each workspace.
    #[must_use]
    pub fn workspace_share(&self, workspace: &str) -> ShareId {
        self.share("workspace-share", workspace)
    }

    /// The name of a credential's share of the ledger. It lasts, so it can be made once for each credential.
    #[must_use]
    pub fn credential_share(&self, credential: &str) -> ShareId {
        self.share("credential-share", credential)
    }

    fn share(&self, kind: &str, id: &str) -> ShareId {
        let m = mac(&self.ledger, &[kind.as_bytes(), id.as_bytes()]);
        let mut out = [0; size_of::<u64>()];
        out.copy_from_slice(&m[..size_of::<u64>()]);
        ShareId(u64::from_be_bytes(out))
    }
}

impl Seals {
    /// The keys of a keyring that seal.
    #[must_use]
    pub fn new(ring: &Keyring) -> Seals {
        let key =
            |bytes: &[u8]| RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("AES-256 takes 32 bytes");
        let keys = ring.seals.iter().map(|(version, bytes)| (*version, key(bytes))).collect();
        Seals { newest: ring.newest(), name: ring.name(), keys }
    }

    /// The version of the key that seals; it is stored beside what it sealed.
    #[must_use]
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// The public name of the key that seals, as [`Keyring::name`] tells it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the key of a version is among them.
    #[must_use]
    pub fn has(&self, version: i64) -> bool {
        self.keys.contains_key(&version)
    }

    /// Seals a secret with AES-256-GCM and the newest key: a random nonce, the ciphertext, the tag.
    #[must_use]
    pub fn seal(&self, owner: &SealedFor<'_>, secret: &[u8]) -> Vec<u8> {
        let mut data = secret.to_vec();
        let nonce = self.keys[&self.newest]
            .seal_in_place_append_tag(Aad::from(aad(owner)), &mut data)
            .expect("a short secret can be sealed");
        [nonce.as_ref().as_slice(), &data].concat()
    }

    /// Opens what the key of a version sealed for the same owner.
    ///
    /// # Errors
    /// [`SealBroken`] for another owner, another key, a version that is not there, or changed bytes.
    pub fn open(&self, version: i64, owner: &SealedFor<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealBroken> {
        let key = self.keys.get(&version).ok_or(SealBroken)?;
        let (nonce, data) = sealed.split_at_checked(NONCE_LEN).ok_or(SealBroken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealBroken)?;
        let mut data = data.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(aad(owner)), &mut data).map_err(|_| SealBroken)?;
        Ok(plain.to_vec())
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

    const OWNER: SealedFor<'static> =
        SealedFor { workspace: "w", credential: "c", purpose: "display", version: 1 };

    #[test]
    fn a_sealed_secret_opens_only_where_it_belongs() {
        let (seals, owner) = (Keys::derive(&[1; 32]).seals(), OWNER);
        let sealed = seals.seal(&owner, b"hush");
        assert_eq!(seals.open(1, &owner, &sealed).as_deref(), Ok(b"hush".as_slice()));
        assert_ne!(sealed, seals.seal(&owner, b"hush"), "a nonce is never used twice");
        for other in [
            SealedFor { workspace: "v", ..owner },
            SealedFor { credential: "d", ..owner },
            SealedFor { purpose: "sign", ..owner },
            SealedFor { version: 2, ..owner },
            SealedFor { workspace: "wc", credential: "", ..owner },
        ] {
            assert_eq!(seals.open(1, &other, &sealed), Err(SealBroken));
        }
        assert_eq!(seals.open(2, &owner, &sealed), Err(SealBroken), "there is no such version");
        assert!(seals.has(1) && !seals.has(2));
        assert_eq!(Keys::derive(&[2; 32]).seals().open(1, &owner, &sealed), Err(SealBroken));
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 1;
            assert_eq!(seals.open(1, &owner, &bad), Err(SealBroken));
            assert_eq!(seals.open(1, &owner, &sealed[..i]), Err(SealBroken));
        }
    }

    #[test]
    fn seal_keys_are_renewed_and_the_others_last() {
        let mut ring = MasterKey::new([1; 32]).first_keyring();
        let keys = Keys::new(&ring);
        let (hash, pseudonym) = (keys.hash(b"id", b"secret"), keys.pseudonym("id"));
        let old = keys.seals().seal(&OWNER, b"old");
        ring.add_seal([9; 32]);
        let seals = keys.renew(&ring).unwrap();
        let new = seals.seal(&OWNER, b"new");
        assert_eq!((seals.newest(), seals.name()), (2, ring.name().as_str()));
        assert_eq!(seals.open(1, &OWNER, &old).as_deref(), Ok(b"old".as_slice()));
        assert_eq!(seals.open(1, &OWNER, &new), Err(SealBroken));
        ring.keep_newest();
        keys.renew(&ring).unwrap();
        assert_eq!(keys.seals().open(1, &OWNER, &old), Err(SealBroken));
        assert_eq!(keys.seals().open(2, &OWNER, &new).as_deref(), Ok(b"new".as_slice()));
        assert!(keys.hash(b"id", b"secret") == hash && keys.pseudonym("id") == pseudonym);
        assert_eq!(keys.renew(&Keyring::new(&[5; 128])).err(), Some(OtherInstallation));
        assert_eq!(keys.seals().newest(), 2, "what was refused changes nothing");
    }

    /// Equal requests have equal keys on every node and after every start, and nothing else has them.
    #[test]
    fn a_ledger_key_belongs_to_one_request_of_one_credential() {
        let (keys, again) = (Keys::derive(&[1; 32]), Keys::derive(&[1; 32]));
        let key = keys.ledger_key(OnceBy::StringToSign, "id", b"text");
        assert_eq!(key, again.ledger_key(OnceBy::StringToSign, "id", b"text"));
        for other in [
            keys.ledger_key(OnceBy::Nonce, "id", b"text"),
            keys.ledger_key(OnceBy::StringToSign, "i", b"dtext"),
            keys.ledger_key(OnceBy::StringToSign, "id", b"texu"),
            Keys::derive(&[2; 32]).ledger_key(OnceBy::StringToSign, "id", b"text"),
        ] {
            assert_ne!(key, other);
        }
        assert_eq!(keys.workspace_share("a"), again.workspace_share("a"));
        assert_ne!(keys.workspace_share("a"), keys.credential_share("a"));
        assert_ne!(keys.workspace_share("a"), keys.workspace_share("b"));
        let (here, there) = (Network::V4([192, 0, 2, 1]), Network::V4([192, 0, 2, 2]));
        let guess = keys.guess_key("ann", here);
        assert_eq!(guess, again.guess_key("ann", here));
        for other in [
            keys.guess_key("ann", there),
            keys.guess_key("bob", here),
            keys.guess_key("", Network::V6(*b"ann\xc0\0\x02\x01.")),
            Keys::derive(&[2; 32]).guess_key("ann", here),
        ] {
            assert_ne!(guess, other);
        }
        assert_eq!(guess.to_string().len(), 32);
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
