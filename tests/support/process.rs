//! Processes that end with the tests, and folders that go with them.
use super::cli::PROGRAM;
use crate::feed::is_proof;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};

/// Starts processes from a thread that lives as long as the tests do, and has each end with them: a test that is
/// killed, or a gateway that many tests share, leaves nothing behind. `under`: a program that starts it, and its words.
pub(crate) fn spawn(
    under: &[String],
    words: Vec<String>,
    environment: Vec<(String, String)>,
    stdout: File,
    stderr: File,
) -> Child {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static ORDERS: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, done) in orders {
                let _ = done.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .args(cores())
        .args(under)
        .arg(PROGRAM)
        .args(words)
        .envs(environment);
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    let (done, child) = mpsc::channel();
    orders.lock().expect("the starter lives").send((command, done)).expect("the starter lives");
    child.recv().expect("the starter lives").expect("setpriv, of util-linux, runs the program")
}

/// What has a process run on the cores that this thread has, rather than on those of the thread that starts it. Only where
/// something is measured: every day all have all of them.
fn cores() -> Vec<String> {
    if !is_proof() {
        return Vec::new();
    }
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("Linux");
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("it is told");
    vec!["taskset".to_owned(), "-c".to_owned(), cores.trim().to_owned()]
}

/// A folder that goes when its owner goes.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static CLEANED: OnceLock<()> = OnceLock::new();
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("blackbox");
        CLEANED.get_or_init(|| remove_what_dead_runs_left(&base));
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = base.join(name);
        std::fs::create_dir_all(&folder).expect("a folder for tests");
        Folder(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it, as text.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Writes a file and tells its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let file = self.file(name);
        std::fs::write(&file, content).expect("the folder takes files");
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn remove_what_dead_runs_left(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.split('-').next().unwrap_or_default().to_owned();
        if !Path::new("/proc").join(pid).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file that nobody else may read.
pub(crate) fn write_for_owner(file: &str, content: &[u8]) {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = File::options().write(true).create_new(true).mode(0o600).open(file);
    opened.and_then(|mut file| file.write_all(content)).expect("the folder takes files");
}
