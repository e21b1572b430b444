//! How servers read paths: every mixture of habits that some server has had, with nothing in common with what is tested.

/// One server's habits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// How often it decodes.
    decodes: u8,
    /// Takes `..` for one up before it decodes as well as after.
    dots_first: bool,
    /// Cuts `;...` off segments before it decodes, rather than after.
    parameters_first: bool,
    /// Cuts `;...` off segments at all.
    parameters: bool,
    /// Reads overlong UTF-8, `%uXXXX`, and letters of full width as what they look like.
    best_fit: bool,
    /// Takes `\` for `/`.
    backslash: bool,
    /// Drops empty segments.
    collapses: bool,
    /// Takes `..` for one up.
    dots: bool,
    /// Drops dots and white space at the end of segments, and white space at their start.
    trims: bool,
    /// Leaves an encoded slash encoded.
    keeps_slashes: bool,
    /// Knows no difference between capitals and small letters.
    folds: bool,
    /// Dots that it followed leave a slash at the end of a path.
    slash_after_dots: bool,
}

impl Server {
    /// How many kinds there are.
    pub(crate) const KINDS: u32 = 8 << 10;

    /// The nth kind. The last one has every habit.
    pub(crate) fn nth(n: u32) -> Server {
        let on = |bit: u32| n & (1 << bit) != 0;
        Server {
            decodes: (n >> 10) as u8 & 3,
            dots_first: on(0),
            parameters_first: on(1),
            parameters: on(2),
            best_fit: on(3),
            backslash: on(4),
            collapses: on(5),
            dots: on(6),
            trims: on(7),
            folds: on(8),
            keeps_slashes: !on(9),
            slash_after_dots: on(12),
        }
    }

    /// The segments of a path as this server reads it; a slash at the end adds none.
    pub(crate) fn reads(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let mut text = path.to_vec();
        if self.parameters && self.parameters_first {
            text = joined(split(&text).into_iter().map(without_parameters).collect());
        }
        if self.dots_first {
            text = joined(self.up(split(&text)));
        }
        for _ in 0..self.decodes {
            text = self.decoded(&text);
        }
        // What was decoded may end a text for some, and begin a query for others.
        if let Some(end) = text.iter().position(|b| matches!(b, 0 | b'?' | b'#')) {
            text.truncate(end);
        }
        if self.backslash {
            text.iter_mut().filter(|b| **b == b'\\').for_each(|b| *b = b'/');
        }
        let mut segments = split(&text);
        if self.parameters {
            segments = segments.into_iter().map(without_parameters).collect();
        }
        if self.collapses {
            segments.retain(|s| !s.is_empty());
        }
        if self.dots {
            segments = self.up(segments);
        }
        if self.trims {
            segments = segments.into_iter().map(trimmed).collect();
        }
        if self.collapses {
            segments.retain(|s| !s.is_empty());
        }
        if self.folds {
            segments.iter_mut().for_each(|s| s.make_ascii_lowercase());
        }
        if segments.last().is_some_and(Vec::is_empty) {
            segments.pop();
        }
        segments
    }

    /// With `.` and `..` followed.
    fn up(&self, segments: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut out: Vec<Vec<u8>> = Vec::new();
        let ends_with_dots = segments.last().is_some_and(|last| matches!(&last[..], b"." | b".."));
        for segment in segments {
            match &segment[..] {
                b"." => {}
                b".." => drop(out.pop()),
                _ => out.push(segment),
            }
        }
        if ends_with_dots && self.slash_after_dots {
            out.push(Vec::new());
        }
        out
    }

    /// Decodes once.
    fn decoded(&self, text: &[u8]) -> Vec<u8> {
        let digits = |at: usize, n: usize| {
            let digits = text.get(at..at + n).filter(|d| d.iter().all(u8::is_ascii_hexdigit))?;
            u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let (mut out, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let wide = matches!(text.get(at + 1), Some(b'u' | b'U')) && self.best_fit;
            match (text[at], digits(at + 1, 2), digits(at + 2, 4)) {
                (b'%', Some(octet), _) if !(self.keeps_slashes && matches!(octet as u8, b'/' | b'\\')) => {
                    out.push(octet as u8);
                    at += 3;
                }
                (b'%', _, Some(code)) if wide => {
                    let c = char::from_u32(code).unwrap_or('?');
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    at += 6;
                }
                (other, ..) => {
                    out.push(other);
                    at += 1;
                }
            }
        }
        if self.best_fit { best_fit(&out) } else { out }
    }
}

fn split(text: &[u8]) -> Vec<Vec<u8>> {
    text.strip_prefix(b"/").unwrap_or(text).split(|b| *b == b'/').map(<[u8]>::to_vec).collect()
}

fn joined(segments: Vec<Vec<u8>>) -> Vec<u8> {
    segments.iter().flat_map(|s| [b"/", &s[..]].concat()).collect()
}

fn without_parameters(segment: Vec<u8>) -> Vec<u8> {
    segment.split(|b| *b == b';').next().unwrap_or_default().to_vec()
}

fn trimmed(segment: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&segment).into_owned();
    text.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace()).as_bytes().to_vec()
}

/// Overlong forms as the octets that they stand for, and what looks like ASCII as ASCII.
fn best_fit(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let tail = |n: usize| bytes.get(at + n).filter(|b| **b & 0xc0 == 0x80).map(|b| u32::from(b & 0x3f));
        let (code, length) = match (bytes[at], tail(1), tail(2)) {
            (first @ 0xc0..=0xdf, Some(a), _) => (u32::from(first & 0x1f) << 6 | a, 2),
            (first @ 0xe0..=0xef, Some(a), Some(b)) => (u32::from(first & 0x0f) << 12 | a << 6 | b, 3),
            (first, ..) => (u32::from(first), 1),
        };
        let like = match code {
            0xff01..=0xff5e => Some(code - 0xff01 + 0x21),
            0x2044 | 0x2215 | 0x29f8 => Some(u32::from(b'/')),
            0x2216 | 0xfe68 | 0x29f5 => Some(u32::from(b'\\')),
            0x2024 | 0xfe52 => Some(u32::from(b'.')),
            0x37e | 0xfe54 => Some(u32::from(b';')),
            0x212a => Some(u32::from(b'K')),
            0x17f => Some(u32::from(b's')),
            _ => None,
        };
        match like.unwrap_or(code) {
            0x2025 => out.extend_from_slice(b".."),
            code if code < 0x80 => out.push(code as u8),
            _ => out.extend_from_slice(&bytes[at..at + length]),
        }
        at += length;
    }
    out
}

/// A place that a server serves: literals, `{name}` for one segment, `*` for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) template: &'static str,
    pub(crate) public: bool,
}

/// Which place a path leads to: literals come before names before the rest, from the left.
pub(crate) fn served(server: &Server, places: &[Place], path: &[u8]) -> Option<usize> {
    let segments = server.reads(path);
    let ranks = places
        .iter()
        .enumerate()
        .filter_map(|(nth, place)| rank(place.template, &segments, server.folds).map(|rank| (rank, nth)));
    ranks.min().map(|(_, nth)| nth)
}

fn rank(template: &str, segments: &[Vec<u8>], folds: bool) -> Option<Vec<u8>> {
    let parts: Vec<&str> = template.split('/').skip(1).filter(|part| !part.is_empty()).collect();
    let mut ranks = Vec::new();
    let mut left = segments.iter();
    for part in parts {
        if part == "*" {
            ranks.push(2);
            return Some(ranks);
        }
        let segment = left.next()?;
        let same =
            if folds { segment.eq_ignore_ascii_case(part.as_bytes()) } else { segment == part.as_bytes() };
        match part.starts_with('{') {
            true if segment.is_empty() => return None,
            true => ranks.push(1),
            false if same => ranks.push(0),
            false => return None,
        }
    }
    left.next().is_none().then_some(ranks)
}
