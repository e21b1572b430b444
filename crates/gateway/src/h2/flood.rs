//! What a caller may send that brings nothing: counted by kind, for a while at a time. None of these limits comes near
//! what clients do; see [`Kind`].
use crate::clock::TICK_MS;

/// Frames are counted for so long, in milliseconds.
const WHILE_MS: u64 = 10_000;
/// A further WINDOW_UPDATE is allowed for so many bytes that were sent: clients give back 16 KiB and more at a time.
const SENT_BYTES_PER_UPDATE: u64 = 1024;
/// What a piece of DATA counts at least: some clients give back each, on its stream and on the connection.
const LEAST_BYTES: u64 = 2 * SENT_BYTES_PER_UPDATE;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Requests that were begun and taken back (CVE-2023-44487). A page that is left takes back what it loads: 100.
    Reset,
    /// Streams that had to be reset because of what was sent on them (CVE-2025-8671).
    Misused,
    /// SETTINGS, acknowledgements included: each has to be acknowledged, and may change every stream's window.
    Settings,
    /// PING: each has to be answered. gRPC measures its connections with them.
    Ping,
    /// PRIORITY, which does nothing here.
    Priority,
    /// DATA without data that ends nothing (RUSTSEC-2026-0258).
    EmptyData,
    /// Frames for streams that are gone: what was on its way.
    Stray,
    /// Frames of kinds that are not known.
    Unknown,
    /// WINDOW_UPDATE beyond what answers need.
    WindowUpdate,
}

const KINDS: usize = 9;
/// Header blocks that do not end, or have too many fields: one is enough.
pub(super) const BLOCK: &str = "header_block";
/// What connections are ended for, as metrics and the log name it: in the order of [`Kind`], and last a [`BLOCK`].
pub(crate) const FLOODS: [&str; KINDS + 1] = [
    "reset",
    "misused",
    "settings",
    "ping",
    "priority",
    "empty_data",
    "stray",
    "unknown",
    "window_update",
    BLOCK,
];

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        FLOODS[self as usize]
    }

    /// So many, in [`WHILE_MS`].
    const fn most(self) -> u32 {
        match self {
            Kind::Reset => 500,
            Kind::Misused => 100,
            Kind::Settings => 50,
            Kind::Ping => 500,
            Kind::Priority => 1_000,
            Kind::EmptyData => 100,
            Kind::Stray => 1_000,
            Kind::Unknown => 100,
            Kind::WindowUpdate => 1_000,
        }
    }
}

/// The counts of one connection.
#[derive(Default)]
pub(super) struct Guard {
    /// The connection is a trusted proxy's: its callers do not end it for one another by what the proxy hands on.
    pub(super) of_many: bool,
    since: u32,
    counts: [u32; KINDS],
    /// Bytes of DATA sent since, and before that.
    sent: u64,
}

impl Guard {
    /// Counts one at this tick; `false`: it is one too many.
    #[must_use]
    pub(super) fn note(&mut self, kind: Kind, tick: u32) -> bool {
        if self.of_many && matches!(kind, Kind::Reset | Kind::Misused) {
            return true;
        }
        if u64::from(tick.saturating_sub(self.since)) * TICK_MS >= WHILE_MS {
            // What was sent just before may still be acknowledged now.
            *self = Guard { since: tick, counts: [0; KINDS], sent: self.sent / 2, of_many: self.of_many };
        }
        let count = &mut self.counts[kind as usize];
        *count += 1;
        let earned = match kind {
            Kind::WindowUpdate => u32::try_from(self.sent / SENT_BYTES_PER_UPDATE).unwrap_or(u32::MAX),
            _ => 0,
        };
        *count <= kind.most().saturating_add(earned)
    }

    /// DATA was sent. Where it was short because the window was, it earns no more than its bytes: whoever opens the window
    /// by one asks for a frame with each byte.
    pub(super) fn sent(&mut self, bytes: usize, window_left: bool) {
        let least = if window_left { LEAST_BYTES } else { 0 };
        self.sent = self.sent.saturating_add((bytes as u64).max(least));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many are taken before one is too many.
    fn taken(guard: &mut Guard, kind: Kind, tick: u32) -> u32 {
        (0..).find(|_| !guard.note(kind, tick)).unwrap()
    }

    #[test]
    fn each_kind_has_its_own_count_for_a_while() {
        let mut guard = Guard::default();
        assert_eq!(taken(&mut guard, Kind::Settings, 5), 50);
        assert_eq!(taken(&mut guard, Kind::Ping, 199), 500);
        assert!(!guard.note(Kind::Settings, 199));
        assert_eq!(taken(&mut guard, Kind::Settings, 200), 50, "a new while");
    }

    #[test]
    fn whoever_takes_much_may_say_so_often() {
        let mut guard = Guard::default();
        guard.sent(1024 * 5_000, false);
        assert_eq!(taken(&mut guard, Kind::WindowUpdate, 0), 6_000);
        assert_eq!(taken(&mut guard, Kind::WindowUpdate, 200), 3_500);
        let mut guard = Guard::default();
        (0..2_000).for_each(|_| guard.sent(50, true));
        assert_eq!(taken(&mut guard, Kind::WindowUpdate, 0), 5_000, "two for each piece, however small");
        let mut guard = Guard::default();
        (0..2_000).for_each(|_| guard.sent(1, false));
        assert_eq!(taken(&mut guard, Kind::WindowUpdate, 0), 1_001, "but not for pieces that the window cut");
    }
}
