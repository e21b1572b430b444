//! What pages and apps are given stays on their side. Publishable keys never get as far as here; tokens for that side are
//! told by what they name, however far the scopes of routes are enforced.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    if s.route.client_side || !s.granted.is_for_client_side() {
        return Ok(());
    }
    let mut refusal = Refusal::new(Reason::ScopeMissing, "token-of-client-side")
        .saying("This token is for pages and apps; call this from a server.");
    if let Some(scope) = &s.route.scope {
        refusal = refusal.lacking(scope);
    }
    Err(refusal)
}
