//! What the captchas of workspaces are checked with.
use crate::following::Node;
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::captcha::{Provider, Settings};
use doorward_core::schemes::escher::SigningSecret;
use doorward_store::{Store, StoreError};
use std::time::{Duration, Instant};

on_both_engines!(
    a_captcha_is_followed_without_its_secret_in_the_clear,
    a_captcha_that_was_put_there_by_others_is_not_believed,
    its_secret_is_sealed_anew_by_a_rotation,
);

const WORKSPACE: &str = "acme";
const SECRET: &[u8] = b"of\nany bytes";

fn settings(host: &str) -> Settings {
    let hostnames = [host.into()].into();
    Settings { provider: Provider::Hcaptcha, hostnames, secret: SigningSecret::new(SECRET) }
}

async fn put(store: &Store, host: &str) {
    let mut write = store.write("ann", NOW).await.unwrap();
    write.put_captcha(&settings(host), WORKSPACE).await.unwrap();
    write.commit().await.unwrap();
}

async fn filled() -> (Place, Store) {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    put(&store, "shop.example").await;
    (place, store)
}

/// The host that a node knows.
fn host(node: &Node) -> Option<String> {
    let all = node.live.captchas.load();
    let known = all.get(WORKSPACE)?;
    assert_eq!((known.provider, known.secret.as_bytes()), (Provider::Hcaptcha, SECRET));
    Some(known.hostnames[0].to_string())
}

async fn knows(node: &Node, expected: Option<&str>) {
    let started = Instant::now();
    while host(node).as_deref() != expected {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}, not {expected:?}", host(node));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_captcha_is_followed_without_its_secret_in_the_clear() {
    let (place, store) = filled().await;
    let mut node = Node::start(place.store().await, 20, 60_000);
    node.ready().await;
    assert_eq!(host(&node).as_deref(), Some("shop.example"));
    put(&store, "other.example").await;
    knows(&node, Some("other.example")).await;
    let told =
        ask(&place.db(), "SELECT CAST(after AS TEXT) FROM change WHERE kind = 'captcha' ORDER BY seq").await;
    assert_eq!(told.len(), 2);
    assert!(told[1].contains("other.example") && !told[1].contains("any bytes"), "{told:?}");
    let mut write = store.write("ann", NOW).await.unwrap();
    let nobody = write.put_captcha(&settings("x.example"), "nobody").await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })));
    drop(write);
    let mut write = store.write("ann", NOW).await.unwrap();
    assert!(
        write.remove_captcha(WORKSPACE).await.unwrap() && !write.remove_captcha(WORKSPACE).await.unwrap()
    );
    write.commit().await.unwrap();
    knows(&node, None).await;
    store.check().await.unwrap();
}

async fn a_captcha_that_was_put_there_by_others_is_not_believed() {
    let (place, store) = filled().await;
    store.check().await.unwrap();
    store.close().await;
    for harm in [
        "UPDATE captcha SET hostnames = '[\"evil.example\"]'",
        "UPDATE captcha SET hostnames = 'evil.example'",
        "UPDATE captcha SET provider = 'recaptcha'",
        "UPDATE captcha SET provider = 'mine'",
        "UPDATE captcha SET workspace = 'other'",
        "UPDATE captcha SET key_version = 9",
    ] {
        let copy = place.copy().await;
        sql(&copy.db(), harm).await;
        let store = copy.store().await;
        let found = store.check().await;
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{harm}: {found:?}");
        let mut node = Node::start(store, 20, 60_000);
        node.ready().await;
        assert!(node.live.captchas.load().is_empty(), "{harm}");
    }
    for harm in ["UPDATE captcha SET created_at = 1", "DELETE FROM captcha"] {
        let copy = place.copy().await;
        sql(&copy.db(), harm).await;
        let found = copy.store().await.check().await;
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{harm}: {found:?}");
    }
}

async fn its_secret_is_sealed_anew_by_a_rotation() {
    let (place, store) = filled().await;
    let sealed = ask(&place.db(), "SELECT CAST(key_version AS TEXT) FROM captcha").await;
    store.rotate(&doorward_core::keyring::MasterKey::new([8; 32]), "ann", NOW).await.unwrap();
    assert_ne!(ask(&place.db(), "SELECT CAST(key_version AS TEXT) FROM captcha").await, sealed);
    store.check().await.unwrap();
    let mut node = Node::start(store, 20, 60_000);
    node.ready().await;
    assert_eq!(host(&node).as_deref(), Some("shop.example"));
}
