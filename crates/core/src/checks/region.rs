//! A workspace is served in its own region alone.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    match (&s.workspace.region, &s.policy.region) {
        (Some(theirs), Some(ours)) if theirs != ours => {
            Err(Refusal::new(Reason::RegionDenied, "other-region")
                .saying(format!("The credential belongs to the region {theirs}; this is {ours}.")))
        }
        _ => Ok(()),
    }
}
