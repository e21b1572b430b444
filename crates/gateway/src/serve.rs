//! One connection from a caller: its requests, one after the other.
use crate::clock::Slot;
use crate::event::{self, Outcome, Verdict};
use crate::h2;
use crate::input::Input;
use crate::io::{self as sockets, Io};
use crate::load::{Busy, REQUEST};
use crate::peer::{Connected, Peer};
use crate::pool::Dial;
use crate::respond::{self, Manner, Refused};
use crate::wire::{self, Reject};
use crate::worker::{Scratch, Worker};
use doorward_core::dialect::ErrorStyle;
use doorward_core::reason::Reason;
use doorward_core::request::PlainHttp;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

/// How long the other side may take to take an answer of ours, in milliseconds.
pub(crate) const OWN_ANSWER_MS: u64 = 2_000;
/// How long a connection that was answered and is to be closed is still read from, in milliseconds: closing it with
/// unread bytes would reset it, and the reset may overtake the answer.
pub(crate) const LINGER_MS: u64 = 1_000;
/// How much is read and thrown away meanwhile, in bytes.
pub(crate) const LINGER_BYTES: usize = 256 * 1024;

/// Serves a connection until it ends.
pub(crate) async fn serve<S: Io, D: Dial>(worker: Rc<Worker<D>>, io: S, at: Connected) {
    Connection::new(worker, io, at).serve().await;
}

/// The same where a request has begun to come already, also while the node drains.
pub(crate) async fn serve_begun<S: Io, D: Dial>(worker: Rc<Worker<D>>, io: S, at: Connected) {
    let mut c = Connection::new(worker, io, at);
    c.input.make_room(&c.worker.buffers);
    let (io, space) = (&mut c.io, c.input.space());
    if let Ok(n) = sockets::read(io, &c.worker.clock, &c.slot, space).await {
        c.input.filled(n);
        c.fresh = false;
        return c.serve().await;
    }
    c.input.discard(&c.worker.buffers);
}

/// The same for a caller that may speak HTTP/2 without having said so before (RFC 9113 3.3).
pub(crate) async fn serve_either<S: Io, D: Dial>(worker: Rc<Worker<D>>, io: S, at: Connected) {
    let mut c = Connection::new(worker, io, at);
    match c.next_head().await {
        Next::Head(end, _) if c.input.bytes()[..end] == h2::PREFACE[..h2::PREFACE.len().min(end)] => {
            // Its deadline would wake the connection for as long as it lasts.
            drop(c.slot);
            h2::serve(c.worker, c.io, c.input, at).await;
        }
        next => c.go_on(next).await,
    }
}

/// Refuses the only request of a connection: why, a fact for the log, a sentence for the caller.
pub(crate) async fn refuse<S: Io, D: Dial>(
    worker: Rc<Worker<D>>,
    io: S,
    at: Connected,
    (reason, detail, note): (Reason, &'static str, &'static str),
) {
    let mut c = Connection::new(worker, io, at);
    if c.rejected(reason, detail, note, 0).await == After::Linger {
        c.linger().await;
    }
}

impl<S: Io, D: Dial> Connection<S, D> {
    async fn serve(mut self) {
        let next = self.next_head().await;
        self.go_on(next).await;
    }

    async fn go_on(mut self, mut next: Next) {
        let c = &mut self;
        loop {
            let after = match next {
                Next::Head(end, started) => c.request(end, started).await,
                Next::Rejected(reason, detail, note) => {
                    let bytes = c.input.bytes().len();
                    c.rejected(reason, detail, note, bytes).await
                }
                Next::Ended => After::Close,
            };
            match after {
                After::Keep => next = c.next_head().await,
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
}

/// Tells a caller that there is no room for its connection.
pub(crate) async fn turn_away<S: Io, D: Dial>(worker: Rc<Worker<D>>, io: S, at: Connected) {
    let mut c = Connection::new(worker, io, at);
    if c.rejected(Reason::Overloaded, "connections", "Too many connections are open at the moment.", 0).await
        == After::Linger
    {
        c.linger().await;
    }
}

pub(crate) struct Connection<S, D: Dial> {
    pub(crate) worker: Rc<Worker<D>>,
    pub(crate) io: S,
    pub(crate) at: Connected,
    /// The caller where no proxy has to be asked.
    pub(crate) peer: Peer,
    pub(crate) input: Input,
    pub(crate) slot: Rc<Slot>,
    /// Nothing was received yet.
    fresh: bool,
}

enum Next {
    /// A head that ends there, and when its last byte came.
    Head(usize, Instant),
    /// Refused: why, a fact for the log, a sentence for the caller.
    Rejected(Reason, &'static str, &'static str),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
    /// Close once the caller had time to read the answer.
    Linger,
    /// The answer was cut short, and the caller must see that.
    Abort,
}

/// An answer of this node's own.
pub(crate) struct Own {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Option<Reason>,
    pub(crate) detail: Option<&'static str>,
    pub(crate) rule: Option<&'static str>,
    pub(crate) status: u16,
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
            fresh: true,
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
            // A new connection is there to ask something.
            self.slot.set(w.clock.after(if self.fresh { t.head_ms } else { t.idle_ms }));
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
            self.fresh = false;
            self.slot.set_used();
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
                Err(reject) => {
                    let (reason, detail, note) = why(reject);
                    return Next::Rejected(reason, detail, note);
                }
            }
            self.input.make_room(&w.buffers);
            match sockets::read(&mut self.io, &w.clock, &self.slot, self.input.space()).await {
                Ok(0) => return Next::Ended,
                Ok(n) => self.input.filled(n),
                Err(e) if e.kind() == ErrorKind::TimedOut => {
                    return Next::Rejected(
                        Reason::RequestTimeout,
                        "head-timeout",
                        "The head of the request did not arrive in time.",
                    );
                }
                Err(_) => return Next::Ended,
            }
        }
    }

    /// What the wire rules refuse, `bytes` of which have come: answered where that is still possible, and always an event.
    /// It takes as much time as another request, and counts as one: of whoever is connected, since nothing can be believed
    /// that says who called.
    async fn rejected(&mut self, why: Reason, detail: &'static str, note: &str, bytes: usize) -> After {
        let started = Instant::now();
        let in_time = self.worker.load.spend(self.at.socket, REQUEST);
        let (reason, detail, note) = match in_time {
            true => (why, detail, Some(note)),
            false => (Reason::Overloaded, Busy::Queue.detail(), None),
        };
        let mut s = self.worker.scratch();
        let id = self.worker.request_id();
        s.line.clear();
        let now = (self.worker.clocks.now)();
        event::begin(&mut s.line, self.worker.instant(now).as_str(), id.as_str(), &self.peer, None);
        self.extra(&mut s, id.as_bytes(), self.at.tls, None);
        let own = Own {
            verdict: Verdict::Reject,
            reason: Some(reason),
            detail: Some(detail),
            rule: None,
            status: reason.status(),
        };
        let how = Manner {
            style: ErrorStyle::Problem,
            request_id: id.as_bytes(),
            extra: &s.extra,
            to_head: false,
            keep: false,
            minor: 1,
            now,
        };
        s.own.clear();
        respond::refusal(&mut s.own, &Refused::new(reason, note), &how);
        let after = self.answer(&mut s, &own, started, bytes as u64).await;
        self.worker.give_back(s);
        // Where the next request begins is unknown, so that its connection can't rest like others; nothing is read for it.
        if in_time { after } else { After::Close }
    }

    fn extra(&self, s: &mut Scratch, id: &[u8], secure: bool, readable_by: Option<&[u8]>) {
        s.extra.clear();
        respond::extra(&mut s.extra, id, self.worker.settings.hsts.filter(|_| secure), readable_by, false);
    }

    /// Reads a head, decides, and does what was decided.
    async fn request(&mut self, end: usize, started: Instant) -> After {
        let worker = Rc::clone(&self.worker);
        let _serving = worker.load.serve();
        let mut s = worker.scratch();
        let range = self.input.consume(end);
        let after = match wire::request(&self.input.raw()[range], &self.worker.wire, &mut s.head) {
            Ok(()) => self.decided(end, started, &mut s).await,
            Err(reject) => {
                self.io.misused();
                let (reason, detail, note) = why(reject);
                self.rejected(reason, detail, note, end).await
            }
        };
        self.worker.give_back(s);
        after
    }

    /// Sends an answer of this node's own (`s.own`) and writes the event.
    pub(crate) async fn answer(
        &mut self,
        s: &mut Scratch,
        own: &Own,
        started: Instant,
        request_bytes: u64,
    ) -> After {
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

    pub(crate) fn record(&self, line: &mut Vec<u8>, outcome: &Outcome) {
        // What was upgraded lasts for as long as it is of use to its caller.
        let upgraded_us = outcome.upstream_us.filter(|_| outcome.status == 101);
        self.worker.stats.request(outcome.status, outcome.reason, upgraded_us.unwrap_or(outcome.total_us));
        event::finish(line, outcome);
        self.worker.event(line);
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

/// Why a head is refused, a fact for the log, a sentence for the caller.
fn why(reject: Reject) -> (Reason, &'static str, &'static str) {
    let reason = if reject.too_large() { Reason::HeadTooLarge } else { Reason::RequestAmbiguous };
    (reason, reject.detail(), reject.sentence())
}

/// What a listener without TLS does with requests that are not over HTTPS.
#[must_use]
pub(crate) fn plain(socket: std::net::IpAddr, tls: bool, plain_http: PlainHttp) -> Connected {
    Connected { socket: socket.to_canonical(), tls, plain_http }
}
