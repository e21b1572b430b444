//! `cargo xtask tidy`: the rules of the house that neither compiler nor linter keeps.

mod crates;
mod links;
mod text;

use crate::Outcome;
use crate::cargo::{output, root};
use std::path::Path;
use std::process::Command;

/// A text file of the repository.
struct File {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
}

pub(crate) fn run() -> Outcome {
    let files = tracked_files()?;
    let mut mistakes = Vec::new();
    for file in &files {
        text::check(file, &mut mistakes);
        links::check(file, &|path| root().join(path).exists(), &mut mistakes);
        crates::check(file, &mut mistakes);
    }
    text::check_exceptions(&files, &mut mistakes);
    if mistakes.is_empty() {
        println!("{} files are tidy", files.len());
        return Ok(());
    }
    Err(mistakes.join("\n"))
}

/// Files that git knows or would take; what is not text is left out.
fn tracked_files() -> Outcome<Vec<File>> {
    let mut git = Command::new("git");
    // A checkout that another user owns is still this repository.
    git.current_dir(root()).args(["-c", "safe.directory=*"]).args(["ls-files", "-z", "--cached", "--others"]);
    git.arg("--exclude-standard");
    let listed = output(git)?;
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        // Deleted but not yet committed, or a link to a folder: nothing to read.
        let Ok(bytes) = std::fs::read(root().join(Path::new(path))) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    if files.is_empty() {
        return Err("git lists no file".to_owned());
    }
    Ok(files)
}
