//! Where event lines go: buffers from every core to one thread that writes them. Nobody waits for it; what it can't
//! take is lost and counted.
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Buffers that may wait to be written. With up to 64 KiB each, 16 MiB.
const WAITING_BUFFERS: usize = 256;
/// How long what waits may take to be written at the end. Whoever does not read then does not get it.
const ENDING: Duration = Duration::from_secs(2);

/// The event log.
pub struct Events {
    send: Option<SyncSender<Vec<u8>>>,
    reopen: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    /// The thread that writes, and what tells when it has ended.
    writer: Option<(JoinHandle<()>, Receiver<()>)>,
}

impl Events {
    /// Opens a file for appending, or standard output (`None`).
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open(path: Option<&Path>) -> io::Result<Events> {
        let (send, receive) = sync_channel(WAITING_BUFFERS);
        let reopen = Arc::new(AtomicBool::new(false));
        let lost = Arc::new(AtomicU64::new(0));
        let mut to =
            Target { path: path.map(Path::to_owned), file: path.map(append).transpose()?, torn: false };
        let (ending, ended) = channel();
        let (again, count) = (Arc::clone(&reopen), Arc::clone(&lost));
        let writer = std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || write(&receive, &mut to, &again, &count, ending))?;
        Ok(Events { send: Some(send), reopen, lost, writer: Some((writer, ended)) })
    }

    /// Opens the file anew before the next line, for instance after it was moved away.
    pub fn reopen(&self) {
        self.reopen.store(true, Relaxed);
    }

    pub(crate) fn sender(&self) -> Option<SyncSender<Vec<u8>>> {
        self.send.clone()
    }

    /// Lines lost because they could not be written.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.send = None;
        let Some((writer, ended)) = self.writer.take() else { return };
        if ended.recv_timeout(ENDING) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("nobody reads the event log: what still waits for it is lost");
            return;
        }
        // A panic of the writer has been printed already.
        let _ = writer.join();
    }
}

struct Target {
    path: Option<PathBuf>,
    file: Option<File>,
    /// The last thing written is the beginning of a line.
    torn: bool,
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let pipe = std::fs::metadata(path).is_ok_and(|known| known.file_type().is_fifo());
    // Opening a pipe for writing alone waits until somebody reads.
    if pipe {
        options.read(true).write(true)
    } else {
        options.create(true).append(true)
    };
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

impl Target {
    /// Writes lines; where not all of them can be written, how many are lost, and why.
    fn write(&mut self, lines: &[u8]) -> Result<(), (u64, io::Error)> {
        let Some(file) = &mut self.file else {
            return io::stdout().lock().write_all(lines).map_err(|e| (count(lines), e));
        };
        if self.torn {
            file.write_all(b"\n").map_err(|e| (count(lines), e))?;
            self.torn = false;
        }
        let mut done = 0;
        let error = loop {
            match file.write(&lines[done..]) {
                Ok(0) => break io::ErrorKind::WriteZero.into(),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break e,
            }
            if done == lines.len() {
                return Ok(());
            }
        };
        let whole = memchr::memrchr(b'\n', &lines[..done]).map_or(0, |end| end + 1);
        self.torn = whole < done && take_back(file, (done - whole) as u64).is_err();
        Err((count(&lines[whole..]), error))
    }
}

/// Takes the last bytes off a file again, so that whoever reads it finds whole lines.
fn take_back(file: &File, bytes: u64) -> io::Result<()> {
    let known = file.metadata()?;
    if !known.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    file.set_len(known.len().saturating_sub(bytes))
}

/// `ending` tells by its end that everything was written.
fn write(
    receive: &Receiver<Vec<u8>>,
    to: &mut Target,
    reopen: &AtomicBool,
    lost: &AtomicU64,
    ending: Sender<()>,
) {
    let mut failing = false;
    while let Ok(lines) = receive.recv() {
        if reopen.swap(false, Relaxed)
            && let Some(path) = &to.path
        {
            match append(path) {
                Ok(file) => (to.file, to.torn) = (Some(file), false),
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "the event log can't be opened anew")
                }
            }
        }
        let written = to.write(&lines);
        match &written {
            Ok(()) if failing => tracing::info!("events can be written again"),
            Ok(()) => {}
            Err((lines, error)) => {
                lost.fetch_add(*lines, Relaxed);
                if !failing {
                    tracing::error!(%error, "events can't be written and are lost until they can");
                }
            }
        }
        failing = written.is_err();
    }
    drop(ending);
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// One core's end.
pub(crate) struct EventBuffer {
    lines: Vec<u8>,
    send: Option<SyncSender<Vec<u8>>>,
}

/// A buffer is handed over when it is this full, in bytes, or at the next tick.
const FULL: usize = 48 * 1024;

impl EventBuffer {
    pub(crate) fn new(send: Option<SyncSender<Vec<u8>>>) -> EventBuffer {
        EventBuffer { lines: Vec::new(), send }
    }

    /// Appends a line; how many lines were lost.
    pub(crate) fn push(&mut self, line: &[u8]) -> u64 {
        self.lines.extend_from_slice(line);
        if self.lines.len() >= FULL { self.hand_over() } else { 0 }
    }

    /// Hands over what there is; how many lines were lost.
    pub(crate) fn hand_over(&mut self) -> u64 {
        if self.lines.is_empty() {
            return 0;
        }
        let capacity = self.lines.len().next_power_of_two().min(FULL + 16 * 1024);
        let lines = std::mem::replace(&mut self.lines, Vec::with_capacity(capacity));
        match self.send.as_ref().map(|s| s.try_send(lines)) {
            Some(Err(TrySendError::Full(lines) | TrySendError::Disconnected(lines))) => count(&lines),
            _ => 0,
        }
    }
}
