//! All credentials, in the memory of every node. A decision asks nobody else.
use crate::credential::Credential;
use crate::origin::{Origin, OriginEntry};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// So many maps share the credentials, so that a writer keeps few readers waiting.
const SHARDS: usize = 64;

type Shard = HashMap<Box<str>, Arc<Credential>>;
/// How many credentials of which workspace have an entry.
type Origins = HashMap<OriginEntry, HashMap<Arc<str>, usize>>;

/// Credentials by id. Readers and one writer at a time; entries are replaced one by one.
pub struct Directory {
    shards: Box<[RwLock<Shard>]>,
    /// Keyed at random: ids come from callers, who must not be able to choose the shard.
    hasher: RandomState,
    origins: RwLock<Origins>,
}

impl Default for Directory {
    fn default() -> Directory {
        Directory {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            origins: RwLock::default(),
        }
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Directory({})", self.len())
    }
}

// A panic while a lock is held leaves whole entries behind: each is replaced in one step.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Directory {
    fn shard(&self, id: &str) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % SHARDS]
    }

    /// The credential with that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Credential>> {
        read(self.shard(id)).get(id).cloned()
    }

    /// Adds a credential, or replaces the one with its id.
    pub fn put(&self, credential: Credential) {
        let new = Arc::new(credential);
        // The index first, so that no origin is ever missing for a credential that is there.
        self.index(&new, true);
        let old = write(self.shard(&new.id)).insert(new.id.clone(), new);
        if let Some(old) = old {
            self.index(&old, false);
        }
    }

    /// Removes the credential with that id.
    pub fn remove(&self, id: &str) {
        let old = write(self.shard(id)).remove(id);
        if let Some(old) = old {
            self.index(&old, false);
        }
    }

    /// Makes these credentials the only ones.
    pub fn replace_all(&self, all: impl IntoIterator<Item = Credential>) {
        let mut keep = std::collections::HashSet::new();
        for c in all {
            keep.insert(c.id.clone());
            self.put(c);
        }
        for id in self.ids().into_iter().filter(|id| !keep.contains(id)) {
            self.remove(&id);
        }
    }

    fn ids(&self) -> Vec<Box<str>> {
        self.shards.iter().flat_map(|s| read(s).keys().cloned().collect::<Vec<_>>()).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| read(s).len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn index(&self, c: &Credential, add: bool) {
        if c.origins.is_empty() {
            return;
        }
        let mut origins = write(&self.origins);
        for entry in &c.origins {
            let of = origins.entry(entry.clone()).or_default();
            let count = of.entry(Arc::clone(&c.workspace)).or_default();
            if add {
                *count += 1;
            } else {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    of.remove(&c.workspace);
                }
            }
            if of.is_empty() {
                origins.remove(entry);
            }
        }
    }

    /// Whether a credential of a workspace that `serves` accepts lets this origin in.
    #[must_use]
    pub fn lets_in(&self, origin: &Origin, serves: impl Fn(&str) -> bool) -> bool {
        let origins = read(&self.origins);
        origin.matching_entries().any(|e| origins.get(&e).is_some_and(|of| of.keys().any(|w| serves(w))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{Kind, Status};
    use crate::dialect::Dialect;
    use crate::secret::SecretHash;

    fn client(id: &str, workspace: &str, origins: &[&str]) -> Credential {
        Credential {
            id: id.into(),
            pseudonym: None,
            workspace: workspace.into(),
            kind: Kind::Client,
            name: "".into(),
            dialect: Dialect::named("voucherify").unwrap(),
            plain_key: false,
            status: Status::Active,
            expires_at: None,
            scopes: Box::default(),
            origins: origins.iter().map(|o| OriginEntry::parse(o).unwrap()).collect(),
            secret: SecretHash([0; 32]),
        }
    }

    #[test]
    fn the_union_of_origins_follows_every_change() {
        let d = Directory::default();
        let asks = |o: &str| d.lets_in(&Origin::parse(o.as_bytes()).unwrap(), |w| w == "w");
        d.put(client("a", "w", &["https://shop.example", ".example.org"]));
        d.put(client("b", "w", &["https://shop.example"]));
        d.put(client("c", "other", &["*"]));
        assert!(
            asks("https://shop.example")
                && asks("https://a.b.example.org")
                && !asks("https://elsewhere.example")
        );
        d.remove("a");
        assert!(asks("https://shop.example") && !asks("https://a.b.example.org"));
        d.put(client("b", "w", &["shop.example"]));
        assert!(asks("http://shop.example"));
        d.replace_all([client("c", "w", &["https://x.example"])]);
        assert!(!asks("http://shop.example") && asks("https://x.example"));
        assert_eq!(d.len(), 1);
        assert!(d.get("b").is_none() && d.get("c").is_some());
    }
}
