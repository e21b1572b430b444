//! What a plan says of what is let through from now on, modes aside.
use super::super::{own, policy as verbs};
use super::*;

const BEFORE: &str = r#"
[[workspace]]
id = "live"
environment = "production"
[[workspace.role]]
name = "auditor"
scopes = ["vouchers:*"]
[[workspace.role]]
name = "clerk"
scopes = ["vouchers:read"]
[[workspace]]
id = "other"
environment = "production"
[[api]]
id = "shop"
dialect = "voucherify"
schemes = ["api_key", "publishable"]
workspaces = ["live"]
upstream = { production = "http://127.0.0.1:9000" }
[[api.route]]
path = "/v1/*"
scope = "api:call"
[[api.route]]
path = "/v1/vouchers/{id}"
methods = ["GET", "POST"]
scope = "vouchers:read"
captcha = true
licences = ["premium", "gold"]
[[api]]
id = "far"
dialect = "standard"
hosts = ["far.example"]
upstream = { production = "http://127.0.0.1:9000" }
[[api.route]]
path = "/v1/vouchers/{id}"
scope = "far:read"
[[policy]]
workspace = "live"
api = "shop"
network = { allow = ["10.0.0.0/8"] }
limits = { workspace = { requests = 600, per_s = 60 }, credential = { requests = 100, per_s = 60 }, client = { requests = 9, per_s = 9 } }
"#;

/// What a plan says where parts of the policy are replaced.
async fn told(replaced: &[(&str, &str)]) -> Vec<String> {
    let office = Office::open().await;
    verbs::apply(office.desk(), &draft::read(BEFORE).unwrap(), false).await.unwrap();
    let mut next = BEFORE.to_owned();
    for (from, to) in replaced {
        assert!(next.contains(from), "{from}");
        next = next.replacen(from, to, 1);
    }
    let plan = verbs::apply(office.desk(), &draft::read(&next).unwrap(), true).await.unwrap();
    plan.loosened.iter().map(|l| format!("{} {}: {}", l.kind, l.id, l.what)).collect()
}

#[tokio::test]
async fn what_lets_more_through_is_told() {
    assert!(told(&[]).await.is_empty());
    // Tighter, or the same in other words.
    for same in [
        ("\"10.0.0.0/8\"", "\"10.0.0.0/9\", \"10.128.0.0/9\""),
        ("\"10.0.0.0/8\"", "\"10.1.0.0/16\""),
        ("requests = 100, per_s = 60", "requests = 50, per_s = 60"),
        ("requests = 100, per_s = 60", "requests = 100, per_s = 120"),
        ("licences = [\"premium\", \"gold\"]", "licences = [\"gold\", \"premium\", \"silver\"]"),
        ("path = \"/v1/vouchers/{id}\"\nmethods", "path = \"/v1/vouchers/{name}\"\nmethods"),
        ("schemes = [\"api_key\", \"publishable\"]", "schemes = [\"api_key\"]"),
        ("scopes = [\"vouchers:*\"]", "scopes = [\"vouchers:read\"]"),
    ] {
        assert!(told(&[same]).await.is_empty(), "{same:?}: {:?}", told(&[same]).await);
    }
    for (from, to, expected) in [
        (
            "\"10.0.0.0/8\"",
            "\"10.0.0.0/7\", \"192.0.2.1\", \"2001:db8::/32\", \"2001:db9::/64\"",
            "policy live/shop: network lets 10.0.0.0/7, 192.0.2.1, 2001:db8::/32 and 1 more in as well",
        ),
        ("requests = 600", "requests = 601", "policy live/shop: limits.workspace 600/60/600 -> 601/60/601"),
        (
            "requests = 100, per_s = 60",
            "requests = 100, per_s = 60, burst = 101",
            "policy live/shop: limits.credential 100/60/100 -> 100/60/101",
        ),
        (", client = { requests = 9, per_s = 9 }", "", "policy live/shop: limits.client 9/9/9 is gone"),
        ("scope = \"api:call\"\n", "", "route shop /v1/*: it does not ask for the scope `api:call`"),
        (
            "scope = \"vouchers:read\"",
            "scope = \"vouchers:list\"",
            "route shop /v1/vouchers/{id}: it asks for the scope `vouchers:list` and not for `vouchers:read`",
        ),
        ("captcha = true\n", "", "route shop /v1/vouchers/{id}: it does not ask for a captcha"),
        (
            "licences = [\"premium\", \"gold\"]",
            "licences = [\"gold\"]",
            "route shop /v1/vouchers/{id}: it does not ask for the licence `premium`",
        ),
        (
            "captcha = true\n",
            "captcha = true\nclient_side = true\n",
            "route shop /v1/vouchers/{id}: it is open to publishable keys",
        ),
        // Under its own host.
        (
            "scope = \"far:read\"\n",
            "",
            "route far /v1/vouchers/{id}: it does not ask for the scope `far:read`",
        ),
        // A route that names a path which another one had.
        (
            "[[api]]\nid = \"far\"",
            "[[api.route]]\npath = \"/v1/open\"\nmethods = [\"GET\"]\n[[api]]\nid = \"far\"",
            "route shop /v1/open: it does not ask for the scope `api:call`",
        ),
        (
            "schemes = [\"api_key\"",
            "schemes = [\"bearer\", \"api_key\"",
            "api shop: bearer is accepted as well",
        ),
        (
            "workspaces = [\"live\"]",
            "workspaces = [\"live\", \"other\"]",
            "api shop: it serves other as well",
        ),
        ("workspaces = [\"live\"]\n", "", "api shop: it serves every workspace"),
        (
            "scopes = [\"vouchers:*\"]",
            "scopes = [\"vouchers:*\", \"vouchers:read\", \"orders:read\"]",
            "workspace live: the role `auditor` holds orders:read as well",
        ),
        (
            "environment = \"production\"\n",
            "environment = \"production\"\npassword_grant = true\n",
            "workspace live: tokens are given for the passwords of its users",
        ),
    ] {
        assert_eq!(told(&[(from, to)]).await, [expected], "{from} -> {to}");
    }
}

/// A route that goes leaves its paths to a wider one, which may ask for less.
#[tokio::test]
async fn what_a_path_falls_back_to_is_told() {
    let whole = &BEFORE[BEFORE.find("[[api.route]]\npath = \"/v1/vouchers").unwrap()..];
    let whole = &whole[..whole.find("[[api]]").unwrap()];
    assert_eq!(
        told(&[(whole, "")]).await,
        [
            "route shop /v1/* (GET HEAD POST): it asks for the scope `api:call` and not for `vouchers:read`",
            "route shop /v1/* (GET HEAD POST): it does not ask for a captcha",
            "route shop /v1/* (GET HEAD POST): it does not ask for the licence `gold`",
            "route shop /v1/* (GET HEAD POST): it does not ask for the licence `premium`",
        ]
    );
    // Where nothing else takes them, nothing is let through.
    assert!(told(&[(whole, ""), ("path = \"/v1/*\"", "path = \"/v2/*\"")]).await.is_empty());
}

#[tokio::test]
async fn a_role_that_goes_is_missed_by_those_who_have_it() {
    let office = Office::open().await;
    verbs::apply(office.desk(), &draft::read(BEFORE).unwrap(), false).await.unwrap();
    let (first, second) = (
        office.create(&wanted("live", Kind::Server)).await.unwrap(),
        office.create(&wanted("live", Kind::Server)).await.unwrap(),
    );
    let without = |role: &str, scopes: &str| {
        BEFORE.replace(&format!("[[workspace.role]]\nname = \"{role}\"\nscopes = [\"{scopes}\"]\n"), "")
    };
    let warnings = async |text: &str| {
        verbs::apply(office.desk(), &draft::read(text).unwrap(), true).await.unwrap().warnings
    };
    let (auditor, clerk) = (without("auditor", "vouchers:*"), without("clerk", "vouchers:read"));
    assert!(warnings(&auditor).await.is_empty() && warnings(&clerk).await.is_empty());
    own::set_role(office.desk(), &first.id, Some("auditor")).await.unwrap();
    let gone = |who: &str| {
        format!(
            "workspace live: the role `auditor`, which {who}, is no longer there: its scopes are gone with it"
        )
    };
    assert_eq!(warnings(&auditor).await, [gone(&format!("`{}` has", first.id))]);
    assert!(warnings(&clerk).await.is_empty());
    own::set_role(office.desk(), &second.id, Some("auditor")).await.unwrap();
    let ids = [&first.id, &second.id];
    let first = ids.iter().min().unwrap();
    assert_eq!(warnings(&auditor).await, [gone(&format!("`{first}` and others have"))]);
}
