//! New ids and secrets: a prefix that scanners can look for, random characters, and a checksum that tells a real one
//! from something that merely looks like it.
//!
//! The checksum is for scanners. A decision never looks at it: what fails it is answered like anything unknown.

/// Prefix of the id of a key.
pub const KEY_ID: &str = "dwi_";
/// Prefix of the id of a key that Avanan's callers send without a region before it: it has to begin with what stands in no
/// id of a request.
pub const APP_ID: &str = "xdwi_";
/// Prefix of the secret of a key.
pub const KEY_SECRET: &str = "dws_";
/// Prefix of the token of a publishable key: it may stand in a web page.
pub const PUBLISHABLE_TOKEN: &str = "dwp_";

/// Random bytes that [`with_prefix`] needs for an id: 16 characters, 95 bits.
pub const ID_RANDOM_BYTES: usize = 16;
/// Random bytes that [`with_prefix`] needs for a secret: 32 characters, 190 bits.
pub const SECRET_RANDOM_BYTES: usize = 32;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^6 > 2^32: six characters hold a CRC-32.
const CHECKSUM_CHARS: usize = 6;

/// Makes `prefix`, one character for each random byte, and the checksum of both.
///
/// Bytes of 248 and above are mapped like 0..=7: each character is chosen with a bias of less than 1/40 of a bit, which
/// the length more than makes up for.
#[must_use]
pub fn with_prefix(prefix: &str, random: &[u8]) -> String {
    let mut out = String::from(prefix);
    out.extend(random.iter().map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])));
    let sum = checksum(&out);
    out.push_str(&sum);
    out
}

/// Whether `text` ends in the checksum of what stands before it.
#[must_use]
pub fn checksum_fits(text: &str) -> bool {
    let Some(at) = text.len().checked_sub(CHECKSUM_CHARS).filter(|at| text.is_char_boundary(*at)) else {
        return false;
    };
    checksum(&text[..at]) == text[at..]
}

fn checksum(text: &str) -> String {
    let mut n = crc32fast::hash(text.as_bytes());
    let mut out = [b'0'; CHECKSUM_CHARS];
    for c in out.iter_mut().rev() {
        *c = ALPHABET[n as usize % ALPHABET.len()];
        n /= ALPHABET.len() as u32;
    }
    out.iter().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_finds_every_single_change() {
        let id = with_prefix(KEY_ID, &[7; ID_RANDOM_BYTES]);
        assert_eq!(id.len(), 4 + 16 + 6);
        assert!(checksum_fits(&id));
        for i in 0..id.len() {
            let mut other = id.clone().into_bytes();
            other[i] = if other[i] == b'x' { b'y' } else { b'x' };
            assert!(!checksum_fits(std::str::from_utf8(&other).unwrap()));
        }
        assert!(!checksum_fits("") && !checksum_fits("dwi_"));
    }
}
