//! The program's command line.
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

/// How long a command may take. One that should have ended by itself, and did not, is killed.
const ENDS: Duration = Duration::from_secs(60);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Asserts that it did what it was asked.
    #[track_caller]
    pub(crate) fn ok(self) -> Run {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Everything it said.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a command to its end.
pub(crate) fn doorward(words: &[&str]) -> Run {
    doorward_with(words, &[])
}

/// The same, with something to read on standard input.
pub(crate) fn doorward_fed(words: &[&str], stdin: &[u8]) -> Run {
    let mut command = Command::new(PROGRAM);
    command.args(words).stdin(Stdio::piped());
    run(command, words, stdin)
}

/// The same, with more in its environment.
pub(crate) fn doorward_with(words: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = Command::new(PROGRAM);
    command.envs(environment.iter().copied()).args(words).stdin(Stdio::null());
    run(command, words, b"")
}

fn run(mut command: Command, words: &[&str], stdin: &[u8]) -> Run {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let fed = child.stdin.take().map(|mut pipe| {
        let stdin = stdin.to_vec();
        // Whoever refuses its arguments reads nothing.
        std::thread::spawn(move || drop(pipe.write_all(&stdin)))
    });
    let (done, ended) = mpsc::channel::<()>();
    let pid = child.id().to_string();
    std::thread::spawn(move || {
        if ended.recv_timeout(ENDS) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    });
    let out = child.wait_with_output().expect("the program runs");
    drop(done);
    fed.map(std::thread::JoinHandle::join);
    assert_ne!(out.status.signal(), Some(9), "{words:?} did not end within {ENDS:?}: {out:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let run =
        Run { code: out.status.code().unwrap_or(-1), stdout: text(&out.stdout), stderr: text(&out.stderr) };
    assert!(!run.stderr.contains("panicked at"), "{words:?}: {run:?}");
    run
}

/// The JSON objects that a command printed: one a line, or a list of them.
pub(crate) fn rows(stdout: &str) -> Vec<Value> {
    let mut out = Vec::new();
    for value in serde_json::Deserializer::from_str(stdout).into_iter::<Value>() {
        match value.unwrap_or_else(|e| panic!("{e}: {stdout}")) {
            Value::Array(many) => out.extend(many),
            one => out.push(one),
        }
    }
    out
}
