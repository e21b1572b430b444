//! `bearer`: an access token in `Authorization` (RFC 6750). Whoever holds it is in, for as long as it is good.
//!
//! The field is the one place: a token in an address would end up in logs and histories, and one in a form would come
//! beside another. [`detect`] reads the field alone; what the token says, and who signed it, is judged elsewhere. [`sign`] is
//! the mirror.
use super::Outgoing;
use super::key::{disguised, parameters};
use crate::decide::Refusal;
use crate::jwt::MAX_TOKEN_BYTES;
use crate::request::{Lookup, RequestView};
use std::fmt;

/// The field with the token.
pub(crate) const FIELD: &str = "authorization";
/// The parameter, of a query or a form, in which other servers take tokens (RFC 6750 2.2, 2.3). Here nobody does.
pub(crate) const PARAMETER: &str = "access_token";
/// The word before the token, in any case (RFC 9110 11.1).
const WORD: &[u8] = b"bearer";

/// A token as presented.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The token.
    pub token: &'a str,
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(bearer)")
    }
}

/// Looks for a token. `None`: not mine; other schemes use the field as well.
///
/// # Errors
/// `credential_malformed`: a token that can't be read, or one in the query. `credential_ambiguous`: a second one, or a second
/// field.
pub fn detect<'a>(req: &RequestView<'a>) -> Result<Option<Presented<'a>>, Refusal> {
    let (mut lines, mut found) = (0, None);
    for field in req.fields.iter().filter(|f| f.name.on(req.raw).eq_ignore_ascii_case(FIELD.as_bytes())) {
        lines += 1;
        found = after_word(field.value.on(req.raw)).or(found);
    }
    let in_query = parameters(req.query.unwrap_or_default())
        .any(|(name, _)| name == PARAMETER.as_bytes() || disguised(name, PARAMETER));
    match found {
        Some(_) if in_query => Err(Refusal::ambiguous(
            "token-twice",
            "A token was sent in Authorization and another one in the query.",
        )),
        None if in_query => Err(Refusal::malformed(
            "token-in-query",
            "A token is taken in the field Authorization alone; addresses end up in logs.",
        )),
        None => Ok(None),
        Some(_) if lines > 1 => {
            Err(Refusal::ambiguous("two-authorizations", "Authorization was sent more than once."))
        }
        Some(rest) => read(rest).map(Some).ok_or_else(|| {
            Refusal::malformed("token-unreadable", "Authorization must be `Bearer`, a space, and the token.")
        }),
    }
}

/// What follows the word, where it is this one.
fn after_word(value: &[u8]) -> Option<&[u8]> {
    let (word, rest) = value.split_at_checked(WORD.len())?;
    // Another character of a name would make it another scheme.
    let ends = rest.first().is_none_or(|b| !(b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b)));
    (ends && word.eq_ignore_ascii_case(WORD)).then_some(rest)
}

/// One run of spaces, and a `b64token` (RFC 6750 2.1).
fn read(rest: &[u8]) -> Option<Presented<'_>> {
    let token = rest.strip_prefix(b" ")?.trim_ascii_start();
    let spaces = &rest[..rest.len() - token.len()];
    let mut body = token;
    while let Some(shorter) = body.strip_suffix(b"=") {
        body = shorter;
    }
    let of_token = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(b);
    let good = spaces.iter().all(|b| *b == b' ')
        && token.len() <= MAX_TOKEN_BYTES
        && !body.is_empty()
        && body.iter().all(of_token);
    std::str::from_utf8(token).ok().filter(|_| good).map(|token| Presented { token })
}

/// Whether a request says that its body is a form.
pub(crate) fn has_form(req: &RequestView<'_>) -> bool {
    let is = |value: &[u8]| {
        let media = value.split(|b| *b == b';').next().unwrap_or_default();
        media.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    };
    match req.field("content-type") {
        Lookup::Absent => false,
        Lookup::One(value) => is(value),
        // Nobody knows which of them counts.
        Lookup::Repeated => true,
    }
}

/// Whether a form has a token as well.
///
/// # Errors
/// `credential_ambiguous`.
pub(crate) fn refuse_in_form(form: &[u8]) -> Result<(), Refusal> {
    if parameters(form).any(|(name, _)| name == PARAMETER.as_bytes() || disguised(name, PARAMETER)) {
        let note = "A token was sent in Authorization and another one in the form.";
        return Err(Refusal::ambiguous("token-in-form", note));
    }
    Ok(())
}

/// Adds a token to a request that is being made.
pub fn sign(token: &str, out: &mut Outgoing) {
    out.headers.push((FIELD.to_owned(), format!("Bearer {token}")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Field, FieldKind, PlainHttp, Span, Transport};
    use crate::time::UnixMillis;

    fn with<T>(values: &[&str], query: Option<&str>, then: impl Fn(&RequestView<'_>) -> T) -> T {
        let raw: String = values.iter().map(|value| format!("AuthoriZation{value}")).collect();
        let mut rest = raw.as_bytes();
        let mut fields = Vec::new();
        for value in values {
            let (name, after) = rest.split_at(FIELD.len());
            let (value, after) = after.split_at(value.len());
            let (name, value) = (Span::of(raw.as_bytes(), name), Span::of(raw.as_bytes(), value));
            fields.push(Field { name, value, kind: FieldKind::Other });
            rest = after;
        }
        then(&RequestView {
            raw: raw.as_bytes(),
            method: b"GET",
            path: b"/",
            query: query.map(str::as_bytes),
            host: b"h",
            fields: &fields,
            client: None,
            transport: Transport::Plain(PlainHttp::Serve),
            now: UnixMillis(0),
        })
    }

    fn said(values: &[&str], query: Option<&str>) -> String {
        with(values, query, |req| match detect(req) {
            Ok(None) => "not mine".to_owned(),
            Ok(Some(found)) => found.token.to_owned(),
            Err(refusal) => refusal.detail.to_owned(),
        })
    }

    /// S6750-3.
    #[test]
    fn the_word_is_read_in_any_case_and_the_token_as_it_is() {
        for word in ["Bearer", "bearer", "BEARER", "bEaReR"] {
            assert_eq!(said(&[&format!("{word} a.b-c_~+/9==")], None), "a.b-c_~+/9==");
            assert_eq!(said(&[&format!("{word}   a")], None), "a", "a run of spaces is one");
        }
        for other in [
            "Basic YTpi",
            "",
            "Bear",
            "Bearers a",
            "Bearer-x a",
            "Bearer.a",
            "Digest Bearer a",
            "ANTAVO-HMAC-SHA256 x",
        ] {
            assert_eq!(said(&[other], None), "not mine", "{other}");
        }
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        for broken in [
            "Bearer",
            "Bearer\ta",
            "Bearer \ta",
            "Bearer a b",
            "Bearer a,b",
            "Bearer a, Bearer b",
            "Bearer =",
            "Bearer a=b",
            "Bearer a\u{e4}",
            "Bearer \"a\"",
            "Bearer,a",
            "Bearer a;",
            "Bearer =a",
            &long,
        ] {
            assert_eq!(said(&[broken], None), "token-unreadable", "{broken}");
        }
        assert_eq!(said(&[&long[..long.len() - 1]], None).len(), MAX_TOKEN_BYTES);
    }

    /// S6750-1.
    #[test]
    fn there_is_one_token_in_one_place() {
        for two in [
            ["Bearer a", "Bearer b"],
            ["Bearer a", "Basic b"],
            ["Basic b", "Bearer a"],
            ["Bearer a", "Bearer"],
        ] {
            assert_eq!(said(&two, None), "two-authorizations", "{two:?}");
        }
        assert_eq!(said(&["Basic a", "Basic b"], None), "not mine");
        for query in [
            "access_token=a",
            "x=1&access_token",
            "x;access_token=a",
            "ACCESS_TOKEN=a",
            "access%5ftoken=a",
            "access.token=a",
        ] {
            assert_eq!(said(&["Bearer a"], Some(query)), "token-twice", "{query}");
            assert_eq!(said(&[], Some(query)), "token-in-query", "{query}");
        }
        assert_eq!(said(&[], Some("access_tokens=a&token=b")), "not mine");
        for (form, good) in [
            ("a=1&access_token=x", false),
            ("access%5Ftoken=x", false),
            ("access_tokens=x", true),
            ("", true),
        ] {
            assert_eq!(refuse_in_form(form.as_bytes()).is_ok(), good, "{form}");
        }
    }

    #[test]
    fn what_is_signed_is_detected() {
        let mut out = Outgoing::default();
        sign("a.b.c", &mut out);
        assert_eq!(out.headers[0].0, FIELD);
        assert_eq!(said(&[&out.headers[0].1], None), "a.b.c");
    }
}
