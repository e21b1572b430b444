//! Every answer that this node gives by itself: refusals in the API's own style, preflights, redirects, and what its own
//! endpoints say.
use crate::local::LocalAnswer;
use crate::settings::Hsts;
use crate::styles;
use doorward_core::decide::Preflight;
use doorward_core::dialect::ErrorStyle;
use doorward_core::reason::Reason;
use doorward_core::request::RequestView;
use doorward_core::time::UnixMillis;
use std::io::Write;

/// What an answer depends on besides its reason.
#[derive(Clone, Copy)]
pub(crate) struct Manner<'a> {
    pub(crate) style: ErrorStyle,
    pub(crate) request_id: &'a [u8],
    /// Field lines of ours: see [`extra`].
    pub(crate) extra: &'a [u8],
    /// The answer to HEAD has no body.
    pub(crate) to_head: bool,
    pub(crate) keep: bool,
    pub(crate) minor: u8,
    pub(crate) now: UnixMillis,
}

/// A refusal as callers see it.
pub(crate) struct Refused<'a> {
    pub(crate) reason: Reason,
    /// A sentence about facts that the caller may know.
    pub(crate) note: Option<&'a str>,
    pub(crate) allow: &'a [String],
    /// How long to stay away, in seconds, where that is known.
    pub(crate) retry_after_s: Option<u32>,
    /// How a signature was read, where callers are shown that.
    pub(crate) explanation: Option<&'a str>,
    /// How the API takes tokens, where it does.
    pub(crate) bearer: Option<Bearer<'a>>,
    /// The scope that was lacking.
    pub(crate) scope: Option<&'a str>,
}

impl<'a> Refused<'a> {
    pub(crate) fn new(reason: Reason, note: Option<&'a str>) -> Refused<'a> {
        let (allow, retry_after_s, explanation) = (&[], None, None);
        Refused { reason, note, allow, retry_after_s, explanation, bearer: None, scope: None }
    }
}

/// How an API takes tokens.
#[derive(Clone, Copy)]
pub(crate) struct Bearer<'a> {
    /// The API.
    pub(crate) realm: &'a str,
    /// Whether it takes nothing else.
    pub(crate) alone: bool,
    /// Whether a token was presented.
    pub(crate) presented: bool,
}

/// How to do better, in `WWW-Authenticate` (RFC 9110 11.6.1, RFC 6750 3). Nothing is said of a token where none was sent.
fn challenge(refused: &Refused<'_>, status: u16) -> Option<String> {
    let Some(bearer) = &refused.bearer else {
        // RFC 9110 15.5.2 asks for a challenge; keys have no registered scheme.
        return (status == 401).then(|| "ApiKey realm=\"doorward\"".to_owned());
    };
    let realm = bearer.realm;
    match (status, refused.scope) {
        // Whoever sent a key has no use for a token with that scope.
        (403, Some(scope)) if bearer.presented => {
            Some(format!("Bearer realm=\"{realm}\", error=\"insufficient_scope\", scope=\"{scope}\""))
        }
        (401, _) if bearer.presented && of_token(refused.reason) => {
            Some(format!("Bearer realm=\"{realm}\", error=\"invalid_token\""))
        }
        (401, _) => Some(format!("Bearer realm=\"{realm}\"")),
        _ => None,
    }
}

/// Whether a reason is about the token that was presented, or about whose it is.
fn of_token(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::TokenInvalid
            | Reason::TokenExpired
            | Reason::TokenRevoked
            | Reason::CredentialInvalid
            | Reason::CredentialExpired
            | Reason::CredentialBlocked
    )
}

/// How long callers should stay away from an overloaded node, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// The fields of an answer that a page may read besides those that any page may.
const READABLE_FIELDS: &[u8] =
    b"Doorward-Code, Doorward-Request-Id, RateLimit, RateLimit-Policy, Retry-After, \
      X-Rate-Limit-Limit, X-Rate-Limit-Remaining, X-Rate-Limit-Retry";

/// The field lines that every answer of this node carries: the request's id, HSTS over TLS, and who may read it.
pub(crate) fn extra(
    out: &mut Vec<u8>,
    request_id: &[u8],
    hsts: Option<Hsts>,
    readable_by: Option<&[u8]>,
    by_origin: bool,
) {
    line(out, "doorward-request-id", request_id);
    if let Some(hsts) = hsts {
        let _ = write!(out, "strict-transport-security: max-age={}", hsts.max_age_s);
        out.extend_from_slice(if hsts.include_subdomains { b"; includeSubDomains\r\n" } else { b"\r\n" });
    }
    if let Some(origin) = readable_by {
        line(out, "access-control-allow-origin", origin);
        line(out, "access-control-expose-headers", READABLE_FIELDS);
    }
    if by_origin {
        // A cache must not give one origin's answer to another.
        line(out, "vary", b"Origin");
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    crate::pump::field(out, name.as_bytes(), value);
}

pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

fn head(out: &mut Vec<u8>, status: u16, how: &Manner<'_>) {
    let _ = write!(out, "HTTP/1.1 {status} {}\r\n", phrase(status));
    out.extend_from_slice(how.extra);
    line(out, "date", how.now.http_date().as_bytes());
    if !how.keep {
        line(out, "connection", b"close");
    } else if how.minor == 0 {
        line(out, "connection", b"keep-alive");
    }
}

/// The whole answer to a refused request.
#[cold]
pub(crate) fn refusal(out: &mut Vec<u8>, refused: &Refused<'_>, how: &Manner<'_>) {
    let reason = refused.reason;
    let body = styles::body(refused, how);
    let status = how.style.status(reason);
    head(out, status, how);
    line(out, "doorward-code", reason.code().as_bytes());
    line(out, "content-type", styles::media_type(how.style).as_bytes());
    line(out, "cache-control", b"no-store");
    if let Some(challenge) = challenge(refused, status) {
        line(out, "www-authenticate", challenge.as_bytes());
    }
    if reason == Reason::MethodNotAllowed {
        line(out, "allow", refused.allow.join(", ").as_bytes());
    }
    if matches!(status, 429 | 503) {
        let _ = write!(out, "retry-after: {}\r\n", refused.retry_after_s.unwrap_or(RETRY_AFTER_S));
    }
    let _ = write!(out, "content-length: {}\r\n\r\n", body.len());
    if !how.to_head {
        out.extend_from_slice(&body);
    }
}

/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_MAX_AGE_S: u32 = 600;

/// The answer to a preflight. Credentials in the browser's sense (cookies) are never allowed.
#[cold]
pub(crate) fn preflight(out: &mut Vec<u8>, answer: &Preflight, how: &Manner<'_>) {
    head(out, 204, how);
    line(out, "access-control-allow-methods", answer.methods.join(", ").as_bytes());
    if !answer.headers.is_empty() {
        line(out, "access-control-allow-headers", answer.headers.join(", ").as_bytes());
    }
    let _ = write!(out, "access-control-max-age: {PREFLIGHT_MAX_AGE_S}\r\n");
    line(out, "vary", b"Access-Control-Request-Method, Access-Control-Request-Headers");
    out.extend_from_slice(b"\r\n");
}

/// The answer to an OPTIONS request that may go no further (RFC 9110 7.6.2): the methods that the route takes.
#[cold]
pub(crate) fn options<'a>(out: &mut Vec<u8>, methods: impl Iterator<Item = &'a str>, how: &Manner<'_>) {
    head(out, 204, how);
    let methods: Vec<&str> = methods.collect();
    line(out, "allow", methods.join(", ").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// What one of this node's own endpoints says.
pub(crate) fn local(out: &mut Vec<u8>, answer: &LocalAnswer, how: &Manner<'_>) {
    head(out, answer.status(), how);
    if let Some(code) = answer.code() {
        line(out, "doorward-code", code.code().as_bytes());
    }
    for (name, value) in answer.fields() {
        line(out, name, value.as_bytes());
    }
    if !answer.fields().iter().any(|(name, _)| *name == "cache-control") {
        line(out, "cache-control", b"no-store");
    }
    let content = answer.content();
    if let Some(body) = content {
        let _ = write!(out, "content-length: {}\r\n", body.len());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(content.filter(|_| !how.to_head).unwrap_or_default());
}

/// The same address over HTTPS.
#[cold]
pub(crate) fn redirect(out: &mut Vec<u8>, to: &[u8], how: &Manner<'_>) {
    head(out, 308, how);
    line(out, "location", to);
    out.extend_from_slice(b"content-length: 0\r\n\r\n");
}

/// The address of a request over HTTPS.
#[cold]
pub(crate) fn location(req: &RequestView<'_>, port: Option<u16>) -> Vec<u8> {
    let host = req.host;
    let end =
        host.iter().rposition(|b| *b == b':').filter(|i| !host[*i..].contains(&b']')).unwrap_or(host.len());
    let mut to = b"https://".to_vec();
    to.extend_from_slice(&host[..end]);
    if let Some(port) = port.filter(|p| *p != 443) {
        to.extend_from_slice(format!(":{port}").as_bytes());
    }
    to.extend_from_slice(if req.path == b"*" { b"/" } else { req.path });
    if let Some(query) = req.query {
        to.push(b'?');
        to.extend_from_slice(query);
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status follows the style, the code never does.
    #[test]
    fn avanan_answers_in_two_words() {
        let how = Manner {
            style: ErrorStyle::Avanan,
            request_id: b"id",
            extra: b"",
            to_head: false,
            keep: true,
            minor: 1,
            now: UnixMillis(0),
        };
        for (reason, status, message) in [
            (Reason::SignatureInvalid, "403 Forbidden", "Forbidden"),
            (Reason::SignatureReplayed, "403 Forbidden", "Forbidden"),
            (Reason::RegionDenied, "403 Forbidden", "Forbidden"),
            (Reason::CredentialMissing, "401 Unauthorized", "Unauthorized"),
            (Reason::CredentialMalformed, "401 Unauthorized", "Unauthorized"),
            (Reason::RouteUnknown, "404 Not Found", "Not Found"),
        ] {
            let mut out = Vec::new();
            refusal(&mut out, &Refused::new(reason, Some("not told")), &how);
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}");
            assert!(text.contains(&format!("\r\ndoorward-code: {}\r\n", reason.code())), "{text}");
            assert!(text.ends_with(&format!("\r\n\r\n{{\"message\":\"{message}\"}}")), "{text}");
        }
    }
}
