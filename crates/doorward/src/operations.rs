//! What operators and their tools ask a node: `/metrics`, `/healthz`, `/readyz`, on an address of their own.
use crate::captcha::Verifier;
use crate::ledger::OnceOnly;
use crate::licences;
use crate::limits::Limits;
use crate::metrics::{self, About, Gauges};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use doorward_core::decide::Lease;
use doorward_core::live::Live;
use doorward_gateway::{Gateway, Snapshot, UpstreamState, monotonic_ms, now};
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a node tells about itself.
pub(crate) struct Board {
    about: About,
    live: Arc<Live>,
    ready: watch::Receiver<bool>,
    gateway: Mutex<Doing>,
    /// `None`: this node takes no callers.
    asked: Option<AskedFor>,
}

/// What decisions ask for outside.
pub(crate) struct AskedFor {
    pub(crate) ledger: Arc<OnceOnly>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) captchas: Arc<Verifier>,
}

enum Doing {
    /// `None`: this node takes no callers.
    Serving(Option<Box<Gateway>>),
    /// Asked to stop: the last counts from before.
    Draining(Box<Snapshot>),
}

impl Board {
    pub(crate) fn new(
        about: About,
        live: Arc<Live>,
        ready: watch::Receiver<bool>,
        gateway: Option<Gateway>,
        asked: Option<AskedFor>,
    ) -> Board {
        Board { about, live, ready, gateway: Mutex::new(Doing::Serving(gateway.map(Box::new))), asked }
    }

    fn doing<T>(&self, f: impl FnOnce(&mut Doing) -> T) -> T {
        f(&mut self.gateway.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the running gateway something; `None` once it was asked to stop, and where there is none.
    pub(crate) fn with_gateway<T>(&self, f: impl FnOnce(&Gateway) -> T) -> Option<T> {
        self.doing(|doing| if let Doing::Serving(Some(gateway)) = doing { Some(f(gateway)) } else { None })
    }

    /// From now on this node is not ready, and its gateway ends what is in flight. `None` where that was asked before, and
    /// where there is no gateway.
    pub(crate) fn drain(&self) -> Option<Gateway> {
        self.doing(|doing| {
            let Doing::Serving(gateway) = doing else { return None };
            let gateway = gateway.take().map(|gateway| *gateway);
            *doing = Doing::Draining(Box::new(counts(gateway.as_ref())));
            gateway.inspect(Gateway::drain)
        })
    }

    fn counts(&self) -> (Snapshot, bool) {
        self.doing(|doing| match doing {
            Doing::Serving(gateway) => (counts(gateway.as_deref()), false),
            Doing::Draining(last) => ((**last).clone(), true),
        })
    }

    /// How upstreams are. A node that takes no callers, or no new ones, does not say.
    fn upstreams(&self) -> Vec<UpstreamState> {
        self.doing(|doing| match doing {
            Doing::Serving(gateway) => gateway.as_deref().map(Gateway::upstreams).unwrap_or_default(),
            Doing::Draining(_) => Vec::new(),
        })
    }

    /// Why requests should go elsewhere; `None`: they are welcome.
    fn unready(&self, draining: bool) -> Option<&'static str> {
        if draining {
            Some("stopping")
        } else if !*self.ready.borrow() {
            Some("the store was not read yet")
        } else if self.live.lease(monotonic_ms()) == Lease::Lapsed {
            Some("no word from the store for too long")
        } else {
            None
        }
    }
}

/// A node that takes no callers has counted nothing.
fn counts(gateway: Option<&Gateway>) -> Snapshot {
    gateway.map(Gateway::stats).unwrap_or_default()
}

/// Serves the three addresses.
///
/// # Errors
/// What the system says about the listener.
pub(crate) fn serve(listener: TcpListener, board: Arc<Board>) -> io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(board);
    Ok(tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, router).await {
            tracing::error!("the operations listener ended: {e}");
        }
    }))
}

async fn ready(State(board): State<Arc<Board>>) -> impl IntoResponse {
    let (_, draining) = board.counts();
    match board.unready(draining) {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn metrics(State(board): State<Arc<Board>>) -> impl IntoResponse {
    let (counts, draining) = board.counts();
    let (store_up, store_outages) = board.live.store();
    let clock = &board.live.clock;
    let gauges = Gauges {
        ready: board.unready(draining).is_none(),
        credentials: board.live.directory.len() as u64,
        seq: board.live.seq(),
        age_ms: board.live.age_ms(monotonic_ms()),
        store_up,
        store_outages,
        clock_jumps: clock.jumps(),
        clock_behind_ms: clock.behind_ms(now(), monotonic_ms()),
        licences: licences::samples(&board.live.policy.load(), now()),
        ledger: board.asked.as_ref().map(|asked| asked.ledger.status()),
        limits: board.asked.as_ref().map(|asked| asked.limits.status()),
        captchas: board.asked.as_ref().map(|asked| asked.captchas.counts()),
        upstreams: board.upstreams(),
    };
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::render(&board.about, &counts, &gauges))
}
