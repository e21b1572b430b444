//! What operators do with tokens: give one, look at one, and end one or all of a credential's.
use super::token_keys::signed_with;
use super::view::{Revealed, instant};
use super::{Desk, Error, credentials::Random, own, token_wish};
use doorward_core::credential::{Credential, Kind, Status};
use doorward_core::jwt::{Algorithm, SigningKey};
use doorward_core::live::Live;
use doorward_core::time::UnixMillis;
use doorward_core::token::{
    Audience, Grant, Issuer, JTI_BYTES, Jti, TokenFault, TokenRecord, Verified, client_alive, issue, read,
};
use doorward_store::{NewToken, SecretSeen, StoreError, Token, TokenFilter};
use serde::Serialize;
use std::sync::Arc;

/// Tokens read at a time.
pub const PAGE: usize = 500;

/// Who issues, and how.
#[derive(Clone, Debug)]
pub struct Issuing {
    /// Whose name stands in tokens; `None`: nobody issues any.
    pub issuer: Option<Issuer>,
    /// How tokens are signed whose dialect leaves a choice.
    pub algorithm: Algorithm,
}

/// What somebody wants of a token.
#[derive(Clone, Debug, Default)]
pub struct TokenWanted {
    /// Whose it is to be.
    pub credential: String,
    /// What it may do; `None`: all that its credential may.
    pub scopes: Option<Vec<String>>,
    /// For which resources it is (RFC 8707); the issuer where none is named.
    pub resources: Vec<String>,
    /// How long it is good, in seconds; `None`: as long as tokens of its dialect are.
    pub life_s: Option<i64>,
}

/// A token as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct TokenView {
    /// Only where it was just issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Revealed>,
    /// Its name, which opens nothing.
    pub jti: String,
    /// Whose it is.
    pub credential: String,
    /// Where it was issued.
    pub workspace: String,
    /// Whose form it has.
    pub dialect: String,
    /// What its holder calls himself; no identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it may do, separated by spaces.
    pub scope: String,
    /// When it was issued.
    #[serde(serialize_with = "instant")]
    pub issued_at: Option<UnixMillis>,
    /// From when on it is expired.
    #[serde(serialize_with = "instant")]
    pub expires_at: Option<UnixMillis>,
}

/// What there is to say about a token that somebody shows.
#[derive(Clone, Debug, Serialize)]
pub struct TokenTold {
    /// Whether it would be taken now, at an API that takes such tokens.
    pub active: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For whom it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// The rest, where it is one of ours.
    #[serde(flatten)]
    pub token: Option<TokenView>,
}

fn view(token: &Token) -> TokenView {
    TokenView {
        token: None,
        jti: token.id.to_string(),
        credential: token.credential.clone(),
        workspace: token.workspace.clone(),
        dialect: token.dialect.clone(),
        label: token.label.clone(),
        scope: token.scope.clone(),
        issued_at: Some(token.issued_at),
        expires_at: Some(token.expires_at),
    }
}

pub(super) fn refused<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Token(why.into()))
}

/// What tokens are held to, as of now.
async fn live(desk: Desk<'_>, issuing: &Issuing) -> Result<Live, Error> {
    let Some(issuer) = issuing.issuer.clone() else {
        return refused("nobody issues tokens here; write `[tokens]` with `issuer` into the settings");
    };
    let live = Live::with_issuer(desk.store.keys(), Some(issuer));
    desk.store.load_tokens(&live, desk.now).await?;
    Ok(live)
}

/// Gives a token for a credential, without asking for its secret: whoever has the store may.
///
/// # Errors
/// [`Error::UnknownCredential`]; [`Error::Token`] for one that gets none, or none like this; or the store's.
pub async fn give(
    desk: Desk<'_>,
    issuing: &Issuing,
    wanted: &TokenWanted,
    random: Random<'_>,
) -> Result<TokenView, Error> {
    let live = live(desk, issuing).await?;
    let stored = desk.store.credential(&wanted.credential).await?;
    let stored = stored.ok_or_else(|| Error::UnknownCredential(wanted.credential.clone()))?;
    let c = &stored.credential;
    let record = record_of(c, desk.now)?;
    let held = own::held(desk, c).await?;
    let scope = token_wish::scope(c, &held, record, wanted.scopes.as_deref())?;
    token_wish::resources(record, &wanted.resources)?;
    let asked_s = match wanted.life_s {
        Some(s) if !(1..=record.life_s).contains(&s) => {
            return refused(format!(
                "tokens of {} are good for 1 to {} seconds",
                record.dialect, record.life_s
            ));
        }
        asked => asked.unwrap_or(record.life_s),
    };
    // It is never good for longer than its credential.
    let left_s = c.expires_at.map_or(asked_s, |at| at.0.div_euclid(1000) - desk.now.0.div_euclid(1000));
    let (Some(issuer), Some(algorithm)) =
        (live.tokens.issuer(), signed_with(record.algorithms, issuing.algorithm))
    else {
        return refused(format!("tokens of {} can't be signed", record.dialect));
    };
    let key = key(&live, algorithm, desk.now)?;
    let mut jti = [0; JTI_BYTES];
    random(&mut jti);
    let names: Vec<&str> = wanted.resources.iter().map(String::as_str).collect();
    let grant = Grant {
        record,
        subject: &c.id,
        client: None,
        label: None,
        scope: if record.scope { &scope } else { "" },
        resources: &names,
        since: c.tokens_since,
        life_s: Some(asked_s.min(left_s)),
    };
    let epoch = Arc::clone(&live.tokens.trust());
    let issued = issue(&grant, issuer, &epoch.epoch, &key, Jti::new(jti), desk.now);
    let issued = issued.map_err(|why| Error::Token(why.to_string()))?;
    let new = NewToken {
        id: issued.jti,
        credential: c.id.to_string(),
        workspace: c.workspace.to_string(),
        dialect: record.dialect.to_owned(),
        label: None,
        scope: scope.clone(),
        issued_at: UnixMillis(issued.issued_s * 1000),
        expires_at: UnixMillis(issued.expires_s * 1000),
        epoch: epoch.epoch.to_string(),
        tokens_since: c.tokens_since,
        secret: SecretSeen::Version(stored.secret_version),
        cap: cap(record),
    };
    for written in desk.store.issue_tokens(std::slice::from_ref(&new)).await? {
        written.map_err(|why| Error::Token(why.to_string()))?;
    }
    Ok(TokenView {
        token: Some(Revealed(issued.token)),
        jti: issued.jti.to_string(),
        credential: new.credential,
        workspace: new.workspace,
        dialect: new.dialect,
        label: None,
        scope,
        issued_at: Some(new.issued_at),
        expires_at: Some(new.expires_at),
    })
}

/// Most live tokens of a workspace, where a dialect has such a bound.
fn cap(record: &TokenRecord) -> Option<u32> {
    (record.dialect == "voucherify").then_some(1_000)
}

fn key(live: &Live, algorithm: Algorithm, now: UnixMillis) -> Result<SigningKey, Error> {
    let keys = live.token_keys.load();
    let signer = keys.signer(algorithm.name(), now).and_then(|key| key.private.as_ref());
    let Some(private) = signer else {
        return refused(format!(
            "there is no {} key that signs yet; a node that starts with these settings makes one",
            algorithm.name()
        ));
    };
    SigningKey::from_pkcs8(algorithm, private.as_bytes()).map_err(|e| Error::Token(e.to_string()))
}

/// What tokens of a credential are.
fn record_of(c: &Credential, now: UnixMillis) -> Result<&'static TokenRecord, Error> {
    let id = c.label();
    if c.kind == Kind::Client {
        return refused(format!("`{id}` stands in web pages, and gets no tokens"));
    }
    if c.plain_key {
        return refused(format!("the id of `{id}` opens doors by itself, so it gets no tokens"));
    }
    if c.status != Status::Active {
        return refused(format!("`{id}` is blocked; unblock it first"));
    }
    if c.expires_at.is_some_and(|at| at <= now) {
        return refused(format!("`{id}` has expired"));
    }
    let record = TokenRecord::of(c.dialect.name);
    record.ok_or_else(|| Error::Token(format!("there are no tokens of the dialect {}", c.dialect.name)))
}

/// Tells everything about a token that somebody shows.
///
/// # Errors
/// [`Error::Token`]: nobody issues tokens here. Or the store's.
pub async fn introspect(desk: Desk<'_>, issuing: &Issuing, text: &str) -> Result<TokenTold, Error> {
    let live = live(desk, issuing).await?;
    let dead =
        |reason: String, audience, token| TokenTold { active: false, reason: Some(reason), audience, token };
    let verified = match read(text, &live.tokens, &live.tokens.trust()) {
        Ok(verified) => verified,
        Err(TokenFault::Revoked) => {
            let why =
                "it was issued before the store was put back from a backup, and is dead since".to_owned();
            return Ok(dead(why, Vec::new(), None));
        }
        Err(fault) => return Ok(dead(fault.to_string(), Vec::new(), None)),
    };
    let stored = desk.store.credential(&verified.subject).await?;
    let through = match &verified.client {
        Some(client) => desk.store.credential(&client.id).await?,
        None => None,
    };
    let through = client_alive(&verified, through.as_ref().map(|s| &s.credential), desk.now);
    let view = shown(&verified, stored.as_ref().map(|s| &s.credential));
    let audience = match &verified.audience {
        Audience::Dialects => Vec::new(),
        Audience::Issuer => live.tokens.issuer().map(ToString::to_string).into_iter().collect(),
        Audience::Resources(all) => all.iter().map(ToString::to_string).collect(),
    };
    let reason = match stored.map(|s| s.credential) {
        _ if desk.now.0 >= verified.expires_s * 1000 => Some("it has expired".to_owned()),
        _ if live.tokens.is_revoked(verified.jti) => Some("it was revoked".to_owned()),
        None => Some("its credential was deleted".to_owned()),
        Some(c) if c.tokens_since != verified.since => {
            Some("all tokens that its credential had then were revoked".to_owned())
        }
        Some(_) if through.is_err() => Some("the client that asked for it gets no more tokens".to_owned()),
        Some(c) => record_of(&c, desk.now).err().map(|why| why.to_string()),
    };
    Ok(TokenTold { active: reason.is_none(), reason, audience, token: Some(view) })
}

fn shown(token: &Verified, credential: Option<&Credential>) -> TokenView {
    TokenView {
        token: None,
        jti: token.jti.to_string(),
        credential: token.subject.to_string(),
        workspace: credential.map(|c| c.workspace.to_string()).unwrap_or_default(),
        dialect: token.record.dialect.to_owned(),
        label: token.label.as_deref().map(str::to_owned),
        scope: token.scope.as_deref().unwrap_or_default().to_owned(),
        issued_at: Some(UnixMillis(token.issued_s * 1000)),
        expires_at: Some(UnixMillis(token.expires_s * 1000)),
    }
}

/// The name of a token that somebody shows.
///
/// # Errors
/// [`Error::Token`]: it is none of ours, or nobody issues tokens here. Or the store's.
pub async fn name_of(desk: Desk<'_>, issuing: &Issuing, text: &str) -> Result<Jti, Error> {
    let live = live(desk, issuing).await?;
    let found = read(text, &live.tokens, &live.tokens.trust());
    found.map(|token| token.jti).map_err(|why| Error::Token(why.to_string()))
}

/// Ends one token. `false`: it was revoked before.
///
/// # Errors
/// [`Error::Token`]: there is no such token. Or the store's.
pub async fn revoke(desk: Desk<'_>, jti: Jti) -> Result<bool, Error> {
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    let done = match write.revoke_token(jti).await {
        Err(StoreError::NotFound { .. }) => {
            return refused(format!("there is no token `{jti}`; it may have expired long ago"));
        }
        done => done?,
    };
    write.commit().await?;
    Ok(done)
}

/// Ends every token that a credential was given so far.
///
/// # Errors
/// [`Error::UnknownCredential`], or the store's.
pub async fn revoke_all(desk: Desk<'_>, credential: &str) -> Result<(), Error> {
    let mut write = desk.store.write(desk.actor, desk.now).await?;
    match write.revoke_tokens_of(credential).await {
        Err(StoreError::NotFound { .. }) => return Err(Error::UnknownCredential(credential.to_owned())),
        done => done?,
    }
    write.commit().await?;
    Ok(())
}

/// Up to [`PAGE`] tokens that are alive, in the order in which they expire, from the one after `after`.
///
/// # Errors
/// [`Error::UnknownWorkspace`], [`Error::UnknownCredential`], or the store's.
pub async fn page(
    desk: Desk<'_>,
    filter: &TokenFilter,
    after: Option<(UnixMillis, Jti)>,
) -> Result<Vec<TokenView>, Error> {
    match filter {
        TokenFilter::All => {}
        TokenFilter::Workspace(id) => {
            let policy = desk.store.policy().await?;
            if !policy.workspaces.iter().any(|w| w.id == *id) {
                return Err(Error::UnknownWorkspace(id.clone()));
            }
        }
        TokenFilter::Credential(id) => {
            if desk.store.credential(id).await?.is_none() {
                return Err(Error::UnknownCredential(id.clone()));
            }
        }
    }
    let page = desk.store.live_tokens(filter, after, PAGE as i64, desk.now).await?;
    Ok(page.iter().map(view).collect())
}
