//! A token opens what its scope names, as far as its credential may do that now.
//!
//! Other credentials are not asked for scopes here: theirs are told to the upstream, which judges them.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;
use crate::scope::Asked;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    let Some(granted) = &s.granted else { return Ok(()) };
    let scope = s.route.scope.as_deref();
    let asked = Asked { scope, client_side: s.route.client_side, path: s.req.path };
    granted.allows(&asked).map_err(|missing| {
        let refusal = Refusal::new(Reason::ScopeMissing, "scope-missing");
        refusal.saying(format!("This needs the scope `{missing}`.")).lacking(missing)
    })
}
