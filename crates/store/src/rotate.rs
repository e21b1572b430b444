//! Another master key in the place of one, while everybody goes on.
//!
//! Three steps, each of its own and each done at most once, so that whoever is killed can begin again at the beginning:
//! a new key to seal with joins the keyring, which both master keys open from then on; every secret sealed with an older
//! key is sealed with it; the older keys leave the ring. A fourth one, later, when no process needs the old master key
//! any more, takes its copy of the keyring away.
use crate::connect::{ANSWER_MS, within};
use crate::keyring::{self, SEAL, SEALED, STORE};
use crate::reseal::{Walk, older};
use crate::write::{Told, Write};
use crate::{Store, StoreError, captcha, schema, token_keys};
use doorward_core::keyring::{Keyring, MasterKey};
use doorward_core::secret::Seals;
use doorward_core::time::UnixMillis;
use std::sync::Arc;

const RETIRED: &str =
    "SELECT seq FROM change WHERE kind = 'store' AND id = $1 AND action = 'retired' LIMIT 1";

/// A finished rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The fingerprint of the master key that opened the store before, and still does.
    pub from: String,
    /// The fingerprint of the one that opens it now.
    pub to: String,
    /// Secrets that were sealed anew.
    pub resealed: u64,
}

/// How far [`Rotation::begin`] found things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Secrets may be sealed with older keys.
    Resealing,
    /// Both master keys open the store, and nothing is left to do.
    Done,
}

/// A rotation, step by step; [`Store::rotate`] does all of them. A step that was done before does nothing.
pub struct Rotation {
    store: Store,
    to: MasterKey,
    actor: String,
    from: String,
    stage: Stage,
    walk: Walk,
}

impl std::fmt::Debug for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rotation({} to {})", self.from, self.to.fingerprint())
    }
}

impl Store {
    /// Has another master key open the store beside the one that it was opened with, and seals every secret anew, with a
    /// key that was in no copy of the store before. Whoever uses the store goes on. One that was broken off is taken up
    /// where it was.
    ///
    /// # Errors
    /// It is the master key in use, an earlier rotation is not at its end, a secret does not open, or the store fails.
    pub async fn rotate(&self, to: &MasterKey, actor: &str, now: UnixMillis) -> Result<Rotated, StoreError> {
        let mut rotation = Rotation::begin(self, to, actor, now).await?;
        loop {
            while rotation.reseal_some().await? {}
            if let Some(rotated) = rotation.end(now).await? {
                self.erase_closed(now).await?;
                return Ok(rotated);
            }
        }
    }

    /// Takes the store away from a master key that opened it. A rotation that was not at its end comes to it. Returns
    /// `false` where that had been done before.
    ///
    /// # Errors
    /// The store was opened with that very key, it never opened the store, a secret does not open, or the store fails.
    pub async fn retire(&self, fingerprint: &str, actor: &str, now: UnixMillis) -> Result<bool, StoreError> {
        if fingerprint == self.master_key() {
            return refused(format!(
                "master key {fingerprint} is the one that this command opened the store with; give it the one that \
                 stays, and the other can go"
            ));
        }
        let mut walk = Walk::default();
        loop {
            let all = within(ANSWER_MS, self.master_keys()).await?;
            if !all.iter().any(|one| one == fingerprint) {
                return self.was_retired(fingerprint, &all).await;
            }
            while !self.is_settled().await? && walk.step(self).await? {}
            let mut write = self.write(actor, now).await?;
            if within(ANSWER_MS, write.retire(fingerprint)).await? {
                write.commit().await?;
                self.learn_keys().await?;
                self.erase_closed(now).await?;
                return Ok(true);
            }
            walk.restart();
        }
    }

    async fn was_retired(&self, fingerprint: &str, all: &[String]) -> Result<bool, StoreError> {
        let row = sqlx::query(RETIRED).bind(fingerprint).fetch_optional(&self.pool).await?;
        match row {
            Some(_) => Ok(false),
            None => refused(format!(
                "master key {fingerprint} does not open this store; those that do: {}",
                all.join(", ")
            )),
        }
    }

    async fn learn_keys(&self) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        within(ANSWER_MS, async { self.renew_keys(&mut conn).await.map(|_| ()) }).await
    }

    async fn is_settled(&self) -> Result<bool, StoreError> {
        let mut conn = self.pool.acquire().await?;
        within(ANSWER_MS, async { Ok(self.keyring(&mut conn).await?.is_settled()) }).await
    }
}

fn refused<T>(why: String) -> Result<T, StoreError> {
    Err(StoreError::Refused(why))
}

impl Rotation {
    /// The first step: a new key to seal with, in a keyring that both master keys open.
    ///
    /// # Errors
    /// As [`Store::rotate`].
    pub async fn begin(
        store: &Store,
        to: &MasterKey,
        actor: &str,
        now: UnixMillis,
    ) -> Result<Rotation, StoreError> {
        let mut write = store.write(actor, now).await?;
        let (from, stage) = within(ANSWER_MS, write.begin_rotation(to)).await?;
        write.commit().await?;
        store.learn_keys().await?;
        let (store, to, actor) = (store.clone(), to.clone(), actor.to_owned());
        Ok(Rotation { store, to, actor, from, stage, walk: Walk::default() })
    }

    /// Part of the second step: seals up to 500 secrets anew. `false`: there were none left.
    ///
    /// # Errors
    /// As [`Store::rotate`].
    pub async fn reseal_some(&mut self) -> Result<bool, StoreError> {
        match self.stage {
            Stage::Done => Ok(false),
            Stage::Resealing => self.walk.step(&self.store).await,
        }
    }

    /// The third step: forgets the older keys. `None`: there is something left that was sealed with one of them, so the
    /// second step has to be done again.
    ///
    /// # Errors
    /// As [`Store::rotate`].
    pub async fn end(&mut self, now: UnixMillis) -> Result<Option<Rotated>, StoreError> {
        if self.stage == Stage::Resealing {
            let mut write = self.store.write(&self.actor, now).await?;
            if !within(ANSWER_MS, write.end_rotation(&self.to, &self.from)).await? {
                self.walk.restart();
                return Ok(None);
            }
            write.commit().await?;
            self.store.learn_keys().await?;
            self.stage = Stage::Done;
        }
        let (from, to) = (self.from.clone(), self.to.fingerprint().to_owned());
        Ok(Some(Rotated { from, to, resealed: self.walk.resealed }))
    }
}

impl Write {
    async fn begin_rotation(&mut self, to: &MasterKey) -> Result<(String, Stage), StoreError> {
        let store = self.store.clone();
        let all = keyring::masters(&mut self.tx).await?;
        let mut ring = store.keyring(&mut self.tx).await?;
        let own = store.master_key().to_owned();
        if to.fingerprint() == own {
            let other = all.into_iter().find(|one| *one != own);
            return match (other, ring.is_settled()) {
                (Some(from), true) => Ok((from, Stage::Done)),
                (Some(from), false) => refused(format!(
                    "the rotation to this master key is not at its end; `doorward master-key retire {from}` brings it there"
                )),
                (None, _) => refused(format!(
                    "master key {own} is the one that the store has already; `doorward master-key create FILE` makes another"
                )),
            };
        }
        if let Some(third) = all.iter().find(|one| **one != own && *one != to.fingerprint()) {
            return refused(format!(
                "another master key, {third}, opens the store, too: a rotation was begun with it and is not at its end; \
                 retire it first (`doorward master-key retire {third}`), or go on with the same file"
            ));
        }
        if all.iter().any(|one| one == to.fingerprint()) {
            // Begun before. It has to open the store, or there would be a bad surprise later.
            keyring::open(&mut self.tx, to, &store.installation).await?;
            return Ok((own, if ring.is_settled() { Stage::Done } else { Stage::Resealing }));
        }
        ring.add_seal(keyring::random()?);
        self.put_keyring(&ring, Some(to), to.fingerprint(), "rotating", Some(own.clone())).await?;
        Ok((own, Stage::Resealing))
    }

    /// `false`: something is left that an older key sealed.
    async fn end_rotation(&mut self, to: &MasterKey, from: &str) -> Result<bool, StoreError> {
        let mut ring = self.store.clone().keyring(&mut self.tx).await?;
        if !keyring::masters(&mut self.tx).await?.iter().any(|one| one == to.fingerprint()) {
            return refused(format!("master key {} was retired meanwhile", to.fingerprint()));
        }
        if ring.is_settled() {
            // Another process was faster.
            return Ok(true);
        }
        if self.is_older_left(&ring).await? {
            return Ok(false);
        }
        ring.keep_newest();
        self.put_keyring(&ring, Some(to), to.fingerprint(), "rotated", Some(from.to_owned())).await?;
        Ok(true)
    }

    /// `false`: something is left that an older key sealed.
    async fn retire(&mut self, fingerprint: &str) -> Result<bool, StoreError> {
        let mut ring = self.store.clone().keyring(&mut self.tx).await?;
        if self.is_older_left(&ring).await? {
            return Ok(false);
        }
        ring.keep_newest();
        keyring::remove(&mut self.tx, fingerprint).await?;
        self.put_keyring(&ring, None, fingerprint, "retired", None).await?;
        Ok(true)
    }

    /// Whether an older key is needed still. Nobody can seal anything while this transaction holds the head, and whoever
    /// does afterwards sees the keyring that it leaves.
    async fn is_older_left(&mut self, ring: &Keyring) -> Result<bool, StoreError> {
        let seals = Seals::new(ring);
        for of in SEALED {
            if !older(&mut self.tx, of, &seals, "", 1).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(token_keys::is_older_left(&mut self.tx, &seals).await?
            || captcha::is_older_left(&mut self.tx, &seals).await?)
    }

    async fn put_keyring(
        &mut self,
        ring: &Keyring,
        to: Option<&MasterKey>,
        about: &str,
        action: &'static str,
        before: Option<String>,
    ) -> Result<(), StoreError> {
        let store = self.store.clone();
        self.begin_step();
        for master in [Some(&*store.master), to].into_iter().flatten() {
            keyring::put(&mut self.tx, master, &store.installation, ring).await?;
        }
        schema::set_meta(&mut self.tx, SEAL, &ring.name()).await?;
        self.seals = Some(Arc::new(Seals::new(ring)));
        self.tell(Told { workspace: None, kind: STORE, id: about, action, before, after: None }).await
    }
}
