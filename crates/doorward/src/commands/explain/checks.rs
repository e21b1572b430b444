//! `doorward explain --checks`: what each check says about a request and a credential.
use super::super::{Said, print};
use super::policy_in;
use crate::Failure;
use crate::cli::{Explain, Rules};
use doorward_core::checks::Finding;
use doorward_core::credential::SchemeName;
use doorward_core::decide::{self, Denial, Stands, Walk};
use doorward_core::policy::Mode;
use doorward_core::request::RequestView;
use serde::Serialize;
use std::io;

/// What one check says, as JSON.
#[derive(Serialize)]
struct Told<'a> {
    check: &'static str,
    mode: &'static str,
    /// Where the rule stands.
    policy: Option<String>,
    /// `passes`, `refuses`, `would_refuse`, `off`, or `not_asked`.
    found: &'static str,
    code: Option<&'static str>,
    detail: Option<&'static str>,
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct All<'a> {
    api: &'a str,
    route: &'a str,
    workspace: &'a str,
    credential: &'a str,
    scheme: &'static str,
    checks: Vec<Told<'a>>,
    verdict: Verdict,
}

/// What comes of all of them.
#[derive(Serialize)]
struct Verdict {
    /// Whether some check refuses.
    refused: bool,
    /// What callers are told.
    code: Option<&'static str>,
    /// The check that refuses, the first of several.
    check: Option<&'static str>,
    policy: Option<String>,
    /// The rules that would refuse, were they enforced.
    would_refuse: Vec<&'static str>,
    /// The rules that are asked while the request is served.
    not_asked: Vec<&'static str>,
}

impl Verdict {
    fn of(checks: &[Told<'_>]) -> Verdict {
        let with = |found: &str| {
            let mut all: Vec<_> = checks.iter().filter(|c| c.found == found).map(|c| c.check).collect();
            // A policy's and the credential's own go by one name.
            all.dedup();
            all
        };
        let refusing = checks.iter().find(|c| c.found == REFUSES);
        Verdict {
            refused: refusing.is_some(),
            code: refusing.and_then(|c| c.code),
            check: refusing.map(|c| c.check),
            policy: refusing.and_then(|c| c.policy.clone()),
            would_refuse: with(WOULD_REFUSE),
            not_asked: with(NOT_ASKED),
        }
    }

    /// In one line.
    fn told(&self) -> String {
        let place = self.policy.as_ref().map(|place| format!(" of {place}")).unwrap_or_default();
        if let (Some(code), Some(check)) = (self.code, self.check) {
            return format!("verdict: refused with {code}, by {check}{place}");
        }
        let mut told = "verdict: no check refuses it".to_owned();
        if !self.would_refuse.is_empty() {
            told.push_str(&format!("; {} would, if enforced", self.would_refuse.join(", ")));
        }
        if !self.not_asked.is_empty() {
            told.push_str(&format!("; still asked when it is served: {}", self.not_asked.join(", ")));
        }
        told
    }
}

const REFUSES: &str = "refuses";
const WOULD_REFUSE: &str = "would_refuse";
const NOT_ASKED: &str = "not_asked";

/// Walks the checks.
///
/// # Errors
/// [`Said`]: a check refuses, which was printed. Or what can't be read, or the store's.
pub(super) async fn run(options: &Explain, req: &RequestView<'_>) -> Result<(), Failure> {
    let Rules::Stored(place) = options.rules() else {
        return Err("the checks need a store: say --data or --config".into());
    };
    let (opened, policy) = policy_in(&place).await?;
    let refused =
        |denial: Denial| format!("the request is refused before anybody is looked up: {}", denial.refusal);
    let id = match &options.credential {
        Some(id) => Some(id.clone()),
        None => decide::claimed_id(req, &policy).map_err(refused)?,
    };
    let id = id.ok_or("the request names no credential, or names it in a token, which is not read here; say whose it is, with --credential")?;
    let stored = opened.store.credential(&id).await?;
    let credential = stored.ok_or_else(|| format!("there is no credential `{id}`"))?.credential;
    let walk = decide::walk(req, &policy, &credential).map_err(refused)?;
    let checks: Vec<_> = walk.findings.iter().map(|finding| told(&walk, finding)).collect();
    let all = All {
        api: &walk.api.id,
        route: walk.route.template.as_str(),
        workspace: &walk.workspace.id,
        credential: credential.label(),
        scheme: walk.scheme.name(),
        verdict: Verdict::of(&checks),
        checks,
    };
    if options.output.json {
        print::json(&all)?;
    } else {
        lines(&all, walk.scheme)?;
    }
    if all.verdict.refused { Err(Said.into()) } else { Ok(()) }
}

/// All of it, for people.
fn lines(all: &All<'_>, scheme: SchemeName) -> io::Result<()> {
    print::line(format_args!(
        "{} at {}, as {} of {} ({})",
        all.route, all.api, all.credential, all.workspace, all.scheme
    ))?;
    if scheme == SchemeName::Bearer {
        print::line(
            "  The token itself is not read here: its scope, its end and whether it was revoked. See `doorward token introspect`.",
        )?;
    }
    for c in &all.checks {
        let place = c.policy.as_ref().map(|place| format!(", of {place}")).unwrap_or_default();
        let code = c.code.zip(c.detail).map(|(code, detail)| format!(" {code} ({detail}{place})"));
        let note = c.note.map(|note| format!(": {note}")).unwrap_or_default();
        let found = c.found.replace('_', " ");
        print::line(format_args!("  {:<11} {found}{}{note}", c.check, code.unwrap_or_default()))?;
    }
    print::line(all.verdict.told())
}

fn told<'a>(walk: &Walk<'_>, finding: &'a Finding) -> Told<'a> {
    let refusal = finding.found.as_ref().and_then(|found| found.as_ref().err());
    let policy = finding.stands.map(|stands| match stands {
        Stands::Policy => format!("{}/{}", walk.workspace.id, walk.api.id),
        Stands::Credential => "credential".to_owned(),
    });
    Told {
        check: finding.name,
        mode: finding.mode.name(),
        policy,
        found: match (&finding.found, finding.mode) {
            (_, Mode::Off) => "off",
            (None, _) => NOT_ASKED,
            (Some(Ok(())), _) => "passes",
            (Some(Err(_)), Mode::Observe) => WOULD_REFUSE,
            (Some(Err(_)), _) => REFUSES,
        },
        code: refusal.map(|refusal| refusal.reason.code()),
        detail: refusal.map(|refusal| refusal.detail),
        note: refusal.and_then(|refusal| refusal.note.as_deref()),
    }
}
