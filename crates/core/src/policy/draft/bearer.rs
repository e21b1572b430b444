//! What operators write about tokens.
use crate::document::Table;
use crate::origin::OriginEntry;
use serde::Serialize;

/// Longest audience, in bytes.
pub const MAX_AUDIENCE_BYTES: usize = 256;
/// Longest name of a scope, in bytes.
pub const MAX_SCOPE_BYTES: usize = 128;
/// Most origins on one list.
const MAX_ORIGINS: usize = 100;

/// Pages that may call with a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CorsDraft {
    /// Their origins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
}

impl CorsDraft {
    pub(super) fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }
}

/// Whom a token may be for: an absolute URI without a fragment (RFC 8707 2).
pub(super) fn audience(text: &str) -> Result<String, String> {
    let visible = text.bytes().all(|b| matches!(b, 0x21..=0x7e) && !b"\"\\#<>".contains(&b));
    let scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
        let name = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        !rest.is_empty() && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(name)
    });
    if text.len() <= MAX_AUDIENCE_BYTES && visible && scheme {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is no audience; write an absolute URI of at most {MAX_AUDIENCE_BYTES} bytes without `#`, as in https://api.example/things"
    ))
}

/// One name of a scope (RFC 6749 3.3).
pub(super) fn scope(text: &str) -> Result<String, String> {
    let ok = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if !text.is_empty() && text.len() <= MAX_SCOPE_BYTES && text.bytes().all(ok) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is not one scope; a scope has 1 to {MAX_SCOPE_BYTES} visible characters, without spaces, `\"` and `\\`"
    ))
}

pub(super) fn cors(t: &Table<'_, '_>) -> CorsDraft {
    let draft = CorsDraft { origins: t.list("origins", super::kept(OriginEntry::parse)).unwrap_or_default() };
    if draft.origins.is_empty() {
        t.wrong("`cors` names no origin; write cors = { origins = [\"https://shop.example\"] }");
    } else if draft.origins.len() > MAX_ORIGINS {
        t.wrong(format!("there are more than {MAX_ORIGINS} origins"));
    }
    draft
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences_and_scopes_are_what_tokens_can_have() {
        for good in ["https://api.example", "https://api.example/things?x=1", "urn:example:things", "a:b"] {
            assert_eq!(audience(good).as_deref(), Ok(good));
        }
        let long = format!("https://{}", "a".repeat(MAX_AUDIENCE_BYTES));
        for bad in ["", "api", "https:", ":x", "1a:b", "https://a#b", "https://a b", "https://\u{e4}", &long]
        {
            assert!(audience(bad).is_err_and(|e| e.contains("is no audience")), "{bad}");
        }
        for good in ["read", "loyalty.async_events", "a:b/c", "[x]"] {
            assert_eq!(scope(good).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "a\"b", "a\\b", "\u{e4}", "a\tb", &"s".repeat(MAX_SCOPE_BYTES + 1)] {
            assert!(scope(bad).is_err_and(|e| e.contains("is not one scope")), "{bad}");
        }
    }
}
