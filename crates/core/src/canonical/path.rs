//! The path as it is signed.

/// How a path is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathForm {
    /// Dot segments are removed (RFC 3986 5.2.4) and `//` becomes `/`.
    pub normalised: bool,
    /// Every byte but unreserved ones and `/` is percent-encoded, a `%` that was sent too.
    pub encoded: bool,
}

/// Appends the path as it is signed.
pub(super) fn push(out: &mut Vec<u8>, path: &[u8], form: PathForm) {
    let plain = !form.normalised || !odd(path);
    if plain && !form.encoded {
        out.extend_from_slice(path);
        return;
    }
    let normal = if plain { path.to_vec() } else { normalised(path) };
    if form.encoded {
        normal.iter().for_each(|b| if *b == b'/' { out.push(*b) } else { push_encoded(out, *b) });
    } else {
        out.extend_from_slice(&normal);
    }
}

/// Whether this path, taken for one that is signed as it was sent, is signed by nobody who encodes paths once more: then
/// the signature belongs to it alone. It does where it can't be what encoding makes of another path, because something
/// in it is not encoded that would be, or because what it was made of could never have been sent.
pub(crate) fn only_as_sent(path: &[u8]) -> bool {
    let mut i = 0;
    while let Some(&b) = path.get(i) {
        if b != b'%' {
            if b != b'/' && !unreserved(b) {
                return true;
            }
            i += 1;
            continue;
        }
        let Some((high, low)) = path.get(i + 1).zip(path.get(i + 2)) else { return true };
        let digit = |d: &u8| char::from(*d).to_digit(16).filter(|_| !d.is_ascii_lowercase());
        let (Some(high), Some(low)) = (digit(high), digit(low)) else { return true };
        let octet = (high << 4 | low) as u8;
        // Neither encoded without need, nor an octet that may stand in a path.
        if unreserved(octet) || octet == b'/' || !octet.is_ascii_graphic() {
            return true;
        }
        i += 3;
    }
    false
}

/// Whether there is anything to normalise.
fn odd(path: &[u8]) -> bool {
    path.is_empty() || path.windows(2).any(|w| w[0] == b'/' && matches!(w[1], b'/' | b'.'))
}

/// Without dot segments and doubled slashes. Encoded dots are no dots.
pub(crate) fn normalised(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments = path.strip_prefix(b"/").unwrap_or(path).split(|b| *b == b'/');
    let mut open = true;
    for segment in segments {
        open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let mut out = Vec::with_capacity(path.len() + 1);
    for segment in &kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    // What ends in a slash or a dot segment is a folder.
    if open || kept.is_empty() {
        out.push(b'/');
    }
    out
}

/// Whether a byte stands for itself wherever it is (RFC 3986 2.3).
pub(crate) fn unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

/// Appends a byte, percent-encoded in upper case unless it is unreserved.
pub(crate) fn push_encoded(out: &mut Vec<u8>, b: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if unreserved(b) {
        out.push(b);
    } else {
        out.extend([b'%', DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path is either what encoding makes of one that can be sent, or it can be signed as it was sent; never both.
    #[test]
    fn a_path_as_sent_is_no_other_path_encoded() {
        for other in ["/a,b", "/a%20b", "/a%2Cb", "/:", "/a(b)", "/%C3%A4,"] {
            let mut encoded = Vec::new();
            push(&mut encoded, other.as_bytes(), PathForm { normalised: true, encoded: true });
            assert!(!only_as_sent(&encoded), "{other}");
        }
        for plain in ["/", "/a/b", "/a%2Cb", "/a%2520b"] {
            assert!(!only_as_sent(plain.as_bytes()), "{plain}");
        }
        for alone in
            ["/a%20b", "/a,b", "/%c3%a4", "/%C3%A4", "/a%41", "/a%2cb", "/a%", "/a%4", "/a%zz", "/a%2F"]
        {
            assert!(only_as_sent(alone.as_bytes()), "{alone}");
        }
    }

    #[test]
    fn a_path_is_signed_in_its_form() {
        let signed = |path: &str, normalised, encoded| {
            let mut out = Vec::new();
            push(&mut out, path.as_bytes(), PathForm { normalised, encoded });
            String::from_utf8(out).unwrap()
        };
        for (path, normal) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("//a//", "/a/"),
            ("/./", "/"),
            ("/./a", "/a"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/../..", "/"),
            ("/a/b/../c", "/a/c"),
            ("/../a", "/a"),
            ("/a/.b/..c/...", "/a/.b/..c/..."),
            ("/a/%2e%2e/b", "/a/%2e%2e/b"),
        ] {
            assert_eq!(signed(path, true, false), normal, "{path}");
        }
        assert_eq!(signed("/a//../%2e b", false, false), "/a//../%2e b");
        assert_eq!(signed("/b%20c/\u{1234}~", true, true), "/b%2520c/%E1%88%B4~");
        assert_eq!(signed("/./b c", true, true), "/b%20c");
    }
}
