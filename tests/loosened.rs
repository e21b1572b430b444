//! Before a policy is applied, its plan says what it would let through, and whom it would take something from.
use crate::authorization::{House, row};
use crate::support::rows;

#[test]
fn a_plan_marks_what_it_loosens() {
    let strict = row(
        "network = { allow = [\"127.0.0.0/8\"] }\nlimits = { credential = { requests = 100, per_s = 60 } }",
    );
    let house = House::new("", &strict);
    let auditor = house.server(&["--role", "auditor"]);
    let policy = house
        .written("", &strict)
        .replace("[\"127.0.0.0/8\"]", "[\"127.0.0.0/8\", \"192.0.2.0/24\"]")
        .replace("requests = 100", "requests = 1000")
        .replace("scope = \"vouchers:write\"\n", "")
        .replace("licences = [\"premium\"]\n", "")
        .replace(
            "[[workspace.role]]\nname = \"auditor\"\nscopes = [\"vouchers:read\", \"campaigns:*\"]\n",
            "",
        );
    let file = house.gateway.folder.write("loose.toml", &policy);
    let said = house.gateway.command(&["apply", "--dry-run", "-f", &file]).ok().stdout;
    for line in [
        "! policy acme/v1: network lets 192.0.2.0/24 in as well, loosened".to_owned(),
        "! policy acme/v1: limits.credential 100/60/100 -> 1000/60/1000, loosened".to_owned(),
        "! route v1 /v1/vouchers/*: it does not ask for the scope `vouchers:write`, loosened".to_owned(),
        "! route v1 /v1/premium/*: it does not ask for the licence `premium`, loosened".to_owned(),
        format!(
            "* workspace acme: the role `auditor`, which `{}` has, is no longer there: its scopes are gone with it",
            auditor.id
        ),
    ] {
        assert!(said.lines().any(|l| l == line), "{line}\n{said}");
    }
    let json = rows(&house.gateway.command(&["apply", "--json", "-f", &file]).ok().stdout).remove(0);
    let of = |list: &str| json[list].as_array().map(Vec::len);
    assert_eq!((of("loosened"), of("warnings"), of("modes")), (Some(4), Some(1), Some(0)), "{json}");
    assert_eq!(json["loosened"][0]["kind"], "policy", "{json}");
    let again = house.gateway.command(&["apply", "-f", &file]).ok().stdout;
    assert!(!again.contains("loosened") && !again.contains("role"), "{again}");
    // Back to what it was, nothing is loosened.
    assert!(!house.apply("", &strict).contains("loosened"));
}
