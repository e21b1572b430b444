//! Starts a node and stops it again: the only place where everything meets.
use crate::config::Config;
use crate::operations::{self, Board};
use crate::place::Opened;
use crate::signals::{Asked, Signals};
use crate::{Failure, clock, facts, harden, random};
use doorward_core::live::Live;
use doorward_gateway::tls::{self, Certificates, TlsError};
use doorward_gateway::{Events, Gateway, Listeners, Settings, bind, monotonic_ms};
use doorward_store::Store;
use doorward_store::follow::{Follow, follow};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

/// Threads of the runtime on which everything but the gateway runs. There is little to do, and waking a second one for
/// it costs more than it brings.
const CONTROL_THREADS: usize = 1;
/// How often the store is asked whether anything changed.
const POLL: Duration = Duration::from_millis(100);
/// How often secrets that may no longer be shown are erased. They are not shown in between either.
const ERASE_EVERY: Duration = Duration::from_secs(60);
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
    /// What runs on until the end.
    others: Vec<JoinHandle<()>>,
}

impl Node {
    /// Opens every address and starts everything. Until the store was read, requests are answered with 503.
    ///
    /// # Errors
    /// What can't be opened or read.
    pub(crate) async fn start(config: &Config, opened: Opened) -> Result<Node, Failure> {
        let signals = Signals::listen()?;
        let certificates = certificates(config)?;
        let roots = upstream_roots(config)?;
        let events = events(config)?;
        let plain = config.listen.plain.map(|at| listen("plain", at)).transpose()?;
        let secure = config.listen.tls.map(|at| listen("tls", at)).transpose()?;
        let operations = config.listen.operations.map(|at| listen("operations", at)).transpose()?;
        let addresses = Addresses {
            plain: plain.as_ref().map(|l| url("http", l)).transpose()?,
            tls: secure.as_ref().map(|l| url("https", l)).transpose()?,
            operations: operations.as_ref().map(|l| url("http", l)).transpose()?,
        };
        let tls_port = secure.as_ref().map(TcpListener::local_addr).transpose()?.map(|a| a.port());
        let mut limits = config.limits.clone();
        if let Some(fit) = harden::connections_that_fit().filter(|fit| *fit < limits.connections as u64) {
            tracing::warn!(
                "limits.connections is {}, but the file descriptors of this process are enough for {fit}, which is the \
                 limit now; raise its hard limit (ulimit -Hn, LimitNOFILE) or lower the setting",
                limits.connections
            );
            limits.connections = usize::try_from(fit).unwrap_or(limits.connections);
        }
        let settings = Settings {
            name: config.name.clone(),
            cores: config.cores,
            plain_http: config.plain_http,
            https_port: config.https_port.or(tls_port),
            hsts: config.tls.hsts,
            trusted: config.trusted.clone(),
            timeouts: config.timeouts.clone(),
            limits,
            upstream_roots: Arc::new(roots),
        };
        let secure = secure.zip(certificates.as_ref().map(|c| tls::server_config(Arc::clone(c))));

        let live = Arc::new(Live::new(Arc::clone(&opened.keys)));
        let (facts_to, facts_from) = mpsc::channel(facts::QUEUE);
        let mut seed = [0; 16];
        random::fill(&mut seed);
        let listeners = Listeners { plain, tls: secure };
        let gateway = Gateway::start(settings, listeners, &live, events, &facts_to, seed)?;
        // The cores hold the only ends from here on: the queue is over when they have ended.
        drop(facts_to);
        let facts = tokio::spawn(facts::keep(opened.store.clone(), facts_from));
        let (ready_to, ready) = watch::channel(false);
        let following = Follow {
            region: config.region.clone(),
            poll: POLL,
            max_staleness: Duration::from_secs(config.store.max_staleness_s),
        };
        let woken = Arc::new(Notify::new());
        let erasing = tokio::spawn(erase_what_is_over(opened.store.clone()));
        let following = tokio::spawn({
            let live = Arc::clone(&live);
            async move {
                follow(opened.store, live, following, woken, monotonic_ms, ready_to).await;
            }
        });
        let mut others = vec![following, erasing];
        let board = Arc::new(Board::new(live, ready.clone(), gateway));
        if let Some(listener) = operations {
            others.push(operations::serve(listener, Arc::clone(&board))?);
        }
        let drain = Duration::from_millis(config.timeouts.drain_ms);
        Ok(Node { addresses, board, ready, signals, certificates, drain, facts, others })
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
        tracing::info!("stopping: requests in flight may end within {} ms", self.drain.as_millis());
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
        self.others.iter().for_each(JoinHandle::abort);
        tracing::info!("stopped");
        Ok(())
    }
}

/// Erases the display copies of secrets whose time is over.
async fn erase_what_is_over(store: Store) {
    let mut every = tokio::time::interval(ERASE_EVERY);
    loop {
        every.tick().await;
        if let Err(e) = store.erase_closed(clock::now()).await {
            tracing::warn!("secrets that may no longer be shown can't be erased: {e}");
        }
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

fn listen(what: &str, at: SocketAddr) -> Result<TcpListener, String> {
    bind(at).map_err(|e| {
        format!("can't listen on {at} ({what}): {e}; choose another address, or stop what uses it")
    })
}

fn url(scheme: &str, listener: &TcpListener) -> io::Result<String> {
    Ok(format!("{scheme}://{}", listener.local_addr()?))
}

fn events(config: &Config) -> Result<Events, String> {
    let file = config.events_file.as_deref();
    Events::open(file).map_err(|e| format!("{}: {e}", file.unwrap_or(Path::new("standard output")).display()))
}

/// The certificates that the settings name, where they do.
///
/// # Errors
/// That they can't be read or don't belong together.
pub(crate) fn certificates(config: &Config) -> Result<Option<Arc<Certificates>>, Failure> {
    match (config.listen.tls, &config.tls.certificate_file, &config.tls.key_file) {
        (Some(_), Some(certificate), Some(key)) => Ok(Some(Certificates::load(certificate, key)?)),
        _ => Ok(None),
    }
}

/// What certificates of https upstreams are checked against: the system's roots and those that the settings name.
///
/// # Errors
/// That the file with further roots can't be read.
pub(crate) fn upstream_roots(config: &Config) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    // A system without roots is fine as long as no upstream needs them: the connection would tell.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = &config.upstream_ca_file {
        let wrong = |e: &dyn fmt::Display| format!("{}: {e}", file.display());
        let all = CertificateDer::pem_file_iter(file).map_err(|e| wrong(&e))?;
        let mut count = 0;
        for one in all {
            roots.add(one.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
            count += 1;
        }
        if count == 0 {
            return Err(wrong(&"there is no certificate in it").into());
        }
    }
    Ok(roots)
}
