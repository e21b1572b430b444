//! One connection from a caller: its requests, one after the other.
use crate::clock::Slot;
use crate::event::{self, Outcome, Verdict};
use crate::headers::{self, Sender};
use crate::input::Input;
use crate::io::{self as sockets, Io};
use crate::peer::{Connected, Peer};
use crate::pool::Dial;
use crate::pump::Body;
use crate::relay::{self, Failure, Plan, Room};
use crate::respond::{self, Manner, Refused};
use crate::wire::{self, Expect, Framing, Head, Reject};
use crate::worker::{Scratch, Worker};
use doorward_core::decide::{self, Decision, Denial, Permit, Refusal, Step};
use doorward_core::dialect::ErrorStyle;
use doorward_core::policy::Policy;
use doorward_core::reason::Reason;
use doorward_core::request::{Lookup, PlainHttp, RequestView, Transport};
use doorward_core::time::UnixMillis;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

/// How long the other side may take to take an answer of ours, in milliseconds.
const OWN_ANSWER_MS: u64 = 2_000;
/// How long a connection that was answered and is to be closed is still read from, in milliseconds: closing it with
/// unread bytes would reset it, and the reset may overtake the answer.
const LINGER_MS: u64 = 1_000;
/// How much is read and thrown away meanwhile, in bytes.
const LINGER_BYTES: usize = 256 * 1024;

/// Serves a connection until it ends.
pub(crate) async fn serve<S: Io, D: Dial>(worker: Rc<Worker<D>>, io: S, at: Connected) {
    let mut c = Connection::new(worker, io, at);
    loop {
        let after = match c.next_head().await {
            Next::Head(end, started) => c.request(end, started).await,
            Next::Rejected(reason, detail) => c.rejected(reason, detail).await,
            Next::Ended => After::Close,
        };
        match after {
            After::Keep => {}
            After::Close => break,
            After::Linger => {
                c.linger().await;
                break;
            }
            After::Abort => {
                c.io.abort();
                break;
            }
        }
    }
    c.input.discard(&c.worker.buffers);
}

/// Tells a caller that there is no room for its connection.
pub(crate) async fn turn_away<S: Io, D: Dial>(worker: Rc<Worker<D>>, io: S, at: Connected) {
    let mut c = Connection::new(worker, io, at);
    if c.rejected(Reason::Overloaded, "connections").await == After::Linger {
        c.linger().await;
    }
}

struct Connection<S, D: Dial> {
    worker: Rc<Worker<D>>,
    io: S,
    at: Connected,
    /// The caller where no proxy has to be asked.
    peer: Peer,
    input: Input,
    slot: Rc<Slot>,
}

enum Next {
    /// A head that ends there, and when its last byte came.
    Head(usize, Instant),
    Rejected(Reason, &'static str),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Keep,
    Close,
    /// Close once the caller had time to read the answer.
    Linger,
    /// The answer was cut short, and the caller must see that.
    Abort,
}

/// An answer of this node's own.
struct Own {
    verdict: Verdict,
    reason: Option<Reason>,
    detail: Option<&'static str>,
    rule: Option<&'static str>,
    status: u16,
}

impl<S: Io, D: Dial> Connection<S, D> {
    fn new(worker: Rc<Worker<D>>, io: S, at: Connected) -> Connection<S, D> {
        Connection {
            peer: Peer::direct(at),
            at,
            io,
            input: Input::default(),
            slot: worker.clock.slot(),
            worker,
        }
    }

    /// Waits for the next head. Between two requests a connection holds no buffer.
    async fn next_head(&mut self) -> Next {
        let (w, t) = (&self.worker, &self.worker.settings.timeouts);
        self.input.restart_head();
        if self.input.is_empty() {
            self.input.release(&w.buffers);
            if w.draining() {
                return Next::Ended;
            }
            self.slot.set(w.clock.after(t.idle_ms));
            self.slot.set_idle(true);
            let (io, input, slot) = (&mut self.io, &mut self.input, &self.slot);
            let first = poll_fn(|cx| {
                input.make_room(&w.buffers);
                match sockets::poll_read(io, cx, input.space()) {
                    Poll::Pending if w.draining() => Poll::Ready(Err(ErrorKind::TimedOut.into())),
                    Poll::Pending => {
                        input.release(&w.buffers);
                        slot.pending(cx, &w.clock)
                    }
                    ready => ready,
                }
            });
            let first = first.await;
            self.slot.set_idle(false);
            match first {
                Ok(n) if n > 0 => self.input.filled(n),
                _ => return Next::Ended,
            }
        }
        self.slot.set(w.clock.after(t.head_ms));
        loop {
            match self.input.head_end(&w.wire) {
                Ok(Some(end)) => return Next::Head(end, Instant::now()),
                Ok(None) => {}
                Err(reject) => return rejected(reject),
            }
            self.input.make_room(&w.buffers);
            match sockets::read(&mut self.io, &w.clock, &self.slot, self.input.space()).await {
                Ok(0) => return Next::Ended,
                Ok(n) => self.input.filled(n),
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    return Next::Rejected(Reason::RequestTimeout, "head-timeout");
                }
                Err(_) => return Next::Ended,
            }
        }
    }

    /// What the wire rules refuse: answered where that is still possible, and always an event.
    async fn rejected(&mut self, reason: Reason, detail: &'static str) -> After {
        let started = Instant::now();
        let mut s = self.worker.scratch();
        let id = self.worker.request_id();
        s.line.clear();
        let now = (self.worker.clocks.now)();
        event::begin(&mut s.line, now, &id, &self.peer, None);
        self.extra(&mut s, &id, self.at.tls, None);
        let refusal = Refusal::new(reason, detail);
        let own = Own {
            verdict: Verdict::Reject,
            reason: Some(reason),
            detail: Some(detail),
            rule: None,
            status: reason.status(),
        };
        let how = Manner {
            style: ErrorStyle::Problem,
            request_id: &id,
            extra: &s.extra,
            to_head: false,
            keep: false,
            minor: 1,
            now,
        };
        s.own.clear();
        respond::refusal(&mut s.own, &Refused { reason, note: refusal.note.as_deref(), allow: &[] }, &how);
        let after = self.answer(&mut s, &own, started, 0).await;
        self.worker.give_back(s);
        after
    }

    fn extra(&self, s: &mut Scratch, id: &[u8], secure: bool, readable_by: Option<&[u8]>) {
        s.extra.clear();
        respond::extra(&mut s.extra, id, self.worker.settings.hsts.filter(|_| secure), readable_by);
    }

    /// Reads a head, decides, and does what was decided.
    async fn request(&mut self, end: usize, started: Instant) -> After {
        let mut s = self.worker.scratch();
        let range = self.input.consume(end);
        let after = match wire::request(&self.input.raw()[range], &self.worker.wire, &mut s.head) {
            Ok(()) => self.decided(end, started, &mut s).await,
            Err(reject) => match rejected(reject) {
                Next::Rejected(reason, detail) => self.rejected(reason, detail).await,
                _ => After::Close,
            },
        };
        self.worker.give_back(s);
        after
    }

    async fn decided(&mut self, end: usize, started: Instant, s: &mut Scratch) -> After {
        let worker = Rc::clone(&self.worker);
        let policy = worker.live.policy.load_full();
        let now = (worker.clocks.now)();
        let id = worker.request_id();
        let raw = self.input.before(end);
        let behind = Peer::behind(self.at, &worker.settings.trusted, raw, &s.head.fields);
        let peer = behind.as_ref().unwrap_or(&self.peer);
        let req = view(raw, &s.head, peer, now);
        let world = worker.live.world(&policy, (worker.clocks.monotonic_ms)());
        let Decision { mut step, facts } = decide::start(&req, world);
        if let Some(denial) = engine_refusal(&req, &s.head, &policy, &step, &worker.settings.limits) {
            step = Step::Denied(denial);
        }
        s.line.clear();
        event::begin(&mut s.line, now, &id, peer, Some((&req, &policy, &facts)));
        if let Some(credential) = &facts.credential {
            worker.proved(credential, now, facts.exposed);
            worker.stats.proof(facts.exposed, facts.weak);
        }
        let readable_by = match req.field("origin") {
            Lookup::One(origin) if facts.readable => Some(origin),
            _ => None,
        };
        let secure = req.transport == Transport::Secure;
        s.extra.clear();
        respond::extra(&mut s.extra, &id, worker.settings.hsts.filter(|_| secure), readable_by);
        let (to_head, minor) = (req.method == b"HEAD", s.head.minor);
        // Whoever waits for 100 may or may not send its body after another answer: where the next request starts is
        // then unknown.
        let unsure = s.head.expect != Expect::None && s.head.framing != Framing::None;
        let keep = !s.head.close && !worker.draining();
        let own_keep = keep && !unsure && fits(&s.head, worker.settings.limits.unread_body_bytes);
        let style =
            facts.route.map_or(ErrorStyle::Problem, |r| policy.apis[policy.routes[r.0].api].dialect.errors);
        let how = Manner { style, request_id: &id, extra: &s.extra, to_head, keep: own_keep, minor, now };
        s.own.clear();
        let own = match &step {
            Step::Permit(permit) => {
                s.up.reset();
                s.up.body = Body::new(s.head.framing, &worker.wire);
                s.up.chunk = s.head.framing == Framing::Chunked;
                s.up.allowed = worker.settings.limits.body_bytes;
                let from = Sender { policy: &policy, permit, facts: &facts, peer, request_id: &id };
                headers::request(&mut s.up.out, &req, &s.head, &from);
                return self
                    .permitted(
                        permit,
                        &policy,
                        &HowToFail { style, request_id: &id, to_head, minor, now },
                        keep,
                        started,
                        s,
                    )
                    .await;
            }
            Step::Denied(denial) => {
                let Refusal { reason, detail, note } = &denial.refusal;
                respond::refusal(
                    &mut s.own,
                    &Refused { reason: *reason, note: note.as_deref(), allow: &denial.allow },
                    &how,
                );
                Own {
                    verdict: Verdict::Deny,
                    reason: Some(*reason),
                    detail: Some(detail),
                    rule: denial.rule,
                    status: reason.status(),
                }
            }
            Step::Preflight(answer) => {
                let asked = match req.field("access-control-request-headers") {
                    Lookup::One(names) => Some(names),
                    _ => None,
                };
                respond::preflight(&mut s.own, answer, asked, &how);
                Own { verdict: Verdict::Preflight, reason: None, detail: None, rule: None, status: 204 }
            }
            Step::Redirect => {
                respond::redirect(&mut s.own, &location(&req, worker.settings.https_port), &how);
                Own { verdict: Verdict::Redirect, reason: None, detail: None, rule: None, status: 308 }
            }
        };
        let after = self.answer(s, &own, started, end as u64).await;
        if own_keep && after == After::Linger { self.pass_over(s).await } else { after }
    }

    /// Sends an answer of this node's own (`s.own`) and writes the event.
    async fn answer(&mut self, s: &mut Scratch, own: &Own, started: Instant, request_bytes: u64) -> After {
        self.slot.set(self.worker.clock.after(OWN_ANSWER_MS));
        let written = sockets::write_all(&mut self.io, &self.worker.clock, &self.slot, &s.own).await;
        let total_us = started.elapsed().as_micros() as u64;
        let outcome = Outcome {
            verdict: own.verdict,
            reason: own.reason,
            detail: own.detail,
            rule: own.rule,
            status: own.status,
            complete: written.is_ok(),
            upstream_us: None,
            total_us,
            request_bytes,
            response_bytes: s.own.len() as u64,
        };
        self.record(&mut s.line, &outcome);
        if written.is_ok() { After::Linger } else { After::Close }
    }

    fn record(&self, line: &mut Vec<u8>, outcome: &Outcome) {
        self.worker.stats.request(outcome.status, outcome.reason, outcome.total_us);
        event::finish(line, outcome);
        self.worker.event(line);
    }

    /// Reads and drops the body of a request that was answered, so that the connection can be kept.
    async fn pass_over(&mut self, s: &mut Scratch) -> After {
        let most = self.worker.settings.limits.unread_body_bytes;
        s.up.reset();
        s.up.body = Body::new(s.head.framing, &self.worker.wire);
        s.up.allowed = most;
        self.slot.set(self.worker.clock.after(self.worker.settings.timeouts.body_ms));
        loop {
            if s.up.take(&mut self.input, &|_| false).is_err() {
                return After::Linger;
            }
            s.up.drop_output();
            if s.up.body.done() {
                return After::Keep;
            }
            self.input.make_room(&self.worker.buffers);
            match sockets::read(&mut self.io, &self.worker.clock, &self.slot, self.input.space()).await {
                Ok(n) if n > 0 => self.input.filled(n),
                _ => return After::Close,
            }
        }
    }

    /// Forwards a permitted request.
    async fn permitted(
        &mut self,
        permit: &Permit,
        policy: &Policy,
        how: &HowToFail<'_>,
        keep: bool,
        started: Instant,
        s: &mut Scratch,
    ) -> After {
        let worker = Rc::clone(&self.worker);
        let plan = Plan {
            permit,
            policy,
            to_head: how.to_head,
            minor: how.minor,
            keep,
            expects_continue: s.head.expect == Expect::Continue,
            extra: &s.extra,
        };
        let request_head = s.up.out.len() as u64;
        let may_travel = |name: &[u8]| !headers::is_credential(policy, name);
        let early = s.up.take(&mut self.input, &may_travel);
        let ended = match early {
            Err(broken) => relay::Ended { failure: Some(relay::why(broken)), ..relay::Ended::default() },
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
        let mut after = if ended.keep && s.up.body.done() { After::Keep } else { After::Linger };
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
                    outcome.status = reason.status();
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
                    respond::refusal(&mut s.own, &Refused { reason, note: None, allow: &[] }, &manner);
                    self.slot.set(worker.clock.after(OWN_ANSWER_MS));
                    let written = sockets::write_all(&mut self.io, &worker.clock, &self.slot, &s.own).await;
                    outcome.complete = written.is_ok();
                    outcome.response_bytes = s.own.len() as u64;
                    after = if keep && written.is_ok() { After::Keep } else { After::Linger };
                }
            }
        }
        outcome.total_us = started.elapsed().as_micros() as u64;
        self.record(&mut s.line, &outcome);
        after
    }

    /// Says that nothing more comes, and reads a little, so that a reset does not overtake the answer.
    async fn linger(&mut self) {
        let w = &self.worker;
        self.slot.set(w.clock.after(LINGER_MS));
        let (io, slot) = (&mut self.io, &self.slot);
        let shut: io::Result<()> = poll_fn(|cx| match Pin::new(&mut *io).poll_shutdown(cx) {
            Poll::Pending => slot.pending(cx, &w.clock),
            ready => ready,
        })
        .await;
        self.input.discard(&w.buffers);
        self.input.make_room(&w.buffers);
        let mut left = LINGER_BYTES;
        while shut.is_ok() && left > 0 {
            match sockets::read(&mut self.io, &w.clock, &self.slot, self.input.space()).await {
                Ok(n) if n > 0 => left = left.saturating_sub(n),
                _ => break,
            }
        }
        self.input.discard(&w.buffers);
    }
}

/// How a failure of a permitted request is told.
struct HowToFail<'a> {
    style: ErrorStyle,
    request_id: &'a [u8],
    to_head: bool,
    minor: u8,
    now: UnixMillis,
}

fn rejected(reject: Reject) -> Next {
    let reason = if reject.too_large() { Reason::HeadTooLarge } else { Reason::RequestAmbiguous };
    Next::Rejected(reason, reject.detail())
}

fn view<'a>(raw: &'a [u8], head: &'a Head, peer: &Peer, now: UnixMillis) -> RequestView<'a> {
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

/// Whether what is left of the request can be read and dropped.
fn fits(head: &Head, most: u64) -> bool {
    match head.framing {
        Framing::Length(n) => n <= most,
        _ => true,
    }
}

/// What the engine refuses itself: tricks with `Connection` whatever was decided, and what it can't do for a request
/// that was permitted.
fn engine_refusal(
    req: &RequestView<'_>,
    head: &Head,
    policy: &Policy,
    step: &Step,
    limits: &crate::settings::Limits,
) -> Option<Denial> {
    let names_a_credential =
        || policy.credential_headers.iter().any(|name| wire::nominated(req.raw, head, name.as_bytes()));
    if head.nominates && names_a_credential() {
        return Some(Refusal::new(Reason::RequestAmbiguous, "connection-names-credential").into());
    }
    if !matches!(step, Step::Permit(_)) {
        return None;
    }
    if head.expect == Expect::Unknown {
        return Some(Refusal::new(Reason::ExpectationFailed, "expect-unknown").into());
    }
    match head.framing {
        Framing::Length(n) if n > limits.body_bytes => {
            let note = format!("The body has {n} bytes; at most {} are taken.", limits.body_bytes);
            Some(Refusal::new(Reason::BodyTooLarge, "content-length").saying(note).into())
        }
        _ => None,
    }
}

fn location(req: &RequestView<'_>, port: Option<u16>) -> Vec<u8> {
    let host = req.host;
    let end =
        host.iter().rposition(|b| *b == b':').filter(|i| !host[*i..].contains(&b']')).unwrap_or(host.len());
    let mut to = b"https://".to_vec();
    to.extend_from_slice(&host[..end]);
    if let Some(port) = port.filter(|p| *p != 443) {
        to.extend_from_slice(format!(":{port}").as_bytes());
    }
    to.extend_from_slice(req.path);
    if let Some(query) = req.query {
        to.push(b'?');
        to.extend_from_slice(query);
    }
    to
}

/// What a listener without TLS does with requests that are not over HTTPS.
#[must_use]
pub(crate) fn plain(socket: std::net::IpAddr, tls: bool, plain_http: PlainHttp) -> Connected {
    Connected { socket: socket.to_canonical(), tls, plain_http }
}
