//! One head, read.
use super::diagnose::diagnose;
use super::{Limits, MAX_FIELDS, MAX_HEAD_BYTES, MAX_METHOD_BYTES, Reject, framing, target};
use doorward_core::request::{Field, Span};
use httparse::Status;
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// Field lines that fit without memory of their own.
const FEW_FIELDS: usize = 24;

/// How the end of the body is found (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, or an empty one.
    #[default]
    None,
    /// So many bytes; never 0.
    Length(u64),
    /// Chunked.
    Chunked,
    /// Until the connection ends; responses only.
    UntilClose,
}

/// What `Expect` asks for (RFC 9110 10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Nothing. HTTP/1.0 knows no expectation, so that it can't ask for `100-continue`.
    #[default]
    None,
    /// An interim answer before the body is sent.
    Continue,
    /// Anything else, or more than once: 417.
    Unknown,
}

/// What a head says: places in its raw bytes. Made to be used for message after message; after a refusal it holds
/// nothing of use.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The method (requests).
    pub method: Span,
    /// The path as sent: starts with `/`, or is `*` (requests).
    pub path: Span,
    /// The query without its `?`; `None` where there is no `?` (requests).
    pub query: Option<Span>,
    /// The value of `Host` (requests).
    pub host: Span,
    /// The status, 100 to 599 (responses).
    pub status: u16,
    /// The reason phrase, empty where none was sent or where it is not ASCII (responses).
    pub reason: Span,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor: u8,
    /// Every field line in the order received.
    pub fields: SmallVec<[Field; FEW_FIELDS]>,
    /// How the end of the body is found.
    pub framing: Framing,
    /// The length as stated. Answers to HEAD and 304 state one without having a body.
    pub content_length: Option<u64>,
    /// The connection ends with this message (RFC 9112 9.6).
    pub close: bool,
    /// `Connection: keep-alive` was sent.
    pub keep_alive: bool,
    /// What `Expect` asks for (requests).
    pub expect: Expect,
    /// `Connection` names fields that would travel otherwise.
    pub nominates: bool,
    /// `Upgrade` was sent with HTTP/1.1; HTTP/1.0 can't upgrade.
    pub upgrade: bool,
    /// `Via` was sent.
    pub via: bool,
}

/// Reads a request head. `raw` is exactly one head, as [`Lines`](super::Lines) delimits it.
///
/// # Errors
/// Whatever another reader could take for something else. `head` is of no use then.
pub fn request(raw: &[u8], limits: &Limits, head: &mut Head) -> Result<(), Reject> {
    delimited(raw)?;
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(raw, &mut room[..limits.fields.min(MAX_FIELDS)]) {
        Ok(Status::Complete(end)) if end == raw.len() => {}
        Ok(_) => return Err(Reject::NotOneHead),
        Err(error) => return Err(diagnose(raw, error)),
    }
    let method = parsed.method.unwrap_or_default().as_bytes();
    if method.len() > MAX_METHOD_BYTES {
        return Err(Reject::MethodTooLong);
    }
    if method == b"CONNECT" {
        return Err(Reject::MethodConnect);
    }
    let target = target::target(method, parsed.path.unwrap_or_default().as_bytes())?;
    head.minor = parsed.version.unwrap_or_default();
    let said = framing::read(raw, parsed.headers, head)?;

    let host = said.host.ok_or(Reject::HostMissing)?;
    if said.host_again {
        return Err(Reject::HostRepeated);
    }
    if !target::host(host) {
        return Err(Reject::HostInvalid);
    }
    if target.authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) {
        return Err(Reject::TargetNotHost);
    }
    head.method = Span::of(raw, method);
    head.path = Span::of(raw, target.path);
    head.query = target.query.map(|query| Span::of(raw, query));
    head.host = Span::of(raw, host);
    (head.status, head.reason) = (0, Span::default());

    head.framing = match (said.chunked, head.content_length) {
        (true, _) if head.minor == 0 => return Err(Reject::TransferEncodingInHttp10),
        (true, _) => Framing::Chunked,
        (false, None | Some(0)) => Framing::None,
        (false, Some(bytes)) => Framing::Length(bytes),
    };
    head.close |= head.minor == 0 && !head.keep_alive;
    head.upgrade = said.upgrade && head.minor == 1;
    if head.minor == 0 && head.expect == Expect::Continue {
        head.expect = Expect::None;
    }
    Ok(())
}

/// Reads a response head. `raw` is exactly one head, as [`Lines`](super::Lines) delimits it; `to_head` tells that it
/// answers a HEAD request. Interim answers (1xx) have no body; what 101 means is for the caller to decide.
///
/// # Errors
/// Whatever another reader could take for something else. `head` is of no use then.
pub fn response(raw: &[u8], to_head: bool, limits: &Limits, head: &mut Head) -> Result<(), Reject> {
    delimited(raw)?;
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let room = &mut room[..limits.fields.min(MAX_FIELDS)];
    let mut parsed = httparse::Response::new(&mut []);
    match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, raw, room) {
        Ok(Status::Complete(end)) if end == raw.len() => {}
        Ok(_) => return Err(Reject::NotOneHead),
        Err(error) => return Err(diagnose(raw, error)),
    }
    head.minor = parsed.version.unwrap_or_default();
    head.status = parsed.code.unwrap_or_default();
    if !matches!(head.status, 100..=599) {
        return Err(Reject::StatusRange);
    }
    // httparse also takes a status line that ends after the status; the space is part of the line (RFC 9112 4).
    if raw.get(b"HTTP/1.1 200".len()) != Some(&b' ') {
        return Err(Reject::StatusLine);
    }
    let said = framing::read(raw, parsed.headers, head)?;
    if said.chunked && head.minor == 0 {
        return Err(Reject::TransferEncodingInHttp10);
    }
    (head.method, head.path, head.query, head.host) =
        (Span::default(), Span::default(), None, Span::default());
    head.reason = Span::of(raw, parsed.reason.unwrap_or_default().as_bytes());
    head.expect = Expect::None;
    head.upgrade = said.upgrade && head.minor == 1;

    head.framing = match head.status {
        100..=199 | 204 => {
            if said.chunked || head.content_length.is_some_and(|bytes| bytes > 0) {
                return Err(Reject::BodyNotAllowed);
            }
            head.content_length = None;
            Framing::None
        }
        _ if to_head || head.status == 304 => Framing::None,
        _ => match (said.chunked, head.content_length) {
            (true, _) => Framing::Chunked,
            (false, Some(0)) => Framing::None,
            (false, Some(bytes)) => Framing::Length(bytes),
            (false, None) => Framing::UntilClose,
        },
    };
    head.close |= head.framing == Framing::UntilClose || head.minor == 0 && !head.keep_alive;
    Ok(())
}

/// What httparse would let pass about the ends of a head: empty lines before it, and a line feed alone after the
/// start line of a head without fields or at its very end.
fn delimited(raw: &[u8]) -> Result<(), Reject> {
    match raw.first() {
        Some(b'\r' | b'\n') => return Err(Reject::EmptyLineFirst),
        _ if raw.len() > MAX_HEAD_BYTES => return Err(Reject::HeadTooLarge),
        _ => {}
    }
    if raw.ends_with(b"\r\n\r\n") {
        Ok(())
    } else if raw.ends_with(b"\n\n") || raw.ends_with(b"\n\r\n") {
        Err(Reject::BareLineFeed)
    } else {
        Err(Reject::NotOneHead)
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
