//! Several nodes, and which ledger is in force.
use super::*;

/// R2: copies that reach two nodes at the same time: one of all is new.
#[tokio::test]
async fn two_nodes_accept_each_request_once() {
    let Some(redis) = Redis::start("ledger::tests::redis::nodes::two_nodes_accept_each_request_once") else {
        return;
    };
    let place = AStore::new().await;
    let one = Node::start(&place.store, server(&redis), Settings::default()).await;
    let two = Node::start(&place.store, server(&redis), Settings::default()).await;
    let date = now().0;
    for n in 0..100 {
        let copies = (0..50).flat_map(|_| [&one, &two]).map(|node| {
            let ledger = node.ledger.clone();
            tokio::spawn(async move { ledger.claim(&once(n, date)).await })
        });
        let mut new = 0;
        for copy in copies.collect::<Vec<_>>() {
            match copy.await.unwrap() {
                Claim::New => new += 1,
                told => assert_eq!(told, Claim::Replayed),
            }
        }
        assert_eq!(new, 1, "{n}");
    }
    one.ledger.tidy().await;
    assert_eq!(one.ledger.entries(), 100);
    drop(one);
    // A node that comes later knows all of it.
    let three = Node::start(&place.store, server(&redis), Settings::default()).await;
    assert_eq!(three.claim(&once(7, date)).await, Claim::Replayed);
    assert_eq!(two.claim(&once(8, date)).await, Claim::Replayed);
    assert_eq!(place.turn().await, 1);
}

/// One ledger is in force: another server, another database of it, a node's memory have to wait, and whoever follows
/// knows that another one was in force.
#[tokio::test]
async fn one_ledger_is_in_force() {
    let test = "ledger::tests::redis::nodes::one_ledger_is_in_force";
    let (Some(redis), Some(other)) = (Redis::start(test), Redis::start(test)) else { return };
    let place = AStore::new().await;
    let node = Node::start(&place.store, server(&redis), Settings::default()).await;
    let date = now().0;
    assert_eq!(node.claim(&once(1, date)).await, Claim::New, "a fresh store raises no fence");
    let second = redis.url().replace("/0", "/1");
    let servers = [server(&other), RedisServer::new(second.parse().unwrap(), None, None)];
    for server in servers.clone() {
        let (_, keeper) = RedisLedger::new(&place.store, server, Settings::default(), Arc::new(now));
        assert!(matches!(keeper.open().await, Err(LedgerError::HeldElsewhere)));
    }
    let journal = place.folder.0.join("journal");
    let memory = || MemoryLedger::start(&place.store, &journal, Settings::default(), Arc::new(now));
    assert!(matches!(memory().await, Err(LedgerError::HeldElsewhere)));
    // It takes the place of one that is gone.
    for server in servers {
        place.end_lease().await;
        let next = Node::start(&place.store, server.clone(), Settings::default()).await;
        assert!(fenced(next.claim(&once(1, date)).await), "{server:?}");
    }
    place.end_lease().await;
    let memory = memory().await.unwrap();
    assert!(fenced(memory.claim_now(&once(1, date))));
    place.end_lease().await;
    let (ledger, keeper) = RedisLedger::new(&place.store, server(&redis), Settings::default(), Arc::new(now));
    keeper.open().await.unwrap();
    let keeping = tokio::spawn(keeper.keep(drop));
    assert!(fenced(ledger.claim(&once(1, date)).await), "back, it does not know what was accepted elsewhere");
    keeping.abort();
    // The node that was there first still has its connection, and the mark that was: nothing is claimed under it.
    assert_eq!(node.claim(&once(2, date + 100)).await, Claim::Unavailable);
}

/// A request that may come earlier than any before: the store and the server know of that before it is accepted.
#[tokio::test]
async fn a_longer_reach_is_known_before_it_is_used() {
    let Some(redis) = Redis::start("ledger::tests::redis::nodes::a_longer_reach_is_known_before_it_is_used")
    else {
        return;
    };
    let place = AStore::new().await;
    let node = Node::start(&place.store, server(&redis), Settings::default()).await;
    let long = Once { window: Window::new(now().plus_ms(700_000), 800_000, SKEW_MS), ..once(1, 0) };
    assert_eq!(node.claim(&long).await, Claim::New);
    assert_eq!(node.claim(&long).await, Claim::Replayed);
    redis.ask(&["FLUSHALL"]);
    assert_eq!(node.claim(&long).await, Claim::Unavailable);
    node.is_up(true).await;
    let Claim::Fenced { until } = node.claim(&long).await else { panic!("it was lost") };
    assert!(until > long.window.date() && until.0 <= now().0 + 801_000, "{until}");
}

/// Cores poll claims without any runtime: no timers, no I/O.
#[tokio::test]
async fn claims_need_no_runtime_where_they_are_polled() {
    let Some(redis) =
        Redis::start("ledger::tests::redis::nodes::claims_need_no_runtime_where_they_are_polled")
    else {
        return;
    };
    let place = AStore::new().await;
    let node = Node::start(&place.store, server(&redis), Settings::default()).await;
    let (ledger, date): (Arc<dyn Ledger>, _) = (Arc::new(node.ledger.clone()), now().0);
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let (done, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut told = Vec::new();
        for (n, reach_ms) in [(1, SKEW_MS), (1, SKEW_MS), (2, 600_000)] {
            let once = Once { window: Window::new(UnixMillis(date), reach_ms, reach_ms), ..once(n, date) };
            let mut claim = ledger.claim(&once);
            let claim = loop {
                match claim.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
                    std::task::Poll::Ready(claim) => break claim,
                    std::task::Poll::Pending => std::thread::park(),
                }
            };
            told.push(claim);
        }
        done.send(told).unwrap();
    });
    assert_eq!(told.await.unwrap(), [Claim::New, Claim::Replayed, Claim::New]);
}
