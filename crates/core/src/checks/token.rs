//! A token opens what it was given for, however far the scopes of routes are enforced: those who narrowed it, or who hand it to
//! a page, rely on that. What its credential may do is another check's.
//!
//! What pages and apps are given stays on their side. Publishable keys never get as far as here; tokens for that side are
//! told by what they name.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;
use crate::scope::Asked;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    let scope = s.route.scope.as_deref();
    if !s.route.client_side && s.granted.is_for_client_side() {
        let refusal = Refusal::new(Reason::ScopeMissing, "token-of-client-side")
            .saying("This token is for pages and apps; call this from a server.");
        return Err(match scope {
            Some(scope) => refusal.lacking(scope),
            None => refusal,
        });
    }
    // What is answered here has rules of its own.
    if s.route.local.is_some() {
        return Ok(());
    }
    let asked = Asked { scope, client_side: s.route.client_side, path: s.req.path };
    s.granted.token_allows(&asked).map_err(|missing| {
        let refusal = Refusal::new(Reason::ScopeMissing, "token-scope-missing");
        refusal.saying(format!("This needs a token with the scope `{missing}`.")).lacking(missing)
    })
}
