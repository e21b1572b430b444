//! How requests to an API are signed, and where they have to be.
use crate::credential::names;
use crate::dialect::Dialect;
use crate::ports::MAX_WINDOW_MS;
use crate::schemes::escher::{Config, DEFAULT_SKEW_MS};

/// How far dates may be from now unless an API says otherwise, in seconds.
pub const DEFAULT_SKEW_S: u64 = DEFAULT_SKEW_MS as u64 / 1000;
/// The most that an API may say, in seconds: as long as a ledger remembers.
pub const MAX_SKEW_S: u64 = MAX_WINDOW_MS as u64 / 1000;
/// How long an address that is signed in its query may be good at most, in seconds: seven days.
pub const MAX_PRESIGNED_S: u64 = 604_800;

names! {
    /// Which signed requests are accepted once.
    OnceOnly:
    /// Every one.
    All = "all",
    /// Those with a method that may change something: all but GET, HEAD, OPTIONS and TRACE (RFC 9110 9.2.1).
    Unsafe = "unsafe"
}

names! {
    /// How far a rule goes.
    Mode:
    /// It is not looked at.
    Off = "off",
    /// What it would refuse is counted and let through.
    Observe = "observe",
    /// What it refuses is refused.
    Enforce = "enforce"
}

impl OnceOnly {
    /// Whether a request with this method is accepted once.
    #[must_use]
    pub fn covers(self, method: &[u8]) -> bool {
        match self {
            OnceOnly::All => true,
            OnceOnly::Unsafe => {
                !["GET", "HEAD", "OPTIONS", "TRACE"].iter().any(|m| method.eq_ignore_ascii_case(m.as_bytes()))
            }
        }
    }
}

/// How requests are signed under the names of one dialect, at one API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signing {
    /// Whose credentials sign.
    pub dialect: &'static Dialect,
    /// What is looked for, and how it is read.
    pub config: Config,
    /// How far a date may be from now in either direction, in milliseconds.
    pub skew_ms: u32,
    /// Which requests are accepted once.
    pub once_only: OnceOnly,
    /// Header fields, in lower case, that reach the upstream although they are not signed.
    pub pass_unsigned: Vec<Box<str>>,
    /// The `Content-Type` that the upstream is told where there is a body and the caller's own was not signed.
    pub content_type: Option<Box<str>>,
}

impl Signing {
    /// Whether a field that was not signed reaches the upstream.
    #[must_use]
    pub fn passes(&self, name: &[u8]) -> bool {
        self.pass_unsigned.iter().any(|p| name.eq_ignore_ascii_case(p.as_bytes()))
    }
}
