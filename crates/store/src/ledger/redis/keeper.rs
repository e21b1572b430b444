//! Who looks after the ledger: connects, agrees with the store, sends claims, tidies up.
use super::super::{LedgerError, RENEW_MS};
use super::agreed::Known;
use super::link::{Fault, Link};
use super::script::{Said, There};
use super::{Asked, Ready, Shared};
use crate::schema::random_name;
use doorward_core::ports::{Claim, Once};
use doorward_core::time::UnixMillis;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at, sleep};

/// How long to wait before a server that is away is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How long to wait where something else has to come first.
const WAIT: Duration = Duration::from_millis(1_000);
/// Claims that are sent together.
const BATCH: usize = 128;
/// Batches that are on their way at a time.
const FLIGHTS: usize = 8;

/// Looks after a [`super::RedisLedger`].
pub struct Keeper {
    shared: Arc<Shared>,
    asked: mpsc::Receiver<Asked>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({})", self.shared.server.address)
    }
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, asked: mpsc::Receiver<Asked>) -> Keeper {
        Keeper { shared, asked }
    }

    /// Tries once to connect and to agree with the store.
    ///
    /// # Errors
    /// [`LedgerError::Unfit`]: waiting mends nothing. Anything else may pass.
    pub async fn open(&self) -> Result<(), LedgerError> {
        self.shared.agree().await
    }

    /// Keeps it up until it is dropped. `told` hears how each try to connect or to renew the lease went.
    pub async fn keep(self, told: impl FnMut(Result<(), LedgerError>)) {
        let Keeper { shared, asked } = self;
        let _kept = shared.reach.keep();
        tokio::join!(serve(&shared, asked), attend(&shared, told));
    }
}

/// Sends what is asked, as much as there is at a time.
async fn serve(shared: &Arc<Shared>, mut asked: mpsc::Receiver<Asked>) {
    let mut flights = JoinSet::new();
    loop {
        while flights.len() >= FLIGHTS {
            flights.join_next().await;
        }
        let mut batch = Vec::with_capacity(BATCH);
        if asked.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        let ready = shared.ready.borrow().clone();
        match ready {
            None => batch.into_iter().for_each(|asked| give(asked, Claim::Unavailable)),
            Some(ready) => {
                flights.spawn(fly(Arc::clone(shared), ready, batch));
            }
        }
        while flights.try_join_next().is_some() {}
    }
}

fn give(asked: Asked, claim: Claim) {
    // Whoever gave up waiting needs no answer.
    let _ = asked.answer.send(claim);
}

async fn fly(shared: Arc<Shared>, ready: Arc<Ready>, batch: Vec<Asked>) {
    let all: Vec<&Once> = batch.iter().map(|asked| &asked.once).collect();
    let answers = match ready.link.claim(&ready.mark, &shared.settings, &all).await {
        Ok(answers) => answers,
        Err(fault) => {
            tracing::debug!(?fault, "claims were not answered");
            shared.give_up(&ready);
            Vec::new()
        }
    };
    // Whatever the server said, it counts only while nobody else can have taken its turn.
    let leased = shared.leased();
    let mut answers = answers.into_iter();
    for asked in batch {
        let claim = match answers.next() {
            Some(Ok(Said::Claim(Claim::New))) if !leased => Claim::Unavailable,
            Some(Ok(Said::Claim(claim))) => claim,
            None => Claim::Unavailable,
            Some(Ok(Said::Short)) => {
                shared.reach.ask_again();
                Claim::Unavailable
            }
            Some(other) => {
                tracing::debug!(?other, "a claim failed");
                shared.give_up(&ready);
                Claim::Unavailable
            }
        };
        give(asked, claim);
    }
}

/// Connects, looks after the connection, and makes another one when it breaks.
async fn attend(shared: &Shared, mut told: impl FnMut(Result<(), LedgerError>)) {
    loop {
        let ready = shared.ready.borrow().clone();
        match ready {
            Some(ready) => {
                let fault = shared.look_after(&ready, &mut told).await;
                shared.give_up(&ready);
                if let Some(fault) = fault {
                    told(Err(fault.of(&shared.server.address)));
                }
            }
            None => match shared.agree().await {
                Ok(()) => told(Ok(())),
                Err(e) => {
                    let wait = if matches!(e, LedgerError::Away { .. }) { RETRY } else { WAIT };
                    told(Err(e));
                    sleep(wait).await;
                }
            },
        }
    }
}

impl Shared {
    /// Claims nothing more on a connection; another one is made.
    fn give_up(&self, ready: &Arc<Ready>) {
        self.ready.send_if_modified(|now| {
            let same = now.as_ref().is_some_and(|now| Arc::ptr_eq(now, ready));
            if same {
                *now = None;
            }
            same
        });
        ready.link.broken.notify_one();
    }

    /// Connects, and settles with the store what the server's data are worth.
    async fn agree(&self) -> Result<(), LedgerError> {
        let of = |fault: Fault| fault.of(&self.server.address);
        let link = Link::open(&self.server, &self.store.installation).await.map_err(of)?;
        let (asked, asked_at) = (Instant::now(), (self.clock)());
        let holder = format!("redis {} {}", link.run_id, self.server.address.database);
        let turn = self.store.take_ledger(&holder).await?.ok_or(LedgerError::HeldElsewhere)?;
        self.reach.learn(turn.known.reach_ms);
        // Nobody else settles anything until this is done: what is seen now stays so.
        let there = link.look().await.map_err(of)?;
        let (known, number) = (&turn.known, turn.lease.turn);
        let whole = !there.mark.is_empty()
            && there.mark == known.mark
            && known.turn == number
            && known.history == link.history;
        let ready = if whole {
            if there.reach_ms < self.reach.ms() {
                link.tidy(&there, self.reach.ms()).await.map_err(of)?;
            }
            turn.settle(None).await?;
            self.seen(&there);
            Ready { mark: there.mark, turn: number, link }
        } else {
            let fresh = turn.lease.first && there.mark.is_empty();
            let fence = if fresh { UnixMillis(0) } else { self.lost(&there, known, turn.now) };
            let known = Known {
                reach_ms: known.reach_ms,
                ahead_ms: there.now.0.saturating_sub(turn.now.0),
                turn: number,
                mark: random_name()?,
                history: link.history.clone(),
            };
            let fence = link.begin(&known.mark, fence, self.reach.ms()).await.map_err(of)?;
            turn.settle(Some(&known)).await?;
            if !fresh {
                tracing::warn!(
                    server = %self.server.address, until = %fence,
                    "the ledger's server was started again, or lost data, or another ledger was in force: it is not known \
                     which requests were accepted; those signed with an earlier date than this are refused"
                );
            }
            self.seen(&There { fence, ..there });
            Ready { mark: known.mark, turn: number, link }
        };
        self.term.extend(asked, asked_at);
        self.ready.send_replace(Some(Arc::new(ready)));
        Ok(())
    }

    /// The fence when what was accepted until now is not known. The server before may have had a clock that was ahead.
    fn lost(&self, there: &There, known: &Known, now: UnixMillis) -> UnixMillis {
        let before = now.plus_ms(known.ahead_ms.max(0));
        there.now.max(before).plus_ms(self.reach.ms().max(there.reach_ms).saturating_add(1))
    }

    fn seen(&self, there: &There) {
        self.entries.store(there.entries, Relaxed);
        self.fence.store(there.fence.0, Relaxed);
    }

    /// Renews the lease and tidies up until the connection is of no use any more, and returns why.
    async fn look_after(
        &self,
        ready: &Ready,
        told: &mut impl FnMut(Result<(), LedgerError>),
    ) -> Option<Fault> {
        let renew = Duration::from_millis(RENEW_MS);
        let mut every = interval_at(tokio::time::Instant::now() + renew, renew);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = ready.link.broken.notified() => return None,
                () = self.reach.asked() => {
                    let settled = self.reach.settle(&self.store).await;
                    let tidied = self.tidy(ready).await;
                    self.reach.tried();
                    told(settled.map_err(LedgerError::from));
                    match tidied {
                        Ok(Some(_)) => (),
                        Ok(None) => return None,
                        Err(fault) => return Some(fault),
                    }
                }
                _ = every.tick() => {
                    let there = match self.see_and_tidy(ready).await {
                        Ok(Some(there)) => there,
                        Ok(None) => return None,
                        Err(fault) => return Some(fault),
                    };
                    match self.renew(ready, &there).await {
                        Ok(true) => told(Ok(())),
                        Ok(false) => return None,
                        Err(e) => told(Err(e)),
                    }
                }
            }
        }
    }

    /// The same as [`Shared::tidy`], on a server that is still what it was: its settings and its role may have changed.
    async fn see_and_tidy(&self, ready: &Ready) -> Result<Option<There>, Fault> {
        if ready.link.is_same().await? { self.tidy(ready).await } else { Ok(None) }
    }

    /// Forgets what is over. `None`: the data are marked in another way by now.
    async fn tidy(&self, ready: &Ready) -> Result<Option<There>, Fault> {
        let there = ready.link.look().await?;
        if there.mark != ready.mark || !ready.link.tidy(&there, self.reach.ms()).await? {
            return Ok(None);
        }
        self.seen(&there);
        Ok(Some(there))
    }

    /// Renews the lease; `false` where this server's turn is over.
    async fn renew(&self, ready: &Ready, there: &There) -> Result<bool, LedgerError> {
        let (asked, asked_at) = (Instant::now(), (self.clock)());
        let holder = format!("redis {} {}", ready.link.run_id, self.server.address.database);
        match self.store.take_lease(super::super::lease::LEDGER, &holder).await? {
            Some(lease) if lease.turn == ready.turn => {
                self.term.extend(asked, asked_at);
                self.store.note_ledger_clock(there.now, ready.turn).await?;
                Ok(true)
            }
            _ => {
                self.term.end();
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
impl super::RedisLedger {
    /// Tidies up now.
    pub(in crate::ledger) async fn tidy(&self) {
        let ready = self.shared.ready.borrow().clone();
        if let Some(ready) = ready {
            // Twice: the first look may have seen what went.
            for _ in 0..2 {
                self.shared.tidy(&ready).await.expect("it answers");
            }
        }
    }
}
