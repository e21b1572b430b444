//! Room for those whose passwords wait to be compared. Nobody takes all of it: whoever tries from one network, with however
//! many names, leaves room for others.
use super::pool::WAITING;
use doorward_core::guessing::Network;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who waits now, by where they come from.
pub(super) struct Room {
    /// How many may wait that come from one network.
    of_one: usize,
    inside: Mutex<HashMap<Network, usize>>,
}

/// A place in it, for as long as this is held.
pub(super) struct Place<'a> {
    room: &'a Room,
    from: Network,
}

impl Room {
    pub(super) fn new(of_one: usize) -> Room {
        Room { of_one, inside: Mutex::default() }
    }

    /// A place for one more; `None`: there is none, or none for that network.
    pub(super) fn enter(&self, from: Network) -> Option<Place<'_>> {
        let mut inside = self.inside();
        let own = inside.get(&from).copied().unwrap_or(0);
        if own >= self.of_one || inside.values().sum::<usize>() >= WAITING {
            return None;
        }
        inside.insert(from, own + 1);
        Some(Place { room: self, from })
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        // Whoever panicked while it was locked has left whole entries behind.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inside = self.room.inside();
        match inside.get_mut(&self.from) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(inside.remove(&self.from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_leaves_room_for_others() {
        const OF_ONE: usize = WAITING / 4;
        let room = Room::new(OF_ONE);
        let from = |n: u8| Network::V4([192, 0, 2, n]);
        let mut of_one: Vec<_> = (0..OF_ONE).map(|_| room.enter(from(1)).unwrap()).collect();
        assert!(room.enter(from(1)).is_none(), "however many names it has");
        let all: Vec<_> = (OF_ONE..WAITING).map(|n| room.enter(from(2 + n as u8)).unwrap()).collect();
        assert!(room.enter(from(200)).is_none(), "there is no more");
        drop(of_one.pop());
        let last = room.enter(from(200));
        assert!(last.is_some() && room.enter(from(1)).is_none());
        drop((of_one, all, last));
        assert!(room.inside().is_empty(), "nobody remembers whom nobody waits for");
    }
}
