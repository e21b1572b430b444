//! HTTP/1.1 on the wire: bytes in, one unambiguous reading of them out, or a refusal (RFC 9110, RFC 9112).
//!
//! Pure: no I/O, no clock. The same rules hold towards callers and towards upstreams. Whatever two parsers could read
//! in two ways is refused, even where the standard would let it be repaired: a message that is accepted here has the
//! same length, target and fields for every other reader.
//!
//! [`Lines`] finds the end of a head, [`request`] or [`response`] reads it into a [`Head`], [`Chunked`] takes a chunked
//! body apart, [`end_to_end`] tells which fields may travel on.
mod chunked;
mod connection;
mod diagnose;
mod fields;
mod framing;
mod head;
mod kind;
mod lines;
mod reject;
mod sentence;
mod target;
mod trailers;

pub use chunked::Chunked;
pub use connection::upgrade;
pub use fields::{Towards, end_to_end, nominated};
pub use head::{Expect, Framing, Head, request, response};
pub(crate) use kind::folds_to;
pub use kind::kind;
pub use lines::Lines;
pub use reject::Reject;
pub use trailers::trailer_may_travel;

/// The longest head that can be read at all, in bytes: places in it are kept as two octets.
pub const MAX_HEAD_BYTES: usize = u16::MAX as usize;

/// The most field lines that can be read at all.
pub const MAX_FIELDS: usize = 128;

/// The longest method that is read, in bytes. The longest registered one has 17.
pub const MAX_METHOD_BYTES: usize = 32;

/// How much of a message is taken before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, its last empty line included; at most [`MAX_HEAD_BYTES`] count.
    pub head_bytes: usize,
    /// Field lines of a head; at most [`MAX_FIELDS`] count.
    pub fields: usize,
    /// Bytes of one chunk-size line with its extensions and CRLF.
    pub chunk_line_bytes: u16,
    /// Bytes of a trailer section, its last empty line included.
    pub trailer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head_bytes: 16_384, fields: 64, chunk_line_bytes: 128, trailer_bytes: 4_096 }
    }
}

/// Octets of a token (RFC 9110 5.6.2).
const TOKEN: [bool; 256] = octets(b"!#$%&'*+-.^_`|~", true);

/// A table of octets: the listed ones, and letters and digits where asked for.
const fn octets(listed: &[u8], alphanumeric: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut i = 0;
    while i < listed.len() {
        table[listed[i] as usize] = true;
        i += 1;
    }
    let mut c = 0;
    while c < 128 {
        if alphanumeric && (c as u8).is_ascii_alphanumeric() {
            table[c] = true;
        }
        c += 1;
    }
    table
}

/// Whether every octet is in the table. Without an early end: what is looked at is short and mostly good.
#[inline]
fn all_of(table: &[bool; 256], bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |good, c| good & table[usize::from(*c)])
}

/// Without the optional white space around it: SP and HTAB, nothing else (RFC 9110 5.6.3).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
