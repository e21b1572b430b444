//! Keys as a dialect presents them: what `api_key` and `publishable` have in common.
use super::{Outgoing, SignError};
use crate::credential::{MAX_ID_BYTES, MAX_SECRET_BYTES};
use crate::decide::Refusal;
use crate::dialect::KeyForm;
use crate::request::{Lookup, RequestView};
use std::fmt;

/// A key as presented.
#[derive(Clone, Copy)]
pub struct KeyPresented<'a> {
    /// The id.
    pub id: &'a str,
    /// The secret; `None` where the dialect presents the id alone.
    pub secret: Option<&'a [u8]>,
}

impl fmt::Debug for KeyPresented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPresented(..)")
    }
}

/// What a caller holds: the id and the secret (of no use where the id alone is sent).
#[derive(Clone)]
pub struct KeySecret {
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: String,
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(..)")
    }
}

// Without an early end, so that many octets are looked at at once.
fn visible(b: &[u8]) -> bool {
    b.iter().fold(true, |all, c| all & (0x21..=0x7e).contains(c))
}

fn id<'a>(name: &str, value: &'a [u8]) -> Result<&'a str, Refusal> {
    match std::str::from_utf8(value) {
        Ok(text) if !value.is_empty() && value.len() <= MAX_ID_BYTES && visible(value) => Ok(text),
        _ => Err(Refusal::malformed(
            "id-unreadable",
            format!("The id in {name} is empty, too long, or has characters that no id has."),
        )),
    }
}

fn secret<'a>(name: &str, value: &'a [u8]) -> Result<&'a [u8], Refusal> {
    if !value.is_empty() && value.len() <= MAX_SECRET_BYTES && visible(value) {
        return Ok(value);
    }
    Err(Refusal::malformed(
        "secret-unreadable",
        format!("The secret in {name} is empty, too long, or has characters that no secret has."),
    ))
}

fn once<'a>(req: &RequestView<'a>, name: &str) -> Result<Option<&'a [u8]>, Refusal> {
    match req.field(name) {
        Lookup::Absent => Ok(None),
        Lookup::One(value) => Ok(Some(value)),
        Lookup::Repeated => {
            Err(Refusal::malformed("field-repeated", format!("{name} was sent more than once.")))
        }
    }
}

/// Looks for a key in one of its forms.
pub(super) fn detect<'a>(form: KeyForm, req: &RequestView<'a>) -> Result<Option<KeyPresented<'a>>, Refusal> {
    match form {
        KeyForm::Pair { id: id_name, secret: secret_name } => {
            match (once(req, id_name)?, once(req, secret_name)?) {
                (None, None) => Ok(None),
                (Some(i), Some(s)) => {
                    Ok(Some(KeyPresented { id: id(id_name, i)?, secret: Some(secret(secret_name, s)?) }))
                }
                (Some(_), None) => Err(Refusal::malformed(
                    "half-a-pair",
                    format!("{id_name} was sent without {secret_name}."),
                )),
                (None, Some(_)) => Err(Refusal::malformed(
                    "half-a-pair",
                    format!("{secret_name} was sent without {id_name}."),
                )),
            }
        }
        KeyForm::Single(name) => {
            let Some(value) = once(req, name)? else { return Ok(None) };
            let Some(dot) = value.iter().position(|b| *b == b'.') else {
                return Err(Refusal::malformed(
                    "no-dot",
                    format!("{name} must hold the id, a dot, and the secret."),
                ));
            };
            Ok(Some(KeyPresented {
                id: id(name, &value[..dot])?,
                secret: Some(secret(name, &value[dot + 1..])?),
            }))
        }
        KeyForm::QueryId(name) => {
            let mut found = None;
            for (n, value) in parameters(req.query.unwrap_or_default()) {
                if n == name.as_bytes() {
                    if found.replace(value).is_some() {
                        return Err(Refusal::malformed(
                            "parameter-repeated",
                            format!("The query parameter {name} was sent more than once."),
                        ));
                    }
                } else if disguised(n, name) {
                    // An upstream may decode it to our parameter, and would then see what should have been removed.
                    return Err(Refusal::malformed(
                        "parameter-disguised",
                        format!("The query parameter {name} must be written plainly."),
                    ));
                }
            }
            let Some(value) = found else { return Ok(None) };
            if value.contains(&b'%') || value.contains(&b'+') {
                return Err(Refusal::malformed(
                    "parameter-escaped",
                    format!("The id in {name} must be written plainly."),
                ));
            }
            Ok(Some(KeyPresented { id: id(name, value)?, secret: None }))
        }
    }
}

/// The parameters of a query as sent: name and value, split at the first `=`. `;` separates too for some servers, so it
/// does here: what any server could take for the parameter has to be seen.
pub(crate) fn parameters(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|b| matches!(b, b'&' | b';')).filter(|p| !p.is_empty()).map(|p| {
        match p.iter().position(|b| *b == b'=') {
            Some(i) => (&p[..i], &p[i + 1..]),
            None => (p, &p[..0]),
        }
    })
}

/// Whether a name would be taken for `name` after decoding, folding case, or cutting brackets and white space.
pub(super) fn disguised(sent: &[u8], name: &str) -> bool {
    if sent.len() < name.len() {
        return false;
    }
    let mut plain = Vec::with_capacity(sent.len());
    let mut i = 0;
    while i < sent.len() {
        let hex = |b: u8| (b as char).to_digit(16);
        match (sent[i], sent.get(i + 1).copied().and_then(hex), sent.get(i + 2).copied().and_then(hex)) {
            (b'%', Some(a), Some(b)) => {
                plain.push((a << 4 | b) as u8);
                i += 3;
            }
            (b, ..) => {
                plain.push(if b == b'+' { b' ' } else { b });
                i += 1;
            }
        }
    }
    // Some servers cut the name at a bracket or a NUL, drop white space before it, and put `_` for what can't stand in
    // the name of a variable.
    let end = plain.iter().position(|b| *b == 0).unwrap_or(plain.len());
    let plain = plain[..end].trim_ascii();
    let folded = |part: &[u8]| {
        let same = |(have, want): (&u8, u8)| {
            have.eq_ignore_ascii_case(&want) || want == b'_' && matches!(have, b'.' | b' ' | b'[' | b'-')
        };
        part.len() == name.len() && part.iter().zip(name.bytes()).all(same)
    };
    folded(plain)
        || plain
            .iter()
            .position(|b| *b == b'[')
            .is_some_and(|at| folded(&plain[..at]) || plain.get(..name.len()).is_some_and(folded))
}

/// Adds a key to a request that is being made.
pub(super) fn sign(form: KeyForm, key: &KeySecret, out: &mut Outgoing) -> Result<(), SignError> {
    if !visible(key.id.as_bytes()) || !visible(key.secret.as_bytes()) {
        return Err(SignError::Unsendable);
    }
    match form {
        KeyForm::Pair { id, secret } => {
            out.headers.push((id.to_owned(), key.id.clone()));
            out.headers.push((secret.to_owned(), key.secret.clone()));
        }
        KeyForm::Single(name) if key.id.contains('.') => {
            let _ = name;
            return Err(SignError::Unsendable);
        }
        KeyForm::Single(name) => out.headers.push((name.to_owned(), format!("{}.{}", key.id, key.secret))),
        KeyForm::QueryId(name) => {
            if key.id.contains(['&', ';', '%', '+', '#', '=']) {
                return Err(SignError::Unsendable);
            }
            let sep = if out.target.contains('?') { '&' } else { '?' };
            out.target.push_str(&format!("{sep}{name}={}", key.id));
        }
    }
    Ok(())
}
