//! The two hashes that signatures use, the digest of a body, and hexadecimal as signatures write it.
use aws_lc_rs::{digest, hmac};
use smallvec::SmallVec;
use std::fmt;
use std::sync::LazyLock;

/// A hash that signatures use (FIPS 180-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256: 32 bytes.
    Sha256,
    /// SHA-512: 64 bytes.
    Sha512,
}

impl Hash {
    /// Each of them.
    pub const ALL: [Hash; 2] = [Hash::Sha256, Hash::Sha512];

    /// As algorithm names write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Hash::Sha256 => "SHA256",
            Hash::Sha512 => "SHA512",
        }
    }

    /// Length of a digest, in bytes.
    #[must_use]
    pub fn len_bytes(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha512 => 64,
        }
    }

    pub(crate) fn hmac(self) -> hmac::Algorithm {
        match self {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha512 => &digest::SHA512,
        }
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Digest {
        Digest(SmallVec::from_slice(digest::digest(self.algorithm(), bytes).as_ref()))
    }
}

/// A digest. It is shown as hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest(SmallVec<[u8; 64]>);

impl Digest {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The digest of a request's whole body, as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyDigest {
    hash: Hash,
    digest: Digest,
}

impl BodyDigest {
    /// The digest of a body that is at hand.
    #[must_use]
    pub fn of(hash: Hash, body: &[u8]) -> BodyDigest {
        BodyDigest { hash, digest: hash.of(body) }
    }

    /// The digest of no body.
    #[must_use]
    pub fn empty(hash: Hash) -> BodyDigest {
        // Most requests have no body.
        static EMPTY: LazyLock<[BodyDigest; 2]> = LazyLock::new(|| Hash::ALL.map(|h| BodyDigest::of(h, b"")));
        match hash {
            Hash::Sha256 => EMPTY[0].clone(),
            Hash::Sha512 => EMPTY[1].clone(),
        }
    }

    /// What it was made with.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The digest itself.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Whether there was no body.
    #[must_use]
    pub fn is_of_nothing(&self) -> bool {
        *self == BodyDigest::empty(self.hash)
    }
}

/// Hashes a body while it arrives.
#[derive(Clone)]
pub struct BodyHasher {
    hash: Hash,
    context: digest::Context,
}

impl fmt::Debug for BodyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyHasher({})", self.hash.name())
    }
}

impl BodyHasher {
    /// Nothing has arrived yet.
    #[must_use]
    pub fn new(hash: Hash) -> BodyHasher {
        BodyHasher { hash, context: digest::Context::new(hash.algorithm()) }
    }

    /// The next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// The body has ended.
    #[must_use]
    pub fn finish(self) -> BodyDigest {
        BodyDigest { hash: self.hash, digest: Digest(SmallVec::from_slice(self.context.finish().as_ref())) }
    }
}

/// Appends lower-case hexadecimal.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Room once for all: digests are written for each signed request.
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    for (pair, b) in out[start..].chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    }
}

/// Reads lower-case hexadecimal; anything else is nothing.
pub(crate) fn unhex(text: &[u8]) -> Option<SmallVec<[u8; 64]>> {
    // A table: digits and letters come at random, which no branch can foretell.
    const BAD: u8 = 0xff;
    const NIBBLES: [u8; 256] = {
        let mut table = [BAD; 256];
        let mut n = 0;
        while n < 16 {
            table[if n < 10 { b'0' + n } else { b'a' + n - 10 } as usize] = n;
            n += 1;
        }
        table
    };
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let mut all = 0;
    let mut out = SmallVec::from_elem(0, text.len() / 2);
    for (pair, byte) in text.chunks_exact(2).zip(out.iter_mut()) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        all |= high | low;
        *byte = high << 4 | low & 15;
    }
    (all & 0xf0 == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_pieces_has_the_digest_of_the_whole() {
        for hash in Hash::ALL {
            let mut pieces = BodyHasher::new(hash);
            [b"ab".as_slice(), b"", b"c"].into_iter().for_each(|p| pieces.update(p));
            assert_eq!(pieces.finish(), BodyDigest::of(hash, b"abc"));
            assert!(BodyHasher::new(hash).finish().is_of_nothing());
            assert_eq!(hash.of(b"").bytes().len(), hash.len_bytes());
        }
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Hash::Sha256.of(b"abc").to_string(), abc);
        assert_eq!(unhex(abc.as_bytes()).as_deref(), Some(Hash::Sha256.of(b"abc").bytes()));
        for bad in ["A0", "0", "0g", "0x"] {
            assert_eq!(unhex(bad.as_bytes()), None, "{bad}");
        }
    }
}
