use super::super::{policy as verbs, readiness};
use super::*;
use doorward_core::observed::{Observed, Refused};
use doorward_core::policy::Rule;
use doorward_store::Fact;

const SIGNED: &str = r#"
[[workspace]]
id = "live"
environment = "production"
[[workspace]]
id = "try"
environment = "sandbox"
[[api]]
id = "club"
dialect = "antavo"
schemes = ["escher", "api_key"]
plain_key = ["production", "sandbox"]
upstream = { production = "http://127.0.0.1:9000", sandbox = "http://127.0.0.1:9001" }
[[api.route]]
path = "/club/*"
[[api]]
id = "keys"
dialect = "voucherify"
upstream = { production = "http://127.0.0.1:9000" }
[[api.route]]
path = "/keys/*"
"#;

fn with(rows: &[(&str, &str)]) -> draft::Draft {
    let row = |(workspace, mode): &(&str, &str)| {
        format!("[[policy]]\nworkspace = \"{workspace}\"\napi = \"club\"\nsignatures = \"{mode}\"\n")
    };
    draft::read(&format!("{SIGNED}{}", rows.iter().map(row).collect::<String>())).unwrap()
}

async fn apply(office: &Office, at_ms: i64, rows: &[(&str, &str)]) -> Vec<String> {
    let dry = verbs::apply(office.later(at_ms), &with(rows), true).await.unwrap();
    let plan = verbs::apply(office.later(at_ms), &with(rows), false).await.unwrap();
    assert_eq!(dry, plan);
    plan.modes
        .iter()
        .map(|c| format!("{}/{} {} -> {} {}", c.workspace, c.api, c.from, c.to, c.loosened))
        .collect()
}

async fn caller(office: &Office, id: &str, plain_key: bool) -> String {
    let wanted = Wanted {
        dialect: dialect("antavo"),
        plain_key,
        name: format!("the {id}"),
        import: Some(Import { id: id.to_owned(), secret: Some("a-secret-of-many-letters".to_owned()) }),
        ..wanted("live", Kind::Server)
    };
    office.create(&wanted).await.unwrap().id
}

async fn call(office: &Office, id: &str, calls: u64, at_ms: i64, signed_ms: Option<i64>) {
    let at = NOW.plus_ms(at_ms);
    let time = (calls > 0).then_some(at);
    let refused = Refused { calls, first_at: time, last_at: time, ..Refused::nothing(Rule::Signatures) };
    let signed_at = signed_ms.map(|ms| NOW.plus_ms(ms));
    let observed = Observed { refused: vec![refused], signed_at, ..Observed::nothing("club") };
    let fact =
        Fact { credential: Some(id.to_owned()), last_used: at, exposed_at: None, observed: vec![observed] };
    office.store.record(&[fact]).await.unwrap();
}

#[tokio::test]
async fn a_plan_tells_where_signatures_are_loosened() {
    let office = Office::open().await;
    // What is new is held against what it would be if nothing were said.
    assert_eq!(
        apply(&office, 0, &[("live", "off"), ("try", "observe")]).await,
        ["live/club enforce -> off true", "try/club off -> observe false"]
    );
    assert_eq!(apply(&office, 0, &[("live", "off"), ("try", "observe")]).await, [""; 0]);
    // What is left out becomes what it is by default.
    assert_eq!(
        apply(&office, 0, &[]).await,
        ["live/club off -> enforce false", "try/club observe -> off true"]
    );
    assert_eq!(apply(&office, 0, &[("live", "observe")]).await, ["live/club enforce -> observe true"]);
    assert_eq!(apply(&office, 0, &[]).await, ["live/club observe -> enforce false"]);
    // An API that takes no signatures any more takes keys from everybody.
    let keys = SIGNED.replace("[\"escher\", \"api_key\"]", "[\"api_key\"]");
    let plan = verbs::apply(office.desk(), &draft::read(&keys).unwrap(), true).await.unwrap();
    let told: Vec<_> = plan.modes.iter().map(|c| (c.from, c.to, c.loosened)).collect();
    assert_eq!(told, [("enforce", "off", true)]);
    // Each is in the table of changes, with who did it.
    let changes = office.store.changes_after(0, 100).await.unwrap();
    let policies: Vec<_> = changes.iter().filter(|c| c.kind == "policy").collect();
    let told: Vec<_> = policies.iter().map(|c| (c.workspace.as_deref(), &*c.id, &*c.action)).collect();
    let of = |workspace, action| (Some(workspace), "club", action);
    assert_eq!(
        told,
        [
            of("live", "created"),
            of("try", "created"),
            of("live", "deleted"),
            of("try", "deleted"),
            of("live", "created"),
            of("live", "deleted")
        ]
    );
    assert!(policies.iter().all(|c| c.actor == "test"));
    office.store.check().await.unwrap();
}

#[tokio::test]
async fn readiness_tells_who_would_be_refused() {
    let office = Office::open().await;
    apply(&office, 0, &[("live", "observe"), ("try", "enforce")]).await;
    for (id, plain_key) in
        [("busy", true), ("moved", false), ("signs", false), ("stopped", true), ("over", true)]
    {
        caller(&office, id, plain_key).await;
    }
    let none = readiness::report(office.desk(), None, None, None).await.unwrap();
    let told: Vec<_> = none.iter().map(|r| (&*r.workspace, &*r.api, r.mode, r.ready)).collect();
    assert_eq!(told, [("live", "club", "observe", Some(true)), ("try", "club", "enforce", None)]);

    call(&office, "busy", 3, 10, None).await;
    call(&office, "busy", 4, 20, None).await;
    call(&office, "moved", 1, 10, Some(30)).await;
    call(&office, "signs", 0, 10, Some(20)).await;
    call(&office, "stopped", 9, 20, None).await;
    super::super::credentials::block(office.desk(), "stopped").await.unwrap();
    let report = readiness::report(office.later(100), Some("live"), Some("club"), None).await.unwrap();
    let [live] = &report[..] else { panic!("{report:?}") };
    assert_eq!((live.ready, live.would_be_refused, live.signing_only), (Some(false), 2, Some(1)));
    assert_eq!(live.since, Some(NOW));
    let busy = live.credentials.iter().find(|c| c.name == "the busy").unwrap();
    assert!(busy.credential.starts_with("weak-") && !format!("{live:?}").contains("\"busy\""), "{live:?}");
    let at = |ms| Some(NOW.plus_ms(ms));
    assert_eq!((busy.calls, busy.first_at, busy.last_at, busy.signed_at), (7, at(10), at(20), None));
    assert!(busy.can_sign && !busy.refused_anyway);
    let moved = live.credentials.iter().find(|c| c.credential == "moved").unwrap();
    assert_eq!((moved.calls, moved.signed_at), (1, at(30)));
    let stopped = live.credentials.iter().find(|c| c.name == "the stopped").unwrap();
    assert_eq!((stopped.status, stopped.refused_anyway), ("blocked", true));
    let json = serde_json::to_value(live).unwrap();
    assert_eq!((&json["since"], &json["ready"]), (&"2026-01-01T00:00:00.000Z".into(), &false.into()));

    // Observed anew, what was seen long before says nothing.
    apply(&office, 1_000, &[("live", "off")]).await;
    apply(&office, 10_000_000, &[("live", "observe")]).await;
    let report = readiness::report(office.desk(), Some("live"), None, None).await.unwrap();
    assert_eq!(
        (report[0].ready, report[0].credentials.len(), report[0].signing_only),
        (Some(true), 0, Some(0))
    );
    call(&office, "busy", 1, 10_000_001, None).await;
    let report = readiness::report(office.desk(), Some("live"), None, None).await.unwrap();
    assert_eq!((report[0].would_be_refused, report[0].credentials[0].calls), (1, 8));

    for (workspace, api, said) in [
        (Some("nobody"), None, "there is no workspace `nobody`"),
        (None, Some("none"), "there is no API `none`"),
    ] {
        let refused = readiness::report(office.desk(), workspace, api, None).await.unwrap_err().to_string();
        assert_eq!(refused, said);
    }
    assert!(readiness::report(office.desk(), None, Some("keys"), None).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_is_expired_would_not_be_refused_for_that() {
    let office = Office::open().await;
    apply(&office, 0, &[("live", "observe")]).await;
    let expired = Wanted {
        expires_at: Some(NOW.plus_ms(50)),
        dialect: dialect("antavo"),
        ..wanted("live", Kind::Server)
    };
    let id = office.create(&expired).await.unwrap().id;
    call(&office, &id, 2, 10, None).await;
    let report =
        async |ms| readiness::report(office.later(ms), Some("live"), None, None).await.unwrap().remove(0);
    assert_eq!((report(49).await.would_be_refused, report(50).await.would_be_refused), (1, 0));
    assert_eq!(report(50).await.credentials.len(), 1);
}
