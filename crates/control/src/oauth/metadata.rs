//! Where everything is, and the keys (RFC 8414, OpenID Connect Discovery 1.0 3, RFC 7517 5). All of it comes from settings
//! and policy: nothing that a caller sends stands in it.
use super::{Answer, Asked, Outcome, Server};
use doorward_core::decide::Refusal;
use doorward_core::policy::{Endpoint, Policy};
use doorward_core::reason::Reason;
use doorward_core::token::{Issuer, TokenRecord};
use serde::Serialize;

/// How long others may keep it, in seconds. Far shorter than a key is published before it signs.
const KEPT: &str = "public, max-age=300";
const BASIC_OR_FORM: [&str; 2] = ["client_secret_basic", "client_secret_post"];

#[derive(Serialize)]
struct Document<'a> {
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<String>,
    response_types_supported: [&'a str; 0],
    grant_types_supported: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint_auth_methods_supported: Option<&'a [&'a str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_endpoint_auth_methods_supported: Option<&'a [&'a str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation_endpoint_auth_methods_supported: Option<&'a [&'a str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_types_supported: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_signing_alg_values_supported: Option<[&'a str; 1]>,
}

/// Where an endpoint of a dialect is: at the same API, or else at the first that has it.
fn at(policy: &Policy, asked: &Asked, issuer: &Issuer, endpoint: Endpoint) -> Option<String> {
    let literal = |path: &str| !path.contains(['{', '*']);
    let mut found = policy.routes.iter().filter_map(|route| {
        let api = policy.apis.get(route.api)?;
        let fits = route.local == Some(endpoint)
            && api.dialect.name == asked.dialect.name
            && literal(route.template.as_str());
        fits.then(|| (*api.id == *asked.api, route.template.as_str()))
    });
    let all: Vec<(bool, &str)> = found.by_ref().collect();
    let own = all.iter().find(|(own, _)| *own).or(all.first());
    own.map(|(_, path)| format!("{issuer}{path}"))
}

pub(super) fn document(server: &Server, asked: &Asked) -> Outcome {
    let issuer = server.name()?;
    let record = TokenRecord::of(asked.dialect.name);
    let record = record.ok_or_else(|| Refusal::new(Reason::RouteUnknown, "endpoint-not-of-this-dialect"))?;
    let policy = server.live.policy.load();
    let at = |endpoint| at(&policy, asked, issuer, endpoint);
    let (token, introspection, revocation) =
        (at(Endpoint::Token), at(Endpoint::Introspect), at(Endpoint::Revoke));
    // Users of this dialect have passwords, and no client has a secret.
    let by_password_alone = !record.scope;
    let mut grants = Vec::new();
    if token.is_some() {
        grants.extend((!by_password_alone).then_some("client_credentials"));
        grants.extend(server.passwords_are_on().then_some("password"));
    }
    let methods: &[&str] = if by_password_alone { &["none"] } else { &BASIC_OR_FORM };
    let document = Document {
        issuer: record.iss(issuer),
        jwks_uri: at(Endpoint::Jwks),
        response_types_supported: [],
        grant_types_supported: grants,
        token_endpoint_auth_methods_supported: token.is_some().then_some(methods),
        introspection_endpoint_auth_methods_supported: introspection.is_some().then_some(&BASIC_OR_FORM[..]),
        revocation_endpoint_auth_methods_supported: revocation.is_some().then_some(&BASIC_OR_FORM[..]),
        subject_types_supported: by_password_alone.then_some(["public"]),
        id_token_signing_alg_values_supported: server
            .algorithm(record)
            .filter(|_| by_password_alone)
            .map(|alg| [alg.name()]),
        token_endpoint: token,
        introspection_endpoint: introspection,
        revocation_endpoint: revocation,
    };
    Ok(Answer::new(200).field("cache-control", KEPT).json(&document))
}

/// The public halves of all keys that a token may be signed with now.
pub(super) fn jwks(server: &Server) -> Outcome {
    let keys = server.live.tokens.trust().keys.jwks();
    Ok(Answer::new(200).field("cache-control", KEPT).text("application/json", keys))
}
