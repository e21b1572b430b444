//! A scheme whose module is off in the caller's workspace is not taken, rather than taken without its rules.
use super::Subject;
use crate::credential::SchemeName;
use crate::decide::Refusal;
use crate::policy::Module;
use crate::reason::Reason;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    let (module, what) = match s.presented.scheme {
        SchemeName::Publishable => (Module::ClientSide, "publishable keys"),
        SchemeName::Bearer if s.granted.is_for_client_side() => {
            (Module::ClientSide, "tokens for pages and apps")
        }
        scheme if scheme.signs() => (Module::Signatures, "signed requests"),
        _ => return Ok(()),
    };
    if s.workspace.modules.on(module) {
        return Ok(());
    }
    let note = format!("The credential's workspace does not take {what}.");
    Err(Refusal::new(Reason::SchemeNotAccepted, "module-off").saying(note))
}
