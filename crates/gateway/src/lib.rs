//! The data plane: bytes in, decision, bytes out.
//!
//! A request's way: [`listen`] takes its connection, `serve` reads its head by the rules of [`wire`] and asks the core
//! for a decision, `relay` forwards what was permitted, `respond` answers everything else, `event` tells what happened.
mod backend;
mod clock;
mod condition;
mod deadlines;
mod desk;
mod duties;
mod engine;
mod event;
mod failure;
mod floods;
mod forward;
mod h2;
mod headers;
mod hops;
mod input;
mod io;
mod leftover;
mod listen;
mod load;
mod local;
#[cfg(any(test, fuzzing))]
pub mod meaning;
mod peer;
mod places;
mod pool;
mod probe;
mod pump;
mod quota;
#[cfg(test)]
#[path = "../tests/differential/random.rs"]
mod random;
mod reach;
mod relay;
mod request;
mod respond;
mod rounds;
mod serve;
mod settings;
mod settle;
mod shed;
mod sink;
#[cfg(test)]
mod sockets_tests;
mod stamp;
mod stats;
mod styles;
mod text;
mod time;
pub mod tls;
mod turns;
mod upgrade;
pub mod wire;
mod worker;

pub use condition::UpstreamState;
pub use desk::{Desk, LOCAL_MS};
#[cfg(any(test, fuzzing))]
pub use h2::stranger;
pub use listen::bind;
pub use local::{Answered, Answering, FieldLine, Local, LocalAnswer, LocalRequest};
pub use places::turned_away;
pub use settings::{Hsts, Limits, Settings, Timeouts, Trusted, TrustedHeader};
pub use sink::Events;
pub use stats::{LATENCY_BOUNDS_US, Snapshot};
pub use time::{monotonic_ms, now};
pub use worker::Fact;

use condition::Conditions;
use doorward_core::live::Live;
use doorward_core::ports::{Captchas, Ledger, Limiter};
use listen::{Acceptor, Taken};
use places::Places;
use pool::Network;
use settle::Room;
use stats::CoreStats;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use tokio::sync::{Notify, mpsc};
use worker::{Clocks, Parts, Worker};

/// Where callers come in.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Plain HTTP.
    pub plain: Option<TcpListener>,
    /// HTTPS.
    pub tls: Option<(TcpListener, Arc<rustls::ServerConfig>)>,
}

/// What a gateway asks and tells outside of it.
#[derive(Clone)]
pub struct Outside {
    /// What it decides from.
    pub live: Arc<Live>,
    /// Told which credentials are used.
    pub facts: mpsc::Sender<Fact>,
    /// Asked what was accepted before.
    pub ledger: Arc<dyn Ledger>,
    /// Asked what is left of limits.
    pub limiter: Arc<dyn Limiter>,
    /// Asked whether captchas were solved.
    pub captchas: Arc<dyn Captchas>,
    /// Given what is answered here.
    pub desk: Desk,
}

/// A running data plane.
pub struct Gateway {
    draining: Arc<AtomicBool>,
    listeners: Vec<TcpListener>,
    acceptor: Option<Arc<Acceptor>>,
    acceptors: Vec<JoinHandle<()>>,
    cores: Vec<JoinHandle<()>>,
    stats: Vec<Arc<CoreStats>>,
    events: Events,
    room: Arc<Room>,
    live: Arc<Live>,
    conditions: Arc<Conditions>,
    places: Arc<Places>,
}

impl Gateway {
    /// Starts the cores and the acceptors. `seed` is random; request ids start from it.
    ///
    /// # Errors
    /// A thread or a runtime can't be made.
    pub fn start(
        settings: Settings,
        listeners: Listeners,
        outside: &Outside,
        events: Events,
        seed: [u8; 16],
    ) -> std::io::Result<Gateway> {
        let settings = Arc::new(settings);
        let draining = Arc::new(AtomicBool::new(false));
        let mut own = Vec::new();
        for listener in listeners.plain.iter().chain(listeners.tls.iter().map(|(l, _)| l)) {
            own.push(listener.local_addr()?);
        }
        let room = Arc::new(Room::default());
        let conditions = Arc::new(Conditions::default());
        let limits = &settings.limits;
        let places = Arc::new(Places::new(limits.connections, limits.connections_per_address));
        let client = tls::client_config(Arc::clone(&settings.upstream_roots));
        let client_http2 = tls::client_config_http2(&client);
        let (mut cores, mut senders, mut stats, mut ticks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for index in 0..settings.cores.max(1) {
            let (send, receive) = mpsc::unbounded_channel();
            let counters = Arc::new(CoreStats::default());
            let seed = core_seed(seed, index);
            let parts = Parts {
                settings: Arc::clone(&settings),
                live: Arc::clone(&outside.live),
                clocks: Clocks { now, monotonic_ms },
                dial: Network {
                    tls: Arc::clone(&client),
                    tls_http2: Arc::clone(&client_http2),
                    own: own.clone(),
                    turn: Cell::new(index),
                },
                stats: Arc::clone(&counters),
                ledger: Arc::clone(&outside.ledger),
                limiter: Arc::clone(&outside.limiter),
                captchas: Arc::clone(&outside.captchas),
                desk: outside.desk.clone(),
                room: Arc::clone(&room),
                conditions: Arc::clone(&conditions),
                places: Arc::clone(&places),
                // Each core's end is made here and moves to its thread.
                events: sink::EventBuffer::new(events.sender()),
                draining: Arc::clone(&draining),
                facts: outside.facts.clone(),
                seed,
            };
            let drain_ms = settings.timeouts.drain_ms;
            let tick = Arc::new(Notify::new());
            ticks.push(Arc::clone(&tick));
            let thread = std::thread::Builder::new().name(format!("core-{index}"));
            // A runtime of this kind stays where it was made.
            let (made, told) = std::sync::mpsc::sync_channel(1);
            cores.push(thread.spawn(move || {
                // No timers: with one to wait for, each wait for a socket would set and clear it.
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_io()
                    .build_local(tokio::runtime::LocalOptions::default());
                match runtime {
                    Ok(runtime) => {
                        let _ = made.send(Ok(()));
                        runtime.block_on(core(parts, receive, tick, drain_ms));
                    }
                    Err(e) => drop(made.send(Err(e))),
                }
            })?);
            told.recv().map_err(std::io::Error::other)??;
            senders.push(send);
            stats.push(counters);
        }
        std::thread::Builder::new().name("ticks".to_owned()).spawn(move || clock::drive(ticks))?;
        let dial = Network { tls: client, tls_http2: client_http2, own, turn: Cell::new(0) };
        let (live, known, stop) = (Arc::clone(&outside.live), Arc::clone(&conditions), Arc::clone(&draining));
        std::thread::Builder::new()
            .name("probes".to_owned())
            .spawn(move || probe::drive(&live, &known, dial, &stop))?;
        let acceptor = Arc::new(Acceptor {
            cores: senders,
            places: Arc::clone(&places),
            next: AtomicUsize::new(0),
            settings: Arc::clone(&settings),
        });
        let mut gateway = Gateway {
            draining,
            listeners: Vec::new(),
            acceptor: None,
            acceptors: Vec::new(),
            cores,
            stats,
            events,
            room,
            live: Arc::clone(&outside.live),
            conditions,
            places,
        };
        let all =
            listeners.plain.map(|l| (l, None)).into_iter().chain(listeners.tls.map(|(l, c)| (l, Some(c))));
        for (listener, config) in all {
            gateway.listeners.push(listener.try_clone()?);
            let (acceptor, draining) = (Arc::clone(&acceptor), Arc::clone(&gateway.draining));
            let thread = std::thread::Builder::new().name("acceptor".to_owned());
            gateway.acceptors.push(thread.spawn(move || {
                acceptor.run(&listener, config.as_ref(), || draining.load(Relaxed));
            })?);
        }
        gateway.acceptor = Some(acceptor);
        Ok(gateway)
    }

    /// Takes no more connections, ends the idle ones, and lets requests in flight end.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
        self.listeners.iter().for_each(listen::stop);
    }

    /// After [`Gateway::drain`]: waits until every core has ended, which each does once its connections have, or when
    /// the time for draining is over.
    pub fn join(mut self) {
        for thread in self.acceptors.drain(..) {
            // What panicked has been printed already; the others still have to end.
            let _ = thread.join();
        }
        self.acceptor = None;
        for thread in self.cores.drain(..) {
            let _ = thread.join();
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> Snapshot {
        stats::snapshot(&self.stats, self.places.refused(), self.events.lost(), self.room.taken_bytes())
    }

    /// How the addresses are that the policy in force leads to, each once.
    #[must_use]
    pub fn upstreams(&self) -> Vec<UpstreamState> {
        let policy = self.live.policy.load();
        let all: BTreeSet<_> = policy
            .apis
            .iter()
            .flat_map(|api| [&api.production, &api.sandbox])
            .flatten()
            .flat_map(|upstream| &upstream.addresses)
            .collect();
        all.into_iter().map(|address| self.conditions.state(address)).collect()
    }

    /// Opens the event log anew.
    pub fn reopen_events(&self) {
        self.events.reopen();
    }
}

/// Far-apart starting points for the request ids of each core: ids must differ, and look different.
fn core_seed(seed: [u8; 16], index: usize) -> [u8; 16] {
    const ODD: u128 = 0xd135_9e0b_2a4c_7f86_9e37_79b9_7f4a_7c15;
    let mixed = u128::from_be_bytes(seed).wrapping_add(index as u128).wrapping_mul(ODD);
    (mixed ^ (mixed >> 61)).wrapping_mul(ODD).to_be_bytes()
}

/// One core: serves what it is handed until nothing more comes and everything has ended.
async fn core(
    parts: Parts<Network>,
    mut receive: mpsc::UnboundedReceiver<Taken>,
    tick: Arc<Notify>,
    drain_ms: u64,
) {
    let worker = Rc::new(Worker::new(parts));
    let ticked = Rc::new(Notify::new());
    let (ticking, tell) = (Rc::clone(&worker), Rc::clone(&ticked));
    tokio::task::spawn_local(async move {
        loop {
            tick.notified().await;
            ticking.tick();
            tell.notify_waiters();
        }
    });
    let (probed, with_each_tick) = (Rc::clone(&worker), Rc::clone(&ticked));
    tokio::task::spawn_local(async move {
        loop {
            with_each_tick.notified().await;
            probed.load.probe().await;
        }
    });
    let giving = Rc::clone(&worker);
    tokio::task::spawn_local(async move { giving.load.give_turns().await });
    let giving = Rc::clone(&worker);
    // With a look at the sockets in between.
    tokio::task::spawn_local(async move { giving.rounds.give(tokio::task::yield_now).await });
    let (waking, with_each_tick) = (Rc::clone(&worker), Rc::clone(&ticked));
    tokio::task::spawn_local(async move {
        loop {
            with_each_tick.notified().await;
            while waking.clock.wake_some() {
                tokio::task::yield_now().await;
            }
        }
    });
    while let Some(taken) = receive.recv().await {
        tokio::task::spawn_local(listen::begin(Rc::clone(&worker), taken));
    }
    ended(&worker, &ticked, drain_ms).await;
    // Whatever is left is told, and has its event.
    worker.cut_off();
    ended(&worker, &ticked, serve::OWN_ANSWER_MS + serve::LINGER_MS).await;
    worker.hand_over_facts();
    worker.hand_over_events();
}

/// Waits until every connection has ended, for so long.
async fn ended(worker: &Worker<Network>, ticked: &Notify, at_most_ms: u64) {
    let deadline = worker.clock.after(at_most_ms);
    while worker.stats.is_open() > 0 && worker.clock.now() < deadline {
        ticked.notified().await;
    }
}
