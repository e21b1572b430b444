//! The master key: 32 random bytes in a file of their own, never in the store.
use crate::{base64, files, random};
use doorward_core::keyring::{MASTER_KEY_BYTES, MasterKey};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Permissions that nobody may have on a master key: everybody, and the group for writing.
const FORBIDDEN: u32 = 0o027;
/// Permissions that the group should not have, but on some systems needs.
const DOUBTFUL: u32 = 0o040;

/// A master key that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MasterKeyError {
    #[error("{0}: there is no master key; `doorward master-key create {0}` makes one")]
    Missing(PathBuf),
    #[error("{0}: {1}")]
    Unreadable(PathBuf, io::Error),
    #[error(
        "{0}: a master key is {MASTER_KEY_BYTES} bytes in base64, as `doorward master-key create` writes them"
    )]
    Malformed(PathBuf),
    #[error(
        "{0}: others than its owner can reach the master key (mode {1:o}); `chmod 600 {0}`, and think about who may have read it"
    )]
    Exposed(PathBuf, u32),
    #[error("{0}: it exists already, and what it sealed would be lost with it")]
    Exists(PathBuf),
}

/// Makes a master key. The file must not exist yet.
///
/// # Errors
/// [`MasterKeyError::Exists`], or what the file system says.
pub(crate) fn create(file: &Path) -> Result<(), MasterKeyError> {
    let mut key = [0; MASTER_KEY_BYTES];
    random::fill(&mut key);
    let text = format!("{}\n", base64::encode(&key));
    files::create_secret(file, text.as_bytes()).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => MasterKeyError::Exists(file.to_owned()),
        _ => MasterKeyError::Unreadable(file.to_owned(), e),
    })
}

/// Reads a master key.
///
/// # Errors
/// That it is not there, not readable, open to others, or no master key.
pub(crate) fn load(file: &Path) -> Result<MasterKey, MasterKeyError> {
    let unreadable = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => MasterKeyError::Missing(file.to_owned()),
        _ => MasterKeyError::Unreadable(file.to_owned(), e),
    };
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let mode = std::fs::metadata(file).map_err(unreadable)?.permissions().mode();
    if mode & FORBIDDEN != 0 {
        return Err(MasterKeyError::Exposed(file.to_owned(), mode & 0o777));
    }
    if mode & DOUBTFUL != 0 {
        tracing::warn!(
            "{}: the owner's group can read the master key (mode {:o})",
            file.display(),
            mode & 0o777
        );
    }
    let bytes = base64::decode(text.trim()).and_then(|b| <[u8; MASTER_KEY_BYTES]>::try_from(b).ok());
    let bytes = bytes.ok_or_else(|| MasterKeyError::Malformed(file.to_owned()))?;
    Ok(MasterKey::new(bytes))
}
