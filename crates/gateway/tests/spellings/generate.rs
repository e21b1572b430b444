//! Spellings of paths that lead, for somebody, from where anybody may go to where only some may.
use super::random::Random;

/// Steps up, or what somebody takes for one.
const UPS: &[&str] = &[
    "..",
    "%2e%2e",
    "%2E%2E",
    ".%2e",
    "%2e.",
    "..;",
    "..;x=1",
    "%2e%2e;",
    ".;.",
    "...",
    "....",
    ". .",
    "..%20",
    "%20..",
    "..%09",
    "..%00",
    "..%3b",
    "%252e%252e",
    "%25252e%25252e",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%ef%bc%8e%ef%bc%8e",
    "%e2%80%a4%e2%80%a4",
    "%e2%80%a5",
    "%u002e%u002e",
    "%uff0e%uff0e",
    "..%c2%a0",
    "%2e%252e",
    "..%5c",
    "..\\",
    "%2%65%2%65",
    "..%0d",
    "..%23",
    "..%3f",
    "..%2f",
    "%f0%80%80%ae.",
];

/// Slashes, or what somebody takes for one.
const SLASHES: &[&str] = &[
    "/",
    "//",
    "///",
    "%2f",
    "%2F",
    "%5c",
    "%5C",
    "\\",
    "/./",
    "/%2e/",
    "/.%00/",
    "/;/",
    "/;x/",
    "/.;/",
    "%252f",
    "%255c",
    "%25252f",
    "%c0%af",
    "%e0%80%af",
    "%c1%9c",
    "%ef%bc%8f",
    "%ef%bc%bc",
    "%e2%81%84",
    "%e2%88%95",
    "%u2215",
    "%u002f",
    "/%20/",
    "/%09/",
    "%2f%2f",
    "/%2f/",
    "%2f.%2f",
    "/x/../",
    "/x/%2e%2e/",
    "/%00/",
    "/ /",
    "%00/",
];

/// What may be put behind a segment without changing it for somebody.
const TAILS: &[&str] = &[
    "",
    "/",
    "//",
    ".",
    "..",
    "...",
    "%20",
    "%20.",
    ".%20",
    "%09",
    "%00",
    "%00.html",
    ";",
    ";x",
    ";x=y",
    ";/",
    "%3b",
    "%3bx",
    "?",
    "?x",
    "??",
    "%3f",
    "%3fx",
    "#",
    "#x",
    "%23",
    "/.",
    "/./",
    "/;",
    "/%2e",
    "%2e",
    "%2f",
    "%5c",
    "\\",
    "+",
    "%2b",
    "%c2%a0",
    "%e2%80%8b",
    "%e3%80%80",
    "%ef%bc%8e",
    "%ef%bc%9b",
    "%ef%bc%9fx",
    "&x",
    "=",
    "~",
    "%7e",
    "*",
    "%2a",
    ".html",
    ".json",
    ":80",
    "@evil",
    "%0a",
    "%0d%0a",
    "%7f",
    "%80",
    "%ff",
    "%",
    "%2",
    "%g0",
    "%u0000",
];

/// What may stand before a path.
const FRONTS: &[&str] =
    &["", "", "", "", "", "/", "/.", "/%2e", "\\", "/;", "%2f", "http://HOST", "http://evil", "//evil"];

/// Where anybody may go, and where only some may: in segments.
const OPEN: &[&[&str]] =
    &[&["public"], &["public", "x"], &["files", "x"], &["loose", "x"], &["files", "x", "parts"], &[]];
const CLOSED: &[&[&str]] = &[
    &["v1", "x"],
    &["files", "admin"],
    &["public", "inner", "x"],
    &["loose", "secret", "x"],
    &["admin"],
    &["v1"],
    &["files"],
];

/// One letter in one of its spellings.
fn letter(c: char, random: &mut Random) -> String {
    let code = u32::from(c);
    let (a, b) = (0xc0 | code >> 6, 0x80 | code & 0x3f);
    match random.below(14) {
        0 => format!("%{code:02x}"),
        1 => format!("%{code:02X}"),
        2 => format!("%25{code:02x}"),
        3 => format!("%2525{code:02x}"),
        4 => format!("%%3{:x}{:x}", code >> 4, code & 15),
        5 => format!("%{a:02x}%{b:02x}"),
        6 => format!("%e0%{:02x}%{b:02x}", 0x80 | code >> 6),
        7 => format!("%u{code:04x}"),
        8 => format!("%u{:04x}", code + 0xfee0),
        9 => char::from_u32(code + 0xfee0).map(escaped).unwrap_or_default(),
        10 | 11 => c.to_ascii_uppercase().to_string(),
        12 => format!("%{:02x}", c.to_ascii_uppercase() as u32),
        _ => c.to_string(),
    }
}

fn escaped(c: char) -> String {
    c.encode_utf8(&mut [0; 4]).bytes().map(|b| format!("%{b:02x}")).collect()
}

/// A segment with some of its letters spelt otherwise.
fn segment(text: &str, odds: usize, random: &mut Random) -> String {
    text.chars().map(|c| if random.below(odds) == 0 { letter(c, random) } else { c.to_string() }).collect()
}

/// Every spelling with one trick in it, for every way from outside to inside.
pub(crate) fn with_one_trick() -> Vec<String> {
    let mut all = Vec::new();
    for closed in CLOSED {
        let plain = format!("/{}", closed.join("/"));
        all.extend(TAILS.iter().map(|tail| format!("{plain}{tail}")));
        all.extend(TAILS.iter().map(|tail| format!("/{}", closed.join(&format!("{tail}/")))));
        all.extend(SLASHES.iter().map(|slash| format!("{slash}{}", closed.join(slash))));
        all.extend(FRONTS.iter().map(|front| format!("{front}{plain}")));
        for (at, c) in plain.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()) {
            let forms = (0..56).map(|seed| letter(c, &mut Random::new(seed)));
            all.extend(forms.map(|form| format!("{}{form}{}", &plain[..at], &plain[at + 1..])));
        }
        for open in OPEN {
            for up in UPS {
                for slash in SLASHES {
                    let steps = vec![*up; open.len()].join(slash);
                    all.push(format!("/{}{slash}{steps}{slash}{}", open.join("/"), closed.join("/")));
                }
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// One with any number of tricks in it.
pub(crate) fn with_tricks(random: &mut Random) -> String {
    let mut out = random.pick(FRONTS).to_owned();
    let (open, closed) = (random.pick(OPEN), random.pick(CLOSED));
    let odds = [3, 8, 20][random.below(3)];
    let usual = random.pick(SLASHES);
    let slash = |random: &mut Random| match random.below(4) {
        0 => random.pick(SLASHES),
        1 => usual,
        _ => "/",
    };
    let through = random.below(4) != 0;
    let mut parts: Vec<String> = Vec::new();
    if through {
        parts.extend(open.iter().map(|s| segment(s, odds * 2, random)));
        parts.extend(
            open.iter().map(|_| if random.below(3) == 0 { ".." } else { random.pick(UPS) }.to_owned()),
        );
    }
    for part in closed {
        let tail = if random.below(4) == 0 { random.pick(TAILS) } else { "" };
        parts.push(format!("{}{tail}", segment(part, odds, random)));
    }
    for part in parts {
        out.push_str(slash(random));
        out.push_str(&part);
    }
    if random.below(3) == 0 {
        out.push_str(random.pick(TAILS));
    }
    out
}
