//! Killed while they write: what was acknowledged is there, nothing is there by half, and others go on.
use crate::feed::{Asker, figures};
use crate::support::{Dice, Engine, Gateway, Setup, Upstream, World, number_of_trials, wait_for};
use crate::writes::{Expected, Told, Writer, listed};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a start after a kill may take.
const LONGEST_START: Duration = Duration::from_secs(5);
/// The store is looked over whole after so many kills, and in the end.
const LOOKED_OVER_EVERY: u64 = 10;
/// Between two requests of somebody who calls all the time.
const PAUSE: Duration = Duration::from_millis(1);
/// More changes than a writer comes to make.
const ENDLESS: u64 = 1_000_000;

/// Has a command create credentials, many a transaction, and kills it: soon after it was started, or in the midst.
fn create_until_killed(gateway: &Gateway, name: &str, dice: &mut Dice) -> Vec<Told> {
    let words = ["--workspace", "acme-live", "--kind", "server", "--dialect", "voucherify", "--count", "400"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["credential", "create", "--json", "--name", name, "--config", &gateway.config])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = move || lines.next().and_then(Result::ok).as_deref().and_then(Told::read);
    let mut told = Vec::new();
    if dice.roll(4) > 0 {
        told.extend(next());
    }
    std::thread::sleep(Duration::from_micros(dice.roll(30_000)));
    let _ = child.kill();
    let _ = child.wait();
    told.extend(std::iter::from_fn(next));
    told
}

/// Has a process change single credentials, a transaction each, and kills it.
fn change_until_killed(gateway: &Gateway, name: &str, dice: &mut Dice) -> Vec<Told> {
    let mut writer = Writer::start(gateway, name, ENDLESS);
    writer.go();
    let mut told: Vec<Told> = writer.next().into_iter().collect();
    std::thread::sleep(Duration::from_micros(dice.roll(60_000)));
    told.extend(writer.kill());
    told
}

/// Waits until a server has ended what killed writers had asked of it. A COMMIT that was sent is carried out, whether its
/// sender still lives or not: what was in doubt is settled only then.
pub(crate) fn settled(gateway: &Gateway) {
    if Engine::of_this_run() == Engine::Sqlite {
        return;
    }
    const BUSY: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                        AND pid <> pg_backend_pid() AND state <> 'idle'";
    wait_for("the server to end what it was asked for", || {
        (gateway.database().sql(BUSY).trim() == "0").then_some(())
    });
}

/// Kills writers and a node again and again, and tells what became of what they did.
fn kill_again_and_again(gateway: &mut Gateway, trials: u64) {
    let mut dice = Dice(9);
    let (mut all, mut changes, mut slowest_start) = (Expected::default(), 0, Duration::ZERO);
    for trial in 0..trials {
        gateway.start();
        slowest_start = slowest_start.max(gateway.started_in);
        let (name, when) = (format!("trial {trial:06}"), format!("trial {trial}"));
        let one_by_one = trial % 2 == 0;
        let told = match one_by_one {
            true => change_until_killed(gateway, &name, &mut dice),
            false => create_until_killed(gateway, &name, &mut dice),
        };
        // The node is killed as well, in the midst of what it does.
        gateway.kill();
        settled(gateway);
        changes += told.len();
        let mut expected = Expected::default();
        expected.add(told);
        let untold = expected.compare(&listed(gateway, Some(&name)), &when);
        assert!(!one_by_one || untold <= 1, "{when}: {untold} were made without a word");
        all.append(expected);
        if trial % LOOKED_OVER_EVERY == 0 || trial + 1 == trials {
            let check = gateway.command(&["check"]);
            assert_eq!(check.code, 0, "{when}: {check:?}");
        }
    }
    all.compare(&listed(gateway, None), "in the end");
    assert!(changes > 0, "nothing was ever acknowledged");
    let (engine, count) = (Engine::of_this_run(), all.len());
    figures(format_args!(
        "{engine:?}, {trials} kills: {changes} acknowledged changes of {count} credentials, lost 0, half done 0, \
         the longest start {slowest_start:.1?}"
    ));
    assert!(slowest_start < LONGEST_START, "{slowest_start:?}");
}

fn prepared() -> (Gateway, [Upstream; 2]) {
    let upstreams = [Upstream::start(), Upstream::start()];
    (Setup::new().policy(World::policy(&upstreams[0], &upstreams[1])).prepare(), upstreams)
}

/// Nobody else has the store open: each start finds what a killed process has left.
#[test]
fn kill9_loses_nothing_that_was_acknowledged() {
    let (mut gateway, _upstreams) = prepared();
    kill_again_and_again(&mut gateway, number_of_trials(4));
}

/// Another node on the same store answers all the while as if nothing had happened, and knows everything in the end.
#[test]
fn kill9_disturbs_no_other_node() {
    let (mut gateway, _upstreams) = prepared();
    let known = gateway.actor("acme-live", "server", &[]);
    let other = Gateway::beside(&gateway);
    let over = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let (mut asker, mut asked, mut longest) = (Asker::new(&other, &known), 0, Duration::ZERO);
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let status = asker.ask();
                assert_eq!(status, 200, "request {asked} during a kill");
                longest = longest.max(began.elapsed());
                asked += 1;
                std::thread::sleep(PAUSE);
            }
            (asked, longest)
        });
        // The caller is told to stop whatever happens, or the scope would never end.
        let stop = Stop(&over);
        kill_again_and_again(&mut gateway, number_of_trials(4));
        drop(stop);
        caller.join().expect("no request fails")
    });
    let (count, longest) = asked;
    assert!(count > 0, "nobody asked");
    figures(format_args!(
        "meanwhile another node answered {count} requests, failed 0, the longest took {longest:.1?}"
    ));
    let last = gateway.actor("acme-live", "server", &[]);
    Asker::new(&other, &last).until(200);
}

/// Tells a thread to stop when it goes.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
