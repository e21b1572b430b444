//! A credential is over at the instant it names, without leeway.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    match s.credential.expires_at {
        Some(at) if s.req.now >= at => {
            Err(Refusal::new(Reason::CredentialExpired, "expired").saying(format!("It expired at {at}.")))
        }
        _ => Ok(()),
    }
}
