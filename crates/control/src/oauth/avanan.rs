//! Avanan's token, for who has signed its request for one, and the key that it is verified with.
use super::fault::Fault;
use super::issue::Wish;
use super::{Answer, Asked, Outcome, Server};
use doorward_core::credential::SchemeName;
use doorward_core::decide::Refusal;
use doorward_core::jwt::Algorithm;
use doorward_core::reason::Reason;
use std::sync::Arc;

const TEXT: &str = "text/plain; charset=utf-8";

pub(super) async fn token(server: &Server, asked: &Asked) -> Outcome {
    let nobody = || Refusal::new(Reason::CredentialMissing, "nobody-signed");
    let (credential, _) =
        asked.proved.as_ref().filter(|(_, scheme)| *scheme == SchemeName::Avanan).ok_or_else(nobody)?;
    let answer = Answer::new(200).unkept().to(Some(Arc::clone(credential)));
    if asked.head_only {
        return Ok(answer.text(TEXT, ""));
    }
    let wish = Wish { credential, client: None, label: None, scope: "", resources: &[], cap: None };
    let refusal = |fault: Fault| Refusal::new(fault.code, fault.detail);
    let issued = server.give(asked, wish).await.map_err(refusal)?;
    Ok(answer.text(TEXT, issued.token))
}

/// The key that signs now, by itself. It is asked for anew whenever a token is to be verified.
pub(super) fn public_key(server: &Server, asked: &Asked) -> Outcome {
    let keys = server.live.token_keys.load();
    let key = keys.signer(Algorithm::Rs256.name(), asked.now);
    let key = key.ok_or_else(|| Refusal::new(Reason::Unavailable, "no-token-key"))?;
    Ok(Answer::new(200).text("application/json", key.public_jwk.as_str()))
}
