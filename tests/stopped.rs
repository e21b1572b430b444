//! Writers and nodes that are stopped or killed in the midst of what they do, while a node beside them serves.
use crate::faults::{expect_soon, failed, served_during};
use crate::support::{Actor, Dice, Gateway, World, eventually, number_of_trials, rows};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A command that creates credentials one by one, for as long as it is let.
struct Writer {
    process: Child,
    out: String,
}

impl Writer {
    fn start(at: &Gateway) -> Writer {
        let words = ["credential", "create", "--workspace", "acme-live", "--kind", "server", "--dialect"];
        let more = ["voucherify", "--count", "100000", "--json", "--config", &at.config];
        let out = at.folder.file("writer.jsonl");
        let file = std::fs::File::create(&out).expect("the folder takes files");
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(words).args(more).stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
        Writer { process: command.spawn().expect("the program runs"), out }
    }

    /// Waits until something was acknowledged.
    fn begun(self) -> Writer {
        eventually("the first change", || {
            std::fs::read_to_string(&self.out).is_ok_and(|text| text.contains('\n'))
        });
        self
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Kills it; what was acknowledged, each a whole line.
    fn kill(mut self) -> Vec<Actor> {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let text = std::fs::read_to_string(&self.out).expect("its output");
        rows(text.rfind('\n').map_or("", |end| &text[..end])).iter().map(Actor::from_row).collect()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A writer that is stopped for good, as by a debugger, in the midst of a write: others wait for as long as they may and
/// say so, requests go on, and nothing is written by half when it dies.
#[test]
fn a_writer_that_hangs_holds_up_no_request() {
    let world = World::new();
    let writer = Writer::start(&world.gateway);
    let block = || world.gateway.command(&["credential", "block", &world.tester.id]);
    // It may be caught between two writes: then it goes on for a little.
    let mut dice = Dice(3);
    let (busy, took) = served_during(&world.gateway, &world.server, || {
        (0..50).find_map(|_| {
            writer.signal("CONT");
            std::thread::sleep(Duration::from_micros(5_000 + dice.roll(20_000)));
            writer.signal("STOP");
            Some(block()).filter(|run| run.code != 0)
        })
    });
    let busy = busy.expect("it was never caught in the midst of a write");
    failed("busy", &busy);
    assert!(busy.stderr.contains("busy"), "{busy:?}");
    expect_soon("a writer that hangs", took);
    writer.kill();
    block().ok();
    let caller = world.gateway.actor("acme-live", "server", &[]);
    eventually("it is obeyed", || world.ask(caller.get("/v1/x")).status == 200);
    world.gateway.command(&["check"]).ok();
}

/// Nodes and writers are killed in the midst of what they do; the other node serves throughout, and what was acknowledged
/// is there.
#[test]
fn kill9_of_one_node_is_not_noticed_at_the_other() {
    let world = World::new();
    let mut other = Gateway::beside(&world.gateway);
    let mut dice = Dice(5);
    let mut acknowledged = Vec::new();
    let (_, took) = served_during(&world.gateway, &world.server, || {
        for _ in 0..number_of_trials(4) {
            let writer = Writer::start(&other).begun();
            std::thread::sleep(Duration::from_micros(dice.roll(250_000)));
            if dice.roll(2) == 0 {
                other.kill();
                acknowledged.extend(writer.kill());
            } else {
                acknowledged.extend(writer.kill());
                other.kill();
            }
            other.start();
            assert!(other.started_in < Duration::from_secs(5), "{:?}", other.started_in);
            if let Some(last) = acknowledged.last() {
                other.ask(last.get("/v1/x")).expect_ok();
            }
        }
    });
    expect_soon("a node killed beside", took);
    let there = world.server_ids();
    assert!(!acknowledged.is_empty(), "nothing was ever acknowledged");
    for actor in &acknowledged {
        assert!(there.contains(&actor.id), "{} was acknowledged and is gone", actor.id);
        world.ask(actor.get("/v1/x")).expect_ok();
    }
    world.gateway.command(&["check"]).ok();
}
