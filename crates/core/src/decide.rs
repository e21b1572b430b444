//! The machine: who is calling, and may they do this, from here, now? All control flow of a decision is here.
//!
//! Nothing is forwarded without a [`Permit`], and only this module makes one.
use crate::checks::{CHECKS, Subject};
use crate::credential::{Credential, Environment, SchemeName};
use crate::dialect::{Dialect, ErrorStyle};
use crate::directory::Directory;
use crate::origin::Origin;
use crate::path;
use crate::policy::{Api, Policy, Route, RouteId, Upstream, Workspace, host_name};
use crate::reason::Reason;
pub use crate::refusal::Refusal;
use crate::request::{Lookup, PlainHttp, RequestView, Transport};
use crate::schemes::{self, Presented};
use crate::secret::Keys;
use std::sync::Arc;

/// Whether this node may decide at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Its directory is fresh enough.
    Held,
    /// It has not heard from the store for too long.
    Lapsed,
}

/// What everything about one decision knows of the request, whatever comes out.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The route, once it was found; for `method_not_allowed`, one of the path's.
    pub route: Option<RouteId>,
    /// The shape of errors, where some API's is called for.
    pub style: Option<ErrorStyle>,
    /// What was presented.
    pub presented: Option<(SchemeName, &'static Dialect)>,
    /// Who proved to call, even where it was refused later.
    pub credential: Option<Arc<Credential>>,
    /// Whether the credential was proved over plain HTTP.
    pub exposed: bool,
    /// Whether the id alone was the proof.
    pub weak: bool,
    /// Whether a page of the request's origin may read the answer.
    pub readable: bool,
    /// Whether that depends on the origin at all.
    pub by_origin: bool,
}

/// The permission to forward one request.
#[derive(Debug)]
pub struct Permit {
    upstream: Arc<Upstream>,
    workspace: Option<Arc<Workspace>>,
}

impl Permit {
    /// Where the request goes.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }
    /// The caller's workspace; `None` for callers without a credential.
    #[must_use]
    pub fn workspace(&self) -> Option<&Arc<Workspace>> {
        self.workspace.as_ref()
    }
}

/// A refused request.
#[derive(Debug)]
pub struct Denial {
    /// Why.
    pub refusal: Refusal,
    /// The check that said no; `None` where it was the machine itself.
    pub rule: Option<&'static str>,
    /// The methods that the path takes, for `method_not_allowed`.
    pub allow: Vec<String>,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Denial {
        Denial { refusal, rule: None, allow: Vec::new() }
    }
}

/// The answer to a preflight (Fetch standard, "CORS-preflight request"): it is given here and never forwarded.
#[derive(Debug, PartialEq, Eq)]
pub struct Preflight {
    /// The methods that pages may use.
    pub methods: Vec<String>,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Step {
    /// Forward it.
    Permit(Permit),
    /// Answer the preflight.
    Preflight(Preflight),
    /// Send the caller to the same address over HTTPS.
    Redirect,
    /// Refuse it.
    Denied(Denial),
}

/// A decision: what to do, and what is known.
#[derive(Debug)]
pub struct Decision {
    /// What to do.
    pub step: Step,
    /// What is known.
    pub facts: Facts,
}

/// What decisions are made from.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The policy in force.
    pub policy: &'a Policy,
    /// All credentials.
    pub directory: &'a Directory,
    /// The keys.
    pub keys: &'a Keys,
    /// Whether this node may decide.
    pub lease: Lease,
}

/// Decides about one request.
#[must_use]
pub fn start(req: &RequestView<'_>, world: World<'_>) -> Decision {
    let mut facts = Facts::default();
    let step = judge(req, world, &mut facts);
    let step = match req.transport {
        Transport::Secure => step,
        Transport::Plain(mode) => {
            facts.exposed = facts.credential.is_some();
            over_plain_http(mode, step)
        }
    };
    Decision { step: step.unwrap_or_else(Step::Denied), facts }
}

fn judge(req: &RequestView<'_>, world: World<'_>, facts: &mut Facts) -> Result<Step, Denial> {
    if world.lease == Lease::Lapsed {
        return Err(Refusal::new(Reason::Unavailable, "directory-stale").into());
    }
    let (route_id, asked) = find(req, world.policy, facts)?;
    let route = &world.policy.routes[route_id.0];
    let api = &world.policy.apis[route.api];
    (facts.route, facts.style) = (Some(route_id), Some(api.dialect.errors));
    facts.by_origin = route.client_side;
    // Pages may read answers, refusals included, where some key of the route is meant for their origin.
    facts.readable =
        route.client_side && origin_of(req).is_some_and(|o| world.directory.lets_in(&o, |w| api.serves(w)));
    if let Asked::Preflight(methods) = asked {
        if !facts.readable {
            return Err(Refusal::new(Reason::OriginDenied, "preflight-origin").into());
        }
        return Ok(Step::Preflight(Preflight { methods }));
    }
    let Some(presented) = schemes::detect(&world.policy.dialects, req)? else {
        return if route.public { anonymous(api) } else { Err(missing(api)) };
    };
    facts.presented = Some((presented.scheme, presented.dialect));
    accepted(&presented, route, api)?;
    let (credential, workspace) = prove(&presented, world, api)?;
    facts.weak = presented.key.secret.is_none();
    facts.credential = Some(Arc::clone(&credential));
    let subject = Subject {
        req,
        policy: world.policy,
        api,
        presented: &presented,
        credential: &credential,
        workspace: &workspace,
    };
    for check in CHECKS {
        (check.run)(&subject).map_err(|refusal| Denial {
            refusal,
            rule: Some(check.name),
            allow: Vec::new(),
        })?;
    }
    match api.upstream(workspace.environment) {
        Some(upstream) => {
            Ok(Step::Permit(Permit { upstream: Arc::clone(upstream), workspace: Some(workspace) }))
        }
        None => Err(Refusal::new(Reason::CredentialInvalid, "environment-not-served").into()),
    }
}

/// Plain HTTP outweighs everything but what can't be read in one way only.
fn over_plain_http(mode: PlainHttp, step: Result<Step, Denial>) -> Result<Step, Denial> {
    let unreadable =
        |d: &Denial| matches!(d.refusal.reason, Reason::RequestAmbiguous | Reason::CredentialAmbiguous);
    match mode {
        PlainHttp::Serve => step,
        _ if step.as_ref().is_err_and(unreadable) => step,
        PlainHttp::Redirect => Ok(Step::Redirect),
        PlainHttp::Refuse => Err(Refusal::new(Reason::InsecureTransport, "plain-http").into()),
    }
}

enum Asked {
    Request,
    Preflight(Vec<String>),
}

fn origin_of(req: &RequestView<'_>) -> Option<Origin> {
    match req.field("origin") {
        Lookup::One(value) => Origin::parse(value),
        _ => None,
    }
}

/// The method that a preflight asks about.
fn preflight_for<'a>(req: &RequestView<'a>) -> Option<&'a [u8]> {
    match req.field("access-control-request-method") {
        Lookup::One(method) if req.field("origin") != Lookup::Absent => Some(method),
        _ => None,
    }
}

#[cold]
fn ambiguous(detail: &'static str, note: &str) -> Denial {
    Refusal::new(Reason::RequestAmbiguous, detail).saying(note).into()
}

/// The one route that this request is for.
fn find(req: &RequestView<'_>, policy: &Policy, facts: &mut Facts) -> Result<(RouteId, Asked), Denial> {
    if !req.path.starts_with(b"/") {
        return Err(Refusal::new(Reason::RouteUnknown, "no-path").into());
    }
    let host = if policy.table.hosts_matter() { host_name(req.host) } else { String::new() };
    let found = only_route(req.path, &host, policy).inspect_err(|_| {
        facts.style = policy.table.style_near(&host, req.path);
    })?;
    facts.route = found.first().copied();
    facts.style = facts.route.map(|r| policy.apis[policy.routes[r.0].api].dialect.errors);
    let taking = |method: &[u8]| found.iter().copied().find(|r| policy.routes[r.0].methods.has(method));
    let all = || {
        let mut names: Vec<String> =
            found.iter().flat_map(|r| policy.routes[r.0].methods.names()).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let wanted = if req.method == b"OPTIONS" { preflight_for(req) } else { None };
    let refused = || {
        let allow = all();
        let method = String::from_utf8_lossy(wanted.unwrap_or(req.method));
        let note = format!("{method} is not allowed here; {} is.", allow.join(" or "));
        Denial { allow, ..Denial::from(Refusal::new(Reason::MethodNotAllowed, "method").saying(note)) }
    };
    match wanted {
        None => Ok((taking(req.method).ok_or_else(refused)?, Asked::Request)),
        Some(method) => {
            let route = taking(method).ok_or_else(refused)?;
            let open = found.iter().filter(|r| policy.routes[r.0].client_side);
            let mut methods: Vec<String> =
                open.flat_map(|r| policy.routes[r.0].methods.names()).map(str::to_owned).collect();
            methods.sort_unstable();
            Ok((route, Asked::Preflight(methods)))
        }
    }
}

/// The routes of a path, which every reader must take for the same.
fn only_route<'p>(path: &[u8], host: &str, policy: &'p Policy) -> Result<&'p [RouteId], Denial> {
    let odd = path::oddities(path);
    let found = policy.table.as_sent(host, path);
    let rules =
        found.first().map_or_else(path::PathRules::default, |r| policy.apis[policy.routes[r.0].api].paths);
    if let Some(fact) = odd.against(rules) {
        return Err(ambiguous(fact, path::sentence(fact)));
    }
    if odd.readings_differ && policy.table.as_read_leniently(host, path) != found {
        return Err(ambiguous(
            "path-two-routes",
            "The path leads to different routes before and after decoding.",
        ));
    }
    if found.is_empty() {
        return Err(Refusal::new(Reason::RouteUnknown, "no-route").into());
    }
    Ok(found)
}

/// Without a credential, a public route leads to production.
fn anonymous(api: &Api) -> Result<Step, Denial> {
    match api.upstream(Environment::Production) {
        Some(upstream) => Ok(Step::Permit(Permit { upstream: Arc::clone(upstream), workspace: None })),
        None => Err(Refusal::new(Reason::RouteUnknown, "no-public-upstream").into()),
    }
}

/// Nothing was presented: says what would be.
#[cold]
fn missing(api: &Api) -> Denial {
    let refusal = Refusal::new(Reason::CredentialMissing, "nothing-presented");
    match ways(api) {
        Some(ways) => refusal.saying(format!("This API expects {ways}.")).into(),
        None => refusal.into(),
    }
}

/// How an API takes credentials.
#[cold]
fn ways(api: &Api) -> Option<String> {
    let mut ways = Vec::new();
    for dialect in &api.names {
        for scheme in &api.schemes {
            let form = match scheme {
                SchemeName::ApiKey => dialect.api_key,
                SchemeName::Publishable => dialect.publishable,
                SchemeName::Escher => None,
            };
            ways.extend(form.and_then(|f| f.describe(!api.plain_key.is_empty())));
        }
    }
    (!ways.is_empty()).then(|| ways.join(", or "))
}

#[cold]
fn not_accepted(api: &Api, detail: &'static str, note: &str) -> Refusal {
    let expected = ways(api).map(|ways| format!(" It expects {ways}.")).unwrap_or_default();
    Refusal::new(Reason::SchemeNotAccepted, detail).saying(format!("{note}{expected}"))
}

/// Whether the route takes this kind of credential at all: decided before anybody is looked up.
fn accepted(presented: &Presented<'_>, route: &Route, api: &Api) -> Result<(), Refusal> {
    let not = |detail, note| Err(not_accepted(api, detail, note));
    if !api.names.iter().any(|d| d.name == presented.dialect.name) || !api.schemes.contains(&presented.scheme)
    {
        return not("scheme-not-of-this-api", "This API does not take credentials sent this way.");
    }
    if presented.scheme == SchemeName::Publishable && !route.client_side {
        return not("not-client-side", "Publishable keys do not reach this route; call it from a server.");
    }
    if presented.key.secret.is_none() && api.plain_key.is_empty() {
        return not("plain-key-off", "This API does not take an id without a proof.");
    }
    Ok(())
}

/// Who calls. Unknown and wrong are the same: the same steps, the same answer.
fn prove(
    presented: &Presented<'_>,
    world: World<'_>,
    api: &Api,
) -> Result<(Arc<Credential>, Arc<Workspace>), Refusal> {
    let known = world.directory.get(presented.key.id);
    let proved = presented.verify(world.keys, known.as_deref());
    let invalid = |detail| Refusal::new(Reason::CredentialInvalid, detail);
    let Some(credential) = known else { return Err(invalid("unknown")) };
    if !proved {
        return Err(invalid("wrong-secret"));
    }
    // A workspace is only ever missing between two changes; the credential opens nothing until it is there.
    let Some(workspace) = world.policy.workspaces.get(&*credential.workspace) else {
        return Err(invalid("no-workspace"));
    };
    if presented.key.secret.is_none() && !api.plain_key.contains(&workspace.environment) {
        return Err(invalid("plain-key-not-in-this-environment"));
    }
    Ok((credential, Arc::clone(workspace)))
}
