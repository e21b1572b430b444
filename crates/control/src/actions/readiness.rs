//! What breaks if a rule is enforced now: whose calls it would have refused while it was observed.
use super::enforcement::{mode, pairs};
use super::view::instant;
use super::{Desk, Error};
use doorward_core::observed::Sample;
use doorward_core::policy::{Api, Mode, Policy, Rule, Workspace, compile};
use doorward_core::time::UnixMillis;
use doorward_store::Observation;
use serde::Serialize;

/// Credentials read at a time.
const PAGE: usize = 1_000;
/// Clocks of nodes differ: so much earlier than observation began, a call still counts, in milliseconds.
const CLOCKS_DIFFER_MS: i64 = 60_000;
/// What stands for callers without a credential in the place of an id and of a kind.
pub const ANONYMOUS: &str = "anonymous";

/// A rule for a workspace at an API.
#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    /// The workspace.
    pub workspace: String,
    /// The API.
    pub api: String,
    /// The rule, as events name it.
    pub rule: &'static str,
    /// `off`: nothing is counted. `observe`: it is. `enforce`: it refuses already.
    pub mode: &'static str,
    /// Since when it has been counted.
    #[serde(serialize_with = "instant")]
    pub since: Option<UnixMillis>,
    /// Whether nobody would be refused whose credential is good; `None` where nothing is counted.
    pub ready: Option<bool>,
    /// How many credentials would be refused that are not refused anyway; callers without one count as one.
    pub would_be_refused: usize,
    /// How many have signed, and done nothing else, where the rule is that requests must be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_only: Option<usize>,
    /// Those whose calls it would have refused, in the order of their ids.
    pub credentials: Vec<Caller>,
}

/// A credential whose calls a rule would have refused.
#[derive(Clone, Debug, Serialize)]
pub struct Caller {
    /// Its id, or its pseudonym where the id opens doors by itself.
    pub credential: String,
    /// For people.
    pub name: String,
    /// `server`, `client`, `integration` ...; `anonymous` for all callers without a credential together.
    pub kind: &'static str,
    /// `active` or `blocked`.
    pub status: &'static str,
    /// Whether it opens nothing any more, since it is expired or blocked.
    pub refused_anyway: bool,
    /// Whether it has something to sign with; if not, its owner needs another secret, or another credential.
    pub can_sign: bool,
    /// How often it was let through, since the first time.
    pub calls: u64,
    /// The first time.
    #[serde(serialize_with = "instant")]
    pub first_at: Option<UnixMillis>,
    /// The last time.
    #[serde(serialize_with = "instant")]
    pub last_at: Option<UnixMillis>,
    /// When it last signed, where the rule is that requests must be signed.
    #[serde(serialize_with = "instant")]
    pub signed_at: Option<UnixMillis>,
    /// The newest of its calls.
    pub samples: Vec<Call>,
}

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// When.
    #[serde(serialize_with = "instant")]
    pub at: Option<UnixMillis>,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The caller's address, where it was known.
    pub client: Option<String>,
}

/// Every rule that is observed for a workspace at an API, and of signatures also where they are enforced or only accepted;
/// or those of them that are asked for.
///
/// # Errors
/// There is no such workspace or API, the policy in the store has a mistake, or the store fails.
pub async fn report(
    desk: Desk<'_>,
    workspace: Option<&str>,
    api: Option<&str>,
    rule: Option<Rule>,
) -> Result<Vec<Readiness>, Error> {
    let policy = compile(&desk.store.policy().await?, None).map_err(Error::Policy)?;
    known(&policy, workspace, api)?;
    let asked =
        |w: &Workspace, a: &Api| workspace.is_none_or(|id| w.id == id) && api.is_none_or(|id| a.id == id);
    let mut all = Vec::new();
    for (w, a) in pairs(&policy).filter(|(w, a)| asked(w, a)) {
        for of in Rule::ALL.iter().copied().filter(|of| rule.is_none_or(|rule| rule == *of)) {
            let mode = mode(of, w, a);
            let told = match of {
                Rule::Signatures => !a.signing.is_empty(),
                _ => mode == Mode::Observe,
            };
            if !told {
                continue;
            }
            let nothing = Readiness {
                workspace: w.id.clone(),
                api: a.id.clone(),
                rule: of.name(),
                mode: mode.name(),
                since: None,
                ready: None,
                would_be_refused: 0,
                signing_only: (of == Rule::Signatures).then_some(0),
                credentials: Vec::new(),
            };
            let mut told = if mode == Mode::Observe { counted(desk, of, nothing).await? } else { nothing };
            // Without a credential only the limit of addresses holds, and one for all workspaces of the API.
            let observed = of == Rule::Limits && matches!(a.anonymous, Some((_, Mode::Observe)));
            if observed && mode == Mode::Observe {
                anonymous(desk, of, &mut told).await?;
            }
            all.push(told);
        }
    }
    Ok(all)
}

fn known(policy: &Policy, workspace: Option<&str>, api: Option<&str>) -> Result<(), Error> {
    if let Some(id) = workspace.filter(|id| !policy.workspaces.contains_key(*id)) {
        return Err(Error::UnknownWorkspace(id.to_owned()));
    }
    match api.filter(|id| !policy.apis.iter().any(|a| a.id == *id)) {
        Some(id) => Err(Error::UnknownApi(id.to_owned())),
        None => Ok(()),
    }
}

/// Adds what was counted.
async fn counted(desk: Desk<'_>, rule: Rule, mut of: Readiness) -> Result<Readiness, Error> {
    let since = desk.store.observed_since(&of.workspace, &of.api, rule).await?;
    let (mut last, mut first) = (None::<String>, None);
    loop {
        let page =
            desk.store.observed_page(&of.workspace, &of.api, rule, last.as_deref(), PAGE as i64).await?;
        for one in &page {
            let seen = &one.refused;
            // What was seen when it was observed before says nothing about now.
            let now = |at: Option<UnixMillis>| {
                at.filter(|at| since.is_none_or(|since| at.0 >= since.0.saturating_sub(CLOCKS_DIFFER_MS)))
            };
            if now(seen.last_at).is_some() {
                first = [first, seen.first_at].into_iter().flatten().min();
                of.credentials.push(caller(desk, one));
            } else if now(one.signed_at).is_some() {
                of.signing_only = of.signing_only.map(|n| n + 1);
            }
        }
        if page.len() < PAGE {
            break;
        }
        last = page.last().map(|one| one.stored.credential.id.to_string());
    }
    of.would_be_refused = of.credentials.iter().filter(|c| !c.refused_anyway).count();
    of.ready = Some(of.would_be_refused == 0);
    of.since = since.or(first);
    Ok(of)
}

/// Adds callers without a credential: all of them as one.
async fn anonymous(desk: Desk<'_>, rule: Rule, of: &mut Readiness) -> Result<(), Error> {
    let Some(seen) = desk.store.observed_anonymous(&of.api, rule).await? else { return Ok(()) };
    let Some(last) = seen.last_at else { return Ok(()) };
    if of.since.is_some_and(|since| last.0 < since.0.saturating_sub(CLOCKS_DIFFER_MS)) {
        return Ok(());
    }
    of.since = of.since.or(seen.first_at);
    of.would_be_refused += 1;
    of.ready = Some(false);
    of.credentials.push(Caller {
        credential: ANONYMOUS.to_owned(),
        name: String::new(),
        kind: ANONYMOUS,
        status: doorward_core::credential::Status::Active.name(),
        refused_anyway: false,
        can_sign: false,
        calls: seen.calls,
        first_at: seen.first_at,
        last_at: seen.last_at,
        signed_at: None,
        samples: seen.samples.iter().map(call).collect(),
    });
    Ok(())
}

fn caller(desk: Desk<'_>, one: &Observation) -> Caller {
    let c = &one.stored.credential;
    let expired = c.expires_at.is_some_and(|at| at <= desk.now);
    let seen = &one.refused;
    Caller {
        credential: c.label().to_owned(),
        name: c.name.to_string(),
        kind: c.kind.name(),
        status: c.status.name(),
        refused_anyway: expired || c.status != doorward_core::credential::Status::Active,
        can_sign: one.can_sign && c.scheme().signs(),
        calls: seen.calls,
        first_at: seen.first_at,
        last_at: seen.last_at,
        signed_at: one.signed_at,
        samples: seen.samples.iter().map(call).collect(),
    }
}

fn call(sample: &Sample) -> Call {
    Call {
        at: Some(sample.at),
        method: sample.method.to_string(),
        path: sample.path.to_string(),
        client: sample.client.as_deref().map(str::to_owned),
    }
}
