//! The wall clock is set while a node runs. What was over stays over, nothing else is disturbed, and it is told. Needs
//! libfaketime, which shows a process another wall clock; the steady clock stays as it is.
use crate::faults::{complaints, metric, served_during};
use crate::support::{Actor, Setup, World, eventually, number_of_trials, skipped};
use std::time::{Duration, Instant};

/// By how many seconds clocks are set.
const JUMPS: [i64; 3] = [600, 3_600, 1];

/// An installation whose gateway reads a wall clock of the test's.
struct Clocked {
    world: World,
    file: String,
}

impl Clocked {
    /// `None` without the library, which is told.
    fn new(test: &str, time: &str, change: impl FnOnce(Setup) -> Setup) -> Option<Clocked> {
        let Ok(library) = std::env::var("DOORWARD_FAKETIME") else {
            skipped(test, "DOORWARD_FAKETIME is not set");
            return None;
        };
        let mut file = String::new();
        let world = World::with(|setup| {
            file = setup.folder().write("clock", time);
            let setup = setup.env("LD_PRELOAD", &library).env("FAKETIME_TIMESTAMP_FILE", &file);
            change(setup.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1").env("TZ", "UTC"))
        });
        Some(Clocked { world, file })
    }

    fn set(&self, time: &str) {
        // Written anew as a whole: a clock that is read while it is being written would be none.
        let new = format!("{}.new", self.file);
        std::fs::write(&new, time).and_then(|()| std::fs::rename(&new, &self.file)).expect("a file");
    }

    fn ask(&self, caller: &Actor) -> crate::support::Answer {
        self.world.ask(caller.get("/v1/x"))
    }

    fn key_until(&self, expires: &str) -> Actor {
        let key = self.world.gateway.actor("acme-live", "server", &["--expires", expires]);
        eventually("the new key", || self.ask(&key).status == 200);
        key
    }

    fn jumps(&self) -> u64 {
        metric(&self.world.gateway, "doorward_clock_jumps_total") as u64
    }

    fn behind_s(&self) -> f64 {
        metric(&self.world.gateway, "doorward_clock_behind_seconds")
    }
}

/// A key that has expired is never taken again, however far the clock is set back; each jump is told once.
#[test]
fn what_has_expired_stays_expired_when_the_clock_is_set_back() {
    let test = "what_has_expired_stays_expired_when_the_clock_is_set_back";
    let Some(clocked) = Clocked::new(test, "2028-01-01 00:00:00", |s| s) else { return };
    for trial in 0..number_of_trials(1) * JUMPS.len() as u64 {
        let back = JUMPS[trial as usize % JUMPS.len()];
        // Each on a day of its own, so that none is over because of another one.
        let day = format!("{}-{:02}-{:02}", 2028 + trial / 336, 1 + trial / 28 % 12, 1 + trial % 28);
        clocked.set(&format!("{day} 01:00:00"));
        eventually("it is that day", || clocked.behind_s() < 0.3);
        let key = clocked.key_until(&format!("{day}T12:00:00Z"));
        let (jumps, log) = (clocked.jumps(), clocked.world.gateway.log().len());
        clocked.set(&format!("{day} 12:00:00"));
        clocked.ask(&key).expect(401, "credential_expired");
        eventually("the jump forward is counted", || clocked.jumps() == jumps + 1);
        let before = 12 * 3_600 - back;
        clocked.set(&format!("{day} {:02}:{:02}:{:02}", before / 3_600, before / 60 % 60, before % 60));
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(300) {
            clocked.ask(&key).expect(401, "credential_expired");
            clocked.ask(&clocked.world.server).expect_ok();
        }
        eventually("the jump back is counted", || clocked.jumps() == jumps + 2);
        assert!(clocked.behind_s() >= back as f64);
        let told = complaints(&clocked.world.gateway, log);
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[0].contains("set forward") && told[1].contains("set back"), "{told:#?}");
    }
}

/// After the clock was set back, a key expires when it would have without that: time is told by the steady clock.
#[test]
fn keys_expire_in_time_though_the_clock_was_set_back() {
    let test = "keys_expire_in_time_though_the_clock_was_set_back";
    let Some(clocked) = Clocked::new(test, "+0", |s| s) else { return };
    for back in JUMPS.into_iter().take(2) {
        // The clock runs, some way ahead of the commands' own, which is the true one here.
        let ahead = 2 * back;
        clocked.set(&format!("+{ahead}"));
        eventually("it has caught up", || clocked.behind_s() < 0.3);
        let in_s = |s: i64| {
            let out = std::process::Command::new("date")
                .args(["-u", "-d", &format!("now + {} seconds", ahead + s), "+%Y-%m-%dT%H:%M:%SZ"])
                .output();
            String::from_utf8(out.expect("date runs").stdout).expect("text").trim().to_owned()
        };
        let key = clocked.key_until(&in_s(4));
        clocked.set(&format!("+{}", ahead - back));
        let started = Instant::now();
        let mut served = 0;
        eventually("it expires", || {
            let answer = clocked.ask(&key);
            served += u32::from(answer.status == 200);
            answer.code() == "credential_expired"
        });
        println!("back by {back} s: expired {:?} later, after {served} requests", started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(6));
        clocked.ask(&clocked.world.server).expect_ok();
    }
}

/// Leases, deadlines and the feed go by the steady clock: whatever the wall clock does, requests are served, and a store
/// that is away is noticed in time.
#[test]
fn no_lease_and_no_deadline_follows_the_wall_clock() {
    let test = "no_lease_and_no_deadline_follows_the_wall_clock";
    let Some(clocked) = Clocked::new(test, "+0", |s| s.set("store", "max_staleness_s", 2)) else { return };
    let world = &clocked.world;
    let jumps = ["+3600", "-3600", "+600", "-600", "+0", "-1", "+0", "+86400", "-86400", "+0"];
    let (_, took) = served_during(&world.gateway, &world.server, || {
        for jump in jumps {
            clocked.set(jump);
            std::thread::sleep(Duration::from_millis(250));
        }
    });
    assert!(took.len() >= 100);
    assert!(clocked.jumps() >= jumps.len() as u64 - 2, "{}", clocked.jumps());
    let caller = world.gateway.actor("acme-live", "server", &[]);
    eventually("changes are followed", || clocked.ask(&caller).status == 200);
    for jump in ["-3600", "+3600"] {
        world.gateway.take_store_away();
        clocked.set(jump);
        let late = eventually("it refuses", || clocked.ask(&world.server).code() == "unavailable");
        assert!(late < Duration::from_secs(6), "{late:?}");
        world.gateway.give_store_back();
        eventually("it is back", || clocked.ask(&world.server).status == 200);
    }
    assert_eq!(metric(&world.gateway, "doorward_failopen_total") as u64, 0);
}
