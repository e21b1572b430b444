//! System calls of a peer while it is loaded, as `strace` counts them. It slows everything down, so that nothing else is
//! taken from such a run.

use super::load::{Aim, Load};
use super::peers::Peer;
use crate::Outcome;
use std::fs::{read_dir, read_to_string};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take until all threads are followed, and until the count is told.
const PATIENCE_MS: u64 = 10_000;

/// How long a peer is followed.
const SECONDS: u64 = 1;

/// Calls by completed requests, of all processes and threads.
pub(super) fn per_request(peer: &Peer, load: Load) -> Outcome<f64> {
    let counts = peer.folder().join("calls.txt");
    let processes = peer.server.processes()?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-U", "calls,name", "-o"]).arg(&counts);
    strace.args(processes.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]));
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut strace = strace.spawn().map_err(|e| format!("strace: {e}"))?;
    let followed = until(|| processes.iter().all(|pid| is_followed(*pid)));
    let seen =
        if followed { load.apply(peer, SECONDS, Aim::Count) } else { Err("strace can't follow".into()) };
    end(&mut strace)?;
    let text = read_to_string(&counts).map_err(|e| format!("{}: {e}", counts.display()))?;
    let total = total(&text).ok_or_else(|| format!("can't read what strace says:\n{text}"))?;
    Ok(total as f64 / seen?.requests as f64)
}

/// Whether each thread of a process has somebody who follows it.
fn is_followed(pid: u32) -> bool {
    let Ok(tasks) = read_dir(format!("/proc/{pid}/task")) else { return false };
    tasks.flatten().all(|task| {
        let status = read_to_string(task.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0"))
    })
}

/// Has strace let go and write its count.
fn end(strace: &mut Child) -> Outcome {
    let _ = Command::new("kill").args(["-INT", &strace.id().to_string()]).status();
    if until(|| matches!(strace.try_wait(), Ok(Some(_)))) {
        return Ok(());
    }
    let _ = strace.kill();
    let _ = strace.wait();
    Err("strace did not end".to_owned())
}

fn until(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_millis(PATIENCE_MS);
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The count of all calls.
fn total(text: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let count = words.next()?.parse().ok()?;
        (words.next() == Some("total")).then_some(count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found() {
        let text = "    calls syscall\n--------- ------------\n        7 read\n--------- ------------\n     1007 total\n";
        assert_eq!(total(text), Some(1_007));
        assert_eq!(total(""), None);
    }
}
