//! A credential is presented under the names of its own dialect.
use super::Subject;
use crate::credential::SchemeName;
use crate::decide::Refusal;
use crate::reason::Reason;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    if s.credential.dialect.name == s.presented.dialect.name {
        return Ok(());
    }
    if s.presented.scheme == SchemeName::Bearer {
        // A credential is given no others.
        return Err(Refusal::new(Reason::TokenInvalid, "token-of-another-dialect"));
    }
    let names: Vec<_> = s.credential.dialect.credential_headers().collect();
    let mut refusal = Refusal::new(Reason::SchemeNotAccepted, "foreign-names");
    if !names.is_empty() {
        refusal = refusal.saying(format!("This credential is sent in {}.", names.join(" and ")));
    }
    Err(refusal)
}
