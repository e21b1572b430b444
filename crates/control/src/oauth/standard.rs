//! The endpoints as the RFCs have them: tokens (6749, 8707, 9068), introspection (7662), revocation (7009).
use super::fault::{Fault, What};
use super::form::Form;
use super::issue::Wish;
use super::seen::Seen;
use super::{Answer, Asked, Outcome, Server, client, scope};
use client::Presented;
use doorward_core::credential::{Credential, Kind};
use doorward_core::decide::Refusal;
use doorward_core::reason::Reason;
use doorward_core::scope::covers;
use doorward_core::token::{Audience, MAX_RESOURCES};
use serde::Serialize;
use std::sync::Arc;

/// Longest resource that a token is for, in bytes.
const MAX_RESOURCE_BYTES: usize = 512;

/// An error as RFC 6749 5.2 has it.
#[derive(Serialize)]
struct Error {
    error: &'static str,
    error_description: &'static str,
}

/// Puts a fault into the RFC's words. `realm` is what a client proves itself for.
pub(super) fn told(fault: Fault, realm: &str) -> Outcome {
    let (status, error) = match fault.what {
        What::Request => (400, "invalid_request"),
        What::Client => (401, "invalid_client"),
        What::Grant => (400, "invalid_grant"),
        What::Unauthorized => (400, "unauthorized_client"),
        What::Elsewhere => (403, "access_denied"),
        What::GrantType => (400, "unsupported_grant_type"),
        What::Scope => (400, "invalid_scope"),
        What::Target => (400, "invalid_target"),
        What::TooMany => (429, "temporarily_unavailable"),
        What::Away => return Err(Refusal::new(fault.code, fault.detail)),
    };
    let mut answer = Answer::new(status).unkept();
    if status == 401 {
        answer = answer.field("www-authenticate", format!("Basic realm=\"{realm}\""));
    }
    if let Some(seconds) = fault.retry_after_s {
        answer = answer.field("retry-after", seconds.to_string());
    }
    let body = Error { error, error_description: fault.note };
    Ok(answer.json(&body).refusing(fault.code, fault.detail).to(fault.who))
}

/// What a client gets (RFC 6749 5.1).
#[derive(Serialize)]
struct Given<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
}

pub(super) async fn token(server: &Server, asked: &Asked) -> Outcome {
    let realm = server.name()?.as_str();
    match try_token(server, asked).await {
        Ok(answer) => Ok(answer),
        Err(fault) => told(fault, realm),
    }
}

async fn try_token(server: &Server, asked: &Asked) -> Result<Answer, Fault> {
    let form = Form::read(asked)?;
    match form.get("grant_type") {
        None => Err(Fault::request("no-grant-type", "grant_type is missing")),
        Some("client_credentials") => {
            let client = client::authenticated(server, asked, &form)?;
            by_secret(server, asked, &form, &client).await
        }
        Some("password") if server.passwords_are_on() => by_password(server, asked, &form).await,
        Some("password") => Err(Fault::passwords_off()),
        Some(_) => Err(Fault::grant_type("grant-type")),
    }
}

async fn by_secret(
    server: &Server,
    asked: &Asked,
    form: &Form,
    client: &Arc<Credential>,
) -> Result<Answer, Fault> {
    if client.plain_key {
        return Err(Fault::unauthorized("plain-key").of(client));
    }
    given(server, asked, form, client, None).await
}

/// The password of a user, through a client where one proves itself (RFC 6749 4.3).
async fn by_password(server: &Server, asked: &Asked, form: &Form) -> Result<Answer, Fault> {
    let client = match client::presented(asked, form)? {
        Presented::Nobody => None,
        _ => Some(client::authenticated(server, asked, form)?),
    };
    if let Some(client) = &client
        && !client.password_grant
    {
        return Err(Fault::unauthorized("client-without-password-grant").of(client));
    }
    let (Some(name), Some(password)) = (form.get("username"), form.get("password")) else {
        return Err(Fault::request("no-user", "username and password are needed"));
    };
    let user = server.user(asked, name, password).await?;
    if client.as_ref().is_some_and(|client| client.workspace != user.workspace) {
        return Err(Fault::grant(Reason::CredentialInvalid, "user-of-another-workspace").of(&user));
    }
    given(server, asked, form, &user, client.as_ref()).await
}

async fn given(
    server: &Server,
    asked: &Asked,
    form: &Form,
    credential: &Arc<Credential>,
    client: Option<&Arc<Credential>>,
) -> Result<Answer, Fault> {
    let held = server.held(credential);
    let scope = match form.get("scope") {
        Some(wanted) => scope::narrowed(wanted, &held, covers),
        None => Ok(scope::whole(&held)),
    };
    let mut scope = scope.map_err(|fault| fault.of(credential))?;
    if let Some(client) = client {
        // Nobody gets more through a client than the client may do itself.
        let held = server.held(client);
        let both: Vec<&str> =
            scope.split(' ').filter(|name| scope::narrowed(name, &held, covers).is_ok()).collect();
        if form.get("scope").is_some() && both.len() != scope.split(' ').count() {
            return Err(Fault::scope("scope-wider-than-client").of(credential));
        }
        scope = both.join(" ");
    }
    let resources = form.resources();
    if resources.len() > MAX_RESOURCES || !resources.iter().all(|resource| is_resource(resource)) {
        return Err(Fault::target("resource").of(credential));
    }
    let wish = Wish {
        credential,
        client: client.map(|client| &**client),
        label: None,
        scope: &scope,
        resources: &resources,
        cap: None,
    };
    let issued = server.give(asked, wish).await?;
    let body = Given {
        access_token: &issued.token,
        token_type: "Bearer",
        expires_in: issued.expires_s - issued.issued_s,
        scope: &scope,
    };
    Ok(Answer::new(200).unkept().json(&body).to(Some(Arc::clone(credential))))
}

/// An absolute URI without a fragment (RFC 8707 2).
pub(crate) fn is_resource(text: &str) -> bool {
    let scheme = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    let visible = |b: u8| matches!(b, 0x21..=0x7e) && !b"\"<>\\^`{|}#".contains(&b);
    text.len() <= MAX_RESOURCE_BYTES
        && text.bytes().all(visible)
        && text.split_once(':').is_some_and(|(s, rest)| scheme(s) && !rest.is_empty())
}

/// What is told about a token that is good (RFC 7662 2.2).
#[derive(Serialize)]
struct About<'a> {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    sub: &'a str,
    aud: Vec<&'a str>,
    iss: &'a str,
    jti: String,
}

/// And about any other, to anybody.
#[derive(Serialize)]
pub(super) struct Inactive {
    active: bool,
}

pub(super) const INACTIVE: Inactive = Inactive { active: false };

pub(super) fn introspect(server: &Server, asked: &Asked) -> Outcome {
    let realm = server.name()?.as_str();
    let tried = || {
        let form = Form::read(asked)?;
        let client = client::authenticated(server, asked, &form)?;
        let token = form.get("token").ok_or_else(|| Fault::request("no-token", "token is missing"))?;
        let seen = server.live_token(asked, token, &client)?;
        let seen = seen.filter(|seen| seen.belongs_to(&client) || is_for(server, seen, &client));
        Ok((client, seen))
    };
    let (client, seen) = match tried() {
        Ok(done) => done,
        Err(fault) => return told(fault, realm),
    };
    let answer = Answer::new(200).unkept().to(Some(client));
    let Some(seen) = &seen else { return Ok(answer.json(&INACTIVE)) };
    let (Seen { token, credential, .. }, scope) = (seen, seen.scope());
    Ok(answer.json(&About {
        active: true,
        scope: scope.as_deref().filter(|scope| !scope.is_empty()),
        client_id: token.client.as_ref().map_or(&token.subject, |client| &client.id),
        username: (credential.kind == Kind::User).then_some(&*credential.id),
        token_type: "Bearer",
        exp: token.expires_s,
        iat: token.issued_s,
        sub: &token.subject,
        aud: match &token.audience {
            Audience::Resources(all) => all.iter().map(|aud| &**aud).collect(),
            Audience::Issuer | Audience::Dialects => vec![realm],
        },
        iss: realm,
        jti: token.jti.to_string(),
    }))
}

/// Whether a client of the token's workspace may look at it though it was given to another one: it is for everybody here,
/// or for an API that serves them.
fn is_for(server: &Server, seen: &Seen, client: &Credential) -> bool {
    let Audience::Resources(resources) = &seen.token.audience else { return true };
    let policy = server.live.policy.load();
    let mut serving = policy.apis.iter().filter(|api| api.serves(&client.workspace));
    serving.any(|api| api.audiences.iter().any(|audience| resources.contains(audience)))
}

pub(super) async fn revoke(server: &Server, asked: &Asked) -> Outcome {
    let realm = server.name()?.as_str();
    match try_revoke(server, asked).await {
        // Clients ignore the body (RFC 7009 2.2), but some fail where there is none to parse.
        Ok(client) => Ok(Answer::new(200).unkept().json(&serde_json::json!({})).to(Some(client))),
        Err(fault) => told(fault, realm),
    }
}

/// The hint says nothing that the token does not say itself. What is not the client's own is left alone, and nobody is
/// told (RFC 7009 2.1, 2.2).
async fn try_revoke(server: &Server, asked: &Asked) -> Result<Arc<Credential>, Fault> {
    let form = Form::read(asked)?;
    let client = client::authenticated(server, asked, &form)?;
    let token = form.get("token").ok_or_else(|| Fault::request("no-token", "token is missing"))?;
    // One that is not good just now, since its credential is blocked, may be good again tomorrow.
    let seen = server.token_shown(asked, token, &client).map_err(|fault| fault.of(&client))?;
    if let Some(seen) = seen.filter(|seen| seen.belongs_to(&client))
        && !server.kill(asked, &seen, &client).await?
    {
        // It can't be remembered, so nobody may be told that it is.
        return Err(Fault::away(Reason::Unavailable, "token-not-in-store").of(&client));
    }
    Ok(client)
}
