//! Where a demo keeps everything.
use crate::{config, random};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// For its owner alone.
const MODE: u32 = 0o700;

/// A folder; one that was made for this run goes with it.
pub(super) struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// Opens the given folder, makes it where it is not there, or makes a temporary one.
    ///
    /// # Errors
    /// What the file system says, with the name of the folder.
    pub(super) fn open(given: Option<&Path>) -> Result<Folder, String> {
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(MODE);
        let told = |path: &Path| {
            let path = path.display().to_string();
            move |e: io::Error| format!("{path}: {e}")
        };
        let mut folder = match given {
            Some(path) => {
                builder.recursive(true).create(path).map_err(told(path))?;
                Folder { path: path.to_owned(), temporary: false }
            }
            None => {
                let mut bytes = [0; 8];
                random::fill(&mut bytes);
                // Nobody can have guessed the name, and making it fails where it is there already.
                let path = config::temporary_folder()
                    .join(format!("doorward-demo-{:016x}", u64::from_be_bytes(bytes)));
                builder.create(&path).map_err(told(&path))?;
                Folder { path, temporary: true }
            }
        };
        // What is printed has to work from anywhere.
        folder.path = folder.path.canonicalize().map_err(told(&folder.path))?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
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
