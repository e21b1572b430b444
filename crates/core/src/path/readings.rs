//! How lenient upstreams read paths.
use super::{Oddities, PathRules, decode, without_parameters};
use smallvec::SmallVec;

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

/// What an upstream makes of empty segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// Drops them, and follows `..` then.
    DropFirst,
    /// Follows `..`, which leads from an empty segment to the one before (RFC 3986 5.2.4), and drops them then.
    DropLast,
    /// Leaves them.
    Stay,
    /// Leaves them, and one more where dots that it followed end the path (RFC 3986 5.2.4).
    StayAfterDots,
}

/// In what lenient upstreams differ from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habits {
    escapes: Escapes,
    parameters: Parameters,
    /// Takes what looks like ASCII for it, and cuts white space and dots around names off.
    best_fit: bool,
    empty: Empty,
    /// Takes `.` and `..` for names.
    dots_stay: bool,
}

const fn habits(escapes: Escapes, parameters: Parameters, best_fit: bool) -> Habits {
    Habits { escapes, parameters, best_fit, empty: Empty::DropFirst, dots_stay: false }
}

impl Habits {
    /// Every mixture that makes a difference, the most lenient first.
    pub const ALL: [Habits; 96] = {
        use Empty::{DropFirst, DropLast, Stay, StayAfterDots};
        let orders = [
            (DropFirst, false),
            (DropLast, false),
            (Stay, false),
            (StayAfterDots, false),
            (DropFirst, true),
            (Stay, true),
        ];
        let mut all = [Habits::DROPPING[0]; 96];
        let mut n = 0;
        while n < all.len() {
            let (empty, dots_stay) = orders[n / Habits::DROPPING.len()];
            all[n] = Habits { empty, dots_stay, ..Habits::DROPPING[n % Habits::DROPPING.len()] };
            n += 1;
        }
        all
    };
    /// Those that differ about paths without dot segments and empty ones.
    const DROPPING: [Habits; 16] = {
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
        if empty_segments || dot_segments {
            &Habits::ALL
        } else if encoded_slash || self.parameters {
            &Habits::DROPPING
        } else {
            &Habits::DROPPING[..Habits::FEW]
        }
    }
}

/// The segments of a path as some upstream reads it, in one piece.
#[derive(Default)]
pub struct Reading {
    text: Vec<u8>,
    /// Where each segment ends.
    ends: Vec<usize>,
}

impl Reading {
    /// What it is made of.
    #[must_use]
    pub fn segments(&self) -> SmallVec<[&[u8]; 16]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end]).collect()
    }

    fn push(&mut self, segment: &[u8]) {
        self.text.extend_from_slice(segment);
        self.ends.push(self.text.len());
    }

    fn pop(&mut self) {
        self.ends.pop();
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Empty segments end where the one before does.
    fn drop_empty(&mut self) {
        let mut last = 0;
        self.ends.retain(|end| std::mem::replace(&mut last, *end) != *end);
    }

    fn drop_empty_last(&mut self) {
        let start = self.ends.len().checked_sub(2).map_or(0, |before| self.ends[before]);
        if self.ends.last() == Some(&start) {
            self.pop();
        }
    }
}

/// The segments as a lenient upstream might read them: decoded, without parameters, dots resolved. A trailing slash
/// adds none. There is no memory for each segment: callers say how many there are.
#[must_use]
pub fn lenient_segments(path: &[u8], habits: Habits) -> Reading {
    let mut out = Reading::default();
    let (mut text, mut once) = (Vec::new(), Vec::new());
    let mut followed = false;
    for segment in path.strip_prefix(b"/").unwrap_or(path).split(|b| *b == b'/') {
        let cut_first = habits.parameters == Parameters::CutFirst;
        text.clear();
        text.extend_from_slice(if cut_first { without_parameters(segment) } else { segment });
        for _ in 0..MOST_DECODINGS {
            if habits.escapes == Escapes::Unread || !text.contains(&b'%') {
                break;
            }
            once.clear();
            decode(&text, &mut once);
            std::mem::swap(&mut text, &mut once);
            if habits.best_fit {
                text = best_fit(text);
            }
        }
        // Some look for the end of the path in what they decoded.
        let end = text.iter().position(|b| matches!(b, b'?' | b'#'));
        let text = &text[..end.unwrap_or(text.len())];
        let divides = |b: &u8| habits.escapes == Escapes::Divide && matches!(b, b'/' | b'\\');
        for part in text.split(divides) {
            let part = if habits.parameters == Parameters::Cut { without_parameters(part) } else { part };
            followed = !habits.dots_stay && matches!(part, b"." | b"..");
            match part {
                b"." if followed => {}
                b".." if followed => out.pop(),
                other => match if habits.best_fit { trimmed(other) } else { other } {
                    b"" if habits.empty == Empty::DropFirst => {}
                    other => out.push(other),
                },
            }
        }
        if end.is_some() {
            break;
        }
    }
    if habits.empty == Empty::DropLast {
        out.drop_empty();
    }
    if !(followed && habits.empty == Empty::StayAfterDots) {
        out.drop_empty_last();
    }
    out
}

/// Characters for the ASCII ones that they look like, as some systems take them (best fit, NFKC).
pub(super) fn best_fit(text: Vec<u8>) -> Vec<u8> {
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
            let got = lenient_segments(path.as_bytes(), Habits::ALL[0]);
            assert_eq!(got.segments().join(&b'|'), reading.as_bytes(), "{path}");
        }
        for (path, readings) in [
            ("/a/..//b", ["b", "b", "|b", "|b"]),
            ("/a//../b", ["b", "a|b", "a|b", "a|b"]),
            ("/a/.//b//..", ["a", "a|b", "a||b", "a||b"]),
            ("/a/b/.../..", ["a", "a|b", "a|b", "a|b"]),
            ("/a//.", ["a", "a", "a", "a|"]),
            ("/a//b/..", ["a", "a", "a", "a|"]),
            ("/a//./", ["a", "a", "a|", "a|"]),
            ("/", ["", "", "", ""]),
            ("/a/", ["a", "a", "a", "a"]),
        ] {
            use Empty::{DropFirst, DropLast, Stay, StayAfterDots};
            for (empty, reading) in [DropFirst, DropLast, Stay, StayAfterDots].into_iter().zip(readings) {
                let got = lenient_segments(path.as_bytes(), Habits { empty, ..Habits::ALL[0] });
                assert_eq!(got.segments().join(&b'|'), reading.as_bytes(), "{path} {empty:?}");
            }
        }
        for (path, [drop, stay]) in [
            ("/a//b/..", ["a|b|..", "a||b|.."]),
            ("/a%2f./b/", ["a|.|b", "a|.|b"]),
            ("/a/./", ["a|.", "a|."]),
        ] {
            for (empty, reading) in [(Empty::DropFirst, drop), (Empty::Stay, stay)] {
                let habits = Habits { empty, dots_stay: true, ..Habits::DROPPING[1] };
                let got = lenient_segments(path.as_bytes(), habits);
                assert_eq!(got.segments().join(&b'|'), reading.as_bytes(), "{path} {empty:?}");
            }
        }
    }
}
