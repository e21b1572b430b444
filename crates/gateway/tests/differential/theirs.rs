//! Streams as hyper reads them, over connections that are nothing but memory.
use crate::message::{Body, Fields, Message};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, Response};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// So often is a future polled before it counts as waiting for bytes that never come.
const PATIENCE: usize = 400;

/// One side of a connection in memory.
#[derive(Default)]
struct Wire {
    /// What can be read now.
    incoming: Vec<u8>,
    at: usize,
    /// Whether reading beyond `incoming` finds the end, rather than waits.
    ended: bool,
    /// Bytes per read.
    step: usize,
    /// Nothing can be read before something was written, as a client expects.
    answers_only: bool,
    written: usize,
}

#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Wire>>);

impl Read for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.0.borrow_mut();
        if wire.answers_only && wire.written == 0 {
            return Poll::Pending;
        }
        let length = (wire.incoming.len() - wire.at).min(into.remaining()).min(wire.step);
        if length == 0 && !wire.ended {
            return Poll::Pending;
        }
        into.put_slice(&wire.incoming[wire.at..wire.at + length]);
        wire.at += length;
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().written += from.len();
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Polls until done or out of patience.
fn run<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..PATIENCE).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

fn fields(map: &HeaderMap) -> Fields {
    Fields::of(map.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())))
}

/// Reads a body into `body`, so that what came before an error or a stall is kept.
async fn read(mut incoming: Incoming, body: &RefCell<Body>) {
    loop {
        match incoming.frame().await {
            None => break body.borrow_mut().complete = true,
            Some(Err(_)) => break,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => body.borrow_mut().data.extend_from_slice(&data),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        body.borrow_mut().trailers = fields(&trailers);
                    }
                }
            },
        }
    }
}

/// The requests that hyper's server sees in a stream that ends after `bytes`.
pub(crate) fn requests(bytes: &[u8], step: usize) -> Vec<Message> {
    let wire = Wire { incoming: bytes.to_vec(), ended: true, step, ..Wire::default() };
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let log = Rc::clone(&log);
        async move {
            let (head, incoming) = request.into_parts();
            let target = head.uri.path_and_query().map_or("", |target| target.as_str());
            let start = (head.method.to_string(), target.as_bytes().to_vec());
            let body = RefCell::default();
            read(incoming, &body).await;
            log.borrow_mut().push(Message { start, fields: fields(&head.headers), body: body.into_inner() });
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.half_close(true).header_read_timeout(None).auto_date_header(false);
    let ended = run(server.serve_connection(Memory(Rc::new(RefCell::new(wire))), service));
    assert!(ended.is_some(), "hyper's server never ended: {}", bytes.escape_ascii());
    Rc::into_inner(seen).expect("the service is gone").into_inner()
}

/// What hyper's client makes of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `None` where hyper refused the head or waits for more of it.
    pub(crate) message: Option<Message>,
    /// Whether the next request on the same connection got the answer meant for it.
    pub(crate) canary: bool,
}

const CANARY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary";

/// Sends a request, lets hyper read `bytes` as its answer, and then asks again over the same connection. `ended`
/// tells whether the connection ends after `bytes`.
pub(crate) fn answer(bytes: &[u8], to_head: bool, ended: bool, step: usize) -> Answer {
    let memory = Memory::default();
    *memory.0.borrow_mut() =
        Wire { incoming: bytes.to_vec(), ended, step, answers_only: true, ..Wire::default() };
    let handshake = run(hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(memory.clone()));
    let (mut sender, connection) = handshake.expect("no I/O yet").expect("no I/O yet");
    let mut connection = pin!(connection);
    let mut context = Context::from_waker(Waker::noop());
    let mut over = false;

    // Both ends of hyper's client are polled in turn, as an executor would.
    let mut exchange = |method: &str, sender: &mut hyper::client::conn::http1::SendRequest<_>| {
        let request = Request::builder().method(method).uri("/").header("host", "a").body(Empty::new());
        let sent = sender.send_request(request.expect("a plain request"));
        let (head, body) = (RefCell::new(None), RefCell::default());
        {
            let mut answered = pin!(async {
                if let Ok(response) = sent.await {
                    let (parts, incoming) = response.into_parts();
                    *head.borrow_mut() = Some(parts);
                    read(incoming, &body).await;
                }
            });
            for _ in 0..PATIENCE {
                over = over || connection.as_mut().poll(&mut context).is_ready();
                if answered.as_mut().poll(&mut context).is_ready() {
                    break;
                }
            }
        }
        // Lets the connection find out that it is free.
        for _ in 0..4 {
            over = over || connection.as_mut().poll(&mut context).is_ready();
        }
        head.into_inner().map(|parts| {
            let reason = parts.extensions.get::<hyper::ext::ReasonPhrase>();
            let reason = reason.map_or_else(
                || parts.status.canonical_reason().unwrap_or_default().as_bytes().to_vec(),
                |reason| reason.as_bytes().to_vec(),
            );
            let start = (parts.status.as_u16().to_string(), reason);
            Message { start, fields: fields(&parts.headers), body: body.into_inner() }
        })
    };
    let message = exchange(if to_head { "HEAD" } else { "GET" }, &mut sender);
    {
        let mut wire = memory.0.borrow_mut();
        wire.written = 0;
        wire.incoming.extend_from_slice(CANARY);
    }
    let second = exchange("GET", &mut sender);
    let canary = second.is_some_and(|m| m.start.0 == "200" && m.body.complete && m.body.data == b"canary");
    Answer { message, canary }
}
