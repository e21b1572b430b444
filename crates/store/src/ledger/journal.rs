//! Claims on the disk, so that a killed process forgets nothing: what one write has handed to the kernel outlives whoever
//! wrote it. Only the machine's end can lose it, and that is noticed.
//!
//! Claims that come while others are being written go together with one write. A full disk refuses them, and nothing has
//! to be done once there is room again.
use super::memory::lock;
use super::record::{self, Header};
use doorward_core::ports::Once;
use doorward_core::time::UnixMillis;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// A segment that is longer is followed by another one.
pub(super) const SEGMENT_BYTES: u64 = 4 << 20;
/// What a segment's file name ends in; before it stands the number of the segment, in 16 hexadecimal digits.
const EXTENSION: &str = "journal";
/// The name of a segment that is not whole yet.
const UNFINISHED: &str = "next.tmp";

/// Claims that are written together.
#[derive(Default)]
pub(super) struct Batch(AtomicU8);

const WAITING: u8 = 0;
const WRITTEN: u8 = 1;
const FAILED: u8 = 2;

/// The claims that wait to be written.
#[derive(Default)]
struct Open {
    claims: Vec<Once>,
    batch: Arc<Batch>,
}

/// A segment that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// The latest date in it.
    pub(super) latest: UnixMillis,
}

/// The journal of one ledger.
pub(super) struct Journal {
    open: Mutex<Open>,
    writer: Mutex<Writer>,
}

struct Writer {
    folder: PathBuf,
    file: File,
    header: Header,
    seed: u32,
    latest: UnixMillis,
    /// Those before this one, the oldest first.
    older: VecDeque<Segment>,
    /// How long the whole records reach.
    whole_bytes: u64,
    /// A write failed half way: what lies behind the whole records has to go first.
    torn: bool,
    failing: bool,
    // Kept for their room.
    claims: Vec<Once>,
    bytes: Vec<u8>,
}

/// Where a segment lies.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.{EXTENSION}"))
}

/// The number of the segment with this file name.
pub(super) fn number(name: &str) -> Option<u64> {
    let (digits, extension) = name.split_once('.')?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (extension == EXTENSION && format!("{number:016x}") == digits).then_some(number)
}

/// Begins a segment. It gets its name once its header is whole.
fn begin(folder: &Path, header: &Header) -> io::Result<(File, u32, u64)> {
    let unfinished = folder.join(UNFINISHED);
    let (bytes, seed) = header.bytes();
    match fs::remove_file(&unfinished) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => (),
    }
    let mut file = File::options().append(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(&bytes)?;
    fs::rename(&unfinished, path(folder, header.number))?;
    Ok((file, seed, bytes.len() as u64))
}

impl Journal {
    /// Begins a segment behind those that are there already.
    pub(super) fn begin(folder: &Path, header: Header, older: VecDeque<Segment>) -> io::Result<Journal> {
        let (file, seed, whole_bytes) = begin(folder, &header)?;
        let writer = Writer {
            folder: folder.to_owned(),
            file,
            header,
            seed,
            latest: UnixMillis(i64::MIN),
            older,
            whole_bytes,
            torn: false,
            failing: false,
            claims: Vec::new(),
            bytes: Vec::new(),
        };
        Ok(Journal { open: Mutex::default(), writer: Mutex::new(writer) })
    }

    /// Puts a claim in line.
    pub(super) fn enter(&self, once: &Once) -> Arc<Batch> {
        let mut open = lock(&self.open);
        open.claims.push(*once);
        Arc::clone(&open.batch)
    }

    /// Returns when a batch is written, or could not be; whoever comes first writes for all.
    pub(super) fn settle(&self, batch: &Batch, fence: UnixMillis) -> bool {
        if batch.0.load(SeqCst) == WAITING {
            let mut writer = lock(&self.writer);
            // Only who holds the writer takes a batch, so one that still waits is the one in line.
            if batch.0.load(SeqCst) == WAITING {
                let spare = std::mem::take(&mut writer.claims);
                let line = Open { claims: spare, batch: Arc::default() };
                let mut line = std::mem::replace(&mut *lock(&self.open), line);
                let wrote = writer.write(&line.claims, fence);
                line.batch.0.store(if wrote { WRITTEN } else { FAILED }, SeqCst);
                line.claims.clear();
                writer.claims = line.claims;
            }
        }
        batch.0.load(SeqCst) == WRITTEN
    }

    /// Begins a segment under this turn of the lease, and with this fence.
    pub(super) fn turn_over(&self, fence: UnixMillis, turn: i64) -> io::Result<()> {
        lock(&self.writer).follow(fence, turn)
    }

    /// Removes segments in which nothing counts any more.
    pub(super) fn tidy(&self, fence: UnixMillis) -> io::Result<()> {
        let mut writer = lock(&self.writer);
        let turn = writer.header.turn;
        if writer.older.front().is_some_and(|oldest| oldest.latest < fence) {
            writer.follow(fence, turn)?;
        }
        Ok(())
    }
}

impl Writer {
    fn write(&mut self, claims: &[Once], fence: UnixMillis) -> bool {
        let wrote = self.try_write(claims, fence);
        match &wrote {
            Err(e) if !self.failing => tracing::error!(
                journal = %self.folder.display(), error = %e,
                "the journal of requests accepted once can't be written; such requests are refused until it can"
            ),
            Ok(()) if self.failing => tracing::info!(
                journal = %self.folder.display(),
                "the journal of requests accepted once can be written again"
            ),
            _ => (),
        }
        self.failing = wrote.is_err();
        wrote.is_ok()
    }

    fn try_write(&mut self, claims: &[Once], fence: UnixMillis) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.whole_bytes)?;
            self.torn = false;
        }
        if self.whole_bytes >= SEGMENT_BYTES {
            self.follow(fence, self.header.turn)?;
        }
        self.bytes.clear();
        for once in claims {
            record::write(once, self.seed, &mut self.bytes);
            self.latest = self.latest.max(once.window.date());
        }
        self.torn = true;
        self.file.write_all(&self.bytes)?;
        self.torn = false;
        self.whole_bytes += self.bytes.len() as u64;
        Ok(())
    }

    /// Goes on in another segment. The fence is in it before anything below the fence is removed.
    fn follow(&mut self, fence: UnixMillis, turn: i64) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.whole_bytes)?;
            self.torn = false;
        }
        let present = Segment { number: self.header.number, latest: self.latest };
        let number = present.number.checked_add(1).ok_or(io::ErrorKind::InvalidData)?;
        let needed = self.older.iter().chain([&present]).find(|segment| segment.latest >= fence);
        let first = needed.map_or(number, |segment| segment.number);
        let header = Header { number, first, fence, turn, ..self.header };
        let (file, seed, whole_bytes) = begin(&self.folder, &header)?;
        self.older.push_back(present);
        let over = self.older.partition_point(|segment| segment.number < first);
        self.older.drain(..over).for_each(|segment| remove(&self.folder, segment.number));
        (self.file, self.seed, self.whole_bytes, self.header) = (file, seed, whole_bytes, header);
        self.latest = UnixMillis(i64::MIN);
        Ok(())
    }
}

/// Removes a segment that no later one needs. Where that fails it is tried again at the next start.
pub(super) fn remove(folder: &Path, number: u64) {
    let path = path(folder, number);
    if let Err(e) = fs::remove_file(&path) {
        tracing::warn!(file = %path.display(), error = %e, "an old part of the journal can't be removed");
    }
}
