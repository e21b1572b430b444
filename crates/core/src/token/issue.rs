//! Making a token.
use super::{AudienceRule, Issuer, Jti, TokenRecord};
use crate::jwt::{JwtFault, SigningKey};
use crate::time::UnixMillis;
use serde::Serialize;
use std::fmt;

/// Longest label that a caller may choose for itself, in characters (Unicode scalar values).
pub const MAX_LABEL_CHARS: usize = 50;
/// Most resources that one token is for.
pub const MAX_RESOURCES: usize = 8;

/// What a token is to say. Nothing of it takes the place of what this module says itself.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// What it is a token of.
    pub record: &'static TokenRecord,
    /// The credential, under the name by which others may know it.
    pub subject: &'a str,
    /// The client that asked, for records that carry one; the credential itself if there is no other.
    pub client: Option<Asker<'a>>,
    /// What the caller calls itself, for records that carry that.
    pub label: Option<&'a str>,
    /// What it may do: names with one space between them.
    pub scope: &'a str,
    /// For which resources it is, where records let the caller choose.
    pub resources: &'a [&'a str],
    /// The number of the change that the credential's tokens count from.
    pub since: i64,
    /// How long it is good, in seconds; never longer than the record has it.
    pub life_s: Option<i64>,
}

/// A client that asks for a token in the name of somebody else.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Its id.
    pub id: &'a str,
    /// The number of the change that its own tokens count from.
    pub since: i64,
}

/// A new token.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// Its name.
    pub jti: Jti,
    /// When it was issued, in seconds.
    pub issued_s: i64,
    /// From when on it is dead, in seconds.
    pub expires_s: i64,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issued({}, ..)", self.jti)
    }
}

/// Why no token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueFault {
    /// The key signs by an algorithm that such tokens don't have.
    #[error("tokens of this dialect are not signed by a key of this algorithm")]
    Algorithm,
    /// The scope is not names with one space between them (RFC 6749 3.3).
    #[error("the scope is not a list of names with one space between them")]
    Scope,
    /// Resources for a dialect where none are chosen, or too many.
    #[error("there are more than {MAX_RESOURCES} resources, or such a token is for none")]
    Resources,
    /// A label for a dialect that has none, or too long.
    #[error("the label is longer than {MAX_LABEL_CHARS} characters, or such a token has none")]
    Label,
    /// No time to live, or a time that nobody can name.
    #[error("the token would be dead at once, or live beyond the year 9999")]
    Time,
    /// Too long, or the library failed.
    #[error(transparent)]
    Jwt(#[from] JwtFault),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Aud<'a> {
    One(String),
    Many(&'a [&'a str]),
}

/// The claims, in this order.
#[derive(Serialize)]
struct Payload<'a> {
    iss: String,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Aud<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_gen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_usage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    exp: i64,
    jti: String,
    r#gen: String,
}

/// The claim `gen` of a token: the epoch of the store, and the number of the change that created its credential or last
/// revoked all of its tokens.
#[must_use]
pub fn generation(epoch: &str, since: i64) -> String {
    format!("{epoch}.{since}")
}

/// Makes a token.
///
/// # Errors
/// [`IssueFault`]; the caller has looked at what a client may ask for before.
pub fn issue(
    grant: &Grant<'_>,
    issuer: &Issuer,
    epoch: &str,
    key: &SigningKey,
    jti: Jti,
    now: UnixMillis,
) -> Result<Issued, IssueFault> {
    let record = grant.record;
    if !record.algorithms.contains(&key.alg()) {
        return Err(IssueFault::Algorithm);
    }
    if !scope_is_good(grant.scope) || !record.scope && !grant.scope.is_empty() {
        return Err(IssueFault::Scope);
    }
    if grant.label.is_some_and(|label| !record.label || label.chars().count() > MAX_LABEL_CHARS) {
        return Err(IssueFault::Label);
    }
    let issued_s = now.0.div_euclid(1000);
    let life_s = grant.life_s.unwrap_or(record.life_s).min(record.life_s);
    let expires_s = issued_s.saturating_add(life_s);
    if life_s <= 0 || issued_s < 0 || expires_s > crate::jwt::LAST_SECOND {
        return Err(IssueFault::Time);
    }
    let other = grant.client.filter(|client| record.client && client.id != grant.subject);
    let payload = Payload {
        iss: record.iss(issuer),
        sub: grant.subject,
        aud: audience(grant, issuer)?,
        client_id: record.client.then(|| other.map_or(grant.subject, |client| client.id)),
        client_gen: other.map(|client| client.since.to_string()),
        client_label: grant.label,
        token_usage: record.usage,
        scope: record.scope.then_some(grant.scope),
        iat: issued_s,
        nbf: record.not_before.then_some(issued_s),
        exp: expires_s,
        jti: jti.to_string(),
        r#gen: generation(epoch, grant.since),
    };
    let payload = serde_json::to_vec(&payload).expect("text and numbers can be written as JSON");
    let token = key.sign(record.typ, &payload)?;
    Ok(Issued { token, jti, issued_s, expires_s })
}

fn audience<'a>(grant: &Grant<'a>, issuer: &Issuer) -> Result<Option<Aud<'a>>, IssueFault> {
    let rule = grant.record.audience;
    if grant.resources.len() > MAX_RESOURCES || rule != AudienceRule::Resources && !grant.resources.is_empty()
    {
        return Err(IssueFault::Resources);
    }
    Ok(Some(match (rule, grant.resources) {
        (AudienceRule::None, _) => return Ok(None),
        (AudienceRule::Resources, []) => Aud::One(issuer.to_string()),
        (AudienceRule::Resources, [one]) => Aud::One((*one).to_owned()),
        (AudienceRule::Resources, many) => Aud::Many(many),
        (AudienceRule::Suffixed(suffix), _) => Aud::One(format!("{issuer}{suffix}")),
        (AudienceRule::Fixed(fixed), _) => Aud::One(fixed.to_owned()),
    }))
}

/// Nothing, or names with one space between them.
fn scope_is_good(scope: &str) -> bool {
    let name = |n: &str| !n.is_empty() && n.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    scope.is_empty() || scope.split(' ').all(name)
}
