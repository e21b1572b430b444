//! What a decision asks outside.
use super::rest::{self, Rest};
use super::{Denial, Facts, Permit, Refusal, Step, Unspent, Unverified};
use crate::canonical::{BodyDigest, Hash};
use crate::ports::{Claim, MAX_WINDOW_MS, Once, Share};
use crate::reason::Reason;
use crate::time::UnixMillis;

/// What is known of a request's body.
#[derive(Clone, Copy, Debug)]
pub enum Received<'a> {
    /// There is none.
    Nothing,
    /// It has not been read.
    NotYet,
    /// All of it was read.
    All {
        /// Its digest.
        digest: &'a BodyDigest,
        /// What it is.
        bytes: &'a [u8],
    },
}

impl Received<'_> {
    pub(super) fn digest(&self, hash: Hash) -> Option<BodyDigest> {
        match self {
            Received::Nothing => Some(BodyDigest::empty(hash)),
            Received::All { digest, .. } if digest.hash() == hash => Some((*digest).clone()),
            Received::All { .. } | Received::NotYet => None,
        }
    }
}

/// What has to be asked before it can be decided.
#[derive(Debug)]
pub enum Duty {
    /// The whole body, and its digest: then start again, with it.
    Body(Hash),
    /// The ledger: whether the request was accepted before, or its captcha's response.
    Claim(Box<Unclaimed>),
    /// The limits: whether they have room for the request.
    Spend(Unspent),
    /// The captcha's provider: whether a person solved it.
    Captcha(Box<Unverified>),
}

impl Duty {
    /// What it is asked for, where that is settled but for duties.
    #[must_use]
    pub fn permit(&self) -> Option<&Permit> {
        match self {
            Duty::Body(_) => None,
            Duty::Claim(unclaimed) => Some(unclaimed.rest.permit()),
            Duty::Spend(unspent) => Some(unspent.permit()),
            Duty::Captcha(unverified) => Some(unverified.permit()),
        }
    }
}

/// A request that may be forwarded if it was not accepted before.
#[derive(Debug)]
pub struct Unclaimed {
    pub(super) once: Once,
    pub(super) rest: Rest,
    /// Where it is the captcha's response that is accepted once: whether that is enforced.
    pub(super) captcha: Option<bool>,
}

impl Unclaimed {
    /// What the ledger is to be asked.
    #[must_use]
    pub fn once(&self) -> &Once {
        &self.once
    }

    /// Goes on with what the ledger said at `now`.
    ///
    /// # Errors
    /// It was accepted before, its time is over, or the ledger does not know.
    pub fn answered(self, claim: Claim, now: UnixMillis, facts: &mut Facts) -> Result<Step, Denial> {
        if let Some(enforced) = self.captcha {
            let detail = if claim == Claim::Replayed { "captcha-used" } else { "captcha-not-claimed" };
            return rest::claimed(claim == Claim::New, detail, enforced, self.rest, facts);
        }
        let denied = |reason, detail, note: String| Err(Refusal::new(reason, detail).saying(note).into());
        let later = |refusal: Refusal, s| Err(Denial { retry_after_s: Some(s), ..refusal.into() });
        match claim {
            Claim::New => Ok(self.rest.next()),
            Claim::Replayed => denied(
                Reason::SignatureReplayed,
                "replayed",
                "This very request was accepted before. Sign each request when it is sent; requests that are equal in all \
                 that is signed need dates that differ by a second."
                    .to_owned(),
            ),
            Claim::Full(share) => {
                let (detail, whose) = match share {
                    Share::Credential => ("ledger-credential-full", "this credential"),
                    Share::Workspace => ("ledger-workspace-full", "this workspace"),
                    Share::Ledger => ("ledger-full", "this server"),
                };
                let note = format!(
                    "More signed requests than {whose} may have were accepted in the time for which they are remembered."
                );
                later(Refusal::new(Reason::Overloaded, detail).saying(note), self.wait_s(now))
            }
            Claim::TooEarly { now } => denied(
                Reason::SignatureExpired,
                "ledger-date-ahead",
                format!("The signature is dated {}, which is ahead of {now}.", self.once.window.date()),
            ),
            Claim::TooLate { now } => denied(
                Reason::SignatureExpired,
                "ledger-date-behind",
                format!("The signature is dated {}, which is too far behind {now}.", self.once.window.date()),
            ),
            Claim::Fenced { until } => {
                let note = format!(
                    "What was accepted lately is not known any more, so signatures dated up to {until} are not taken. \
                     Sign again after that."
                );
                let wait_s = (until.0 - now.0).clamp(1000, i64::from(MAX_WINDOW_MS) * 2) as u32 / 1000;
                later(Refusal::new(Reason::Unavailable, "ledger-fenced").saying(note), wait_s)
            }
            Claim::Unavailable => Err(Refusal::new(Reason::Unavailable, "ledger-away").into()),
        }
    }

    /// Until requests that are remembered now begin to be forgotten: at most a window.
    fn wait_s(&self, now: UnixMillis) -> u32 {
        let until = self.once.window.until();
        (until.0 - now.0).clamp(1000, 60_000) as u32 / 1000
    }
}
