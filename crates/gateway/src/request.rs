//! One request: decided, then forwarded or answered here.
use crate::desk::{self, Asked};
use crate::duties;
use crate::engine::{cannot_be_read, engine_refusal, fits};
use crate::event::{self, Verdict};
use crate::forward::HowToFail;
use crate::headers::{self, Sender};
use crate::hops::{self, Forwards};
use crate::io::Io;
use crate::peer::Peer;
use crate::pool::Dial;
use crate::pump::Body;
use crate::quota;
use crate::respond::{self, Bearer, Manner, Refused};
use crate::serve::{After, Connection, Own};
use crate::settle::{self, Stop, Waits};
use crate::upgrade::{self, Standing};
use crate::wire::{Expect, Framing, Head};
use crate::worker::Scratch;
use doorward_core::credential::SchemeName;
use doorward_core::decide::{self, Decision, Denial, Duty, Received, Refusal, Step, Target};
use doorward_core::dialect::ErrorStyle;
use doorward_core::observed::{self, MAX_SAMPLE_PATH_BYTES, Sample};
use doorward_core::policy::Rule;
use doorward_core::reason::Reason;
use doorward_core::request::{Lookup, RequestView, Transport};
use doorward_core::time::UnixMillis;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

impl<S: Io, D: Dial> Connection<S, D> {
    /// Decides about a request whose head was read into `s`, and does what was decided.
    pub(crate) async fn decided(&mut self, end: usize, started: Instant, s: &mut Scratch) -> After {
        let worker = Rc::clone(&self.worker);
        let now = (worker.clocks.now)();
        let id = worker.request_id();
        let behind = Peer::behind(self.at, &worker.settings.trusted, self.input.before(end), &s.head.fields);
        let peer = behind.as_ref().unwrap_or(&self.peer);
        let caller = peer.client.unwrap_or(self.at.socket);
        let _of_one = match worker.load.admit(caller, peer.client.is_none()) {
            Ok(counted) => counted,
            Err(busy) => return self.shed(busy, behind, (now, &id), end, started, s).await,
        };
        worker.load.turn(caller).await;
        let mut policy = worker.live.policy.load_full();
        let steady_ms = (worker.clocks.monotonic_ms)();
        // Events tell the wall clock's time; what is over stays over, wherever that clock was set.
        let mut judged_now = worker.live.clock.judge(now, steady_ms);
        let first = view(self.input.before(end), &s.head, peer, judged_now);
        let mut decision = {
            let world = worker.world(&policy, steady_ms);
            decide::start(&first, settle::received(&s.head), world)
        };
        let mut collected = None;
        let mut unread = false;
        if let Step::Ask(Duty::Body(hash)) = decision.step {
            decision.step = match cannot_be_read(&s.head) {
                Some(denial) => Step::Denied(denial),
                None => {
                    // The buffer is needed for the body.
                    s.raw.clear();
                    s.raw.extend_from_slice(first.raw);
                    let from = (&mut self.io, &mut self.input, &*self.slot);
                    let why = match decision.facts.route.and_then(|r| policy.routes[r.0].local) {
                        Some(_) => Waits::ForAnswer,
                        None => Waits::ForProof,
                    };
                    match settle::collect(&worker, from, &mut s.up, &s.head, peer.client, (hash, why)).await {
                        Ok(body) => {
                            let body = collected.insert(body);
                            // It may have taken long: what was true before may not be any more.
                            let steady_ms = (worker.clocks.monotonic_ms)();
                            judged_now = worker.live.clock.judge((worker.clocks.now)(), steady_ms);
                            policy = worker.live.policy.load_full();
                            let world = worker.world(&policy, steady_ms);
                            let req = view(&s.raw, &s.head, peer, judged_now);
                            let again = decide::start(
                                &req,
                                Received::All { digest: &body.digest, bytes: &body.bytes },
                                world,
                            );
                            decision.facts = again.facts;
                            again.step
                        }
                        Err(Stop::Refused(denial)) => {
                            unread = true;
                            Step::Denied(denial)
                        }
                        Err(Stop::Gone) => {
                            return self.left(&policy, &decision.facts, peer, (now, &id), started, s);
                        }
                    }
                }
            };
        }
        let raw = if unread || collected.is_some() { &s.raw[..] } else { self.input.before(end) };
        let req = view(raw, &s.head, peer, judged_now);
        let Decision { mut step, mut facts } = decision;
        if let Some(denial) =
            engine_refusal(&req, &s.head, &policy, &step, &worker.via, &worker.settings.limits)
        {
            step = Step::Denied(denial);
        }
        step = duties::settled(&worker, &self.slot, step, &mut facts, judged_now).await;
        // Its body is kept no longer than until it was handed over.
        let read = collected.as_ref().map(|body| body.bytes.len() as u64);
        let mut told = None;
        if let Step::Permit(permit) = &step
            && let Target::Local(endpoint) = permit.target()
        {
            let asked =
                Asked { endpoint: *endpoint, req: &req, policy: &policy, facts: &facts, permit, id: &id };
            match desk::ask(&worker, &self.slot, &asked, collected.take()).await {
                Ok(answer) => {
                    if let Some(credential) = answer.credential() {
                        facts.credential = Some(Arc::clone(credential));
                        facts.exposed |= req.transport != Transport::Secure;
                    }
                    told = Some(answer);
                }
                Err(denial) => step = Step::Denied(denial),
            }
        }
        s.line.clear();
        event::begin(
            &mut s.line,
            worker.instant(now).as_str(),
            id.as_str(),
            peer,
            Some((&req, &policy, &facts)),
        );
        if let Step::Denied(Denial { stands: Some(stands), .. }) = &step {
            event::stands(&mut s.line, *stands, &policy, &facts);
        }
        let permitted = matches!(step, Step::Permit(_));
        let observed = if permitted { observed::permitted(&policy, &facts) } else { None };
        let sample = || Sample {
            at: now,
            method: String::from_utf8_lossy(req.method).into(),
            path: String::from_utf8_lossy(&req.path[..req.path.len().min(MAX_SAMPLE_PATH_BYTES)]).into(),
            client: peer.client.map(|_| peer.text.as_str().into()),
        };
        match &facts.credential {
            Some(credential) => {
                worker.proved(credential, now, facts.exposed, observed.map(|seen| (seen, &sample as _)));
                worker.stats.proof(facts.exposed, facts.weak);
            }
            None => {
                if let Some(seen) = observed {
                    worker.called_anonymously(seen, now, &sample);
                }
            }
        }
        if permitted {
            worker.stats.would_refuse(facts.would_refuse);
        }
        let readable_by = facts.readable.then(|| req.field("origin")).and_then(|origin| match origin {
            Lookup::One(origin) => Some(origin),
            _ => None,
        });
        let secure = req.transport == Transport::Secure;
        s.extra.clear();
        respond::extra(
            &mut s.extra,
            id.as_bytes(),
            worker.settings.hsts.filter(|_| secure),
            readable_by,
            facts.by_origin,
        );
        let style = facts.style.unwrap_or(ErrorStyle::Problem);
        quota::fields(&mut s.extra, &facts.limits, style, now);
        let (to_head, minor) = (req.method == b"HEAD", s.head.minor);
        // Whoever waits for 100 may or may not send its body after another answer: where the next request starts is
        // then unknown.
        let unsure = s.head.expect != Expect::None && s.head.framing != Framing::None;
        let keep = !s.head.close && !worker.draining();
        let rest_fits = !unsure && fits(&s.head, worker.settings.limits.unread_body_bytes);
        let own_keep = keep && !unread && (read.is_some() || rest_fits);
        let how =
            Manner { style, request_id: id.as_bytes(), extra: &s.extra, to_head, keep: own_keep, minor, now };
        s.own.clear();
        let own = match (&step, &told) {
            (_, Some(answer)) => {
                respond::local(&mut s.own, answer, &how);
                // What the caller can mend is a refusal like any other.
                let refused = answer.code().is_some_and(|code| code.status() < 500);
                Own {
                    verdict: if refused { Verdict::Deny } else { Verdict::Permit },
                    reason: answer.code(),
                    detail: answer.detail(),
                    // Clients that prove themselves in a form are held to their networks there.
                    rule: (answer.code() == Some(Reason::NetworkDenied)).then_some(Rule::Network.name()),
                    status: answer.status(),
                }
            }
            (Step::Permit(_), None) if hops::forwards(&req) == Forwards::At(0) => {
                let methods = facts.route.into_iter().flat_map(|id| policy.routes[id.0].methods.names());
                respond::options(&mut s.own, methods, &how);
                Own { verdict: Verdict::Permit, reason: None, detail: None, rule: None, status: 204 }
            }
            (Step::Permit(permit), None) => {
                // What is answered here was asked for above.
                let Target::Upstream(forward) = permit.target() else { return After::Abort };
                s.up.reset();
                let framing = match &collected {
                    Some(body) => Framing::Length(body.bytes.len() as u64),
                    None => {
                        s.up.body = Body::new(s.head.framing, &worker.wire);
                        s.up.chunk = s.head.framing == Framing::Chunked;
                        s.up.allowed = worker.settings.limits.body_bytes;
                        s.head.framing
                    }
                };
                let request_id = id.as_bytes();
                let forwards = match hops::forwards(&req) {
                    Forwards::At(n) => Some(n.saturating_sub(1)),
                    _ => None,
                };
                let upgrade = upgrade::asked(&req, &s.head, &policy, &facts)
                    .map(|protocol| Standing::new(protocol, &req, peer, &facts));
                let from = Sender {
                    policy: &policy,
                    permit,
                    facts: &facts,
                    peer,
                    request_id,
                    framing,
                    via: worker.via.line(minor, self.io.is_http2()),
                    forwards,
                    upgrade: upgrade.as_ref().map(|u| &*u.protocol),
                };
                headers::request(&mut s.up.out, &req, &s.head, &from);
                if let Some(body) = &collected {
                    s.up.out.extend_from_slice(&body.bytes);
                }
                // Whatever an upstream makes of such a request, the next one does not come on its connection.
                let share = upgrade.is_none() && !headers::unexpected_body(req.method, &s.head);
                let after = self
                    .permitted(
                        forward,
                        &policy,
                        &HowToFail {
                            style,
                            request_id: id.as_bytes(),
                            to_head,
                            minor,
                            now,
                            limited: !facts.limits.is_empty(),
                            upgrade: upgrade.as_ref(),
                        },
                        (keep, share),
                        started,
                        s,
                    )
                    .await;
                s.up.shrink();
                return after;
            }
            (Step::Denied(denial), None) => {
                let Refusal { reason, detail, note, scope } = &denial.refusal;
                let api = facts.route.map(|id| &policy.apis[policy.routes[id.0].api]);
                let bearer = api.filter(|api| api.schemes.contains(&SchemeName::Bearer)).map(|api| Bearer {
                    realm: &api.id,
                    alone: api.schemes.len() == 1,
                    presented: facts.presented.is_some_and(|(scheme, _)| scheme == SchemeName::Bearer),
                });
                respond::refusal(
                    &mut s.own,
                    &Refused {
                        allow: &denial.allow,
                        retry_after_s: denial.retry_after_s,
                        explanation: denial.explanation.as_deref(),
                        bearer,
                        scope: scope.as_deref(),
                        ..Refused::new(*reason, note.as_deref())
                    },
                    &how,
                );
                Own {
                    verdict: Verdict::Deny,
                    reason: Some(*reason),
                    detail: Some(detail),
                    rule: denial.rule,
                    status: style.status(*reason),
                }
            }
            // Every duty was settled above.
            (Step::Ask(_), None) => return After::Abort,
            (Step::Preflight(answer), None) => {
                respond::preflight(&mut s.own, answer, &how);
                Own { verdict: Verdict::Preflight, reason: None, detail: None, rule: None, status: 204 }
            }
            (Step::Redirect, None) => {
                respond::redirect(&mut s.own, &respond::location(&req, worker.settings.https_port), &how);
                Own { verdict: Verdict::Redirect, reason: None, detail: None, rule: None, status: 308 }
            }
        };
        let after = self.answer(s, &own, started, end as u64 + read.unwrap_or(0)).await;
        match after {
            After::Linger if own_keep && read.is_some() => After::Keep,
            After::Linger if own_keep => self.pass_over(s).await,
            other => other,
        }
    }
}

pub(crate) fn view<'a>(raw: &'a [u8], head: &'a Head, peer: &Peer, now: UnixMillis) -> RequestView<'a> {
    RequestView {
        raw,
        method: head.method.on(raw),
        path: head.path.on(raw),
        query: head.query.map(|q| q.on(raw)),
        host: head.host.on(raw),
        fields: &head.fields,
        client: peer.client,
        transport: peer.transport,
        now,
    }
}
