//! Running cargo, passing on what it prints and counting the tests in it.

use crate::Outcome;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long output is still read after a command has ended: a process that it left behind may hold the pipe.
const PIPE_GRACE_MS: u64 = 2_000;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate lies two folders below the root")
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A cargo command in the repository's root.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(words);
    command
}

/// The words of a command as one would type them.
pub(crate) fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut words = vec![program.to_string_lossy()];
    words.extend(command.get_args().map(|word| word.to_string_lossy()));
    words.join(" ")
}

/// What a command prints on standard output; an error if it fails.
pub(crate) fn output(mut command: Command) -> Outcome<String> {
    let said = command.stdin(Stdio::null()).output().map_err(|e| format!("{}: {e}", typed(&command)))?;
    if !said.status.success() {
        return Err(format!(
            "{}: {}\n{}",
            typed(&command),
            said.status,
            String::from_utf8_lossy(&said.stderr)
        ));
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// Runs a command with its output passed on as it comes.
pub(crate) fn run(mut command: Command) -> Outcome {
    let status = command.stdin(Stdio::null()).status().map_err(|e| format!("{}: {e}", typed(&command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", typed(&command))) }
}

/// Tests counted over any number of test binaries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    succeeded: u64,
    pub(crate) failed: u64,
    ignored: u64,
    declared: u64,
}

impl Tally {
    /// Reads one line of output. A test that finds at run time that it has nothing to work on writes a line
    /// `skipped: what: why` straight to standard error; the harness calls it passed, this does not.
    pub(crate) fn read(&mut self, line: &str) {
        if line.starts_with("skipped: ") || line.contains("... skipped: ") {
            self.declared += 1;
        }
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        for part in counts.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(n)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.succeeded += n,
                "failed" => self.failed += n,
                "ignored" => self.ignored += n,
                _ => {}
            }
        }
    }

    pub(crate) fn passed(&self) -> u64 {
        self.succeeded.saturating_sub(self.declared)
    }

    pub(crate) fn skipped(&self) -> u64 {
        self.ignored + self.declared
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.succeeded += more.succeeded;
        self.failed += more.failed;
        self.ignored += more.ignored;
        self.declared += more.declared;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed(), self.failed, self.skipped())
    }
}

/// Runs a command of tests, passing its output on line by line and counting into `tally`; each line is heard.
pub(crate) fn run_tests(command: Command, tally: &mut Tally, mut heard: impl FnMut(&str)) -> Outcome {
    follow(command, |line| {
        tally.read(line);
        heard(line);
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())
    })
}

/// Runs a command and gives each line that it prints, on either stream, to `each`.
fn follow(mut command: Command, mut each: impl FnMut(&str) -> std::io::Result<()>) -> Outcome {
    let name = typed(&command);
    let broken = |e: std::io::Error| format!("{name}: {e}");
    let (reader, writer) = std::io::pipe().map_err(broken)?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(broken)?).stderr(writer);
    let mut child = command.spawn().map_err(broken)?;
    // The command holds ends of the pipe: without them closed it would never end.
    drop(command);

    let (lines, arriving) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let mut ended: Option<Instant> = None;
    loop {
        match arriving.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => each(&String::from_utf8_lossy(&line)).map_err(broken)?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if ended.is_none() && child.try_wait().map_err(broken)?.is_some() {
                    ended = Some(Instant::now());
                }
                if ended.is_some_and(|at| at.elapsed() > Duration::from_millis(PIPE_GRACE_MS)) {
                    break;
                }
            }
        }
    }
    let status = child.wait().map_err(broken)?;
    if status.success() { Ok(()) } else { Err(format!("{name}: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_adds_up_every_result_line_and_moves_declared_skips() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "skipped: vectors of x: DOORWARD_PUBLIC_VECTORS is not set",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            tally.read(line);
        }
        assert_eq!((tally.passed(), tally.failed, tally.skipped()), (6, 2, 2));
        tally += tally;
        assert_eq!(tally.to_string(), "12 passed, 4 failed, 4 skipped");
    }

    #[test]
    fn output_is_read_to_its_end_and_a_failing_status_is_an_error() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; printf three; exit 3"]);
        let outcome = follow(command, |line| {
            lines.push(line.to_owned());
            Ok(())
        });
        assert!(outcome.is_err_and(|why| why.contains('3')));
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[test]
    fn a_process_that_keeps_the_pipe_open_does_not_hang_the_run() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 12 & exit 0"]);
        let started = Instant::now();
        assert_eq!(follow(command, |_| Ok(())), Ok(()));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn the_root_is_where_the_workspace_is() {
        assert!(root().join("Cargo.toml").is_file() && root().join("crates/xtask").is_dir());
    }
}
