//! Where what the client computed first differs from what this server does, and what that usually means.
use super::cause::Cause;
use super::guess::{Layout, lines};
use super::{Difference, Part};
use crate::canonical::HIDDEN;
use crate::schemes::escher::Presented;
use crate::time::UnixMillis;

/// Longest text of a line that is shown, in bytes.
const SHOWN_BYTES: usize = 300;

/// The first difference. `shown` is ours as it may be shown, line by line like `ours`.
pub(super) fn first(part: Part, ours: &[u8], shown: &str, theirs: &[u8]) -> Option<Difference> {
    if ours == theirs {
        return None;
    }
    let (mine, other) = (lines(ours), lines(theirs));
    let line = first_line(&mine, &other)?;
    let (a, b) = (mine.get(line), other.get(line));
    let empty = Vec::new();
    let (left, right) = (a.unwrap_or(&empty), b.unwrap_or(&empty));
    let byte = left.iter().zip(right.iter()).take_while(|(x, y)| x == y).count();
    let ours = a.and_then(|_| shown.split('\n').nth(line)).map(cut);
    let hidden = ours.as_ref().is_some_and(|text| text.contains(HIDDEN));
    let theirs = b.map(|text| if hidden { HIDDEN.to_owned() } else { cut(&text.escape_ascii().to_string()) });
    Some(Difference { part, line: line + 1, byte: byte + 1, ours, theirs })
}

/// The first line that differs.
fn first_line(mine: &[Vec<u8>], other: &[Vec<u8>]) -> Option<usize> {
    (0..mine.len().max(other.len())).find(|i| mine.get(*i) != other.get(*i))
}

fn cut(text: &str) -> String {
    let end = (0..=SHOWN_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    if end < text.len() { format!("{}...", &text[..end]) } else { text.to_owned() }
}

/// What both have in common when line ends are not looked at.
fn line_ends(ours: &[u8], theirs: &[u8]) -> Option<Cause> {
    let trimmed = theirs.strip_suffix(b"\n").map(|t| t.strip_suffix(b"\r").unwrap_or(t));
    if trimmed == Some(ours) {
        return Some(Cause::TrailingNewline);
    }
    let plain: Vec<u8> = theirs.iter().copied().filter(|b| *b != b'\r').collect();
    (plain.len() < theirs.len() && plain.strip_suffix(b"\n").unwrap_or(&plain) == ours)
        .then_some(Cause::LineEnds)
}

/// What a difference between strings to sign means.
pub(super) fn of_string_to_sign(p: &Presented<'_>, ours: &[u8], theirs: &[u8]) -> Option<Cause> {
    if let Some(cause) = line_ends(ours, theirs) {
        return Some(cause);
    }
    let (mine, other) = (lines(ours), lines(theirs));
    let line = first_line(&mine, &other)?;
    let text = String::from_utf8_lossy(other.get(line).map_or(&[][..], Vec::as_slice)).into_owned();
    match line {
        0 => Some(Cause::Algorithm),
        1 if date(&text) == Some(p.date()) => Some(Cause::DateForm),
        1 => Some(Cause::Date),
        2 if text.split('/').next() == Some(p.day()) => Some(Cause::Scope),
        2 => Some(Cause::StringToSign),
        // Another digest: which line of the canonical request it comes from, it does not tell.
        _ if other.len() == mine.len() && text.len() == mine[line].len() => None,
        _ => Some(Cause::StringToSign),
    }
}

fn date(text: &str) -> Option<UnixMillis> {
    UnixMillis::parse_iso_basic(text)
        .or_else(|| UnixMillis::parse_http_date(text))
        .or_else(|| UnixMillis::parse(text))
}

/// What a difference between canonical requests means.
pub(super) fn of_canonical_request(p: &Presented<'_>, ours: &[u8], theirs: &[u8]) -> Option<Cause> {
    if let Some(cause) = line_ends(ours, theirs) {
        return Some(cause);
    }
    let layout = Layout { fields: p.signed_names().len() };
    let (mine, other) = (lines(ours), lines(theirs));
    let line = first_line(&mine, &other)?;
    let empty = Vec::new();
    let (left, right) = (mine.get(line).unwrap_or(&empty), other.get(line).unwrap_or(&empty));
    Some(match line {
        Layout::METHOD => Cause::Method,
        Layout::PATH if squeezed(left) == squeezed(right) => Cause::PathNormalised,
        Layout::PATH if bare(left) == bare(right) => Cause::PathEncoding,
        Layout::PATH => Cause::Path,
        Layout::QUERY => query(left, right),
        _ if line < layout.blank() => field(p, &mine, &other, line, &layout),
        _ if line == layout.blank() => match names(&other, line).first() {
            Some(extra) => Cause::FieldExtra(extra.clone()),
            None => Cause::BlankLine,
        },
        _ if line == layout.blank() + 1 && right.is_empty() => Cause::BlankLine,
        _ if line == layout.blank() + 1 => Cause::FieldList,
        _ => Cause::Body,
    })
}

/// The names of fields in a line.
fn names(all: &[Vec<u8>], line: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(all.get(line).map_or(&[][..], Vec::as_slice)).into_owned();
    text.split_once(':').map(|(name, _)| name.to_ascii_lowercase()).into_iter().collect()
}

fn field(p: &Presented<'_>, mine: &[Vec<u8>], other: &[Vec<u8>], line: usize, layout: &Layout) -> Cause {
    let own = p.signed_names()[line - Layout::FIRST_FIELD].to_string();
    let text = String::from_utf8_lossy(other.get(line).map_or(&[][..], Vec::as_slice)).into_owned();
    let Some((name, value)) = text.split_once(':') else { return Cause::FieldMissing(own) };
    let lower = name.trim().to_ascii_lowercase();
    if lower != own {
        let later = mine[line..layout.blank()].iter().any(|l| l.starts_with(format!("{lower}:").as_bytes()));
        return if later { Cause::FieldMissing(own) } else { Cause::FieldExtra(lower) };
    }
    if name != own {
        return Cause::FieldCase(own);
    }
    let ours = String::from_utf8_lossy(&mine[line][own.len() + 1..]).into_owned();
    let without_port = |host: &str| host.rsplit_once(':').map_or(host.to_owned(), |(h, _)| h.to_owned());
    if own == "host" && (without_port(value) == ours || without_port(&ours) == value) {
        return Cause::HostPort;
    }
    if own == p.date_field() {
        return if date(value) == Some(p.date()) { Cause::DateForm } else { Cause::Date };
    }
    Cause::FieldValue(own)
}

/// A path without dot segments, doubled slashes and escapes.
fn squeezed(path: &[u8]) -> Vec<u8> {
    crate::canonical::normalised(path)
}

/// A text with all escapes undone.
fn bare(text: &[u8]) -> Vec<u8> {
    let reading = crate::canonical::QueryReading { plus_is_plus: true, ..Default::default() };
    let mut text = text.to_vec();
    // Each round is shorter, so there is a last one.
    loop {
        let once = crate::canonical::decoded(&text, reading);
        if once.len() == text.len() {
            return once;
        }
        text = once;
    }
}

fn query(ours: &[u8], theirs: &[u8]) -> Cause {
    let pairs = |text: &[u8], of: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut all: Vec<Vec<u8>> = text.split(|b| *b == b'&').map(of).collect();
        all.sort();
        all
    };
    let same = |of: &dyn Fn(&[u8]) -> Vec<u8>| pairs(ours, of) == pairs(theirs, of);
    let decoded = |text: &[u8]| bare(text.strip_suffix(b"=").unwrap_or(text));
    let blurred = |text: &[u8]| decoded(text).iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    if same(&<[u8]>::to_vec) {
        Cause::QueryOrder
    } else if same(&decoded) {
        Cause::QueryEncoding
    } else if same(&blurred) {
        Cause::QueryPlus
    } else {
        Cause::Query
    }
}
