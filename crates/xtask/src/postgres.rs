//! A PostgreSQL server of the tests' own: made for one run in a temporary folder, gone with it.

use crate::Outcome;
use crate::cargo::output;
use crate::packages::is_root;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Debian puts servers: a folder a major version.
const SERVERS: &str = "/usr/lib/postgresql";
/// The account that Debian's package makes. The server refuses to run as root.
const ACCOUNT: &str = "postgres";
/// The first major version whose databases can sort by ICU's rules.
const ICU_SINCE: u32 = 15;

/// How long the server may take until it answers, and until it is gone.
const READY_MS: u64 = 20_000;
const STOP_MS: u64 = 10_000;
/// Another program may take the free port first; then another one is tried.
const ATTEMPTS: usize = 3;

/// Runs the server and, when its own input ends, ends it at once and removes the folder: nothing stays, even if this
/// tool is killed. What is thrown away needs no tidy shutdown.
const GUARD: &str = r#"trap '' INT HUP TERM; folder=$1; shift
"$@" & server=$!
read -r _
kill -QUIT "$server"; wait "$server"; rm -rf -- "$folder""#;

/// What tests want of it. Writes are on the disk when they are acknowledged, as for users.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
max_connections = 300
shared_buffers = 32MB
fsync = on
logging_collector = off
timezone = 'UTC'
";

/// A running server.
pub(crate) struct Cluster {
    guard: Child,
    leash: Option<ChildStdin>,
    folder: PathBuf,
    binaries: PathBuf,
    password: String,
    port: u16,
}

/// The programs of the newest server on this machine.
pub(crate) fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir(SERVERS).ok()?.flatten();
    let servers = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let folder = entry.path().join("bin");
        let whole = ["initdb", "postgres", "psql", "pg_dump"].iter().all(|p| folder.join(p).is_file());
        whole.then_some((version, folder))
    });
    servers.max().map(|(_, folder)| folder)
}

impl Cluster {
    /// Makes one, starts it and waits until it answers.
    pub(crate) fn start() -> Outcome<Cluster> {
        let binaries = binaries().ok_or_else(|| format!("no PostgreSQL below {SERVERS}"))?;
        let mut why = String::new();
        for attempt in 0..ATTEMPTS {
            match Cluster::attempt(&binaries, attempt) {
                Ok(cluster) => return Ok(cluster),
                Err(e) => why = e,
            }
        }
        Err(why)
    }

    fn attempt(binaries: &Path, attempt: usize) -> Outcome<Cluster> {
        let folder = std::env::temp_dir().join(format!("doorward-postgres-{}-{attempt}", std::process::id()));
        let broken = |e: std::io::Error| format!("{}: {e}", folder.display());
        let (password, port) = (random_password()?, free_port()?);
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(broken)?;
        let log = std::fs::File::create(folder.join("log")).map_err(broken)?;
        if let Err(why) = initialise(binaries, &folder, &password, port) {
            let _ = std::fs::remove_dir_all(&folder);
            return Err(why);
        }
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(&folder).args(as_account(&binaries.join("postgres")));
        command.arg("-D").arg(folder.join("data")).current_dir(&folder).stdin(Stdio::piped());
        // A group of its own: whatever ends this tool's group leaves the guard to clean up.
        command.stdout(log.try_clone().map_err(broken)?).stderr(log).process_group(0);
        let mut guard = command.spawn().map_err(broken)?;
        let leash = guard.stdin.take();
        let cluster = Cluster { guard, leash, folder, binaries: binaries.to_owned(), password, port };
        cluster.wait_until_ready().map(|()| cluster)
    }

    fn wait_until_ready(&self) -> Outcome {
        let deadline = Instant::now() + Duration::from_millis(READY_MS);
        loop {
            let mut psql = Command::new(self.binaries.join("psql"));
            psql.args(["-X", "-q", "-c", "SELECT 1", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            // Arguments are for all to see, an environment is not.
            psql.args(["-U", ACCOUNT, "-d", "postgres"]).env("PGPASSWORD", &self.password);
            if output(psql).is_ok() {
                return Ok(());
            }
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            if log.contains("FATAL:  could not") || Instant::now() > deadline {
                return Err(format!("PostgreSQL did not start:\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What tests are told about it: its superuser's address, and where its programs are.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let url = format!("postgres://{ACCOUNT}:{}@127.0.0.1:{}/postgres", self.password, self.port);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.binaries.clone()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).unwrap_or(path);
        vec![("DOORWARD_TEST_POSTGRES", url.into()), ("PATH", path)]
    }

    /// Stops it, and tells what is left of it all the same.
    pub(crate) fn stop(self) -> Outcome {
        let folder = self.folder.clone();
        drop(self);
        let left: Vec<String> = processes_in(&folder).iter().map(u32::to_string).collect();
        if !left.is_empty() {
            return Err(format!("PostgreSQL still runs: process {}", left.join(", ")));
        }
        if folder.exists() { Err(format!("{} is still there", folder.display())) } else { Ok(()) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.leash.take());
        let deadline = Instant::now() + Duration::from_millis(STOP_MS);
        while Instant::now() < deadline {
            if matches!(self.guard.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let left = processes_in(&self.folder);
        let _ = Command::new("kill").arg("-KILL").args(left.iter().map(u32::to_string)).status();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The processes that work in a folder or below it: all of a server's do, whatever they call themselves.
fn processes_in(folder: &Path) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
        })
        .collect()
}

/// Makes the files of a server; they belong to its account.
fn initialise(binaries: &Path, folder: &Path, password: &str, port: u16) -> Outcome {
    let broken = |e: std::io::Error| format!("{}: {e}", folder.display());
    let (data, secret) = (folder.join("data"), folder.join("password"));
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(0o600).open(&secret).map_err(broken)?;
    writeln!(file, "{password}").map_err(broken)?;
    if is_root() {
        let mut chown = Command::new("chown");
        chown.arg("-R").arg(format!("{ACCOUNT}:")).arg(folder);
        output(chown)?;
    }
    let mut words = as_account(&binaries.join("initdb"));
    words.extend(["-D".into(), data.clone().into(), "--pwfile".into(), secret.clone().into()]);
    words.extend(["-U", ACCOUNT, "-E", "UTF8", "--locale=C", "--no-sync"].map(OsString::from));
    words.extend(["--auth-local=scram-sha-256", "--auth-host=scram-sha-256"].map(OsString::from));
    let version = binaries.parent().and_then(|p| p.file_name()?.to_str()?.parse::<u32>().ok());
    if version.is_some_and(|v| v >= ICU_SINCE) {
        // Sorts as people do, not by bytes: what relies on the order of bytes has to ask for it.
        words.extend(["--locale-provider=icu", "--icu-locale=en-US"].map(OsString::from));
    }
    let mut initdb = Command::new(&words[0]);
    initdb.args(&words[1..]).current_dir(folder);
    output(initdb)?;
    let _ = std::fs::remove_file(secret);
    let socket = folder.display().to_string().replace('\'', "''");
    let settings = format!("{SETTINGS}port = {port}\nunix_socket_directories = '{socket}'\n");
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.append(true).open(data.join("postgresql.conf")).map_err(broken)?;
    file.write_all(settings.as_bytes()).map_err(broken)
}

/// The words that run a program as an account that the server accepts. Nothing stays between: signals reach it.
fn as_account(program: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    if is_root() {
        words.extend(
            ["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups", "--"].map(OsString::from),
        );
    }
    words.push(program.into());
    words
}

fn random_password() -> Outcome<String> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(|e| format!("no random bytes: {e}"))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

fn free_port() -> Outcome<u16> {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|e| format!("no free port: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_to_its_password_alone_and_leaves_nothing() {
        if binaries().is_none() {
            let _ = writeln!(std::io::stderr(), "skipped: a server of the tests' own: no PostgreSQL here");
            return;
        }
        let cluster = Cluster::start().unwrap();
        let folder = cluster.folder.clone();
        assert!(!processes_in(&folder).is_empty() && !folder.join("password").exists());
        let mut psql = Command::new(cluster.binaries.join("psql"));
        psql.args(["-X", "-w", "-h", "127.0.0.1", "-p", &cluster.port.to_string(), "-U", ACCOUNT, "-c", ""]);
        psql.env("PGPASSWORD", "wrong");
        assert!(output(psql).is_err_and(|why| why.contains("password authentication failed")));
        assert_eq!(cluster.stop(), Ok(()));
        assert!(!folder.exists() && processes_in(&folder).is_empty());
    }
}
