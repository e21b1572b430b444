//! What an API takes, decided before anybody is looked up.
use super::rest::Rest;
use super::{Denial, Permit, Refusal, Step, Target};
use crate::credential::{Environment, SchemeName};
use crate::policy::{Api, Endpoint, Route};
use crate::reason::Reason;
use crate::schemes::{Presented, Shown, avanan};
use std::net::IpAddr;

/// Without a credential, a public route leads to production, or to what answers it here.
pub(super) fn anonymous(route: &Route, api: &Api, client: Option<IpAddr>) -> Result<Step, Denial> {
    match Target::of(route, api, Environment::Production) {
        Some(target) => {
            let permit = Permit { target, workspace: None, signed: None };
            Ok(Rest::anonymous(permit, api, client).next())
        }
        None => Err(Refusal::new(Reason::RouteUnknown, "no-public-upstream").into()),
    }
}

/// Nothing was presented: says what would be.
#[cold]
pub(super) fn missing(api: &Api) -> Denial {
    let refusal = Refusal::new(Reason::CredentialMissing, "nothing-presented");
    match ways(api) {
        Some(ways) => refusal.saying(format!("This API expects {ways}.")).into(),
        None => refusal.into(),
    }
}

/// How an API takes credentials.
#[cold]
fn ways(api: &Api) -> Option<String> {
    let mut ways: Vec<String> = api.signing.iter().map(|s| s.config.describe()).collect();
    for dialect in &api.names {
        for scheme in &api.schemes {
            let form = match scheme {
                SchemeName::ApiKey => dialect.api_key,
                SchemeName::Publishable => dialect.publishable,
                SchemeName::Escher => None,
                SchemeName::Avanan if dialect.avanan => {
                    ways.push(format!("the header fields {}", avanan::FIELDS.join(", ")));
                    None
                }
                SchemeName::Avanan | SchemeName::Bearer => None,
            };
            ways.extend(form.and_then(|f| f.describe(!api.plain_key.is_empty())));
        }
    }
    if api.schemes.contains(&SchemeName::Bearer) {
        ways.push("the header field Authorization with `Bearer <access token>`".to_owned());
    }
    (!ways.is_empty()).then(|| ways.join(", or "))
}

#[cold]
fn not_accepted(route: &Route, api: &Api, detail: &'static str, note: &str) -> Refusal {
    let expected = match route.local {
        // Whoever calls proves itself to the endpoint, and not before.
        Some(Endpoint::Token | Endpoint::Introspect | Endpoint::Revoke) if route.public => {
            " A client sends its id and secret with HTTP Basic, or as client_id and client_secret in the form."
                .to_owned()
        }
        Some(_) if route.public => " Send none here.".to_owned(),
        _ => ways(api).map(|ways| format!(" It expects {ways}.")).unwrap_or_default(),
    };
    Refusal::new(Reason::SchemeNotAccepted, detail).saying(format!("{note}{expected}"))
}

/// Whether the route takes this kind of credential at all: decided before anybody is looked up.
pub(super) fn accepted(presented: &Presented<'_>, route: &Route, api: &Api) -> Result<(), Refusal> {
    let not = |detail, note| Err(not_accepted(route, api, detail, note));
    // Whose names a token has, it says itself, later.
    let names =
        presented.scheme == SchemeName::Bearer || api.names.iter().any(|d| d.name == presented.dialect.name);
    if !names || !api.schemes.contains(&presented.scheme) {
        return not("scheme-not-of-this-api", "This API does not take credentials sent this way.");
    }
    // Another API's names, scope or leniency open nothing here.
    if let Shown::Signature(signing, _) = &presented.shown
        && !api.signing.iter().any(|own| std::ptr::eq(&**own, *signing))
    {
        return not("signed-for-another-api", "Requests to this API are signed under other names.");
    }
    if presented.scheme == SchemeName::Publishable && !route.client_side {
        return not("not-client-side", "Publishable keys do not reach this route; call it from a server.");
    }
    if route.local.is_some() && presented.is_in_the_open() {
        return not(
            "in-the-open",
            "This endpoint does not take what others can read: send a secret, or sign the request.",
        );
    }
    if presented.is_id_alone() && api.plain_key.is_empty() {
        return not("plain-key-off", "This API does not take an id without a proof.");
    }
    // Of these, who is looked up afterwards has none that may send a key.
    if api.always_signed && presented.can_be_used_again() && presented.scheme != SchemeName::Publishable {
        return Err(signature_required(api, "signatures-enforced"));
    }
    Ok(())
}

/// A key came, or an address that was signed once, where each request has to be signed.
#[cold]
pub(super) fn signature_required(api: &Api, detail: &'static str) -> Refusal {
    let ways: Vec<String> = api.signing.iter().map(|s| s.config.describe()).collect();
    let note = format!("Requests to this API must be signed, in {}.", ways.join(" or "));
    Refusal::new(Reason::SignatureRequired, detail).saying(note)
}
