//! A workspace is served in its own region alone, and so is an id that names one.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;
use crate::schemes::Shown;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    let denied = |fact, note: String| Err(Refusal::new(Reason::RegionDenied, fact).saying(note));
    let ours = s.policy.region.as_deref();
    if let Shown::Avanan(signature) = &s.presented.shown
        && let Some(theirs) = signature.region()
        && !ours.is_some_and(|ours| ours.eq_ignore_ascii_case(theirs))
    {
        return denied("other-region-in-id", format!("The id belongs to the region {theirs}."));
    }
    match (&s.workspace.region, ours) {
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
