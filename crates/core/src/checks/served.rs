//! An API serves the workspaces that it names, in the environments for which it has an upstream.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    let environment = s.workspace.environment;
    if !s.api.serves(&s.workspace.id) {
        return Err(Refusal::new(Reason::CredentialInvalid, "workspace-not-served")
            .saying("The credential's workspace is not served at this address."));
    }
    if !s.api.answers(environment) {
        return Err(Refusal::new(Reason::CredentialInvalid, "environment-not-served").saying(format!(
            "The credential belongs to the {} environment, which is not served at this address.",
            environment.name()
        )));
    }
    Ok(())
}
