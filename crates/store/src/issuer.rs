//! Tokens that are issued at the same time are written down together: one wait for the disk serves all of them.
use crate::engine::Engine;
use crate::issue::{NewToken, NotIssued};
use crate::{Store, StoreError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// Tokens written down in one transaction, which keeps others from writing meanwhile.
const BATCH_TOKENS: usize = 256;
/// Tokens that may wait. More than are issued in a second; whoever comes then had better come again later.
const WAITING_TOKENS: usize = 4_096;

/// Whoever else wants to write to a file asks for it again and again, and must find it free now and then, whatever is
/// asked for here. So after each transaction there is a rest of the same length, but none that is longer than so many
/// milliseconds.
const LONGEST_REST_MS: u64 = 50;

/// Why no token was issued.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IssueError {
    /// It may not be.
    #[error(transparent)]
    Refused(NotIssued),
    /// Too many wait already.
    #[error("too many tokens are asked for at once; ask again later")]
    Overloaded,
    /// The store failed. Nobody has the token.
    #[error("{0}")]
    Store(Arc<StoreError>),
    /// This process ends.
    #[error("this process issues no more tokens")]
    Stopped,
}

struct Waiting {
    token: NewToken,
    answer: oneshot::Sender<Result<(), IssueError>>,
}

/// Writes tokens down, many at a time. Clones share the line.
#[derive(Clone, Debug)]
pub struct Issuer(mpsc::Sender<Waiting>);

impl Issuer {
    /// Begins to write tokens down, in a task that ends after the last of its clones.
    pub fn start(store: Store) -> Issuer {
        let (line, waiting) = mpsc::channel(WAITING_TOKENS);
        tokio::spawn(write(store, waiting));
        Issuer(line)
    }

    /// Writes a token down. When this returns it outlives any crash, and may be handed out.
    ///
    /// # Errors
    /// It was not issued, or nobody knows.
    pub async fn issue(&self, token: NewToken) -> Result<(), IssueError> {
        let (answer, told) = oneshot::channel();
        self.0.try_send(Waiting { token, answer }).map_err(|e| match e {
            TrySendError::Full(_) => IssueError::Overloaded,
            TrySendError::Closed(_) => IssueError::Stopped,
        })?;
        told.await.unwrap_or(Err(IssueError::Stopped))
    }
}

async fn write(store: Store, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH_TOKENS);
    while waiting.recv_many(&mut batch, BATCH_TOKENS).await > 0 {
        // Whoever does not wait any more gets none.
        batch.retain(|one: &Waiting| !one.answer.is_closed());
        let (tokens, answers): (Vec<_>, Vec<_>) = batch.drain(..).map(|one| (one.token, one.answer)).unzip();
        if tokens.is_empty() {
            continue;
        }
        let begun = Instant::now();
        let told: Vec<Result<(), IssueError>> = match store.issue_tokens(&tokens).await {
            Ok(all) => all.into_iter().map(|one| one.map_err(IssueError::Refused)).collect(),
            Err(e) => {
                let e = Arc::new(e);
                answers.iter().map(|_| Err(IssueError::Store(Arc::clone(&e)))).collect()
            }
        };
        for (answer, told) in answers.into_iter().zip(told) {
            // It may have been given up in the meantime.
            let _ = answer.send(told);
        }
        if store.engine == Engine::Sqlite {
            let rest = begun.elapsed().min(Duration::from_millis(LONGEST_REST_MS));
            tokio::time::sleep(rest).await;
        }
    }
}
