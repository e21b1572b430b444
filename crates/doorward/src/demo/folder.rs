//! Where a demo keeps everything.
use crate::{config, random};
use std::fmt::Display;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// For its owner alone.
const MODE: u32 = 0o700;

/// Whoever runs a demo holds a lock on it. Commands that manage the demo's store don't ask for it.
const LOCK: &str = "demo.lock";

/// A folder that no other demo uses; one that was made for this run goes with it.
pub(super) struct Folder {
    path: PathBuf,
    temporary: bool,
    /// Held while the folder is.
    _lock: File,
}

impl Folder {
    /// Opens the given folder, makes it where it is not there, or makes a temporary one.
    ///
    /// # Errors
    /// A demo that runs has it; or what the file system says, with the name of the folder.
    pub(super) fn open(given: Option<&Path>) -> Result<Folder, String> {
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(MODE);
        let told = |path: &Path| {
            let path = path.display().to_string();
            move |e: io::Error| format!("{path}: {e}")
        };
        let (path, temporary) = match given {
            Some(path) => {
                builder.recursive(true).create(path).map_err(told(path))?;
                (path.to_owned(), false)
            }
            None => {
                let mut bytes = [0; 8];
                random::fill(&mut bytes);
                // Nobody can have guessed the name, and making it fails where it is there already.
                let path = config::temporary_folder()
                    .join(format!("doorward-demo-{:016x}", u64::from_be_bytes(bytes)));
                builder.create(&path).map_err(told(&path))?;
                (path, true)
            }
        };
        // What is printed has to work from anywhere.
        let path = path.canonicalize().map_err(told(&path))?;
        let lock = lock(&path)?;
        Ok(Folder { path, temporary, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn lock(folder: &Path) -> Result<File, String> {
    let file = folder.join(LOCK);
    let failed = |e: &dyn Display| format!("{}: {e}", file.display());
    let opened = File::options().write(true).create(true).truncate(false).open(&file);
    let opened = opened.map_err(|e| failed(&e))?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => Err(format!(
            "a demo runs on {} already; stop that one, or give this one a folder of its own (--data)",
            folder.display()
        )),
        Err(TryLockError::Error(e)) => Err(failed(&e)),
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // Whatever is left then is in the system's temporary folder.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
