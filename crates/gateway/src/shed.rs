//! What becomes of a request for which there is no time: told so at once, and its connection rests for about as long as
//! its caller was told to stay away. So a caller that does not listen costs little, and one that does notices nothing.
use crate::engine::fits;
use crate::event::{self, Verdict};
use crate::io::{self as sockets, Io};
use crate::load::Busy;
use crate::peer::Peer;
use crate::pool::Dial;
use crate::request::view;
use crate::respond::{self, Manner, Refused};
use crate::serve::{After, Connection, Own};
use crate::stamp::RequestId;
use crate::wire::{Expect, Framing};
use crate::worker::Scratch;
use doorward_core::decide::Facts;
use doorward_core::dialect::ErrorStyle;
use doorward_core::reason::Reason;
use doorward_core::request::Transport;
use doorward_core::time::UnixMillis;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

impl<S: Io, D: Dial> Connection<S, D> {
    /// Turns a request away whose head was read into `s`. Nothing was decided about it.
    #[cold]
    pub(crate) async fn shed(
        &mut self,
        busy: Busy,
        behind: Option<Peer>,
        (now, id): (UnixMillis, &RequestId),
        end: usize,
        started: Instant,
        s: &mut Scratch,
    ) -> After {
        let worker = Rc::clone(&self.worker);
        let unsure = s.head.expect != Expect::None && s.head.framing != Framing::None;
        let rest_fits = !unsure && fits(&s.head, worker.settings.limits.unread_body_bytes);
        let keep = rest_fits && !s.head.close && !worker.draining();
        {
            let peer = behind.as_ref().unwrap_or(&self.peer);
            let req = view(self.input.before(end), &s.head, peer, now);
            let policy = worker.live.policy.load();
            let seen = Some((&req, &**policy, &Facts::default()));
            s.line.clear();
            event::begin(&mut s.line, worker.instant(now).as_str(), id.as_str(), peer, seen);
            let hsts = worker.settings.hsts.filter(|_| req.transport == Transport::Secure);
            s.extra.clear();
            respond::extra(&mut s.extra, id.as_bytes(), hsts, None, false);
            let how = Manner {
                style: ErrorStyle::Problem,
                request_id: id.as_bytes(),
                extra: &s.extra,
                to_head: req.method == b"HEAD",
                keep,
                minor: s.head.minor,
                now,
            };
            s.own.clear();
            respond::refusal(&mut s.own, &Refused::new(Reason::Overloaded, None), &how);
        }
        let own = Own {
            verdict: Verdict::Deny,
            reason: Some(Reason::Overloaded),
            detail: Some(busy.detail()),
            rule: None,
            status: Reason::Overloaded.status(),
        };
        match self.answer(s, &own, started, end as u64).await {
            After::Linger if keep => match self.pass_over(s).await {
                After::Keep => self.rest().await,
                other => other,
            },
            other => other,
        }
    }

    /// Does not read from the connection for a while.
    async fn rest(&mut self) -> After {
        let worker = Rc::clone(&self.worker);
        if self.input.is_empty() {
            // Whoever has left, or was only ever to send this one request, need not wait.
            self.input.make_room(&worker.buffers);
            let (io, input) = (&mut self.io, &mut self.input);
            let more = poll_fn(|cx| Poll::Ready(sockets::poll_read(io, cx, input.space()))).await;
            match more {
                Poll::Ready(Ok(0) | Err(_)) => return After::Close,
                Poll::Ready(Ok(n)) => self.input.filled(n),
                Poll::Pending => self.input.release(&worker.buffers),
            }
        }
        let ticks = worker.load.pause_ticks(Rc::as_ptr(&self.slot) as usize);
        self.slot.set(worker.clock.now().saturating_add(ticks));
        self.slot.set_idle(true);
        let slot = &self.slot;
        let rested = poll_fn(|cx| match worker.draining() {
            true => Poll::Ready(Ok(())),
            false => slot.pending::<()>(cx, &worker.clock),
        });
        // It ends by being too late.
        let _ = rested.await;
        self.slot.set_idle(false);
        After::Keep
    }
}
