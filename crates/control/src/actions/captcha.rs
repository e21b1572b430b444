//! What the captchas of workspaces are checked with.
use super::view::instant;
use super::{Desk, Error};
use doorward_core::captcha::{MAX_HOSTNAMES, Provider, Settings, hostname, is_test_secret};
use doorward_core::credential::Environment;
use doorward_core::schemes::escher::SigningSecret;
use doorward_core::time::UnixMillis;
use doorward_store::{Captcha, StoreError};
use serde::Serialize;

/// Longest secret, in bytes; providers' have about forty.
const MAX_SECRET_BYTES: usize = 512;

/// What is asked for.
#[derive(Debug)]
pub struct CaptchaWanted {
    /// The workspace.
    pub workspace: String,
    /// Who checks its captchas.
    pub provider: Provider,
    /// The hosts of the pages that show them.
    pub hostnames: Vec<String>,
    /// The secret that the provider knows the workspace by.
    pub secret: SigningSecret,
}

/// It as it is shown: the secret never is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaptchaView {
    /// The workspace.
    pub workspace: String,
    /// Who checks its captchas.
    pub provider: &'static str,
    /// The hosts of the pages that show them.
    pub hostnames: Vec<String>,
    /// Since when.
    #[serde(serialize_with = "instant")]
    pub created_at: Option<UnixMillis>,
}

fn view(captcha: Captcha) -> CaptchaView {
    CaptchaView {
        workspace: captcha.workspace,
        provider: captcha.provider.name(),
        hostnames: captcha.hostnames,
        created_at: Some(captcha.created_at),
    }
}

async fn environment(desk: Desk<'_>, workspace: &str) -> Result<Environment, Error> {
    let policy = desk.store.policy().await?;
    let found = policy.workspaces.iter().find(|w| w.id == workspace);
    let found = found.ok_or_else(|| Error::UnknownWorkspace(workspace.to_owned()))?;
    // What was stored once was read before.
    Ok(Environment::parse(&found.environment).unwrap_or(Environment::Production))
}

/// Has a workspace's captchas checked in this way from now on.
///
/// # Errors
/// [`Error::UnknownWorkspace`], every mistake in what is asked for, or the store's.
pub async fn set(desk: Desk<'_>, wanted: CaptchaWanted) -> Result<CaptchaView, Error> {
    let environment = environment(desk, &wanted.workspace).await?;
    let mut mistakes = Vec::new();
    let mut hostnames: Vec<Box<str>> = Vec::new();
    for text in &wanted.hostnames {
        match hostname(text) {
            Ok(host) if !hostnames.iter().any(|known| **known == *host) => hostnames.push(host.into()),
            Ok(_) => {}
            Err(why) => mistakes.push(why),
        }
    }
    if wanted.hostnames.is_empty() {
        mistakes.push("name the hosts of the pages that show the captcha".to_owned());
    }
    if wanted.hostnames.len() > MAX_HOSTNAMES {
        mistakes.push(format!("there are at most {MAX_HOSTNAMES} hosts"));
    }
    let secret = wanted.secret.as_bytes();
    if secret.is_empty() || secret.len() > MAX_SECRET_BYTES || !secret.iter().all(u8::is_ascii_graphic) {
        mistakes.push(format!(
            "the secret has 1 to {MAX_SECRET_BYTES} letters, digits and marks, as the provider shows it"
        ));
    }
    if environment == Environment::Production && is_test_secret(secret) {
        mistakes.push(format!(
            "the secret is one that {} publishes for tests, with which everybody passes; workspace `{}` is in production",
            wanted.provider.name(),
            wanted.workspace
        ));
    }
    if !mistakes.is_empty() {
        return Err(Error::Captcha(mistakes));
    }
    let settings = Settings { provider: wanted.provider, hostnames: hostnames.into(), secret: wanted.secret };
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let put = match write.put_captcha(&settings, &wanted.workspace).await {
        Err(StoreError::NotFound { .. }) => return Err(Error::UnknownWorkspace(wanted.workspace)),
        put => put?,
    };
    write.commit().await?;
    Ok(view(put))
}

/// How a workspace's captchas are checked; `None`: none is accepted.
///
/// # Errors
/// [`Error::UnknownWorkspace`], or the store's.
pub async fn show(desk: Desk<'_>, workspace: &str) -> Result<Option<CaptchaView>, Error> {
    environment(desk, workspace).await?;
    Ok(desk.store.captcha(workspace).await?.map(view))
}

/// Has no captcha of a workspace accepted any more; `false`: none was.
///
/// # Errors
/// [`Error::UnknownWorkspace`], or the store's.
pub async fn remove(desk: Desk<'_>, workspace: &str) -> Result<bool, Error> {
    environment(desk, workspace).await?;
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let removed = write.remove_captcha(workspace).await?;
    write.commit().await?;
    Ok(removed)
}
