//! `doorward explain --checks`: what each check says about a request and a credential.
use super::super::print;
use super::policy_in;
use crate::Failure;
use crate::cli::{Explain, Rules};
use doorward_core::checks::Finding;
use doorward_core::credential::SchemeName;
use doorward_core::decide::{self, Denial, Stands, Walk};
use doorward_core::policy::Mode;
use doorward_core::request::RequestView;
use serde::Serialize;

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
}

/// Walks the checks.
///
/// # Errors
/// What can't be read, or the store's.
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
    let all = All {
        api: &walk.api.id,
        route: walk.route.template.as_str(),
        workspace: &walk.workspace.id,
        credential: credential.label(),
        scheme: walk.scheme.name(),
        checks: walk.findings.iter().map(|finding| told(&walk, finding)).collect(),
    };
    if options.output.json {
        return Ok(print::json(&all)?);
    }
    print::line(format_args!(
        "{} at {}, as {} of {} ({})",
        all.route, all.api, all.credential, all.workspace, all.scheme
    ))?;
    if walk.scheme == SchemeName::Bearer {
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
    Ok(())
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
            (None, _) => "not_asked",
            (Some(Ok(())), _) => "passes",
            (Some(Err(_)), Mode::Observe) => "would_refuse",
            (Some(Err(_)), _) => "refuses",
        },
        code: refusal.map(|refusal| refusal.reason.code()),
        detail: refusal.map(|refusal| refusal.detail),
        note: refusal.and_then(|refusal| refusal.note.as_deref()),
    }
}
