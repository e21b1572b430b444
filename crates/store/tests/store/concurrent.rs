//! Several who write at the same time, as the command line does while a node runs.
use crate::place::on_both_engines;
use crate::support::*;
use std::collections::HashSet;

on_both_engines!(nothing_is_lost_and_nothing_is_numbered_twice,);

const TASKS: usize = 4;
const WRITES: usize = 25;

async fn nothing_is_lost_and_nothing_is_numbered_twice() {
    let place = Place::new();
    let stores = [place.store().await, place.store().await];
    let start = put_policy(&stores[0]).await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = stores[task % 2].clone();
            tokio::spawn(async move {
                let mut last = 0;
                for n in 0..WRITES {
                    let mut write = store.write(&format!("task {task}"), NOW).await.unwrap();
                    for half in ["x", "y"] {
                        let c = credential(&format!("{task}-{n}-{half}"), "s");
                        write.create_credential(&new(c, None)).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                    let seq = write.commit().await.unwrap();
                    assert!(seq > last);
                    last = seq;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all = stores[1].changes_after(start, 1_000).await.unwrap();
    let seqs: Vec<_> = all.iter().map(|c| c.seq).collect();
    let end = start + (TASKS * WRITES * 2) as i64;
    assert_eq!(seqs, (start + 1..=end).collect::<Vec<_>>());
    let ids: HashSet<_> = all.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids.len(), TASKS * WRITES * 2);
    // Both changes of a write stand together.
    assert!(all.chunks(2).all(|two| two[0].id.trim_end_matches('x') == two[1].id.trim_end_matches('y')));
    let report = stores[0].check().await.unwrap();
    assert_eq!(report.credentials as usize, ids.len());
}
