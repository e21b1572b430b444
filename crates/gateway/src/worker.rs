//! What one core owns. Everything a request needs is here or in its connection; cores share only what is read.
use crate::clock::Clock;
use crate::condition::Conditions;
use crate::desk::Desk;
use crate::floods::Floods;
use crate::h2::Links;
use crate::hops::Via;
use crate::input::{Buffers, Input};
use crate::load::Load;
use crate::places::Places;
use crate::pool::{Dial, Pool};
use crate::pump::Pump;
use crate::rounds::Rounds;
use crate::settings::Settings;
use crate::settle::Room;
use crate::sink::EventBuffer;
use crate::stamp::{RequestId, Stamp};
use crate::stats::CoreStats;
use crate::wire::{self, Head};
use doorward_core::credential::Credential;
use doorward_core::decide::World;
use doorward_core::live::Live;
use doorward_core::observed::{Observed, Sample, Seen};
use doorward_core::policy::Policy;
use doorward_core::ports::{Captchas, Ledger, Limiter};
use doorward_core::schemes::escher::KeptKeys;
use doorward_core::time::UnixMillis;
use doorward_core::token::Cache;
use hashbrown::{DefaultHashBuilder, HashMap};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::mpsc;

/// Event lines are handed on this often, in ticks, or when there are many.
const EVENTS_EVERY_TICKS: u32 = 4;
/// Facts about credentials are handed on this often, in ticks.
const FACTS_EVERY_TICKS: u32 = 20;
/// Scratch rooms that a core keeps.
const KEPT_SCRATCH: usize = 256;

/// A credential was used, or callers without one called what is observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its id; `None`: the callers had none.
    pub credential: Option<Arc<str>>,
    /// When it was last proved.
    pub at: UnixMillis,
    /// When it was last proved over plain HTTP, if it was since the last fact.
    pub exposed_at: Option<UnixMillis>,
    /// Its calls since the last fact, for each API where rules are observed.
    pub observed: Vec<Observed>,
}

/// What happened to a credential since the last fact about it.
struct Proved {
    credential: Arc<Credential>,
    at: UnixMillis,
    exposed_at: Option<UnixMillis>,
    observed: Vec<Observed>,
}

/// The memory that one request works in; kept from request to request, but not by idle connections.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) head: Head,
    pub(crate) answer: Head,
    pub(crate) up: Pump,
    pub(crate) down: Pump,
    pub(crate) reply: Input,
    pub(crate) extra: Vec<u8>,
    pub(crate) line: Vec<u8>,
    pub(crate) own: Vec<u8>,
    /// A copy of the request's head, where its body was read before it was decided.
    pub(crate) raw: Vec<u8>,
}

/// The clocks that a worker reads; tests bring their own.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    pub(crate) now: fn() -> UnixMillis,
    pub(crate) monotonic_ms: fn() -> u64,
}

/// Everything of one core.
pub(crate) struct Worker<D: Dial> {
    pub(crate) settings: Arc<Settings>,
    pub(crate) wire: wire::Limits,
    pub(crate) live: Arc<Live>,
    pub(crate) clocks: Clocks,
    pub(crate) clock: Clock,
    pub(crate) buffers: Buffers,
    pub(crate) pool: Pool<D::Io>,
    /// HTTP/2 connections to upstreams.
    pub(crate) links: Links,
    pub(crate) dial: D,
    pub(crate) stats: Arc<CoreStats>,
    pub(crate) signing_keys: KeptKeys,
    /// The tokens that this core has verified.
    pub(crate) seen_tokens: RefCell<Cache>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) limiter: Arc<dyn Limiter>,
    pub(crate) captchas: Arc<dyn Captchas>,
    pub(crate) desk: Desk,
    pub(crate) room: Arc<Room>,
    pub(crate) via: Via,
    pub(crate) load: Load,
    pub(crate) rounds: Rounds,
    pub(crate) floods: Floods,
    places: Arc<Places>,
    /// Connections of this core from which on idle ones make room.
    crowd: usize,
    shortages: Cell<u64>,
    events: RefCell<EventBuffer>,
    #[expect(
        clippy::vec_box,
        reason = "a room is taken and given back for each request; moving a pointer is cheaper"
    )]
    scratch: RefCell<Vec<Box<Scratch>>>,
    draining: Arc<AtomicBool>,
    /// The time for draining is over.
    cut_off: Cell<bool>,
    /// By address of the entry: it is kept alive by the value.
    facts: RefCell<HashMap<usize, Proved>>,
    /// Calls without a credential since the last fact, where rules are observed.
    unknown: RefCell<Vec<Observed>>,
    send_facts: mpsc::Sender<Fact>,
    next_id: Cell<u128>,
    /// The last second that was written out, and how.
    last_second: Cell<(i64, Stamp)>,
}

/// What a worker is made of.
pub(crate) struct Parts<D> {
    pub(crate) settings: Arc<Settings>,
    pub(crate) live: Arc<Live>,
    pub(crate) clocks: Clocks,
    pub(crate) dial: D,
    pub(crate) stats: Arc<CoreStats>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) limiter: Arc<dyn Limiter>,
    pub(crate) captchas: Arc<dyn Captchas>,
    pub(crate) desk: Desk,
    /// Shared by all cores.
    pub(crate) room: Arc<Room>,
    /// Likewise.
    pub(crate) conditions: Arc<Conditions>,
    pub(crate) places: Arc<Places>,
    pub(crate) events: EventBuffer,
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) facts: mpsc::Sender<Fact>,
    /// Random; request ids start here.
    pub(crate) seed: [u8; 16],
}

impl<D: Dial> Worker<D> {
    pub(crate) fn new(p: Parts<D>) -> Worker<D> {
        let limits = &p.settings.limits;
        let seen_tokens = Cache::new(limits.token_cache_entries, DefaultHashBuilder::default());
        let share = |of_all: usize| of_all.div_ceil(p.settings.cores.max(1));
        let load = Load::new(limits.queue_ms, share(limits.requests), share(limits.connections_per_address));
        let crowd = share(limits.connections) * 7 / 8;
        Worker {
            wire: wire::Limits {
                head_bytes: limits.head_bytes,
                fields: limits.fields,
                trailer_bytes: limits.trailer_bytes,
                ..wire::Limits::default()
            },
            pool: Pool::new(
                limits.upstream_idle_connections,
                p.settings.timeouts.upstream_idle_ms,
                p.conditions,
            ),
            settings: p.settings,
            via: Via::new(&p.live.keys.installation()),
            live: p.live,
            clocks: p.clocks,
            clock: Clock::default(),
            buffers: Buffers::default(),
            links: Links::default(),
            dial: p.dial,
            stats: p.stats,
            signing_keys: KeptKeys::default(),
            seen_tokens: RefCell::new(seen_tokens),
            ledger: p.ledger,
            limiter: p.limiter,
            captchas: p.captchas,
            desk: p.desk,
            room: p.room,
            load,
            rounds: Rounds::default(),
            floods: Floods::default(),
            shortages: Cell::new(p.places.shortages()),
            places: p.places,
            crowd,
            events: RefCell::new(p.events),
            scratch: RefCell::default(),
            draining: p.draining,
            cut_off: Cell::new(false),
            facts: RefCell::default(),
            unknown: RefCell::default(),
            send_facts: p.facts,
            last_second: Cell::new((0, Stamp::of(UnixMillis(0)))),
            next_id: Cell::new(u128::from_be_bytes(p.seed)),
        }
    }

    /// What a decision under `policy` is made from now.
    pub(crate) fn world<'a>(&'a self, policy: &'a Policy, steady_ms: u64) -> World<'a> {
        self.live.world(policy, &self.signing_keys, &self.seen_tokens, steady_ms)
    }

    /// Whether the node is asked to stop.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Whether the time for draining is over: requests in flight are to end now.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.get()
    }

    /// Ends the time for draining.
    pub(crate) fn cut_off(&self) {
        self.cut_off.set(true);
        self.clock.expire();
    }

    /// An id for a request: never twice in a process, spread over all values.
    pub(crate) fn request_id(&self) -> RequestId {
        // A step of a Weyl sequence: odd, so that it visits every value.
        const STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        let mut n = self.next_id.get().wrapping_add(STEP);
        self.next_id.set(n);
        RequestId(std::array::from_fn(|_| {
            n = n.rotate_left(4);
            b"0123456789abcdef"[(n & 15) as usize]
        }))
    }

    pub(crate) fn scratch(&self) -> Box<Scratch> {
        self.scratch.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, scratch: Box<Scratch>) {
        let mut kept = self.scratch.borrow_mut();
        if kept.len() < KEPT_SCRATCH {
            kept.push(scratch);
        }
    }

    /// An instant as text. Writing out a date costs more than a decision, so the second is written out once.
    pub(crate) fn instant(&self, at: UnixMillis) -> Stamp {
        let (second, ms) = (at.0.div_euclid(1000), at.0.rem_euclid(1000));
        let (last, mut stamp) = self.last_second.get();
        if last != second {
            stamp = Stamp::of(at);
            self.last_second.set((second, stamp));
        }
        stamp.set_ms(ms);
        stamp
    }

    /// Writes a finished event line.
    pub(crate) fn event(&self, line: &[u8]) {
        let lost = self.events.borrow_mut().push(line);
        self.stats.lost(lost);
    }

    /// Notes that a credential was proved. `observed`: what of its call is to be noted, with a sample of it.
    pub(crate) fn proved(
        &self,
        credential: &Arc<Credential>,
        at: UnixMillis,
        exposed: bool,
        observed: Option<(Seen<'_>, &dyn Fn() -> Sample)>,
    ) {
        let mut facts = self.facts.borrow_mut();
        let entry = facts.entry(Arc::as_ptr(credential) as usize).or_insert_with(|| Proved {
            credential: Arc::clone(credential),
            at,
            exposed_at: None,
            observed: Vec::new(),
        });
        entry.at = at;
        entry.exposed_at = exposed.then_some(at).or(entry.exposed_at);
        let Some((seen, sample)) = observed else { return };
        note(&mut entry.observed, seen, at, sample);
    }

    /// Notes a call without a credential that a rule would have refused.
    pub(crate) fn called_anonymously(&self, seen: Seen<'_>, at: UnixMillis, sample: &dyn Fn() -> Sample) {
        note(&mut self.unknown.borrow_mut(), seen, at, sample);
    }

    /// What has to be done now and then.
    pub(crate) fn tick(&self) {
        self.clock.tick(self.draining());
        self.pool.tick();
        self.stats.waits(self.load.next_tick(), self.load.sheds());
        self.make_room();
        if self.clock.now().is_multiple_of(EVENTS_EVERY_TICKS) {
            self.hand_over_events();
        }
        if self.clock.now().is_multiple_of(FACTS_EVERY_TICKS) {
            self.pool.sweep(self.clock.now());
            self.hand_over_facts();
        }
    }

    /// Idle connections make room where there is a crowd, or where the system has no file descriptors left.
    fn make_room(&self) {
        let open = self.stats.is_open() as usize;
        let mut wanted = open.saturating_sub(self.crowd);
        let shortages = self.places.shortages();
        if self.shortages.replace(shortages) != shortages {
            self.pool.clear();
            wanted = wanted.max(open / 8);
        }
        if wanted > 0 {
            self.clock.make_room(wanted);
        }
    }

    /// Hands event lines on.
    pub(crate) fn hand_over_events(&self) {
        let lost = self.events.borrow_mut().hand_over();
        self.stats.lost(lost);
    }

    /// Hands facts on. Where nobody takes them they are kept and grow no further than there are credentials.
    pub(crate) fn hand_over_facts(&self) {
        self.facts.borrow_mut().retain(|_, p| {
            let fact = Fact {
                credential: Some(Arc::from(&*p.credential.id)),
                at: p.at,
                exposed_at: p.exposed_at,
                observed: p.observed.clone(),
            };
            matches!(self.send_facts.try_send(fact), Err(mpsc::error::TrySendError::Full(_)))
        });
        let mut unknown = self.unknown.borrow_mut();
        let calls = unknown.iter().flat_map(|seen| &seen.refused);
        let Some(at) = calls.filter_map(|refused| refused.last_at).max() else { return };
        let fact = Fact { credential: None, at, exposed_at: None, observed: unknown.clone() };
        if !matches!(self.send_facts.try_send(fact), Err(mpsc::error::TrySendError::Full(_))) {
            unknown.clear();
        }
    }
}

/// Notes a call to an API.
fn note(all: &mut Vec<Observed>, seen: Seen<'_>, at: UnixMillis, sample: &dyn Fn() -> Sample) {
    let known = all.iter().position(|o| *o.api == *seen.api).unwrap_or_else(|| {
        all.push(Observed::nothing(seen.api));
        all.len() - 1
    });
    all[known].note(seen, at, sample);
}
