//! What the field lines say about the message as a whole: its length, its host, its connection (RFC 9112 6).
use super::{Expect, Head, Reject, connection, kind};
use doorward_core::request::{Field, FieldKind, Span};

/// What was said, before method, version and status have decided what it means.
#[derive(Default)]
pub(super) struct Said<'a> {
    /// The first `Host`.
    pub(super) host: Option<&'a [u8]>,
    /// Whether there was another.
    pub(super) host_again: bool,
    /// Whether the body is chunked. Never together with a length.
    pub(super) chunked: bool,
    /// Whether an `Upgrade` was asked for.
    pub(super) upgrade: bool,
    connection_options: usize,
}

/// Takes the fields into `head`, whose `content_length`, `close`, `keep_alive`, `expect` and `nominates` are set anew.
pub(super) fn read<'a>(
    raw: &'a [u8],
    fields: &[httparse::Header<'a>],
    head: &mut Head,
) -> Result<Said<'a>, Reject> {
    let mut said = Said::default();
    head.fields.clear();
    head.content_length = None;
    (head.close, head.keep_alive, head.nominates) = (false, false, false);
    head.expect = Expect::None;
    head.via = false;
    for field in fields {
        let name = field.name.as_bytes();
        let at = (name.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize);
        // httparse takes a line feed alone for a line end.
        if raw.get(at.wrapping_sub(2)) != Some(&b'\r') {
            return Err(Reject::BareLineFeed);
        }
        let kind = kind(name);
        if kind != FieldKind::Other {
            said.field(kind, name, field.value, head)?;
            if matches!(kind, FieldKind::ContentLength | FieldKind::TransferEncoding)
                && !plainly_spaced(raw, field.value)
            {
                return Err(match kind {
                    FieldKind::ContentLength => Reject::ContentLengthInvalid,
                    _ => Reject::TransferEncodingNotChunked,
                });
            }
        }
        head.fields.push(Field { name: Span::of(raw, name), value: Span::of(raw, field.value), kind });
    }
    if said.chunked && head.content_length.is_some() {
        return Err(Reject::ContentLengthWithTransferEncoding);
    }
    Ok(said)
}

impl<'a> Said<'a> {
    fn field(
        &mut self,
        kind: FieldKind,
        name: &[u8],
        value: &'a [u8],
        head: &mut Head,
    ) -> Result<(), Reject> {
        match kind {
            FieldKind::Host => {
                self.host_again |= self.host.is_some();
                self.host = self.host.or(Some(value));
            }
            FieldKind::ContentLength => {
                if head.content_length.is_some() {
                    return Err(Reject::ContentLengthRepeated);
                }
                head.content_length = Some(decimal(value)?);
            }
            FieldKind::TransferEncoding => {
                if self.chunked {
                    return Err(Reject::TransferEncodingRepeated);
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Reject::TransferEncodingNotChunked);
                }
                self.chunked = true;
            }
            FieldKind::Connection => connection::options(value, head, &mut self.connection_options)?,
            FieldKind::Expect => {
                let known = head.expect == Expect::None && value.eq_ignore_ascii_case(b"100-continue");
                head.expect = if known { Expect::Continue } else { Expect::Unknown };
            }
            FieldKind::Hop => self.upgrade |= name.eq_ignore_ascii_case(b"upgrade"),
            FieldKind::Via => head.via = true,
            FieldKind::Other | FieldKind::Identity | FieldKind::Forwarded => {}
        }
        Ok(())
    }
}

/// Whether nothing but spaces stands between the colon, the value and the line's end. A tab would be allowed there (RFC 9110
/// 5.6.3), but llhttp takes one behind `chunked` for part of a coding that it does not know.
fn plainly_spaced(raw: &[u8], value: &[u8]) -> bool {
    let start = (value.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize);
    let before = raw[..start].iter().rev().take_while(|b| **b != b':');
    let behind = raw[start + value.len()..].iter().take_while(|b| **b != b'\r');
    before.chain(behind).all(|b| *b == b' ')
}

/// 1 to 18 decimal digits: no sign, no list, no white space, no other base (RFC 9110 8.6). 18 digits can't overflow.
fn decimal(value: &[u8]) -> Result<u64, Reject> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Reject::ContentLengthInvalid);
    }
    Ok(value.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}
