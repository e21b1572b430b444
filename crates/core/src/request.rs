//! The one view of a request: what was received, byte for byte, and nothing of any HTTP engine.
//!
//! Everything that judges, signs, logs or forwards a request works on this view, so that no two parts can disagree
//! about what the request was.
use crate::time::UnixMillis;
use std::fmt;
use std::net::IpAddr;

/// A place in the raw head, in bytes. Heads are limited to 64 KiB, so two octets each are enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u16,
    len: u16,
}

impl Span {
    /// The place of `part` in `whole`; `part` must be a sub-slice of `whole`, which is at most 64 KiB long.
    #[inline]
    #[must_use]
    pub fn of(whole: &[u8], part: &[u8]) -> Span {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(part.is_empty() || start + part.len() <= whole.len());
        if part.is_empty() { Span::default() } else { Span { start: start as u16, len: part.len() as u16 } }
    }

    /// The bytes at this place.
    #[inline]
    #[must_use]
    pub fn on<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        &whole[usize::from(self.start)..usize::from(self.start) + usize::from(self.len)]
    }

    /// Length in bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What a header field means to an intermediary, found once while the head is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Travels end to end.
    Other,
    /// `Host` (RFC 9110 7.2).
    Host,
    /// `Content-Length` (RFC 9110 8.6).
    ContentLength,
    /// `Transfer-Encoding` (RFC 9112 6.1).
    TransferEncoding,
    /// `Connection` (RFC 9110 7.6.1).
    Connection,
    /// `Expect` (RFC 9110 10.1.1).
    Expect,
    /// `Keep-Alive`, `TE`, `Upgrade`, `HTTP2-Settings`, `Proxy-*`: belongs to one connection, never forwarded.
    Hop,
    /// `Doorward-*` in any case, `_` counted as `-`: never accepted from outside.
    Identity,
    /// `Forwarded`, `X-Forwarded-*`, `X-Real-IP` and their like, `_` counted as `-`: told anew to the upstream.
    Forwarded,
    /// `Via` (RFC 9110 7.6.3).
    Via,
}

/// One header field line, in the order received.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name as sent.
    pub name: Span,
    /// The value without the white space around it.
    pub value: Span,
    /// What it means to an intermediary.
    pub kind: FieldKind,
}

/// What looking for a field that must be there once found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// Not sent.
    Absent,
    /// Sent once, with this value.
    One(&'a [u8]),
    /// Sent more than once.
    Repeated,
}

/// How the request came to this node, and what this listener does with plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over TLS here, or over HTTPS as a trusted proxy reports.
    Secure,
    /// Over plain HTTP.
    Plain(PlainHttp),
}

/// What is done with requests over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// Served; credentials proved this way are flagged as exposed.
    Serve,
    /// 308 to the same address over HTTPS; credentials proved this way are flagged as exposed.
    Redirect,
    /// 403 `insecure_transport`; credentials proved this way are flagged as exposed.
    Refuse,
}

/// Shows no field and no query: there may be secrets in them.
impl fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestView({} {})", self.method.escape_ascii(), self.path.escape_ascii())
    }
}

/// One request as received.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// The raw head, from the first byte of the request line to the end of the empty line.
    pub raw: &'a [u8],
    /// The method, case-sensitive.
    pub method: &'a [u8],
    /// The path as sent, not decoded; starts with `/`, or is `*` (OPTIONS only).
    pub path: &'a [u8],
    /// The query as sent, without the `?`; `None` where there is no `?`.
    pub query: Option<&'a [u8]>,
    /// The authority the request is for: the `Host` field as sent.
    pub host: &'a [u8],
    /// Every field line in the order sent.
    pub fields: &'a [Field],
    /// The real caller; `None` where a trusted proxy does not tell.
    pub client: Option<IpAddr>,
    /// Over TLS or not.
    pub transport: Transport,
    /// When the request was received: the only clock of the whole decision.
    pub now: UnixMillis,
}

impl<'a> RequestView<'a> {
    /// Looks for a field that must not be repeated. `lower` is its name in lower case.
    #[must_use]
    pub fn field(&self, lower: &str) -> Lookup<'a> {
        let mut found = Lookup::Absent;
        for f in self.fields {
            if f.name.len() == lower.len() && f.name.on(self.raw).eq_ignore_ascii_case(lower.as_bytes()) {
                if found != Lookup::Absent {
                    return Lookup::Repeated;
                }
                found = Lookup::One(f.value.on(self.raw));
            }
        }
        found
    }
}
