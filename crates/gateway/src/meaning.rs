//! For tests and fuzz targets alone: what a head becomes on its way to an upstream, without a socket.
use crate::engine::engine_refusal;
use crate::headers::{self, Sender};
use crate::hops::{Forwards, Via, forwards};
use crate::peer::{Connected, Peer};
use crate::request::view;
use crate::settings::{Limits, Trusted};
use crate::settle;
use crate::wire::{self, Framing, Head};
use doorward_core::decide::{self, Step};
use doorward_core::live::Live;
use doorward_core::policy::{Policy, compile, draft};
use doorward_core::request::PlainHttp;
use doorward_core::schemes::escher::KeptKeys;
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use doorward_core::token::Cache;
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

const NOW: UnixMillis = UnixMillis(1_795_285_931_000);
/// The request id that upstreams are told.
pub const REQUEST_ID: &[u8] = b"00000000000000000000000000000001";

/// What the node calls itself in `Via`.
pub const VIA: &str = "doorward-0123456789abcdef";

/// A node without sockets, under one policy.
pub struct Node {
    live: Live,
    policy: Policy,
    keys: KeptKeys,
    tokens: RefCell<Cache>,
    via: Via,
    head: RefCell<Head>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({} routes)", self.policy.routes.len())
    }
}

/// What becomes of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// No request, or none that can be read in one way.
    Unreadable,
    /// Refused, by a route or by none.
    Refused(Option<usize>),
    /// It goes on by a route: the head for the upstream, and how the body behind it is framed.
    Passed(usize, Vec<u8>, Framing),
}

impl Node {
    /// Under a policy as operators write it; `None` where that is none.
    #[must_use]
    pub fn new(policy: &str) -> Option<Node> {
        let policy = compile(&draft::read(policy).ok()?, None).ok()?;
        let live = Live::new(Arc::new(Keys::derive(&[3; 32])));
        live.store_answered();
        live.renew(1, 1, u64::MAX / 2);
        let tokens = RefCell::new(Cache::new(1, hashbrown::DefaultHashBuilder::default()));
        Some(Node {
            live,
            policy,
            keys: KeptKeys::default(),
            tokens,
            via: Via::new(VIA),
            head: RefCell::default(),
        })
    }

    /// What becomes of exactly one head, from a peer over plain HTTP.
    pub fn takes(&self, raw: &[u8], socket: IpAddr, trusted: &Trusted) -> Became {
        let mut head = self.head.borrow_mut();
        if wire::request(raw, &wire::Limits::default(), &mut head).is_err() {
            return Became::Unreadable;
        }
        let at = Connected { socket, tls: false, plain_http: PlainHttp::Serve };
        let peer = Peer::behind(at, trusted, raw, &head.fields).unwrap_or_else(|| Peer::direct(at));
        let req = view(raw, &head, &peer, NOW);
        let world = self.live.world(&self.policy, &self.keys, &self.tokens, 2);
        let decided = decide::start(&req, settle::received(&head), world);
        let route = decided.facts.route.map(|route| route.0);
        let refused = engine_refusal(&req, &head, &self.policy, &decided.step, &self.via, &Limits::default());
        let (Step::Permit(permit), None, Some(by)) = (&decided.step, refused, route) else {
            return Became::Refused(route);
        };
        let forwards = match forwards(&req) {
            Forwards::Any => None,
            Forwards::At(0) | Forwards::Unclear => return Became::Refused(route),
            Forwards::At(n) => Some(n - 1),
        };
        let mut out = Vec::new();
        let sender = Sender {
            policy: &self.policy,
            permit,
            facts: &decided.facts,
            peer: &peer,
            request_id: REQUEST_ID,
            framing: head.framing,
            via: self.via.line(head.minor, false),
            forwards,
            upgrade: None,
        };
        headers::request(&mut out, &req, &head, &sender);
        Became::Passed(by, out, head.framing)
    }
}

/// Whom a node takes for the caller: `None` where the peer is no trusted proxy, `Some(None)` where nobody can tell.
#[must_use]
pub fn caller(raw: &[u8], socket: IpAddr, trusted: &Trusted) -> Option<Option<IpAddr>> {
    let mut head = Head::default();
    wire::request(raw, &wire::Limits::default(), &mut head).ok()?;
    let at = Connected { socket, tls: false, plain_http: PlainHttp::Serve };
    Peer::behind(at, trusted, raw, &head.fields).map(|peer| peer.client)
}

#[cfg(test)]
#[path = "meaning_tests.rs"]
mod tests;
