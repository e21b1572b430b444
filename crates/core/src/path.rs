//! What may be odd about a path, and what an upstream could take it for.
//!
//! Half of all break-ins through gateways are two programs reading one path differently. So a path is matched as it was
//! sent and as a lenient upstream might read it, and both must lead to the same route.
use smallvec::SmallVec;
use std::borrow::Cow;

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
    if special {
        let segments = path.split(|b| *b == b'/').skip(1);
        let last = path.iter().filter(|b| **b == b'/').count();
        for (n, segment) in segments.enumerate() {
            // A trailing slash is not an empty segment.
            odd.asks_for.empty_segments |= segment.is_empty() && n + 1 != last;
            let once = decoded(segment);
            // Old decoders read overlong forms of dots and slashes where there is no UTF-8.
            if std::str::from_utf8(&once).is_err() {
                odd.never = odd.never.or(Some("path-escape-not-utf8"));
            }
            if matches!(once, Cow::Owned(_)) && once.windows(3).any(|w| escape(w).is_some()) {
                odd.never = odd.never.or(Some("path-encoded-twice"));
            }
            // Dots among what only looks like slashes are dots as well.
            let looks = if once.is_ascii() { once } else { Cow::Owned(best_fit(once.into_owned())) };
            let mut parts = looks.split(|b| matches!(b, b'/' | b'\\'));
            odd.asks_for.dot_segments |= parts.any(|s| matches!(without_parameters(s), b"." | b".."));
        }
    }
    odd
}

fn decoded(segment: &[u8]) -> Cow<'_, [u8]> {
    if !segment.contains(&b'%') {
        return Cow::Borrowed(segment);
    }
    let mut out = Vec::with_capacity(segment.len());
    let mut i = 0;
    while let Some(&b) = segment.get(i) {
        let octet = escape(&segment[i..]);
        out.push(octet.unwrap_or(b));
        i += if octet.is_some() { 3 } else { 1 };
    }
    Cow::Owned(out)
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

/// How often a server may decode what it decoded already.
const MOST_DECODINGS: usize = 3;

/// What an upstream makes of escapes before it looks for segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// Decodes them all: an encoded slash divides.
    Divide,
    /// Decodes them within segments: an encoded slash divides nothing.
    StayWithin,
    /// Nothing.
    Unread,
}

/// What an upstream makes of `;...` in a segment (RFC 3986 3.3 speaks of parameters).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// Cuts it off, once it has decoded.
    Cut,
    /// Cuts it off before it decodes.
    CutFirst,
    /// Takes it for a part of the name.
    Stay,
}

/// In what lenient upstreams differ from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    escapes: Escapes,
    parameters: Parameters,
    /// Takes what looks like ASCII for it, and cuts white space and dots around names off.
    best_fit: bool,
}

const fn habits(escapes: Escapes, parameters: Parameters, best_fit: bool) -> Habits {
    Habits { escapes, parameters, best_fit }
}

impl Habits {
    /// Every mixture that makes a difference, the most lenient first.
    pub const ALL: [Habits; 16] = {
        use Escapes::{Divide, StayWithin, Unread};
        use Parameters::{Cut, CutFirst, Stay};
        [
            habits(Divide, Cut, true),
            habits(Divide, Cut, false),
            habits(Divide, CutFirst, true),
            habits(Divide, CutFirst, false),
            habits(Divide, Stay, true),
            habits(Divide, Stay, false),
            habits(StayWithin, Cut, true),
            habits(StayWithin, Cut, false),
            habits(StayWithin, CutFirst, true),
            habits(StayWithin, CutFirst, false),
            habits(StayWithin, Stay, true),
            habits(StayWithin, Stay, false),
            habits(Unread, Cut, true),
            habits(Unread, Cut, false),
            habits(Unread, Stay, true),
            habits(Unread, Stay, false),
        ]
    };
    /// Those that differ about paths without parameters, encoded slashes, dot segments and empty ones.
    const FEW: usize = 2;
}

impl Oddities {
    /// The upstreams that could differ about such a path.
    #[must_use]
    pub fn readers(&self) -> &'static [Habits] {
        let PathRules { encoded_slash, empty_segments, dot_segments } = self.asks_for;
        let plain = !(encoded_slash || empty_segments || dot_segments || self.parameters);
        if plain { &Habits::ALL[..Habits::FEW] } else { &Habits::ALL }
    }
}

/// The segments as a lenient upstream might read them: decoded, without parameters, dots resolved, empty ones dropped.
#[must_use]
pub fn lenient_segments(path: &[u8], habits: Habits) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for segment in path.split(|b| *b == b'/') {
        let cut_first = habits.parameters == Parameters::CutFirst;
        let segment = if cut_first { without_parameters(segment) } else { segment };
        let mut text = segment.to_vec();
        for _ in 0..MOST_DECODINGS {
            match decoded(&text) {
                Cow::Owned(decoded) if habits.escapes != Escapes::Unread => {
                    text = if habits.best_fit { best_fit(decoded) } else { decoded };
                }
                _ => break,
            }
        }
        // Some look for the end of the path in what they decoded.
        let end = text.iter().position(|b| matches!(b, b'?' | b'#'));
        let text = &text[..end.unwrap_or(text.len())];
        let divides = |b: &u8| habits.escapes == Escapes::Divide && matches!(b, b'/' | b'\\');
        for part in text.split(divides) {
            let part = if habits.parameters == Parameters::Cut { without_parameters(part) } else { part };
            match part {
                b"." => {}
                b".." => drop(out.pop()),
                other => match if habits.best_fit { trimmed(other) } else { other } {
                    b"" => {}
                    other => out.push(other.to_vec()),
                },
            }
        }
        if end.is_some() {
            break;
        }
    }
    out
}

/// Characters for the ASCII ones that they look like, as some systems take them (best fit, NFKC).
fn best_fit(text: Vec<u8>) -> Vec<u8> {
    if text.is_ascii() {
        return text;
    }
    let Ok(read) = std::str::from_utf8(&text) else { return text };
    let mut out = String::with_capacity(read.len());
    for c in read.chars() {
        match c {
            // Full width.
            '\u{ff01}'..='\u{ff5e}' => out.extend(char::from_u32(c as u32 - 0xff01 + 0x21)),
            '\u{2044}' | '\u{2215}' | '\u{29f8}' => out.push('/'),
            '\u{2216}' | '\u{29f5}' | '\u{fe68}' => out.push('\\'),
            '\u{2024}' | '\u{fe52}' => out.push('.'),
            '\u{2025}' => out.push_str(".."),
            '\u{37e}' | '\u{fe54}' => out.push(';'),
            // The small letters of these are ASCII.
            '\u{212a}' => out.push('k'),
            '\u{17f}' => out.push('s'),
            other => out.push(other),
        }
    }
    out.into_bytes()
}

/// Without the white space around it, and the dots at its end: some systems open the same file with and without.
fn trimmed(segment: &[u8]) -> &[u8] {
    match std::str::from_utf8(segment) {
        Ok(text) => text.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace()).as_bytes(),
        Err(_) => segment,
    }
}

/// A name as servers compare it that know no capitals, and cut off what [`lenient_segments`] cuts off.
#[must_use]
pub fn folded(segment: &[u8]) -> SmallVec<[u8; 64]> {
    trimmed(segment).iter().map(u8::to_ascii_lowercase).collect()
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

    #[test]
    fn a_lenient_reading_resolves_everything() {
        for (path, reading) in [
            ("/a/b", "a|b"),
            ("/a/%62/", "a|b"),
            ("//a/./x/..//b", "a|b"),
            ("/a%2fb", "a|b"),
            ("/a;x=1/b;y", "a|b"),
            ("/../../a/b", "a|b"),
            ("/x/%2e%2e/a/b", "a|b"),
            ("/%ef%bc%8e%ef%bc%8e/a%ef%bc%8fb%ef%bc%9b;x", "a|b"),
            ("/x%e2%88%95%e2%80%a5%e2%81%84%ef%bd%81/b%e3%80%80", "a|b"),
            ("/a%20/%20b./...", "a|b"),
            ("/a/b%ef%bc%9fx/c", "a|b"),
            ("/x/%ef%bc%852e%ef%bc%852e/a/b", "a|b"),
        ] {
            let got: Vec<String> = lenient_segments(path.as_bytes(), Habits::ALL[0])
                .into_iter()
                .map(|s| String::from_utf8(s).unwrap())
                .collect();
            assert_eq!(got.join("|"), reading, "{path}");
        }
        assert_eq!(segments(b"/a//b/").to_vec(), [b"a".as_slice(), b"", b"b"]);
    }
}
