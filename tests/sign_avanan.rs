//! `doorward sign --scheme avanan`: known signatures, what has no place in it, and a token and a call that it gets.
use crate::support::{Folder, Office, Run, doorward_fed, skips_unless_sqlite};

const SECRET: &str = "my_avanan_secret";

fn sign(words: &[&str]) -> Run {
    let fixed = ["sign", "--scheme", "avanan", "--id", "US:myapp29", "--secret-file", "-"];
    let run = doorward_fed(&[&fixed, words].concat(), SECRET.as_bytes());
    assert!(!run.said().contains(SECRET), "{run:?}");
    run
}

/// Requests on which independent clients agree.
#[test]
fn known_requests_are_signed_as_others_sign_them() {
    if skips_unless_sqlite() {
        return;
    }
    let fixed = ["--req-id", "d290f1ee-6c54-4b01-90e6", "--at", "2021-04-10T00:00:00Z", "--explain"];
    for (method, target, signature) in [
        ("GET", "/v1.0/scopes", "59887cbd3f15ccf868c134cec227566969df589e78107e0b12acc0384b040ae0"),
        (
            "GET",
            "/v1.0/task/123?scope=mt-prod-3%3Acustomer1",
            "194ebb185b0210642092effa5fae3b8f0ce1f0655562898d65a4d26eb3644a92",
        ),
        ("POST", "/v1.0/event/query", "d7f9d933aa3751211be87a920de1443dc72fbd3463e27c81e66909b81cfe344a"),
    ] {
        let run = sign(&[&fixed[..], &[method, &format!("https://api.example{target}")]].concat()).ok();
        let lines = [
            "X-Av-Req-Id: d290f1ee-6c54-4b01-90e6".to_owned(),
            "X-Av-App-Id: US:myapp29".to_owned(),
            "X-Av-Date: 2021-04-10T00:00:00.000000".to_owned(),
            format!("X-Av-Sig: {signature}"),
        ];
        assert_eq!(run.stdout.lines().collect::<Vec<_>>(), lines);
        let shown = format!(
            "String to sign:\nd290f1ee-6c54-4b01-90e6US:myapp292021-04-10T00:00:00.000000{target}<secret>\n"
        );
        assert!(run.stderr.starts_with(&shown), "{}", run.stderr);
    }
    // Each request has an id of its own.
    let ids = [0, 1].map(|_| sign(&["GET", "https://api.example/v1.0/scopes"]).ok().stdout);
    assert_ne!(ids[0].lines().next(), ids[1].lines().next());
}

#[test]
fn what_has_no_place_in_it_is_told() {
    if skips_unless_sqlite() {
        return;
    }
    let folder = Folder::new();
    let (empty, token) = (folder.write("empty", "\n"), folder.write("token", "a.b.c\n"));
    let url = "https://api.example/v1.0/scopes";
    for (words, code, part) in [
        (&["--hash", "sha512"][..], 2, "--hash sha512 is not for avanan"),
        (&["--date-form", "http"], 2, "--date-form http is not for avanan"),
        (&["--presign", "60"], 2, "--presign is not for avanan"),
        (&["--scope", "us/api/x"], 2, "--scope is not for avanan"),
        (&["--sign", "accept"], 2, "--sign is not for avanan"),
        (&["--req-id", "not hexadecimal"], 2, "8 to 64 hexadecimal digits"),
        (&["--token-file", &empty], 1, "there is no token in it"),
        (&["--token-file", "-"], 2, "only one of secret, body and token"),
    ] {
        let run = sign(&[words, &["GET", url]].concat());
        assert!(run.code == code && run.stderr.contains(part), "{words:?}: {run:?}");
    }
    let antavo = ["sign", "--scheme", "antavo", "--id", "K", "--secret-file", "-", "--token-file", &token];
    let run = doorward_fed(&[&antavo[..], &["GET", url]].concat(), SECRET.as_bytes());
    assert!(run.code == 2 && run.stderr.contains("are for --scheme avanan"), "{run:?}");
    let run = doorward_fed(&["explain", "--scheme", "avanan"], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(run.code == 2 && run.stderr.contains("antavo, aws4, escher"), "{run:?}");
}

#[test]
fn it_gets_a_token_and_sends_it_along() {
    let office = Office::open();
    let secret = office.gateway.folder.write("avanan.secret", "my_avanan_secret_of_32_characters");
    let words = ["--dialect", "avanan", "--id", "US:myapp29", "--secret-file", &secret];
    office.hire("live", "server", &words);
    let url = format!("http://{}/v1.0/auth", office.gateway.address("plain"));
    let fixed = ["sign", "--scheme", "avanan", "--id", "US:myapp29", "--secret-file", &secret];
    let send = |more: &[&str]| doorward_fed(&[&fixed[..], more, &["--send", "GET", &url]].concat(), b"").ok();
    let answer = send(&[]);
    let (head, token) = answer.stdout.split_once("\n\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200") && token.matches('.').count() == 2, "{answer:?}");
    let file = office.gateway.folder.write("token", token);
    assert!(send(&["--token-file", &file]).stdout.starts_with("HTTP/1.1 200"));
    let line = [&fixed[..], &["--token-file", &file, "--output", "curl", "GET", &url]].concat();
    let line = doorward_fed(&line, b"").ok().stdout;
    assert!(line.contains(&format!("X-Av-Token: {}", token.trim())), "{line}");
}
