//! One request of a table, and what is decided about it.
use crate::{NOW, place};
use doorward_core::decide::{self, Decision, Duty, Received, Stands, Step};
use doorward_core::live::Live;
use doorward_core::reason::Reason;
use doorward_core::request::{Field, FieldKind, RequestView, Span, Transport};
use doorward_core::schemes::Outgoing;
use doorward_core::schemes::escher::KeptKeys;
use doorward_core::time::UnixMillis;
use doorward_core::token::Cache;
use hashbrown::DefaultHashBuilder;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;

/// What one core remembers.
pub(crate) struct Core {
    pub(crate) keys: KeptKeys,
    pub(crate) seen: RefCell<Cache>,
}

impl Core {
    pub(crate) fn new() -> Core {
        let seen = RefCell::new(Cache::new(64, DefaultHashBuilder::default()));
        Core { keys: KeptKeys::default(), seen }
    }
}

pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) out: Outgoing,
    pub(crate) more: Vec<(&'a str, &'a str)>,
    pub(crate) transport: Transport,
    pub(crate) body: Received<'a>,
    pub(crate) now_ms: u64,
    pub(crate) client: Option<IpAddr>,
    pub(crate) now: UnixMillis,
}

impl Request<'_> {
    pub(crate) fn new<'a>(method: &'a str, path: &'a str, out: &Outgoing) -> Request<'a> {
        Request {
            method,
            path,
            out: out.clone(),
            more: Vec::new(),
            transport: Transport::Secure,
            body: Received::Nothing,
            now_ms: 1,
            client: None,
            now: NOW,
        }
    }

    /// Decides, on a core that has met nobody.
    pub(crate) fn step(&self, live: &Live) -> Decision {
        self.step_on(&Core::new(), live)
    }

    pub(crate) fn step_on(&self, core: &Core, live: &Live) -> Decision {
        let mut raw = Vec::new();
        let mut places = Vec::new();
        let own = self.out.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        for (name, value) in own.chain(self.more.iter().copied()) {
            let at = raw.len();
            raw.extend_from_slice(name.as_bytes());
            raw.extend_from_slice(value.as_bytes());
            places.push((at, name.len(), value.len()));
        }
        let field = |(at, n, v): &(usize, usize, usize)| Field {
            name: Span::of(&raw, &raw[*at..at + n]),
            value: Span::of(&raw, &raw[at + n..at + n + v]),
            kind: FieldKind::Other,
        };
        let fields: Vec<Field> = places.iter().map(field).collect();
        let req = RequestView {
            raw: &raw,
            method: self.method.as_bytes(),
            path: self.path.as_bytes(),
            query: self.out.target.trim_start_matches(self.path).strip_prefix('?').map(str::as_bytes),
            host: b"api.example",
            fields: &fields,
            client: self.client,
            transport: self.transport,
            now: self.now,
        };
        let policy = live.policy.load_full();
        decide::start(&req, self.body, live.world(&policy, &core.keys, &core.seen, self.now_ms))
    }

    /// Decides, and says what came of it.
    pub(crate) fn decide(&self, live: &Live, seen: &mut BTreeSet<Reason>) -> String {
        self.decide_on(&Core::new(), live, seen)
    }

    pub(crate) fn decide_on(&self, core: &Core, live: &Live, seen: &mut BTreeSet<Reason>) -> String {
        let decision = self.step_on(core, live);
        let mut said = match &decision.step {
            Step::Permit(permit) => format!("permit -> {}", place(permit)),
            Step::Preflight(answer) => format!("preflight {}", answer.methods.join(" ")),
            Step::Ask(Duty::Body(hash)) => format!("asks for the body's digest, {}", hash.name()),
            Step::Ask(Duty::Claim(_)) => "asks the ledger".to_owned(),
            Step::Redirect => "redirect".to_owned(),
            Step::Denied(denial) => {
                seen.insert(denial.refusal.reason);
                let rule = denial.rule.map(|r| format!(", check {r}")).unwrap_or_default();
                let of = match denial.stands {
                    Some(Stands::Credential) => " of the credential",
                    Some(Stands::Policy) | None => "",
                };
                format!(
                    "{} {} ({}{rule}{of})",
                    denial.refusal.reason.status(),
                    denial.refusal.reason.code(),
                    denial.refusal.detail
                )
            }
        };
        for rule in decision.facts.would_refuse.iter() {
            let _ = write!(said, ", {} would refuse it", rule.name());
        }
        for (on, word) in [
            (decision.facts.exposed, "exposed"),
            (decision.facts.weak, "weak"),
            (decision.facts.readable, "readable by the page"),
        ] {
            if on {
                let _ = write!(said, ", {word}");
            }
        }
        said
    }
}
