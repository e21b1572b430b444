//! Servers as child processes: started, measured, and stopped whatever happens to the tool itself.

use crate::Outcome;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, read_dir, read_to_string};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it is ready, and until it has stopped when asked to.
const READY_MS: u64 = 60_000;
const STOP_MS: u64 = 10_000;

/// Runs its arguments in the background and ends them when its own input ends, so that a server ends with
/// this tool, even if the tool is killed. The terminal's own signals are left to the tool.
const GUARD: &str = r#"trap '' INT HUP; "$@" & server=$!; read -r _; kill -TERM "$server"; wait "$server""#;

/// A running server with all its processes.
pub(crate) struct Server {
    guard: Child,
    leash: Option<ChildStdin>,
    errors: PathBuf,
}

impl Server {
    /// Starts a server; its standard output is appended to `out`, its errors go to a file beside it.
    pub(crate) fn start(program: &Path, words: &[&str], out: &Path) -> Outcome<Server> {
        let broken = |e: std::io::Error| format!("{}: {e}", program.display());
        let errors = out.with_extension("err");
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(program).args(words);
        command.stdin(Stdio::piped()).stderr(File::create(&errors).map_err(broken)?);
        command.stdout(OpenOptions::new().create(true).append(true).open(out).map_err(broken)?);
        let mut guard = command.spawn().map_err(broken)?;
        let leash = guard.stdin.take();
        Ok(Server { guard, leash, errors })
    }

    /// Waits for something that says that the server is ready.
    pub(crate) fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Outcome<T> {
        let deadline = Instant::now() + Duration::from_millis(READY_MS);
        // Right after the start the guard may not have its child yet.
        let mut seen = false;
        loop {
            if let Some(ready) = ready() {
                return Ok(ready);
            }
            let alive = !self.processes()?.is_empty();
            if (seen && !alive) || Instant::now() > deadline {
                return Err(format!(
                    "a server did not start:\n{}",
                    read_to_string(&self.errors).unwrap_or_default()
                ));
            }
            seen |= alive;
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the server accepts connections.
    pub(crate) fn until_listening(&self, address: SocketAddr) -> Outcome {
        self.until(|| TcpStream::connect(address).ok().map(drop))
    }

    /// All processes below the guard.
    pub(crate) fn processes(&self) -> Outcome<BTreeSet<u32>> {
        let mut parents = Vec::new();
        for entry in read_dir("/proc").map_err(|e| format!("processes: {e}"))?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let Ok(stat) = read_to_string(entry.path().join("stat")) else { continue };
            let mut fields = after_name(&stat);
            let state = fields.next();
            if state != Some("Z")
                && let Some(parent) = fields.next().and_then(|f| f.parse::<u32>().ok())
            {
                parents.push((pid, parent));
            }
        }
        let mut family = BTreeSet::from([self.guard.id()]);
        let mut newest = family.clone();
        while !newest.is_empty() {
            let children = parents.iter().filter(|(_, parent)| newest.contains(parent)).map(|(pid, _)| *pid);
            newest = children.filter(|pid| !family.contains(pid)).collect();
            family.extend(&newest);
        }
        family.remove(&self.guard.id());
        Ok(family)
    }

    /// CPU time used so far by all threads of all processes, user and system.
    pub(super) fn cpu_us(&self) -> Outcome<f64> {
        let mut total_ns = 0_u64;
        for pid in self.processes()? {
            let tasks = read_dir(format!("/proc/{pid}/task")).map_err(|e| format!("process {pid}: {e}"))?;
            for task in tasks.flatten() {
                let file = task.path().join("schedstat");
                let text = read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
                total_ns += text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        if total_ns == 0 { Err("the server is gone".to_owned()) } else { Ok(total_ns as f64 / 1_000.0) }
    }

    /// Memory of all processes, what they share counted once; resident memory where that can't be read.
    pub(crate) fn memory_kib(&self) -> Outcome<u64> {
        let field = |file: String, name: &str| -> Option<u64> {
            let text = read_to_string(file).ok()?;
            text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
        };
        let memory = |pid| {
            field(format!("/proc/{pid}/smaps_rollup"), "Pss:")
                .or_else(|| field(format!("/proc/{pid}/status"), "VmRSS:"))
                .unwrap_or(0)
        };
        Ok(self.processes()?.into_iter().map(memory).sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.leash.take());
        let deadline = Instant::now() + Duration::from_millis(STOP_MS);
        while Instant::now() < deadline {
            if matches!(self.guard.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let left = self.processes().unwrap_or_default();
        let _ = Command::new("kill").arg("-KILL").args(left.iter().map(u32::to_string)).status();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// CPU time of all children that this process has waited for: of the load tools, since servers run on.
pub(super) fn children_cpu_us() -> Outcome<f64> {
    // The kernel shows these times in hundredths of a second on every machine.
    const TICK_US: f64 = 10_000.0;
    let stat = read_to_string("/proc/self/stat").map_err(|e| format!("own process: {e}"))?;
    // Fields 16 and 17 of proc(5), counted from 1; the first two are gone.
    let ticks: f64 = after_name(&stat).skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks * TICK_US)
}

/// The fields of a stat file behind the program's name, which may hold spaces and brackets.
fn after_name(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_seen_measured_and_ended_with_its_children() {
        let dir = crate::cargo::target_dir().join(format!("xtask-test-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let script = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 60' & wait";
        let server = Server::start(Path::new("sh"), &["-c", script], &dir.join("a.log")).unwrap();
        let family = server.until(|| server.processes().ok().filter(|family| family.len() >= 2)).unwrap();
        let busy = server.until(|| server.cpu_us().ok().filter(|us| *us > 20_000.0));
        assert!(busy.is_ok() && server.memory_kib().unwrap() > 0);
        drop(server);
        // The shell ends at once; its child may outlive it as an orphan, so it is ended by hand.
        let first = *family.first().unwrap();
        assert!(!Path::new(&format!("/proc/{first}")).exists());
        let _ = Command::new("kill")
            .args(family.iter().skip(1).map(u32::to_string))
            .stderr(Stdio::null())
            .status();
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_server_that_fails_says_why() {
        let dir = crate::cargo::target_dir().join(format!("xtask-test-fail-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let words = ["-c", "sleep 0.2; echo no port >&2; exit 1"];
        let server = Server::start(Path::new("sh"), &words, &dir.join("a.log")).unwrap();
        assert!(server.until(|| None::<()>).is_err_and(|why| why.contains("no port")));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn names_with_brackets_do_not_shift_fields() {
        assert_eq!(after_name("7 (a) b) S 3 4").collect::<Vec<_>>(), ["S", "3", "4"]);
    }
}
