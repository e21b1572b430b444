//! Rules about a file's text: length, white space, prints, paths of somebody's machine.

use super::File;

/// Past this many lines a file is two files.
const MAX_LINES: usize = 400;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// First parts of absolute paths that stand for one machine.
const MACHINE_FOLDERS: &[&str] = &["work", "tmp", "root", "home"];

/// Crates that print: the program and its tools.
const PRINTING: &[&str] = &["crates/doorward/", "crates/xtask/"];

pub(super) fn check(file: &File, mistakes: &mut Vec<String>) {
    let File { path, text } = file;
    let lines = text.lines().count();
    if is_source(path) && lines > MAX_LINES && !LONG_FILES.iter().any(|(long, _)| long == path) {
        mistakes.push(format!("{path}: {lines} lines; past {MAX_LINES} a file is two files"));
    }
    // Inputs for fuzzers are as they are.
    if path.starts_with("fuzz/seeds/") {
        return;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        mistakes.push(format!("{path}: the last line has no end"));
    }
    let silent = path.starts_with("crates/")
        && path.contains("/src/")
        && !path.contains("/tests/")
        && !path.ends_with("_tests.rs")
        && !PRINTING.iter().any(|p| path.starts_with(p));
    for (number, line) in (1..).zip(text.lines()) {
        if line.ends_with([' ', '\t', '\r']) {
            mistakes.push(format!("{path}:{number}: trailing white space"));
        }
        if silent && prints(line) {
            mistakes.push(format!("{path}:{number}: only the binary and the tools print"));
        }
        if let Some(folder) = machine_path(line) {
            mistakes.push(format!("{path}:{number}: a path of one machine: /{folder}"));
        }
    }
}

/// An exception that is needed no more is a mistake.
pub(super) fn check_exceptions(files: &[File], mistakes: &mut Vec<String>) {
    for (path, reason) in LONG_FILES {
        let long = files.iter().any(|file| file.path == *path && file.text.lines().count() > MAX_LINES);
        if !long || reason.is_empty() {
            mistakes.push(format!("{path}: listed as long without need or reason"));
        }
    }
}

fn is_source(path: &str) -> bool {
    let in_crate = path.starts_with("crates/") && (path.contains("/src/") || path.contains("/tests/"));
    in_crate || path.starts_with("tests/")
}

fn prints(line: &str) -> bool {
    let code = line.trim_start();
    !code.starts_with("//") && ["println!(", "print!(", "dbg!("].iter().any(|call| code.contains(call))
}

/// The first absolute path in a line that starts with a machine's folder.
fn machine_path(line: &str) -> Option<&'static str> {
    let starts_path = |before: Option<char>| match before {
        None => true,
        Some(c) => c.is_whitespace() || "\"'`(=:,<[{|>".contains(c),
    };
    line.match_indices('/').find_map(|(at, _)| {
        let folder = MACHINE_FOLDERS.iter().find(|folder| {
            let rest = line[at + 1..].strip_prefix(**folder);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || "-_.".contains(c)))
        })?;
        starts_path(line[..at].chars().next_back()).then_some(*folder)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(path: &str, text: &str) -> Vec<String> {
        let mut mistakes = Vec::new();
        check(&File { path: path.to_owned(), text: text.to_owned() }, &mut mistakes);
        mistakes
    }

    #[test]
    fn white_space_ends_and_prints_are_found_where_they_matter() {
        assert_eq!(mistakes("a.md", "fine\n"), Vec::<String>::new());
        assert_eq!(mistakes("a.md", "one \n").len(), 1);
        assert_eq!(mistakes("a.md", "one").len(), 1);
        let print = "    println!(\"x\");\n";
        assert_eq!(mistakes("crates/core/src/a.rs", print).len(), 1);
        assert_eq!(mistakes("crates/core/src/a.rs", "// println!(x)\n").len(), 0);
        assert_eq!(mistakes("crates/doorward/src/a.rs", print).len(), 0);
    }

    #[test]
    fn long_sources_are_found() {
        let long = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(mistakes("tests/a.rs", &long).len(), 1);
        assert_eq!(mistakes("crates/core/src/a.rs", &long).len(), 1);
        assert_eq!(mistakes("Cargo.lock", &long).len(), 0);
        assert_eq!(mistakes("tests/a.rs", &"x\n".repeat(MAX_LINES)).len(), 0);
    }

    #[test]
    fn paths_of_a_machine_are_told_from_other_slashes() {
        for folder in MACHINE_FOLDERS {
            for line in [format!("cd /{folder}/x"), format!("\"/{folder}\""), format!("a=/{folder}/b")] {
                assert_eq!(machine_path(&line), Some(*folder), "{line}");
            }
            for line in
                [format!("/{folder}shop"), format!("https://a.example/{folder}/x"), format!("./{folder}/")]
            {
                assert_eq!(machine_path(&line), None, "{line}");
            }
        }
    }
}
