//! What every check says about a request and a credential, proved or not: for whoever asks why.
use super::{Denial, Facts, Refusal, Stands, accepted, route};
use crate::checks::{self, Finding, Subject};
use crate::credential::{Credential, SchemeName};
use crate::policy::{Api, Mode, Policy, Route, Rule, Workspace};
use crate::reason::Reason;
use crate::request::RequestView;
use crate::schemes::{self, KeyPresented, Presented, Shown};
use crate::scope::{By, Granted};

/// What every check says, in their order.
#[derive(Debug)]
pub struct Walk<'p> {
    /// The API of the request.
    pub api: &'p Api,
    /// Its route.
    pub route: &'p Route,
    /// The workspace of the credential.
    pub workspace: &'p Workspace,
    /// How the credential was presented, or would be.
    pub scheme: SchemeName,
    /// What each check says.
    pub findings: Vec<Finding>,
}

/// The id that a request names; `None` where it names none, or where only a token does.
///
/// # Errors
/// No route takes it, or what it presents can't be read.
pub fn claimed_id(req: &RequestView<'_>, policy: &Policy) -> Result<Option<String>, Denial> {
    let (id, _) = route::find(req, policy, &mut Facts::default())?;
    let api = &policy.apis[policy.routes[id.0].api];
    let presented = schemes::detect(policy, api, req)?;
    Ok(presented.map(|p| p.id().to_owned()).filter(|id| !id.is_empty()))
}

/// Asks every check about a request of a credential. Nothing is proved: of a token only the credential is looked at. A
/// request that presents nothing is taken for one that presents the credential as it is meant to be.
///
/// # Errors
/// No route takes the request, what it presents can't be read, or the credential's workspace is not there.
pub fn walk<'p>(
    req: &RequestView<'_>,
    policy: &'p Policy,
    credential: &Credential,
) -> Result<Walk<'p>, Denial> {
    let (id, _) = route::find(req, policy, &mut Facts::default())?;
    let route = &policy.routes[id.0];
    let api = &policy.apis[route.api];
    let Some(workspace) = policy.workspaces.get(&*credential.workspace) else {
        return Err(Refusal::new(Reason::CredentialInvalid, "no-workspace").into());
    };
    let shown = schemes::detect(policy, api, req)?;
    let there = shown.is_some();
    let mut presented = shown.unwrap_or_else(|| assumed(credential));
    if presented.scheme == SchemeName::Bearer {
        presented.dialect = credential.dialect;
    }
    let role = workspace.role_scopes(credential);
    let subject = Subject {
        req,
        policy,
        api,
        route,
        presented: &presented,
        credential,
        workspace,
        rules: api.rules(&workspace.id),
        granted: Granted {
            rule: presented.dialect.scopes,
            by: if presented.scheme == SchemeName::Bearer { By::Token(None) } else { By::Key },
            credential: &credential.scopes,
            role: credential.role().map(|_| role.map(|all| &**all).unwrap_or_default()),
        },
    };
    let scheme = there.then(|| accepted::accepted(&presented, route, api));
    let mut findings = vec![
        Finding { name: "scheme", mode: Mode::Enforce, stands: None, found: scheme },
        signed(&subject, there),
    ];
    findings.extend(checks::walk(&subject));
    // What is asked outside is not asked here.
    let of =
        |rule: Rule, mode, stands| Finding { name: rule.name(), mode, stands: Some(stands), found: None };
    let asked = [(Rule::Limits, subject.rules.limits.is_some()), (Rule::Captcha, route.captcha)];
    for (rule, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        findings.push(of(rule, subject.rules.mode(rule), Stands::Policy));
    }
    if credential.limit().is_some() {
        findings.push(of(Rule::Limits, Mode::Enforce, Stands::Credential));
    }
    Ok(Walk { api, route, workspace, scheme: presented.scheme, findings })
}

/// Whether the request has to be signed, and is.
fn signed(s: &Subject<'_>, there: bool) -> Finding {
    let mode = s.api.signatures(s.workspace);
    let scheme = s.presented.scheme;
    let signs = if there { !s.presented.can_be_used_again() } else { scheme.signs() };
    let key = !signs && scheme != SchemeName::Publishable;
    let found = match key {
        true => Err(accepted::signature_required(s.api, "signatures-enforced-here")),
        false => Ok(()),
    };
    let found = (mode != Mode::Off).then_some(found);
    Finding { name: Rule::Signatures.name(), mode, stands: Some(Stands::Policy), found }
}

/// The credential as it is meant to be presented.
fn assumed(credential: &Credential) -> Presented<'_> {
    let secret = (!credential.plain_key).then_some(&b""[..]);
    let shown = Shown::Key(KeyPresented { id: &credential.id, secret });
    Presented { scheme: credential.scheme(), dialect: credential.dialect, shown }
}
