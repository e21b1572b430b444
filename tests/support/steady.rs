//! Callers that behave: each asks at a fixed rate, whatever becomes of its requests, and times them from when they were due.
use super::client::Conn;
use super::wait::skipped;
use crate::feed::is_proof;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Callers at a time.
pub(crate) const CALLERS: u32 = 16;
/// Requests a second of all of them.
const RATE: u32 = 800;
/// Where they come from: nobody else does.
const SOURCE: &str = "127.0.0.9";

/// What they saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Of the requests that were answered with 200, from the instant at which each was due.
    pub(crate) took: Vec<Duration>,
    /// Answers with another status, and connections that ended.
    pub(crate) others: u64,
}

/// Asks for as long as `work` goes on; what that gave, and what the callers saw.
pub(crate) fn steadily<T>(address: SocketAddr, request: &str, work: impl FnOnce() -> T) -> (T, Seen) {
    let (over, others, all) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Vec::new()));
    let began = Instant::now();
    let done = std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (over, others, all) = (&over, &others, &all);
            scope.spawn(move || {
                let every = Duration::from_secs(1) * CALLERS / RATE;
                let mut due = began + every * caller / CALLERS;
                let mut connection = Conn::from_address(SOURCE, address);
                let mut took = Vec::new();
                while !over.load(Relaxed) {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    let answer =
                        connection.try_send(request).ok().and_then(|()| connection.try_answer("GET").ok());
                    match &answer {
                        Some(answer) if answer.status == 200 => took.push(due.elapsed()),
                        _ => drop(others.fetch_add(1, Relaxed)),
                    }
                    if answer.is_none_or(|answer| answer.closes()) {
                        connection = Conn::from_address(SOURCE, address);
                    }
                    due += every;
                }
                all.lock().expect("no caller panics").extend(took);
            });
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Relaxed);
        done
    });
    let seen = Seen { took: all.into_inner().expect("no caller panics"), others: others.into_inner() };
    (done.unwrap_or_else(|why| std::panic::resume_unwind(why)), seen)
}

/// Does something after everything else that wants to run, as if another machine did, and so does all that it starts. Only
/// where something is measured: every day there may be no time left for what comes last.
pub(crate) fn last_of_all<T: Send>(what: impl FnOnce() -> T + Send) -> T {
    if !is_proof() {
        return what();
    }
    let done = std::thread::scope(|scope| {
        let begun = scope.spawn(|| {
            this_thread("chrt", &["--idle", "--pid", "0"]);
            what()
        });
        begun.join()
    });
    done.unwrap_or_else(|why| std::panic::resume_unwind(why))
}

/// Has a program of util-linux change how the system treats this thread, and whatever it starts from now on.
pub(crate) fn this_thread(program: &str, words: &[&str]) {
    let me = std::fs::read_link("/proc/thread-self").expect("Linux");
    let mut command = Command::new(program);
    command.args(words).arg(me.file_name().expect("a number")).stdout(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        skipped(&format!("{program} {}", words.join(" ")), "the figures mean less without it");
    }
}
