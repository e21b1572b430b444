//! A route asks for a scope; the caller holds it. A token opens what its scope names, as far as its credential may do that
//! now.
use super::Subject;
use crate::decide::Refusal;
use crate::reason::Reason;
use crate::scope::Asked;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    // What is answered here has rules of its own.
    if s.route.local.is_some() {
        return Ok(());
    }
    let scope = s.route.scope.as_deref();
    let asked = Asked { scope, client_side: s.route.client_side, path: s.req.path };
    s.granted.allows(&asked).map_err(|missing| {
        let refusal = Refusal::new(Reason::ScopeMissing, "scope-missing");
        refusal.saying(format!("This needs the scope `{missing}`.")).lacking(missing)
    })
}
