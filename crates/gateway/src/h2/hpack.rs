//! HPACK (RFC 7541): field lines as they are compressed.
use super::huffman;
use super::table::{STATIC, Table};

/// Fields of one block. A head has a tenth of it at most; small blocks can mean any number of large fields.
const MAX_BLOCK_FIELDS: usize = 1_024;
/// Bytes of text that one block may mean. Far more than any head that is taken: what is a little too long is answered.
const MAX_BLOCK_TEXT_BYTES: usize = 4 * crate::wire::MAX_HEAD_BYTES;
/// Size changes at the start of one block (RFC 7541 4.2 knows two).
const MAX_SIZE_UPDATES: usize = 2;

/// Why a block can't be decompressed: nothing after it on that connection can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Garbled,
    /// It has more fields than [`MAX_BLOCK_FIELDS`], or more text than [`MAX_BLOCK_TEXT_BYTES`].
    TooMany,
}

/// What one side remembers of what the other has compressed.
pub(super) struct Decoder {
    table: Table,
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Decoder {
    /// `table_bytes` is what was said in SETTINGS_HEADER_TABLE_SIZE.
    pub(super) fn new(table_bytes: usize) -> Decoder {
        Decoder { table: Table::new(table_bytes), name: Vec::new(), value: Vec::new() }
    }

    /// Decompresses a whole block; each field goes to `take`.
    pub(super) fn decode(&mut self, block: &[u8], mut take: impl FnMut(&[u8], &[u8])) -> Result<(), Bad> {
        let (mut at, mut updates, mut fields, mut text_bytes) = (block, 0, 0, 0);
        while let [first, ..] = at {
            if fields == MAX_BLOCK_FIELDS || text_bytes > MAX_BLOCK_TEXT_BYTES {
                return Err(Bad::TooMany);
            }
            match first {
                0x80.. => {
                    let index = integer(&mut at, 7)?;
                    let (name, value) = self.table.get(index).ok_or(Bad::Garbled)?;
                    text_bytes += name.len() + value.len();
                    take(name, value);
                    fields += 1;
                }
                0x20..0x40 => {
                    updates += 1;
                    let size = integer(&mut at, 5)?;
                    if fields > 0 || updates > MAX_SIZE_UPDATES || !self.table.resize(size) {
                        return Err(Bad::Garbled);
                    }
                }
                _ => {
                    let keep = *first >= 0x40;
                    let index = integer(&mut at, if keep { 6 } else { 4 })?;
                    match index {
                        0 => string(&mut at, &mut self.name)?,
                        _ => {
                            self.name.clear();
                            self.name.extend_from_slice(self.table.get(index).ok_or(Bad::Garbled)?.0);
                        }
                    }
                    string(&mut at, &mut self.value)?;
                    text_bytes += self.name.len() + self.value.len();
                    take(&self.name, &self.value);
                    if keep {
                        self.table.insert(&self.name, &self.value);
                    }
                    fields += 1;
                }
            }
        }
        Ok(())
    }
}

/// An integer whose first octet has so many bits of it (RFC 7541 5.1). None that matters has more than 28 bits.
fn integer(at: &mut &[u8], bits: u32) -> Result<usize, Bad> {
    let most = (1 << bits) - 1;
    let (first, mut rest) = at.split_first().ok_or(Bad::Garbled)?;
    let mut n = usize::from(*first) & most;
    if n == most {
        let mut shift = 0;
        loop {
            let (octet, after) = rest.split_first().ok_or(Bad::Garbled)?;
            rest = after;
            n += usize::from(octet & 0x7f) << shift;
            if *octet < 0x80 {
                break;
            }
            shift += 7;
            if shift > 21 {
                return Err(Bad::Garbled);
            }
        }
    }
    *at = rest;
    Ok(n)
}

fn string(at: &mut &[u8], into: &mut Vec<u8>) -> Result<(), Bad> {
    let coded = *at.first().ok_or(Bad::Garbled)? >= 0x80;
    let length = integer(at, 7)?;
    let (text, rest) = at.split_at_checked(length).ok_or(Bad::Garbled)?;
    *at = rest;
    into.clear();
    if !coded {
        into.extend_from_slice(text);
    } else if !huffman::decode(text, into) {
        return Err(Bad::Garbled);
    }
    Ok(())
}

fn put_integer(out: &mut Vec<u8>, first: u8, bits: u32, n: usize) {
    let most = (1_usize << bits) - 1;
    if n < most {
        out.push(first | n as u8);
        return;
    }
    out.push(first | most as u8);
    let mut left = n - most;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    put_integer(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

/// Says that nothing is remembered on this side: what is sent needs no table, whatever the other side allows.
pub(super) fn put_no_table(out: &mut Vec<u8>) {
    out.push(0x20);
}

/// Where names stand that answers and requests have; `name` in any case.
fn known(name: &[u8]) -> Option<usize> {
    let likely: &[usize] = match name.len() {
        3 => &[59, 60, 21],
        4 => &[33, 34, 45],
        5 => &[22, 50],
        6 => &[54, 19, 32],
        7 => &[51, 36, 35],
        8 => &[46],
        10 => &[55, 58],
        11 => &[53],
        12 => &[31],
        13 => &[24, 44, 18, 23, 30],
        14 => &[28],
        15 => &[16, 17],
        16 => &[26, 61],
        25 => &[56],
        27 => &[20],
        _ => &[],
    };
    likely.iter().copied().find(|index| name.eq_ignore_ascii_case(STATIC[index - 1].0))
}

/// Appends a field; its name is written in lower case.
pub(super) fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    match known(name) {
        Some(index) => put_integer(out, 0, 4, index),
        None => {
            out.push(0);
            put_integer(out, 0, 7, name.len());
            let from = out.len();
            out.extend_from_slice(name);
            out[from..].make_ascii_lowercase();
        }
    }
    put_string(out, value);
}

/// Appends a status.
pub(super) fn put_status(out: &mut Vec<u8>, status: u16) {
    let index = match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => {
            let digit = |n: u16| b'0' + (n % 10) as u8;
            put_integer(out, 0, 4, 8);
            return put_string(out, &[digit(status / 100), digit(status / 10), digit(status)]);
        }
    };
    out.push(0x80 | index);
}

/// Appends what a request asks for.
pub(super) fn put_request(out: &mut Vec<u8>, method: &[u8], secure: bool, authority: &[u8], path: &[u8]) {
    match method {
        b"GET" => out.push(0x82),
        b"POST" => out.push(0x83),
        _ => {
            put_integer(out, 0, 4, 2);
            put_string(out, method);
        }
    }
    out.push(if secure { 0x87 } else { 0x86 });
    put_integer(out, 0, 4, 1);
    put_string(out, authority);
    put_integer(out, 0, 4, 4);
    put_string(out, path);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Bad> {
        let mut all = Vec::new();
        let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
        decoder.decode(block, |n, v| all.push((text(n), text(v)))).map(|()| all)
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    /// RFC 7541 C.4: three requests on one connection.
    #[test]
    fn the_standards_own_requests() {
        let mut decoder = Decoder::new(4096);
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        let mut want = pairs(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ]);
        assert_eq!(fields(&mut decoder, first).unwrap(), want);
        want.push(("cache-control".to_owned(), "no-cache".to_owned()));
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        assert_eq!(fields(&mut decoder, second).unwrap(), want);
        let third = b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
        let want = pairs(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ]);
        assert_eq!(fields(&mut decoder, third).unwrap(), want);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        put_no_table(&mut out);
        put_status(&mut out, 200);
        put_status(&mut out, 431);
        let long = "v".repeat(20_000);
        let names = ["Content-Type", "x-a", "VIA", "www-authenticate", "Age", "set-cookie", "doorward-code"];
        for name in names {
            put(&mut out, name.as_bytes(), long.as_bytes());
        }
        put_request(&mut out, b"PUT", true, b"a:1", b"/x?y");
        let got = fields(&mut Decoder::new(4096), &out).unwrap();
        let mut want = pairs(&[(":status", "200"), (":status", "431")]);
        want.extend(names.iter().map(|n| (n.to_lowercase(), long.clone())));
        want.extend(pairs(&[
            (":method", "PUT"),
            (":scheme", "https"),
            (":authority", "a:1"),
            (":path", "/x?y"),
        ]));
        assert_eq!(got, want);
        for (index, (name, _)) in STATIC.iter().enumerate().skip(14) {
            if let Some(found) = known(name) {
                assert_eq!(found, index + 1);
            }
        }
    }

    #[test]
    fn a_small_block_that_means_much_is_not_read_to_its_end() {
        let mut block = vec![0x40, 1, b'b', 127, 0x81, 0x1d];
        block.extend([b'c'; 127 + 1 + 29 * 128]);
        block.extend([0xbe; 1_000]);
        let mut bytes = 0;
        let decoded = Decoder::new(4096).decode(&block, |name, value| bytes += name.len() + value.len());
        assert_eq!(decoded, Err(Bad::TooMany));
        assert!((MAX_BLOCK_TEXT_BYTES..MAX_BLOCK_TEXT_BYTES + 4096).contains(&bytes), "{bytes}");
    }

    #[test]
    fn garbled_blocks_are_refused_at_every_cut() {
        let whole = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        for end in 4..whole.len() {
            assert_eq!(fields(&mut Decoder::new(4096), &whole[..end]).is_err(), end > 3, "{end}");
        }
        for bad in [
            &b"\x80"[..],
            b"\xbe",
            b"\xff\xff\xff\xff\xff\xff\x0f",
            b"\x3f\xe2\x1f",
            b"\x20\x20\x20",
            b"\x82\x20",
            b"\x00\x81\xff\x00",
            b"\x7f",
            b"\x40\x05a",
        ] {
            assert!(fields(&mut Decoder::new(4096), bad).is_err(), "{}", bad.escape_ascii());
        }
        assert!(
            fields(&mut Decoder::new(4096), b"\x20\x3f\xe1\x1f\x82").is_ok(),
            "to nothing, and back to 4096"
        );
    }
}
