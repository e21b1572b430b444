//! Opens a store, and makes it where there is none.
use crate::engine::{BUSY_TIMEOUT_MS, Engine};
use crate::{Store, StoreError, schema};
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Connection, Row};
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Connections of one process. SQLite has one writer at a time anyway.
const CONNECTIONS: u32 = 4;
/// How long a task waits for one of them, in milliseconds.
const CONNECTION_WAIT_MS: u64 = 10_000;
/// How long to wait before asking again for what can't be waited for otherwise, in milliseconds.
const RETRY_MS: u64 = 20;

/// What a store was made for. The keys of a demo are printed for all to see, so its store serves nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A demo.
    Demo,
    /// Real use.
    Own,
}

impl Purpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Purpose::Demo => "demo",
            Purpose::Own => "own",
        }
    }
    pub(crate) fn named(name: &str) -> Option<Purpose> {
        [Purpose::Demo, Purpose::Own].into_iter().find(|p| p.name() == name)
    }
}

impl Store {
    /// Opens the store at `url`, as in `sqlite:/var/lib/doorward/doorward.db`; a relative path is one from the working
    /// directory. Makes the file and its tables where there is none, and brings older tables up to date. Display copies
    /// whose window has closed by `now` are erased.
    ///
    /// # Errors
    /// It can't be opened, belongs to another master key or purpose, was made by a newer program, or is damaged.
    pub async fn open(
        url: &str,
        keys: Arc<Keys>,
        purpose: Purpose,
        now: UnixMillis,
    ) -> Result<Store, StoreError> {
        // Whatever stops the engine here is about opening; what has a kind of its own keeps it.
        let told = |e: StoreError| match e {
            StoreError::Sql(e) => cannot(url, &e),
            StoreError::Refused(why) => cannot(url, &why),
            e => e,
        };
        let path = url
            .strip_prefix("sqlite:")
            .map(|rest| rest.strip_prefix("//").unwrap_or(rest))
            .filter(|path| !path.is_empty() && *path != ":memory:")
            .ok_or_else(|| cannot(url, &"write its address as sqlite:PATH"))?;
        let file = existing_file(Path::new(path)).map_err(|e| cannot(url, &e))?;
        let pool = connect(&file, Engine::Sqlite).await.map_err(told)?;
        let installation = schema::ensure(&pool, Engine::Sqlite, &keys, purpose).await.map_err(told)?;
        let opened = OpenedFile::new(file).map_err(|e| cannot(url, &e))?;
        let store = Store {
            pool,
            keys,
            engine: Engine::Sqlite,
            file: Arc::new(opened),
            installation: installation.into(),
        };
        store.erase_closed(now).await?;
        Ok(store)
    }

    /// Whether the file that was opened is still the one under its name. A connection to another one, or to none, goes on
    /// reading the old pages for ever.
    ///
    /// # Errors
    /// [`StoreError::Replaced`].
    pub(crate) fn still_there(&self) -> Result<(), StoreError> {
        if self.file.is_still_there() { Ok(()) } else { Err(StoreError::Replaced) }
    }

    /// When the store's files were last written.
    pub(crate) fn traces(&self) -> Traces {
        self.file.traces()
    }

    /// Closes all connections; waits for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn cannot(store: &str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::CannotOpen { store: store.to_owned(), why: why.to_string() }
}

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
    fn new(path: PathBuf) -> std::io::Result<OpenedFile> {
        let file = std::fs::metadata(&path)?;
        Ok(OpenedFile { path, device: file.dev(), inode: file.ino() })
    }

    fn traces(&self) -> Traces {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let trace =
            |path: &Path| std::fs::metadata(path).ok().and_then(|f| Some((f.modified().ok()?, f.len())));
        Traces([trace(&self.path), trace(Path::new(&log))])
    }

    fn is_still_there(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == (self.device, self.inode))
    }
}

/// Makes the file where there is none: for its owner's eyes alone, as SQLite then makes the files beside it.
fn existing_file(path: &Path) -> std::io::Result<PathBuf> {
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

async fn connect(file: &Path, engine: Engine) -> Result<AnyPool, StoreError> {
    sqlx::any::install_default_drivers();
    let url = sqlite_url(file)
        .ok_or_else(|| StoreError::Refused("its path has bytes that are no text".to_owned()))?;
    let options = AnyConnectOptions::from_str(&url)?.disable_statement_logging();
    let greeting: Arc<str> = engine.greeting().into();
    // The pool tries on for a long time after whatever goes wrong with the greeting. One connection tells at once.
    let mut first = AnyConnection::connect_with(&options).await?;
    sqlx::raw_sql(AssertSqlSafe(Arc::clone(&greeting))).execute(&mut first).await?;
    use_log(&mut first).await?;
    first.close().await?;
    let pool = AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_millis(CONNECTION_WAIT_MS))
        // A file does not go away the way a server does.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |conn, _| {
            let greeting = AssertSqlSafe(Arc::clone(&greeting));
            Box::pin(async move { sqlx::raw_sql(greeting).execute(conn).await.map(|_| ()) })
        });
    Ok(pool.connect_with(options).await?)
}

/// The driver decodes percent escapes and takes what follows `?` for settings, so all but plain characters is escaped.
fn sqlite_url(file: &Path) -> Option<String> {
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

/// Readers and the writer don't wait for each other with a write-ahead log. The file remembers that, but the engine does
/// not wait for others when it switches.
async fn use_log(conn: &mut AnyConnection) -> Result<(), StoreError> {
    let start = Instant::now();
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *conn).await.map_err(StoreError::from) {
            Ok(row) if row.try_get::<&str, _>(0)? == "wal" => return Ok(()),
            Ok(_) => {
                return Err(StoreError::Refused(
                    "its file system does not allow a write-ahead log".to_owned(),
                ));
            }
            Err(StoreError::Busy) if start.elapsed() < Duration::from_millis(BUSY_TIMEOUT_MS) => {
                tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
            }
            Err(e) => return Err(e),
        }
    }
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
