//! The trailer section of a chunked body (RFC 9112 7.1.2, RFC 9110 6.5).
use super::kind::{folds_to, kind};
use super::{Reject, trim};
use doorward_core::request::FieldKind;

/// The most trailer fields that are read.
const MAX_TRAILER_FIELDS: usize = 64;

/// Checks a whole trailer section with its last empty line, whose lines end in CRLF. The grammar is that of a head.
pub(super) fn check(section: &[u8]) -> Result<(), Reject> {
    let mut room = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    match httparse::parse_headers(section, &mut room) {
        Ok(httparse::Status::Complete((end, _))) if end == section.len() => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Reject::TrailerTooLarge),
        _ => Err(Reject::TrailerSyntax),
    }
}

/// The fields of a section that passed [`check`].
pub(super) fn fields(section: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    section.split(|c| *c == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], trim(&line[colon + 1..])))
    })
}

/// Names that must not be honoured in a trailer: routing, authentication, request modifiers, response control and
/// what decides how content is read (RFC 9110 6.5.1).
const NOT_IN_TRAILERS: [&[u8]; 34] = [
    b"accept",
    b"accept-charset",
    b"accept-encoding",
    b"accept-language",
    b"accept-ranges",
    b"age",
    b"allow",
    b"alt-svc",
    b"authorization",
    b"cache-control",
    b"cookie",
    b"date",
    b"expires",
    b"location",
    b"max-forwards",
    b"origin",
    b"pragma",
    b"prefer",
    b"priority",
    b"range",
    b"referer",
    b"refresh",
    b"retry-after",
    b"server",
    b"set-cookie",
    b"strict-transport-security",
    b"trailer",
    b"user-agent",
    b"vary",
    b"warning",
    b"www-authenticate",
    b"x-api-key",
    b"x-http-method-override",
    b"x-method-override",
];

/// Beginnings of further such names.
const NOT_IN_TRAILERS_PREFIXES: [&[u8]; 4] = [b"access-control-", b"content-", b"if-", b"sec-"];

/// Whether a trailer field may travel on as a trailer. What it must never do is become a header.
///
/// The caller adds what it knows to be a credential. `Content-Digest` may (RFC 9530 2), unlike the rest of its family.
#[must_use]
pub fn trailer_may_travel(name: &[u8]) -> bool {
    if kind(name) != FieldKind::Other || NOT_IN_TRAILERS.iter().any(|lower| folds_to(name, lower)) {
        return false;
    }
    name.eq_ignore_ascii_case(b"content-digest")
        || !NOT_IN_TRAILERS_PREFIXES
            .iter()
            .any(|lower| name.get(..lower.len()).is_some_and(|start| folds_to(start, lower)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9112_7_what_controls_a_message_is_no_trailer() {
        for name in [
            "Content-Length",
            "content_length",
            "Transfer-Encoding",
            "Host",
            "Connection",
            "TE",
            "Trailer",
            "Expect",
            "Via",
            "Authorization",
            "AUTHORIZATION",
            "Cookie",
            "Set-Cookie",
            "set_cookie",
            "Cache-Control",
            "Content-Type",
            "Content-Encoding",
            "Content-Range",
            "content_type",
            "If-Match",
            "Range",
            "Access-Control-Allow-Origin",
            "Doorward-Workspace",
            "doorward_kind",
            "X-Forwarded-For",
            "Forwarded",
            "X-Real-IP",
            "Origin",
            "WWW-Authenticate",
            "Proxy-Authorization",
            "X-HTTP-Method-Override",
            "Sec-Fetch-Site",
            "X-API-Key",
        ] {
            assert!(!trailer_may_travel(name.as_bytes()), "{name}");
        }
        for name in [
            "Server-Timing",
            "ETag",
            "Repr-Digest",
            "Content-Digest",
            "X-Checksum",
            "grpc-status",
            "Signature",
        ] {
            assert!(trailer_may_travel(name.as_bytes()), "{name}");
        }
    }
}
