//! The same about what is asked outside: captchas and limits, by their modes and by what was answered.
use super::{Call, MODES, call, put, world};
use crate::{NOW, heading};
use doorward_core::captcha::Verdict;
use doorward_core::credential::{Credential, OwnRules};
use doorward_core::decide::{Decision, Duty, Step};
use doorward_core::limits::{Level, Spent};
use doorward_core::live::Live;
use doorward_core::ports::Claim;
use doorward_core::reason::Reason;
use doorward_core::time::UnixMillis;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What is said by whoever is asked outside.
struct Outside {
    captcha: Option<Verdict>,
    claim: Claim,
    /// Whether limits have room; `None`: nobody can tell.
    room: Option<bool>,
}

impl Outside {
    /// Goes on with what is said until it is settled.
    fn settle(&self, call: &Call<'_>, live: &Live, seen: &mut BTreeSet<Reason>) -> String {
        let mut r = call.request();
        if self.captcha.is_some() {
            r.more.push(("captcharesponse", "solved"));
        }
        let Decision { mut step, mut facts } = r.step(live);
        let mut asked = String::new();
        loop {
            let (who, next) = match step {
                Step::Ask(Duty::Spend(unspent)) => {
                    let level = |room| Level { room, remaining: 0, full_in_ms: 60_000, next_in_ms: 1_000 };
                    let levels = |room| unspent.spends().iter().map(|_| level(room)).collect();
                    let spent = self.room.map(|room| Spent { levels: levels(room), shared: false });
                    ("limits", unspent.answered(spent, &mut facts))
                }
                Step::Ask(Duty::Captcha(unverified)) => {
                    let verdict = self.captcha.unwrap();
                    ("captcha", unverified.answered(verdict, &mut facts))
                }
                Step::Ask(Duty::Claim(unclaimed)) => {
                    ("ledger", unclaimed.answered(self.claim, call.now, &mut facts))
                }
                other => {
                    step = other;
                    break;
                }
            };
            let _ = write!(asked, "{}{who}", if asked.is_empty() { "asks " } else { ", " });
            step = next.unwrap_or_else(Step::Denied);
        }
        let mut said = match &step {
            Step::Permit(_) => "pass".to_owned(),
            Step::Denied(denial) => {
                seen.insert(denial.refusal.reason);
                format!("{} ({})", denial.refusal.reason.code(), denial.refusal.detail)
            }
            other => panic!("{other:?}"),
        };
        for rule in facts.would_refuse.iter() {
            let _ = write!(said, ", {} would refuse it", rule.name());
        }
        if asked.is_empty() { said } else { format!("{said}; {asked}") }
    }
}

pub(super) fn captchas(table: &mut String, seen: &mut BTreeSet<Reason>) {
    heading(table, "GET /solve: it asks for a licence and a captcha, in this order; by their modes");
    let passed = Some(Verdict::Passed { at: NOW });
    let outside = [
        ("missing", None, Claim::New),
        ("solved", passed, Claim::New),
        ("used before", passed, Claim::Replayed),
        ("too old", passed, Claim::TooLate { now: NOW }),
        ("no ledger", passed, Claim::Unavailable),
        ("wrong", Some(Verdict::Failed("captcha-refused")), Claim::New),
        ("verifier away", Some(Verdict::Unavailable("captcha-verifier-away")), Claim::New),
    ];
    for captcha in MODES {
        for licences in MODES {
            let live = world("", &format!("captcha = \"{captcha}\"\nlicences = \"{licences}\""));
            put(&live, "key", &[], None, None);
            for (licence, now) in [("licence", NOW), ("none", UnixMillis::parse("1970-01-20").unwrap())] {
                for (name, verdict, claim) in &outside {
                    // One line tells all there is where neither matters.
                    if (licences == "off" && licence == "none") || (captcha == "off" && *name != "missing") {
                        continue;
                    }
                    let outside = Outside { captcha: *verdict, claim: *claim, room: None };
                    let call = Call { now, ..call("key", "/solve") };
                    let said = outside.settle(&call, &live, seen);
                    let _ = writeln!(
                        table,
                        "captcha {captcha:<8} licences {licences:<8} {licence:<8} {name:<14} {said}"
                    );
                }
            }
        }
    }
}

pub(super) fn limits(table: &mut String, seen: &mut BTreeSet<Reason>) {
    heading(table, "GET /free: limits, by their mode and by what is left of them");
    for mode in MODES {
        for own in [false, true] {
            let rules =
                format!("limits = {{ mode = \"{mode}\", workspace = {{ requests = 6, per_s = 60 }} }}");
            let live = world("", &rules);
            put(&live, "key", &[], None, None);
            if own {
                let key = Credential::clone(&live.directory.get("key").unwrap());
                let limit = Some(doorward_core::policy::Limit::new(1, 60, 1).unwrap());
                live.directory.put(key.with_own(OwnRules { limit, ..OwnRules::default() }));
            }
            for (name, room) in [("room", Some(true)), ("none left", Some(false)), ("nobody knows", None)] {
                let outside = Outside { captcha: None, claim: Claim::New, room };
                let said = outside.settle(&call("key", "/free"), &live, seen);
                let own = if own { "own limit" } else { "none" };
                let _ = writeln!(table, "{mode:<8} credential {own:<10} {name:<13} {said}");
            }
        }
    }
}
