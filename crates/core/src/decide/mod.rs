//! The machine: who is calling, and may they do this, from here, now? All control flow of a decision is here.
//!
//! Nothing is forwarded without a [`Permit`], and only this module makes one. What has to be asked outside is a [`Duty`]: the
//! body of a signed request, and whether it was accepted before.
mod accepted;
mod ask;
mod avanan;
mod prove;
mod route;
mod signed;
mod target;

use crate::canonical::Hash;
use crate::checks::{CHECKS, Subject};
use crate::credential::{Credential, SchemeName};
use crate::dialect::{Dialect, ErrorStyle};
use crate::directory::Directory;
use crate::origin::Origin;
use crate::policy::{Mode, Policy, RouteId, Workspace};
use crate::ports::{Once, OnceBy, Window};
use crate::reason::Reason;
pub use crate::refusal::Refusal;
use crate::request::{Lookup, PlainHttp, RequestView, Transport};
use crate::schemes::escher::{self, KeptKeys};
use crate::schemes::{self, Shown};
use crate::secret::Keys;
pub use ask::{Duty, Received, Unclaimed};
use prove::{Claimant, Proved};
use route::Asked;
pub use route::api_of;
pub use signed::Signed;
use std::sync::Arc;
pub use target::{Forward, Target};

/// The rule that requests must be signed, as events name it.
const SIGNATURES: &str = "signatures";

/// What bodies are hashed with that nobody signed.
const UNSIGNED: Hash = Hash::Sha256;

/// Whether this node may decide at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Its directory is fresh enough.
    Held,
    /// It is, but the store did not answer lately: who is not known here may be known there by now.
    Unsure,
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
    /// The rule that would have refused the request, were it enforced.
    pub would_refuse: Option<&'static str>,
    /// Whether a page of the request's origin may read the answer.
    pub readable: bool,
    /// Whether that depends on the origin at all.
    pub by_origin: bool,
}

/// The permission to forward one request, or to have it answered here.
#[derive(Debug)]
pub struct Permit {
    target: Target,
    workspace: Option<Arc<Workspace>>,
    signed: Option<Box<Signed>>,
}

impl Permit {
    /// Where the request goes.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }
    /// What the caller signed, where the request is signed: nothing else of it reaches the upstream.
    #[must_use]
    pub fn signed(&self) -> Option<&Signed> {
        self.signed.as_deref()
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
    /// How long the caller should wait before it tries again, in seconds.
    pub retry_after_s: Option<u32>,
    /// How this server read the signature, where callers are shown that.
    pub explanation: Option<Box<str>>,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Denial {
        Denial { refusal, rule: None, allow: Vec::new(), retry_after_s: None, explanation: None }
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
    /// Ask this first, and give the answer back.
    Ask(Duty),
    /// Forward it, or answer it here.
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
    /// The keys with which callers of this core have signed.
    pub signing_keys: &'a KeptKeys,
    /// Whether this node may decide.
    pub lease: Lease,
}

/// Decides about one request, of whose body `body` is known.
#[must_use]
pub fn start(req: &RequestView<'_>, body: Received<'_>, world: World<'_>) -> Decision {
    let mut facts = Facts::default();
    let step = judge(req, body, world, &mut facts);
    let step = match req.transport {
        Transport::Secure => step,
        Transport::Plain(mode) => {
            // A signature tells nobody the secret.
            let key = facts.presented.is_some_and(|(scheme, _)| !scheme.signs());
            facts.exposed = key && facts.credential.is_some();
            over_plain_http(mode, step)
        }
    };
    Decision { step: step.unwrap_or_else(Step::Denied), facts }
}

fn judge(
    req: &RequestView<'_>,
    body: Received<'_>,
    world: World<'_>,
    facts: &mut Facts,
) -> Result<Step, Denial> {
    if world.lease == Lease::Lapsed {
        return Err(Refusal::new(Reason::Unavailable, "directory-stale").into());
    }
    let (route_id, asked) = route::find(req, world.policy, facts)?;
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
    let Some(presented) = schemes::detect(world.policy, api, req)? else {
        return match body {
            _ if !route.public => Err(accepted::missing(api)),
            Received::NotYet if route.local.is_some() => Ok(Step::Ask(Duty::Body(UNSIGNED))),
            _ => accepted::anonymous(route, api),
        };
    };
    facts.presented = Some((presented.scheme, presented.dialect));
    accepted::accepted(&presented, route, api)?;
    if let Shown::Avanan(signature) = &presented.shown {
        schemes::avanan::check_time(signature, req.now)?;
    }
    let body = match &presented.shown {
        // What is answered here has its whole body before anybody is looked up.
        Shown::Key(_) | Shown::Avanan(_) if route.local.is_some() && matches!(body, Received::NotYet) => {
            return Ok(Step::Ask(Duty::Body(UNSIGNED)));
        }
        Shown::Key(_) | Shown::Avanan(_) => None,
        Shown::Signature(signing, signature) => {
            escher::settle(signature, req)?;
            escher::check_time(signature, req.now, signing.skew_ms.into())?;
            match body.digest(signature.hash()) {
                Some(digest) => Some(digest),
                // Known or not: the body is awaited all the same.
                None => return Ok(Step::Ask(Duty::Body(signature.hash()))),
            }
        }
    };
    let claimant = Claimant { req, presented: &presented, body: body.as_ref(), api, route };
    let Proved { credential, workspace, proof } = prove::prove(&claimant, world)?;
    facts.weak = presented.is_id_alone();
    facts.credential = Some(Arc::clone(&credential));
    if presented.can_be_used_again() && presented.scheme != SchemeName::Publishable {
        match api.signatures(&workspace) {
            Mode::Off => {}
            Mode::Observe => facts.would_refuse = Some(SIGNATURES),
            Mode::Enforce => {
                let refusal = accepted::signature_required(api, "signatures-enforced-here");
                return Err(Denial { rule: Some(SIGNATURES), ..refusal.into() });
            }
        }
    }
    let subject = Subject {
        req,
        policy: world.policy,
        api,
        presented: &presented,
        credential: &credential,
        workspace: &workspace,
    };
    for check in CHECKS {
        (check.run)(&subject).map_err(|refusal| Denial { rule: Some(check.name), ..refusal.into() })?;
    }
    let Some(target) = Target::of(route, api, workspace.environment) else {
        return Err(Refusal::new(Reason::CredentialInvalid, "environment-not-served").into());
    };
    if let Shown::Avanan(signature) = &presented.shown {
        avanan::token(signature, route)?;
        let once = avanan::once(signature, &credential, world.keys);
        let permit = Permit { target, workspace: Some(workspace), signed: None };
        return Ok(Step::Ask(Duty::Claim(Box::new(Unclaimed { once, permit }))));
    }
    let (Shown::Signature(used, signature), Some(proof)) = (&presented.shown, proof) else {
        return Ok(Step::Permit(Permit { target, workspace: Some(workspace), signed: None }));
    };
    let Some(signing) = api.signing.iter().find(|own| std::ptr::eq(&***own, *used)) else {
        return Err(Refusal::new(Reason::SchemeNotAccepted, "scheme-not-of-this-api").into());
    };
    let once = (proof.once() && signing.once_only.covers(req.method)).then(|| {
        let keys = world.keys;
        Once {
            key: keys.ledger_key(OnceBy::StringToSign, &credential.id, proof.string_to_sign().as_bytes()),
            window: Window::new(signature.date(), signing.skew_ms, signing.skew_ms),
            owner: world.signing_keys.shares(signature, &credential, keys),
        }
    });
    let signed = Signed {
        names: signed::Names::new(signature.signed_names().iter().map(|name| &**name)),
        reading: proof.reading(),
        spaces: signature.config().spaces(),
        signing: Arc::clone(signing),
    };
    let permit = Permit { target, workspace: Some(workspace), signed: Some(Box::new(signed)) };
    Ok(match once {
        Some(once) => Step::Ask(Duty::Claim(Box::new(Unclaimed { once, permit }))),
        None => Step::Permit(permit),
    })
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

fn origin_of(req: &RequestView<'_>) -> Option<Origin> {
    match req.field("origin") {
        Lookup::One(value) => Origin::parse(value),
        _ => None,
    }
}
