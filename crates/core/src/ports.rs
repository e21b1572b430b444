//! What a decision needs from outside, as traits: who implements them does the I/O.
use crate::captcha::{Response, Verdict};
use crate::limits::{Spend, Spent};
use crate::time::UnixMillis;
use std::fmt;
use std::pin::Pin;

/// Length of a [`LedgerKey`] in bytes.
///
/// 128 bits are enough. The key is a keyed hash, so nobody outside can look for two requests with one key, and by chance
/// one of 2^30 new requests meets one of 2^21 remembered ones with a probability of 2^-77. Even then the newer request is
/// refused: equal requests always have equal keys, so no collision ever lets a replay through.
pub const LEDGER_KEY_BYTES: usize = 16;

/// How much earlier or later than its date a request may at most be accepted, in milliseconds: 15 minutes.
pub const MAX_WINDOW_MS: u32 = 900_000;

/// Under what the ledger remembers a request; made by [`crate::secret::Keys::ledger_key`] once the request is proved.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LedgerKey([u8; LEDGER_KEY_BYTES]);

impl fmt::Debug for LedgerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LedgerKey(..)")
    }
}

impl LedgerKey {
    /// The key with these bytes, which look random.
    #[must_use]
    pub fn new(bytes: [u8; LEDGER_KEY_BYTES]) -> LedgerKey {
        LedgerKey(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; LEDGER_KEY_BYTES] {
        &self.0
    }
}

/// What makes a request of a credential the one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnceBy {
    /// The string that was signed: schemes without a nonce.
    StringToSign,
    /// A nonce of the caller, or a request's id.
    Nonce,
    /// The response to a captcha; whose puzzle it was stands in the place of the credential.
    Captcha,
}

impl OnceBy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            OnceBy::StringToSign => "string-to-sign",
            OnceBy::Nonce => "nonce",
            OnceBy::Captcha => "captcha",
        }
    }
}

/// Names whoever has a share of the ledger; made by [`crate::secret::Keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShareId(pub u64);

/// Whose shares a request takes from. A credential belongs to one workspace for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Its workspace's.
    pub workspace: ShareId,
    /// Its credential's.
    pub credential: ShareId,
}

/// When a request may be accepted, by the date that it was signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    date: UnixMillis,
    early_ms: u32,
    late_ms: u32,
}

impl Window {
    /// From `early_ms` before the date until `late_ms` after it, both included, and neither more than [`MAX_WINDOW_MS`].
    ///
    /// The date has to be one that equal requests share (it is signed): it says where a request is looked for.
    #[must_use]
    pub fn new(date: UnixMillis, early_ms: u32, late_ms: u32) -> Window {
        Window { date, early_ms: early_ms.min(MAX_WINDOW_MS), late_ms: late_ms.min(MAX_WINDOW_MS) }
    }

    /// The date.
    #[must_use]
    pub fn date(&self) -> UnixMillis {
        self.date
    }

    /// For how long before its date it may be accepted, in milliseconds.
    #[must_use]
    pub fn early_ms(&self) -> u32 {
        self.early_ms
    }

    /// For how long after its date it may be accepted, in milliseconds.
    #[must_use]
    pub fn late_ms(&self) -> u32 {
        self.late_ms
    }

    /// The first instant at which it may be accepted.
    #[must_use]
    pub fn from(&self) -> UnixMillis {
        self.date.plus_ms(-i64::from(self.early_ms))
    }

    /// The last instant at which it may be accepted.
    #[must_use]
    pub fn until(&self) -> UnixMillis {
        self.date.plus_ms(i64::from(self.late_ms))
    }
}

/// A proved request that may be accepted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Which one.
    pub key: LedgerKey,
    /// When.
    pub window: Window,
    /// Whose.
    pub owner: Shares,
}

/// What is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// The credential has as many requests remembered as it may.
    Credential,
    /// Its workspace has.
    Workspace,
    /// The ledger has.
    Ledger,
}

/// What the ledger says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was never claimed, and is now. It will be remembered for as long as it could be accepted.
    New,
    /// It was claimed before.
    Replayed,
    /// There is no room to remember it. The same request may be tried again.
    Full(Share),
    /// By the ledger's clock, it is not time for it yet.
    TooEarly {
        /// That clock.
        now: UnixMillis,
    },
    /// By the ledger's clock, it is over.
    TooLate {
        /// That clock.
        now: UnixMillis,
    },
    /// The ledger does not know any more what of that date was claimed.
    Fenced {
        /// What is signed with this date or a later one is taken.
        until: UnixMillis,
    },
    /// It can't be remembered at the moment.
    Unavailable,
}

/// A claim on its way. It needs no runtime: whatever takes I/O or timers to settle it runs elsewhere, so any thread may
/// poll it.
pub type Claiming<'c> = Pin<Box<dyn Future<Output = Claim> + Send + 'c>>;

/// Remembers what may be used only once.
pub trait Ledger: Send + Sync {
    /// Claims a request: of all that ever ask for the same key, one is told [`Claim::New`], whatever happens to processes
    /// and nodes in between. Whether it is time for it is judged by the ledger's clock, in the same atomic step.
    ///
    /// It costs room, so it is asked after the proof. Giving up the future half way leaves the request claimed, or not.
    fn claim<'c>(&'c self, once: &'c Once) -> Claiming<'c>;
}

/// An answer of a [`Limiter`]: there at once where it is known here. What is on its way needs no runtime, as with
/// [`Claiming`].
pub enum Spending<'s> {
    /// Known.
    Now(Spent),
    /// On its way.
    Later(Pin<Box<dyn Future<Output = Spent> + Send + 's>>),
}

/// Counts what is spent of limits.
pub trait Limiter: Send + Sync {
    /// Spends a request of each of these limits, at most [`crate::limits::MAX_SPENDS`] with different keys, in one atomic
    /// step as [`crate::limits::settle`] tells. Giving up the future half way leaves the request spent, or not.
    fn spend<'s>(&'s self, spends: &'s [Spend]) -> Spending<'s>;
}

/// An answer of a [`Captchas`] on its way. It needs no runtime, as with [`Claiming`].
pub type Verifying<'r> = Pin<Box<dyn Future<Output = Verdict> + Send + 'r>>;

/// Asks whether puzzles were solved.
pub trait Captchas: Send + Sync {
    /// Asks about a response, once: providers say only once that one is good.
    fn verify<'r>(&'r self, response: &'r Response) -> Verifying<'r>;
}

/// No captchas: no response is good.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCaptchas;

impl Captchas for NoCaptchas {
    fn verify<'r>(&'r self, _: &'r Response) -> Verifying<'r> {
        Box::pin(std::future::ready(Verdict::Unavailable("captcha-not-set-up")))
    }
}

/// No limits are counted: those that are enforced let nothing through.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLimiter;

impl Limiter for NoLimiter {
    fn spend<'s>(&'s self, spends: &'s [Spend]) -> Spending<'s> {
        let levels = spends.iter().map(|spend| spend.rate.pace(1).full()).collect();
        Spending::Now(Spent { levels, shared: true })
    }
}

/// No ledger: nothing that may be used only once is accepted.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLedger;

impl Ledger for NoLedger {
    fn claim<'c>(&'c self, _: &'c Once) -> Claiming<'c> {
        Box::pin(std::future::ready(Claim::Unavailable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_never_longer_than_the_ledger_can_look_back() {
        let date = UnixMillis(1_800_000_000_000);
        let window = Window::new(date, 300_000, 60_000);
        assert_eq!((window.from(), window.until()), (date.plus_ms(-300_000), date.plus_ms(60_000)));
        assert_eq!(Window::new(date, u32::MAX, u32::MAX).until(), date.plus_ms(900_000));
        let _ = Window::new(UnixMillis(i64::MAX), 1, 1).until();
        assert_eq!(format!("{:?}", LedgerKey::new([7; 16])), "LedgerKey(..)");
    }
}
