//! Starts a node and stops it again: the only place where everything meets.
use crate::callers::{self, Sight};
use crate::captcha::Verifier;
use crate::config::Config;
use crate::front::{Doors, Front, listen, upstream_roots, url};
use crate::heartbeat::Heartbeat;
use crate::local::Tokens;
use crate::operations::{self, AskedFor, Board};
use crate::outage::Outage;
use crate::place::Opened;
use crate::signals::{Asked, Signals};
use crate::{Failure, clock, facts, housekeeping, ledger, licences, limits, metrics, random, token_keys};
use doorward_control::oauth::{self, Server};
use doorward_core::live::Live;
use doorward_gateway::tls::{Certificates, TlsError};
use doorward_gateway::{Desk, Gateway, Outside, monotonic_ms};
use doorward_store::Store;
use doorward_store::follow::{Follow, follow};
use serde::Serialize;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

/// Threads of the runtime on which everything but the gateway runs. There is little to do, and waking a second one for
/// it costs more than it brings.
const CONTROL_THREADS: usize = 1;
/// How often the store is asked whether anything changed.
const POLL: Duration = Duration::from_millis(100);
/// How often certificates are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(2);

/// The runtime of everything but the gateway, which has one for each core.
///
/// # Errors
/// What the system says.
pub(crate) fn control_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
}

/// Where a node listens, as URLs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Addresses {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operations: Option<String>,
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [("plain", &self.plain), ("tls", &self.tls), ("operations", &self.operations)];
        let all: Vec<String> =
            named.into_iter().filter_map(|(name, at)| at.as_ref().map(|at| format!("{name} {at}"))).collect();
        f.write_str(&all.join(", "))
    }
}

/// A running node.
pub(crate) struct Node {
    pub(crate) addresses: Addresses,
    board: Arc<Board>,
    ready: watch::Receiver<bool>,
    signals: Signals,
    certificates: Option<Arc<Certificates>>,
    drain: Duration,
    facts: JoinHandle<()>,
    heartbeat: Heartbeat,
    ledger: Option<ledger::Running>,
    store: Store,
    /// What runs on until the end.
    others: Vec<JoinHandle<()>>,
}

impl Node {
    /// Opens every address and starts everything that the role asks for. Until the store was read, requests are answered
    /// with 503.
    ///
    /// # Errors
    /// What can't be opened or read.
    pub(crate) async fn start(config: &Config, opened: Opened) -> Result<Node, Failure> {
        let doors = if config.role.takes_callers() { Some(Doors::open(config)?) } else { None };
        Node::start_behind(config, opened, doors).await
    }

    /// The same, where the addresses for callers are open already.
    ///
    /// # Errors
    /// What can't be opened or read.
    pub(crate) async fn start_behind(
        config: &Config,
        opened: Opened,
        doors: Option<Doors>,
    ) -> Result<Node, Failure> {
        let signals = Signals::listen()?;
        let operations = config.listen.operations.map(|at| listen("operations", at)).transpose()?;
        let mut addresses = Addresses {
            plain: None,
            tls: None,
            operations: operations.as_ref().map(|l| url("http", l)).transpose()?,
        };
        let live = Live::with_issuer(Arc::clone(&opened.keys), config.tokens.issuer.clone());
        let live = Arc::new(live);
        token_keys::make(&opened.store, &config.tokens, &mut Outage::default(), &live).await;
        let (facts_to, facts_from) = mpsc::channel(facts::QUEUE);
        let (mut gateway, mut certificates, mut ledger, mut asked) = (None, None, None, None);
        let mut others = Vec::new();
        if let Some(doors) = doors {
            let started = ledger::start(config, &opened.store, &live).await?;
            let (algorithm, passwords) = (config.tokens.algorithm, config.tokens.passwords);
            let tokens = oauth::Settings { algorithm, passwords };
            let tokens = Server::start(opened.store.clone(), Arc::clone(&live), tokens, random::fill)?;
            let (limits, tasks) = limits::start(config, &opened.store)?;
            others.extend(tasks);
            let roots = upstream_roots(config)?;
            let runtime = tokio::runtime::Handle::current();
            let captchas =
                Arc::new(Verifier::new(Arc::clone(&live), config.captcha.clone(), roots, runtime.clone()));
            let outside = Outside {
                live: Arc::clone(&live),
                facts: facts_to.clone(),
                ledger: Arc::clone(&started.ledger) as _,
                limiter: Arc::clone(&limits) as _,
                captchas: Arc::clone(&captchas) as _,
                desk: Desk::new(Arc::new(Tokens(tokens)), runtime),
            };
            let front = Front::start(config, &outside, doors)?;
            asked = Some(AskedFor { ledger: Arc::clone(&started.ledger), limits, captchas });
            ledger = Some(started);
            (addresses.plain, addresses.tls) = (front.plain, front.tls);
            (gateway, certificates) = (Some(front.gateway), front.certificates);
        }
        // The cores hold the only ends from here on: the queue is over when they have ended.
        drop(facts_to);
        let store = opened.store;
        let facts = tokio::spawn(facts::keep(store.clone(), Arc::clone(&live), facts_from));
        let (ready_to, ready) = watch::channel(false);
        let heartbeat = Heartbeat::start(config, store.clone(), Arc::clone(&live), ready.clone());
        others.push(tokio::spawn(clock::watch(Arc::clone(&live))));
        others.push(tokio::spawn(housekeeping::forget_revoked(Arc::clone(&live))));
        others.push(tokio::spawn(licences::watch(Arc::clone(&live))));
        if config.role.keeps_house() {
            others.push(tokio::spawn(housekeeping::keep(
                store.clone(),
                Arc::clone(&live),
                config.tokens.clone(),
            )));
        }
        let following = Follow {
            region: config.region.clone(),
            poll: POLL,
            max_staleness: Duration::from_secs(config.store.max_staleness_s),
        };
        let woken = Arc::new(Notify::new());
        others.push(tokio::spawn({
            let (store, live) = (store.clone(), Arc::clone(&live));
            async move {
                follow(store, live, following, woken, monotonic_ms, ready_to).await;
            }
        }));
        others.push(tokio::spawn(callers::watch(Sight::of(config), Arc::clone(&live), ready.clone())));
        let board = Arc::new(Board::new(metrics::about(config), live, ready.clone(), gateway, asked));
        if let Some(listener) = operations {
            others.push(operations::serve(listener, Arc::clone(&board))?);
        }
        let drain = Duration::from_millis(config.timeouts.drain_ms);
        Ok(Node {
            addresses,
            board,
            ready,
            signals,
            certificates,
            drain,
            facts,
            heartbeat,
            ledger,
            store,
            others,
        })
    }

    /// Waits until requests are answered; `false` where the process was told to stop before.
    pub(crate) async fn ready(&mut self) -> bool {
        let mut ready = self.ready.clone();
        loop {
            tokio::select! {
                all = ready.wait_for(|ready| *ready) => return all.is_ok(),
                asked = self.signals.next() => match asked {
                    Asked::Stop => return false,
                    Asked::Reopen => self.reopen(),
                },
            }
        }
    }

    /// Waits until the process is told to stop; looks after certificates meanwhile.
    pub(crate) async fn until_told(&mut self) {
        let mut every = tokio::time::interval(CERTIFICATES_EVERY);
        loop {
            tokio::select! {
                asked = self.signals.next() => match asked {
                    Asked::Stop => return,
                    Asked::Reopen => self.reopen(),
                },
                _ = every.tick() => self.look_at_certificates(),
            }
        }
    }

    fn reopen(&self) {
        if let Some(certificates) = &self.certificates {
            told(certificates.reload().map(|()| true));
        }
        self.board.with_gateway(Gateway::reopen_events);
    }

    fn look_at_certificates(&self) {
        if let Some(certificates) = &self.certificates {
            told(certificates.reload_if_changed());
        }
    }

    /// Lets requests in flight end, writes down what is left to write, and stops. Told to stop a second time, it does
    /// not wait for requests any more.
    ///
    /// # Errors
    /// That the gateway's threads ended in an unheard-of way.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        tracing::info!("stopping: what is in flight may end within {} ms", self.drain.as_millis());
        if let Some(gateway) = self.board.drain() {
            let draining = tokio::task::spawn_blocking(move || gateway.join());
            tokio::select! {
                ended = draining => ended?,
                () = told_again(&mut self.signals) => {
                    tracing::warn!("told again: requests in flight are cut off");
                    self.facts.abort();
                }
            }
        }
        // The gateway held the other end of the facts' queue: what is in it is written down now.
        let _ = self.facts.await;
        if let Some(ledger) = self.ledger {
            ledger.stop(&self.store).await;
        }
        self.heartbeat.leave().await;
        self.others.iter().for_each(JoinHandle::abort);
        tracing::info!("stopped");
        Ok(())
    }
}

fn told(reloaded: Result<bool, TlsError>) {
    match reloaded {
        Ok(true) => tracing::info!("the certificates were read again"),
        Ok(false) => {}
        Err(e) => tracing::error!("the certificates can't be read again, the old ones go on: {e}"),
    }
}

async fn told_again(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}
