//! How many claims a second one node makes on a server, and what each takes there. `DOORWARD_N` tells how many; a few every
//! day.
use super::*;

const EVERY_DAY: u64 = 20_000;
/// Requests that are on their way at a time.
const AT_A_TIME: u64 = 256;
/// Claims a second that one node has to make, when nothing else takes the machine's time.
const LEAST_A_SECOND: u128 = 2_000;

fn memory_bytes(redis: &Redis) -> u64 {
    let info = redis.ask(&["INFO", "memory"]);
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    line.trim().parse().unwrap()
}

/// R5: many valid distinct requests inside one window, then early ones again.
#[tokio::test]
async fn many_in_one_window() {
    let Some(redis) = Redis::start("ledger::tests::redis::load::many_in_one_window") else { return };
    let many =
        std::env::var("DOORWARD_N").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(EVERY_DAY);
    let place = AStore::new().await;
    let node = Node::start(&place.store, server(&redis), Settings::default()).await;
    let now = now().0;
    // 1,000 credentials in 100 workspaces, over the dates that may come.
    let request = move |n: u64| {
        let credential = n % 1_000;
        let owner = Shares { workspace: ShareId(credential % 100), credential: ShareId(credential) };
        let date = now - 100_000 + (n * 300_000 / many) as i64;
        Once { owner, ..once(n, date) }
    };
    let round = async |many: u64, step: u64, told: Claim| {
        let begin = Instant::now();
        let tasks: Vec<_> = (0..AT_A_TIME)
            .map(|task| {
                let ledger = node.ledger.clone();
                tokio::spawn(async move {
                    for n in (task..many).step_by(AT_A_TIME as usize) {
                        assert_eq!(ledger.claim(&request(n * step)).await, told, "{n}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        u128::from(many) * 1_000_000 / begin.elapsed().as_micros().max(1)
    };
    let before = memory_bytes(&redis);
    let new_a_second = round(many, 1, Claim::New).await;
    let bytes = (memory_bytes(&redis) - before) / many;
    let early = many.min(10_000);
    let again_a_second = round(early, many / early, Claim::Replayed).await;
    node.ledger.tidy().await;
    assert_eq!(node.ledger.entries(), many);
    println!(
        "figures: {many} claims on Redis: {new_a_second} new ones a second, {again_a_second} replays a second, \
         {bytes} bytes of the server's memory each"
    );
    assert!(new_a_second > LEAST_A_SECOND);
}
