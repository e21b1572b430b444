//! For programs that call with access tokens. A [`Keeper`] fetches one token for all that ask, hands it out until shortly
//! before it expires, and fetches the next one then. How a token is fetched is the caller's: any HTTP client will do.
//!
//! ```
//! use doorward_client::{Keeper, Token};
//! use std::time::Duration;
//! # async fn ask() -> Result<Token, std::io::Error> {
//! #     Ok(Token { access_token: "t".to_owned(), life: Duration::from_secs(3600) })
//! # }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::io::Error> {
//! // POST /oauth/token with grant_type=client_credentials; `life` is what `expires_in` said.
//! let keeper = Keeper::new(|| async { ask().await });
//! let header = format!("Bearer {}", keeper.token().await?);
//! # assert_eq!(header, "Bearer t"); Ok(()) }
//! ```
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A token is renewed when so much of its life is over: early enough to try again before it ends.
const RENEWED_AFTER: (u32, u32) = (4, 5);
/// A token is no longer handed out for so long before its end, at most: a request takes its time, and clocks differ.
const UNUSED: Duration = Duration::from_secs(10);
/// A token is kept for a day at most, whatever the answer said: no clock reaches the end of all times.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// A renewal that failed is tried again after this, as long as the token before is good.
const TRIED_AGAIN: Duration = Duration::from_secs(5);

/// A token as it was fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token: `access_token` of the answer (RFC 6749 5.1).
    pub access_token: String,
    /// How long it is good: `expires_in` of the answer.
    pub life: Duration,
}

/// Shows how long it is good, and nothing of it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(for {:?})", self.life)
    }
}

struct Kept {
    token: Arc<str>,
    renew_at: Instant,
    last_use: Instant,
}

/// Keeps one token. Share it by reference or in an `Arc`: all who use it use the same token, and one fetches for all.
pub struct Keeper<F> {
    fetch: F,
    kept: Mutex<Option<Kept>>,
    /// Held by whoever fetches.
    turn: tokio::sync::Mutex<()>,
}

/// Shows nothing of the token.
impl<F> fmt::Debug for Keeper<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper(..)")
    }
}

impl<F, A, E> Keeper<F>
where
    F: Fn() -> A,
    A: Future<Output = Result<Token, E>>,
{
    /// A keeper that has no token yet. `fetch` asks the token endpoint; it is never asked twice at a time.
    pub fn new(fetch: F) -> Keeper<F> {
        Keeper { fetch, kept: Mutex::new(None), turn: tokio::sync::Mutex::new(()) }
    }

    /// A token that is good. Asks for one where there is none, and for the next where this one is near its end: then one
    /// caller asks, and all others go on with the one that is there. A renewal that fails is no harm as long as the token
    /// before is good.
    ///
    /// # Errors
    /// That of `fetch`, where there is no good token besides.
    pub async fn token(&self) -> Result<Arc<str>, E> {
        let (turn, good) = match self.at(Instant::now()) {
            State::Fresh(token) => return Ok(token),
            State::Due(token) => match self.turn.try_lock() {
                Ok(turn) => (turn, Some(token)),
                Err(_) => return Ok(token),
            },
            State::None => (self.turn.lock().await, None),
        };
        // Somebody else may have fetched while this one waited.
        if let State::Fresh(token) = self.at(Instant::now()) {
            return Ok(token);
        }
        // Counted from before it was asked for: it can't be older than that.
        let asked = Instant::now();
        let fetched = (self.fetch)().await;
        let token = match (fetched, good) {
            (Ok(fetched), _) => {
                let token: Arc<str> = fetched.access_token.into();
                let life = fetched.life.min(LONGEST);
                let renew_at = asked + life * RENEWED_AFTER.0 / RENEWED_AFTER.1;
                let last_use = asked + life.saturating_sub(UNUSED.min(life / 10));
                *self.lock() = Some(Kept { token: Arc::clone(&token), renew_at, last_use });
                token
            }
            (Err(_), Some(good)) => {
                if let Some(kept) = &mut *self.lock() {
                    kept.renew_at = Instant::now() + TRIED_AGAIN;
                }
                good
            }
            (Err(e), None) => return Err(e),
        };
        drop(turn);
        Ok(token)
    }

    /// Forgets a token that was refused (`token_expired`, `token_revoked`, `token_invalid`): the next caller gets another
    /// one. Does nothing where another one is kept by now.
    pub fn forget(&self, token: &str) {
        let mut kept = self.lock();
        if kept.as_ref().is_some_and(|kept| *kept.token == *token) {
            *kept = None;
        }
    }

    fn at(&self, now: Instant) -> State {
        match &*self.lock() {
            Some(kept) if now < kept.renew_at.min(kept.last_use) => State::Fresh(Arc::clone(&kept.token)),
            Some(kept) if now < kept.last_use => State::Due(Arc::clone(&kept.token)),
            _ => State::None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        // Whoever panicked with it has changed nothing by half.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum State {
    Fresh(Arc<str>),
    Due(Arc<str>),
    None,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use tokio::time::{advance, sleep};

    /// Tokens `1`, `2`, ..., each for 100 s; it takes a second to get one. The answers named in `fails` are errors.
    struct Server {
        asked: AtomicUsize,
        at_once: AtomicUsize,
        fails: &'static [usize],
    }

    impl Server {
        fn new(fails: &'static [usize]) -> Server {
            Server { asked: AtomicUsize::new(0), at_once: AtomicUsize::new(0), fails }
        }

        async fn fetch(&self) -> Result<Token, usize> {
            let n = self.asked.fetch_add(1, SeqCst) + 1;
            assert_eq!(self.at_once.fetch_add(1, SeqCst), 0, "asked twice at a time");
            sleep(Duration::from_secs(1)).await;
            self.at_once.fetch_sub(1, SeqCst);
            if self.fails.contains(&n) {
                return Err(n);
            }
            Ok(Token { access_token: n.to_string(), life: Duration::from_secs(100) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_is_fetched_for_all() {
        let server = Server::new(&[]);
        let keeper = Keeper::new(|| server.fetch());
        let (a, b, c) = tokio::join!(keeper.token(), keeper.token(), keeper.token());
        for token in [a, b, c] {
            assert_eq!(token.as_deref(), Ok("1"));
        }
        advance(Duration::from_secs(70)).await;
        assert_eq!(keeper.token().await.as_deref(), Ok("1"));
        assert_eq!(server.asked.load(SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_before_its_end_while_others_go_on() {
        let server = Server::new(&[]);
        let keeper = Keeper::new(|| server.fetch());
        assert_eq!(keeper.token().await.as_deref(), Ok("1"));
        advance(Duration::from_secs(85)).await;
        let (renews, goes_on) = tokio::join!(keeper.token(), keeper.token());
        assert_eq!((renews.as_deref(), goes_on.as_deref()), (Ok("2"), Ok("1")));
        assert_eq!(keeper.token().await.as_deref(), Ok("2"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_fails_does_no_harm_until_the_end() {
        let server = Server::new(&[2, 3, 4]);
        let keeper = Keeper::new(|| server.fetch());
        assert_eq!(keeper.token().await.as_deref(), Ok("1"));
        advance(Duration::from_secs(80)).await;
        assert_eq!(keeper.token().await.as_deref(), Ok("1"));
        assert_eq!(keeper.token().await.as_deref(), Ok("1"));
        assert_eq!(server.asked.load(SeqCst), 2, "it is tried again later, not at once");
        advance(Duration::from_secs(6)).await;
        assert_eq!(keeper.token().await.as_deref(), Ok("1"));
        assert_eq!(server.asked.load(SeqCst), 3);
        advance(Duration::from_secs(20)).await;
        assert_eq!(keeper.token().await, Err(4), "the old one is over");
        assert_eq!(keeper.token().await.as_deref(), Ok("5"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_one_is_forgotten_and_no_other() {
        let server = Server::new(&[]);
        let keeper = Keeper::new(|| server.fetch());
        assert_eq!(keeper.token().await.as_deref(), Ok("1"));
        keeper.forget("1");
        assert_eq!(keeper.token().await.as_deref(), Ok("2"));
        keeper.forget("1");
        assert_eq!(keeper.token().await.as_deref(), Ok("2"));
        assert_eq!(server.asked.load(SeqCst), 2);
    }

    /// Whatever an answer says, it is no reason to panic.
    #[tokio::test(start_paused = true)]
    async fn a_life_without_end_ends_after_a_day() {
        let keeper = Keeper::new(|| {
            std::future::ready(Ok::<_, ()>(Token { access_token: "t".to_owned(), life: Duration::MAX }))
        });
        assert_eq!(keeper.token().await.as_deref(), Ok("t"));
        let renewed = keeper.lock().as_ref().map(|kept| kept.renew_at - Instant::now());
        assert!(renewed.is_some_and(|after| after < LONGEST), "{renewed:?}");
    }

    /// Whoever fetches may give up: the next one takes its place.
    #[tokio::test(start_paused = true)]
    async fn a_caller_that_leaves_holds_up_nobody() {
        let server = Server::new(&[]);
        let keeper = Keeper::new(|| async {
            sleep(Duration::from_millis(10)).await;
            server.fetch().await
        });
        let gone = tokio::time::timeout(Duration::from_millis(5), keeper.token()).await;
        assert!(gone.is_err());
        assert_eq!(keeper.token().await.as_deref(), Ok("1"));
    }

    #[test]
    fn nothing_of_a_token_is_shown() {
        let token = Token { access_token: "secret".to_owned(), life: Duration::from_secs(1) };
        let keeper = Keeper::new(|| std::future::ready(Ok::<_, ()>(token.clone())));
        assert_eq!(format!("{token:?} {keeper:?}"), "Token(for 1s) Keeper(..)");
    }
}
