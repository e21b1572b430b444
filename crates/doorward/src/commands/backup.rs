//! `doorward backup`.
use super::print;
use crate::Failure;
use crate::cli::{self, Backup};
use crate::config::{self, StoreSettings};
use crate::place::{self, Opened};
use crate::role::Role;
use doorward_store::{Purpose, Store, StoreError};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Told<'a> {
    file: &'a Path,
    bytes: u64,
    epoch: &'a str,
    seq: i64,
    changes: i64,
    credentials: i64,
    objects: i64,
    master_key: &'static str,
}

pub(super) async fn run(options: &Backup) -> Result<(), Failure> {
    let settings = settings_of(&options.place)?;
    let opened = open_existing(&settings, options.place.data.is_some()).await?;
    let made = opened.store.backup(&options.to).await?;
    if options.output.json {
        return Ok(print::json(&Told {
            file: &options.to,
            bytes: made.bytes,
            epoch: &made.head.epoch,
            seq: made.head.seq,
            changes: made.report.changes,
            credentials: made.report.credentials,
            objects: made.report.objects,
            master_key: "not included",
        })?);
    }
    print::line(format_args!(
        "{}: {} bytes, the store as of change {} of epoch {}",
        options.to.display(),
        made.bytes,
        made.head.seq,
        made.head.epoch
    ))?;
    print::line(format_args!(
        "checked: {} changes, {} credentials and {} objects",
        made.report.changes, made.report.credentials, made.report.objects
    ))?;
    Ok(print::line(format_args!(
        "the master key is not in it: keep a copy of {} in another place, for without it this file is worth nothing",
        settings.master_key_file.display()
    ))?)
}

/// The settings of the store that a command names.
///
/// # Errors
/// The file of settings has mistakes.
pub(super) fn settings_of(place: &cli::Place) -> Result<StoreSettings, Failure> {
    if let Some(file) = &place.config {
        // A command takes no callers, whatever the node does that shares these settings.
        return Ok(config::load_as(file, Some(Role::Control))?.store);
    }
    Ok(place::in_folder(place.data.as_deref().unwrap_or(Path::new(".")), 0))
}

/// Opens a store that is there: one of its own, or a demo's where that will do.
///
/// # Errors
/// There is none, or it can't be used.
pub(super) async fn open_existing(settings: &StoreSettings, demo_too: bool) -> Result<Opened, Failure> {
    if !Store::is_at(&place::address(settings)?).await? {
        return Err(format!("{}: there is no store", settings.url).into());
    }
    match place::open_configured(settings, Purpose::Own).await {
        Err(e) if demo_too && matches!(e.downcast_ref(), Some(StoreError::OtherPurpose { .. })) => {
            place::open_configured(settings, Purpose::Demo).await
        }
        opened => opened,
    }
}
