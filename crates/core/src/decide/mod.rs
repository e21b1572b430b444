//! The machine: who is calling, and may they do this, from here, now? All control flow of a decision is here.
//!
//! Nothing is forwarded without a [`Permit`], and only this module makes one. What has to be asked outside is a [`Duty`]: the
//! body of a signed request, and whether it was accepted before.
mod accepted;
mod ask;
mod avanan;
mod bearer;
mod cors;
mod prove;
mod rest;
mod route;
mod signed;
mod target;
mod walk;

use crate::canonical::Hash;
use crate::checks::{self, Subject};
use crate::credential::{Credential, SchemeName};
use crate::dialect::{Dialect, ErrorStyle};
use crate::directory::Directory;
use crate::limits::MAX_SPENDS;
use crate::policy::{Mode, Policy, RouteId, Rule, RuleSet, Scopes, Workspace};
use crate::ports::{Once, OnceBy, Window};
use crate::reason::Reason;
pub use crate::refusal::Refusal;
use crate::request::{PlainHttp, RequestView, Transport};
use crate::schemes::escher::{self, KeptKeys};
use crate::schemes::{self, Shown};
use crate::scope::{By, Granted, reserved};
use crate::secret::Keys;
use crate::token::{Cache, Tokens, Verified};
pub use ask::{Duty, Received, Unclaimed};
use prove::{Claimant, Proved};
use rest::Rest;
pub use rest::{Limited, Unspent, Unverified};
use route::Asked;
pub use route::api_of;
pub use signed::Signed;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::sync::Arc;
pub use target::{Forward, Target};
pub use walk::{Walk, claimed_id, walk};

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
    /// The rules that would have refused the request, were they enforced.
    pub would_refuse: RuleSet,
    /// What the credential may do by its role.
    pub role: Option<Scopes>,
    /// The limits that are enforced for it, once they were asked.
    pub limits: SmallVec<[Limited; MAX_SPENDS]>,
    /// The token that was presented, once it was verified.
    pub token: Option<Arc<Verified>>,
    /// What is left of the token's scope, where its credential may do less now.
    pub narrowed: Option<Box<str>>,
    /// Whether a page of the request's origin may read the answer.
    pub readable: bool,
    /// Whether that depends on the origin at all.
    pub by_origin: bool,
}

impl Facts {
    /// What the caller may do: the scope of a token and its credential's scopes, both; else the credential's, with those of
    /// its role.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let of_token = self.token.as_ref().and_then(|token| token.scope.as_deref());
        let text = self.narrowed.as_deref().or(of_token);
        let of_credential = self.credential.as_ref().filter(|_| text.is_none());
        let own = of_credential.into_iter().flat_map(|c| c.scopes.iter());
        let of_role = self.role.iter().filter(move |_| text.is_none()).flat_map(|scopes| scopes.iter());
        let new =
            move |name: &&str| !of_credential.is_some_and(|c| c.scopes.iter().any(|own| **own == **name));
        let names = text.unwrap_or_default().split(' ').filter(|name| !name.is_empty());
        // No token has those of management, whatever its credential has.
        let may = |name: &&str| self.token.is_none() || !reserved(name);
        names.chain(own.map(|name| &**name)).chain(of_role.map(|name| &**name).filter(new)).filter(may)
    }
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
    /// Whose rule it was, where somebody has made one.
    pub stands: Option<Stands>,
    /// The methods that the path takes, for `method_not_allowed`.
    pub allow: Box<[String]>,
    /// How long the caller should wait before it tries again, in seconds.
    pub retry_after_s: Option<u32>,
    /// How this server read the signature, where callers are shown that.
    pub explanation: Option<Box<str>>,
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// In the policy of the caller's workspace at the API, or in what holds where that says nothing.
    Policy,
    /// In the credential.
    Credential,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Denial {
        Denial {
            refusal,
            rule: None,
            stands: None,
            allow: Box::default(),
            retry_after_s: None,
            explanation: None,
        }
    }
}

/// The answer to a preflight (Fetch standard, "CORS-preflight request"): it is given here and never forwarded.
#[derive(Debug, PartialEq, Eq)]
pub struct Preflight {
    /// The methods that pages may use.
    pub methods: Vec<String>,
    /// The header fields that pages may send.
    pub headers: Vec<String>,
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
    /// What tokens are held to.
    pub tokens: &'a Tokens,
    /// The tokens that this core has verified.
    pub seen_tokens: &'a RefCell<Cache>,
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
    facts.by_origin = cors::by_origin(route, api);
    // Pages may read answers, refusals included, where some key of the route is meant for their origin, or tokens are.
    let readers = cors::readers(req, route, api, world);
    facts.readable = readers.any();
    if let Asked::Preflight(routes) = asked {
        return cors::preflight(req, routes, readers, world).map(Step::Preflight);
    }
    let Some(mut presented) = schemes::detect(world.policy, api, req)? else {
        return match body {
            _ if !route.public => Err(accepted::missing(api)),
            Received::NotYet if route.local.is_some() => Ok(Step::Ask(Duty::Body(UNSIGNED))),
            _ => accepted::anonymous(route, api, req.client),
        };
    };
    facts.presented = Some((presented.scheme, presented.dialect));
    facts.readable = cors::readable(readers, presented.scheme);
    accepted::accepted(&presented, route, api)?;
    if let Shown::Avanan(signature) = &presented.shown {
        schemes::avanan::check_time(signature, req.now)?;
    }
    let digest = match &presented.shown {
        // What is answered here has its whole body before anybody is looked up.
        Shown::Key(_) | Shown::Avanan(_) if route.local.is_some() && matches!(body, Received::NotYet) => {
            return Ok(Step::Ask(Duty::Body(UNSIGNED)));
        }
        Shown::Key(_) | Shown::Avanan(_) | Shown::Bearer(_) => None,
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
    let claimant = Claimant { req, presented: &presented, body: digest.as_ref(), api, route };
    let Proved { credential, workspace, proof, token } = prove::prove(&claimant, world)?;
    if let Some(token) = &token {
        presented.dialect = Dialect::named(token.record.dialect).unwrap_or(presented.dialect);
        facts.presented = Some((presented.scheme, presented.dialect));
    }
    facts.role = workspace.role_scopes(&credential).cloned();
    let granted = Granted {
        rule: presented.dialect.scopes,
        by: match token.as_deref() {
            Some(token) => By::Token(token.scope.as_deref()),
            None => By::Key,
        },
        credential: &credential.scopes,
        role: credential.role().map(|_| facts.role.as_deref().unwrap_or_default()),
    };
    let narrowed = granted.narrowed().map(Into::into);
    facts.narrowed = narrowed;
    facts.token = token.clone();
    facts.weak = presented.is_id_alone();
    facts.credential = Some(Arc::clone(&credential));
    let rules = api.rules(&workspace.id);
    if presented.can_be_used_again() && presented.scheme != SchemeName::Publishable {
        match api.signatures_by(rules, &workspace) {
            Mode::Off => {}
            Mode::Observe => facts.would_refuse.add(Rule::Signatures),
            Mode::Enforce => {
                let refusal = accepted::signature_required(api, "signatures-enforced-here");
                let (rule, stands) = (Some(Rule::Signatures.name()), Some(Stands::Policy));
                return Err(Denial { rule, stands, ..refusal.into() });
            }
        }
    }
    let subject = Subject {
        req,
        policy: world.policy,
        api,
        route,
        presented: &presented,
        credential: &credential,
        workspace: &workspace,
        rules,
        granted,
    };
    checks::run(&subject, &mut facts.would_refuse)?;
    let Some(target) = Target::of(route, api, workspace.environment) else {
        return Err(Refusal::new(Reason::CredentialInvalid, "environment-not-served").into());
    };
    if let Shown::Avanan(signature) = &presented.shown {
        avanan::token(signature, route, &credential, req.now, world)?;
        let once = avanan::once(signature, &credential, world.keys);
        let permit = Permit { target, workspace: Some(Arc::clone(&workspace)), signed: None };
        let rest = Rest::of(&subject, permit, world.keys, &mut facts.would_refuse)?;
        return Ok(Step::Ask(Duty::Claim(Box::new(Unclaimed { once, rest, captcha: None }))));
    }
    if token.is_some() && schemes::bearer::has_form(req) {
        match body {
            Received::NotYet => return Ok(Step::Ask(Duty::Body(UNSIGNED))),
            Received::All { bytes, .. } => schemes::bearer::refuse_in_form(bytes)?,
            Received::Nothing => {}
        }
    }
    let (Shown::Signature(used, signature), Some(proof)) = (&presented.shown, proof) else {
        let permit = Permit { target, workspace: Some(Arc::clone(&workspace)), signed: None };
        return Ok(Rest::of(&subject, permit, world.keys, &mut facts.would_refuse)?.next());
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
    let permit = Permit { target, workspace: Some(Arc::clone(&workspace)), signed: Some(Box::new(signed)) };
    let rest = Rest::of(&subject, permit, world.keys, &mut facts.would_refuse)?;
    Ok(match once {
        Some(once) => Step::Ask(Duty::Claim(Box::new(Unclaimed { once, rest, captcha: None }))),
        None => rest.next(),
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
