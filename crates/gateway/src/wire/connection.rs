//! The `Connection` field (RFC 9110 7.6.1).
use super::{Head, Reject, TOKEN, all_of, kind, trim};
use doorward_core::request::FieldKind;

/// Options in one message, empty ones included. A sender names a handful; each costs a comparison per field.
const MAX_OPTIONS: usize = 32;

/// Reads the options of one `Connection` field. `count` is carried from field to field of the same message.
pub(super) fn options(value: &[u8], head: &mut Head, count: &mut usize) -> Result<(), Reject> {
    for option in split(value) {
        *count += 1;
        if *count > MAX_OPTIONS {
            return Err(Reject::ConnectionOptionsTooMany);
        }
        if !all_of(&TOKEN, option) {
            return Err(Reject::ConnectionOption);
        }
        if option.eq_ignore_ascii_case(b"close") {
            head.close = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            head.keep_alive = true;
        } else {
            head.nominates |= nominates(option)?;
        }
    }
    Ok(())
}

/// The options of one `Connection` field, without the white space around them. Empty ones are allowed (RFC 9110 5.6.1).
pub(super) fn split(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|c| *c == b',').map(trim)
}

/// Whether the option asks for the removal of a field that would otherwise travel.
fn nominates(option: &[u8]) -> Result<bool, Reject> {
    match kind(option) {
        FieldKind::ContentLength | FieldKind::TransferEncoding | FieldKind::Host => {
            Err(Reject::ConnectionNamesProtected)
        }
        FieldKind::Other
            if option.eq_ignore_ascii_case(b"authorization") || option.eq_ignore_ascii_case(b"cookie") =>
        {
            Err(Reject::ConnectionNamesProtected)
        }
        FieldKind::Other => Ok(!option.is_empty()),
        // What is dropped or written anew in any case is not removed by naming it.
        _ => Ok(false),
    }
}
