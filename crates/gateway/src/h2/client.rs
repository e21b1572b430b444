//! HTTP/2 to upstreams: one connection of each core to each address, and a further one where all are full.
//!
//! A request is sent once. What an upstream says it did not process is not sent again either: it is answered as a failed
//! upstream, and the next request goes over a connection that is open.
use super::bridge::Bridge;
use super::drive::Driver;
use super::state::{Incoming, Role, Shared, State};
use super::{LINK_WINDOW_BYTES, MAX_STREAMS};
use crate::input::Input;
use crate::io::Io;
use crate::pool::Dial;
use crate::worker::Worker;
use doorward_core::policy::Address;
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Connections to one upstream, of one core.
const MAX_LINKS: usize = 16;
/// Marks streams that have no id of their own yet.
pub(super) const RESERVED: u32 = 0x8000_0000;
/// The last id that is used on a connection; after that it is closed, and another one opened.
const LAST_ID: u32 = 0x3fff_ffff;

/// Requests of one connection that are taken back, at most: then it gets no further ones, and those under way go on.
///
/// Callers that leave early would otherwise have a server end the connection for all others that share it, since it has to
/// guard itself against resets (CVE-2023-44487). Servers allow 20 of requests that they have not looked at yet (h2 of Rust),
/// half of 500 requests (Envoy), or 1,000 and 33 more with each second (nghttp2, so Node.js). Some count for as long as the
/// connection lasts, and so does this, but for [`UNDER_WAY`]. What is left after the last one is not reset but forgotten: what
/// still comes of it is thrown away, no more than a stream's window, and it ends with the connection, as soon as nobody waits
/// for anything there. A new connection for so many callers that left is still far less than HTTP/1.1 costs: one for each.
const RESETS: u32 = 16;

/// A request that has been under way for so long is taken back without being counted, once in [`SPARED_EVERY`]: this is how
/// streams end on which an upstream tells news, and no server that guards itself is still to look at it.
const UNDER_WAY: Duration = Duration::from_secs(5);
/// Servers allow several resets a second for as long as they like.
const SPARED_EVERY: Duration = Duration::from_secs(1);

/// How is told that all connections to an upstream are full: no system call that connects says so.
const FULL: io::ErrorKind = io::ErrorKind::QuotaExceeded;

/// Whether a stream can't be begun for now, though nothing is wrong with the upstream.
pub(crate) fn is_full(error: &io::Error) -> bool {
    error.kind() == FULL
}

/// A connection to an upstream, or a stream of one where it speaks HTTP/2.
///
/// # Errors
/// What the system says; see [`is_full`] as well.
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
            Err(made) => {
                made.over.notified().await;
                // It is not tried again for each of those who waited, one after the other.
                if let Some(failure) = made.failure.take() {
                    let again = copy(&failure);
                    made.failure.set(Some(failure));
                    return Err(again);
                }
            }
            Ok(dialing) => {
                worker.stats.connected();
                let made = async {
                    let io = worker.dial.connect(upstream, true).await?;
                    let bridge = worker.links.add(worker, upstream, io);
                    bridge.settled().await.map(|()| bridge)
                };
                let bridge = made.await.inspect_err(|error| dialing.made.failure.set(Some(copy(error))))?;
                return D::bridged(bridge).ok_or_else(none);
            }
        }
    }
}

/// The same failure, for somebody else.
fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// A connection that is being made.
#[derive(Default)]
struct Making {
    over: Notify,
    /// Why there is none, where it is over.
    failure: Cell<Option<io::Error>>,
}

/// The connections of one core to one upstream.
#[derive(Default)]
struct Place {
    open: Vec<Shared>,
    dialing: Option<Rc<Making>>,
}

/// The open connections of one core.
#[derive(Default)]
pub(crate) struct Links(RefCell<HashMap<Address, Place>>);

/// A connection is being made; no other one is until this is dropped.
struct Dialing<'l> {
    links: &'l Links,
    to: Address,
    made: Rc<Making>,
}

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.links.0.borrow_mut().get_mut(&self.to) {
            place.dialing = None;
        }
        self.made.over.notify_waiters();
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
    fn dialing(&self, upstream: &Address) -> io::Result<Result<Dialing<'_>, Rc<Making>>> {
        let mut links = self.0.borrow_mut();
        let place = links.entry(upstream.clone()).or_default();
        if let Some(made) = &place.dialing {
            return Ok(Err(Rc::clone(made)));
        }
        if place.open.len() >= MAX_LINKS {
            return Err(FULL.into());
        }
        let made = Rc::clone(place.dialing.insert(Rc::default()));
        Ok(Ok(Dialing { links: self, to: upstream.clone(), made }))
    }

    /// Takes a new connection, and begins a stream on it.
    fn add<S: Io, D: Dial>(&self, worker: &Rc<Worker<D>>, upstream: &Address, io: S) -> Bridge {
        let state = State::new(Role::Client { secure: upstream.tls }, LINK_WINDOW_BYTES, worker.wire);
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
pub(super) fn reserve(link: &Shared) -> Bridge {
    let mut state = link.borrow_mut();
    state.reserved = state.reserved.wrapping_add(1);
    let id = RESERVED | state.reserved;
    let stream = state.stream(Incoming::Head);
    state.streams.insert(id, stream);
    Bridge::new(Rc::clone(link), id)
}

impl State {
    /// Counts a request that is taken back, asked at `asked`; whether the upstream is told. See [`RESETS`].
    pub(super) fn may_take_back(&mut self, asked: Option<Instant>) -> bool {
        let now = Instant::now();
        let since = |then: Option<Instant>| then.map(|then| now.saturating_duration_since(then));
        if since(asked).is_some_and(|age| age >= UNDER_WAY)
            && since(self.spared).is_none_or(|pause| pause >= SPARED_EVERY)
        {
            self.spared = Some(now);
            return true;
        }
        self.resets += 1;
        if self.resets >= RESETS {
            self.closing = self.closing.or(Some(self.last));
        }
        self.resets <= RESETS
    }

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
        if let Some(mut stream) = self.streams.remove(id) {
            stream.asked = Some((Instant::now(), self.heard));
            self.streams.insert(named, stream);
        }
        *id = named;
    }
}
