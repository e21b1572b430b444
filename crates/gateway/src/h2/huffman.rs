//! The Huffman code of HPACK (RFC 7541 5.2 and appendix B).
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, so the lengths are all
//! there is to know.

/// Octets, and the end-of-string symbol.
const SYMBOLS: usize = 257;
const END_OF_STRING: u16 = 256;
/// The longest code, in bits.
const LONGEST: usize = 30;
/// Codes of at most so many bits are found at once.
const QUICK_BITS: usize = 9;

/// The length of each symbol's code, in bits.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

struct Tables {
    /// By the next bits: the symbol and the length of its code; length 0: a longer code.
    quick: [(u8, u8); 1 << QUICK_BITS],
    /// By length: the first code, how many there are, and where their symbols stand.
    first: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
    start: [u16; LONGEST + 1],
    /// The symbols in the order of their codes.
    symbols: [u16; SYMBOLS],
}

static TABLES: Tables = tables();

const fn tables() -> Tables {
    let mut t = Tables {
        quick: [(0, 0); 1 << QUICK_BITS],
        first: [0; LONGEST + 1],
        count: [0; LONGEST + 1],
        start: [0; LONGEST + 1],
        symbols: [0; SYMBOLS],
    };
    let (mut code, mut at, mut length) = (0_u32, 0, 1);
    while length <= LONGEST {
        code <<= 1;
        t.first[length] = code;
        t.start[length] = at as u16;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                t.symbols[at] = symbol as u16;
                at += 1;
                if length <= QUICK_BITS {
                    let from = (code as usize) << (QUICK_BITS - length);
                    let mut fill = 0;
                    while fill < 1 << (QUICK_BITS - length) {
                        t.quick[from + fill] = (symbol as u8, length as u8);
                        fill += 1;
                    }
                }
                code += 1;
                t.count[length] += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    t
}

/// The symbol whose code stands at the top of `bits`, and its length.
fn longer(bits: u64) -> Option<(u16, u32)> {
    (QUICK_BITS + 1..=LONGEST).find_map(|length| {
        let place = ((bits >> (64 - length)) as u32).wrapping_sub(TABLES.first[length]);
        let symbol = TABLES.start[length] as usize + place as usize;
        (place < TABLES.count[length]).then(|| (TABLES.symbols[symbol], length as u32))
    })
}

/// Decodes a string; `false`: it is none. What pads the last octet is all ones and shorter than an octet; the
/// end-of-string symbol stands nowhere.
#[must_use]
pub(super) fn decode(from: &[u8], out: &mut Vec<u8>) -> bool {
    let (mut bits, mut have, mut at) = (0_u64, 0_u32, 0);
    loop {
        while have <= 56 && at < from.len() {
            bits |= u64::from(from[at]) << (56 - have);
            have += 8;
            at += 1;
        }
        if have == 0 {
            return true;
        }
        let found = match TABLES.quick[(bits >> (64 - QUICK_BITS)) as usize] {
            (_, 0) => longer(bits),
            (symbol, length) => Some((u16::from(symbol), u32::from(length))),
        };
        match found {
            Some((symbol, length)) if length <= have => {
                if symbol == END_OF_STRING {
                    return false;
                }
                out.push(symbol as u8);
                bits <<= length;
                have -= length;
            }
            _ => return have < 8 && bits >> (64 - have) == (1 << have) - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &[u8]) -> Vec<u8> {
        let (mut out, mut bits, mut have) = (Vec::new(), 0_u64, 0_u32);
        for symbol in text {
            let length = LENGTHS[usize::from(*symbol)];
            let place = TABLES.symbols.iter().position(|s| *s == u16::from(*symbol)).unwrap();
            let place = place as u32 - u32::from(TABLES.start[usize::from(length)]);
            let code = TABLES.first[usize::from(length)] + place;
            bits = bits << length | u64::from(code);
            have += u32::from(length);
            while have >= 8 {
                have -= 8;
                out.push((bits >> have) as u8);
            }
        }
        if have > 0 {
            out.push((bits << (8 - have)) as u8 | ((1_u16 << (8 - have)) - 1) as u8);
        }
        out
    }

    /// RFC 7541 C.4 and C.6.
    #[test]
    fn the_standards_own_examples() {
        for (text, coded) in [
            ("www.example.com", &b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..]),
            ("no-cache", b"\xa8\xeb\x10\x64\x9c\xbf"),
            ("custom-value", b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf"),
            (
                "Mon, 21 Oct 2013 20:13:21 GMT",
                b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
            ),
        ] {
            let mut out = Vec::new();
            assert!(decode(coded, &mut out));
            assert_eq!(String::from_utf8(out).unwrap(), text);
            assert_eq!(encode(text.as_bytes()), coded);
        }
    }

    #[test]
    fn every_octet_comes_back() {
        for first in 0..=u8::MAX {
            let text: Vec<u8> = (0..40_u8).map(|n| first.wrapping_add(n.wrapping_mul(7))).collect();
            let mut out = Vec::new();
            assert!(decode(&encode(&text), &mut out));
            assert_eq!(out, text);
        }
    }

    #[test]
    fn padding_is_short_and_all_ones() {
        let taken = |coded: &[u8]| decode(coded, &mut Vec::new());
        assert!(taken(b""));
        assert!(taken(b"\x1f"), "a and three ones");
        assert!(!taken(b"\x18"), "a and zeros");
        assert!(!taken(b"\x1f\xff"), "a whole octet of padding");
        assert!(!taken(b"\xff\xff\xff\xff"), "the end of the string");
        assert!(!taken(b"\xff"));
    }
}
