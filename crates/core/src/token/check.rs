//! Taking a token.
//!
//! In two steps: what a token says and who signed it ([`read`], which is worth remembering), and whether it is good here
//! and now ([`accept`], which is asked each time). What its credential may do now is asked afterwards, [`alive`] first.
use super::{AudienceRule, Issuer, Jti, TokenRecord, Tokens, Trust};
use crate::credential::{Credential, Status};
use crate::jwt::{Claims, Compact, JwtFault};
use crate::time::UnixMillis;

/// How far in the future a token may say that it was issued, in milliseconds: another node's clock may be ahead.
pub const FUTURE_MS: i64 = 60_000;

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not a token of ours for this API. Why is for logs.
    #[error("the token is not valid here: {0}")]
    Invalid(#[from] Why),
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It was revoked, by itself or with all of its credential's.
    #[error("the token was revoked")]
    Revoked,
}

impl From<JwtFault> for TokenFault {
    fn from(fault: JwtFault) -> TokenFault {
        TokenFault::Invalid(Why::Jwt(fault))
    }
}

/// Why a token is not valid. Says nothing of what stood in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// There is no issuer.
    #[error("no tokens are taken, since no issuer is configured")]
    NoIssuer,
    /// It can't be read, or was not signed by a key of ours.
    #[error(transparent)]
    Jwt(#[from] JwtFault),
    /// Its issuer is none of ours.
    #[error("its `iss` names no dialect of this issuer")]
    Issuer,
    /// Its `typ` is not that of its dialect.
    #[error("its `typ` is not that of its dialect")]
    Type,
    /// Its key has another algorithm than tokens of its dialect.
    #[error("its dialect has no tokens of this algorithm")]
    Algorithm,
    /// It says that it is good longer than tokens of its dialect are, or that it ends before it begins.
    #[error("it is good for longer than tokens of its dialect, or ends before it begins")]
    Life,
    /// It was issued in the future.
    #[error("it is from the future: the clock of whoever issued it is ahead")]
    Future,
    /// A token of another dialect.
    #[error("it is of another dialect than this API")]
    Dialect,
    /// A token for somebody else.
    #[error("it is for another audience")]
    Audience,
}

/// Whom a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The one that all tokens of its dialect are for, if any.
    Dialects,
    /// The issuer.
    Issuer,
    /// These resources.
    Resources(Box<[Box<str>]>),
}

/// The client that asked for a token in the name of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: Box<str>,
    /// The number of the change that its own tokens counted from then.
    pub since: i64,
}

/// A token that is signed by a key of ours, and says what tokens of its dialect say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What it is a token of.
    pub record: &'static TokenRecord,
    /// The credential, under the name by which others may know it.
    pub subject: Box<str>,
    /// The client that asked for it, where it is another one than the credential.
    pub client: Option<Client>,
    /// What the caller called itself. It proves nothing.
    pub label: Option<Box<str>>,
    /// What it may do at most: names with one space between them. `None` where such tokens don't say; then it is what the
    /// credential may do.
    pub scope: Option<Box<str>>,
    /// Whom it is for.
    pub audience: Audience,
    /// Its name.
    pub jti: Jti,
    /// When it was issued, in seconds.
    pub issued_s: i64,
    /// From when on it is dead, in seconds.
    pub expires_s: i64,
    /// The number of the change that its credential's tokens counted from when it was issued.
    pub since: i64,
}

impl Verified {
    /// The names in its scope. `None` where such tokens don't say.
    pub fn scopes(&self) -> Option<impl Iterator<Item = &str>> {
        self.scope.as_deref().map(|scope| scope.split(' ').filter(|name| !name.is_empty()))
    }
}

/// Takes a token, or says why not: [`read`], then [`accept`].
///
/// # Errors
/// [`TokenFault`].
pub fn check(
    token: &str,
    record: &TokenRecord,
    audiences: &[Box<str>],
    now: UnixMillis,
    tokens: &Tokens,
) -> Result<Verified, TokenFault> {
    let verified = read(token, tokens, &tokens.trust_now())?;
    accept(&verified, record, audiences, now, tokens)?;
    Ok(verified)
}

/// Verifies a token, and holds its claims to the record that its `iss` names. Asks nothing that changes with time.
///
/// # Errors
/// [`TokenFault::Invalid`]; [`TokenFault::Revoked`] for a token of another epoch.
pub fn read(token: &str, tokens: &Tokens, trust: &Trust) -> Result<Verified, TokenFault> {
    let issuer = tokens.issuer().ok_or(Why::NoIssuer)?;
    let signed = Compact::parse(token)?.verify(&trust.keys)?;
    let claims = signed.claims()?;
    let needed = |name| claims.text(name)?.filter(|t| !t.is_empty()).ok_or(JwtFault::Member(name));
    let time = |name| claims.seconds(name)?.ok_or(JwtFault::Member(name));

    let record = TokenRecord::by_iss(needed("iss")?, issuer).ok_or(Why::Issuer)?;
    if !signed.header().is_typ(record.typ) {
        return Err(Why::Type.into());
    }
    if !record.algorithms.contains(&signed.header().alg) {
        return Err(Why::Algorithm.into());
    }
    let (issued_s, expires_s) = (time("iat")?, time("exp")?);
    if expires_s <= issued_s || expires_s - issued_s > record.life_s {
        return Err(Why::Life.into());
    }
    let not_before = claims.seconds("nbf")?;
    if not_before != record.not_before.then_some(issued_s) {
        return Err(JwtFault::Member("nbf").into());
    }
    if claims.text("token_usage")? != record.usage {
        return Err(JwtFault::Member("token_usage").into());
    }
    let scope = claims.text("scope")?;
    if scope.is_some() != record.scope {
        return Err(JwtFault::Member("scope").into());
    }
    let subject = needed("sub")?;
    let client = if record.client { Some(needed("client_id")?) } else { None };
    let (epoch, since) = generation(needed("gen")?).ok_or(JwtFault::Member("gen"))?;
    let client = match client.filter(|client| *client != subject) {
        Some(id) => {
            let since = number(needed("client_gen")?).ok_or(JwtFault::Member("client_gen"))?;
            Some(Client { id: id.into(), since })
        }
        None if claims.has("client_gen") => return Err(JwtFault::Member("client_gen").into()),
        None => None,
    };
    let verified = Verified {
        record,
        subject: subject.into(),
        client,
        label: claims.text("client_label")?.map(Into::into),
        scope: scope.map(Into::into),
        audience: audience(record, &claims, issuer)?,
        jti: Jti::parse(needed("jti")?).ok_or(JwtFault::Member("jti"))?,
        issued_s,
        expires_s,
        since,
    };
    // Said last, and only of what is ours in every other way.
    if epoch != &*trust.epoch { Err(TokenFault::Revoked) } else { Ok(verified) }
}

/// Whether a token is good for an API of that dialect, at that time. `audiences`: whom a standard token has to be for, one
/// of them; the issuer where there is none.
///
/// # Errors
/// [`TokenFault`].
pub fn accept(
    token: &Verified,
    record: &TokenRecord,
    audiences: &[Box<str>],
    now: UnixMillis,
    tokens: &Tokens,
) -> Result<(), TokenFault> {
    if token.record.dialect != record.dialect {
        return Err(Why::Dialect.into());
    }
    let issuer = tokens.issuer().ok_or(Why::NoIssuer)?.as_str();
    let wanted = |aud: &str| match audiences {
        [] => aud == issuer,
        some => some.iter().any(|wanted| **wanted == *aud),
    };
    let for_us = match &token.audience {
        Audience::Dialects => true,
        Audience::Issuer => wanted(issuer),
        Audience::Resources(all) => all.iter().any(|aud| wanted(aud)),
    };
    if !for_us {
        return Err(Why::Audience.into());
    }
    if now.0 >= token.expires_s * 1000 {
        return Err(TokenFault::Expired);
    }
    if token.issued_s * 1000 > now.0.saturating_add(FUTURE_MS) {
        return Err(Why::Future.into());
    }
    if tokens.is_revoked(token.jti) { Err(TokenFault::Revoked) } else { Ok(()) }
}

/// Whether a token is one of those that its credential has now. `tokens_since`: the number of the change that created the
/// credential, or last revoked all of its tokens.
///
/// # Errors
/// [`TokenFault::Revoked`].
pub fn alive(token: &Verified, tokens_since: i64) -> Result<(), TokenFault> {
    if token.since == tokens_since { Ok(()) } else { Err(TokenFault::Revoked) }
}

/// Whether the client that asked for a token in somebody's name may still ask for any: `client` is what is known of it now.
/// When it is blocked, deleted or over, or has disowned its own tokens, so are those that it was given for others: whoever
/// has its secret has them. A token without such a client is good in this way.
///
/// # Errors
/// [`TokenFault::Revoked`].
pub fn client_alive(
    token: &Verified,
    client: Option<&Credential>,
    now: UnixMillis,
) -> Result<(), TokenFault> {
    let good = |through: &Client, c: &Credential| {
        c.id == through.id
            && c.tokens_since == through.since
            && c.status == Status::Active
            && c.expires_at.is_none_or(|at| now < at)
    };
    match &token.client {
        Some(through) if !client.is_some_and(|c| good(through, c)) => Err(TokenFault::Revoked),
        _ => Ok(()),
    }
}

/// Reads `<epoch>.<number>`.
fn generation(text: &str) -> Option<(&str, i64)> {
    let (epoch, since) = text.rsplit_once('.')?;
    Some((epoch, number(since)?))
}

/// Reads a number as it is written.
fn number(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|n| *n >= 0 && n.to_string() == text)
}

fn audience(record: &TokenRecord, claims: &Claims<'_>, issuer: &Issuer) -> Result<Audience, TokenFault> {
    let aud = claims.audience()?;
    let fits = |right: bool| if right { Ok(Audience::Dialects) } else { Err(Why::Audience.into()) };
    match (record.audience, aud.as_deref()) {
        (AudienceRule::None, aud) => fits(aud.is_none()),
        (AudienceRule::Fixed(fixed), aud) => fits(aud == Some(&[fixed])),
        (AudienceRule::Suffixed(suffix), Some([one])) => {
            fits(one.strip_prefix(issuer.as_str()) == Some(suffix))
        }
        (AudienceRule::Resources, Some([one])) if *one == issuer.as_str() => Ok(Audience::Issuer),
        (AudienceRule::Resources, Some(all)) if !all.is_empty() => {
            Ok(Audience::Resources(all.iter().map(|aud| (*aud).into()).collect()))
        }
        _ => Err(Why::Audience.into()),
    }
}
