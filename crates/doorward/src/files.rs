//! Files that others rely on: written whole, with the right permissions.
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// For its owner alone.
pub(crate) const SECRET_MODE: u32 = 0o600;
/// For everybody to read.
pub(crate) const PUBLIC_MODE: u32 = 0o644;

/// Creates a file for its owner alone; it must not exist yet. It is on the disk when this returns.
///
/// # Errors
/// What the file system says.
pub(crate) fn create_secret(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut f = OpenOptions::new().write(true).create_new(true).mode(SECRET_MODE).open(file)?;
    f.write_all(content)?;
    f.sync_all()?;
    sync_folder(file)
}

/// Writes a file whole: whoever reads it sees all of it or what was there before.
///
/// # Errors
/// What the file system says.
pub(crate) fn replace(file: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = file.with_file_name(name);
    let written = || {
        let mut f = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
        // A file left over from before keeps its mode when it is opened.
        f.set_permissions(Permissions::from_mode(mode))?;
        f.write_all(content)?;
        f.sync_all()?;
        std::fs::rename(&new, file)?;
        sync_folder(file)
    };
    written().inspect_err(|_| {
        let _ = std::fs::remove_file(&new);
    })
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
