//! Small damage to well-formed messages.
use super::corpus::{FRAGMENTS, OCTETS};
use super::random::Random;

/// One to four changes, most of them near the start, where the head is.
pub(crate) fn mutate(message: &[u8], others: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..[1, 1, 1, 2, 2, 3, 4][random.below(7)] {
        change(&mut bytes, others, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, others: &[&[u8]], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(13) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 | 2 => bytes.insert(at, random.pick(OCTETS)),
        3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.pick(OCTETS);
            }
        }
        4 => {
            let end = (at + 1 + random.below(4)).min(bytes.len());
            bytes.drain(at..end);
        }
        5 => insert(bytes, at, random.pick(FRAGMENTS)),
        6..=8 => {
            let starts = line_starts(bytes);
            let at = random.pick(&starts);
            insert(bytes, at, random.pick(FRAGMENTS));
        }
        9 => {
            let line = some_line(bytes, random);
            let copy = bytes[line.clone()].to_vec();
            let starts = line_starts(bytes);
            let at = if random.below(2) == 0 { line.end } else { random.pick(&starts) };
            insert(bytes, at, &copy);
        }
        10 => {
            let line = some_line(bytes, random);
            bytes.drain(line);
        }
        11 => {
            let (a, b) = (some_line(bytes, random), some_line(bytes, random));
            let moved = bytes[b.clone()].to_vec();
            if b.start >= a.end {
                bytes.drain(b);
                insert(bytes, a.start, &moved);
            }
        }
        _ => {
            let other = random.pick(others);
            let from = random.below(other.len());
            let to = from + random.below(other.len() - from) + 1;
            insert(bytes, at, &other[from..to]);
        }
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// Where lines start; the end counts as one.
fn line_starts(bytes: &[u8]) -> Vec<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, c)| **c == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).collect()
}

fn some_line(bytes: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let mut starts = line_starts(bytes);
    starts.push(bytes.len());
    let which = random.below(starts.len() - 1);
    starts[which]..starts[which + 1]
}
