use super::super::policy as verbs;
use super::*;

fn read(text: &str) -> draft::Draft {
    draft::read(text).unwrap()
}

fn ids(objects: &[verbs::Object]) -> Vec<String> {
    objects.iter().map(|o| format!("{} {}", o.kind, o.id)).collect()
}

async fn refused(office: &Office, text: &str) -> Vec<String> {
    let before = (office.seq().await, verbs::export(office.desk()).await.unwrap());
    let Err(Error::Policy(all)) = verbs::apply(office.desk(), &read(text), false).await else {
        panic!("it must be refused")
    };
    assert_eq!((office.seq().await, verbs::export(office.desk()).await.unwrap()), before);
    all.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_plan_tells_what_changes_and_a_dry_run_changes_nothing() {
    let office = Office::open().await;
    let draft = read(POLICY);
    let plan = verbs::apply(office.desk(), &draft, true).await.unwrap();
    assert_eq!(ids(&plan.added), ["workspace live", "workspace try", "api shop"]);
    assert_eq!(office.seq().await, 0);
    assert!(verbs::export(office.desk()).await.unwrap().apis.is_empty());

    assert_eq!(verbs::apply(office.desk(), &draft, false).await.unwrap(), plan);
    assert_eq!(office.seq().await, 3);
    let again = verbs::apply(office.desk(), &draft, false).await.unwrap();
    assert!(again.is_empty());
    assert_eq!((again.unchanged.len(), office.seq().await), (3, 3));

    let next = POLICY.replace("/v1/*", "/v2/*").replace("\"try\"", "\"play\"");
    let plan = verbs::apply(office.desk(), &read(&next), false).await.unwrap();
    assert_eq!(ids(&plan.added), ["workspace play"]);
    assert_eq!(ids(&plan.changed), ["api shop"]);
    assert_eq!(ids(&plan.removed), ["workspace try"]);
    assert_eq!(ids(&plan.unchanged), ["workspace live"]);
    office.store.check().await.unwrap();
}

#[tokio::test]
async fn what_is_exported_applies_without_a_change() {
    let office = Office::with_policy().await;
    let text = verbs::export(office.desk()).await.unwrap().write();
    let plan = verbs::apply(office.desk(), &read(&text), false).await.unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    assert_eq!(plan.unchanged.len(), 3);
}

#[tokio::test]
async fn everything_wrong_is_told_and_nothing_is_written() {
    let office = Office::with_policy().await;
    let change = POLICY
        .replacen("\"production\"", "\"sandbox\"", 1)
        .replace("dialect = \"voucherify\"", "dialect = \"voucherify\"\nworkspaces = [\"nobody\"]");
    assert_eq!(
        refused(&office, &change).await,
        [
            "line 2, workspace `live`: its environment is production for good, and can't become sandbox; make another workspace",
            "line 8, api `shop`: there is no workspace `nobody`",
        ]
    );
}

#[tokio::test]
async fn a_workspace_with_credentials_stays() {
    let office = Office::with_policy().await;
    let held = office.create(&wanted("try", Kind::Server)).await.unwrap();
    let without = POLICY.replace("[[workspace]]\nid = \"try\"\nenvironment = \"sandbox\"\n", "");
    let told = refused(&office, &without).await;
    assert_eq!(told, ["workspace `try`: it has 1 credential, so it can't be removed; delete those first"]);
    super::super::credentials::delete(office.desk(), &held.id).await.unwrap();
    let plan = verbs::apply(office.desk(), &read(&without), false).await.unwrap();
    assert_eq!(ids(&plan.removed), ["workspace try"]);
}
