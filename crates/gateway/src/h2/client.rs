//! HTTP/2 to upstreams: one connection of each core to each address, and a further one where all are full.
//!
//! A request is sent once. What an upstream says it did not process is not sent again either: it is answered as a failed
//! upstream, and the next request goes over a connection that is open.
use super::MAX_STREAMS;
use super::bridge::Bridge;
use super::drive::Driver;
use super::state::{Incoming, Role, Shared, State};
use crate::input::Input;
use crate::io::Io;
use crate::pool::Dial;
use crate::worker::Worker;
use doorward_core::policy::Address;
use hashbrown::HashMap;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Connections to one upstream, of one core.
const MAX_LINKS: usize = 16;
/// Marks streams that have no id of their own yet.
pub(super) const RESERVED: u32 = 0x8000_0000;
/// The last id that is used on a connection; after that it is closed, and another one opened.
const LAST_ID: u32 = 0x3fff_ffff;

/// A connection to an upstream, or a stream of one where it speaks HTTP/2.
pub(crate) async fn connect<D: Dial>(
    worker: &Rc<Worker<D>>,
    upstream: &Address,
    http2: bool,
) -> io::Result<D::Io> {
    if let Some(io) = http2.then(|| worker.links.stream(upstream)).flatten().and_then(D::bridged) {
        return Ok(io);
    }
    if http2 && worker.links.full(upstream) {
        return Err(io::Error::other("all of its HTTP/2 connections are full"));
    }
    worker.stats.connected();
    let io = worker.dial.connect(upstream, http2).await?;
    if !http2 {
        return Ok(io);
    }
    let bridge = worker.links.add(worker, upstream, io).and_then(D::bridged);
    bridge.ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// The open connections of one core.
#[derive(Default)]
pub(crate) struct Links(RefCell<HashMap<Address, Vec<Shared>>>);

impl Links {
    /// A stream to that upstream, where there is a connection with room.
    pub(crate) fn stream(&self, upstream: &Address) -> Option<Bridge> {
        let mut links = self.0.borrow_mut();
        let open = links.get_mut(upstream)?;
        open.retain(|link| {
            let state = link.borrow();
            !state.over && state.closing.is_none()
        });
        open.iter().find_map(begin)
    }

    /// Whether there are as many connections as there may be.
    pub(crate) fn full(&self, upstream: &Address) -> bool {
        self.0.borrow().get(upstream).is_some_and(|open| open.len() >= MAX_LINKS)
    }

    /// Takes a new connection, and begins a stream on it.
    pub(crate) fn add<S: Io, D: Dial>(
        &self,
        worker: &Rc<Worker<D>>,
        upstream: &Address,
        io: S,
    ) -> Option<Bridge> {
        let state = State::new(Role::Client { secure: upstream.tls }, worker.wire);
        let shared = Rc::new(RefCell::new(state));
        let bridge = begin(&shared);
        let idle_ms = worker.settings.timeouts.upstream_idle_ms;
        let driver = Driver::new(Rc::clone(worker), Rc::clone(&shared), io, Input::default(), idle_ms);
        tokio::task::spawn_local(driver.run(|_| {}));
        self.0.borrow_mut().entry(upstream.clone()).or_default().push(shared);
        bridge
    }
}

/// Begins a stream where there is room for one.
fn begin(link: &Shared) -> Option<Bridge> {
    let mut state = link.borrow_mut();
    if state.streams.len() >= state.peer.streams.min(MAX_STREAMS) {
        return None;
    }
    state.reserved = state.reserved.wrapping_add(1);
    let id = RESERVED | state.reserved;
    let stream = state.stream(Incoming::Head);
    state.streams.insert(id, stream);
    Some(Bridge::new(Rc::clone(link), id))
}

impl State {
    /// Gives a stream its id, now that its head is sent: ids have to come in order (RFC 9113 5.1.1).
    pub(super) fn name(&mut self, id: &mut u32) {
        if *id & RESERVED == 0 {
            return;
        }
        let named = if self.last == 0 { 1 } else { self.last + 2 };
        self.last = named;
        if named >= LAST_ID {
            self.closing = Some(named);
        }
        if let Some(stream) = self.streams.remove(id) {
            self.streams.insert(named, stream);
        }
        *id = named;
    }
}
