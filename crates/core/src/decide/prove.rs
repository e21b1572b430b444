//! Who calls.
use super::{Denial, Lease, Refusal, World, accepted, bearer};
use crate::canonical::BodyDigest;
use crate::credential::{Credential, SchemeName};
use crate::explain::{self, Body, Question};
use crate::policy::{Api, Endpoint, Route, Workspace};
use crate::reason::Reason;
use crate::request::RequestView;
use crate::schemes::escher::Proof;
use crate::schemes::{ApiKey, Presented, Publishable, Scheme, Shown, avanan};
use crate::token::Verified;
use std::sync::Arc;

/// Who says to be somebody, and how.
pub(super) struct Claimant<'a> {
    pub(super) req: &'a RequestView<'a>,
    pub(super) presented: &'a Presented<'a>,
    /// The digest of the body, for schemes that sign it.
    pub(super) body: Option<&'a BodyDigest>,
    pub(super) api: &'a Api,
    pub(super) route: &'a Route,
}

/// Who it is.
pub(super) struct Proved {
    pub(super) credential: Arc<Credential>,
    pub(super) workspace: Arc<Workspace>,
    /// What a signature proves besides.
    pub(super) proof: Option<Proof>,
    /// The token, where one was presented.
    pub(super) token: Option<Arc<Verified>>,
}

/// Proves who calls. Unknown and wrong are the same: the same steps, the same answer.
pub(super) fn prove(c: &Claimant<'_>, world: World<'_>) -> Result<Proved, Denial> {
    if let Shown::Bearer(token) = &c.presented.shown {
        return bearer::prove(token, c, world);
    }
    let found = world.directory.get(c.presented.id());
    let other_scheme = found.as_ref().is_some_and(|found| !found.may_use(c.presented.scheme));
    let known = found.filter(|_| !other_scheme);
    let proof = match verify(c, world, known.as_ref()) {
        Err(refusal) if other_scheme => {
            return Err(refused(c, world, None, Refusal { detail: "other-scheme", ..refusal }));
        }
        Ok(proof) => proof,
        Err(refusal) => return Err(refused(c, world, known.as_ref(), refusal)),
    };
    let invalid = |detail| refused(c, world, None, Refusal::new(Reason::CredentialInvalid, detail));
    let Some(credential) = known else { return Err(invalid("unknown")) };
    // A workspace is only ever missing between two changes; the credential opens nothing until it is there.
    let Some(workspace) = world.policy.workspaces.get(&*credential.workspace) else {
        return Err(invalid("no-workspace"));
    };
    if c.presented.is_id_alone() && !c.api.plain_key.contains(&workspace.environment) {
        return Err(invalid("plain-key-not-in-this-environment"));
    }
    Ok(Proved { credential, workspace: Arc::clone(workspace), proof, token: None })
}

fn verify(
    c: &Claimant<'_>,
    world: World<'_>,
    known: Option<&Arc<Credential>>,
) -> Result<Option<Proof>, Refusal> {
    let proved = match (&c.presented.shown, c.body) {
        (Shown::Signature(_, signature), Some(body)) => {
            return world.signing_keys.verify(signature, c.req, body, known, world.keys).map(Some);
        }
        (Shown::Signature(..), None) | (Shown::Bearer(_), _) => false,
        (Shown::Avanan(signature), _) => {
            // Whoever asks for a token may leave out where.
            let or_nothing = c.route.local == Some(Endpoint::Token);
            let secret = known.and_then(|k| k.signing.as_ref());
            return avanan::verify(signature, c.req, or_nothing, secret).map(|_| None);
        }
        (Shown::Key(key), _) if c.presented.scheme == SchemeName::Publishable => {
            Publishable::verify(key, world.keys, known.map(|k| &**k))
        }
        (Shown::Key(key), _) => ApiKey::verify(key, world.keys, known.map(|k| &**k)),
    };
    if proved {
        return Ok(None);
    }
    let detail = if known.is_some() { "wrong-secret" } else { "unknown" };
    Err(Refusal::new(Reason::CredentialInvalid, detail))
}

/// What is said to whom was not proved. Nothing in it depends on whether the id is known, but for who has its secret.
#[cold]
fn refused(c: &Claimant<'_>, world: World<'_>, known: Option<&Arc<Credential>>, refusal: Refusal) -> Denial {
    let unproved = matches!(refusal.reason, Reason::CredentialInvalid | Reason::SignatureInvalid);
    if unproved && world.lease == Lease::Unsure {
        return Refusal::new(Reason::Unavailable, "store-away").into();
    }
    // Where some workspaces take keys and others don't, whose key it is must not show.
    let key = refusal.reason == Reason::CredentialInvalid && c.presented.scheme == SchemeName::ApiKey;
    if key && c.api.sometimes_signed {
        return accepted::signature_required(c.api, refusal.detail).into();
    }
    let explanation = match &c.presented.shown {
        Shown::Signature(..) if c.api.explains => explanation(c, world, known),
        _ => None,
    };
    Denial { explanation, ..refusal.into() }
}

/// How the signature was read. Causes that only the secret tells are told in workspaces that have it so, and there only
/// to who has signed with it.
fn explanation(c: &Claimant<'_>, world: World<'_>, known: Option<&Arc<Credential>>) -> Option<Box<str>> {
    let (Shown::Signature(signing, _), Some(digest)) = (&c.presented.shown, c.body) else { return None };
    let shows =
        |known: &&Arc<Credential>| world.policy.workspaces.get(&*known.workspace).is_some_and(|w| w.explain);
    let question = Question {
        config: &signing.config,
        req: c.req,
        body: Body::Digest(digest),
        now: c.req.now,
        skew_ms: signing.skew_ms.into(),
        secret: known.filter(shows).and_then(|known| known.signing.as_ref()),
        theirs: None,
    };
    Some(explain::explain(&question).to_string().into())
}
