//! Counters. Each core writes its own with plain loads and stores; a scrape adds them up.
use crate::h2::FLOODS;
use doorward_core::policy::{Rule, RuleSet};
use doorward_core::reason::Reason;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds of the latency histogram, in microseconds; one more bucket has no bound.
pub const LATENCY_BOUNDS_US: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];

const BUCKETS: usize = LATENCY_BOUNDS_US.len() + 1;
const REASONS: usize = Reason::ALL.len();
const RULES: usize = Rule::ALL.len();

/// One counter for each public reason.
#[derive(Debug)]
struct ByReason([AtomicU64; REASONS]);

impl Default for ByReason {
    fn default() -> ByReason {
        ByReason(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// The counters of one core.
#[derive(Debug, Default)]
pub(crate) struct CoreStats {
    classes: [AtomicU64; 6],
    permits: AtomicU64,
    denials: ByReason,
    latency: [AtomicU64; BUCKETS],
    latency_us: AtomicU64,
    would_refuse: [AtomicU64; RULES],
    exposed: AtomicU64,
    weak: AtomicU64,
    connects: AtomicU64,
    accepted: AtomicU64,
    open: AtomicU64,
    lost_events: AtomicU64,
    wait_us: AtomicU64,
    sheds: AtomicU64,
    floods: [AtomicU64; FLOODS.len()],
    refused_streams: AtomicU64,
}

/// Only its own core adds to a counter, so no locked instruction is needed.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// An open connection.
pub(crate) struct Open(Arc<CoreStats>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.store(self.0.open.load(Relaxed).saturating_sub(1), Relaxed);
    }
}

impl CoreStats {
    pub(crate) fn request(&self, status: u16, reason: Option<Reason>, total_us: u64) {
        add(&self.classes[usize::from(status / 100).min(5)], 1);
        match reason {
            Some(reason) => add(&self.denials.0[reason as usize], 1),
            None => add(&self.permits, 1),
        }
        let bucket = LATENCY_BOUNDS_US.iter().position(|b| total_us <= *b).unwrap_or(BUCKETS - 1);
        add(&self.latency[bucket], 1);
        add(&self.latency_us, total_us);
    }
    pub(crate) fn would_refuse(&self, rules: RuleSet) {
        rules.iter().for_each(|rule| add(&self.would_refuse[rule as usize], 1));
    }
    pub(crate) fn proof(&self, exposed: bool, weak: bool) {
        add(&self.exposed, u64::from(exposed));
        add(&self.weak, u64::from(weak));
    }
    pub(crate) fn connected(&self) {
        add(&self.connects, 1);
    }
    /// Counts a connection as open for as long as what this gives lives, however it ends.
    pub(crate) fn opened(self: &Arc<CoreStats>) -> Open {
        add(&self.accepted, 1);
        add(&self.open, 1);
        Open(Arc::clone(self))
    }
    pub(crate) fn lost(&self, events: u64) {
        add(&self.lost_events, events);
    }
    /// How long a task waited for its turn in the last tick, and whether callers are turned away for that.
    pub(crate) fn waits(&self, wait_us: u64, sheds: bool) {
        self.wait_us.store(wait_us, Relaxed);
        self.sheds.store(u64::from(sheds), Relaxed);
    }
    /// Counts a connection of HTTP/2 that was ended for one of [`FLOODS`].
    pub(crate) fn flood(&self, what: &'static str) {
        let at = FLOODS.iter().position(|name| *name == what);
        at.inspect(|at| add(&self.floods[*at], 1));
    }
    pub(crate) fn refused_stream(&self) {
        add(&self.refused_streams, 1);
    }
    pub(crate) fn is_open(&self) -> u64 {
        self.open.load(Relaxed)
    }
}

/// What all cores have counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Answers by class of status: index 1 for 1xx to 5 for 5xx; 0 where nothing was answered.
    pub classes: [u64; 6],
    /// Requests that ended without a refusal.
    pub permits: u64,
    /// Refusals by reason.
    pub denials: Vec<(Reason, u64)>,
    /// Requests that were let through although a rule, which is observed, would have refused them; by rule.
    pub would_refuse: [u64; RULES],
    /// Requests by total time; see [`LATENCY_BOUNDS_US`], and one more for the rest.
    pub latency: [u64; BUCKETS],
    /// The sum of total times, in microseconds.
    pub latency_us: u64,
    /// Credentials proved over plain HTTP.
    pub exposed: u64,
    /// Requests proved by an id alone.
    pub weak: u64,
    /// Connections made to upstreams.
    pub upstream_connections: u64,
    /// Connections taken from callers.
    pub connections: u64,
    /// Connections from callers at this moment.
    pub open_connections: u64,
    /// Connections turned away because there were too many.
    pub overloaded: u64,
    /// The room taken by bodies that wait for their proof, and by requests that are answered here, in bytes.
    pub waiting_body_bytes: u64,
    /// Events that could not be written.
    pub lost_events: u64,
    /// How long a task waits for its turn on the busiest core, in microseconds.
    pub queue_us: u64,
    /// Cores that turn requests away because their queue is long.
    pub shedding_cores: u64,
    /// Connections of HTTP/2 that were ended for what they sent too much of, by what.
    pub floods: [(&'static str, u64); FLOODS.len()],
    /// Requests over HTTP/2 that were refused with REFUSED_STREAM: more at a time than allowed.
    pub refused_streams: u64,
}

/// Adds the cores up.
pub(crate) fn snapshot(
    cores: &[Arc<CoreStats>],
    overloaded: u64,
    lost: u64,
    waiting_body_bytes: u64,
) -> Snapshot {
    let sum = |of: &dyn Fn(&CoreStats) -> &AtomicU64| cores.iter().map(|c| of(c).load(Relaxed)).sum::<u64>();
    Snapshot {
        classes: std::array::from_fn(|i| sum(&|c| &c.classes[i])),
        permits: sum(&|c| &c.permits),
        denials: Reason::ALL.iter().map(|r| (*r, sum(&|c| &c.denials.0[*r as usize]))).collect(),
        would_refuse: std::array::from_fn(|i| sum(&|c| &c.would_refuse[i])),
        latency: std::array::from_fn(|i| sum(&|c| &c.latency[i])),
        latency_us: sum(&|c| &c.latency_us),
        exposed: sum(&|c| &c.exposed),
        weak: sum(&|c| &c.weak),
        upstream_connections: sum(&|c| &c.connects),
        connections: sum(&|c| &c.accepted),
        open_connections: sum(&|c| &c.open),
        overloaded,
        waiting_body_bytes,
        lost_events: sum(&|c| &c.lost_events) + lost,
        queue_us: cores.iter().map(|c| c.wait_us.load(Relaxed)).max().unwrap_or(0),
        shedding_cores: sum(&|c| &c.sheds),
        floods: std::array::from_fn(|i| (FLOODS[i], sum(&|c| &c.floods[i]))),
        refused_streams: sum(&|c| &c.refused_streams),
    }
}
