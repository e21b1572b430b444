//! The shapes of errors, one for each vendor's clients. What is said is the same in all of them.
use crate::respond::{Manner, Refused, phrase};
use crate::text;
use doorward_core::dialect::ErrorStyle;
use doorward_core::reason::Reason;
use std::io::Write;

/// What a body in a style calls itself.
pub(crate) fn media_type(style: ErrorStyle) -> &'static str {
    match style {
        ErrorStyle::Problem | ErrorStyle::Vista => "application/problem+json",
        ErrorStyle::Voucherify | ErrorStyle::Antavo | ErrorStyle::Avanan => "application/json",
    }
}

/// The body of a refusal.
pub(crate) fn body(refused: &Refused<'_>, how: &Manner<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(512);
    match how.style {
        ErrorStyle::Problem => problem(&mut body, refused, how),
        ErrorStyle::Voucherify => voucherify(&mut body, refused, how),
        ErrorStyle::Antavo => antavo(&mut body, refused),
        ErrorStyle::Avanan => avanan(&mut body, how.style.status(refused.reason)),
        ErrorStyle::Vista => vista(&mut body, refused, how),
    }
    body
}

fn said(refused: &Refused<'_>) -> String {
    refused.note.unwrap_or(refused.reason.title()).to_owned()
}

fn explanation(out: &mut Vec<u8>, refused: &Refused<'_>) {
    if let Some(text) = refused.explanation {
        text::member(out, "explanation", Some(text.as_bytes()));
    }
}

/// RFC 9457.
fn problem(out: &mut Vec<u8>, refused: &Refused<'_>, how: &Manner<'_>) {
    let reason = refused.reason;
    out.push(b'{');
    text::member(out, "type", Some(format!("urn:doorward:{}", reason.code()).as_bytes()));
    text::member(out, "title", Some(reason.title().as_bytes()));
    let _ = write!(out, "\"status\":{},", reason.status());
    text::member(out, "code", Some(reason.code().as_bytes()));
    text::member(out, "detail", Some(said(refused).as_bytes()));
    text::member(out, "help", Some(reason.help().as_bytes()));
    text::member(out, "request_id", Some(how.request_id));
    explanation(out, refused);
    out.pop();
    out.extend_from_slice(b"}\n");
}

fn voucherify(out: &mut Vec<u8>, refused: &Refused<'_>, how: &Manner<'_>) {
    let status = refused.reason.status();
    let (key, message) = match status {
        400 => ("bad_request", "Bad Request"),
        401 => ("unauthorized", "Unauthorized"),
        403 => ("forbidden", "Forbidden"),
        404 => ("not_found", "Resource not found"),
        405 => ("method_not_allowed", "HTTP Method Not Allowed"),
        413 => ("payload_too_large", "Payload Too Large"),
        429 => ("too_many_requests", "API limit reached"),
        502..=504 => ("service_unavailable", phrase(status)),
        _ => ("bad_request", phrase(status)),
    };
    let details = format!("{} {}", said(refused), refused.reason.help());
    let _ = write!(out, "{{\"code\":{status},");
    text::member(out, "key", Some(key.as_bytes()));
    text::member(out, "message", Some(message.as_bytes()));
    text::member(out, "details", Some(details.as_bytes()));
    text::member(out, "request_id", Some(how.request_id));
    explanation(out, refused);
    out.pop();
    out.push(b'}');
}

fn antavo(out: &mut Vec<u8>, refused: &Refused<'_>) {
    let only_tokens = refused.bearer.is_some_and(|bearer| bearer.alone);
    let (kind, code, message) = match refused.reason {
        Reason::TokenInvalid | Reason::TokenExpired | Reason::TokenRevoked => bad_token(),
        Reason::CredentialMissing if only_tokens => bad_token(),
        Reason::CredentialMissing => ("UnauthorizedException", 0, "No api_key provided".to_owned()),
        Reason::RouteUnknown => ("NotFoundException", 0, "Not Found".to_owned()),
        other => {
            let kind = match other.status() {
                401 => "UnauthorizedException",
                403 => "ForbiddenException",
                405 => "MethodNotAllowedException",
                400..=499 => "BadRequestException",
                _ => "RuntimeException",
            };
            (kind, 0, said(refused))
        }
    };
    out.extend_from_slice(b"{\"error\":{");
    text::member(out, "type", Some(kind.as_bytes()));
    let _ = write!(out, "\"code\":{code},");
    text::member(out, "message", Some(message.as_bytes()));
    explanation(out, refused);
    out.pop();
    out.extend_from_slice(b"}}");
}

/// What its documents have for a token that is not taken.
fn bad_token() -> (&'static str, u32, String) {
    ("UnauthorizedException", 220_052, "Bearer token authentication failed".to_owned())
}

/// The members that its documents name; what the others are for is not known.
fn vista(out: &mut Vec<u8>, refused: &Refused<'_>, how: &Manner<'_>) {
    let reason = refused.reason;
    out.push(b'{');
    text::member(out, "type", Some(format!("urn:doorward:{}", reason.code()).as_bytes()));
    text::member(out, "title", Some(reason.title().as_bytes()));
    let _ = write!(out, "\"status\":{},", reason.status());
    text::member(out, "detail", Some(said(refused).as_bytes()));
    text::member(out, "correlationId", Some(how.request_id));
    // None of the vendor's own numbers means any of this.
    out.extend_from_slice(b"\"errorCode\":0,");
    explanation(out, refused);
    out.pop();
    out.push(b'}');
}

/// What its gateway answers: the status in words.
fn avanan(out: &mut Vec<u8>, status: u16) {
    out.push(b'{');
    text::member(out, "message", Some(phrase(status).as_bytes()));
    out.pop();
    out.push(b'}');
}
