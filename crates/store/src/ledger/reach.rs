//! How far from the time the date of an accepted request may be. After a loss, dates up to then and so much later are
//! refused, so the store has to know of a longer reach before anything is accepted under it.
use crate::connect::{ANSWER_MS, within};
use crate::{Store, StoreError};
use doorward_core::ports::Window;
use sqlx::Row;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use tokio::sync::{Notify, watch};

const REACH: &str = "SELECT reach_ms FROM ledger WHERE one = 1";
const RAISE: &str = "INSERT INTO ledger (one, reach_ms) VALUES (1, $1) \
     ON CONFLICT (one) DO UPDATE SET reach_ms = excluded.reach_ms WHERE ledger.reach_ms < excluded.reach_ms";

impl Store {
    /// The longest reach that anything was accepted under, in milliseconds.
    pub(super) async fn ledger_reach_ms(&self) -> Result<i64, StoreError> {
        within(ANSWER_MS, async {
            let row = sqlx::query(REACH).fetch_optional(&self.pool).await?;
            Ok(row.map_or(Ok(0), |row| row.try_get(0))?)
        })
        .await
    }

    async fn raise_ledger_reach(&self, to_ms: i64) -> Result<(), StoreError> {
        self.still_there()?;
        let raise = sqlx::query(RAISE).bind(to_ms).execute(&self.pool);
        within(ANSWER_MS, async { Ok(raise.await.map(|_| ())?) }).await
    }
}

/// The reach that the store knows of, and who waits for a longer one.
pub(super) struct Reach {
    ms: AtomicI64,
    wanted: AtomicI64,
    asked: Notify,
    /// Whether anybody hears that it was asked.
    kept: AtomicBool,
    tries: watch::Sender<u64>,
}

impl Reach {
    pub(super) fn new(ms: i64) -> Reach {
        Reach {
            ms: AtomicI64::new(ms),
            wanted: AtomicI64::new(ms),
            asked: Notify::new(),
            kept: AtomicBool::new(false),
            tries: watch::Sender::new(0),
        }
    }

    /// In milliseconds.
    pub(super) fn ms(&self) -> i64 {
        self.ms.load(SeqCst)
    }

    /// The store has told a longer one.
    pub(super) fn learn(&self, ms: i64) {
        self.ms.fetch_max(ms, SeqCst);
    }

    /// Whether requests with this window may be accepted.
    pub(super) fn covers(&self, window: &Window) -> bool {
        needed_ms(window) <= self.ms()
    }

    /// Asks for as much as a window needs, and returns when that was tried.
    pub(super) async fn ask(&self, window: &Window) {
        let mut tries = self.tries.subscribe();
        // The first try may have begun before this was asked, and one that fails forgets what was wanted.
        for _ in 0..2 {
            self.wanted.fetch_max(needed_ms(window), SeqCst);
            self.asked.notify_one();
            if self.covers(window) || !self.kept.load(SeqCst) || tries.changed().await.is_err() {
                return;
            }
        }
    }

    /// From here on until the guard is dropped, somebody hears what is asked.
    pub(super) fn keep(&self) -> Kept<'_> {
        self.kept.store(true, SeqCst);
        Kept(self)
    }

    /// Returns when something was asked.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Has the store know what was asked. Whoever waits is told by [`Reach::tried`].
    pub(super) async fn settle(&self, store: &Store) -> Result<(), StoreError> {
        let wanted = self.wanted.load(SeqCst);
        if wanted <= self.ms() {
            return Ok(());
        }
        let raised = store.raise_ledger_reach(wanted).await;
        if raised.is_ok() {
            self.learn(wanted);
        } else {
            // Whoever still wants it asks again.
            self.wanted.store(self.ms(), SeqCst);
        }
        raised
    }

    /// Whoever waits may look again.
    pub(super) fn tried(&self) {
        self.tries.send_modify(|tries| *tries += 1);
    }

    /// The server that nodes share has to be told once more.
    pub(super) fn ask_again(&self) {
        self.asked.notify_one();
    }
}

/// What a window needs: it may be early or late.
fn needed_ms(window: &Window) -> i64 {
    i64::from(window.early_ms().max(window.late_ms()))
}

/// Somebody hears what is asked.
pub(super) struct Kept<'r>(&'r Reach);

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.kept.store(false, SeqCst);
        self.0.tried();
    }
}
