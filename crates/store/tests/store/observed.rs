//! Calls without a signature, where signatures are observed: they add up, and go with their credential.
use crate::place::on_both_engines;
use crate::support::*;
use doorward_core::credential::OwnRules;
use doorward_core::network::{Network, Networks};
use doorward_core::observed::{MAX_SAMPLES, Observed, Refused, Sample};
use doorward_core::policy::draft::PolicyDraft;
use doorward_core::policy::{Limit, Rule};
use doorward_core::time::UnixMillis;
use doorward_store::{Fact, Store};

on_both_engines!(
    calls_add_up_and_times_keep_their_ends,
    calls_go_with_their_credential,
    pages_are_of_one_workspace_and_api,
    observation_begins_with_the_change_that_says_so,
    policies_of_several_workspaces_at_one_api_are_told_apart,
    a_deletion_and_facts_do_not_wait_for_each_other,
    a_store_from_before_learns_to_count,
    every_rule_has_its_counts_and_its_newest_calls,
    own_rules_are_kept_as_they_were_given,
    callers_without_a_credential_have_their_counts,
);

fn fact(id: &str, at: i64, observed: Vec<Observed>) -> Fact {
    Fact { credential: Some(id.to_owned()), last_used: UnixMillis(at), exposed_at: None, observed }
}

/// So many calls without a signature at one instant.
pub(crate) fn unsigned(api: &str, calls: u64, at: Option<UnixMillis>) -> Observed {
    let refused = Refused { calls, first_at: at, last_at: at, ..Refused::nothing(Rule::Signatures) };
    Observed { refused: vec![refused], ..Observed::nothing(api) }
}

/// So many calls without a signature, all at once.
pub(crate) async fn call(store: &Store, id: &str, api: &str, calls: u64, at: i64) {
    let time = Some(UnixMillis(at));
    let seen = unsigned(api, calls, time);
    store.record(&[fact(id, at, vec![seen])]).await.unwrap();
}

async fn sign(store: &Store, id: &str, api: &str, at: i64) {
    let seen = Observed { signed_at: Some(UnixMillis(at)), ..Observed::nothing(api) };
    store.record(&[fact(id, at, vec![seen])]).await.unwrap();
}

/// The credentials that have called an API, and how often.
pub(crate) async fn calls(store: &Store, api: &str) -> Vec<(String, u64)> {
    let page = store.observed_page("acme", api, Rule::Signatures, None, 100).await.unwrap();
    page.into_iter().map(|o| (o.stored.credential.id.to_string(), o.refused.calls)).collect()
}

async fn calls_add_up_and_times_keep_their_ends() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "k", "s", None).await;
    let head = store.head().await.unwrap();
    let seen = async || {
        let page = store.observed_page("acme", "vouchers", Rule::Signatures, None, 9).await.unwrap();
        let (o, signed_at) = (&page[0].refused, page[0].signed_at);
        [Some(o.calls as i64), o.first_at.map(|t| t.0), o.last_at.map(|t| t.0), signed_at.map(|t| t.0)]
    };
    // Nodes tell late, and in any order.
    sign(&store, "k", "vouchers", 15).await;
    assert_eq!(seen().await, [Some(0), None, None, Some(15)]);
    call(&store, "k", "vouchers", 2, 20).await;
    assert_eq!(seen().await, [Some(2), Some(20), Some(20), Some(15)]);
    call(&store, "k", "vouchers", 3, 10).await;
    assert_eq!(seen().await, [Some(5), Some(10), Some(20), Some(15)]);
    call(&store, "k", "vouchers", 1, 30).await;
    sign(&store, "k", "vouchers", 12).await;
    sign(&store, "k", "vouchers", 40).await;
    assert_eq!(seen().await, [Some(6), Some(10), Some(30), Some(40)]);
    assert_eq!(store.head().await.unwrap(), head, "facts are no changes");
    assert_eq!(store.credential("k").await.unwrap().unwrap().last_used, Some(UnixMillis(40)));
    store.check().await.unwrap();
}

async fn calls_go_with_their_credential() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "k", "s", None).await;
    create(&store, "l", "s", None).await;
    for id in ["k", "l", "gone"] {
        call(&store, id, "vouchers", 7, 5).await;
        call(&store, id, "no such API", 7, 5).await;
    }
    assert_eq!(calls(&store, "vouchers").await, [("k".to_owned(), 7), ("l".to_owned(), 7)]);
    let mut write = store.write("ann", NOW).await.unwrap();
    write.delete_credential("k").await.unwrap();
    write.commit().await.unwrap();
    call(&store, "k", "vouchers", 7, 5).await;
    assert_eq!(ask(&place.db(), "SELECT credential FROM unsigned_use").await, ["l", "l"]);
    // Who comes after under the same id begins anew.
    create(&store, "k", "s", None).await;
    assert_eq!(calls(&store, "vouchers").await, [("l".to_owned(), 7)]);
    store.check().await.unwrap();
}

async fn pages_are_of_one_workspace_and_api() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    for n in 0..5 {
        create(&store, &format!("k{n}"), "s", None).await;
    }
    create_signer(&store, "signer", "a secret that signs").await;
    let mut write = store.write("ann", NOW).await.unwrap();
    let elsewhere = doorward_core::credential::Credential {
        workspace: "acme-test".into(),
        ..credential("elsewhere", "s")
    };
    write.create_credential(&new(elsewhere, None)).await.unwrap();
    write.commit().await.unwrap();
    for id in ["k0", "k2", "k3", "elsewhere", "signer"] {
        call(&store, id, "vouchers", 1, 5).await;
    }
    call(&store, "k1", "other", 1, 5).await;
    let page = async |after: Option<&str>| {
        let page = store.observed_page("acme", "vouchers", Rule::Signatures, after, 2).await.unwrap();
        page.iter().map(|o| (o.stored.credential.id.to_string(), o.can_sign)).collect::<Vec<_>>()
    };
    let of = |id: &str, can_sign| (id.to_owned(), can_sign);
    assert_eq!(page(None).await, [of("k0", false), of("k2", false)]);
    assert_eq!(page(Some("k2")).await, [of("k3", false), of("signer", true)]);
    assert_eq!(page(Some("signer")).await, []);
}

fn says(workspace: &str, signatures: &str) -> PolicyDraft {
    PolicyDraft {
        workspace: workspace.to_owned(),
        api: "vouchers".to_owned(),
        signatures: Some(signatures.to_owned()),
        ..PolicyDraft::default()
    }
}

async fn say(store: &Store, workspace: &str, signatures: Option<&str>, at: i64) {
    let mut write = store.write("ann", UnixMillis(at)).await.unwrap();
    match signatures {
        Some(mode) => write.put_policy(&says(workspace, mode)).await.unwrap(),
        None => write.delete_policy(workspace, "vouchers").await.unwrap(),
    }
    write.commit().await.unwrap();
}

async fn observation_begins_with_the_change_that_says_so() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    let since =
        async || store.observed_since("acme", "vouchers", Rule::Signatures).await.unwrap().map(|t| t.0);
    assert_eq!(since().await, None);
    for (signatures, at, expected) in [
        (Some("off"), 10, None),
        (Some("observe"), 20, Some(20)),
        (Some("observe"), 30, Some(20)),
        (Some("enforce"), 40, None),
        (Some("observe"), 50, Some(50)),
        (None, 60, None),
        (Some("observe"), 70, Some(70)),
    ] {
        say(&store, "acme", signatures, at).await;
        // What is said about others makes no difference.
        say(&store, "acme-test", Some("off"), at + 1).await;
        assert_eq!(since().await, expected, "{at}");
    }
}

/// The objects of two policies have the same id, the API's.
async fn policies_of_several_workspaces_at_one_api_are_told_apart() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    say(&store, "acme", Some("enforce"), 10).await;
    say(&store, "acme-test", Some("observe"), 20).await;
    assert_eq!(store.check().await.unwrap().objects, 5);
    say(&store, "acme-test", None, 30).await;
    assert_eq!(store.check().await.unwrap().objects, 4);
    sql(&place.db(), "DELETE FROM object WHERE kind = 'policy'").await;
    let found = store.check().await.unwrap_err().to_string();
    assert!(found.contains("about a policy is not there"), "{found}");
}

/// Facts about a credential take several rows, and so does its deletion.
async fn a_deletion_and_facts_do_not_wait_for_each_other() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    for round in 0..20 {
        create(&store, "k", "s", None).await;
        call(&store, "k", "api0", 1, 5).await;
        let seen = |n: usize| unsigned(&format!("api{n}"), 1, None);
        let facts = [fact("k", 9, (0..40).map(seen).collect())];
        let recorder = store.clone();
        let recording = tokio::spawn(async move { recorder.record(&facts).await });
        let mut write = store.write("ann", NOW).await.unwrap();
        write.delete_credential("k").await.unwrap_or_else(|e| panic!("round {round}: {e}"));
        write.commit().await.unwrap();
        // A credential that went in the middle of it is one that is not there when it is told again.
        let told = recording.await.unwrap();
        if told.is_err() {
            store.record(&[fact("k", 9, vec![seen(1)])]).await.unwrap();
        }
        let left = ask(&place.db(), "SELECT credential FROM unsigned_use").await;
        assert!(left.is_empty(), "{left:?}");
    }
}

async fn a_store_from_before_learns_to_count() {
    let place = of_the_first_schema().await;
    let store = place.store().await;
    call(&store, "k", "vouchers", 2, 5).await;
    assert_eq!(calls(&store, "vouchers").await, [("k".to_owned(), 2)]);
    store.check().await.unwrap();
}

/// Each rule counts for itself; of its calls the newest are kept, whoever tells of them, and however late.
async fn every_rule_has_its_counts_and_its_newest_calls() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "k", "s", None).await;
    create(&store, "l", "s", None).await;
    let call = |at: i64, path: &str| Sample {
        at: UnixMillis(at),
        method: "GET".into(),
        path: path.into(),
        client: (at % 2 == 0).then(|| "192.0.2.7".into()),
    };
    let refused = |rule, calls: u64, times: &[i64]| Refused {
        rule,
        calls,
        first_at: times.iter().min().map(|t| UnixMillis(*t)),
        last_at: times.iter().max().map(|t| UnixMillis(*t)),
        samples: times.iter().map(|t| call(*t, &format!("/v1/{t}"))).collect(),
    };
    let seen = |all: Vec<Refused>| vec![Observed { refused: all, ..Observed::nothing("vouchers") }];
    store
        .record(&[fact(
            "k",
            9,
            seen(vec![refused(Rule::Scope, 3, &[10, 11, 12]), refused(Rule::Licence, 1, &[12])]),
        )])
        .await
        .unwrap();
    store.record(&[fact("k", 9, seen(vec![refused(Rule::Scope, 9, &[5, 20, 21, 22])]))]).await.unwrap();
    store.record(&[fact("l", 9, seen(vec![refused(Rule::Scope, 1, &[30])]))]).await.unwrap();
    // The same told twice adds no sample, and late ones push no newer out.
    store.record(&[fact("k", 9, seen(vec![refused(Rule::Scope, 1, &[1])]))]).await.unwrap();
    let page = store.observed_page("acme", "vouchers", Rule::Scope, None, 9).await.unwrap();
    let told: Vec<_> = page
        .iter()
        .map(|o| (&*o.stored.credential.id, o.refused.calls, o.refused.first_at, o.refused.last_at))
        .collect();
    let at = |t| Some(UnixMillis(t));
    assert_eq!(told, [("k", 13, at(1), at(22)), ("l", 1, at(30), at(30))]);
    let samples = &page[0].refused.samples;
    assert_eq!(samples.len(), MAX_SAMPLES);
    assert_eq!(samples.iter().map(|s| s.at.0).collect::<Vec<_>>(), [22, 21, 20, 12, 11]);
    assert_eq!(samples[0], call(22, "/v1/22"));
    let licence = store.observed_page("acme", "vouchers", Rule::Licence, None, 9).await.unwrap();
    assert_eq!((licence.len(), licence[0].refused.calls, licence[0].refused.samples.len()), (1, 1, 1));
    assert!(store.observed_page("acme", "vouchers", Rule::Network, None, 9).await.unwrap().is_empty());
    assert!(store.observed_page("acme", "vouchers", Rule::Signatures, None, 9).await.unwrap().is_empty());
    let mut write = store.write("ann", NOW).await.unwrap();
    write.delete_credential("k").await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(ask(&place.db(), "SELECT credential FROM rule_sample").await, ["l"]);
    assert_eq!(ask(&place.db(), "SELECT credential FROM rule_use").await, ["l"]);
    store.check().await.unwrap();
}

async fn own_rules_are_kept_as_they_were_given() {
    let place = Place::new();
    let store = place.store().await;
    put_policy(&store).await;
    create(&store, "k", "s", None).await;
    let networks = |all: &[&str]| Some(Networks::new(all.iter().map(|n| Network::parse(n).unwrap())));
    for own in [
        OwnRules { role: Some("viewer".into()), ..OwnRules::default() },
        OwnRules { networks: networks(&["192.168.0.0/24", "2001:db8::/32"]), ..OwnRules::default() },
        OwnRules { networks: networks(&[]), limit: Limit::parse("600/60/100").ok(), role: Some("r".into()) },
        OwnRules::default(),
    ] {
        let mut write = store.write("ann", NOW).await.unwrap();
        write.set_own_rules("k", own.clone(), "changed").await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(store.credential("k").await.unwrap().unwrap().credential.own_rules(), own);
        store.check().await.unwrap();
    }
    sql(&place.db(), "UPDATE credential SET networks = '[\"nowhere\"]'").await;
    let damaged = store.credential("k").await.unwrap_err().to_string();
    assert!(damaged.contains("`nowhere` is not a network"), "{damaged}");
}

async fn callers_without_a_credential_have_their_counts() {
    let place = Place::new();
    let store = place.store().await;
    assert_eq!(store.observed_anonymous("vouchers", Rule::Limits).await.unwrap(), None);
    let sample = |at| Sample {
        at: UnixMillis(at),
        method: "GET".into(),
        path: "/open".into(),
        client: Some("192.0.2.1".into()),
    };
    let call = async |api: &str, at: i64| {
        let time = Some(UnixMillis(at));
        let refused = Refused {
            calls: 2,
            first_at: time,
            last_at: time,
            samples: vec![sample(at)],
            ..Refused::nothing(Rule::Limits)
        };
        let seen = Observed { refused: vec![refused], ..Observed::nothing(api) };
        let fact =
            Fact { credential: None, last_used: UnixMillis(at), exposed_at: None, observed: vec![seen] };
        store.record(&[fact]).await.unwrap();
    };
    for at in [50, 10, 90, 20, 30, 40, 60, 70] {
        call("vouchers", at).await;
    }
    call("other", 5).await;
    let seen = store.observed_anonymous("vouchers", Rule::Limits).await.unwrap().unwrap();
    assert_eq!((seen.calls, seen.first_at, seen.last_at), (16, Some(UnixMillis(10)), Some(UnixMillis(90))));
    assert_eq!(seen.samples.len(), MAX_SAMPLES);
    assert_eq!((&seen.samples[0], &seen.samples[4]), (&sample(90), &sample(40)));
    assert_eq!(store.observed_anonymous("vouchers", Rule::Network).await.unwrap(), None);
    assert_eq!(store.observed_anonymous("other", Rule::Limits).await.unwrap().unwrap().calls, 2);
    store.check().await.unwrap();
}
