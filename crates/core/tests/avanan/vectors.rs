//! Signatures that others have made.
use crate::support::Http;
use doorward_core::schemes::avanan::{self, Covers};
use doorward_core::time::UnixMillis;
use std::io::Write;

const REQ_ID: &str = "d290f1ee-6c54-4b01-90e6";
const APP_ID: &str = "US:myapp29";
const SECRET: &str = "my_avanan_secret";

/// Date, target where it is signed, secret, signature. The first one is the vendor's own; with it, its page prints another
/// secret than the one that it was made with, which is the second one.
const VECTORS: [(&str, &str, &str, &str); 7] = [
    (
        "2021-04-10T00:00:00.000Z",
        "",
        SECRET,
        "2462b23346ab0642b65d7d094aca5fb4c29fd96d0468deceae2704d258e81497",
    ),
    (
        "2021-04-10T00:00:00.000Z",
        "",
        "my_secret_key",
        "1fb7f33ae863e9c402a033fbc5de1153d186339dce8c511733785b0a596d5a3d",
    ),
    (
        "2021-04-10T00:00:00.000000",
        "",
        SECRET,
        "7f9cd093d47fcd2bb21fb9d9f2ec7523b88a600ae300a9e4eeda8b74d83e6798",
    ),
    (
        "2021-04-10T00:00:00.000000",
        "/v1.0/scopes",
        SECRET,
        "59887cbd3f15ccf868c134cec227566969df589e78107e0b12acc0384b040ae0",
    ),
    (
        "2021-04-10T00:00:00.000000",
        "/v1.0/task/123?scope=mt-prod-3%3Acustomer1",
        SECRET,
        "194ebb185b0210642092effa5fae3b8f0ce1f0655562898d65a4d26eb3644a92",
    ),
    (
        "2021-04-10T00:00:00.000000",
        "/v1.0/event/query",
        SECRET,
        "d7f9d933aa3751211be87a920de1443dc72fbd3463e27c81e66909b81cfe344a",
    ),
    (
        "2021-04-10T00:00:00",
        "/v1.0/scopes",
        SECRET,
        "45c12310716ef0847049fcda86bf6c9044a267bf56c9efbc2ebf18123b26b1a1",
    ),
];

#[test]
fn what_others_have_signed_verifies() {
    for (number, (date, signed, secret, sig)) in (1..).zip(VECTORS) {
        let (target, covers) = match signed {
            "" => ("/v1.0/auth", Covers::Nothing),
            target => (target, Covers::Target),
        };
        let http = Http::new(target, REQ_ID, APP_ID, date, sig);
        assert_eq!(http.judge(true, Some(secret)), Ok(covers), "V{number}");
        // What covers no target is good nowhere else.
        let elsewhere = http.judge(false, Some(secret));
        let wanted = if covers == Covers::Target { Ok(covers) } else { Err("wrong-signature") };
        assert_eq!(elsewhere, wanted, "V{number}");
        assert_eq!(http.judge(true, Some("my_other_secret")), Err("wrong-signature"), "V{number}");
        assert_eq!(http.judge(true, None), Err("unknown"), "V{number}");
        let mut moved = http.clone();
        moved.target.push_str("/x");
        assert_eq!(moved.judge(true, Some(secret)).is_ok(), covers == Covers::Nothing, "V{number}");
        let at = http.detected(|found| found.unwrap().unwrap().date());
        assert_eq!(Some(at), UnixMillis::parse("2021-04-10T00:00:00Z"), "V{number}");
    }
}

/// SD-1: whatever is shown of what was signed ends before the secret.
#[test]
fn what_is_shown_hides_the_secret() {
    let (date, target, secret, sig) = VECTORS[4];
    let http = Http::new(target, REQ_ID, APP_ID, date, sig).with("x-av-token", "hush");
    let (shown, short, debug) = http.view(|req| {
        let p = avanan::detect(req).unwrap().unwrap();
        (p.displayable(req, Covers::Target), p.displayable(req, Covers::Nothing), format!("{p:?}"))
    });
    assert_eq!(shown, format!("{REQ_ID}{APP_ID}{date}{target}<secret>"));
    assert_eq!(short, format!("{REQ_ID}{APP_ID}{date}<secret>"));
    for word in [secret, "hush", sig, REQ_ID, APP_ID] {
        assert!(!debug.contains(word), "{debug}");
    }
}

/// The vendor's own example, from the public vectors.
#[test]
fn the_published_example_verifies() {
    let Some(folder) = std::env::var_os("DOORWARD_PUBLIC_VECTORS") else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: public vectors of avanan: DOORWARD_PUBLIC_VECTORS is not set"
        );
        return;
    };
    let file = std::path::Path::new(&folder).join("avanan/avanan_doc_vector.json");
    let text = std::fs::read_to_string(file).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let of = |name: &str| value[name].as_str().unwrap();
    let input = |name: &str| value["inputs"][name].as_str().unwrap();
    let http = Http::new(
        "/v1.0/auth",
        input("x-av-req-id"),
        input("x-av-app-id"),
        input("x-av-date"),
        of("published_signature"),
    );
    assert_eq!(http.judge(true, Some(of("secret_that_matches"))), Ok(Covers::Nothing));
    assert_eq!(http.judge(true, Some(of("published_secret_text"))), Err("wrong-signature"));
}
