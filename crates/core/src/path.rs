//! What may be odd about a path, and what an upstream could take it for.
//!
//! Half of all break-ins through gateways are two programs reading one path differently. So a path is matched as it was
//! sent and as a lenient upstream might read it, and both must lead to the same route.
use smallvec::SmallVec;
use std::borrow::Cow;

mod readings;
use readings::best_fit;
pub use readings::{Empty, Escapes, Habits, Parameters, Reading, folded, lenient_segments};

/// Bytes of a path that servers may read in several ways, at most: it is read in each of them.
const MAX_ODD_BYTES: usize = 8_192;
/// The same in segments.
const MAX_ODD_SEGMENTS: usize = 256;

/// What an API lets through although it is odd. Nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// `%2F`.
    pub encoded_slash: bool,
    /// `//`.
    pub empty_segments: bool,
    /// `/./`, `/../`, also encoded.
    pub dot_segments: bool,
}

/// What is odd about a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Never let through: a fact for the log.
    pub never: Option<&'static str>,
    /// What only an API that says so lets through.
    pub asks_for: PathRules,
    /// Whether an upstream could read the path otherwise than as sent.
    pub readings_differ: bool,
    /// Whether some segment has parameters (`;`).
    parameters: bool,
}

impl Oddities {
    /// The first thing that `rules` do not let through.
    #[must_use]
    pub fn against(&self, rules: PathRules) -> Option<&'static str> {
        let asks = self.asks_for;
        self.never
            .or((asks.encoded_slash && !rules.encoded_slash).then_some("path-encoded-slash"))
            .or((asks.dot_segments && !rules.dot_segments).then_some("path-dot-segment"))
            .or((asks.empty_segments && !rules.empty_segments).then_some("path-empty-segment"))
    }
}

/// What is odd, in a sentence for the caller.
#[must_use]
pub fn sentence(fact: &str) -> &'static str {
    match fact {
        "path-escape-malformed" => "The path has a `%` that two hexadecimal digits do not follow.",
        "path-encoded-backslash" | "path-backslash" => "The path has a backslash.",
        "path-encoded-delimiter" => "The path has an encoded `;`, `?` or `#`.",
        "path-encoded-control" => "The path has an encoded control character.",
        "path-escape-not-utf8" => "The path has escapes that are no UTF-8.",
        "path-encoded-twice" => "The path is encoded twice.",
        "path-encoded-slash" => "The path has an encoded slash.",
        "path-dot-segment" => "The path has a segment `.` or `..`.",
        "path-empty-segment" => "The path has two slashes in a row.",
        "path-dots-mixed" => "The path has a segment `.` or `..` beside other spellings of dots or slashes.",
        "path-too-long" => {
            "The path has escapes, parameters, dots or empty segments, and more than 8192 bytes or 256 segments."
        }
        _ => "The path can be read in more than one way.",
    }
}

fn hex(b: u8) -> Option<u8> {
    (b as char).to_digit(16).map(|d| d as u8)
}

/// The octet that `%XX` at the start of `at` stands for.
fn escape(at: &[u8]) -> Option<u8> {
    match at {
        [b'%', a, b, ..] => Some(hex(*a)? << 4 | hex(*b)?),
        _ => None,
    }
}

/// Whether there is something left that some server decodes: `%XX`, or `%uXXXX`, which a few know.
fn has_escapes(text: &[u8]) -> bool {
    let wide = |at: &[u8]| matches!(at, [b'%', b'u' | b'U', digits @ ..] if digits.iter().all(u8::is_ascii_hexdigit));
    text.windows(3).any(|at| escape(at).is_some()) || text.windows(6).any(wide)
}

/// Looks for everything odd. One pass over a plain path.
#[must_use]
pub fn oddities(path: &[u8]) -> Oddities {
    let mut odd = Oddities::default();
    let mut special = false;
    let mut i = 0;
    while let Some(&b) = path.get(i) {
        match b {
            b'%' => {
                special = true;
                match escape(&path[i..]) {
                    None => odd.never = odd.never.or(Some("path-escape-malformed")),
                    Some(b'/') => odd.asks_for.encoded_slash = true,
                    Some(b'\\') => odd.never = odd.never.or(Some("path-encoded-backslash")),
                    Some(b';' | b'?' | b'#') => odd.never = odd.never.or(Some("path-encoded-delimiter")),
                    Some(0..=0x1f | 0x7f) => odd.never = odd.never.or(Some("path-encoded-control")),
                    Some(_) => {}
                }
            }
            b'\\' => odd.never = odd.never.or(Some("path-backslash")),
            b';' => (special, odd.parameters) = (true, true),
            b'/' => special |= matches!(path.get(i + 1), Some(b'/' | b'.')),
            _ => {}
        }
        i += 1;
    }
    odd.readings_differ = special;
    let last = if special { path.iter().filter(|b| **b == b'/').count() } else { 0 };
    if special && (path.len() > MAX_ODD_BYTES || last > MAX_ODD_SEGMENTS) {
        odd.never = odd.never.or(Some("path-too-long"));
    } else if special {
        let (mut plain_dots, mut hides) = (false, false);
        let segments = path.split(|b| *b == b'/').skip(1);
        for (n, segment) in segments.enumerate() {
            // A trailing slash is not an empty segment.
            odd.asks_for.empty_segments |= segment.is_empty() && n + 1 != last;
            let once = decoded(segment);
            // Old decoders read overlong forms of dots and slashes where there is no UTF-8.
            if std::str::from_utf8(&once).is_err() {
                odd.never = odd.never.or(Some("path-escape-not-utf8"));
            }
            if matches!(once, Cow::Owned(_)) && has_escapes(&once) {
                odd.never = odd.never.or(Some("path-encoded-twice"));
            }
            // Dots among what only looks like slashes are dots as well.
            let looks = if once.is_ascii() { once } else { Cow::Owned(best_fit(once.into_owned())) };
            let mut parts = looks.split(|b| matches!(b, b'/' | b'\\'));
            let dots = parts.any(|s| matches!(without_parameters(s), b"." | b".."));
            odd.asks_for.dot_segments |= dots;
            match segment {
                b"." | b".." => plain_dots = true,
                _ => hides |= dots || looks.iter().any(|b| matches!(b, b'/' | b'\\' | b'?' | b'#')),
            }
        }
        // Who follows dots before decoding and again after it takes one segment for another than who does it once.
        if plain_dots && hides {
            odd.never = odd.never.or(Some("path-dots-mixed"));
        }
    }
    odd
}

fn decoded(segment: &[u8]) -> Cow<'_, [u8]> {
    if !segment.contains(&b'%') {
        return Cow::Borrowed(segment);
    }
    let mut out = Vec::with_capacity(segment.len());
    decode(segment, &mut out);
    Cow::Owned(out)
}

/// Decodes once what can be decoded.
fn decode(text: &[u8], out: &mut Vec<u8>) {
    let mut i = 0;
    while let Some(&b) = text.get(i) {
        let octet = escape(&text[i..]);
        out.push(octet.unwrap_or(b));
        i += if octet.is_some() { 3 } else { 1 };
    }
}

/// Some servers cut `;...` off a segment (RFC 3986 3.3 speaks of parameters).
fn without_parameters(segment: &[u8]) -> &[u8] {
    segment.split(|b| *b == b';').next().unwrap_or(segment)
}

/// The segments of a path as sent. A trailing slash adds none.
#[must_use]
pub fn segments(path: &[u8]) -> SmallVec<[&[u8]; 16]> {
    let inner = path.strip_prefix(b"/").unwrap_or(path);
    let inner = inner.strip_suffix(b"/").unwrap_or(inner);
    if inner.is_empty() { SmallVec::new() } else { inner.split(|b| *b == b'/').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str) -> Option<&'static str> {
        oddities(path.as_bytes()).against(PathRules::default())
    }

    /// Case group A: spellings of a path that gateways and servers read differently.
    #[test]
    fn odd_paths_are_found() {
        for plain in [
            "/",
            "/a",
            "/a/",
            "/a/b.c",
            "/a/..b",
            "/a/.b",
            "/a/b%20c",
            "/a/%C3%A4",
            "/a%25",
            "/a%25u",
            "/a%25u2x",
            "/a/b;v=1",
            "/a:b@c!$&'()*+,=",
        ] {
            assert_eq!(refused(plain), None, "{plain}");
        }
        for (path, fact) in [
            ("/a/%2f", "path-encoded-slash"),
            ("/a%2Fb", "path-encoded-slash"),
            ("//a", "path-empty-segment"),
            ("/a//b", "path-empty-segment"),
            ("/a//", "path-empty-segment"),
            ("/a/./b", "path-dot-segment"),
            ("/a/..", "path-dot-segment"),
            ("/../a", "path-dot-segment"),
            ("/a/%2e%2E/b", "path-dot-segment"),
            ("/a/.%2e/b", "path-dot-segment"),
            ("/a/..;x=1/b", "path-dot-segment"),
            ("/a/%2e;/b", "path-dot-segment"),
            ("/a/%5c", "path-encoded-backslash"),
            ("/a\\b", "path-backslash"),
            ("/a%00", "path-encoded-control"),
            ("/a%0d%0a", "path-encoded-control"),
            ("/a%3b", "path-encoded-delimiter"),
            ("/a%3F", "path-encoded-delimiter"),
            ("/a%23", "path-encoded-delimiter"),
            ("/a%252f", "path-encoded-twice"),
            ("/a%25%32%66", "path-encoded-twice"),
            ("/a%25u002f", "path-encoded-twice"),
            ("/loose%25UddEesx", "path-encoded-twice"),
            ("/a%", "path-escape-malformed"),
            ("/a%2", "path-escape-malformed"),
            ("/a%zz", "path-escape-malformed"),
            ("/a/%c0%ae%c0%ae/b", "path-escape-not-utf8"),
            ("/a%c0%afb", "path-escape-not-utf8"),
            ("/a%e4", "path-escape-not-utf8"),
            ("/a%e2%81%84%2e%2e%e2%81%84b", "path-dot-segment"),
            ("/a/%ef%bc%8e%ef%bc%8e/b", "path-dot-segment"),
            ("/a/%e2%80%a5", "path-dot-segment"),
        ] {
            assert_eq!(refused(path), Some(fact), "{path}");
        }
    }

    /// Upstreams that follow dots twice, before they decode and after it, are not asked to agree with the others.
    #[test]
    fn plain_dots_stand_beside_no_other_spellings() {
        let every = PathRules { encoded_slash: true, empty_segments: true, dot_segments: true };
        for (path, fact) in [
            ("/a/../b/./c//..", None),
            ("/a/%2e%2e/b/%2E/c", None),
            ("/a%2f%2e%2e%2fb", None),
            ("/a/../b%20c;x/%ef%bc%9bd", None),
            ("/loose/a%2fb/../..%2fb/.*/..//v2(/x", Some("path-dots-mixed")),
            ("/a%2fb/../c", Some("path-dots-mixed")),
            ("/a/%2e%2e/../%2e%2e/x", Some("path-dots-mixed")),
            ("/a/..;x/../b", Some("path-dots-mixed")),
            ("/a/./x%e2%81%84y", Some("path-dots-mixed")),
            ("/a/%e2%80%a5/../b", Some("path-dots-mixed")),
            ("/x/a%ef%bc%9fb/../c%ef%bc%9fd/e", Some("path-dots-mixed")),
        ] {
            assert_eq!(oddities(path.as_bytes()).against(every), fact, "{path}");
        }
    }

    /// What is read in many ways is short; what is read in one may be as long as a head.
    #[test]
    fn odd_paths_are_bounded() {
        let longest = |odd: &str| format!("/{}{odd}", "a".repeat(MAX_ODD_BYTES - odd.len() - 1));
        let deepest = |odd: &str| format!("{}{odd}", "/a".repeat(MAX_ODD_SEGMENTS - 1));
        for most in [longest("%20"), longest(";x"), deepest("/%20"), deepest("/a;x")] {
            assert_eq!(refused(&most), None);
            assert_eq!(refused(&format!("/a{most}")), Some("path-too-long"));
        }
        assert_eq!(refused(&"/a".repeat(30_000)), None);
    }

    #[test]
    fn a_path_as_sent_keeps_its_empty_segments() {
        assert_eq!(segments(b"/a//b/").to_vec(), [b"a".as_slice(), b"", b"b"]);
    }
}
