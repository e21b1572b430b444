//! The places for connections of a node: so many in all, and so many of one address.
use crate::settle::network;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections without a place that are told so at a time, at most; further ones are just closed.
const TURNED_AWAY: usize = 256;

/// How many connections beyond the limit may be open for as long as it takes to tell them.
#[must_use]
pub fn turned_away(connections: usize) -> usize {
    (connections / 8).clamp(4, TURNED_AWAY)
}

/// `EMFILE` and `ENFILE`, which have no kind of their own.
pub(crate) fn no_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// The places of a node.
pub(crate) struct Places {
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
    /// Connections that got none.
    refused: AtomicU64,
    /// How often the system had no more file descriptors.
    shortages: AtomicU64,
}

#[derive(Default)]
struct Taken {
    all: usize,
    turned_away: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place; free again when dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    of: Of,
}

enum Of {
    /// One that is trusted counts with all others alone.
    Anybody,
    Address(IpAddr),
    /// Only to be told that there is none.
    TurnedAway,
}

impl Places {
    pub(crate) fn new(most: usize, most_per_address: usize) -> Places {
        Places {
            most,
            most_per_address,
            taken: Mutex::default(),
            refused: AtomicU64::new(0),
            shortages: AtomicU64::new(0),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection, or one to be told that there is none; `None`: not even that.
    pub(crate) fn take(self: &Arc<Places>, from: IpAddr, trusted: bool) -> Option<Place> {
        let place = |of| Some(Place { places: Arc::clone(self), of });
        let address = network(from.to_canonical());
        let mut taken = self.taken();
        let own = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.all < self.most && (trusted || own < self.most_per_address) {
            taken.all += 1;
            if trusted {
                return place(Of::Anybody);
            }
            taken.by_address.insert(address, own + 1);
            return place(Of::Address(address));
        }
        self.refused.fetch_add(1, Relaxed);
        if taken.turned_away >= turned_away(self.most) {
            return None;
        }
        taken.turned_away += 1;
        place(Of::TurnedAway)
    }

    /// Connections that got no place so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Notes that the system had no more file descriptors.
    pub(crate) fn shortage(&self) {
        self.shortages.fetch_add(1, Relaxed);
    }

    pub(crate) fn shortages(&self) -> u64 {
        self.shortages.load(Relaxed)
    }
}

impl Place {
    /// It is only to be told that there is none.
    pub(crate) fn is_turned_away(&self) -> bool {
        matches!(self.of, Of::TurnedAway)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match self.of {
            Of::TurnedAway => taken.turned_away -= 1,
            Of::Anybody => taken.all -= 1,
            Of::Address(address) => {
                taken.all -= 1;
                let own = taken.by_address.get(&address).map_or(0, |own| own - 1);
                if own == 0 {
                    taken.by_address.remove(&address);
                } else {
                    taken.by_address.insert(address, own);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    #[test]
    fn no_address_takes_all_places() {
        let places = Arc::new(Places::new(10, 6));
        let take = |n, trusted| places.take(address(n), trusted).filter(|p| !p.is_turned_away());
        let mut held: Vec<_> = (0..6).map(|_| take(1, false).unwrap()).collect();
        assert!(take(1, false).is_none());
        held.push(take(2, false).unwrap());
        // A trusted proxy stands for many, but not for more than there is.
        held.extend((0..3).map(|_| take(1, true).unwrap()));
        assert!(take(1, true).is_none() && take(3, false).is_none());
        assert_eq!(places.refused(), 3);
        held.clear();
        assert!(places.taken().by_address.is_empty() && places.taken().all == 0);
        assert!(take(1, false).is_some());
    }

    #[test]
    fn those_who_are_told_are_bounded() {
        let places = Arc::new(Places::new(1, 1));
        let held: Vec<_> = (0..9).map(|_| places.take(address(1), false)).collect();
        assert_eq!(held.iter().flatten().count(), 1 + turned_away(1));
        assert_eq!(held.iter().flatten().filter(|p| p.is_turned_away()).count(), turned_away(1));
        drop(held);
        assert_eq!(places.taken().turned_away, 0);
    }
}
