//! What is done with credentials.
use super::draft::{self, Checked};
use super::{CredentialView, Desk, Error, Showing, Wanted};
use doorward_core::credential::{Credential, Environment, Kind, Status};
use doorward_core::dialect::Dialect;
use doorward_core::ids;
use doorward_core::time::UnixMillis;
use doorward_store::{Display, NewCredential, Stored};

/// Fills a buffer with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Makes a credential. The secret is in what is returned; whether it can be seen again depends on its kind, its
/// workspace's environment and its dialect.
///
/// # Errors
/// [`Error::Credential`] with every mistake, or the store's.
pub async fn create(desk: Desk<'_>, wanted: &Wanted, random: Random<'_>) -> Result<CredentialView, Error> {
    // The write comes first: nobody can remove the workspace between the look at it and the commit.
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let policy = desk.store.policy().await?;
    let checked = draft::check(wanted, &policy, desk.now)?;
    let id = match &wanted.import {
        Some(import) => import.id.clone(),
        None => fresh(ids::KEY_ID, ids::ID_RANDOM_BYTES, random),
    };
    if desk.store.credential(&id).await?.is_some() {
        return Err(Error::Credential(vec![format!("there is a credential with the id `{id}` already")]));
    }
    let imported = wanted.import.as_ref().and_then(|i| i.secret.clone());
    let secret = imported.unwrap_or_else(|| new_secret(wanted.kind, random));
    let until = match wanted.showing {
        Showing::Always => Some(None),
        Showing::ByDialect => {
            window(wanted.kind, checked.environment, checked.dialect.shown_again_s.0, desk.now)
        }
    };
    let credential = assemble(desk, wanted, checked, &id, &secret);
    let view = CredentialView::new(&credential, Some(secret.clone()), desk.now);
    let display = until.map(|until| Display { secret, until });
    write.create_credential(&NewCredential { credential, display }).await?;
    write.commit().await?;
    Ok(view)
}

fn assemble(desk: Desk<'_>, wanted: &Wanted, checked: Checked, id: &str, secret: &str) -> Credential {
    Credential {
        id: id.into(),
        pseudonym: wanted.plain_key.then(|| desk.keys.pseudonym(id).into()),
        workspace: wanted.workspace.as_str().into(),
        kind: wanted.kind,
        name: wanted.name.as_str().into(),
        dialect: checked.dialect,
        plain_key: wanted.plain_key,
        status: Status::Active,
        expires_at: wanted.expires_at,
        scopes: checked.scopes,
        origins: checked.origins,
        secret: desk.keys.hash(id.as_bytes(), secret.as_bytes()),
    }
}

fn fresh(prefix: &str, bytes: usize, random: Random<'_>) -> String {
    let mut buffer = vec![0; bytes];
    random(&mut buffer);
    ids::with_prefix(prefix, &buffer)
}

fn new_secret(kind: Kind, random: Random<'_>) -> String {
    let prefix = if kind == Kind::Client { ids::PUBLISHABLE_TOKEN } else { ids::KEY_SECRET };
    fresh(prefix, ids::SECRET_RANDOM_BYTES, random)
}

/// Until when a secret can be shown again: `Some(None)` always, `None` never.
fn window(kind: Kind, environment: Environment, shown_s: i64, now: UnixMillis) -> Option<Option<UnixMillis>> {
    // A publishable key stands in web pages anyway, and nothing real is behind a sandbox.
    if kind == Kind::Client || environment == Environment::Sandbox {
        return Some(None);
    }
    (shown_s > 0).then(|| Some(now.plus_ms(shown_s * 1000)))
}

/// Every credential, of one workspace or of all, in the order of the store.
///
/// # Errors
/// [`Error::UnknownWorkspace`], or the store's.
pub async fn list(desk: Desk<'_>, workspace: Option<&str>) -> Result<Vec<CredentialView>, Error> {
    if let Some(id) = workspace {
        let policy = desk.store.policy().await?;
        if !policy.workspaces.iter().any(|w| w.id == id) {
            return Err(Error::UnknownWorkspace(id.to_owned()));
        }
    }
    let all = desk.store.credentials(workspace).await?;
    Ok(all.iter().map(|s| CredentialView::stored(s, None)).collect())
}

async fn find(desk: Desk<'_>, id: &str) -> Result<Stored, Error> {
    desk.store.credential(id).await?.ok_or_else(|| Error::UnknownCredential(id.to_owned()))
}

/// One credential, without its secret.
///
/// # Errors
/// [`Error::UnknownCredential`], or the store's.
pub async fn show(desk: Desk<'_>, id: &str) -> Result<CredentialView, Error> {
    Ok(CredentialView::stored(&find(desk, id).await?, None))
}

/// One credential with its secret, while that may still be shown.
///
/// # Errors
/// [`Error::UnknownCredential`], [`Error::NotShownAgain`], or the store's.
pub async fn reveal(desk: Desk<'_>, id: &str) -> Result<CredentialView, Error> {
    let stored = find(desk, id).await?;
    let secret = desk.store.reveal(id, desk.now).await?;
    let secret = secret.ok_or_else(|| Error::NotShownAgain(id.to_owned()))?;
    Ok(CredentialView::stored(&stored, Some(secret)))
}

/// Blocks a credential; one that is blocked stays so, and nothing is written.
///
/// # Errors
/// [`Error::UnknownCredential`], or the store's.
pub async fn block(desk: Desk<'_>, id: &str) -> Result<CredentialView, Error> {
    set_status(desk, id, Status::Blocked).await
}

/// Lets a blocked credential in again; one that is active stays so, and nothing is written.
///
/// # Errors
/// [`Error::UnknownCredential`], or the store's.
pub async fn unblock(desk: Desk<'_>, id: &str) -> Result<CredentialView, Error> {
    set_status(desk, id, Status::Active).await
}

async fn set_status(desk: Desk<'_>, id: &str, status: Status) -> Result<CredentialView, Error> {
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let mut stored = find(desk, id).await?;
    if stored.credential.status != status {
        write.set_status(id, status).await?;
        write.commit().await?;
        stored.credential.status = status;
    }
    Ok(CredentialView::stored(&stored, None))
}

/// Removes a credential for good, and returns what it was.
///
/// # Errors
/// [`Error::UnknownCredential`], or the store's.
pub async fn delete(desk: Desk<'_>, id: &str) -> Result<CredentialView, Error> {
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let stored = find(desk, id).await?;
    write.delete_credential(id).await?;
    write.commit().await?;
    Ok(CredentialView::stored(&stored, None))
}

/// Makes a new secret for a credential; the old one opens nothing from then on. The id stays.
///
/// # Errors
/// [`Error::UnknownCredential`], or the store's.
pub async fn regenerate(desk: Desk<'_>, id: &str, random: Random<'_>) -> Result<CredentialView, Error> {
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let stored = find(desk, id).await?;
    let c = &stored.credential;
    let policy = desk.store.policy().await?;
    let environment = policy.workspaces.iter().find(|w| *w.id == *c.workspace);
    // An unknown environment counts as the stricter one.
    let environment =
        environment.and_then(|w| Environment::parse(&w.environment).ok()).unwrap_or(Environment::Production);
    let secret = new_secret(c.kind, random);
    let dialect: &Dialect = c.dialect;
    let display = window(c.kind, environment, dialect.shown_again_s.1, desk.now)
        .map(|until| Display { secret: secret.clone(), until });
    let hash = desk.keys.hash(c.id.as_bytes(), secret.as_bytes());
    write.replace_secret(id, hash, display).await?;
    write.commit().await?;
    // Nobody has seen the new one yet.
    Ok(CredentialView { exposed_at: None, ..CredentialView::stored(&stored, Some(secret)) })
}
