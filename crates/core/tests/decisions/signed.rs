//! The part of the table about signed requests.
use crate::{NOW, Request, heading, place};
use doorward_core::canonical::{BodyDigest, Hash};
use doorward_core::decide::{Duty, Facts, Received, Step};
use doorward_core::dialect::SigningForm;
use doorward_core::live::Live;
use doorward_core::ports::{Claim, Share};
use doorward_core::reason::Reason;
use doorward_core::schemes::Outgoing;
use doorward_core::schemes::escher::{
    Config, DateForm, Flavour, How, Signer, SigningSecret, ToSign, presign, sign,
};
use std::collections::BTreeSet;
use std::fmt::Write;

/// What a signed request differs in from a good one.
#[derive(Clone)]
struct Made {
    form: SigningForm,
    /// Under the names of an API that has its own.
    own_names: bool,
    scope: &'static str,
    id: &'static str,
    secret: &'static str,
    method: &'static str,
    away_s: i64,
    presigned_s: Option<i64>,
    payload_field: bool,
    date_form: DateForm,
    hash: Hash,
}

const GOOD: Made = Made {
    form: SigningForm::Antavo,
    own_names: false,
    scope: "us/api/antavo_request",
    id: "signer",
    secret: "secret",
    method: "GET",
    away_s: 0,
    presigned_s: None,
    payload_field: false,
    date_form: DateForm::IsoBasic,
    hash: Hash::Sha256,
};
const AWS: Made =
    Made { form: SigningForm::Aws4, scope: "us-east-1/execute-api/aws4_request", id: "aws", ..GOOD };

impl Made {
    fn out(&self, path: &str) -> Outgoing {
        let config = if self.own_names {
            Config::new(Flavour::Escher, "OWN", "Own", "authorization", "date", self.scope).unwrap()
        } else {
            self.form.config(self.scope).unwrap()
        };
        let signer = Signer { id: self.id.to_owned(), secret: SigningSecret::new(self.secret.as_bytes()) };
        let req = ToSign {
            method: self.method.to_owned(),
            host: "api.example".to_owned(),
            target: path.to_owned(),
            headers: Vec::new(),
            body: BodyDigest::empty(self.hash),
        };
        let how = How { date_form: self.date_form, payload_field: self.payload_field, ..How::default() };
        let at = NOW.plus_ms(self.away_s * 1000);
        let signed = match self.presigned_s {
            None => sign(&config, &signer, &req, &how, at),
            Some(s) => presign(&config, &signer, &req, &how, s, at),
        }
        .unwrap();
        let target = signed.target.strip_prefix(path).unwrap_or_default().to_owned();
        Outgoing { target, headers: signed.headers }
    }
}

/// What is presented, by name.
pub(crate) fn presented(path: &str) -> Vec<(&'static str, Outgoing)> {
    let of = |made: Made| made.out(path);
    let changed = |made: Made, change: &dyn Fn(&mut Outgoing)| {
        let mut out = made.out(path);
        change(&mut out);
        out
    };
    let rename = |from: &'static str, to: &'static str| {
        move |out: &mut Outgoing| {
            out.headers.iter_mut().filter(|(n, _)| n == from).for_each(|(n, _)| *n = to.to_owned())
        }
    };
    let rewrite = |from: &'static str, to: &'static str| {
        move |out: &mut Outgoing| {
            out.headers.iter_mut().for_each(|(_, v)| *v = v.replace(from, to));
        }
    };
    vec![
        ("signed", of(GOOD)),
        ("signed, HTTP date", of(Made { date_form: DateForm::Http, ..GOOD })),
        ("signed with SHA-512", of(Made { hash: Hash::Sha512, ..GOOD })),
        ("signed, unknown id", of(Made { id: "nobody", ..GOOD })),
        ("signed, wrong secret", of(Made { secret: "wrong", ..GOOD })),
        ("signed with the id of a pair", of(Made { id: "server", ..GOOD })),
        ("signed, blocked", of(Made { id: "signer-blocked", ..GOOD })),
        ("signed, blocked, wrong secret", of(Made { id: "signer-blocked", secret: "wrong", ..GOOD })),
        ("signed, sandbox", of(Made { id: "weak", ..GOOD })),
        ("signed, other workspace", of(Made { id: "signer-other", ..GOOD })),
        ("signed, 300 s behind", of(Made { away_s: -300, ..GOOD })),
        ("signed, 301 s behind", of(Made { away_s: -301, ..GOOD })),
        ("signed, 301 s ahead", of(Made { away_s: 301, ..GOOD })),
        ("signed under another API's names", of(Made { own_names: true, ..GOOD })),
        ("signed for another region", of(Made { scope: "eu/api/antavo_request", ..GOOD })),
        ("signed, scope with a part more", of(Made { scope: "us/api/antavo_request/x", ..GOOD })),
        ("signed, for another day", changed(GOOD, &rewrite("/19700112/", "/19700113/"))),
        ("signed, host not signed", changed(GOOD, &rewrite("SignedHeaders=date;host", "SignedHeaders=date"))),
        ("signed, signs what is absent", changed(GOOD, &rewrite("=date;host", "=date;host;x-absent"))),
        ("signed, date not sent", changed(GOOD, &rename("date", "x-date"))),
        ("signed, other algorithm", changed(GOOD, &rewrite("ANTAVO-HMAC-SHA256", "ANTAVO-HMAC-SHA1"))),
        ("signed, not to be read", changed(GOOD, &rewrite("Signature=", "Signatur="))),
        (
            "signed twice",
            changed(GOOD, &|out| {
                let again = out.headers.last().unwrap().clone();
                out.headers.push(again);
            }),
        ),
        (
            "signed, and an id alone",
            changed(GOOD, &|out| {
                out.target.push_str("?api_key=weak");
            }),
        ),
        ("signed address", of(Made { presigned_s: Some(900), ..GOOD })),
        ("signed address, too long", of(Made { presigned_s: Some(901), ..GOOD })),
        ("signed address, over", of(Made { presigned_s: Some(60), away_s: -61, ..GOOD })),
        (
            "signed address, and signed",
            changed(Made { presigned_s: Some(60), ..GOOD }, &|out| {
                out.headers = GOOD.out(path).headers;
            }),
        ),
        ("signed for AWS", of(AWS)),
        ("signed for AWS, wrong secret", of(Made { secret: "wrong", ..AWS })),
        ("signed for AWS, with the digest", of(Made { payload_field: true, ..AWS })),
        (
            "signed for AWS, other digest",
            changed(Made { payload_field: true, ..AWS }, &|out| {
                for (name, value) in &mut out.headers {
                    if name == "x-amz-content-sha256" {
                        *value = "0".repeat(64);
                    }
                }
            }),
        ),
        (
            "signed for AWS, body unsigned",
            changed(Made { payload_field: true, ..AWS }, &|out| {
                for (name, value) in &mut out.headers {
                    if name == "x-amz-content-sha256" {
                        *value = "UNSIGNED-PAYLOAD".to_owned();
                    }
                }
            }),
        ),
        ("an AWS id with Antavo's names", of(Made { id: "aws", ..GOOD })),
    ]
}

fn id_alone(id: &str) -> Outgoing {
    Outgoing { target: format!("?api_key={id}"), headers: Vec::new() }
}

/// Adds what is decided about signed requests.
pub(crate) fn table(table: &mut String, live: &Live, seen: &mut BTreeSet<Reason>) {
    for (path, note) in [
        ("/signed/1", "signatures and ids alone; production enforces signatures, the sandbox observes"),
        ("/mixed/1", "the same, observed in production as well"),
        ("/always/1", "signatures, and ids alone in production, for a workspace that enforces signatures"),
        ("/things/1", "no signatures"),
    ] {
        heading(table, &format!("GET {path}: {note}"));
        let keys = [
            ("id alone, production", id_alone("weak-live")),
            ("id alone, sandbox", id_alone("weak")),
            ("id alone, not switched on", id_alone("strong")),
            ("id alone, unknown", id_alone("nobody")),
        ];
        let all = presented(path);
        let few = if path == "/things/1" { 1 } else { all.len() };
        let twice = ["signed address", "signed address, and signed"];
        for (name, out) in all.into_iter().enumerate().filter_map(|(i, one)| {
            (i < few && (path == "/signed/1" || i < 5 || twice.contains(&one.0))).then_some(one)
        }) {
            let said = Request::new("GET", path, &out).decide(live, seen);
            let _ = writeln!(table, "{name:<34} {said}");
        }
        for (name, out) in keys {
            let said = Request::new("GET", path, &out).decide(live, seen);
            let _ = writeln!(table, "{name:<34} {said}");
        }
    }

    heading(table, "POST /signed/1: bodies");
    let digest = BodyDigest::of(Hash::Sha256, b"body");
    for (name, made) in [
        ("signed", GOOD),
        ("signed, unknown id", Made { id: "nobody", ..GOOD }),
        ("signed, 301 s behind", Made { away_s: -301, ..GOOD }),
        ("signed for AWS", AWS),
        ("signed for AWS, with the digest", Made { payload_field: true, ..AWS }),
    ] {
        let out = Made { method: "POST", ..made }.out("/signed/1");
        for (body, what) in [
            (Received::Nothing, "none"),
            (Received::NotYet, "not read yet"),
            (Received::All { digest: &digest, bytes: b"body" }, "another than was signed"),
        ] {
            let mut r = Request::new("POST", "/signed/1", &out);
            r.body = body;
            let said = r.decide(live, seen);
            let _ = writeln!(table, "{name:<34} {what:<24} {said}");
        }
    }

    heading(table, "GET /signed/1: what the ledger says");
    let out = GOOD.out("/signed/1");
    for claim in [
        Claim::New,
        Claim::Replayed,
        Claim::Full(Share::Credential),
        Claim::Full(Share::Workspace),
        Claim::Full(Share::Ledger),
        Claim::TooEarly { now: NOW },
        Claim::TooLate { now: NOW },
        Claim::Fenced { until: NOW.plus_ms(300_000) },
        Claim::Unavailable,
    ] {
        let step = Request::new("GET", "/signed/1", &out).step(live);
        let Step::Ask(Duty::Claim(unclaimed)) = step.step else {
            panic!("the ledger is not asked: {step:?}")
        };
        let said = match unclaimed.answered(claim, NOW, &mut Facts::default()) {
            Ok(Step::Permit(permit)) => format!("permit -> {}", place(&permit)),
            Ok(other) => panic!("{other:?}"),
            Err(denial) => {
                seen.insert(denial.refusal.reason);
                let retry = denial.retry_after_s.map(|s| format!(", again after {s} s")).unwrap_or_default();
                let reason = denial.refusal.reason;
                format!("{} {} ({}{retry})", reason.status(), reason.code(), denial.refusal.detail)
            }
        };
        let _ = writeln!(table, "{:<34} {said}", format!("{claim:?}"));
    }

    heading(table, "A node whose store does not answer, within the time for which it may go on");
    live.store_lost();
    for (name, path, out) in [
        ("signed", "/signed/1", GOOD.out("/signed/1")),
        ("signed, unknown id", "/signed/1", Made { id: "nobody", ..GOOD }.out("/signed/1")),
        ("signed, wrong secret", "/signed/1", Made { secret: "wrong", ..GOOD }.out("/signed/1")),
        ("id alone, unknown", "/customers/1", id_alone("nobody")),
        ("id alone", "/customers/1", id_alone("weak")),
    ] {
        let said = Request::new("GET", path, &out).decide(live, seen);
        let _ = writeln!(table, "{name:<34} {said}");
    }
    live.store_answered();
}
