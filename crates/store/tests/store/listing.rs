//! Lists are read page by page, and narrowed by the store.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::credential::{Credential, Kind, Status};
use doorward_store::{Filter, Store};

on_both_engines!(
    pages_follow_each_other_in_the_order_of_ids,
    each_part_of_a_filter_narrows,
    a_search_finds_beginnings_of_ids_and_parts_of_names,
    several_are_found_by_their_ids,
);

async fn filled(place: &Place) -> Store {
    let store = place.store().await;
    put_policy(&store).await;
    let mut write = store.write("ann", NOW).await.unwrap();
    let named = |id: &str, name: &str| Credential { name: name.into(), ..credential(id, "s") };
    for n in 0..7 {
        write.create_credential(&new(named(&format!("k{n}"), "till"), None)).await.unwrap();
    }
    for c in [
        Credential { workspace: "acme-test".into(), ..named("other", "Till 100%") },
        Credential { plain_key: true, ..named("secretweak", "Weak_one") },
        Credential { kind: Kind::Integration, ..named("K1-upper", "x\u{c4}y") },
        Credential { status: Status::Blocked, ..named("zz", "") },
    ] {
        write.create_credential(&new(c, None)).await.unwrap();
    }
    write.commit().await.unwrap();
    store
}

async fn ids(store: &Store, filter: &Filter, after: Option<&str>, limit: i64) -> Vec<String> {
    let page = store.credentials_page(filter, after, limit).await.unwrap();
    page.iter().map(|s| s.credential.id.to_string()).collect()
}

async fn pages_follow_each_other_in_the_order_of_ids() {
    let place = Place::new();
    let store = filled(&place).await;
    let all = ids(&store, &Filter::default(), None, 100).await;
    assert_eq!(all, ["K1-upper", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "other", "secretweak", "zz"]);
    let (mut seen, mut last) = (Vec::new(), None::<String>);
    loop {
        let page = ids(&store, &Filter::default(), last.as_deref(), 4).await;
        let Some(end) = page.last().cloned() else { break };
        seen.extend(page);
        // Whatever happens to the last one of a page, the next page is the same.
        store_without(&store, &end).await;
        last = Some(end);
    }
    assert_eq!(seen, all);
    assert!(ids(&store, &Filter::default(), Some("zzz"), 4).await.is_empty());
}

async fn store_without(store: &Store, id: &str) {
    let mut write = store.write("ann", NOW).await.unwrap();
    write.delete_credential(id).await.unwrap();
    write.commit().await.unwrap();
}

async fn each_part_of_a_filter_narrows() {
    let place = Place::new();
    let store = filled(&place).await;
    let acme = || Filter { workspace: Some("acme".to_owned()), ..Filter::default() };
    assert_eq!(ids(&store, &acme(), Some("k4"), 2).await, ["k5", "k6"]);
    assert_eq!(ids(&store, &Filter { status: Some(Status::Blocked), ..acme() }, None, 9).await, ["zz"]);
    assert_eq!(ids(&store, &Filter { kind: Some(Kind::Integration), ..acme() }, None, 9).await, ["K1-upper"]);
    assert!(ids(&store, &Filter { kind: Some(Kind::Client), ..acme() }, None, 9).await.is_empty());
    let nowhere = Filter { workspace: Some("nowhere".to_owned()), ..Filter::default() };
    assert!(ids(&store, &nowhere, None, 9).await.is_empty());
}

async fn a_search_finds_beginnings_of_ids_and_parts_of_names() {
    let place = Place::new();
    let store = filled(&place).await;
    let found = async |text: &str| {
        let filter = Filter { search: Some(text.to_owned()), ..Filter::default() };
        ids(&store, &filter, None, 100).await
    };
    assert_eq!(found("k1").await, ["k1"]);
    assert_eq!(found("K1").await, ["K1-upper"]);
    assert_eq!(found("tILL 1").await, ["other"]);
    assert_eq!(found("TILL").await.len(), 8);
    // What means something in patterns means itself.
    assert_eq!(found("0%").await, ["other"]);
    assert_eq!(found("K_").await, ["secretweak"]);
    assert_eq!(found("\u{c4}").await, ["K1-upper"]);
    for nothing in ["1-upper", "%", "k%", "!", "' OR 1=1 --"] {
        assert_eq!(found(nothing).await.len(), usize::from(nothing == "%"), "{nothing}");
    }
    // An id that is as good as a secret can't be guessed piece by piece.
    assert!(found("secretwea").await.is_empty());
    assert_eq!(found("secretweak").await, ["secretweak"]);
    assert_eq!(found("weak").await, ["secretweak"]);
}

async fn several_are_found_by_their_ids() {
    let place = Place::new();
    let store = filled(&place).await;
    let mut there: Vec<String> = store
        .credentials_named(&["zz", "nobody", "k3", "K3"])
        .await
        .unwrap()
        .iter()
        .map(|s| s.credential.id.to_string())
        .collect();
    there.sort();
    assert_eq!(there, ["k3", "zz"]);
    assert!(store.credentials_named(&[]).await.unwrap().is_empty());
}
