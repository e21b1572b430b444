//! A blocked credential opens nothing.
use super::Subject;
use crate::credential::Status;
use crate::decide::Refusal;
use crate::reason::Reason;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    match s.credential.status {
        Status::Active => Ok(()),
        Status::Blocked => Err(Refusal::new(Reason::CredentialBlocked, "blocked")),
    }
}
