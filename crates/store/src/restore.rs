//! Puts a backup in the place of an SQLite store. The backup is copied beside that place first, where it can be opened,
//! looked over and given another epoch; what is served from is touched last, and at once.
use crate::backup::{Part, beside, refused, settle, settle_names, stamp, whole_path};
use crate::connect::Connector;
use crate::engine::Engine;
use crate::{Address, StoreError, schema};
use doorward_core::time::UnixMillis;
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use sqlx::{AnyConnection, Connection, Row};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What every SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Bytes copied at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// A node that told of itself so lately is named to whoever has to stop it, in milliseconds.
const SEEN_LATELY_MS: i64 = 60_000;

/// Ends the log of recent writes and takes all of it into the file; refused while anybody else has the file open.
const FOLD: &str = "PRAGMA journal_mode = DELETE";
const SEEN: &str = "SELECT name FROM node WHERE seen_at >= $1 ORDER BY name";

/// A backup beside the place that it is meant for. Nothing is served from it, and it goes when this goes.
pub struct Incoming {
    part: Part,
    from: PathBuf,
    to: PathBuf,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Incoming({} for {})", self.from.display(), self.to.display())
    }
}

impl Incoming {
    /// Copies a backup to a place beside the file `to`, and sees that it holds tables.
    ///
    /// # Errors
    /// It is no database, it is the store itself, it is in use, or it can't be copied.
    pub async fn bring(from: &Path, to: &Path) -> Result<Incoming, StoreError> {
        let to = match to.canonicalize() {
            Ok(to) => to,
            Err(_) => whole_path(to).map_err(|e| refused(to, &e))?,
        };
        let file = File::open(from).map_err(|e| refused(from, &e))?;
        if same_file(from, &to) {
            return Err(told(from, "it is the store that is to be replaced; name the backup"));
        }
        let log = std::fs::metadata(beside(from, "-wal"));
        if log.is_ok_and(|log| log.len() > 0) {
            return Err(told(
                from,
                "a log of recent writes lies beside it, so it is a store in use, or a copy that missed something; \
                 take what `doorward backup` wrote",
            ));
        }
        let part = Part::make(beside(&to, &format!(".{}.restoring", std::process::id())))?;
        copy(file, part.path()).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => {
                told(from, "it is no SQLite database, so it is no backup of a store")
            }
            _ => refused(from, &e),
        })?;
        let mut conn = Connector::to_file(part.path())?.connect().await?;
        let tables = schema::has_tables(&mut conn, Engine::Sqlite).await?;
        conn.close().await?;
        if !tables {
            return Err(told(from, "it is an empty database, and no backup of a store"));
        }
        Ok(Incoming { part, from: from.to_owned(), to })
    }

    /// Where the copy can be opened, as any store.
    pub fn address(&self) -> Address {
        Address::Sqlite(self.part.path().to_owned())
    }

    /// Puts it in its place, at once. Nobody may have the copy open any more. What was there before is kept beside it,
    /// under the name that is returned.
    ///
    /// # Errors
    /// Somebody uses the store that is to be replaced, or the file system refuses; all is as it was then.
    pub async fn place(self, now: UnixMillis) -> Result<Option<PathBuf>, StoreError> {
        let (part, to) = (self.part.path(), self.to.as_path());
        if std::fs::metadata(beside(part, "-wal")).is_ok_and(|log| log.len() > 0) {
            return Err(told(part, "the copy of the backup is still in use"));
        }
        settle(part).map_err(|e| refused(part, &e))?;
        let kept = beside(to, &format!(".before-restore-{}", stamp(now)));
        let there = to.symlink_metadata().is_ok();
        let mut alone = None;
        if there {
            fold(to, now).await?;
            // Held until the end: whoever opens the file meanwhile has to wait.
            alone = Some(lock(to)?);
            keep_owner(part, to)?;
        }
        replace(part, to, &kept).map_err(|e| refused(to, &e))?;
        drop(alone);
        Ok(there.then_some(kept))
    }
}

fn told(path: &Path, why: &str) -> StoreError {
    StoreError::Refused(format!("{}: {why}", path.display()))
}

fn same_file(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    id(one).is_some() && id(one) == id(other)
}

/// Copies a database. What does not begin as one is told by [`io::ErrorKind::InvalidData`].
fn copy(mut from: File, to: &Path) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).open(to)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut begins = [0; MAGIC.len()];
    match from.read_exact(&mut begins) {
        Ok(()) if begins == *MAGIC => to.write_all(&begins)?,
        Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => return Err(e),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    }
    loop {
        match from.read(&mut chunk)? {
            0 => return to.sync_all(),
            n => to.write_all(&chunk[..n])?,
        }
    }
}

/// Takes the log of recent writes into the file, so that the file alone is the store, and sees on the way that nobody
/// uses it. One that is damaged is left as it is: that may be why it is to be replaced.
async fn fold(file: &Path, now: UnixMillis) -> Result<(), StoreError> {
    let folding = async {
        let mut conn = Connector::to_file(file)?.connect().await?;
        let nodes = seen(&mut conn, now).await;
        let mode = match sqlx::query(FOLD).fetch_one(&mut conn).await {
            Ok(row) => row.try_get::<String, _>(0).map_err(StoreError::from),
            Err(e) => Err(e.into()),
        };
        conn.close().await?;
        match mode {
            Ok(mode) if mode == "delete" => Ok(()),
            Ok(_) | Err(StoreError::Busy) => Err(in_use(file, &nodes)),
            Err(e) => Err(e),
        }
    };
    match folding.await {
        Err(StoreError::Damaged(why)) => {
            tracing::warn!(why, "the store that is replaced is damaged; it is kept as it is");
            Ok(())
        }
        Err(StoreError::Busy) => Err(in_use(file, &[])),
        done => done,
    }
}

/// Who runs on it. A store that can't tell has none to name.
async fn seen(conn: &mut AnyConnection, now: UnixMillis) -> Vec<String> {
    let since = now.0.saturating_sub(SEEN_LATELY_MS);
    let rows = sqlx::query(SEEN).bind(since).fetch_all(conn).await.unwrap_or_default();
    rows.iter().filter_map(|row| row.try_get(0).ok()).collect()
}

fn in_use(file: &Path, nodes: &[String]) -> StoreError {
    let who = match nodes {
        [] => "stop every node and command that works on it first".to_owned(),
        _ => format!("stop every node on it first (seen lately: {})", nodes.join(", ")),
    };
    told(file, &format!("the store is in use; {who}"))
}

/// SQLite holds such locks for as long as a process has a store open, whatever state the file is in.
fn lock(file: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().read(true).write(true).open(file).map_err(|e| refused(file, &e))?;
    match fcntl_lock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(opened),
        Err(Errno::AGAIN | Errno::ACCESS) => Err(in_use(file, &[])),
        Err(e) => Err(refused(file, &e.into())),
    }
}

/// Who may use the former file may use the new one.
fn keep_owner(part: &Path, to: &Path) -> Result<(), StoreError> {
    let owner = |path: &Path| std::fs::metadata(path).map(|file| (file.uid(), file.gid()));
    let (is, was) = (owner(part).map_err(|e| refused(part, &e))?, owner(to).map_err(|e| refused(to, &e))?);
    if is == was {
        return Ok(());
    }
    std::os::unix::fs::chown(part, Some(was.0), Some(was.1)).map_err(|e| {
        told(to, &format!("the file belongs to user {} and group {}, and the new one can't be given to them ({e}); run this as that user", was.0, was.1))
    })
}

/// Keeps the old file, where there is one, under another name, and puts the new one in its place. A log that could not be
/// taken into the old file, or is all that is left of one, goes with it: where it is, it would be taken for the new one's.
fn replace(part: &Path, to: &Path, kept: &Path) -> io::Result<()> {
    let second_name = std::fs::hard_link(to, kept);
    match &second_name {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return second_name,
        Err(e) if e.kind() == io::ErrorKind::NotFound => (),
        // Not every file system allows a second name.
        Err(_) => std::fs::rename(to, kept)?,
        Ok(()) => (),
    }
    for end in ["-wal", "-shm", "-journal"] {
        match std::fs::rename(beside(to, end), beside(kept, end)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => (),
        }
    }
    std::fs::rename(part, to)?;
    settle_names(to)
}
