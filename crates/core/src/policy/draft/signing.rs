//! What operators write about signatures.
use super::{Line, kept};
use crate::dialect::Dialect;
use crate::document::Table;
use crate::policy::signing::{MAX_PRESIGNED_S, MAX_SKEW_S, OnceOnly};
use serde::Serialize;

/// How requests to an API are signed under the names of one dialect. What is left out is as the dialect has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SigningDraft {
    /// Whose credentials sign; needed where several dialects of the API have signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// The credential scope, without the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// How far dates may be from now, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew_s: Option<u64>,
    /// How long addresses that are signed in their query may be good, in seconds; without it there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presigned_max_s: Option<u64>,
    /// Which requests are accepted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub once_only: Option<String>,
    /// Header fields that must be signed beside host and date.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Header fields that reach the upstream although they are not signed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pass_unsigned: Vec<String>,
    /// What the upstream is told about the body where the caller's own `Content-Type` was not signed; empty: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Whether `%2B` may be signed as a space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escaped_plus_as_space: Option<bool>,
    /// Another algorithm prefix than the dialect's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Another vendor key in the parameters of presigned addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Another header field for the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_field: Option<String>,
    /// Another header field for the date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_field: Option<String>,
    /// Where it stands in the document.
    #[serde(skip)]
    pub line: Line,
}

/// The name of a header field, in lower case (RFC 9110 5.1).
fn field_name(text: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(ok) {
        return Err(format!("`{text}` is not the name of a header field"));
    }
    Ok(text.to_ascii_lowercase())
}

fn field_value(text: &str) -> Result<String, String> {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Ok(text.to_owned());
    }
    Err("a value of a header field is printable ASCII".to_owned())
}

pub(super) fn signing(t: Table<'_, '_>) -> SigningDraft {
    let text = |key: &str| t.string(key);
    let draft = SigningDraft {
        dialect: t.parsed("dialect", kept(Dialect::parse)),
        scope: text("scope"),
        skew_s: t.integer("skew_s", 1..=MAX_SKEW_S),
        presigned_max_s: t.integer("presigned_max_s", 1..=MAX_PRESIGNED_S),
        once_only: t.parsed("once_only", kept(OnceOnly::parse)),
        fields: t.list("fields", field_name).unwrap_or_default(),
        pass_unsigned: t.list("pass_unsigned", field_name).unwrap_or_default(),
        content_type: t.parsed("content_type", field_value),
        escaped_plus_as_space: t.boolean("escaped_plus_as_space"),
        prefix: text("prefix"),
        vendor: text("vendor"),
        auth_field: t.parsed("auth_field", field_name),
        date_field: t.parsed("date_field", field_name),
        line: Line(t.line()),
    };
    t.finish();
    draft
}
