//! A workspace is served in its own region alone.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    let denied = |fact, note: String| Err(Refusal::new(Reason::RegionDenied, fact).saying(note));
    match (&s.workspace.region, &s.policy.region) {
        (None, _) => Ok(()),
        (Some(theirs), Some(ours)) if theirs == ours => Ok(()),
        (Some(theirs), Some(ours)) => {
            denied("other-region", format!("The credential belongs to the region {theirs}; this is {ours}."))
        }
        (Some(theirs), None) => {
            denied("node-without-region", format!("The credential belongs to the region {theirs}."))
        }
    }
}
