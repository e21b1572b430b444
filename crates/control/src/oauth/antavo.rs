//! Antavo's token endpoint. Its errors have a number each, and its words for them.
use super::fault::{Fault, What};
use super::form::Form;
use super::issue::Wish;
use super::{Answer, Asked, Outcome, Server, client, scope};
use doorward_core::decide::Refusal;
use doorward_core::scope::covers;
use serde::Serialize;
use std::sync::Arc;

/// The only scope there is.
pub(super) const SCOPE: &str = "loyalty.async_events";
const REALM: &str = "Basic realm=\"OAuth2 Token Endpoint\"";
/// Parameters of other grants than the one there is.
const NOT_ALLOWED: [&str; 6] =
    ["username", "password", "code", "redirect_uri", "refresh_token", "code_verifier"];

#[derive(Serialize)]
struct Error {
    status: &'static str,
    error: &'static str,
    details: Details,
}

#[derive(Serialize)]
struct Details {
    r#type: &'static str,
    code: u32,
    message: &'static str,
}

#[derive(Serialize)]
struct Given<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    scope: &'a str,
}

pub(super) fn told(fault: Fault) -> Outcome {
    let (error, code, message) = match fault.what {
        What::Client => ("invalid_client", 220_010, "Client authentication failed"),
        What::Request | What::Target => (
            "invalid_request",
            220_011,
            "The request includes a parameter that is not allowed for this grant type.",
        ),
        What::Grant => ("invalid_grant", 220_012, "The provided authorization grant is invalid"),
        What::Unauthorized => (
            "unauthorized_client",
            220_013,
            "The authenticated client is not authorized to use this authorization grant type",
        ),
        What::Elsewhere => ("access_denied", 0, fault.note),
        What::GrantType => (
            "unsupported_grant_type",
            220_014,
            "The authorization grant type is not supported by this server",
        ),
        What::Scope => ("invalid_scope", 220_015, "The requested scope is invalid, unknown, or malformed"),
        What::TooMany | What::Away => return Err(Refusal::new(fault.code, fault.detail)),
    };
    let (status, r#type) = match fault.what {
        What::Client => (401, "UnauthorizedException"),
        What::Elsewhere => (403, "ForbiddenException"),
        _ => (400, "BadRequestException"),
    };
    let mut answer = Answer::new(status).unkept();
    if status == 401 {
        answer = answer.field("www-authenticate", REALM);
    }
    let body = Error { status: "error", error, details: Details { r#type, code, message } };
    Ok(answer.json(&body).refusing(fault.code, fault.detail).to(fault.who))
}

pub(super) async fn token(server: &Server, asked: &Asked) -> Outcome {
    match try_token(server, asked).await {
        Ok(answer) => Ok(answer),
        Err(fault) => told(fault),
    }
}

async fn try_token(server: &Server, asked: &Asked) -> Result<Answer, Fault> {
    let form = Form::read(asked)?;
    match form.get("grant_type") {
        None => return Err(Fault::request("no-grant-type", "")),
        Some("client_credentials") => (),
        Some(_) => return Err(Fault::grant_type("grant-type")),
    }
    let client = client::authenticated(server, asked, &form)?;
    if client.plain_key {
        return Err(Fault::unauthorized("plain-key").of(&client));
    }
    if NOT_ALLOWED.iter().any(|name| form.get(name).is_some()) {
        return Err(Fault::request("parameter-of-another-grant", "").of(&client));
    }
    let wanted = form.get("scope").filter(|wanted| *wanted == SCOPE);
    let wanted = wanted.ok_or_else(|| Fault::scope("scope-unknown").of(&client))?;
    let scope = scope::narrowed(wanted, &server.held(&client), covers);
    let scope = scope.map_err(|fault| fault.of(&client))?;
    let wish =
        Wish { credential: &client, client: None, label: None, scope: &scope, resources: &[], cap: None };
    let issued = server.give(asked, wish).await?;
    let body = Given {
        access_token: &issued.token,
        token_type: "Bearer",
        expires_in: issued.expires_s - issued.issued_s,
        scope: &scope,
    };
    Ok(Answer::new(200).unkept().json(&body).to(Some(Arc::clone(&client))))
}
