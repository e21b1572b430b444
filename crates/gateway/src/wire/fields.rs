//! Which fields of a message may travel on.
use super::{Head, connection};
use doorward_core::request::FieldKind;

/// Where a message goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// A request on its way to the upstream.
    Upstream,
    /// A response on its way to the caller.
    Caller,
}

/// The fields that may travel, in the order received: `(name, value, kind)`.
///
/// Yields [`FieldKind::Other`] and [`FieldKind::Via`], and towards the caller [`FieldKind::Forwarded`], which means
/// nothing special in a response. Left out is what belongs to the connection or is named by `Connection`, what frames
/// the message or names its host (the sender writes those itself), `Expect`, and what is ours, in both directions.
pub fn end_to_end<'a>(
    raw: &'a [u8],
    head: &'a Head,
    towards: Towards,
) -> impl Iterator<Item = (&'a [u8], &'a [u8], FieldKind)> {
    head.fields.iter().filter_map(move |field| {
        let name = field.name.on(raw);
        let travels = match field.kind {
            FieldKind::Other => !nominated(raw, head, name),
            FieldKind::Via => true,
            FieldKind::Forwarded => towards == Towards::Caller,
            _ => false,
        };
        travels.then(|| (name, field.value.on(raw), field.kind))
    })
}

/// Whether `Connection` names this field, in any case. Only of use for fields that would travel otherwise: naming one
/// that is dropped or written anew in any case changes nothing and is not reported.
#[must_use]
pub fn nominated(raw: &[u8], head: &Head, name: &[u8]) -> bool {
    head.nominates
        && !name.is_empty()
        && head.fields.iter().filter(|field| field.kind == FieldKind::Connection).any(|field| {
            connection::split(field.value.on(raw)).any(|option| option.eq_ignore_ascii_case(name))
        })
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Reject, request, response};
    use super::*;

    fn names(raw: &[u8], towards: Towards) -> Vec<String> {
        let mut head = Head::default();
        match towards {
            Towards::Upstream => request(raw, &Limits::default(), &mut head).unwrap(),
            Towards::Caller => response(raw, false, &Limits::default(), &mut head).unwrap(),
        }
        end_to_end(raw, &head, towards).map(|(name, _, _)| String::from_utf8_lossy(name).into()).collect()
    }

    #[test]
    fn requests_lose_what_is_not_end_to_end() {
        let raw = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close, X-Gone ,te\r\n\
            X-Gone: 1\r\nx-stays: 2\r\nTE: trailers\r\nKeep-Alive: 3\r\nUpgrade: h2c\r\nDoorward_Kind: x\r\n\
            X-Forwarded-For: 1\r\nVia: 1.1 b\r\nTrailer: A\r\ncontent_length: 9\r\nExpect: 100-continue\r\n\
            Proxy-Authorization: z\r\nX-Stays: 3\r\nconnection: x-also\r\nX-ALSO: 1\r\n\r\n";
        assert_eq!(names(raw, Towards::Upstream), ["x-stays", "Via", "Trailer", "X-Stays"]);
    }

    #[test]
    fn responses_lose_ours_but_keep_forwarded() {
        let raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDoorward-Code: x\r\nForwarded: 1\r\nHost: a\r\n\
            Proxy-Authenticate: Basic\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nVia: 1.0 c\r\nConnection: x-gone\r\n\
            X-Gone: 1\r\n\r\n";
        assert_eq!(names(raw, Towards::Caller), ["Forwarded", "Set-Cookie", "Set-Cookie", "Via"]);
    }

    #[test]
    fn s9110_1_naming_ours_or_via_removes_nothing() {
        let raw = b"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 b\r\nA: b\r\n\
            Connection: doorward-workspace, x-forwarded-for, via\r\n\r\n";
        let mut head = Head::default();
        request(raw, &Limits::default(), &mut head).unwrap();
        assert!(!head.nominates);
        assert!(!nominated(raw, &head, b"doorward-workspace"));
        assert_eq!(names(raw, Towards::Upstream), ["Via", "A"]);
    }

    #[test]
    fn nomination_can_be_asked_for_by_name() {
        let raw =
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection:\t,X-App-Token ,, close\r\nX-App-Token: s\r\n\r\n";
        let mut head = Head::default();
        assert_eq!(request(raw, &Limits::default(), &mut head), Ok::<(), Reject>(()));
        assert!(head.close && head.nominates);
        assert!(nominated(raw, &head, b"x-app-token"));
        assert!(!nominated(raw, &head, b"x-app-id"));
        assert!(!nominated(raw, &head, b""));
    }
}
