//! What the system tells the process.
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are listened to, from the moment this is made.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What one of them asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGTERM or SIGINT: end what is in flight, then stop.
    Stop,
    /// SIGHUP: open certificates and the events file again.
    Reopen,
}

impl Signals {
    /// Starts listening.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reopen,
        }
    }
}
