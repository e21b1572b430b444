//! A permitted request: forwarded, and its end told.
use crate::event::{self, Outcome, Verdict};
use crate::failure::{self, Failure};
use crate::headers;
use crate::io::{self as sockets, Io};
use crate::pool::Dial;
use crate::pump::Body;
use crate::relay::{self, Plan, Room};
use crate::respond::{self, Manner, Refused};
use crate::serve::{After, Connection, OWN_ANSWER_MS};
use crate::upgrade::{Standing, Upgrade};
use crate::wire::Expect;
use crate::worker::Scratch;
use doorward_core::decide::Forward;
use doorward_core::dialect::ErrorStyle;
use doorward_core::policy::Policy;
use doorward_core::time::UnixMillis;
use std::rc::Rc;
use std::time::Instant;

/// How a failure of a permitted request is told.
pub(crate) struct HowToFail<'a> {
    pub(crate) style: ErrorStyle,
    pub(crate) request_id: &'a [u8],
    pub(crate) to_head: bool,
    pub(crate) minor: u8,
    pub(crate) now: UnixMillis,
    /// Whether callers are told of limits.
    pub(crate) limited: bool,
    /// What the connection may change to.
    pub(crate) upgrade: Option<&'a Standing>,
}

impl<S: Io, D: Dial> Connection<S, D> {
    /// Forwards a permitted request.
    pub(crate) async fn permitted(
        &mut self,
        to: &Forward,
        policy: &Policy,
        how: &HowToFail<'_>,
        (keep, share): (bool, bool),
        started: Instant,
        s: &mut Scratch,
    ) -> After {
        let worker = Rc::clone(&self.worker);
        let refused = || how.upgrade.and_then(|standing| standing.refused(&worker, &s.head));
        let upgrade = how.upgrade.map(|u| Upgrade { protocol: &u.protocol, refused: &refused });
        let plan = Plan {
            to,
            policy,
            to_head: how.to_head,
            minor: how.minor,
            keep,
            share,
            expects_continue: s.head.expect == Expect::Continue,
            extra: &s.extra,
            limited: how.limited,
            via: &worker.via,
            upgrade: upgrade.as_ref(),
        };
        let request_head = s.up.out.len() as u64;
        let may_travel = |name: &[u8]| !headers::is_credential(policy, name);
        let early = s.up.take(&mut self.input, &may_travel);
        let ended = match early {
            Err(broken) => relay::Ended { failure: Some(failure::why(broken)), ..relay::Ended::default() },
            Ok(()) => {
                let room = Room {
                    input: &mut self.input,
                    reply: &mut s.reply,
                    up: &mut s.up,
                    down: &mut s.down,
                    head: &mut s.answer,
                };
                relay::exchange(&worker, &plan, &mut self.io, &self.slot, room).await
            }
        };
        let mut outcome = Outcome {
            verdict: Verdict::Permit,
            reason: None,
            detail: None,
            rule: None,
            status: ended.status,
            complete: ended.failure.is_none(),
            upstream_us: ended.upstream_us,
            total_us: 0,
            request_bytes: s.up.taken + request_head,
            response_bytes: s.down.sent,
        };
        // Nothing more can come behind a request without a body whose caller said so; what was sent is not overtaken then.
        let last = s.head.close && ended.status != 101 && matches!(s.up.body, Body::None);
        let mut after = match ended.keep && s.up.body.done() {
            true => After::Keep,
            false if last && self.input.is_empty() && !self.io.says_when_it_ends() => After::Close,
            false => After::Linger,
        };
        match ended.failure {
            None => {}
            Some(Failure::CallerGone(detail)) => {
                outcome.detail = Some(detail);
                after = After::Abort;
            }
            Some(Failure::Refused(reason, detail)) => {
                (outcome.reason, outcome.detail) = (Some(reason), Some(detail));
                if ended.begun {
                    after = After::Abort;
                } else {
                    outcome.status = how.style.status(reason);
                    // The caller's own mistakes found while its body was read are refusals like any other.
                    if reason.status() < 500 {
                        outcome.verdict = Verdict::Deny;
                    }
                    let keep = keep && s.up.body.done();
                    let manner = Manner {
                        style: how.style,
                        request_id: how.request_id,
                        extra: &s.extra,
                        to_head: how.to_head,
                        keep,
                        minor: how.minor,
                        now: how.now,
                    };
                    s.own.clear();
                    respond::refusal(&mut s.own, &Refused::new(reason, None), &manner);
                    self.slot.set(worker.clock.after(OWN_ANSWER_MS));
                    let written = sockets::write_all(&mut self.io, &worker.clock, &self.slot, &s.own).await;
                    outcome.complete = written.is_ok();
                    outcome.response_bytes = s.own.len() as u64;
                    after = if keep && written.is_ok() { After::Keep } else { After::Linger };
                }
            }
        }
        if let Some(condition) = &ended.upstream {
            event::upstream(&mut s.line, &condition.name);
        }
        outcome.total_us = started.elapsed().as_micros() as u64;
        self.record(&mut s.line, &outcome);
        after
    }
}
