//! The `Connection` field (RFC 9110 7.6.1).
use super::{Head, Reject, TOKEN, all_of, kind, trim};
use doorward_core::request::{Field, FieldKind};

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

/// The protocol that a message would change to: the only one that it names, where `Connection` says so as well and asks for
/// nothing else that matters (RFC 9110 7.8). `None` for lists: which of several would be meant is another reader's guess.
#[must_use]
pub fn upgrade<'a>(raw: &'a [u8], head: &Head) -> Option<&'a [u8]> {
    if !head.upgrade || head.close {
        return None;
    }
    let values = |name: &'static [u8]| {
        let named = move |f: &&Field| f.name.on(raw).eq_ignore_ascii_case(name);
        head.fields.iter().filter(named).map(|f| f.value.on(raw))
    };
    let mut protocols = values(b"upgrade");
    let protocol = protocols.next().filter(|p| !p.is_empty() && !p.contains(&b','))?;
    let meant = values(b"connection").flat_map(split).any(|o| o.eq_ignore_ascii_case(b"upgrade"));
    (meant && protocols.next().is_none()).then_some(protocol)
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

#[cfg(test)]
mod tests {
    use super::super::{Limits, request};
    use super::*;

    /// S9110-2: what a message would change to is one thing, said twice.
    #[test]
    fn s9110_2_one_protocol_and_both_fields() {
        let read = |lines: &str, version: &str| {
            let raw = format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
            let mut head = Head::default();
            request(raw.as_bytes(), &Limits::default(), &mut head).unwrap();
            upgrade(raw.as_bytes(), &head).map(|p| String::from_utf8_lossy(p).into_owned())
        };
        let both = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
        assert_eq!(read(both, "1.1").as_deref(), Some("WebSocket"));
        assert_eq!(read(both, "1.0"), None);
        for lines in [
            "Upgrade: websocket\r\n",
            "Connection: upgrade\r\n",
            "Connection: upgrade\r\nUpgrade: websocket, x\r\n",
            "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",
            "Connection: upgrade\r\nUpgrade:\r\n",
            "Connection: upgrade, close\r\nUpgrade: websocket\r\n",
            "Connection: upgrade\r\nUp_grade: websocket\r\n",
        ] {
            assert_eq!(read(lines, "1.1"), None, "{lines}");
        }
    }
}
