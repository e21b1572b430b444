//! Tells of connections that were ended since they sent too much of what brings nothing.
use crate::clock::TICK_MS;
use crate::pool::Dial;
use crate::worker::Worker;
use std::cell::Cell;
use std::net::IpAddr;

/// Of each core, one line in so many milliseconds: whoever floods is not to fill the log as well.
const EVERY_MS: u64 = 1_000;

/// What one core has told of.
#[derive(Default)]
pub(crate) struct Floods {
    /// From this tick on the next line may be written.
    next: Cell<u32>,
    /// Connections without a line since the last one.
    untold: Cell<u64>,
}

impl Floods {
    /// Counts a connection from that address that was ended for this, and writes a line where there is room for one.
    pub(crate) fn tell<D: Dial>(&self, worker: &Worker<D>, client: IpAddr, what: &'static str) {
        worker.stats.flood(what);
        let now = worker.clock.now();
        if now < self.next.get() {
            self.untold.set(self.untold.get() + 1);
            return;
        }
        self.next.set(now.saturating_add((EVERY_MS / TICK_MS) as u32));
        let others = self.untold.take();
        tracing::warn!(%client, flood = what, others, "an HTTP/2 connection was ended: it sent too much that brings nothing");
    }
}
