//! Where requests that are answered here are handed over: to another runtime, since a core must not work on them. It only
//! waits.
use crate::clock::Slot;
use crate::local::{Answered, Local, LocalAnswer, LocalRequest, judged};
use crate::pool::Dial;
use crate::settle::{self, Collected, Place, Waits};
use crate::stamp::RequestId;
use crate::worker::Worker;
use doorward_core::decide::{Denial, Facts, Permit, Refusal};
use doorward_core::policy::{Endpoint, Policy};
use doorward_core::reason::Reason;
use doorward_core::request::{Field, RequestView, Transport};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long an answer may take, in milliseconds. The coarse clock's 50 ms may come on top.
pub const LOCAL_MS: u64 = 10_000;

/// Where requests are handed over.
#[derive(Clone)]
pub struct Desk {
    local: Arc<dyn Local>,
    runtime: Handle,
}

impl Desk {
    /// Requests are answered by `local` on `runtime`, which is none of the gateway's own.
    #[must_use]
    pub fn new(local: Arc<dyn Local>, runtime: Handle) -> Desk {
        Desk { local, runtime }
    }

    /// Hands a request over. Its room is taken until the endpoint has done with it, also where nobody waits any more.
    pub(crate) fn hand(
        &self,
        request: LocalRequest,
        places: (Place, Option<Place>),
    ) -> oneshot::Receiver<Answered> {
        let (send, receive) = oneshot::channel();
        let local = Arc::clone(&self.local);
        self.runtime.spawn(async move {
            // A panic ends this task alone, and with it the other end of the channel.
            let answered = local.answer(request).await;
            drop(places);
            // Nobody may be waiting any more.
            let _ = send.send(answered);
        });
        receive
    }
}

/// A request that was permitted to be answered here.
pub(crate) struct Asked<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) req: &'a RequestView<'a>,
    pub(crate) policy: &'a Policy,
    pub(crate) facts: &'a Facts,
    pub(crate) permit: &'a Permit,
    pub(crate) id: &'a RequestId,
}

impl Asked<'_> {
    fn request(&self, body: Vec<u8>) -> Option<LocalRequest> {
        let Asked { req, facts, .. } = self;
        let api = &self.policy.apis[self.policy.routes[facts.route?.0].api];
        // Of a signed request, nothing else can be relied on.
        let signed = self.permit.signed();
        let counts = |name: &[u8]| {
            signed.is_none_or(|s| {
                s.signing().passes(name) || s.names().any(|n| name.eq_ignore_ascii_case(n.as_bytes()))
            })
        };
        let field = |f: &Field| {
            let name = f.name.on(req.raw);
            counts(name).then(|| (Box::from(name), Box::from(f.value.on(req.raw))))
        };
        Some(LocalRequest {
            endpoint: self.endpoint,
            api: api.id.as_str().into(),
            dialect: api.dialect,
            method: req.method.into(),
            path: req.path.into(),
            query: req.query.map(Box::from),
            fields: req.fields.iter().filter_map(field).collect(),
            body,
            client: req.client,
            secure: req.transport == Transport::Secure,
            now: req.now,
            request_id: self.id.as_str().into(),
            credential: facts.credential.clone().zip(facts.presented.map(|(scheme, _)| scheme)),
            workspace: self.permit.workspace().cloned(),
        })
    }
}

/// Has a request answered. What is kept of it takes room as bodies do that wait for their proof.
pub(crate) async fn ask<D: Dial>(
    worker: &Worker<D>,
    slot: &Slot,
    asked: &Asked<'_>,
    body: Option<Collected>,
) -> Result<LocalAnswer, Denial> {
    let unavailable = |detail| Denial::from(Refusal::new(Reason::Unavailable, detail));
    // It may have been read for something else, under a policy that is not in force any more.
    let most = Waits::ForAnswer.most(&worker.settings.limits);
    if body.as_ref().is_some_and(|body| body.bytes.len() as u64 > most) {
        return Err(settle::too_large(Waits::ForAnswer, most));
    }
    let head = settle::place(worker, asked.req.client, asked.req.raw.len() as u64)?;
    let (bytes, place) = body.map(|body| (body.bytes, body.place)).unzip();
    let request = asked.request(bytes.unwrap_or_default()).ok_or_else(|| unavailable("local-route"))?;
    let mut coming = worker.desk.hand(request, (head, place));
    slot.set(worker.clock.after(LOCAL_MS));
    let came = poll_fn(|cx| match Pin::new(&mut coming).poll(cx) {
        Poll::Pending => slot.pending(cx, &worker.clock),
        Poll::Ready(came) => Poll::Ready(Ok(came.ok())),
    });
    match came.await {
        Ok(came) => judged(came).map_err(Denial::from),
        Err(_) if worker.is_cut_off() => Err(unavailable("node-stops")),
        Err(_) => Err(unavailable("local-late")),
    }
}
