//! A Redis server of a test's own: on a port that was free, with nothing in it, gone with its test.
//!
//! `DOORWARD_TEST_REDIS` names the server's program; without it, tests that need one are skipped.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long it may take to answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);
/// Another program may take the free port first.
const ATTEMPTS: usize = 5;

/// A server, running or not.
pub(crate) struct Redis {
    program: PathBuf,
    folder: PathBuf,
    options: Vec<String>,
    port: u16,
    process: Option<Child>,
}

impl Redis {
    /// One that keeps nothing on the disk; `None` where there is no program, which is told.
    pub(crate) fn start(test: &str) -> Option<Redis> {
        Redis::with(test, &[])
    }

    /// The same with further options.
    pub(crate) fn with(test: &str, options: &[&str]) -> Option<Redis> {
        let Some(program) = std::env::var_os("DOORWARD_TEST_REDIS").filter(|p| !p.is_empty()) else {
            // Past the harness, which would keep it to itself.
            let _ = writeln!(std::io::stderr(), "skipped: {test}: DOORWARD_TEST_REDIS is not set");
            return None;
        };
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("doorward-redis-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("a folder for a server");
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut redis = Redis { program: program.into(), folder, options, port: 0, process: None };
        for _ in 0..ATTEMPTS {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            redis.port = free.expect("a free port").port();
            if redis.run() {
                return Some(redis);
            }
        }
        panic!("no Redis server: {}", redis.log());
    }

    /// Starts it; `false` where it ended at once.
    fn run(&mut self) -> bool {
        let log = self.folder.join("log");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
        command
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(&self.folder);
        command.args(["--appendonly", "no", "--daemonize", "no", "--logfile"]).arg(&log).args(&self.options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("setpriv, of util-linux, runs the program"));
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.process.as_mut().is_some_and(|process| process.try_wait().expect("a child").is_some()) {
                self.process = None;
                return false;
            }
            let answers = |answer: String| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH");
            if self.try_ask(&["PING"]).is_ok_and(answers) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the Redis server does not answer: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// Kills it; what it held is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again at the same address, with nothing in it.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        assert!(self.run(), "it does not start again: {}", self.log());
    }

    /// Sends it a signal, by name: STOP and CONT make it as good as unreachable for a while.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Asks it something, and returns the first bytes of the raw answer.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let answer = self.try_ask(words).expect("an answer");
        assert!(!answer.starts_with('-'), "{words:?}: {answer}");
        answer
    }

    pub(crate) fn try_ask(&self, words: &[&str]) -> std::io::Result<String> {
        let mut socket = TcpStream::connect_timeout(&self.address(), PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut call = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| call.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        socket.write_all(call.as_bytes())?;
        let mut room = vec![0; 64 * 1024];
        let length = socket.read(&mut room)?;
        Ok(String::from_utf8_lossy(&room[..length]).into_owned())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
