//! The name of a token.
use crate::jwt;
use std::fmt;

/// How many random bytes name a token.
pub const JTI_BYTES: usize = 16;

/// The name of a token: random, so that nobody meets another's. It opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jti([u8; JTI_BYTES]);

impl Jti {
    /// A name of random bytes.
    #[must_use]
    pub fn new(random: [u8; JTI_BYTES]) -> Jti {
        Jti(random)
    }

    /// Reads what `to_string` writes: base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Jti> {
        jwt::decode(text)?.try_into().ok().map(Jti)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; JTI_BYTES] {
        self.0
    }

    /// Half of it, as a number: random as it is, it needs no hash.
    pub(super) fn spread(self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|i| self.0[i]))
    }
}

impl fmt::Display for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&jwt::encode(&self.0))
    }
}
