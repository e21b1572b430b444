//! What the captchas of workspaces are checked with. Each secret is sealed together with its provider and the hosts of its
//! pages, so that nobody who can only write to the tables has a host of his own believed.
use crate::connect::{ANSWER_MS, within};
use crate::record::field_that_differs;
use crate::write::{Told, Write};
use crate::{Store, StoreError};
use doorward_core::captcha::{Provider, Settings};
use doorward_core::live::Live;
use doorward_core::schemes::escher::SigningSecret;
use doorward_core::secret::{SealedFor, Seals};
use doorward_core::time::UnixMillis;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Connection as _, Row};
use std::collections::HashMap;
use std::sync::Arc;

/// The kind of it in the change table; the id is the workspace's.
pub(crate) const CAPTCHA: &str = "captcha";
/// What the secrets are sealed for.
const PURPOSE: &str = "captcha";
/// Ends the provider, and the hosts, in what is sealed. A secret may hold any byte.
const END: u8 = b'\n';

const ALL: &str =
    "SELECT workspace, provider, hostnames, sealed, key_version, created_at FROM captcha ORDER BY workspace";
const PUT: &str = "INSERT INTO captcha (workspace, provider, hostnames, sealed, key_version, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace) DO UPDATE SET provider = excluded.provider, \
     hostnames = excluded.hostnames, sealed = excluded.sealed, key_version = excluded.key_version, \
     created_at = excluded.created_at";
const DELETE: &str = "DELETE FROM captcha WHERE workspace = $1";
const RESEAL: &str = "UPDATE captcha SET sealed = $1, key_version = $2 WHERE workspace = $3";
const TOLD: &str = "SELECT after FROM change WHERE kind = 'captcha' AND id = $1 ORDER BY seq DESC LIMIT 1";

/// What a workspace's captchas are checked with, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captcha {
    /// The workspace.
    pub workspace: String,
    /// Who checks them.
    pub provider: Provider,
    /// The hosts of the pages that show them, in lower case.
    pub hostnames: Vec<String>,
    /// Since when.
    pub created_at: UnixMillis,
}

struct Kept {
    captcha: Captcha,
    /// As it stands in the table.
    hostnames: String,
    sealed: Vec<u8>,
    key_version: i64,
}

fn owner(workspace: &str) -> SealedFor<'_> {
    SealedFor { workspace, credential: "", purpose: PURPOSE, version: 1 }
}

fn damaged(workspace: &str) -> StoreError {
    StoreError::Damaged(format!(
        "the captcha's secret of workspace `{workspace}` does not open, or is not what was sealed; set it again"
    ))
}

fn read(row: &AnyRow) -> Result<Kept, StoreError> {
    let (workspace, hostnames): (String, String) = (row.try_get(0)?, row.try_get(2)?);
    let provider = Provider::parse(row.try_get(1)?).map_err(|_| damaged(&workspace))?;
    let hosts = serde_json::from_str(&hostnames).map_err(|_| damaged(&workspace))?;
    let created_at = UnixMillis(row.try_get(5)?);
    let captcha = Captcha { workspace, provider, hostnames: hosts, created_at };
    Ok(Kept { captcha, hostnames, sealed: row.try_get(3)?, key_version: row.try_get(4)? })
}

async fn all(conn: &mut AnyConnection) -> Result<Vec<Result<Kept, StoreError>>, StoreError> {
    Ok(sqlx::query(ALL).fetch_all(conn).await?.iter().map(read).collect())
}

impl Kept {
    /// The secret; `None`: it does not open, or was not sealed with this provider and these hosts.
    fn open(&self, seals: &Seals) -> Option<SigningSecret> {
        let plain = seals.open(self.key_version, &owner(&self.captcha.workspace), &self.sealed).ok()?;
        let mut parts = plain.splitn(3, |byte| *byte == END);
        let same = parts.next() == Some(self.captcha.provider.name().as_bytes())
            && parts.next() == Some(self.hostnames.as_bytes());
        parts.next().filter(|_| same).map(SigningSecret::new)
    }
}

/// Brings in what captchas are checked with, as of one instant with what it is sealed with. What does not open checks
/// nothing, and so lets nobody pass; but where this node can't learn what it is sealed with now, it keeps what it opened
/// before.
pub(crate) async fn follow(store: &Store, live: &Live, conn: &mut AnyConnection) -> Result<(), StoreError> {
    within(ANSWER_MS, async {
        let mut tx = conn.begin_with(store.engine.begin_read()).await?;
        store.follow_keys(&mut tx).await?;
        take(store, live, &mut tx).await?;
        Ok(tx.rollback().await?)
    })
    .await
}

/// The same, inside a transaction in which the keys were learnt.
pub(crate) async fn take(store: &Store, live: &Live, conn: &mut AnyConnection) -> Result<(), StoreError> {
    let (seals, before) = (store.keys.seals(), live.captchas.load_full());
    let mut now = HashMap::new();
    for kept in all(conn).await? {
        let kept = match kept {
            Ok(kept) => kept,
            Err(StoreError::Damaged(why)) => {
                tracing::error!(%why, "no captcha of that workspace is accepted");
                continue;
            }
            Err(other) => return Err(other),
        };
        let workspace: Box<str> = kept.captcha.workspace.as_str().into();
        let hostnames: Box<[Box<str>]> = kept.captcha.hostnames.iter().map(|h| h.as_str().into()).collect();
        let settings = if seals.has(kept.key_version) {
            let provider = kept.captcha.provider;
            kept.open(&seals).map(|secret| Arc::new(Settings { provider, hostnames, secret }))
        } else {
            let same =
                |old: &&Arc<Settings>| old.provider == kept.captcha.provider && old.hostnames == hostnames;
            before.get(&workspace).filter(same).cloned()
        };
        match settings {
            Some(settings) => drop(now.insert(workspace, settings)),
            None => tracing::error!(why = %damaged(&workspace), "no captcha of that workspace is accepted"),
        }
    }
    live.captchas.store(Arc::new(now));
    Ok(())
}

/// Whether there is one that the newest key did not seal.
pub(crate) async fn is_older_left(conn: &mut AnyConnection, seals: &Seals) -> Result<bool, StoreError> {
    let whole: Vec<Kept> = all(conn).await?.into_iter().collect::<Result<_, _>>()?;
    Ok(whole.iter().any(|kept| kept.key_version != seals.newest()))
}

/// Seals anew what the newest key did not seal, and returns how many that were.
pub(crate) async fn reseal(conn: &mut AnyConnection, seals: &Seals) -> Result<u64, StoreError> {
    let mut count = 0;
    for kept in all(conn).await? {
        let kept = kept?;
        let workspace = &kept.captcha.workspace;
        if kept.key_version == seals.newest() {
            continue;
        }
        let plain = seals.open(kept.key_version, &owner(workspace), &kept.sealed);
        let sealed = seals.seal(&owner(workspace), &plain.map_err(|_| damaged(workspace))?);
        let set = sqlx::query(RESEAL).bind(sealed).bind(seals.newest()).bind(workspace.as_str());
        set.execute(&mut *conn).await?;
        count += 1;
    }
    Ok(count)
}

/// Sees that every secret opens and is what its last change says, and returns how many there are.
pub(crate) async fn check(conn: &mut AnyConnection, seals: &Seals) -> Result<i64, StoreError> {
    let mut count = 0;
    for kept in all(conn).await? {
        let kept = kept?;
        let workspace = &kept.captcha.workspace;
        if kept.open(seals).is_none() {
            return Err(damaged(workspace));
        }
        let told = sqlx::query(TOLD).bind(workspace.as_str()).fetch_optional(&mut *conn).await?;
        let told: Option<String> = told.map(|row| row.try_get(0)).transpose()?.flatten();
        if let Some(field) = field_that_differs(&record(&kept.captcha), told.as_deref().unwrap_or(""), &[]) {
            return Err(StoreError::Damaged(format!(
                "the captcha of workspace `{workspace}` is not what its last change says ({field})"
            )));
        }
        count += 1;
    }
    Ok(count)
}

/// As JSON, without the secret.
fn record(captcha: &Captcha) -> String {
    #[derive(Serialize)]
    struct Record<'a> {
        workspace: &'a str,
        provider: &'static str,
        hostnames: &'a [String],
        created_at: String,
    }
    let record = Record {
        workspace: &captcha.workspace,
        provider: captcha.provider.name(),
        hostnames: &captcha.hostnames,
        created_at: captcha.created_at.to_string(),
    };
    serde_json::to_string(&record).expect("texts can be written as JSON")
}

impl Store {
    /// What a workspace's captchas are checked with; `None`: nothing.
    ///
    /// # Errors
    /// It can't be read, or the store fails.
    pub async fn captcha(&self, workspace: &str) -> Result<Option<Captcha>, StoreError> {
        within(ANSWER_MS, async { one(&mut *self.pool.acquire().await?, workspace).await }).await
    }
}

async fn one(conn: &mut AnyConnection, workspace: &str) -> Result<Option<Captcha>, StoreError> {
    for kept in all(conn).await? {
        match kept {
            Ok(kept) if kept.captcha.workspace == workspace => return Ok(Some(kept.captcha)),
            Ok(_) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

impl Write {
    /// Has a workspace's captchas checked by a provider, with a secret, for pages of these hosts; in the place of what was
    /// said before. The workspace has to be there.
    ///
    /// # Errors
    /// There is no such workspace, or the store fails.
    pub async fn put_captcha(&mut self, settings: &Settings, workspace: &str) -> Result<Captcha, StoreError> {
        within(ANSWER_MS, async {
            if !self.has_workspace(workspace).await? {
                return Err(StoreError::NotFound { kind: "workspace", id: workspace.to_owned() });
            }
            let before = one(&mut self.tx, workspace).await?;
            let captcha = Captcha {
                workspace: workspace.to_owned(),
                provider: settings.provider,
                hostnames: settings.hostnames.iter().map(|host| host.to_string()).collect(),
                created_at: self.now,
            };
            let hostnames = serde_json::to_string(&captcha.hostnames).expect("texts can be written as JSON");
            let seals = self.seals().await?;
            let end: &[u8] = &[END];
            let provider = captcha.provider.name();
            let parts = [provider.as_bytes(), end, hostnames.as_bytes(), end, settings.secret.as_bytes()];
            // Overwritten when it goes.
            let plain = SigningSecret::new(&parts.concat());
            self.begin_step();
            sqlx::query(PUT)
                .bind(workspace)
                .bind(provider)
                .bind(hostnames.as_str())
                .bind(seals.seal(&owner(workspace), plain.as_bytes()))
                .bind(seals.newest())
                .bind(captcha.created_at.0)
                .execute(&mut *self.tx)
                .await?;
            let action = if before.is_some() { "changed" } else { "created" };
            let (before, after) = (before.as_ref().map(record), Some(record(&captcha)));
            self.captcha_changed(workspace, action, before, after).await?;
            Ok(captcha)
        })
        .await
    }

    /// Has no captcha of a workspace accepted any more. `false`: there was nothing to remove.
    ///
    /// # Errors
    /// The store fails.
    pub async fn remove_captcha(&mut self, workspace: &str) -> Result<bool, StoreError> {
        within(ANSWER_MS, async {
            let Some(before) = one(&mut self.tx, workspace).await? else { return Ok(false) };
            self.begin_step();
            sqlx::query(DELETE).bind(workspace).execute(&mut *self.tx).await?;
            self.captcha_changed(workspace, "deleted", Some(record(&before)), None).await?;
            Ok(true)
        })
        .await
    }

    async fn captcha_changed(
        &mut self,
        workspace: &str,
        action: &'static str,
        before: Option<String>,
        after: Option<String>,
    ) -> Result<(), StoreError> {
        let workspace_of = Some(workspace);
        self.tell(Told { workspace: workspace_of, kind: CAPTCHA, id: workspace, action, before, after }).await
    }
}
