//! All credentials, in the memory of every node. A decision asks nobody else.
use crate::credential::Credential;
use crate::origin::{Origin, OriginEntry};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// So many tables share the credentials, so that a writer keeps few readers waiting, and growing never copies much.
const SHARDS: usize = 64;
/// The bits of a hash that choose the table. Within one, the lowest bits choose the place and the highest tell
/// neighbours apart, so these lie between.
const SHARD_SHIFT: u32 = 48;

/// Entries hold their own key: an id is stored once.
type Shard = HashTable<Arc<Credential>>;
/// How many credentials of which workspace have an entry.
type Origins = HashMap<OriginEntry, HashMap<Arc<str>, usize>>;

/// Credentials by id. Readers and one writer at a time; entries are replaced one by one, or all at once.
pub struct Directory {
    shards: Box<[RwLock<Shard>]>,
    /// Keyed at random: ids come from callers, who must not be able to choose where they fall.
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

fn shard_of(hash: u64) -> usize {
    (hash >> SHARD_SHIFT) as usize % SHARDS
}

/// Puts an entry in its place, and returns the one that was there.
fn put_in(
    shard: &mut Shard,
    hasher: &RandomState,
    hash: u64,
    new: Arc<Credential>,
) -> Option<Arc<Credential>> {
    match shard.entry(hash, |c| c.id == new.id, |c| hasher.hash_one(&*c.id)) {
        Entry::Occupied(mut there) => Some(std::mem::replace(there.get_mut(), new)),
        Entry::Vacant(place) => {
            place.insert(new);
            None
        }
    }
}

impl Directory {
    /// One hash a look-up: it chooses the table, and the place in it.
    fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    /// The credential with that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Credential>> {
        let hash = self.hash(id);
        read(&self.shards[shard_of(hash)]).find(hash, |c| *c.id == *id).cloned()
    }

    /// Adds a credential, or replaces the one with its id.
    pub fn put(&self, credential: Credential) {
        let new = Arc::new(credential);
        // The index first, so that no origin is ever missing for a credential that is there.
        self.index(&new, true);
        let hash = self.hash(&new.id);
        let old = put_in(&mut write(&self.shards[shard_of(hash)]), &self.hasher, hash, new);
        if let Some(old) = old {
            self.index(&old, false);
        }
    }

    /// Removes the credential with that id.
    pub fn remove(&self, id: &str) {
        let hash = self.hash(id);
        let old = write(&self.shards[shard_of(hash)])
            .find_entry(hash, |c| *c.id == *id)
            .ok()
            .map(|there| there.remove().0);
        if let Some(old) = old {
            self.index(&old, false);
        }
    }

    /// Begins to gather what takes the place of everything. Dropped, it changes nothing.
    #[must_use]
    pub fn replacement(&self) -> Replacement<'_> {
        let shards = self.shards.iter().map(|s| Shard::with_capacity(read(s).len())).collect();
        Replacement { directory: self, shards }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| read(s).len()).sum()
    }

    /// Up to `most` of those that are `wanted`, in no order. It looks at every one.
    #[must_use]
    pub fn some(&self, most: usize, wanted: impl Fn(&Credential) -> bool) -> Vec<Arc<Credential>> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let room = most - found.len();
            found.extend(read(shard).iter().filter(|c| wanted(c)).take(room).cloned());
        }
        found
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

/// Everything that will be in a directory, on its way there. What is the same as before is shared with the directory, so
/// that there are never two copies of a million credentials.
pub struct Replacement<'d> {
    directory: &'d Directory,
    shards: Vec<Shard>,
}

impl std::fmt::Debug for Replacement<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Replacement({})", self.shards.iter().map(Shard::len).sum::<usize>())
    }
}

impl Replacement<'_> {
    /// Adds a credential; of several with the same id, the last counts.
    pub fn add(&mut self, credential: Credential) {
        let hash = self.directory.hash(&credential.id);
        let at = shard_of(hash);
        let same = read(&self.directory.shards[at]).find(hash, |c| **c == credential).cloned();
        let new = same.unwrap_or_else(|| Arc::new(credential));
        put_in(&mut self.shards[at], &self.directory.hasher, hash, new);
    }

    /// Makes what was added all there is. Meanwhile each look-up finds the old entry or the new one, never none for a
    /// credential that is in both.
    pub fn finish(self) {
        for c in self.shards.iter().flatten() {
            self.directory.index(c, true);
        }
        for (place, new) in self.directory.shards.iter().zip(self.shards) {
            let old = std::mem::replace(&mut *write(place), new);
            for c in &old {
                self.directory.index(c, false);
            }
        }
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
            password_grant: false,
            status: Status::Active,
            expires_at: None,
            scopes: Box::default(),
            origins: origins.iter().map(|o| OriginEntry::parse(o).unwrap()).collect(),
            secret: SecretHash([0; 32]),
            signing: None,
            own: None,
            tokens_since: 0,
        }
    }

    fn replace<const N: usize>(d: &Directory, all: [Credential; N]) {
        let mut replacement = d.replacement();
        all.into_iter().for_each(|c| replacement.add(c));
        replacement.finish();
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
        replace(&d, [client("c", "w", &["https://x.example"])]);
        assert!(!asks("http://shop.example") && asks("https://x.example"));
        assert_eq!(d.len(), 1);
        assert!(d.get("b").is_none() && d.get("c").is_some());
    }

    #[test]
    fn a_replacement_counts_when_it_is_finished_and_shares_what_stays() {
        let d = Directory::default();
        for n in 0..1_000 {
            d.put(client(&format!("k{n}"), "w", &["https://shop.example"]));
        }
        let kept = d.get("k7").unwrap();
        let mut dropped = d.replacement();
        dropped.add(client("other", "w", &[]));
        drop(dropped);
        assert_eq!((d.len(), d.get("other").is_none()), (1_000, true), "given up, it changes nothing");
        let changed = Credential { status: Status::Blocked, ..client("k8", "w", &["https://shop.example"]) };
        replace(&d, [client("k7", "w", &["https://shop.example"]), changed, client("new", "w", &[])]);
        assert_eq!(d.len(), 3);
        assert!(Arc::ptr_eq(&kept, &d.get("k7").unwrap()), "what stays the same is not copied");
        assert_eq!(d.get("k8").unwrap().status, Status::Blocked);
        assert!(d.get("new").is_some() && d.get("k9").is_none());
        let asks = |o: &[u8]| d.lets_in(&Origin::parse(o).unwrap(), |w| w == "w");
        assert!(asks(b"https://shop.example"));
        d.remove("k7");
        d.remove("k8");
        assert!(!asks(b"https://shop.example"), "an origin that nobody has is not let in");
        replace(&d, []);
        assert!(d.is_empty());
    }

    /// Tables and places are chosen by different bits of one hash: were they the same, tables would be full of
    /// neighbours, or empty.
    #[test]
    fn ids_spread_over_all_tables_and_are_found_again() {
        let d = Directory::default();
        for n in 0..20_000 {
            d.put(client(&format!("id-{n}"), "w", &[]));
            d.put(client(&format!("id-{n}"), "w", &[]));
        }
        assert_eq!(d.len(), 20_000);
        assert!(d.shards.iter().all(|s| (150..500).contains(&read(s).len())));
        assert!((0..20_000).all(|n| d.get(&format!("id-{n}")).is_some()));
        assert!(d.get("id-").is_none() && d.get("").is_none());
        (0..20_000).step_by(2).for_each(|n| d.remove(&format!("id-{n}")));
        assert!((0..20_000).all(|n| d.get(&format!("id-{n}")).is_some() == (n % 2 == 1)));
        assert_eq!(d.len(), 10_000);
    }
}
