//! Reads the journal at the start, and finds out whether it is all of it.
use super::journal::{self, Segment};
use super::memory::Memory;
use super::record::{self, DIGEST_BYTES, HEADER_BYTES, Header, RECORD_BYTES};
use doorward_core::time::UnixMillis;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// What a journal has to tell about itself, to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) turn: i64,
    pub(super) installation: [u8; DIGEST_BYTES],
    pub(super) boot: [u8; DIGEST_BYTES],
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The segments to go on behind; none, where what was claimed is not known.
    pub(super) segments: VecDeque<Segment>,
    /// The number for the next one.
    pub(super) next: u64,
    /// Segments that are of no use.
    pub(super) useless: Vec<u64>,
    /// What is known: the fence as it was last, or why nothing is.
    pub(super) known: Result<UnixMillis, Loss>,
}

/// Why it is not known what was claimed before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Loss {
    /// There is no journal.
    #[error("there is no journal")]
    Missing,
    /// The journal belongs elsewhere.
    #[error("the journal is another installation's")]
    Foreign,
    /// The machine was started since; what it had not put on the disk is gone.
    #[error("the machine was restarted")]
    Rebooted,
    /// Another node claimed in the meantime.
    #[error("another node was in charge since the journal was written")]
    OtherTurn,
    /// It is not what was written.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
}

/// Takes into memory what the journal has, as far as it is to be believed.
pub(super) fn read(folder: &Path, expected: &Expected, memory: &Memory) -> io::Result<Found> {
    let mut numbers = Vec::new();
    for file in fs::read_dir(folder)? {
        numbers.extend(file?.file_name().to_str().and_then(journal::number));
    }
    numbers.sort_unstable();
    let next = numbers.last().map_or(Some(1), |last| last.checked_add(1));
    let next = next.ok_or_else(|| io::Error::other("a file of the journal has the last number there is"))?;
    let mut found = Found { segments: VecDeque::new(), next, useless: Vec::new(), known: Err(Loss::Missing) };
    if let Some(last) = numbers.last() {
        found.known = read_all(folder, &numbers, *last, expected, memory, &mut found.segments);
    }
    if found.known.is_err() {
        found.segments.clear();
    }
    let needed = |number: &u64| found.segments.iter().any(|segment| segment.number == *number);
    found.useless = numbers.into_iter().filter(|number| !needed(number)).collect();
    Ok(found)
}

fn damaged(number: u64, what: &str) -> Loss {
    Loss::Damaged(format!("part {number:016x} {what}"))
}

fn bytes(folder: &Path, number: u64) -> Result<Vec<u8>, Loss> {
    fs::read(journal::path(folder, number)).map_err(|e| damaged(number, &format!("can't be read: {e}")))
}

fn read_all(
    folder: &Path,
    numbers: &[u64],
    last: u64,
    expected: &Expected,
    memory: &Memory,
    segments: &mut VecDeque<Segment>,
) -> Result<UnixMillis, Loss> {
    let newest = bytes(folder, last)?;
    let (header, seed) = header(&newest, last)?;
    if header.installation != expected.installation {
        return Err(Loss::Foreign);
    }
    if header.boot != expected.boot {
        return Err(Loss::Rebooted);
    }
    if header.turn != expected.turn {
        return Err(Loss::OtherTurn);
    }
    let from = numbers.partition_point(|number| *number < header.first);
    let there = &numbers[from..];
    // Sorted and without repetition, so they are all there if they are as many as they should be.
    if there.first() != Some(&header.first) || (there.len() as u64 - 1) != last - header.first {
        return Err(damaged(header.first, "or one after it is missing"));
    }
    for number in &there[..there.len() - 1] {
        let older = bytes(folder, *number)?;
        let (told, seed) = self::header(&older, *number)?;
        if told.installation != expected.installation {
            return Err(Loss::Foreign);
        }
        let latest = records(&older, *number, seed, header.fence, memory)?;
        if !(older.len() - HEADER_BYTES).is_multiple_of(RECORD_BYTES) {
            return Err(damaged(*number, "ends within a record"));
        }
        segments.push_back(Segment { number: *number, latest });
    }
    let latest = records(&newest, last, seed, header.fence, memory)?;
    // The process was killed while it wrote, and told nobody yet that the claim was made.
    let torn = (newest.len() - HEADER_BYTES) % RECORD_BYTES;
    if torn > 0 {
        let whole = (newest.len() - torn) as u64;
        let file = File::options().write(true).open(journal::path(folder, last));
        let cut = file.and_then(|file| file.set_len(whole));
        cut.map_err(|e| damaged(last, &format!("can't be cut to its whole records: {e}")))?;
    }
    segments.push_back(Segment { number: last, latest });
    Ok(header.fence)
}

fn header(bytes: &[u8], number: u64) -> Result<(Header, u32), Loss> {
    let read = Header::read(bytes).filter(|(told, _)| told.number == number && told.first <= number);
    read.ok_or_else(|| damaged(number, "has no whole header"))
}

/// Takes the whole records into memory, and returns the latest date.
fn records(
    bytes: &[u8],
    number: u64,
    seed: u32,
    fence: UnixMillis,
    memory: &Memory,
) -> Result<UnixMillis, Loss> {
    let mut latest = UnixMillis(i64::MIN);
    for (at, record) in bytes[HEADER_BYTES..].as_chunks::<RECORD_BYTES>().0.iter().enumerate() {
        let once = record::read(record, seed)
            .ok_or_else(|| damaged(number, &format!("has another record {at} than was written")))?;
        let date = once.window.date();
        latest = latest.max(date);
        if date >= fence {
            memory.restore(&once);
        }
    }
    Ok(latest)
}
