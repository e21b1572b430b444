//! A publishable key is good only from the origins that its credential names, and so is a token where pages call, if its
//! credential names any. An origin proves nothing: key or token are needed as well.
use super::Subject;
use crate::credential::SchemeName;
use crate::decide::Refusal;
use crate::origin::Origin;
use crate::reason::Reason;
use crate::request::Lookup;

pub(super) fn check(s: &Subject<'_>) -> Result<(), Refusal> {
    let bound = match s.presented.scheme {
        SchemeName::Publishable => true,
        SchemeName::Bearer => s.route.client_side && !s.credential.origins.is_empty(),
        SchemeName::ApiKey | SchemeName::Escher | SchemeName::Avanan => false,
    };
    if !bound {
        return Ok(());
    }
    let denied = |fact, note: &str| Err(Refusal::new(Reason::OriginDenied, fact).saying(note));
    let origin = match s.req.field("origin") {
        Lookup::Absent => return denied("origin-missing", "The Origin field is missing."),
        Lookup::Repeated => return denied("origin-repeated", "The Origin field was sent more than once."),
        Lookup::One(value) => Origin::parse(value),
    };
    let Some(origin) = origin else {
        return denied("origin-malformed", "The Origin field does not name one origin.");
    };
    if s.credential.origins.iter().any(|e| e.matches(&origin)) {
        return Ok(());
    }
    denied("origin-foreign", "The origin is not on the list of this credential.")
}
