//! What is done with credentials.
use super::draft::{self, Checked};
use super::{CredentialView, Desk, Error, Password, Showing, Wanted};
use doorward_core::credential::{Credential, Environment, Kind, SchemeName, Status};
use doorward_core::dialect::Dialect;
use doorward_core::ids;
use doorward_core::password::{self, PasswordHash};
use doorward_core::schemes::avanan;
use doorward_core::schemes::escher::SigningSecret;
use doorward_core::secret::SecretHash;
use doorward_core::time::UnixMillis;
use doorward_store::{Display, Filter, NewCredential, StoreError, Stored};

/// Fills a buffer with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Most credentials that are written in one transaction: others wait for it.
pub const BATCH: usize = 500;

/// Makes a credential. The secret is in what is returned; whether it can be seen again depends on its kind, its
/// workspace's environment and its dialect.
///
/// # Errors
/// [`Error::Credential`] with every mistake, or the store's.
pub async fn create(desk: Desk<'_>, wanted: &Wanted, random: Random<'_>) -> Result<CredentialView, Error> {
    let made = create_many(desk, wanted, 1, random).await?;
    Ok(made.into_iter().next().expect("as many as were asked for"))
}

/// Makes `count` alike, up to [`BATCH`], all or none.
///
/// # Errors
/// As [`create`].
pub async fn create_many(
    desk: Desk<'_>,
    wanted: &Wanted,
    count: usize,
    random: Random<'_>,
) -> Result<Vec<CredentialView>, Error> {
    let password = match wanted.kind.has_password() {
        true => {
            // Others are not kept waiting while it is hashed, and nothing is hashed that can't be taken.
            draft::check(wanted, &desk.store.policy().await?, desk.now)?;
            hashed(wanted, random)
        }
        false => None,
    };
    // The write comes first: nobody can remove the workspace between the look at it and the commit.
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let policy = desk.store.policy().await?;
    let mut views = Vec::with_capacity(count);
    for _ in 0..count {
        let checked = draft::check(wanted, &policy, desk.now)?;
        let id = match &wanted.import {
            Some(import) => import.id.clone(),
            None => new_id(&checked, random),
        };
        let imported = wanted.import.as_ref().and_then(|i| i.secret.clone());
        let secret = match wanted.kind.has_password() {
            true => None,
            false => Some(imported.unwrap_or_else(|| new_secret(wanted.kind, random))),
        };
        let new = assemble(desk, wanted, checked, &id, secret.as_deref(), password.clone());
        let taken = |e| match e {
            StoreError::AlreadyExists { id, .. } => {
                Error::Credential(vec![format!("there is a credential with the id `{id}` already")])
            }
            e => Error::Store(e),
        };
        write.create_credential(&new).await.map_err(taken)?;
        views.push(CredentialView::new(&new.credential, secret, desk.now));
    }
    write.commit().await?;
    Ok(views)
}

/// A new id. Avanan's clients send it with the region before it.
fn new_id(checked: &Checked, random: Random<'_>) -> String {
    let fresh = |prefix, random| fresh(prefix, ids::ID_RANDOM_BYTES, random);
    match checked.region.as_deref().map(str::to_ascii_uppercase) {
        _ if !checked.dialect.avanan => fresh(ids::KEY_ID, random),
        Some(region) if avanan::is_app_id(&format!("{region}:x")) => {
            format!("{region}:{}", fresh(ids::KEY_ID, random))
        }
        _ => fresh(ids::APP_ID, random),
    }
}

/// The hash of the password that somebody chose.
pub(super) fn hashed(wanted: &Wanted, random: Random<'_>) -> Option<PasswordHash> {
    wanted.password.as_ref().map(|chosen| hash_of(chosen, random))
}

fn hash_of(chosen: &Password, random: Random<'_>) -> PasswordHash {
    let mut salt = [0; password::SALT_BYTES];
    random(&mut salt);
    password::hash(&chosen.text, &salt, chosen.cost)
}

/// What was asked for and checked, as it is stored: with a secret, or with a password.
pub(super) fn assemble(
    desk: Desk<'_>,
    wanted: &Wanted,
    checked: Checked,
    id: &str,
    secret: Option<&str>,
    password: Option<PasswordHash>,
) -> NewCredential {
    let until = match wanted.showing {
        Showing::Always => Some(None),
        // Nobody but whoever chose it knows a password.
        Showing::ByDialect if wanted.kind.has_password() => None,
        Showing::ByDialect => {
            window(wanted.kind, checked.environment, checked.dialect.shown_again_s.0, desk.now)
        }
    };
    let credential = Credential {
        id: id.into(),
        pseudonym: wanted.plain_key.then(|| desk.keys.pseudonym(id).into()),
        workspace: wanted.workspace.as_str().into(),
        kind: wanted.kind,
        name: wanted.name.as_str().into(),
        dialect: checked.dialect,
        plain_key: wanted.plain_key,
        password_grant: wanted.password_grant,
        status: Status::Active,
        expires_at: wanted.expires_at,
        scopes: checked.scopes,
        origins: checked.origins,
        // A user has none: the store puts what binds the password there.
        secret: secret.map_or(SecretHash([0; 32]), |secret| desk.keys.hash(id.as_bytes(), secret.as_bytes())),
        signing: secret.and_then(|secret| signs_with(wanted.kind.scheme(checked.dialect), secret)),
        // The store knows.
        own: checked.own.boxed(),
        tokens_since: 0,
    };
    let shown = secret.or(wanted.password.as_ref().map(|chosen| chosen.text.as_str()));
    let display = until.zip(shown).map(|(until, shown)| Display { secret: shown.to_owned(), until });
    NewCredential { credential, display, password }
}

/// What has to be kept besides the hash: where requests are signed, the secret itself, whoever may see it.
fn signs_with(scheme: SchemeName, secret: &str) -> Option<SigningSecret> {
    scheme.signs().then(|| SigningSecret::new(secret.as_bytes()))
}

fn fresh(prefix: &str, bytes: usize, random: Random<'_>) -> String {
    let mut buffer = vec![0; bytes];
    random(&mut buffer);
    ids::with_prefix(prefix, &buffer)
}

pub(super) fn new_secret(kind: Kind, random: Random<'_>) -> String {
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

/// Up to `limit` credentials that the filter lets through, in the order of their ids, from the one after `after`.
///
/// # Errors
/// [`Error::UnknownWorkspace`], or the store's.
pub async fn page(
    desk: Desk<'_>,
    filter: &Filter,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<CredentialView>, Error> {
    if let Some(id) = &filter.workspace {
        let policy = desk.store.policy().await?;
        if !policy.workspaces.iter().any(|w| w.id == *id) {
            return Err(Error::UnknownWorkspace(id.clone()));
        }
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let page = desk.store.credentials_page(filter, after, limit).await?;
    Ok(page.iter().map(|s| CredentialView::stored(s, None)).collect())
}

/// Every credential, of one workspace or of all, in the order of their ids. There may be a million of them: [`page`]
/// gives them piece by piece.
///
/// # Errors
/// As [`page`].
pub async fn list(desk: Desk<'_>, workspace: Option<&str>) -> Result<Vec<CredentialView>, Error> {
    let filter = Filter { workspace: workspace.map(str::to_owned), ..Filter::default() };
    let mut all: Vec<CredentialView> = Vec::new();
    loop {
        let next = page(desk, &filter, all.last().map(|c| c.id.as_str()), BATCH).await?;
        if next.is_empty() {
            return Ok(all);
        }
        all.extend(next);
    }
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
    let why = match stored.credential.kind.has_password() {
        true => Error::HasPassword,
        false => Error::NotShownAgain,
    };
    let secret = secret.ok_or_else(|| why(id.to_owned()))?;
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

/// Makes a new secret for a credential; the old one opens nothing, and signs nothing, from then on. The id stays. Whether
/// the tokens that it was given live on, where that is not said, its dialect tells.
///
/// # Errors
/// [`Error::UnknownCredential`], [`Error::HasPassword`], or the store's.
pub async fn regenerate(
    desk: Desk<'_>,
    id: &str,
    keep_tokens: Option<bool>,
    random: Random<'_>,
) -> Result<CredentialView, Error> {
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let stored = find(desk, id).await?;
    let c = &stored.credential;
    if c.kind.has_password() {
        return Err(Error::HasPassword(id.to_owned()));
    }
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
    let keep_tokens = keep_tokens.unwrap_or(dialect.keeps_tokens);
    write.replace_secret(id, hash, signs_with(c.scheme(), &secret), display, keep_tokens).await?;
    write.commit().await?;
    // Nobody has seen the new one yet.
    Ok(CredentialView { exposed_at: None, ..CredentialView::stored(&stored, Some(secret)) })
}

/// Gives a user another password; the old one opens nothing from then on. The tokens that he was given die, unless whoever
/// does so says that they are kept: a password is changed because somebody else may know it.
///
/// # Errors
/// [`Error::UnknownCredential`], [`Error::Credential`] for one that has no password or a password that can't be taken, or
/// the store's.
pub async fn set_password(
    desk: Desk<'_>,
    id: &str,
    chosen: &Password,
    keep_tokens: bool,
    random: Random<'_>,
) -> Result<CredentialView, Error> {
    let stored = find(desk, id).await?;
    let c = &stored.credential;
    if !c.kind.has_password() {
        let kind = c.kind.name();
        return Err(Error::Credential(vec![format!(
            "`{}` is a {kind} credential, which has no password; `regenerate` makes a new secret for it",
            c.label()
        )]));
    }
    password::check(&chosen.text, id).map_err(|why| Error::Credential(vec![why]))?;
    let hash = hash_of(chosen, random);
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    // It may have been deleted meanwhile.
    let stored = find(desk, id).await?;
    write.set_password(id, &hash, keep_tokens).await?;
    write.commit().await?;
    Ok(CredentialView { exposed_at: None, ..CredentialView::stored(&stored, None) })
}
