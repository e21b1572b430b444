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
use tokio::sync::Notify;

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
    if !http2 {
        worker.stats.connected();
        return worker.dial.connect(upstream, false).await;
    }
    let none = || io::Error::from(io::ErrorKind::Unsupported);
    loop {
        if let Some(bridge) = worker.links.stream(upstream) {
            return D::bridged(bridge).ok_or_else(none);
        }
        match worker.links.dialing(upstream)? {
            // Somebody else makes one, which has room for many.
            Err(made) => made.notified().await,
            Ok(_dialing) => {
                worker.stats.connected();
                let io = worker.dial.connect(upstream, true).await?;
                let bridge = worker.links.add(worker, upstream, io);
                bridge.settled().await?;
                return D::bridged(bridge).ok_or_else(none);
            }
        }
    }
}

/// The connections of one core to one upstream.
#[derive(Default)]
struct Place {
    open: Vec<Shared>,
    /// Told when the one is made that is being made.
    dialing: Option<Rc<Notify>>,
}

/// The open connections of one core.
#[derive(Default)]
pub(crate) struct Links(RefCell<HashMap<Address, Place>>);

/// A connection is being made; no other one is until this is dropped.
struct Dialing<'l>(&'l Links, Address);

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        let made = self.0.0.borrow_mut().get_mut(&self.1).and_then(|place| place.dialing.take());
        made.inspect(|made| made.notify_waiters());
    }
}

impl Links {
    /// A stream to that upstream, where there is a connection with room.
    fn stream(&self, upstream: &Address) -> Option<Bridge> {
        let mut links = self.0.borrow_mut();
        let place = links.get_mut(upstream)?;
        place.open.retain(|link| {
            let state = link.borrow();
            !state.over && state.closing.is_none()
        });
        place.open.iter().filter(|link| link.borrow().settled).find_map(begin)
    }

    /// Begins to make a connection, or gives what tells when the one is made that is being made.
    fn dialing(&self, upstream: &Address) -> io::Result<Result<Dialing<'_>, Rc<Notify>>> {
        let mut links = self.0.borrow_mut();
        let place = links.entry(upstream.clone()).or_default();
        if let Some(made) = &place.dialing {
            return Ok(Err(Rc::clone(made)));
        }
        if place.open.len() >= MAX_LINKS {
            return Err(io::Error::other("all of its HTTP/2 connections are full"));
        }
        place.dialing = Some(Rc::default());
        Ok(Ok(Dialing(self, upstream.clone())))
    }

    /// Takes a new connection, and begins a stream on it.
    fn add<S: Io, D: Dial>(&self, worker: &Rc<Worker<D>>, upstream: &Address, io: S) -> Bridge {
        let state = State::new(Role::Client { secure: upstream.tls }, worker.wire);
        let shared = Rc::new(RefCell::new(state));
        let bridge = reserve(&shared);
        let idle_ms = worker.settings.timeouts.upstream_idle_ms;
        let driver = Driver::new(Rc::clone(worker), Rc::clone(&shared), io, Input::default(), idle_ms);
        tokio::task::spawn_local(driver.run(|_| {}));
        self.0.borrow_mut().entry(upstream.clone()).or_default().open.push(shared);
        bridge
    }
}

/// Begins a stream where there is room for one.
fn begin(link: &Shared) -> Option<Bridge> {
    let state = link.borrow();
    let room = state.streams.len() < state.peer.streams.min(MAX_STREAMS);
    drop(state);
    room.then(|| reserve(link))
}

/// Begins a stream.
fn reserve(link: &Shared) -> Bridge {
    let mut state = link.borrow_mut();
    state.reserved = state.reserved.wrapping_add(1);
    let id = RESERVED | state.reserved;
    let stream = state.stream(Incoming::Head);
    state.streams.insert(id, stream);
    Bridge::new(Rc::clone(link), id)
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
