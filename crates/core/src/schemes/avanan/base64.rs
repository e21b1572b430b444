//! Base64 as the signature is made over it (RFC 4648 4: the usual alphabet, padded, without line breaks).
use smallvec::SmallVec;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode(bytes: &[u8]) -> SmallVec<[u8; 512]> {
    let mut out = SmallVec::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let n = at(0) << 16 | at(1) << 8 | at(2);
        for (i, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            out.push(if i <= three.len() { ALPHABET[(n >> shift & 63) as usize] } else { b'=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    /// RFC 4648 10.
    #[test]
    fn the_examples_of_the_standard() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(super::encode(text.as_bytes())[..], *coded.as_bytes(), "{text}");
        }
        assert_eq!(super::encode(&[0xfb, 0xff, 0xfe])[..], *b"+//+");
    }
}
