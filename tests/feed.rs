//! How soon a change that one command made is obeyed at another node.
use crate::support::{Actor, Conn, Dice, Engine, Gateway, World, number_of_trials};
use std::time::{Duration, Instant};

/// How soon every node has to obey, where time counts.
const OBEYED: Duration = Duration::from_millis(1_000);
/// The same in the midst of all other tests, on a machine as busy as that.
const OBEYED_WHEN_BUSY: Duration = Duration::from_secs(5);
/// Nodes look at the store this often; commands begin at any instant between two looks.
const BETWEEN_LOOKS_US: u64 = 100_000;

/// Whether figures are wanted, and bounds hold for them: `cargo xtask prove` says how much is to be done.
pub(crate) fn is_proof() -> bool {
    std::env::var_os("DOORWARD_N").is_some()
}

/// What `cargo xtask prove` repeats in its summary.
pub(crate) fn figures(told: impl std::fmt::Display) {
    println!("figures: {told}");
}

/// Durations, as a line of figures tells them.
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn of(mut all: Vec<Duration>) -> Spread {
        assert!(!all.is_empty(), "nothing was measured");
        all.sort();
        Spread(all)
    }

    /// The one that `per_mille` of a thousand do not exceed.
    pub(crate) fn at(&self, per_mille: usize) -> Duration {
        self.0[(self.0.len() * per_mille).div_ceil(1_000).max(1) - 1]
    }

    pub(crate) fn longest(&self) -> Duration {
        self.at(1_000)
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |per_mille| self.at(per_mille).as_secs_f64() * 1_000.0;
        write!(f, "median {:.1}, p99 {:.1}, maximum {:.1} ms", ms(500), ms(990), ms(1_000))
    }
}

/// Asks one node the same again and again, on a connection that it keeps.
pub(crate) struct Asker<'a> {
    node: &'a Gateway,
    connection: Conn,
    request: String,
    dice: Dice,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(node: &'a Gateway, caller: &Actor) -> Asker<'a> {
        Asker { node, connection: node.connect(), request: caller.get("/v1/x"), dice: Dice(4) }
    }

    /// The status of the next answer.
    pub(crate) fn ask(&mut self) -> u16 {
        let answer = self.connection.send(&self.request).answer();
        if answer.closes() {
            self.connection = self.node.connect();
        }
        answer.status
    }

    /// Waits until the answer has this status.
    #[track_caller]
    pub(crate) fn until(&mut self, status: u16) -> Duration {
        let started = Instant::now();
        while self.ask() != status {
            assert!(started.elapsed() < OBEYED_WHEN_BUSY, "no {status} within {OBEYED_WHEN_BUSY:?}");
        }
        started.elapsed()
    }

    /// Blocks the caller by the command line of `at`, or lets it in again, and waits until the node obeys: how long that
    /// took from the start of the command, and from its end.
    pub(crate) fn change(&mut self, at: &Gateway, id: &str, block: bool) -> [Duration; 2] {
        let (verb, status) = if block { ("block", 401) } else { ("unblock", 200) };
        // Right after one change the node has just looked; without this, each would wait for the whole of the next look.
        std::thread::sleep(Duration::from_micros(self.dice.roll(BETWEEN_LOOKS_US)));
        let started = Instant::now();
        at.command(&["credential", verb, id]).ok();
        let done = self.until(status);
        [started.elapsed(), done]
    }
}

#[test]
fn another_node_obeys_within_a_second() {
    let changes = number_of_trials(20);
    let world = World::new();
    let other = Gateway::beside(&world.gateway);
    let mut asker = Asker::new(&other, &world.server);
    assert_eq!(asker.ask(), 200);
    let (mut whole, mut after) = (Vec::new(), Vec::new());
    for n in 0..changes {
        let [from_its_start, from_its_end] = asker.change(&world.gateway, &world.server.id, n % 2 == 0);
        whole.push(from_its_start);
        after.push(from_its_end);
    }
    let (whole, after) = (Spread::of(whole), Spread::of(after));
    let engine = Engine::of_this_run();
    figures(format_args!("{engine:?}, {changes} changes, until another node obeys: {after}"));
    figures(format_args!("{engine:?}, the same from the start of the command: {whole}"));
    let bound = if is_proof() { OBEYED } else { OBEYED_WHEN_BUSY };
    assert!(after.longest() <= bound, "{after}");
}

#[test]
fn a_spread_is_told_by_its_ranks() {
    let spread = Spread::of((1..=200).rev().map(Duration::from_millis).collect());
    assert_eq!(spread.to_string(), "median 100.0, p99 198.0, maximum 200.0 ms");
    assert_eq!(Spread::of(vec![Duration::from_millis(7)]).to_string(), "median 7.0, p99 7.0, maximum 7.0 ms");
}
