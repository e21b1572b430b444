//! `doorward restore`.
use super::backup::{open_existing, settings_of};
use super::{ACTOR, print};
use crate::cli::Restore;
use crate::config::StoreSettings;
use crate::{Failure, clock};
use doorward_core::time::UnixMillis;
use doorward_store::{Head, Incoming, Report, Store};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Told<'a> {
    store: String,
    epoch: &'a str,
    seq: i64,
    changes: i64,
    credentials: i64,
    objects: i64,
    master_keys: i64,
    replaced: Option<&'a Path>,
}

pub(super) async fn run(options: &Restore) -> Result<(), Failure> {
    let settings = settings_of(&options.place)?;
    let demo_too = options.place.data.is_some();
    let (head, report, replaced) = match &options.from {
        None => {
            let opened = open_existing(&settings, demo_too).await?;
            let (head, report) = begin(&opened.store).await?;
            (head, report, None)
        }
        Some(from) => bring(&settings, demo_too, from).await?,
    };
    if options.output.json {
        return Ok(print::json(&Told {
            store: settings.url.to_string(),
            epoch: &head.epoch,
            seq: head.seq,
            changes: report.changes,
            credentials: report.credentials,
            objects: report.objects,
            master_keys: report.master_keys,
            replaced: replaced.as_deref(),
        })?);
    }
    print::line(format_args!(
        "checked: {} changes, {} credentials and {} objects",
        report.changes, report.credentials, report.objects
    ))?;
    print::line(format_args!("{}: from change {} on, this is epoch {}", settings.url, head.seq, head.epoch))?;
    if report.master_keys > 1 {
        print::line(format_args!(
            "note: {} master keys open it, as on the day of the backup, also one that was retired since: retire it again \
             (`doorward master-key retire`)",
            report.master_keys
        ))?;
    }
    if let Some(kept) = replaced {
        print::line(format_args!("what was there before is {}", kept.display()))?;
    }
    Ok(())
}

async fn bring(
    settings: &StoreSettings,
    demo_too: bool,
    from: &Path,
) -> Result<(Head, Report, Option<PathBuf>), Failure> {
    let Some(to) = settings.url.file() else {
        return Err(format!(
            "{} is on a PostgreSQL server: restore it with that server's own tools, and then run this with --in-place",
            settings.url
        )
        .into());
    };
    let incoming = Incoming::bring(from, to).await?;
    // Nothing of what is served from is touched until the copy has proved good.
    let beside = StoreSettings { url: incoming.address(), ..settings.clone() };
    let named = |e: Failure| Failure::from(format!("{}: {e}", from.display()));
    let opened = open_existing(&beside, demo_too).await.map_err(named)?;
    let begun = begin(&opened.store).await;
    opened.store.close().await;
    let (head, report) = begun.map_err(named)?;
    let replaced = incoming.place(clock::now()).await?;
    Ok((head, report, replaced))
}

/// Looks a store over that was put back, and begins another epoch in it.
async fn begin(store: &Store) -> Result<(Head, Report), Failure> {
    let report = store.check().await?;
    let head = store.begin_epoch(ACTOR, clock::now()).await?;
    // Whoever ran on it when the backup was made does not run on this one.
    store.forget_nodes(UnixMillis(i64::MAX)).await?;
    Ok((head, report))
}
