//! What of a credential may be changed later: every node obeys, and the table of changes says who did what.
use crate::authorization::{House, row};
use crate::support::{doorward, eventually, now, rows};
use serde_json::json;

#[test]
fn scopes_origins_and_the_end_of_a_credential_can_be_changed() {
    let house = House::new("", "");
    let who = house.server(&["--scope", "orders:read"]);
    house.get(&who, "/v1/vouchers/7").expect(403, "scope_missing");
    let set =
        |words: &[&str]| house.gateway.command(&[&["credential", "set", &who.id, "--json"], words].concat());
    let told = |words: &[&str]| rows(&set(words).ok().stdout).remove(0);
    let code = || house.gateway.ask(who.get("/v1/vouchers/7")).code().to_owned();
    let given = told(&["--scope", "vouchers:read", "--scope", "campaigns:*", "--name", "Till 7"]);
    assert_eq!(
        (&given["scopes"], &given["name"]),
        (&json!(["vouchers:read", "campaigns:*"]), &"Till 7".into())
    );
    assert_eq!(given["secret"], serde_json::Value::Null);
    eventually("the scope to be obeyed", || code().is_empty());
    // It ends, and what ended goes on.
    let soon = now().plus_ms(2_000).to_string();
    assert!(told(&["--expires", &soon])["expires_at"].is_string());
    eventually("its end", || code() == "credential_expired");
    assert!(told(&["--no-expiry"])["expires_at"].is_null());
    eventually("it to go on", || code().is_empty());
    assert_eq!(told(&["--no-scopes"])["scopes"], json!([]));
    eventually("the scopes to be gone", || code() == "scope_missing");
    // A publishable key moves to another page.
    let page = house.gateway.actor("acme", "client", &["--origin", "https://old.example"]);
    let moved = |origin: &str| {
        let mut page = page.clone();
        page.origin = Some(origin.to_owned());
        house.gateway.ask(page.get("/client/v1/x")).code().to_owned()
    };
    eventually("the key is known", || moved("https://old.example").is_empty());
    let words =
        ["credential", "set", &page.id, "--origin", "https://new.example", "--origin", ".shop.example"];
    let card = house.gateway.command(&words).ok().stdout;
    assert!(card.contains("https://new.example"), "{card}");
    eventually("the new page", || moved("https://new.example").is_empty());
    assert_eq!(moved("https://old.example"), "origin_denied");
    // All of it is in the table of changes, which fits.
    house.gateway.command(&["check"]).ok();
    house.apply("", &row("scopes = \"observe\""));
}

#[test]
fn what_can_not_be_set_is_told_and_nothing_is_written() {
    let house = House::new("", "");
    let who = house.server(&["--scope", "orders:read"]);
    let page = house.gateway.actor("acme", "client", &["--origin", "https://old.example"]);
    let before = house.gateway.command(&["credential", "list", "--json"]).ok().stdout;
    let set = |words: &[&str]| house.gateway.command(&[&["credential", "set"], words].concat());
    for (words, code, part) in [
        (&[&*who.id, "--scope", "a b"][..], 1, "is not a scope"),
        (&[&who.id, "--expires", "2020-01-01T00:00:00Z"], 1, "would have expired already"),
        (&[&who.id, "--name", "a\nb"], 1, "control character"),
        (&[&page.id, "--no-origins"], 1, "needs at least one origin"),
        (&[&page.id, "--origin", "https://shop.example/path"], 1, "https://shop.example/path"),
        (&["nobody", "--no-scopes"], 1, "there is no credential `nobody`"),
        (&[&who.id], 2, "required"),
        (&[&who.id, "--no-scopes", "--scope", "x"], 2, "--no-scopes"),
        (&[&who.id, "--expires", "soon"], 2, "2026-12-31T00:00:00Z"),
    ] {
        let run = set(words);
        assert!(run.code == code && run.stderr.contains(part), "{words:?}: {run:?}");
    }
    let role = doorward(&["credential", "role", &who.id, "--config", &house.gateway.config]);
    assert!(role.code == 2 && role.stderr.contains("name the role"), "{role:?}");
    assert_eq!(house.gateway.command(&["credential", "list", "--json"]).ok().stdout, before);
}
