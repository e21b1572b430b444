//! What is refused before anything is hashed.
use crate::support::Http;
use doorward_core::reason::Reason;

const SIG: &str = "2462b23346ab0642b65d7d094aca5fb4c29fd96d0468deceae2704d258e81497";
const NAMES: [&str; 4] = ["x-av-req-id", "x-av-app-id", "x-av-date", "x-av-sig"];

fn good() -> Http {
    Http::new("/v1.0/auth", "d290f1ee-6c54-4b01-90e6", "US:myapp29", "2021-04-10T00:00:00.000Z", SIG)
}

/// The fact for the log, of what can't be read.
fn fact(http: &Http) -> &'static str {
    http.detected(|found| match found {
        Ok(Some(_)) => "read",
        Ok(None) => "none",
        Err(refusal) => {
            assert_eq!(refusal.reason, Reason::CredentialMalformed, "{http:?}");
            assert!(refusal.note.is_some_and(|note| note.contains("x-av-")), "{http:?}");
            refusal.detail
        }
    })
}

#[test]
fn all_of_it_once_or_nothing() {
    assert_eq!(fact(&good()), "read");
    for name in NAMES {
        assert_eq!(fact(&good().without(name)), "half-a-set", "{name}");
        let value = good().fields.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(fact(&good().with(&name.to_uppercase(), &value)), "field-repeated", "{name}");
        assert_eq!(fact(&good().set(name, "")), "field-unreadable", "{name}");
    }
    let bare = Http { target: "/".to_owned(), fields: Vec::new() };
    assert_eq!(fact(&bare), "none");
    // The id of a request is sent by others too, and proves nothing.
    assert_eq!(fact(&bare.clone().with("x-av-req-id", "d290f1ee")), "none");
    assert_eq!(fact(&bare.with("x-av-token", "a.b.c")), "half-a-set");
    let token = |value: &str| {
        let http = good().with("x-av-token", value);
        (fact(&http), http.detected(|found| found.is_ok_and(|p| p.is_some_and(|p| p.token().is_some()))))
    };
    assert_eq!((token(""), token("a.b.c")), (("read", false), ("read", true)));
    assert_eq!(token("a b").0, "field-unreadable");
    assert_eq!(token(&"x".repeat(8 * 1024)).0, "read");
    assert_eq!(token(&"x".repeat(8 * 1024 + 1)).0, "field-unreadable");
    assert_eq!(fact(&good().with("x-av-token", "").with("x-av-token", "a")), "field-repeated");
}

#[test]
fn each_field_has_its_grammar() {
    let cases: [(&str, &[&str], &[&str]); 4] = [
        (
            "x-av-req-id",
            &["01234567", "ABCDEFab-0", "d290f1ee-6c54-4b01-90e6-07d701748f08"],
            &["0123456", "0123456g", "01234567 ", "{01234567}", "0123_4567", "d290f1ee\u{e9}"],
        ),
        (
            "x-av-app-id",
            &["US:myapp29", "EU:0", "CA:a.b-c_d", "myapp29", "X", "Go"],
            &[
                "us:myapp29",
                "USA:x",
                "U:x",
                ":x",
                "US:",
                "US::x",
                "US:x:y",
                "US:-x",
                "abc",
                "29app",
                "-x",
                "x y",
                "x/y",
                "x?",
            ],
        ),
        (
            "x-av-date",
            &[
                "2021-04-10T00:00:00",
                "2021-04-10T00:00:00Z",
                "2021-04-10T23:59:59.1",
                "2021-04-10T00:00:00.123456789",
                "2021-04-10T00:00:00.123456789Z",
            ],
            &[
                "2021-04-10",
                "2021-04-10Z",
                "2021-04-10T00:00:00.",
                "2021-04-10T00:00:00.Z",
                "2021-04-10T00:00:00.1234567890",
                "2021-04-10T00:00:00ZZ",
                "2021-04-10T00:00:00z",
                "2021-04-10t00:00:00",
                "2021-04-10 00:00:00",
                "2021-04-10T00:00:00+00:00",
                "2021-04-10T24:00:00",
                "2021-02-30T00:00:00",
                "021-04-10T00:00:00",
                "12021-04-10T00:00:00",
                "2021-4-10T00:00:00",
                "Sat, 10 Apr 2021 00:00:00 GMT",
            ],
        ),
        (
            "x-av-sig",
            &[SIG],
            &[
                "2462b23346",
                "2462B23346AB0642B65D7D094ACA5FB4C29FD96D0468DECEAE2704D258E81497",
                "g462b23346ab0642b65d7d094aca5fb4c29fd96d0468deceae2704d258e81497",
            ],
        ),
    ];
    for (name, good_ones, bad_ones) in cases {
        for value in good_ones {
            assert_eq!(fact(&good().set(name, value)), "read", "{name}: {value}");
        }
        for value in bad_ones {
            assert_eq!(fact(&good().set(name, value)), "field-unreadable", "{name}: {value}");
        }
    }
    assert_eq!(fact(&good().set("x-av-req-id", &"a".repeat(65))), "field-unreadable");
    assert_eq!(fact(&good().set("x-av-app-id", &format!("US:{}", "a".repeat(126)))), "field-unreadable");
}

/// Case 16: the fields stand side by side, so another cut of the same text would have the same signature. Of all cuts of
/// a text into three fields, one at most is read.
#[test]
fn a_text_can_be_cut_in_one_way_only() {
    for (req_id, app_id, date) in [
        ("d290f1ee-6c54-4b01-90e6", "US:myapp29", "2021-04-10T00:00:00.000Z"),
        ("d290f1ee-6c54-4b01-90e6", "EA:bcdef", "2021-04-10T00:00:00"),
        ("d290f1ee-6c54-4b01-90e6", "CA:2021-04", "2021-04-10T00:00:00.5"),
        ("abcdefab-cdef", "m-2021-04-102021", "2021-04-10T00:00:00.123456789"),
        ("ABCDEFABCDEF", "zebra29", "2021-04-10T00:00:00Z"),
    ] {
        let text = format!("{req_id}{app_id}{date}");
        let mut read = Vec::new();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let (a, b, c) = (&text[..first], &text[first..second], &text[second..]);
                let http = Http::new("/v1.0/auth", a, b, c, SIG);
                if fact(&http) == "read" {
                    read.push((a.to_owned(), b.to_owned(), c.to_owned()));
                }
            }
        }
        assert_eq!(read, [(req_id.to_owned(), app_id.to_owned(), date.to_owned())], "{text}");
    }
    // Nor can the end of the date move into what follows: a target begins with a slash, and a date never ends in a fraction
    // without digits.
    for (date, target) in [("2021-04-10T00:00:00.", "/1"), ("2021-04-10T00:00:00", ".5/x")] {
        let http = Http::new(target, "d290f1ee-6c54", "US:myapp29", date, SIG);
        assert!(fact(&http) != "read" || !target.starts_with('/'), "{date} {target}");
    }
}
