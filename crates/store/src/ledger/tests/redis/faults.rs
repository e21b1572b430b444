//! Servers that are lost, emptied, stopped, or out of memory.
use super::*;

/// How long claims may wait for a server that does not answer, and be told that they can't be made, on a machine as busy as
/// one that runs tests. Without a time-out they would wait for ever, one after another for minutes.
const SOON: Duration = Duration::from_secs(10);

fn trials(every_day: u64) -> u64 {
    std::env::var("DOORWARD_N").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(every_day)
}

/// R8: emptied while nodes are connected to it. Both nodes notice, and neither takes again what may have been accepted.
#[tokio::test]
async fn an_emptied_server_raises_the_fence_on_all_nodes() {
    let Some(redis) =
        Redis::start("ledger::tests::redis::faults::an_emptied_server_raises_the_fence_on_all_nodes")
    else {
        return;
    };
    let place = AStore::new().await;
    let nodes = [
        Node::start(&place.store, server(&redis), Settings::default()).await,
        Node::start(&place.store, server(&redis), Settings::default()).await,
    ];
    for round in 0..trials(10) {
        // What is dated now is below the fence of the round before.
        let ahead = if round == 0 { 0 } else { i64::from(SKEW_MS) };
        let one = once(round, now().0 + ahead);
        let told = nodes[0].claim(&one).await;
        assert!(told == Claim::New || fenced(told), "{told:?}");
        redis.ask(&[if round % 2 == 0 { "FLUSHALL" } else { "FLUSHDB" }]);
        for node in &nodes {
            let told = node.claim(&one).await;
            assert!(told == Claim::Unavailable || fenced(told), "{told:?}");
        }
        for node in &nodes {
            node.is_up(true).await;
            let told = node.claim(&one).await;
            assert!(fenced(told), "round {round}: {told:?}");
        }
    }
}

/// R8: started again with nothing in it. It is another one for the store, which waits for the end of the lease before, and
/// the fence is past all that was accepted. Nodes find it by themselves.
#[tokio::test]
async fn a_server_that_was_started_again_raises_the_fence() {
    let Some(mut redis) =
        Redis::start("ledger::tests::redis::faults::a_server_that_was_started_again_raises_the_fence")
    else {
        return;
    };
    let place = AStore::new().await;
    let nodes = [
        Node::start(&place.store, server(&redis), Settings::default()).await,
        Node::start(&place.store, server(&redis), Settings::default()).await,
    ];
    for round in 0..trials(10) {
        let one = once(round, now().0 + i64::from(SKEW_MS) - 1);
        let told = nodes[0].claim(&one).await;
        assert!(told == Claim::New || fenced(told), "{told:?}");
        redis.kill();
        for node in &nodes {
            let asked = Instant::now();
            assert_eq!(node.claim(&one).await, Claim::Unavailable);
            assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        }
        redis.start_again();
        if round == 0 {
            // The lease is that of the server before.
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!(nodes[1].claim(&one).await, Claim::Unavailable);
        }
        place.end_lease().await;
        for node in &nodes {
            node.is_up(true).await;
            let told = node.claim(&one).await;
            assert!(fenced(told), "round {round}: {told:?}");
        }
        assert_eq!(place.turn().await, i64::try_from(round).unwrap() + 2);
    }
}

/// R9: a server that can't be reached for a while. Claims fail soon, and go on when it is back; nothing was lost, so there
/// is no fence, and nothing is accepted twice.
#[tokio::test]
async fn a_server_that_does_not_answer_stops_claims_soon_and_they_go_on_by_themselves() {
    let test = "ledger::tests::redis::faults::a_server_that_does_not_answer_stops_claims_soon_and_they_go_on_by_themselves";
    let Some(redis) = Redis::start(test) else { return };
    let place = AStore::new().await;
    let node = Node::start(&place.store, server(&redis), Settings::default()).await;
    let date = now().0;
    assert_eq!(node.claim(&once(1, date)).await, Claim::New);
    redis.signal("STOP");
    let asked = Instant::now();
    let lost: Vec<_> = (0..500)
        .map(|n| {
            let ledger = node.ledger.clone();
            tokio::spawn(async move { ledger.claim(&once(10 + n, date)).await })
        })
        .collect();
    for claim in lost {
        assert_eq!(claim.await.unwrap(), Claim::Unavailable);
    }
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    let asked = Instant::now();
    for n in 0..500 {
        assert_eq!(node.claim(&once(10 + n, date)).await, Claim::Unavailable);
    }
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    redis.signal("CONT");
    println!("back after {:?}", node.is_up(true).await);
    assert_eq!(node.claim(&once(1, date)).await, Claim::Replayed);
    assert_eq!(node.claim(&once(2, date)).await, Claim::New);
    assert_eq!(place.turn().await, 1);
}

/// Scripts that were removed are loaded again, and a server without memory refuses without forgetting.
#[tokio::test]
async fn scripts_come_back_and_memory_that_is_full_evicts_nothing() {
    let Some(redis) = Redis::start(
        "ledger::tests::redis::faults::scripts_come_back_and_memory_that_is_full_evicts_nothing",
    ) else {
        return;
    };
    let place = AStore::new().await;
    let node = Node::start(&place.store, server(&redis), Settings::default()).await;
    let date = now().0;
    redis.ask(&["SCRIPT", "FLUSH"]);
    assert_eq!(node.claim(&once(1, date)).await, Claim::New);
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    for n in 2..50 {
        assert_eq!(node.claim(&once(n, date)).await, Claim::Full(doorward_core::ports::Share::Ledger));
    }
    assert!(node.ledger.is_up());
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(node.claim(&once(1, date)).await, Claim::Replayed);
    assert_eq!(node.claim(&once(2, date)).await, Claim::New);
}

/// The store is away: claims go on until the end of the lease, and not beyond.
#[tokio::test]
async fn a_node_without_its_lease_claims_nothing() {
    let Some(redis) = Redis::start("ledger::tests::redis::faults::a_node_without_its_lease_claims_nothing")
    else {
        return;
    };
    let (place, hand) = (AStore::new().await, Hand::of_today());
    let (ledger, keeper) = RedisLedger::new(&place.store, server(&redis), Settings::default(), hand.clock());
    keeper.open().await.unwrap();
    let keeping = tokio::spawn(keeper.keep(drop));
    let date = now().0;
    assert_eq!(ledger.claim(&once(1, date)).await, Claim::New);
    hand.pass(super::super::super::LEASE_MS as i64);
    assert_eq!(ledger.claim(&once(2, date)).await, Claim::Unavailable);
    keeping.abort();
}
