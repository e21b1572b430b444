//! The file of an SQLite store.
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Which file was opened, whatever its name leads to later.
pub(crate) struct OpenedFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// What a look at the files alone tells: when the database and its log were last written, and how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traces([Option<(SystemTime, u64)>; 2]);

impl Traces {
    /// Whether every write since would have left another trace. Times of files are as coarse as the kernel's ticks, so a
    /// trace that is very young may stand for more than one write.
    pub(crate) fn are_settled(&self) -> bool {
        const SETTLED: Duration = Duration::from_millis(50);
        let now = SystemTime::now();
        let old = |written: &SystemTime| now.duration_since(*written).is_ok_and(|age| age > SETTLED);
        self.0.iter().flatten().all(|(written, _)| old(written))
    }
}

impl OpenedFile {
    pub(crate) fn new(path: PathBuf) -> std::io::Result<OpenedFile> {
        let file = std::fs::metadata(&path)?;
        Ok(OpenedFile { path, device: file.dev(), inode: file.ino() })
    }

    pub(crate) fn traces(&self) -> Traces {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let trace =
            |path: &Path| std::fs::metadata(path).ok().and_then(|f| Some((f.modified().ok()?, f.len())));
        Traces([trace(&self.path), trace(Path::new(&log))])
    }

    pub(crate) fn is_still_there(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == (self.device, self.inode))
    }
}

/// Makes the file where there is none: for its owner's eyes alone, as SQLite then makes the files beside it.
pub(crate) fn existing_file(path: &Path) -> std::io::Result<PathBuf> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => (),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => (),
        Err(e) => return Err(e),
    }
    path.canonicalize()
}

/// The driver decodes percent escapes and takes what follows `?` for settings, so all but plain characters is escaped.
pub(crate) fn sqlite_url(file: &Path) -> Option<String> {
    let mut url = String::from("sqlite://");
    for b in file.to_str()?.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~') {
            url.push(char::from(b));
        } else {
            write!(url, "%{b:02X}").ok()?;
        }
    }
    url.push_str("?mode=rw");
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_escaped() {
        let url = sqlite_url(Path::new("/a b/c?d#e%41/\u{e4}.db"));
        assert_eq!(url.as_deref(), Some("sqlite:///a%20b/c%3Fd%23e%2541/%C3%A4.db?mode=rw"));
    }

    /// A look that skips the store rests on this: a write leaves a trace, and a trace too young to tell two writes apart
    /// does not count.
    #[test]
    fn every_write_leaves_a_trace() {
        let path = std::env::temp_dir().join(format!("doorward-traces-{}", std::process::id()));
        let log = PathBuf::from(format!("{}-wal", path.display()));
        std::fs::write(&path, "a").unwrap();
        let file = OpenedFile::new(path.clone()).unwrap();
        let age = |of: &Path, seconds: u64| {
            let then = SystemTime::now() - Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(of).unwrap().set_modified(then).unwrap();
        };
        assert!(!file.traces().are_settled(), "it was written just now");
        age(&path, 9);
        let quiet = file.traces();
        assert!(quiet.are_settled() && quiet == file.traces());
        std::fs::write(&log, "b").unwrap();
        assert!(file.traces() != quiet && !file.traces().are_settled(), "the log was made");
        age(&log, 9);
        let quiet = file.traces();
        age(&log, 8);
        assert_ne!(file.traces(), quiet, "the log was written again, and is as long as before");
        assert!(file.is_still_there());
        std::fs::rename(&path, &log).unwrap();
        assert!(!file.is_still_there());
        std::fs::remove_file(&log).unwrap();
    }
}
