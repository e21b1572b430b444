//! Requests that ask for another protocol (RFC 9110 7.8), and what holds for their connections from then on.
use crate::peer::Peer;
use crate::pool::Dial;
use crate::request::view;
use crate::settle;
use crate::wire::{self, Expect, Framing, Head};
use crate::worker::Worker;
use doorward_core::credential::Credential;
use doorward_core::decide::{self, Facts, Step};
use doorward_core::policy::Policy;
use doorward_core::reason::Reason;
use doorward_core::request::RequestView;
use doorward_core::time::UnixMillis;
use std::sync::Arc;

/// What a connection is to change to, and why it may not stay that any more, asked from time to time.
pub(crate) struct Upgrade<'a> {
    pub(crate) protocol: &'a str,
    pub(crate) refused: &'a dyn Fn() -> Option<Reason>,
}

/// The protocol that a request asks for, where its route lets it. What is not taken up is not passed on, so that the request
/// is an ordinary one.
pub(crate) fn asked(req: &RequestView<'_>, head: &Head, policy: &Policy, facts: &Facts) -> Option<Box<str>> {
    if !head.upgrade {
        return None;
    }
    let offered = wire::upgrade(req.raw, head)?;
    // What follows the head must not be a body and may not come before the answer.
    let bare = head.framing == Framing::None && head.expect == Expect::None;
    let route = &policy.routes[facts.route?.0];
    let protocol = route.upgrades.iter().find(|p| offered.eq_ignore_ascii_case(p.as_bytes()))?;
    // RFC 6455 4.1.
    let fits = &**protocol != "websocket" || req.method == b"GET";
    (bare && fits).then(|| protocol.clone())
}

/// What has to be known of the request for as long as its connection lasts.
pub(crate) struct Standing {
    pub(crate) protocol: Box<str>,
    /// Its head: the buffer is needed for what follows.
    raw: Box<[u8]>,
    peer: Peer,
    credential: Option<Arc<Credential>>,
    /// When it was judged, where it is signed: a signature is good for a moment, and what it opened for longer.
    signed_at: Option<UnixMillis>,
}

impl Standing {
    pub(crate) fn new(protocol: Box<str>, req: &RequestView<'_>, peer: &Peer, facts: &Facts) -> Standing {
        let signed = facts.presented.is_some_and(|(scheme, _)| scheme.signs());
        let credential = facts.credential.clone();
        let (raw, signed_at) = (req.raw.into(), signed.then_some(req.now));
        Standing { protocol, raw, peer: peer.clone(), credential, signed_at }
    }

    /// Why the same request would be refused now. What a request uses up is not asked for again.
    pub(crate) fn refused<D: Dial>(&self, worker: &Worker<D>, head: &Head) -> Option<Reason> {
        let steady_ms = (worker.clocks.monotonic_ms)();
        let now = worker.live.clock.judge((worker.clocks.now)(), steady_ms);
        let policy = worker.live.policy.load_full();
        let req = view(&self.raw, head, &self.peer, self.signed_at.unwrap_or(now));
        let decision = decide::start(&req, settle::received(head), worker.world(&policy, steady_ms));
        let permitted = match &decision.step {
            Step::Denied(denial) => return Some(denial.refusal.reason),
            Step::Permit(_) => true,
            Step::Ask(duty) => duty.permit().is_some(),
            Step::Preflight(_) | Step::Redirect => false,
        };
        let expired = |c: &Arc<Credential>| c.expires_at.is_some_and(|at| at <= now);
        let same = |c: &Arc<Credential>| decision.facts.credential.as_ref().is_some_and(|new| new.id == c.id);
        match &self.credential {
            Some(credential) if !same(credential) => return Some(Reason::CredentialInvalid),
            Some(_) if decision.facts.credential.as_ref().is_some_and(expired) => {
                return Some(Reason::CredentialExpired);
            }
            _ => {}
        }
        let still = asked(&req, head, &policy, &decision.facts).is_some_and(|p| p == self.protocol);
        (!permitted || !still).then_some(Reason::RouteUnknown)
    }
}
