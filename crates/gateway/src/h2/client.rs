//! HTTP/2 to upstreams: one connection of each core to each address, and a further one where all are full.
//!
//! A request is sent once. What an upstream says it did not process is not sent again either: it is answered as a failed
//! upstream, and the next request goes over a connection that is open.
use super::bridge::Bridge;
use super::drive::Driver;
use super::state::{Incoming, Role, Shared, State};
use super::MAX_STREAMS;
use crate::input::Input;
use crate::io::Io;
use crate::pool::Dial;
use crate::worker::Worker;
use doorward_core::policy::Address;
use hashbrown::HashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// Connections to one upstream, of one core.
const MAX_LINKS: usize = 16;
/// The last id that is used on a connection; after that it is closed, and another one opened.
const LAST_ID: u32 = 0x3fff_ffff;

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
    pub(crate) fn add<S: Io, D: Dial>(&self, worker: &Rc<Worker<D>>, upstream: &Address, io: S) -> Option<Bridge> {
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
    let id = if state.last == 0 { 1 } else { state.last + 2 };
    state.last = id;
    if id >= LAST_ID {
        state.closing = Some(id);
    }
    let stream = state.stream(Incoming::Head);
    state.streams.insert(id, stream);
    Some(Bridge::new(Rc::clone(link), id))
}
