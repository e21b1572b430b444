//! Where the store is, and how it is opened.
use crate::config::{self, StoreSettings, Tokens};
use crate::password::{self, PasswordError};
use crate::role::Role;
use crate::{Failure, cli, clock, master_key};
use doorward_control::actions::Desk;
use doorward_core::secret::Keys;
use doorward_core::token::Issuer;
use doorward_store::{Address, Purpose, Store, StoreError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store in a data folder.
const STORE_FILE: &str = "doorward.db";
/// The master key in a data folder.
const MASTER_KEY_FILE: &str = "master.key";

/// Who issues the tokens of a demo.
const ISSUER_FILE: &str = "issuer";

/// An open store with its keys.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) keys: Arc<Keys>,
}

impl Opened {
    /// For one verb, now.
    pub(crate) fn desk<'a>(&'a self, actor: &'a str) -> Desk<'a> {
        Desk { store: &self.store, keys: &self.keys, actor, now: clock::now() }
    }
}

/// The master key of a data folder.
pub(crate) fn master_key_in(folder: &Path) -> PathBuf {
    folder.join(MASTER_KEY_FILE)
}

/// The settings of the store in a data folder.
pub(crate) fn in_folder(folder: &Path, max_staleness_s: u64) -> StoreSettings {
    StoreSettings {
        url: Address::Sqlite(folder.join(STORE_FILE)),
        password_file: None,
        master_key_file: master_key_in(folder),
        max_staleness_s,
    }
}

/// The address of the store that settings name, with the password where that is in a file of its own.
///
/// # Errors
/// That the file can't be used.
pub(crate) fn address(settings: &StoreSettings) -> Result<Address, PasswordError> {
    let url = settings.url.clone();
    Ok(match &settings.password_file {
        Some(file) => url.with_password(&password::load(file, "store")?),
        None => url,
    })
}

/// Opens the store that settings name.
///
/// # Errors
/// That the master key or the store can't be used, or is another's.
pub(crate) async fn open_configured(settings: &StoreSettings, purpose: Purpose) -> Result<Opened, Failure> {
    let master = master_key::load(&settings.master_key_file)?;
    let store = Store::open_at(&address(settings)?, &master, purpose, clock::now()).await?;
    Ok(Opened { keys: store.keys(), store })
}

/// Opens the store that a command names: one of its own, or a demo's in a data folder.
///
/// # Errors
/// As [`open_configured`].
pub(crate) async fn open(place: &cli::Place) -> Result<Opened, Failure> {
    if let Some(file) = &place.config {
        // A command takes no callers, whatever the node does that shares these settings.
        let config = config::load_as(file, Some(Role::Control))?;
        return open_configured(&config.store, Purpose::Own).await;
    }
    open_in(folder_of(place)).await
}

/// The same, with how tokens are issued there. A demo has no settings: it leaves its issuer in its folder.
///
/// # Errors
/// As [`open_configured`].
pub(crate) async fn open_issuing(place: &cli::Place) -> Result<(Opened, Tokens), Failure> {
    if let Some(file) = &place.config {
        let config = config::load_as(file, Some(Role::Control))?;
        return Ok((open_configured(&config.store, Purpose::Own).await?, config.tokens));
    }
    let file = issuer_in(folder_of(place));
    let opened = open_in(folder_of(place)).await?;
    let issuer = match std::fs::read_to_string(&file) {
        Ok(text) => Some(Issuer::parse(text.trim_end()).map_err(|e| format!("{}: {e}", file.display()))?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(format!("{}: {e}", file.display()).into()),
    };
    Ok((opened, Tokens { issuer, ..Tokens::default() }))
}

/// Where a demo writes who issues its tokens.
pub(crate) fn issuer_in(folder: &Path) -> PathBuf {
    folder.join(ISSUER_FILE)
}

fn folder_of(place: &cli::Place) -> &Path {
    place.data.as_deref().unwrap_or(Path::new("."))
}

async fn open_in(folder: &Path) -> Result<Opened, Failure> {
    let settings = in_folder(folder, 0);
    match open_configured(&settings, Purpose::Own).await {
        Err(e) if matches!(e.downcast_ref(), Some(StoreError::OtherPurpose { .. })) => {
            open_configured(&settings, Purpose::Demo).await
        }
        opened => opened,
    }
}
