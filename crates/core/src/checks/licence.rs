//! A route asks for licences; the caller's workspace, or the caller, has each of them at the instant of the request.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    let missing = |name: &&str| !s.workspace.has_licence(name, &s.credential.id, s.req.now);
    match s.route.licences.iter().map(|name| &**name).find(missing) {
        None => Ok(()),
        Some(name) => {
            let known = s.workspace.licences.iter().any(|licence| *licence.name == *name);
            let detail = if known { "licence-not-in-force" } else { "licence-missing" };
            let note = format!("This needs the licence `{name}`.");
            Err(Refusal::new(Reason::LicenceRequired, detail).saying(note))
        }
    }
}
