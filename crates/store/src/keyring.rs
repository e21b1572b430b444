//! The keyring of the store: the same keys once for each master key that opens it, sealed.
//!
//! A process learns its keys when it opens the store. A rotation changes the ones that seal, under its feet: nodes are
//! told by the change table, whoever opens a secret looks again when a key does not fit, and whoever seals one looks
//! first, inside the transaction that writes it.
use crate::write::Write;
use crate::{Store, StoreError};
use doorward_core::keyring::{KEYRING_BYTES, Keyring, MasterKey};
use doorward_core::secret::{Keys, OtherInstallation, SealedFor, Seals};
use sqlx::{AnyConnection, Row};
use std::sync::Arc;

/// The kind of the whole store in the change table.
pub(crate) const STORE: &str = "store";
/// Under which name the table `meta` has the name of the key that seals.
pub(crate) const SEAL: &str = "seal";

const OPEN: &str =
    "SELECT k.sealed, m.value FROM keyring k LEFT JOIN meta m ON m.key = 'seal' WHERE k.master = $1";
const MASTERS: &str = "SELECT master FROM keyring ORDER BY master";
const PUT: &str = "INSERT INTO keyring (master, sealed) VALUES ($1, $2) \
     ON CONFLICT (master) DO UPDATE SET sealed = excluded.sealed";
const REMOVE: &str = "DELETE FROM keyring WHERE master = $1";
/// Tables whose rows each hold one secret of a credential, in the columns `credential`, `sealed` and `key_version`; with
/// the purpose that it is sealed for. All of them are sealed anew by a rotation and opened by a check.
pub(crate) const SEALED: [Sealed; 2] = [DISPLAY, SIGNING];
/// Copies of secrets that may still be shown.
pub(crate) const DISPLAY: Sealed =
    Sealed { table: "secret_display", purpose: "display", what: "the copy of the secret" };
/// Secrets that requests are signed with.
pub(crate) const SIGNING: Sealed =
    Sealed { table: "signing_secret", purpose: "signing", what: "the signing secret" };

/// One of [`SEALED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) table: &'static str,
    pub(crate) purpose: &'static str,
    /// As sentences name one.
    pub(crate) what: &'static str,
}

impl Sealed {
    /// What the secret in a row belongs to.
    pub(crate) fn owner<'a>(self, workspace: &'a str, credential: &'a str, version: i64) -> SealedFor<'a> {
        SealedFor { workspace, credential, purpose: self.purpose, version }
    }
}

/// The keyring, opened with a master key.
pub(crate) async fn open(
    conn: &mut AnyConnection,
    master: &MasterKey,
    installation: &str,
) -> Result<Keyring, StoreError> {
    let row = sqlx::query(OPEN).bind(master.fingerprint()).fetch_optional(&mut *conn).await?;
    let Some(row) = row else {
        return match masters(conn).await?.is_empty() {
            true => Err(StoreError::Damaged("its keyring is missing".to_owned())),
            false => Err(StoreError::WrongMasterKey),
        };
    };
    let ring = master.unlock(installation, row.try_get(0)?);
    let ring = ring.map_err(|_| StoreError::Damaged("its keyring does not open".to_owned()))?;
    let seal: Option<&str> = row.try_get(1)?;
    let seal = seal.ok_or_else(|| StoreError::Damaged(format!("`{SEAL}` is missing in its table `meta`")))?;
    if seal == ring.name() {
        Ok(ring)
    } else {
        Err(StoreError::Damaged(format!("its keyring seals with {}, and it says {seal}", ring.name())))
    }
}

/// Writes the keyring for one master key.
pub(crate) async fn put(
    conn: &mut AnyConnection,
    master: &MasterKey,
    installation: &str,
    ring: &Keyring,
) -> Result<(), StoreError> {
    let sealed = master.lock(installation, ring);
    sqlx::query(PUT).bind(master.fingerprint()).bind(sealed).execute(conn).await?;
    Ok(())
}

/// From then on that master key opens nothing.
pub(crate) async fn remove(conn: &mut AnyConnection, fingerprint: &str) -> Result<(), StoreError> {
    sqlx::query(REMOVE).bind(fingerprint).execute(conn).await?;
    Ok(())
}

/// The fingerprints of the master keys that open the store.
pub(crate) async fn masters(conn: &mut AnyConnection) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(MASTERS).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// A keyring for a new installation.
pub(crate) fn new() -> Result<Keyring, StoreError> {
    random::<KEYRING_BYTES>().map(|bytes| Keyring::new(&bytes))
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    let filled = aws_lc_rs::rand::fill(&mut bytes);
    filled.map_err(|_| StoreError::Refused("the system gave no random bytes".to_owned()))?;
    Ok(bytes)
}

fn other(e: OtherInstallation) -> StoreError {
    StoreError::Refused(format!("{e}, put there while this one was in use; start this program again"))
}

impl Store {
    /// The keys of this installation. They are the same ones for as long as the store is open, and know of every rotation
    /// once whoever follows the store has been told.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys)
    }

    /// The fingerprint of the master key that the store was opened with.
    pub fn master_key(&self) -> &str {
        self.master.fingerprint()
    }

    /// The fingerprints of all master keys that open the store, in their order.
    ///
    /// # Errors
    /// The store fails.
    pub async fn master_keys(&self) -> Result<Vec<String>, StoreError> {
        masters(&mut *self.pool.acquire().await?).await
    }

    pub(crate) async fn keyring(&self, conn: &mut AnyConnection) -> Result<Keyring, StoreError> {
        open(conn, &self.master, &self.installation).await
    }

    /// Learns the keys anew.
    pub(crate) async fn renew_keys(&self, conn: &mut AnyConnection) -> Result<Arc<Seals>, StoreError> {
        let ring = self.keyring(conn).await?;
        self.keys.renew(&ring).map_err(other)
    }

    /// The same for whoever goes on without: nothing that is decided hangs on the keys that seal.
    pub(crate) async fn follow_keys(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        match self.renew_keys(conn).await {
            Err(StoreError::WrongMasterKey) => {
                tracing::error!(
                    "the master key of this process was retired; it goes on with what it knows, and can't be started again without \
                     the new one"
                );
            }
            Err(StoreError::Damaged(why)) => {
                tracing::error!(%why, "the keys of the store can't be learnt anew")
            }
            done => return done.map(|_| ()),
        }
        Ok(())
    }
}

impl Write {
    /// The keys to seal with, and nothing else may be sealed with. Whoever holds the head has all others wait, rotations
    /// too: the key that the store names now is the one that it will have until this transaction ends, whatever this
    /// process has learnt before. A key that was taken away must not seal any more, for nobody could open it.
    ///
    /// It takes a statement of its own: one that had waited for the head would still see what was there before.
    pub(crate) async fn seals(&mut self) -> Result<Arc<Seals>, StoreError> {
        if let Some(seals) = &self.seals {
            return Ok(Arc::clone(seals));
        }
        let named = crate::schema::meta(&mut self.tx, SEAL).await?;
        let mut seals = self.store.keys.seals();
        if seals.name() != named {
            seals = self.store.renew_keys(&mut self.tx).await?;
        }
        self.seals = Some(Arc::clone(&seals));
        Ok(seals)
    }
}
