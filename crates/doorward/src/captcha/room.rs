//! Room for questions that are on their way to providers. Nobody takes all of it: a workspace whose provider is slow, or whom
//! somebody floods with responses, leaves room for others.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many providers are asked at a time; more is refused.
pub(super) const AT_A_TIME: usize = 256;
/// How many of them one workspace may have.
pub(super) const OF_ONE: usize = AT_A_TIME / 4;

/// How many questions each workspace has on their way.
#[derive(Default)]
pub(super) struct Room(Mutex<HashMap<Box<str>, usize>>);

/// A place in it, for as long as this is held.
pub(super) struct Place {
    room: Arc<Room>,
    workspace: Box<str>,
}

impl Room {
    /// A place for one more; `None`: there is none, or none for that workspace.
    pub(super) fn enter(self: &Arc<Room>, workspace: &str) -> Option<Place> {
        let mut inside = self.inside();
        let own = inside.get(workspace).copied().unwrap_or(0);
        if own >= OF_ONE || inside.values().sum::<usize>() >= AT_A_TIME {
            return None;
        }
        inside.insert(workspace.into(), own + 1);
        Some(Place { room: Arc::clone(self), workspace: workspace.into() })
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<Box<str>, usize>> {
        // Whoever panicked while it was locked has left whole entries behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.room.inside();
        match inside.get_mut(&self.workspace) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(inside.remove(&self.workspace)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_workspace_leaves_room_for_others() {
        let room = Arc::new(Room::default());
        let fill =
            |workspace: &str| -> Vec<Place> { (0..OF_ONE).map_while(|_| room.enter(workspace)).collect() };
        let mut first = fill("a");
        assert_eq!(first.len(), OF_ONE);
        assert!(room.enter("a").is_none(), "however slow its provider is");
        let others: Vec<_> = ["b", "c", "d"].into_iter().flat_map(fill).collect();
        assert_eq!(others.len(), AT_A_TIME - OF_ONE);
        assert!(room.enter("e").is_none(), "there is no more");
        drop(first.pop());
        let last = room.enter("e");
        assert!(last.is_some() && room.enter("a").is_none());
        drop((first, others, last));
        assert!(room.inside().is_empty(), "nobody remembers whom nobody asks about");
    }
}
