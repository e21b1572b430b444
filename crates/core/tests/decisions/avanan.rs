//! The table of decisions about Avanan's signatures. No policy can name that dialect, so this one is put together by hand.
use crate::{NOW, Request, compare, heading, world};
use doorward_core::credential::{Credential, Kind, SchemeName, Status};
use doorward_core::decide::{Duty, Received, Step};
use doorward_core::dialect::AVANAN;
use doorward_core::live::Live;
use doorward_core::policy::{Endpoint, Methods, Policy, compile, draft};
use doorward_core::ports::Claim;
use doorward_core::schemes::Outgoing;
use doorward_core::schemes::avanan::{Covers, DateForm, ToSign, sign};
use doorward_core::schemes::escher::{Signer, SigningSecret};
use doorward_core::secret::Keys;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

const POLICY: &str = r#"
workspace = [{ id = "live", environment = "production" }]
[[api]]
id = "mail"
dialect = "standard"
upstream = { production = "http://live:1" }
route = [{ path = "/v1.0/*" }, { path = "/v1.0/auth", target = "token" }]
"#;

fn policy() -> Policy {
    let mut policy = compile(&draft::read(POLICY).unwrap(), Some("us")).unwrap();
    policy.apis[0].dialect = &AVANAN;
    policy.apis[0].names = vec![&AVANAN];
    policy.apis[0].schemes = vec![SchemeName::Avanan];
    policy.dialects.push(&AVANAN);
    policy.credential_headers.extend(AVANAN.credential_headers().map(Box::from));
    policy.routes[1].methods = Methods::new(Endpoint::Token.methods(&AVANAN).iter().copied()).unwrap();
    policy
}

fn mail() -> Live {
    let live = world("");
    live.policy.store(Arc::new(policy()));
    let keys = Keys::derive(&[3; 32]);
    for id in ["US:app", "EU:app", "US:blocked", "zapp"] {
        live.directory.put(Credential {
            id: id.into(),
            pseudonym: None,
            workspace: "live".into(),
            kind: Kind::Server,
            name: "".into(),
            dialect: &AVANAN,
            plain_key: false,
            status: if id.ends_with("blocked") { Status::Blocked } else { Status::Active },
            expires_at: None,
            scopes: Box::default(),
            origins: Box::default(),
            secret: keys.hash(id.as_bytes(), b"secret"),
            signing: Some(SigningSecret::new(b"secret")),
        });
    }
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
    heading(&mut table, "GET /v1.0/auth, signed: what the ledger says");
    let out = signed("US:app", "secret", "/v1.0/auth", Covers::Nothing, None);
    for claim in [Claim::New, Claim::Replayed] {
        let Step::Ask(Duty::Claim(unclaimed)) = Request::new("GET", "/v1.0/auth", &out).step(&live).step
        else {
            panic!("the ledger is not asked")
        };
        let said = match unclaimed.answered(claim, NOW) {
            Ok(permit) => format!("permit -> {}", crate::place(&permit)),
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

/// Nothing half-built is reachable: neither a policy nor a credential can name the dialect.
#[test]
fn no_policy_can_name_it() {
    assert!(doorward_core::dialect::Dialect::named("avanan").is_none());
    let text = POLICY.replace("\"standard\"", "\"avanan\"");
    assert!(draft::read(&text).is_err_and(|m| m[0].message.contains("there is no dialect `avanan`")));
    let text = POLICY.replace("dialect = \"standard\"", "dialect = \"standard\"\nschemes = [\"avanan\"]");
    let told = compile(&draft::read(&text).unwrap(), None).err().unwrap_or_default();
    assert!(told.iter().any(|m| m.message.contains("none of its dialects")), "{told:?}");
}
