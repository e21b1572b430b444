//! Which rule a head broke, where the parser only says that it broke one. Runs for refused heads alone.
use super::{Reject, TOKEN};

/// The preface of HTTP/2 as far as it looks like a head (RFC 9113 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Names the rule. `raw` is one head, refused by httparse with `error`.
#[cold]
pub(super) fn diagnose(raw: &[u8], error: httparse::Error) -> Reject {
    use httparse::Error;
    if raw.starts_with(HTTP2_PREFACE) {
        return Reject::Http2Preface;
    }
    match error {
        Error::TooManyHeaders => return Reject::TooManyFields,
        Error::Version => return Reject::Version,
        _ => {}
    }
    if let Some(reject) = stray_octet(raw) {
        return reject;
    }
    match error {
        Error::HeaderName => field_line(raw),
        Error::Status => Reject::StatusLine,
        Error::Token => request_token(raw),
        _ => Reject::RequestLine,
    }
}

/// Finds line ends that are none, and control octets.
fn stray_octet(raw: &[u8]) -> Option<Reject> {
    let mut previous = 0;
    for (at, c) in raw.iter().enumerate() {
        match c {
            b'\r' if raw.get(at + 1) != Some(&b'\n') => return Some(Reject::BareCarriageReturn),
            b'\n' if previous != b'\r' => return Some(Reject::BareLineFeed),
            b'\t' | b'\r' | b'\n' => {}
            0..=31 | 127 => return Some(Reject::ControlOctet),
            _ => {}
        }
        previous = *c;
    }
    None
}

/// What is wrong with the first broken field line.
fn field_line(raw: &[u8]) -> Reject {
    for line in raw.split(|c| *c == b'\n').skip(1) {
        let name = line.iter().position(|c| !TOKEN[usize::from(*c)]).unwrap_or(line.len());
        match line.get(name) {
            Some(b':') if name > 0 => {}
            Some(b' ' | b'\t') if name == 0 => return Reject::FoldedField,
            Some(b' ' | b'\t') if line[name..].trim_ascii_start().starts_with(b":") => {
                return Reject::SpaceBeforeColon;
            }
            _ => return Reject::FieldName,
        }
    }
    Reject::FieldName
}

/// Whether it is the method or the target that is wrong.
fn request_token(raw: &[u8]) -> Reject {
    let end = raw.iter().position(|c| !TOKEN[usize::from(*c)]).unwrap_or(0);
    if end == 0 || raw[end] != b' ' {
        return Reject::Method;
    }
    match raw[end + 1..].first() {
        Some(c) if *c > b' ' => Reject::TargetOctet,
        _ => Reject::RequestLine,
    }
}
