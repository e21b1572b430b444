//! Vista's token endpoint: the password of a user, and a name that the caller gives itself. Errors are worded as by the
//! server that Vista's answers look like.
use super::fault::Fault;
use super::fault::What;
use super::form::Form;
use super::issue::Wish;
use super::{Answer, Asked, Outcome, Server, client, standard};
use client::Presented;
use doorward_core::reason::Reason;
use doorward_core::token::{MAX_LABEL_CHARS, TokenRecord};
use serde::Serialize;
use std::sync::Arc;

/// In this order.
#[derive(Serialize)]
struct Given<'a> {
    token_type: &'static str,
    access_token: &'a str,
    expires_in: i64,
}

pub(super) async fn token(server: &Server, asked: &Asked) -> Outcome {
    let issuer = server.name()?;
    let realm = TokenRecord::of(asked.dialect.name).map(|record| record.iss(issuer)).unwrap_or_default();
    match try_token(server, asked).await {
        Ok(answer) => Ok(answer),
        Err(fault) => standard::told(worded(fault), &realm),
    }
}

/// In the dialect's words, where it has some.
pub(super) fn worded(fault: Fault) -> Fault {
    let note = match (fault.what, fault.detail) {
        (_, "content-type") => "The specified 'Content-Type' header is not valid.",
        (_, "no-grant-type") => "The mandatory 'grant_type' parameter is missing.",
        (_, "no-user") => "The mandatory 'username' and/or 'password' parameters are missing.",
        (_, "client-label") => "The specified 'client_id' parameter is invalid.",
        (What::GrantType, _) => "The specified 'grant_type' parameter is not supported.",
        (What::Grant, _) => "The username/password couple is invalid.",
        _ => fault.note,
    };
    Fault { note, ..fault }
}

async fn try_token(server: &Server, asked: &Asked) -> Result<Answer, Fault> {
    let form = Form::read(asked)?;
    let grant = form.get("grant_type").ok_or_else(|| Fault::request("no-grant-type", ""))?;
    if grant != "password" || !server.passwords_are_on() {
        return Err(Fault::grant_type("grant-type"));
    }
    let label = match client::presented(asked, &form)? {
        Presented::Nobody => None,
        Presented::Name(label) => Some(label),
        // Libraries that always send a secret send an empty one.
        Presented::Secret { id, secret } if secret.is_empty() => Some(id),
        Presented::Secret { .. } => {
            let note = "clients have no secrets here; send client_id alone";
            return Err(Fault::request("client-secret", note).coded(Reason::SchemeNotAccepted));
        }
    };
    let good = |label: &str| label.chars().count() <= MAX_LABEL_CHARS && !label.chars().any(char::is_control);
    if label.as_deref().is_some_and(|label| !good(label)) {
        return Err(Fault::request("client-label", ""));
    }
    let (Some(name), Some(password)) = (form.get("username"), form.get("password")) else {
        return Err(Fault::request("no-user", ""));
    };
    let user = server.user(asked, name, password).await?;
    let wish = Wish {
        credential: &user,
        client: None,
        label: label.as_deref(),
        scope: "",
        resources: &[],
        cap: None,
    };
    let issued = server.give(asked, wish).await.map_err(|fault| match fault.what {
        // There is no client: it was the user who changed.
        What::Client => Fault::grant(fault.code, fault.detail),
        _ => fault,
    })?;
    let body = Given {
        token_type: "Bearer",
        access_token: &issued.token,
        expires_in: issued.expires_s - issued.issued_s,
    };
    Ok(Answer::new(200).unkept().json(&body).to(Some(Arc::clone(&user))))
}
