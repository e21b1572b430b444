//! Opens a store, and makes it where there is none.
use crate::address::Address;
use crate::connect::{Connector, explain};
use crate::file::{OpenedFile, Traces, existing_file};
use crate::{Store, StoreError, schema};
use doorward_core::keyring::MasterKey;
use doorward_core::secret::Keys;
use doorward_core::time::UnixMillis;
use sqlx::Connection as _;
use std::sync::Arc;

/// What a store was made for. The keys of a demo are printed for all to see, so its store serves nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A demo.
    Demo,
    /// Real use.
    Own,
}

impl Purpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Purpose::Demo => "demo",
            Purpose::Own => "own",
        }
    }
    pub(crate) fn named(name: &str) -> Option<Purpose> {
        [Purpose::Demo, Purpose::Own].into_iter().find(|p| p.name() == name)
    }
}

impl Store {
    /// Opens the store at `url`, as in `sqlite:/var/lib/doorward/doorward.db` or `postgres://ann@db.example/doorward`;
    /// see [`Store::open_at`].
    ///
    /// # Errors
    /// As [`Store::open_at`], or it is no address.
    pub async fn open(
        url: &str,
        master: &MasterKey,
        purpose: Purpose,
        now: UnixMillis,
    ) -> Result<Store, StoreError> {
        let address = url.parse::<Address>().map_err(StoreError::NoAddress)?;
        Store::open_at(&address, master, purpose, now).await
    }

    /// Opens the store at `address`; a file's relative path is one from the working directory. Makes the file and the
    /// tables where there are none (a server's database has to be there), and brings older tables up to date. Display
    /// copies whose window has closed by `now` are erased.
    ///
    /// # Errors
    /// It can't be opened, belongs to another master key or purpose, was made by a newer program, or is damaged.
    pub async fn open_at(
        address: &Address,
        master: &MasterKey,
        purpose: Purpose,
        now: UnixMillis,
    ) -> Result<Store, StoreError> {
        let opened = Store::open_untold(address, master, purpose).await;
        let store = opened.map_err(|e| explain(address, e))?;
        store.erase_closed(now).await?;
        Ok(store)
    }

    /// Whether there is a store at `address` already, or at least something else. Looking makes nothing.
    ///
    /// # Errors
    /// A server can't be asked.
    pub async fn is_at(address: &Address) -> Result<bool, StoreError> {
        match address {
            Address::Sqlite(file) => Ok(file.exists()),
            Address::Postgres(server) => {
                let look = async {
                    let mut conn = Connector::to_server(server).connect().await?;
                    schema::has_tables(&mut conn, crate::engine::Engine::Postgres).await
                };
                look.await.map_err(|e| explain(address, e))
            }
        }
    }

    async fn open_untold(
        address: &Address,
        master: &MasterKey,
        purpose: Purpose,
    ) -> Result<Store, StoreError> {
        let (connector, file) = match address {
            Address::Sqlite(path) => {
                let file = existing_file(path).map_err(|e| StoreError::Refused(e.to_string()))?;
                (Connector::to_file(&file)?, Some(file))
            }
            Address::Postgres(server) => (Connector::to_server(server), None),
        };
        // The pool tries on for a long time after whatever goes wrong. One connection tells at once.
        let mut first = connector.connect().await?;
        let (installation, ring) = schema::ensure(&mut first, connector.engine, master, purpose).await?;
        first.close().await?;
        let opened = file.map(OpenedFile::new).transpose();
        let opened = opened.map_err(|e| StoreError::Refused(e.to_string()))?;
        Ok(Store {
            pool: connector.pool(),
            master: Arc::new(master.clone()),
            keys: Arc::new(Keys::new(&ring)),
            engine: connector.engine,
            connector,
            file: opened.map(Arc::new),
            installation: installation.into(),
        })
    }

    /// Whether the file that was opened is still the one under its name. A connection to another one, or to none, goes on
    /// reading the old pages for ever.
    ///
    /// # Errors
    /// [`StoreError::Replaced`].
    pub(crate) fn still_there(&self) -> Result<(), StoreError> {
        let there = self.file.as_ref().is_none_or(|file| file.is_still_there());
        if there { Ok(()) } else { Err(StoreError::Replaced) }
    }

    /// Whether the installation that was opened is still what its address leads to. A name of a server's database may lead
    /// to another one by now, whose credentials must open nothing here.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub(crate) fn see_own(&self, installation: Option<&str>) -> Result<(), StoreError> {
        match installation {
            Some(there) if *there == *self.installation => Ok(()),
            _ => Err(StoreError::Refused(
                "another installation was put in the place of the store while it was in use; put the right one back, or \
                 start this program again to use what is there now"
                    .to_owned(),
            )),
        }
    }

    /// When the store's files were last written, where it is files.
    pub(crate) fn traces(&self) -> Option<Traces> {
        self.file.as_ref().map(|file| file.traces())
    }

    /// Closes all connections; waits for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
