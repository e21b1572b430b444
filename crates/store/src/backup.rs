//! A copy of a store in a file, made while others go on reading and writing.
use crate::connect::Connector;
use crate::engine::Engine;
use crate::{Head, Report, Store, StoreError, changes, schema};
use doorward_core::time::UnixMillis;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// For its owner alone.
const MODE: u32 = 0o600;
/// Writes one instant of the database into another file, without the pages that are free.
const COPY: &str = "VACUUM INTO $1";
const MAC: &str = "SELECT mac FROM change WHERE seq = $1";

/// A backup that was made, and found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The instant that it holds.
    pub head: Head,
    /// What is in it.
    pub report: Report,
    /// Its size.
    pub bytes: u64,
}

impl Store {
    /// Writes a copy of the whole store, as of one instant, into a new file; whoever uses the store goes on. The copy is
    /// checked and on the disk when this returns. The master key is not in it.
    ///
    /// # Errors
    /// The store is no file, there is a file already, it can't be written, or the copy is not whole. No file is left then.
    pub async fn backup(&self, to: &Path) -> Result<Backup, StoreError> {
        if self.engine != Engine::Sqlite {
            return Err(StoreError::Refused(
                "the store is on a PostgreSQL server: back it up with that server's own tools (pg_dump, or base backups \
                 with an archive of its log)"
                    .to_owned(),
            ));
        }
        let to = whole_path(to).map_err(|e| refused(to, &e))?;
        if to.symlink_metadata().is_ok() {
            return Err(exists(&to));
        }
        let part = Part::make(beside(&to, &format!(".{}.part", std::process::id())))?;
        let backup = self.copy_to(part.path()).await?;
        let done = settle(part.path()).and_then(|()| put_new(part.path(), &to));
        match done {
            Ok(()) => Ok(backup),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(exists(&to)),
            Err(e) => Err(refused(&to, &e)),
        }
    }

    async fn copy_to(&self, part: &Path) -> Result<Backup, StoreError> {
        let path = part.to_str().ok_or_else(|| no_text(part))?;
        let mut source = self.connector.connect().await?;
        let before = changes::mark(&mut source).await?;
        sqlx::query(COPY).bind(path).execute(&mut source).await?;
        let after = changes::mark(&mut source).await?;
        let (copy, mut conn) = self.elsewhere(Connector::to_file(part)?).await?;
        let mark = changes::mark(&mut conn).await?;
        let installation = schema::meta(&mut conn, "installation").await?;
        conn.close().await?;
        let same = sqlx::query(MAC).bind(mark.seq).fetch_optional(&mut source).await?;
        let same = same.map(|row| row.try_get::<Vec<u8>, _>(0)).transpose()?;
        source.close().await?;
        let within = (before.seq..=after.seq).contains(&mark.seq)
            && [&before.epoch, &after.epoch].contains(&&mark.epoch);
        // A restore in between is another history, and makes this copy worth nothing.
        if !within || same != mark.mac || *installation != *self.installation {
            return Err(StoreError::Damaged("the copy is not what the store was".to_owned()));
        }
        let report = copy.check().await;
        copy.close().await;
        let bytes = std::fs::metadata(part).map_err(|e| refused(part, &e))?.len();
        Ok(Backup { head: Head { epoch: mark.epoch, seq: mark.seq }, report: report?, bytes })
    }

    /// The same installation at another place, and a connection there that does not change what kind of file it is.
    pub(crate) async fn elsewhere(&self, connector: Connector) -> Result<(Store, AnyConnection), StoreError> {
        let store =
            Store { pool: connector.pool(), engine: connector.engine, connector, file: None, ..self.clone() };
        let conn = store.pool.acquire().await?.detach();
        Ok((store, conn))
    }

    /// How often things that are no changes are in the store.
    pub(crate) async fn count(conn: &mut AnyConnection, table: &str) -> Result<i64, StoreError> {
        let query = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        Ok(sqlx::query(query).fetch_one(conn).await?.try_get(0)?)
    }
}

/// A file that is being written. It goes when this goes, and what SQLite puts beside it; once it was moved, there is
/// nothing left to go.
pub(crate) struct Part(PathBuf);

impl Part {
    pub(crate) fn make(path: PathBuf) -> Result<Part, StoreError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path);
        made.map_err(|e| refused(&path, &e))?;
        Ok(Part(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            // What is not there need not go.
            let _ = std::fs::remove_file(beside(&self.0, end));
        }
    }
}

/// The path with more at its end.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

/// The path from the root on, so that nothing in it is taken for something else.
pub(crate) fn whole_path(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it is not the name of a file"))?;
    Ok(folder(path).canonicalize()?.join(name))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Sees to it that a file is on the disk.
pub(crate) fn settle(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Sees to it that names in a file's folder are on the disk.
pub(crate) fn settle_names(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

/// Gives a file its name, at once and whole, and never to the harm of a file that has that name already.
fn put_new(part: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(part, to) {
        Ok(()) => std::fs::remove_file(part)?,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(e),
        // Not every file system allows a second name.
        Err(_) if to.symlink_metadata().is_ok() => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => std::fs::rename(part, to)?,
    }
    settle_names(to)
}

fn exists(to: &Path) -> StoreError {
    StoreError::Refused(format!(
        "{}: there is a file already, and a backup replaces none; name another one",
        to.display()
    ))
}

pub(crate) fn no_text(path: &Path) -> StoreError {
    StoreError::Refused(format!("{}: its path has bytes that are no text", path.display()))
}

pub(crate) fn refused(path: &Path, why: &io::Error) -> StoreError {
    StoreError::Refused(format!("{}: {why}", path.display()))
}

/// An instant as a part of a file's name, in UTC.
pub(crate) fn stamp(now: UnixMillis) -> String {
    now.to_string().replace(['-', ':', '.'], "")
}
