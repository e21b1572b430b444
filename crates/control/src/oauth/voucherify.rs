//! Voucherify's three endpoints. Who calls has proved itself before, with its key pair, as at any other route.
use super::fault::{Fault, What};
use super::form::Form;
use super::issue::Wish;
use super::standard::INACTIVE;
use super::{Answer, Asked, Outcome, Server, scope};
use doorward_core::credential::{Credential, SchemeName};
use doorward_core::decide::Refusal;
use doorward_core::dialect::Dialect;
use doorward_core::reason::Reason;
use doorward_core::scope::{ScopeRule, Side, covers as scope_covers};
use serde::Serialize;
use std::sync::Arc;

/// Live tokens of one workspace.
const MAX_TOKENS: u32 = 1_000;
/// Longest part of a scope that an error repeats, in characters.
const TOLD_CHARS: usize = 256;
#[derive(Serialize)]
struct Error<'a> {
    code: u16,
    key: &'a str,
    message: &'a str,
}

/// A token, as it is given and as it is told about.
#[derive(Serialize)]
struct Token<'a> {
    access_token: &'a str,
    client_id: &'a str,
    expires_at: i64,
    expires_in: i64,
    scope: &'a str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    active: bool,
}

/// Whether a scope that a credential has means another one as well: the one that stands for all of a side.
fn covers(held: &str, wanted: &str) -> bool {
    scope_covers(held, wanted) || side_of(wanted).is_some_and(|side| side.all == held)
}

/// The side that a scope opens something of; `None`: there is no such scope.
pub(super) fn side_of(name: &str) -> Option<&'static Side> {
    let ScopeRule::Paths(scopes) = Dialect::named("voucherify")?.scopes else { return None };
    let has = |side: &&Side| side.all == name || side.names.iter().any(|(own, _)| *own == name);
    [&scopes.server, &scopes.client].into_iter().find(has)
}

fn error(key: &str, message: &str, fault: Fault) -> Outcome {
    let status = if fault.what == What::TooMany { 429 } else { 400 };
    let answer = Answer::new(status).unkept().json(&Error { code: status, key, message });
    Ok(answer.refusing(fault.code, fault.detail).to(fault.who))
}

pub(super) fn told(fault: Fault, scope: &str) -> Outcome {
    match fault.what {
        What::Scope => {
            let scope: String = scope.chars().take(TOLD_CHARS).collect();
            error("invalid_scope", &format!("Invalid scope: {scope}"), fault)
        }
        What::GrantType => error("invalid_grant_type", "Invalid grant_type", fault),
        What::TooMany => error("too_many_tokens", "Too many active tokens", fault),
        What::Request | What::Target | What::Grant if fault.detail == MISSING => {
            error("missing_parameters", "Missing parameters", fault)
        }
        What::Request | What::Target | What::Grant => error("invalid_request", "Invalid request", fault),
        What::Client | What::Unauthorized | What::Elsewhere | What::Away => {
            Err(Refusal::new(fault.code, fault.detail))
        }
    }
}

const MISSING: &str = "parameter-missing";

pub(super) fn missing() -> Fault {
    Fault::request(MISSING, "")
}

/// Who has proved itself, and what it sent.
fn read(asked: &Asked) -> Result<(Arc<Credential>, Form), Fault> {
    let (credential, scheme) =
        asked.proved.as_ref().ok_or_else(|| Fault::client(Reason::CredentialMissing, "nobody-proved"))?;
    if *scheme != SchemeName::ApiKey || credential.dialect.name != asked.dialect.name || credential.plain_key
    {
        return Err(Fault::client(Reason::SchemeNotAccepted, "other-kind-of-credential"));
    }
    let form = Form::read(asked)?;
    if ["client_id", "client_secret", "client_assertion"].iter().any(|name| form.get(name).is_some()) {
        return Err(Fault::request("two-authentications", "").coded(Reason::CredentialAmbiguous));
    }
    Ok((Arc::clone(credential), form))
}

pub(super) async fn token(server: &Server, asked: &Asked) -> Outcome {
    let (credential, form) = match read(asked) {
        Ok(both) => both,
        Err(fault) => return told(fault, ""),
    };
    let wanted = form.get("scope").unwrap_or_default();
    match try_token(server, asked, &credential, &form).await {
        Ok(answer) => Ok(answer),
        Err(fault) => told(fault.of(&credential), wanted),
    }
}

async fn try_token(
    server: &Server,
    asked: &Asked,
    credential: &Arc<Credential>,
    form: &Form,
) -> Result<Answer, Fault> {
    if form.get("grant_type") != Some("client_credentials") {
        return Err(Fault::grant_type("grant-type"));
    }
    let wanted = form.get("scope").ok_or_else(missing)?;
    let scope = scope::narrowed(wanted, &server.held(credential), covers)?;
    if !scope.split(' ').all(|name| side_of(name).is_some()) {
        return Err(Fault::scope("scope-unknown"));
    }
    let wish =
        Wish { credential, client: None, label: None, scope: &scope, resources: &[], cap: Some(MAX_TOKENS) };
    let issued = server.give(asked, wish).await?;
    let body = Token {
        access_token: &issued.token,
        client_id: &credential.id,
        expires_at: issued.expires_s,
        expires_in: issued.expires_s - issued.issued_s,
        scope: &scope,
        token_type: "Bearer",
        active: false,
    };
    Ok(Answer::new(200).unkept().json(&body).to(Some(Arc::clone(credential))))
}

pub(super) fn introspect(server: &Server, asked: &Asked) -> Outcome {
    let (credential, form) = match read(asked) {
        Ok(both) => both,
        Err(fault) => return told(fault, ""),
    };
    let Some(text) = form.get("access_token") else { return told(missing().of(&credential), "") };
    let seen = match server.live_token(asked, text, &credential) {
        Ok(seen) => seen,
        Err(fault) => return told(fault.of(&credential), ""),
    };
    let answer = Answer::new(200).unkept().to(Some(credential));
    let Some(seen) = seen else { return Ok(answer.json(&INACTIVE)) };
    Ok(answer.json(&Token {
        access_token: text,
        client_id: &seen.token.subject,
        expires_at: seen.token.expires_s,
        expires_in: seen.token.expires_s - asked.now.0.div_euclid(1000),
        scope: &seen.scope().unwrap_or_default(),
        token_type: "Bearer",
        active: true,
    }))
}

pub(super) async fn revoke(server: &Server, asked: &Asked) -> Outcome {
    let (credential, form) = match read(asked) {
        Ok(both) => both,
        Err(fault) => return told(fault, ""),
    };
    let Some(text) = form.get("access_token") else { return told(missing().of(&credential), "") };
    let killed = match server.token_shown(asked, text, &credential) {
        Err(fault) => Err(fault),
        Ok(None) => Ok(false),
        Ok(Some(seen)) => server.kill(asked, &seen, &credential).await,
    };
    match killed {
        Ok(true) => Ok(Answer::new(204).unkept().to(Some(credential))),
        Ok(false) => Ok(Answer::new(404).unkept().to(Some(credential))),
        Err(fault) => told(fault.of(&credential), ""),
    }
}
