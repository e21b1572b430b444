//! A node follows whoever writes.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::credential::Status;
use doorward_core::decide::Lease;
use doorward_core::live::Live;
use doorward_store::Store;
use doorward_store::follow::{Follow, follow};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

on_both_engines!(
    changes_of_others_are_obeyed_within_a_second,
    a_wake_up_ends_the_pause,
    a_broken_policy_never_replaces_a_good_one,
    nothing_is_decided_before_there_is_a_policy,
    a_credential_that_cannot_be_read_any_more_is_refused_alone,
    another_history_is_loaded_anew,
    the_lease_lapses_while_the_store_is_away,
    another_epoch_is_loaded_anew,
    another_installation_opens_nothing,
);

fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

pub(crate) struct Node {
    pub(crate) live: Arc<Live>,
    woken: Arc<Notify>,
    ready: watch::Receiver<bool>,
    task: tokio::task::JoinHandle<std::convert::Infallible>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    pub(crate) fn start(store: Store, poll_ms: u64, max_staleness_ms: u64) -> Node {
        let (live, woken) = (Arc::new(Live::new(keys())), Arc::new(Notify::new()));
        let (tell, ready) = watch::channel(false);
        let settings = Follow {
            region: None,
            poll: Duration::from_millis(poll_ms),
            max_staleness: Duration::from_millis(max_staleness_ms),
        };
        let task = tokio::spawn(follow(store, Arc::clone(&live), settings, Arc::clone(&woken), clock, tell));
        Node { live, woken, ready, task }
    }

    pub(crate) async fn ready(&mut self) {
        let wait = self.ready.wait_for(|ready| *ready);
        tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap().unwrap();
    }

    /// Waits until it is so, a few seconds at most: many tests run at once.
    pub(crate) async fn soon(&self, what: &str, so: impl Fn(&Live) -> bool) {
        let start = Instant::now();
        while !so(&self.live) {
            assert!(start.elapsed() < Duration::from_secs(5), "{what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn held(&self) -> bool {
        self.live.lease(clock()) != Lease::Lapsed
    }
}

/// Waits until decisions are made again.
pub(crate) async fn held_again(node: &Node) {
    let back = async {
        while !node.held() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.unwrap();
}

fn status(live: &Live, id: &str) -> Option<Status> {
    live.directory.get(id).map(|c| c.status)
}

async fn changes_of_others_are_obeyed_within_a_second() {
    let place = Place::new();
    let writer = place.store().await;
    put_policy(&writer).await;
    create(&writer, "k", "s", None).await;
    let mut node = Node::start(place.store().await, 100, 60_000);
    assert!(!node.held());
    node.ready().await;
    assert!(node.held());
    assert_eq!((node.live.seq(), node.live.directory.len()), (4, 1));
    assert_eq!(node.live.policy.load().workspaces.len(), 2);

    create(&writer, "l", "s", None).await;
    node.soon("a new credential", |live| status(live, "l").is_some()).await;
    let mut write = writer.write("ann", NOW).await.unwrap();
    write.set_status("k", Status::Blocked).await.unwrap();
    write.commit().await.unwrap();
    node.soon("a blocked one", |live| status(live, "k") == Some(Status::Blocked)).await;
    let mut write = writer.write("ann", NOW).await.unwrap();
    write.delete_credential("l").await.unwrap();
    let hash = keys().hash(b"k", b"t");
    write.replace_secret("k", hash, None, None, false).await.unwrap();
    write.delete_api("vouchers").await.unwrap();
    let seq = write.commit().await.unwrap();
    node.soon("a deleted one", |live| status(live, "l").is_none()).await;
    node.soon("another secret", |live| live.directory.get("k").unwrap().secret == hash).await;
    node.soon("another policy", |live| live.policy.load().apis.is_empty()).await;
    node.soon("the last change", |live| live.seq() == seq).await;
}

async fn a_wake_up_ends_the_pause() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let mut node = Node::start(store.clone(), 3_600_000, 60_000);
    node.ready().await;
    create(&store, "k", "s", None).await;
    node.woken.notify_one();
    node.soon("a new credential", |live| status(live, "k").is_some()).await;
}

async fn a_broken_policy_never_replaces_a_good_one() {
    let place = Place::new();
    let writer = place.store().await;
    put_policy(&writer).await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    let good = node.live.policy.load_full();
    // One that reads, and does not fit together.
    let mut api = policy().apis[0].clone();
    api.workspaces = Some(vec!["nobody".to_owned()]);
    let mut write = writer.write("ann", NOW).await.unwrap();
    write.put_api(&api).await.unwrap();
    let seq = write.commit().await.unwrap();
    node.soon("the broken one seen", |live| live.seq() == seq).await;
    assert!(Arc::ptr_eq(&good, &node.live.policy.load_full()));
    // One that does not read at all.
    sql(&place.db(), "UPDATE object SET body = 'nonsense' WHERE id = 'vouchers'").await;
    let mut write = writer.write("ann", NOW).await.unwrap();
    write.put_workspace(&policy().workspaces[1]).await.unwrap();
    let seq = write.commit().await.unwrap();
    node.soon("the nonsense seen", |live| live.seq() == seq).await;
    assert!(Arc::ptr_eq(&good, &node.live.policy.load_full()) && node.held());
    // And a good one again.
    let mut write = writer.write("ann", NOW).await.unwrap();
    write.put_api(&policy().apis[0]).await.unwrap();
    write.commit().await.unwrap();
    node.soon("the good one", |live| !Arc::ptr_eq(&good, &live.policy.load_full())).await;
}

async fn nothing_is_decided_before_there_is_a_policy() {
    let place = Place::new();
    let writer = place.store().await;
    put_policy(&writer).await;
    sql(&place.db(), "UPDATE object SET body = 'nonsense' WHERE id = 'vouchers'").await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!*node.ready.borrow() && !node.held());
    let mut write = writer.write("ann", NOW).await.unwrap();
    write.put_api(&policy().apis[0]).await.unwrap();
    write.commit().await.unwrap();
    node.ready().await;
    assert!(node.held());
}

/// Of a changed credential that can't be read, nobody relies on what it was; the others are served on.
async fn a_credential_that_cannot_be_read_any_more_is_refused_alone() {
    let place = Place::new();
    let writer = place.store().await;
    put_policy(&writer).await;
    create(&writer, "k", "s", None).await;
    create(&writer, "l", "s", None).await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    let mut write = writer.write("ann", NOW).await.unwrap();
    write.set_status("k", Status::Blocked).await.unwrap();
    sql_in_the_same_breath(&place, write).await;
    node.soon("it is gone", |live| status(live, "k").is_none()).await;
    assert!(status(&node.live, "l").is_some());
    node.soon("the change is in", |live| live.seq() == 6).await;
    assert!(node.held());
}

/// Harms the row through a trigger, so that no look falls between the change and the harm.
async fn sql_in_the_same_breath(place: &Place, write: doorward_store::Write) {
    drop(write);
    let harm = place.db().either(
        "CREATE TRIGGER harm AFTER UPDATE OF status ON credential BEGIN \
         UPDATE credential SET dialect = 'future' WHERE id = new.id; END",
        "CREATE FUNCTION harm() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.dialect = 'future'; RETURN new; END$$; \
         CREATE TRIGGER harm BEFORE UPDATE OF status ON credential FOR EACH ROW EXECUTE FUNCTION harm()",
    );
    sql(&place.db(), harm).await;
    let mut write = place.store().await.write("ann", NOW).await.unwrap();
    write.set_status("k", Status::Blocked).await.unwrap();
    write.commit().await.unwrap();
}

/// A backup is put back, and written to: whether the count of changes is behind, the same or ahead, it is noticed.
async fn another_history_is_loaded_anew() {
    for restored_changes in [0, 1, 2] {
        another_history(restored_changes).await;
    }
}

async fn another_history(restored_changes: i64) {
    let place = Place::new();
    let writer = place.store().await;
    put_policy(&writer).await;
    create(&writer, "old", "s", None).await;
    writer.close().await;
    let backup = place.copy().await;
    let writer = place.store().await;
    create(&writer, "k", "s", None).await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    assert!(node.live.directory.get("k").is_some());

    let restored = backup.store().await;
    for n in 0..restored_changes {
        create(&restored, &format!("m{n}"), "s", None).await;
    }
    restored.close().await;
    put_back(&place, &backup).await;
    node.soon("the restored history", |live| live.directory.get("k").is_none()).await;
    node.soon("all of it", |live| live.seq() == 4 + restored_changes).await;
    assert_eq!(node.live.directory.len() as i64, 1 + restored_changes);
    assert!(node.live.directory.get("old").is_some() && node.held());
    place.store().await.check().await.unwrap();
}

/// A file: in place, as one transaction, so that nodes keep their connections. A server: another database under the name.
async fn put_back(place: &Place, backup: &Place) {
    if place.db().is_server() {
        let (name, other) = (place.database(), backup.database());
        sql(&crate::place::server(None), &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        sql(&crate::place::server(None), &format!("ALTER DATABASE {other} RENAME TO {name}")).await;
        return;
    }
    let restore = format!(
        "ATTACH '{}' AS b; BEGIN IMMEDIATE; DELETE FROM credential; INSERT INTO credential SELECT * FROM b.credential; \
         DELETE FROM change; INSERT INTO change SELECT * FROM b.change; \
         UPDATE head SET seq = (SELECT seq FROM b.head); COMMIT",
        backup.file("doorward.db").display()
    );
    sql(&place.db(), &restore).await;
}

/// No lease without the store; its return is enough.
async fn the_lease_lapses_while_the_store_is_away() {
    let place = Place::new();
    put_policy(&place.store().await).await;
    let mut node = Node::start(place.store().await, 20, 1_500);
    node.ready().await;
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    assert!(node.held(), "it is renewed as long as the store answers");
    sql(&place.db(), "ALTER TABLE head RENAME TO gone").await;
    node.soon("the lease lapses", |live| live.lease(clock()) == Lease::Lapsed).await;
    // It is tried again several times in the meantime, and none of them counts.
    let lapsed = Instant::now();
    while lapsed.elapsed() < Duration::from_millis(1_500) {
        assert!(!node.held());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(node.live.policy.load().apis.len(), 1);
    sql(&place.db(), "ALTER TABLE gone RENAME TO head").await;
    held_again(&node).await;
}

/// A restore that leaves the chain of changes as it was is noticed by its epoch.
async fn another_epoch_is_loaded_anew() {
    let place = Place::new();
    let writer = place.store().await;
    put_policy(&writer).await;
    create(&writer, "k", "s", None).await;
    create(&writer, "l", "s", None).await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    let before = writer.head().await.unwrap();
    // What no change tells of.
    sql(&place.db(), "UPDATE credential SET name = 'put back' WHERE id = 'k'").await;
    create(&writer, "m", "s", None).await;
    node.soon("the change", |live| status(live, "m").is_some()).await;
    assert_eq!(&*node.live.directory.get("k").unwrap().name, "a name");
    let head = writer.begin_epoch("ann", NOW).await.unwrap();
    assert!(head.epoch != before.epoch && head.seq == before.seq + 2);
    assert_eq!(writer.head().await.unwrap(), head);
    node.soon("all of it again", |live| &*live.directory.get("k").unwrap().name == "put back").await;
    let told = writer.changes_after(head.seq - 1, 1).await.unwrap().remove(0);
    assert_eq!((told.kind.as_str(), told.action.as_str(), told.id), ("store", "restored", head.epoch));
    assert_eq!((told.before, told.after), (Some(before.epoch), None));
}

/// The address leads to another installation by now, with keys that may open doors by their ids alone. Nothing of it is
/// obeyed, and nothing is written to it.
async fn another_installation_opens_nothing() {
    let place = Place::new();
    let writer = place.store().await;
    put_policy(&writer).await;
    let mut node = Node::start(place.store().await, 20, 300);
    node.ready().await;
    let harm = "UPDATE meta SET value = 'another' WHERE key IN ('installation', 'epoch')";
    sql(&place.db(), harm).await;
    node.soon("the lease lapses", |live| live.lease(clock()) == Lease::Lapsed).await;
    let refused = writer.write("ann", NOW).await.unwrap_err().to_string();
    assert!(refused.contains("another installation was put in the place"), "{refused}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!node.held());
}
