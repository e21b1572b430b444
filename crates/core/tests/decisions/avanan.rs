//! The table of decisions about Avanan's signatures, and about the tokens beside them.
use crate::tokens::{SINCE, Wanted, credential, world_with_tokens};
use crate::{NOW, Request, compare, heading};
use doorward_core::credential::{Credential, Status};
use doorward_core::decide::{Duty, Facts, Received, Step};
use doorward_core::live::Live;
use doorward_core::ports::Claim;
use doorward_core::schemes::Outgoing;
use doorward_core::schemes::avanan::{Covers, DateForm, ToSign, sign};
use doorward_core::schemes::escher::{Signer, SigningSecret};
use doorward_core::token::Jti;
use std::collections::BTreeSet;
use std::fmt::Write;

const POLICY: &str = r#"
[[api]]
id = "mail"
dialect = "avanan"
schemes = ["avanan"]
upstream = { production = "http://mail:1" }
route = [{ path = "/v1.0/*" }, { path = "/v1.0/auth", target = "token" }]
"#;

fn mail() -> Live {
    let live = world_with_tokens(POLICY);
    for id in ["EU:app", "US:blocked", "US:other", "zapp"] {
        let status = if id.ends_with("blocked") { Status::Blocked } else { Status::Active };
        live.directory.put(Credential { status, ..credential(id, "avanan") });
    }
    live.tokens.revoke(Jti::new([66; 16]), NOW.plus_ms(1));
    live
}

fn signed(id: &str, secret: &str, target: &str, covers: Covers, token: Option<&str>) -> Outgoing {
    let signer = Signer { id: id.to_owned(), secret: SigningSecret::new(secret.as_bytes()) };
    let req = ToSign { target, covers, req_id: "d290f1ee-6c54", date_form: DateForm::Micros };
    sign(&signer, &req, token, NOW).unwrap()
}

#[test]
fn what_avanan_signs_is_decided_as_the_table_says() {
    let live = mail();
    let mut seen = BTreeSet::new();
    let mut table = String::from("# Written by crates/core/tests/decisions/avanan.rs.\n");
    for path in ["/v1.0/auth", "/v1.0/scopes"] {
        heading(&mut table, &format!("GET {path}"));
        let of = |id: &str, secret: &str, covers| signed(id, secret, path, covers, None);
        let changed = |change: &dyn Fn(&mut Outgoing)| {
            let mut out = of("US:app", "secret", Covers::Target);
            change(&mut out);
            out
        };
        let away = |ms: i64| {
            let signer = Signer { id: "US:app".to_owned(), secret: SigningSecret::new(b"secret") };
            let req = ToSign {
                target: path,
                covers: Covers::Target,
                req_id: "01234567",
                date_form: DateForm::Zulu,
            };
            sign(&signer, &req, None, NOW.plus_ms(ms)).unwrap()
        };
        for (name, out) in [
            ("nothing", Outgoing::default()),
            ("signed", of("US:app", "secret", Covers::Target)),
            ("signed, not the target", of("US:app", "secret", Covers::Nothing)),
            ("signed, with a token", signed("US:app", "secret", path, Covers::Target, Some("a.b.c"))),
            (
                "signed, empty token",
                changed(&|out| out.headers.push(("x-av-token".to_owned(), String::new()))),
            ),
            ("signed, no region in the id", of("zapp", "secret", Covers::Target)),
            ("signed, other region", of("EU:app", "secret", Covers::Target)),
            ("signed, other region, wrong secret", of("EU:app", "wrong", Covers::Target)),
            ("signed, wrong secret", of("US:app", "wrong", Covers::Target)),
            ("signed, unknown", of("US:nobody", "secret", Covers::Target)),
            ("signed, blocked", of("US:blocked", "secret", Covers::Target)),
            ("signed, id of a pair", of("server", "secret", Covers::Target)),
            ("signed for another target", signed("US:app", "secret", "/v1.0/other", Covers::Target, None)),
            ("signed, 300 s behind", away(-300_000)),
            ("signed, 301 s behind", away(-301_000)),
            ("signed, 301 s ahead", away(301_000)),
            (
                "a token alone",
                Outgoing { target: String::new(), headers: vec![("x-av-token".to_owned(), "a".to_owned())] },
            ),
            ("signature missing", changed(&|out| out.headers.retain(|(name, _)| name != "x-av-sig"))),
            ("date twice", changed(&|out| out.headers.push(out.headers[2].clone()))),
        ] {
            let said = Request::new("GET", path, &out).decide(&live, &mut seen);
            let _ = writeln!(table, "{name:<38} {said}");
        }
    }
    heading(&mut table, "GET /v1.0/scopes, signed by US:app: what the token says");
    let of = |change: &dyn Fn(&mut Wanted)| {
        let mut token = Wanted::of("avanan");
        change(&mut token);
        token.make()
    };
    for (name, token) in [
        ("its own", of(&|_| ())),
        ("of another caller", of(&|t| t.subject = "US:other".to_owned())),
        ("of a caller who is gone", of(&|t| t.subject = "US:gone".to_owned())),
        ("expired", of(&|t| t.at = NOW.plus_ms(-3_600_000))),
        ("revoked", of(&|t| t.jti = 66)),
        ("all revoked", of(&|t| t.since = SINCE + 1)),
        ("of another epoch", of(&|t| t.epoch = "fedcba9876543210fedcba9876543210")),
        ("of another dialect", Wanted { subject: "US:app".to_owned(), ..Wanted::of("vista") }.make()),
        ("not a token", "a.b.c".to_owned()),
    ] {
        let out = signed("US:app", "secret", "/v1.0/scopes", Covers::Target, Some(&token));
        let said = Request::new("GET", "/v1.0/scopes", &out).decide(&live, &mut seen);
        let _ = writeln!(table, "{name:<38} {said}");
    }
    for (name, id, secret) in
        [("its own, wrong secret", "US:app", "wrong"), ("of a blocked caller", "US:blocked", "secret")]
    {
        let token = of(&|t| t.subject = id.to_owned());
        let out = signed(id, secret, "/v1.0/scopes", Covers::Target, Some(&token));
        let said = Request::new("GET", "/v1.0/scopes", &out).decide(&live, &mut seen);
        let _ = writeln!(table, "{name:<38} {said}");
    }
    heading(&mut table, "GET /v1.0/auth, signed: what the ledger says");
    let out = signed("US:app", "secret", "/v1.0/auth", Covers::Nothing, None);
    for claim in [Claim::New, Claim::Replayed] {
        let Step::Ask(Duty::Claim(unclaimed)) = Request::new("GET", "/v1.0/auth", &out).step(&live).step
        else {
            panic!("the ledger is not asked")
        };
        let said = match unclaimed.answered(claim, NOW, &mut Facts::default()) {
            Ok(Step::Permit(permit)) => format!("permit -> {}", crate::place(&permit)),
            Ok(other) => panic!("{other:?}"),
            Err(denial) => denial.refusal.reason.code().to_owned(),
        };
        let _ = writeln!(table, "{:<38} {said}", format!("{claim:?}"));
    }
    compare("avanan.txt", &table);
}

/// One id of a request is one request, whatever else of it is signed.
#[test]
fn the_ledger_knows_a_request_by_its_id() {
    let live = mail();
    let key = |id: &str, req_id: &str, covers| {
        let signer = Signer { id: id.to_owned(), secret: SigningSecret::new(b"secret") };
        let req = ToSign { target: "/v1.0/auth", covers, req_id, date_form: DateForm::Micros };
        let out = sign(&signer, &req, None, NOW).unwrap();
        match Request::new("GET", "/v1.0/auth", &out).step(&live).step {
            Step::Ask(Duty::Claim(unclaimed)) => unclaimed.once().key,
            other => panic!("{other:?}"),
        }
    };
    let one = key("US:app", "01234567", Covers::Target);
    assert_eq!(key("US:app", "01234567", Covers::Nothing), one);
    assert_ne!(key("US:app", "01234568", Covers::Target), one);
    assert_ne!(key("zapp", "01234567", Covers::Target), one);
}

/// Whoever is named before anything is read of a body that is answered here, its body comes first.
#[test]
fn a_body_at_an_endpoint_is_read_first() {
    let live = mail();
    let out = signed("US:nobody", "secret", "/v1.0/auth", Covers::Target, None);
    let mut r = Request::new("GET", "/v1.0/auth", &out);
    r.body = Received::NotYet;
    assert!(matches!(r.step(&live).step, Step::Ask(Duty::Body(_))));
}
