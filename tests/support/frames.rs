//! Frames of HTTP/2 as a test writes them: nothing of the product is used, and nothing is checked.
use super::message::Fields;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITISED: u8 = 32;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Codes of RFC 9113 7.
pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The number that a RST_STREAM or a WINDOW_UPDATE holds.
    pub(crate) fn number(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().expect("four bytes"))
    }
    pub(crate) fn ends(&self) -> bool {
        self.flags & END_STREAM != 0
    }
}

/// A frame as bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// SETTINGS with these values.
pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload =
        values.iter().flat_map(|(key, value)| [&key.to_be_bytes()[..], &value.to_be_bytes()].concat());
    frame(SETTINGS, 0, 0, &payload.collect::<Vec<_>>())
}

/// A frame that holds one number.
pub(crate) fn number(kind: u8, stream: u32, n: u32) -> Vec<u8> {
    frame(kind, 0, stream, &n.to_be_bytes())
}

/// The names of the codes of RFC 9113 7, from 0 on.
const CODES: &[&str] = &[
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
];

/// A code by its name.
pub(crate) fn code(name: &str) -> Option<u32> {
    CODES.iter().position(|known| *known == name).and_then(|at| u32::try_from(at).ok())
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    if text.len() < 127 {
        out.push(text.len() as u8);
    } else {
        out.push(127);
        let mut left = text.len() - 127;
        while left >= 128 {
            out.push(left as u8 | 128);
            left >>= 7;
        }
        out.push(left as u8);
    }
    out.extend_from_slice(text);
}

/// A field written out whole (RFC 7541 6.2), with what its first octet says about tables. An octet a character, so that any
/// can be.
pub(crate) fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![first];
    for text in [name, value] {
        string(&text.chars().map(|c| c as u8).collect::<Vec<_>>(), &mut out);
    }
    out
}

/// Fields, each written out whole, and not kept in any table.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(0, name, value)).collect()
}

/// RFC 7541 appendix A.
const NAMES: &str = ":authority :method :method :path :path :scheme :scheme :status :status :status :status :status \
    :status :status accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age \
    allow authorization cache-control content-disposition content-encoding content-language content-length \
    content-location content-range content-type cookie date etag expect expires from host if-match if-modified-since \
    if-none-match if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate \
    proxy-authorization range referer refresh retry-after server set-cookie strict-transport-security transfer-encoding \
    user-agent vary via www-authenticate";
const VALUES: &str = "_ GET POST / /index.html http https 200 204 206 304 400 404 500";

/// Reads a block of fields; of compression it knows the static table alone.
pub(crate) fn fields(mut block: &[u8]) -> Fields {
    fn integer(block: &mut &[u8], bits: u32) -> usize {
        let most = (1 << bits) - 1;
        let mut n = usize::from(block[0]) & most;
        *block = &block[1..];
        let mut shift = 0;
        while n >= most {
            let octet = block[0];
            *block = &block[1..];
            n += usize::from(octet & 127) << shift;
            shift += 7;
            if octet < 128 {
                break;
            }
        }
        n
    }
    fn text(block: &mut &[u8]) -> String {
        assert!(block[0] < 128, "the gateway writes strings as they are");
        let length = integer(block, 7);
        let (text, rest) = block.split_at(length);
        *block = rest;
        text.iter().map(|b| char::from(*b)).collect()
    }
    let name = |index: usize| NAMES.split_whitespace().nth(index - 1).expect("an index").to_owned();
    let mut out = Vec::new();
    while let Some(first) = block.first() {
        match first {
            128.. => {
                let index = integer(&mut block, 7);
                let value = VALUES.split_whitespace().nth(index - 1).expect("a value");
                out.push((name(index), value.to_owned()));
            }
            0..16 => {
                let index = integer(&mut block, 4);
                let name = if index == 0 { text(&mut block) } else { name(index) };
                let value = text(&mut block);
                out.push((name, value));
            }
            32..64 => assert_eq!(integer(&mut block, 5), 0, "the gateway remembers nothing"),
            other => panic!("the gateway adds to no table: {other}"),
        }
    }
    out
}
