//! Passwords for servers, the store's and the ledger's: each in a file of its own, so that settings can be shown around.
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Permissions that nobody may have on it: everybody, and the group for writing.
const FORBIDDEN: u32 = 0o027;
/// Longer than any server takes.
const MAX_BYTES: usize = 1024;

/// A file with a password that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("{0}: {1}; {2}.password_file names the file that holds the {2}'s password")]
    Unreadable(PathBuf, io::Error, &'static str),
    #[error(
        "{0}: others than its owner can reach the {2}'s password (mode {1:o}); `chmod 600 {0}`, and think about who may have read it"
    )]
    Exposed(PathBuf, u32, &'static str),
    #[error("{0}: a password is one line of text with 1 to {MAX_BYTES} bytes")]
    Malformed(PathBuf),
}

/// Reads the password of a server; the end of its line does not belong to it. `of` is whose: `store` or `ledger`.
///
/// # Errors
/// That the file is not readable, open to others, or holds no password.
pub(crate) fn load(file: &Path, of: &'static str) -> Result<String, PasswordError> {
    let unreadable = |e: io::Error| PasswordError::Unreadable(file.to_owned(), e, of);
    let mode = std::fs::metadata(file).map_err(unreadable)?.permissions().mode();
    if mode & FORBIDDEN != 0 {
        return Err(PasswordError::Exposed(file.to_owned(), mode & 0o777, of));
    }
    let mut text = String::from_utf8(std::fs::read(file).map_err(unreadable)?)
        .map_err(|_| PasswordError::Malformed(file.to_owned()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() || text.len() > MAX_BYTES || text.contains(['\n', '\r', '\0']) {
        return Err(PasswordError::Malformed(file.to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_line_that_nobody_else_reads() {
        let file = std::env::temp_dir().join(format!("doorward-password-{}", std::process::id()));
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        for (text, read) in [("a b\n", "a b"), ("a\r\n", "a"), (" a ", " a ")] {
            std::fs::write(&file, text).unwrap();
            mode(0o600);
            assert_eq!(load(&file, "store").unwrap(), read);
        }
        for text in ["", "\n", "a\nb\n", "a\0"] {
            std::fs::write(&file, text).unwrap();
            assert!(matches!(load(&file, "store"), Err(PasswordError::Malformed(_))), "{text:?}");
        }
        std::fs::write(&file, "a\n").unwrap();
        mode(0o604);
        assert!(matches!(load(&file, "store"), Err(PasswordError::Exposed(_, 0o604, _))));
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(load(&file, "store"), Err(PasswordError::Unreadable(..))));
    }
}
