//! The parts of a signature, and the header field that holds them:
//! `PREFIX-HMAC-SHA256 Credential=ID/YYYYMMDD/SCOPE, SignedHeaders=a;b, Signature=HEX`.
use super::config::{Config, Flavour, field_name, scope_part};
use super::{MAX_SIGNED_FIELDS, Refusal, quoted};
use crate::canonical::{Hash, unhex};
use crate::credential::MAX_ID_BYTES;
use memchr::memchr;
use smallvec::SmallVec;
use std::borrow::Cow;

/// The three parts of the header field.
pub(super) struct Parts<'a> {
    pub(super) algorithm: &'a str,
    pub(super) credential: &'a str,
    pub(super) signed: &'a str,
    pub(super) signature: &'a str,
}

/// Whether a value of the field `authorization` is meant for this scheme: another one's begins otherwise.
pub(super) fn is_mine(config: &Config, value: &[u8]) -> bool {
    if &*config.auth_field != "authorization" {
        return true;
    }
    let prefix = config.prefix.as_bytes();
    let word = value.split(|b| *b == b' ' || *b == b'\t').next().unwrap_or_default();
    word.len() >= prefix.len()
        && word[..prefix.len()].eq_ignore_ascii_case(prefix)
        && matches!(word.get(prefix.len()), None | Some(b'-'))
}

/// Splits the value of the header field.
pub(super) fn parts<'a>(config: &Config, value: &'a [u8]) -> Result<Parts<'a>, Refusal> {
    let field = &config.auth_field;
    let wrong = || {
        Refusal::malformed(
            "authorization-grammar",
            format!(
                "{field} must be `{}-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...`, each part once and in this order.",
                config.prefix
            ),
        )
    };
    let text = std::str::from_utf8(value).map_err(|_| wrong())?;
    let (algorithm, rest) = text.split_once(' ').ok_or_else(wrong)?;
    // As `split(',')` does, at a fraction of its cost: this is read for each signed request.
    let mut left = Some(rest);
    let mut pieces = std::iter::from_fn(|| {
        let all = left?;
        let (piece, after) = match memchr(b',', all.as_bytes()) {
            Some(at) => (&all[..at], Some(&all[at + 1..])),
            None => (all, None),
        };
        left = after;
        let spaces = piece.bytes().take_while(|b| *b == b' ').count();
        Some(&piece[spaces..])
    });
    let mut part = |name: &str| {
        let piece = pieces.next()?.strip_prefix(name)?;
        piece.strip_prefix('=')
    };
    let (Some(credential), Some(signed), Some(signature)) =
        (part("Credential"), part("SignedHeaders"), part("Signature"))
    else {
        return Err(wrong());
    };
    match pieces.next() {
        None => Ok(Parts { algorithm, credential, signed, signature }),
        Some(_) => Err(wrong()),
    }
}

/// The hash that an algorithm's name means.
pub(super) fn hash(config: &Config, algorithm: &str) -> Result<Hash, Refusal> {
    let named = algorithm.strip_prefix(&*config.prefix).and_then(|rest| rest.strip_prefix("-HMAC-"));
    config.hashes().iter().copied().find(|hash| named == Some(hash.name())).ok_or_else(|| {
        let known: Vec<_> =
            config.hashes().iter().map(|hash| format!("{}-HMAC-{}", config.prefix, hash.name())).collect();
        Refusal::malformed(
            "algorithm",
            format!(
                "The algorithm is {}; here it must be {}.",
                quoted(algorithm.as_bytes()),
                known.join(" or ")
            ),
        )
    })
}

/// Id, day and scope.
pub(super) fn credential<'a>(config: &Config, text: Cow<'a, str>) -> Result<[Cow<'a, str>; 3], Refusal> {
    let wrong = |detail, what: &str| {
        Err(Refusal::malformed(
            detail,
            format!("The credential must be ID/YYYYMMDD/{}; {what}.", config.scope),
        ))
    };
    let slash = |from: usize| memchr(b'/', &text.as_bytes()[from..]).map(|at| from + at);
    let Some((first, second)) = slash(0).and_then(|first| Some((first, slash(first + 1)?))) else {
        return wrong("credential-parts", "parts are missing");
    };
    let (id, day, scope) = (&text[..first], &text[first + 1..second], &text[second + 1..]);
    let id_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.bytes().all(id_byte) {
        return wrong("id-unreadable", "the id is empty, too long, or has characters that no id has");
    }
    if day.len() != 8 || !day.bytes().all(|b| b.is_ascii_digit()) {
        return wrong("credential-day", "the day is not written YYYYMMDD");
    }
    let parts = |scope: &str| scope.split('/').count();
    // The scope of the configuration was looked over when it was made.
    if *scope != *config.scope && (!scope.split('/').all(scope_part) || parts(scope) != parts(&config.scope))
    {
        return wrong(
            "scope-parts",
            "the scope has too many parts, too few, or characters that no scope has",
        );
    }
    Ok(match text {
        Cow::Borrowed(text) => {
            [text[..first].into(), text[first + 1..second].into(), text[second + 1..].into()]
        }
        Cow::Owned(_) => [id, day, scope].map(|part| part.to_owned().into()),
    })
}

/// The names of the signed fields, sorted. Escher does not ask that they are sent so.
pub(super) fn signed<'a>(config: &Config, text: Cow<'a, str>) -> Result<Vec<Cow<'a, str>>, Refusal> {
    let wrong = |what: &str| {
        let note = format!("SignedHeaders is {}: {what}.", quoted(text.as_bytes()));
        Err(Refusal::malformed("signed-headers", note))
    };
    let mut names: Vec<Cow<'a, str>> = match &text {
        Cow::Borrowed(text) => text.split(';').map(Cow::Borrowed).collect(),
        Cow::Owned(text) => text.split(';').map(|name| Cow::Owned(name.to_owned())).collect(),
    };
    if names.len() > MAX_SIGNED_FIELDS {
        return wrong("it names too many fields");
    }
    if names.iter().any(|name| !field_name(name)) {
        return wrong("it must name header fields in lower case, with `;` between them");
    }
    if !names.is_sorted() {
        if config.flavour == Flavour::SigV4 {
            return wrong("the names must be sorted");
        }
        names.sort_unstable();
    }
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return wrong("it names a field twice");
    }
    Ok(names)
}

/// The bytes of the signature.
pub(super) fn signature(hash: Hash, text: &[u8]) -> Result<SmallVec<[u8; 64]>, Refusal> {
    unhex(text).filter(|bytes| bytes.len() == hash.len_bytes()).ok_or_else(|| {
        let digits = hash.len_bytes() * 2;
        Refusal::malformed(
            "signature-unreadable",
            format!("The signature must be {digits} hexadecimal digits in lower case."),
        )
    })
}
