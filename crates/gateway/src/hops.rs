//! What a message says about its way: `Via` and `Max-Forwards` (RFC 9110 7.6.2, 7.6.3).
use crate::wire::Head;
use doorward_core::request::{FieldKind, Lookup, RequestView};
use memchr::memmem;

/// How this installation tells that a message came through it.
pub(crate) struct Via {
    name: Box<[u8]>,
    /// The field line, for a message that came in HTTP/1.0, in HTTP/1.1 and in HTTP/2.
    lines: [Box<[u8]>; 3],
}

impl Via {
    /// Under the name that all nodes of the installation have.
    pub(crate) fn new(name: &str) -> Via {
        let line = |version: &str| format!("via: {version} {name}\r\n").into_bytes().into_boxed_slice();
        Via { name: name.as_bytes().into(), lines: [line("1.0"), line("1.1"), line("2.0")] }
    }

    /// What is added to a message that came like this. `minor` is that of HTTP/1.
    pub(crate) fn line(&self, minor: u8, http2: bool) -> &[u8] {
        &self.lines[if http2 { 2 } else { usize::from(minor > 0) }]
    }

    /// Whether a request has come through this installation before. The name is looked for wherever it may stand: nobody
    /// else knows it, and whoever sends it refuses itself.
    pub(crate) fn is_in(&self, raw: &[u8], head: &Head) -> bool {
        let said = || head.fields.iter().filter(|f| f.kind == FieldKind::Via);
        head.via && said().any(|f| memmem::find(f.value.on(raw), &self.name).is_some())
    }
}

/// How often an OPTIONS request may still be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwards {
    /// It does not say.
    Any,
    At(u32),
    /// It says so in a way that can't be read.
    Unclear,
}

/// What `Max-Forwards` says, which binds OPTIONS and TRACE; the latter is refused.
pub(crate) fn forwards(req: &RequestView<'_>) -> Forwards {
    if req.method != b"OPTIONS" {
        return Forwards::Any;
    }
    match req.field("max-forwards") {
        Lookup::Absent => Forwards::Any,
        Lookup::One(text) if (1..=9).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) => {
            Forwards::At(text.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0')))
        }
        _ => Forwards::Unclear,
    }
}
