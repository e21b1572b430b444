//! The ledger of a node: what remembers requests that are accepted only once. Without it, everything else is served.
use crate::faults::metric;
use crate::support::{Engine, Gateway, Redis, Setup, World, eventually};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn is_up(gateway: &Gateway) -> bool {
    metric(gateway, "doorward_ledger_up") as u64 == 1
}

/// Whether dates ahead of the time are refused.
fn is_fenced(gateway: &Gateway) -> bool {
    let text = gateway.operations("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix("doorward_ledger_fence_until_seconds "));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    line.is_some_and(|fence| fence.parse::<f64>().expect("a number") > now.as_secs_f64())
}

/// Everybody who is not asked for it is served.
fn expect_served(world: &World, gateway: &Gateway) {
    gateway.ask(world.server.get("/v1/x")).expect_ok();
    assert_eq!(gateway.operations("/readyz").status, 200);
}

/// One node has its ledger when it begins, also when the one before was killed. A second node on the store serves without
/// one, says so once, and has it when the first one is gone.
#[test]
fn one_node_has_the_ledger_and_the_next_one_waits_for_it() {
    let mut world = World::new();
    for _ in 0..3 {
        assert!(is_up(&world.gateway));
        world.gateway.kill();
        world.gateway.start();
    }
    assert!(is_up(&world.gateway));
    let second = Gateway::beside(&world.gateway);
    assert!(!is_up(&second));
    expect_served(&world, &second);
    assert_eq!(metric(&second, "doorward_ledger_entries") as u64, 0);
    let text = second.operations("/metrics").text();
    assert!(text.contains("doorward_ledger_claims_total{outcome=\"new\"} 0\n"), "{text}");
    world.gateway.signal("TERM");
    assert_eq!(world.gateway.ended().code(), Some(0));
    eventually("the second has it", || is_up(&second));
    let (log, said) =
        (second.log(), "this node has no ledger, so it refuses requests that are accepted only once");
    assert_eq!(log.matches(said).count(), 1, "{log}");
    assert!(log.contains("this node has its ledger"), "{log}");
    // And back: the first one is the second now.
    world.gateway.start();
    assert!(!is_up(&world.gateway));
    expect_served(&world, &world.gateway);
}

/// The journal lies beside an SQLite store, for its owner alone; with a store on a server it has to be named.
#[test]
fn a_journal_has_a_place() {
    match Engine::of_this_run() {
        Engine::Sqlite => {
            let world = World::new();
            let folder = world.gateway.folder.file("doorward.db.ledger");
            let mode = std::fs::metadata(&folder).expect("a folder").permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            let files = std::fs::read_dir(folder).expect("a folder");
            assert!(files.flatten().any(|file| file.path().extension().is_some_and(|e| e == "journal")));
        }
        Engine::Postgres => {
            let world = World::with(|setup| setup.unset("ledger", "journal"));
            assert!(!is_up(&world.gateway));
            expect_served(&world, &world.gateway);
            let log = world.gateway.log();
            assert_eq!(
                log.matches("this node can't remember which requests it accepted").count(),
                1,
                "{log}"
            );
        }
    }
}

/// A journal that can't be made is told, and the node serves without it; `check` knows before.
#[test]
fn a_journal_that_can_not_be_made_stops_nothing_else() {
    let world = World::with(|setup| {
        let nowhere = setup.folder().write("a-file", "");
        setup.set("ledger", "journal", format!("{:?}", format!("{nowhere}/ledger")))
    });
    assert!(!is_up(&world.gateway));
    expect_served(&world, &world.gateway);
    assert!(world.gateway.log().contains("the journal folder"), "{}", world.gateway.log());
    let run = world.gateway.command(&["check"]);
    assert!(run.code == 1 && run.stderr.contains("ledger.journal: there is no folder"), "{run:?}");
}

/// A node that takes no callers has no ledger, and takes none away.
#[test]
fn a_control_node_has_no_ledger() {
    let mut control = Setup::new().set("", "role", "\"control\"").prepare();
    control.start();
    let text = control.operations("/metrics").text();
    assert!(!text.contains("doorward_ledger"), "{text}");
    assert!(!Path::new(&control.folder.file("doorward.db.ledger")).exists());
}

fn on_redis(setup: Setup, redis: &Redis) -> Setup {
    setup.unset("ledger", "journal").set("ledger", "url", format!("{:?}", redis.url()))
}

/// Any number of nodes share a ledger on Redis. While it does not answer, everything else is served, and it comes back by
/// itself.
#[test]
fn nodes_share_a_ledger_on_redis() {
    let Some(redis) = Redis::start("ledger::nodes_share_a_ledger_on_redis") else { return };
    let world = World::with(|setup| on_redis(setup, &redis));
    let mut second = on_redis(Setup::beside(&world.gateway), &redis).prepare_unchecked();
    second.start();
    for node in [&world.gateway, &second] {
        assert!(is_up(node));
        assert!(!is_fenced(node), "a fresh store raises no fence");
    }
    redis.signal("STOP");
    for node in [&world.gateway, &second] {
        eventually("it is noticed", || !is_up(node));
        expect_served(&world, node);
    }
    redis.signal("CONT");
    for node in [&world.gateway, &second] {
        eventually("it is back", || is_up(node));
        let (log, said) = (node.log(), "does not answer");
        assert!(log.matches(said).count() >= 1, "{log}");
    }
    redis.ask(&["FLUSHALL"]);
    for node in [&world.gateway, &second] {
        eventually("the loss is noticed", || is_up(node) && is_fenced(node));
    }
    assert_eq!(metric(&second, "doorward_failopen_total") as u64, 0);
}

/// A server that would forget, and a password that can't be read, end the start with one sentence each.
#[test]
fn a_server_that_can_not_hold_a_ledger_ends_the_start() {
    let test = "ledger::a_server_that_can_not_hold_a_ledger_ends_the_start";
    let Some(redis) = Redis::with(test, &["--maxmemory-policy", "volatile-lru", "--requirepass", "hush"])
    else {
        return;
    };
    let told = |setup: Setup| {
        let gateway = setup.prepare_unchecked();
        // `check` says before what the start would.
        ["serve", "check"].map(|command| {
            let run = crate::support::doorward(&[command, "--config", &gateway.config]);
            assert_eq!(run.code, 1, "{run:?}");
            assert!(!run.said().contains("hush"), "{run:?}");
            run.stderr
        })
    };
    let both = |told: [String; 2], part: &str| {
        assert!(told.iter().all(|said| said.contains(part)), "{part}: {told:?}");
    };
    let with = |mode: u32, password: &str| {
        let setup = on_redis(Setup::new(), &redis);
        let file = setup.folder().write("ledger.password", password);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("a file");
        setup.set("ledger", "password_file", format!("{file:?}"))
    };
    both(told(with(0o600, "hush\n")), "its maxmemory-policy is volatile-lru");
    both(told(with(0o644, "hush\n")), "others than its owner can reach the ledger's password");
    both(told(with(0o600, "hush-not\n")), "ledger.password_file");
    both(told(on_redis(Setup::new(), &redis)), "ledger.password_file");
}
