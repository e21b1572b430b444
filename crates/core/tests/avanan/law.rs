//! The law of every scheme: what is signed is detected and verifies, and nothing else does.
use crate::support::Http;
use doorward_core::schemes::SignError;
use doorward_core::schemes::avanan::{self, Covers, DateForm, SKEW_MS, ToSign, sign};
use doorward_core::schemes::escher::{Signer, SigningSecret};
use doorward_core::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_795_291_200_123);
const REQ_IDS: [&str; 4] = ["01234567", "d290f1ee-6c54-4b01-90e6-07d701748f08", "ABCDEF-0", "--------"];
const APP_IDS: [&str; 5] = ["US:myapp29", "CA:0abc", "EU:a.b_c-d", "myapp29", "x"];
const TARGETS: [&str; 5] = ["/", "/v1.0/scopes", "/v1.0/task/1?scope=a%3Ab&x=+y", "/a?", "/a??b=/%2F"];
const FORMS: [DateForm; 3] = [DateForm::Micros, DateForm::Zulu, DateForm::Seconds];

fn signer(id: &str, secret: &str) -> Signer {
    Signer { id: id.to_owned(), secret: SigningSecret::new(secret.as_bytes()) }
}

#[test]
fn what_is_signed_verifies() {
    let mut signatures = std::collections::HashSet::new();
    for req_id in REQ_IDS {
        for id in APP_IDS {
            for target in TARGETS {
                for date_form in FORMS {
                    for covers in [Covers::Target, Covers::Nothing] {
                        let req = ToSign { target, covers, req_id, date_form };
                        let out = sign(&signer(id, "secret"), &req, Some("a.b.c"), NOW).unwrap();
                        let http = Http::of(out);
                        let what = format!("{req:?} {id}");
                        assert_eq!(http.judge(true, Some("secret")), Ok(covers), "{what}");
                        assert_eq!(http.judge(true, Some("secreu")), Err("wrong-signature"), "{what}");
                        http.detected(|found| {
                            let p = found.unwrap().unwrap();
                            assert_eq!(
                                (p.id(), p.req_id(), p.token()),
                                (id, req_id, Some("a.b.c")),
                                "{what}"
                            );
                            assert!((NOW.0 - p.date().0).abs() < 1000, "{what}");
                            avanan::check_time(&p, NOW).unwrap();
                        });
                        let sig = http.fields[3].1.clone();
                        if covers == Covers::Target {
                            // Two requests that differ in anything never have one signature.
                            assert!(signatures.insert(sig.clone()), "{what}");
                            for other in TARGETS.iter().filter(|t| **t != target) {
                                let moved = Http { target: (*other).to_owned(), ..http.clone() };
                                assert_eq!(
                                    moved.judge(true, Some("secret")),
                                    Err("wrong-signature"),
                                    "{what} {other}"
                                );
                            }
                        }
                        for i in [0, 31, 63] {
                            let flipped: String = sig
                                .char_indices()
                                .map(|(at, c)| {
                                    if at != i {
                                        c
                                    } else if c == '0' {
                                        '1'
                                    } else {
                                        '0'
                                    }
                                })
                                .collect();
                            assert!(
                                http.clone().set("x-av-sig", &flipped).judge(true, Some("secret")).is_err()
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn dates_are_good_for_five_minutes_in_either_direction() {
    let req = ToSign { target: "/", covers: Covers::Target, req_id: "01234567", date_form: DateForm::Micros };
    let http = Http::of(sign(&signer("x", "s"), &req, None, NOW).unwrap());
    let check = |away_ms: i64| {
        http.detected(|found| {
            avanan::check_time(&found.unwrap().unwrap(), NOW.plus_ms(away_ms)).map_err(|r| r.detail)
        })
    };
    let skew = i64::from(SKEW_MS);
    assert_eq!((check(skew), check(-skew), check(0)), (Ok(()), Ok(()), Ok(())));
    assert_eq!((check(skew + 1), check(-skew - 1)), (Err("date-behind"), Err("date-ahead")));
}

#[test]
fn what_can_t_be_sent_is_not_signed() {
    let good = ToSign { target: "/", covers: Covers::Target, req_id: "01234567", date_form: DateForm::Zulu };
    let with = |id: &str, secret: &str, req: ToSign<'_>, token: Option<&str>| {
        sign(&signer(id, secret), &req, token, NOW)
    };
    assert!(with("US:x", "s", good, None).is_ok());
    for refused in [
        with("", "s", good, None),
        with("US:", "s", good, None),
        with("abc", "s", good, None),
        with("x y", "s", good, None),
        with("x", "", good, None),
        with("x", "s", ToSign { req_id: "short", ..good }, None),
        with("x", "s", ToSign { target: "v1.0", ..good }, None),
        with("x", "s", ToSign { target: "/a b", ..good }, None),
        with("x", "s", ToSign { target: "/a#b", ..good }, None),
        with("x", "s", good, Some("a\r\nb: c")),
    ] {
        assert_eq!(refused.err(), Some(SignError::Unsendable));
    }
}
