//! Public keys as JSON (RFC 7517, 7518 6, 8037 2) and their thumbprints (RFC 7638).
use super::json::Object;
use super::{Algorithm, KeyFault, decode, encode, roca};
use aws_lc_rs::digest;

/// Members that only private and symmetric keys have.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Fewest and most bits of an RSA modulus. Above, verifying takes longer than anybody should make us.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// Most bytes of an RSA exponent.
const MAX_EXPONENT_BYTES: usize = 4;
/// Bytes of a coordinate on P-256, and of a public key on Ed25519.
pub(super) const COORDINATE_BYTES: usize = 32;

/// The top bit of the last byte says which of two points it is.
const SIGN_BIT: u8 = 0x80;
/// The points of Ed25519 whose order divides 8, without that bit: signatures by them can be made by anybody. Little end
/// first; 0, 1, p - 1, and the two of order 8.
const SMALL_ORDER: [[u8; COORDINATE_BYTES]; 5] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// The public part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Public {
    /// A point on P-256: x and y, big end first.
    Es256([u8; COORDINATE_BYTES], [u8; COORDINATE_BYTES]),
    /// Modulus and exponent, big end first, without leading zeros.
    Rs256(Vec<u8>, Vec<u8>),
    /// A point on Ed25519, as RFC 8032 writes it.
    EdDsa([u8; COORDINATE_BYTES]),
}

impl Public {
    /// The algorithm that such a key is for.
    pub(super) fn alg(&self) -> Algorithm {
        match self {
            Public::Es256(..) => Algorithm::Es256,
            Public::Rs256(..) => Algorithm::Rs256,
            Public::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    /// Reads a public key, and what it says it is for.
    pub(super) fn read(jwk: &Object<'_>) -> Result<Public, KeyFault> {
        if let Some(name) = PRIVATE.iter().find(|name| jwk.has(name)) {
            return Err(KeyFault::Private(name));
        }
        let text = |name| jwk.text(name).map_err(KeyFault::Member);
        let bytes = |name| text(name)?.and_then(decode).ok_or(KeyFault::Member(name));
        let coordinate = |name| bytes(name)?.try_into().map_err(|_| KeyFault::Member(name));
        let public = match (text("kty")?.ok_or(KeyFault::Member("kty"))?, text("crv")?) {
            ("EC", Some("P-256")) => Public::Es256(coordinate("x")?, coordinate("y")?),
            ("RSA", None) => Public::Rs256(bytes("n")?, bytes("e")?),
            ("OKP", Some("Ed25519")) => Public::EdDsa(coordinate("x")?),
            _ => return Err(KeyFault::Kind),
        };
        if text("use")?.is_some_and(|u| u != "sig") {
            return Err(KeyFault::Use("use"));
        }
        if jwk.get("key_ops").is_some_and(|ops| ops.texts().as_deref() != Some(&["verify"])) {
            return Err(KeyFault::Use("key_ops"));
        }
        if text("alg")?.is_some_and(|alg| alg != public.alg().name()) {
            return Err(KeyFault::Use("alg"));
        }
        Ok(public)
    }

    /// Refuses what protects nothing. Whether a point lies on P-256 is seen when the key is made ready.
    pub(super) fn look_over(&self) -> Result<(), KeyFault> {
        match self {
            Public::Es256(..) => Ok(()),
            Public::Rs256(n, e) => {
                let first = n.first().copied().unwrap_or(0);
                if first == 0 {
                    return Err(KeyFault::Member("n"));
                }
                if !RSA_BITS.contains(&(n.len() * 8 - first.leading_zeros() as usize)) {
                    return Err(KeyFault::Weak("an RSA modulus has 2048 to 8192 bits"));
                }
                if n.last().is_none_or(|last| last % 2 == 0) {
                    return Err(KeyFault::Weak("an RSA modulus is odd"));
                }
                if e.first().is_none_or(|first| *first == 0) {
                    return Err(KeyFault::Member("e"));
                }
                if e.len() > MAX_EXPONENT_BYTES || e.last().is_none_or(|last| last % 2 == 0) || e == &[1] {
                    return Err(KeyFault::Weak(
                        "an RSA exponent is odd, more than 1, and has 32 bits at most",
                    ));
                }
                if roca::is_roca(n) {
                    return Err(KeyFault::Weak("the modulus was made by a broken maker (CVE-2017-15361)"));
                }
                Ok(())
            }
            Public::EdDsa(point) => {
                let mut y = *point;
                y[COORDINATE_BYTES - 1] &= !SIGN_BIT;
                // p = 2^255 - 19: only these are at or above it.
                let too_large = y[0] >= 0xed && y[31] == 0x7f && y[1..31].iter().all(|b| *b == 0xff);
                if too_large || SMALL_ORDER.contains(&y) {
                    return Err(KeyFault::Weak(
                        "the point is of small order, or not written as RFC 8032 has it",
                    ));
                }
                Ok(())
            }
        }
    }

    /// The members that make the key what it is, as RFC 7638 3.2 has them: sorted, without spaces.
    fn members(&self) -> String {
        match self {
            Public::Es256(x, y) => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(y))
            }
            Public::Rs256(n, e) => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n)),
            Public::EdDsa(x) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(x)),
        }
    }

    /// The thumbprint with SHA-256 (RFC 7638), in base64url.
    pub(super) fn thumbprint(&self) -> String {
        encode(digest::digest(&digest::SHA256, self.members().as_bytes()).as_ref())
    }

    /// The key as it is published.
    pub(super) fn jwk(&self, kid: &str) -> String {
        let members = self.members();
        let rest = members.strip_prefix('{').unwrap_or(&members);
        let kid = serde_json::Value::from(kid);
        format!(r#"{{"kid":{kid},"use":"sig","alg":"{}",{rest}"#, self.alg().name())
    }
}
