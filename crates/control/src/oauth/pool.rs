//! Comparing passwords: slow on purpose, so it has threads of its own, and few of them.
use doorward_core::password::{Comparer, PasswordHash};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::oneshot;

/// Threads that compare. Each takes 19 MiB while it does.
const THREADS: usize = 2;
/// Passwords that may wait for a thread.
pub(super) const WAITING: usize = 64;

/// A password to compare. It has no `Debug`.
struct Job {
    password: String,
    kept: Option<PasswordHash>,
    answer: oneshot::Sender<bool>,
}

/// The threads. They end when this is gone.
pub(super) struct Pool(mpsc::SyncSender<Job>);

impl Pool {
    /// Starts the threads.
    pub(super) fn start(comparer: Comparer) -> std::io::Result<Pool> {
        let (line, jobs) = mpsc::sync_channel(WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        for index in 0..THREADS {
            let (jobs, comparer) = (Arc::clone(&jobs), comparer.clone());
            let work = move || work(&jobs, &comparer);
            std::thread::Builder::new().name(format!("password-{index}")).spawn(work)?;
        }
        Ok(Pool(line))
    }

    /// Whether a password is the one that is kept; with none, the same steps. `None`: too many wait.
    pub(super) async fn fits(&self, password: &str, kept: Option<PasswordHash>) -> Option<bool> {
        let (answer, told) = oneshot::channel();
        self.0.try_send(Job { password: password.to_owned(), kept, answer }).ok()?;
        told.await.ok()
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>, comparer: &Comparer) {
    loop {
        // One of them waits for a password, the others for their turn to wait.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { password, kept, answer }) = next else { return };
        // Nobody may be waiting any more.
        let _ = answer.send(comparer.fits(&password, kept.as_ref()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::password::{Cost, SALT_BYTES, hash};
    use std::time::Instant;

    /// Case 29: a name that nobody has costs what others cost, and nobody's password is right.
    #[tokio::test]
    async fn nobody_costs_what_somebody_costs() {
        let pool = Pool::start(Comparer::new(Cost::FULL)).unwrap();
        let kept = hash("the right password", &[1; SALT_BYTES], Cost::FULL);
        assert_eq!(pool.fits("the right password", Some(kept.clone())).await, Some(true));
        assert_eq!(pool.fits("", None).await, Some(false));
        let mut spent = [Vec::new(), Vec::new()];
        for round in 0..20 {
            let known = (round % 2 == 0).then(|| kept.clone());
            let begun = Instant::now();
            assert_eq!(pool.fits("another password", known).await, Some(false));
            spent[round % 2].push(begun.elapsed());
        }
        // The shortest: whatever else the machine does only adds. Without hashing it would be a thousandth.
        let [known, unknown] =
            spent.map(|all| all.into_iter().min().map_or(0.0, |least| least.as_secs_f64()));
        assert!((0.2..5.0).contains(&(known / unknown)), "{known} {unknown}");
    }
}
