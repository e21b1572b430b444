//! JSON web tokens, read as strictly as they can be: compact form, three algorithms, and keys that were looked over
//! before (RFC 7515, 7517, 7518, 7519, 7638, 8037, 8725).
//!
//! The key decides the algorithm, never the token. What is signed is read only after the signature was found good.
mod claims;
mod compact;
mod json;
mod jwk;
mod key_set;
mod roca;
mod signing_key;
mod verify_key;

pub use claims::{Claims, LAST_SECOND};
pub use compact::{Compact, Header, Signed};
pub use key_set::{KeySet, MAX_KEYS};
pub use signing_key::{Pkcs8, SigningKey};
pub use verify_key::VerifyKey;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::fmt;

/// Longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Longest name of a key, in bytes.
pub const MAX_KID_BYTES: usize = 128;

crate::credential::names! {
    /// How a token is signed.
    Algorithm:
    /// ECDSA on P-256 with SHA-256; a signature is r and s, 32 bytes each (RFC 7518 3.4).
    Es256 = "ES256",
    /// RSA, PKCS #1 v1.5, with SHA-256 (RFC 7518 3.3).
    Rs256 = "RS256",
    /// Ed25519 (RFC 8037 3.1).
    EdDsa = "EdDSA"
}

/// A part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first one.
    Header,
    /// The second one: the claims.
    Payload,
    /// The last one.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Header => "header",
            Part::Payload => "payload",
            Part::Signature => "signature",
        })
    }
}

/// What is wrong with a token. Says nothing of what stood in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtFault {
    /// More than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Not three parts, or an empty one.
    #[error("the token has not exactly three parts, each with something in it")]
    Parts,
    /// Padding, white space, other characters, or bits that belong to no byte.
    #[error("the token's {0} is not base64url as RFC 7515 has it")]
    Encoding(Part),
    /// Not an object, too deep, too many members, or a member that is named twice.
    #[error("the token's {0} is not a JSON object whose members are each named once")]
    Json(Part),
    /// A header has a member that changes what the token means, or that brings its own key.
    #[error("the token's header has the member {0}, which is not taken")]
    HeaderMember(&'static str),
    /// A member is missing, or not of the form it has to have.
    #[error("the token's member {0} is missing, or not of the form it has to have")]
    Member(&'static str),
    /// No key has that name.
    #[error("no key has the name that the token gives")]
    UnknownKey,
    /// Not the algorithm of the key, or none of those that there are.
    #[error("the token's algorithm is not that of its key")]
    Algorithm,
    /// Not signed by that key.
    #[error("the token's signature is not that of its key")]
    Signature,
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Not a JWK at all, or not a set of them.
    #[error("the key is not a JSON object whose members are each named once")]
    Json,
    /// A member is missing, or not of the form it has to have.
    #[error("the key's member {0} is missing, or not of the form it has to have")]
    Member(&'static str),
    /// Private or symmetric: such a key must never stand among public ones.
    #[error("the key has the private member {0}; give the public key alone")]
    Private(&'static str),
    /// Neither of P-256, RSA and Ed25519.
    #[error(
        "the key is of a kind that signs no tokens here; there are EC with P-256, RSA, and OKP with Ed25519"
    )]
    Kind,
    /// Made for something else than to verify signatures of its algorithm.
    #[error("the key's member {0} says that it is for something else")]
    Use(&'static str),
    /// Not on the curve, too short, an exponent that does not protect, or a modulus that can be factored.
    #[error("the key is weak or impossible: {0}")]
    Weak(&'static str),
    /// Two keys have the same name.
    #[error("two keys have the same kid")]
    Repeated,
    /// More than [`MAX_KEYS`].
    #[error("there are more than {MAX_KEYS} keys")]
    TooMany,
    /// The private key can't be read, or is of another algorithm.
    #[error("the private key can't be read, or is of another algorithm")]
    Unreadable,
    /// The library could not do it.
    #[error("the cryptographic library failed")]
    Library,
}

/// Writes bytes as base64url without padding (RFC 7515 2).
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`encode`] writes, and nothing else.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}
