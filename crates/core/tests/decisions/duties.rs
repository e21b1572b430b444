//! What is asked outside after every check has passed: in which order, and what comes of each answer.
use crate::asked::Request;
use crate::keys::presented;
use crate::{NOW, world};
use doorward_core::captcha::Verdict;
use doorward_core::decide::{Decision, Denial, Duty, Step};
use doorward_core::limits::{Bucket, Spend, Spent, settle};
use doorward_core::live::Live;
use doorward_core::ports::Claim;
use doorward_core::schemes::Outgoing;

/// `{limits}` and `{captcha}` are modes.
const CLUB: &str = r#"
[[api]]
id = "club"
dialect = "voucherify"
workspaces = ["live"]
upstream = { production = "http://live:1" }
route = [{ path = "/club/member", captcha = true }, { path = "/club/open", public = true }, { path = "/club/*" }]
[[policy]]
workspace = "live"
api = "club"
captcha = "{captcha}"
limits = { mode = "{limits}", workspace = { requests = 9, per_s = 60 }, credential = { requests = 3, per_s = 7 }, client = { requests = 1, per_s = 60 } }
"#;

fn club(limits: &str, captcha: &str) -> Live {
    world(&CLUB.replace("{limits}", limits).replace("{captcha}", captcha))
}

fn caller(response: Option<&str>) -> Outgoing {
    let all = presented();
    let mut out = all.iter().find(|(name, _)| *name == "pair").map(|(_, out)| out.clone()).unwrap();
    out.headers.extend(response.map(|text| ("CaptchaResponse".to_owned(), text.to_owned())));
    out
}

/// What is answered to each duty.
#[derive(Clone, Copy)]
struct Answers {
    /// Requests that were spent before; `None`: nobody can tell.
    spent: Option<u32>,
    verdict: Verdict,
    claim: Claim,
}

const GOOD: Answers = Answers { spent: Some(0), verdict: Verdict::Passed { at: NOW }, claim: Claim::New };

fn spend(spends: &[Spend], before: u32) -> Spent {
    let mut buckets = vec![Bucket::default(); spends.len()];
    for _ in 0..before {
        let _ = settle(&mut buckets, spends, 1, 0);
    }
    Spent { levels: settle(&mut buckets, spends, 1, 0), shared: false }
}

fn refused(denial: &Denial) -> String {
    let reason = denial.refusal.reason;
    let retry = denial.retry_after_s.map(|s| format!(", again after {s} s")).unwrap_or_default();
    let rule = denial.rule.unwrap_or("-");
    format!("{} {} ({}, rule {rule}{retry})", reason.status(), reason.code(), denial.refusal.detail)
}

/// Answers every duty, and tells what was asked and what came of it.
fn told(decision: Decision, answers: Answers) -> String {
    let Decision { mut step, mut facts } = decision;
    let mut said = Vec::new();
    loop {
        let next = match step {
            Step::Ask(Duty::Spend(unspent)) => {
                said.push(format!("spends {}", unspent.spends().len()));
                let spent = answers.spent.map(|before| spend(unspent.spends(), before));
                unspent.answered(spent, &mut facts)
            }
            Step::Ask(Duty::Captcha(unverified)) => {
                said.push(format!("asks about {}", unverified.response().text));
                unverified.answered(answers.verdict, &mut facts)
            }
            Step::Ask(Duty::Claim(unclaimed)) => {
                said.push("claims".to_owned());
                unclaimed.answered(answers.claim, NOW, &mut facts)
            }
            Step::Permit(_) => {
                said.push("permit".to_owned());
                break;
            }
            Step::Denied(denial) => {
                said.push(refused(&denial));
                break;
            }
            other => panic!("{other:?}"),
        };
        step = next.unwrap_or_else(Step::Denied);
    }
    let mut said = said.join(", ");
    for rule in facts.would_refuse.iter() {
        said.push_str(&format!(", {} would refuse", rule.name()));
    }
    said
}

fn ask(live: &Live, path: &str, response: Option<&str>, answers: Answers) -> String {
    told(Request::new("GET", path, &caller(response)).step(live), answers)
}

#[test]
fn limits_come_before_the_captcha_and_its_claim_is_last() {
    let live = club("enforce", "enforce");
    let all = ask(&live, "/club/member", Some("ok"), GOOD);
    assert_eq!(all, "spends 2, asks about ok, claims, permit");
    assert_eq!(ask(&live, "/club/x", Some("ok"), GOOD), "spends 2, permit");
    let missing = "403 captcha_required (captcha-missing, rule captcha)";
    assert_eq!(ask(&live, "/club/member", None, GOOD), missing);
    assert_eq!(ask(&live, "/club/member", Some(""), GOOD), missing);
    let odd = "403 captcha_invalid (captcha-odd-text, rule captcha)";
    assert_eq!(ask(&live, "/club/member", Some("a b"), GOOD), odd);
    // Who has no credential has an address all the same, or is one of those that have none.
    let anonymous = Request::new("GET", "/club/open", &Outgoing::default()).step(&live);
    let again = Request::new("GET", "/club/open", &Outgoing::default()).step(&live);
    assert_eq!(told(anonymous, GOOD), "spends 1, permit");
    let gone = Answers { spent: Some(1), ..GOOD };
    assert_eq!(
        told(again, gone),
        "spends 1, 429 rate_limited (limit-of-client, rule limits, again after 60 s)"
    );
}

#[test]
fn what_has_no_room_or_is_not_solved_is_refused() {
    let live = club("enforce", "enforce");
    let spent = |spent| ask(&live, "/club/member", Some("ok"), Answers { spent, ..GOOD });
    assert_eq!(spent(Some(2)), "spends 2, asks about ok, claims, permit");
    assert_eq!(
        spent(Some(3)),
        "spends 2, 429 rate_limited (limit-of-credential, rule limits, again after 3 s)"
    );
    assert_eq!(spent(None), "spends 2, 503 unavailable (limits-unknown, rule limits)");
    let said = |verdict| ask(&live, "/club/member", Some("ok"), Answers { verdict, ..GOOD });
    for verdict in [Verdict::Failed("why"), Verdict::Unavailable("why")] {
        assert_eq!(said(verdict), "spends 2, asks about ok, 403 captcha_invalid (why, rule captcha)");
    }
    let claimed = |claim| ask(&live, "/club/member", Some("ok"), Answers { claim, ..GOOD });
    let used = "spends 2, asks about ok, claims, 403 captcha_invalid (captcha-used, rule captcha)";
    assert_eq!(claimed(Claim::Replayed), used);
    for claim in [Claim::Unavailable, Claim::TooLate { now: NOW }, Claim::Fenced { until: NOW }] {
        assert_eq!(claimed(claim), used.replace("captcha-used", "captcha-not-claimed"), "{claim:?}");
    }
}

#[test]
fn what_is_observed_refuses_nobody_and_what_is_off_asks_nobody() {
    let live = club("observe", "observe");
    let bad = Answers { spent: Some(3), verdict: Verdict::Failed("why"), claim: Claim::Replayed };
    assert_eq!(ask(&live, "/club/member", Some("ok"), GOOD), "spends 2, asks about ok, claims, permit");
    let both = "spends 2, asks about ok, permit, limits would refuse, captcha would refuse";
    assert_eq!(ask(&live, "/club/member", Some("ok"), bad), both);
    assert_eq!(
        ask(&live, "/club/member", None, bad),
        "spends 2, permit, limits would refuse, captcha would refuse"
    );
    assert_eq!(ask(&live, "/club/x", None, Answers { spent: None, ..GOOD }), "spends 2, permit");
    let replayed = Answers { claim: Claim::Replayed, ..GOOD };
    let seen = "spends 2, asks about ok, claims, permit, captcha would refuse";
    assert_eq!(ask(&live, "/club/member", Some("ok"), replayed), seen);
    let off = club("off", "off");
    assert_eq!(ask(&off, "/club/member", None, GOOD), "permit");
}
