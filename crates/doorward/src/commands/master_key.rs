//! `doorward master-key ...`.
use super::{ACTOR, print};
use crate::cli::{MasterKey, Place, Retire, Rotate};
use crate::{Failure, clock, files, master_key, place};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// So much of a fingerprint tells files apart.
const SHORT_CHARS: usize = 8;

/// A finished rotation, for programs.
#[derive(Serialize)]
struct Rotated<'a> {
    from: &'a str,
    to: &'a str,
    resealed: u64,
    /// Where the former master key is kept now, if it had to be moved.
    kept: Option<&'a Path>,
}

/// A retired master key, for programs.
#[derive(Serialize)]
struct Retired<'a> {
    retired: &'a str,
    /// It had been retired before.
    before: bool,
}

pub(super) async fn run(command: MasterKey) -> Result<(), Failure> {
    match command {
        MasterKey::Create { file } => Ok(master_key::create(&file)?),
        MasterKey::Rotate(options) => rotate(&options).await,
        MasterKey::Retire(options) => retire(&options).await,
    }
}

async fn rotate(options: &Rotate) -> Result<(), Failure> {
    let to = master_key::load(&options.to)?;
    let opened = place::open(&options.place).await?;
    let rotated = opened.store.rotate(&to, ACTOR, clock::now()).await?;
    // Either key opens the store from here on, so whichever is in the folder when this is killed will do.
    let kept = match &options.place.data {
        Some(folder) => put_in_place(folder, &options.to, &rotated.from)?,
        None => None,
    };
    let (from, file) = (&rotated.from, options.to.display());
    if options.output.json {
        let told = Rotated { from, to: &rotated.to, resealed: rotated.resealed, kept: kept.as_deref() };
        return Ok(print::json(&told)?);
    }
    print::line(format_args!(
        "{} secrets were sealed anew; two master keys open the store:",
        rotated.resealed
    ))?;
    print::line(format_args!("  {} the new one, in {file}", rotated.to))?;
    print::line(format_args!("  {from} the old one"))?;
    let place = told(&options.place);
    match &options.place.data {
        Some(folder) => {
            print::line(format_args!("{} is the new one", place::master_key_in(folder).display()))?
        }
        None => print::line(
            "next: put the new one in the place of the old one at every node (store.master_key_file), and restart them one by one",
        )?,
    }
    if let Some(kept) = kept {
        print::line(format_args!("the old one is kept in {}", kept.display()))?;
    }
    Ok(print::line(format_args!("then: doorward master-key retire {from} {place}"))?)
}

/// Makes the new master key the one of a data folder. The old one is kept: backups of earlier days open with no other.
fn put_in_place(folder: &Path, new: &Path, from: &str) -> Result<Option<PathBuf>, Failure> {
    let file = place::master_key_in(folder);
    if master_key::load(&file)?.fingerprint() != from {
        // It is the new one already.
        return Ok(None);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |e: io::Error| format!("{}: {e}; run this again", path.display())
    };
    let short: String = from.chars().take(SHORT_CHARS).collect();
    let mut name = file.clone().into_os_string();
    name.push(format!(".{short}"));
    let kept = PathBuf::from(name);
    let read = |path: &Path| std::fs::read(path).map_err(failed(path));
    files::replace(&kept, &read(&file)?, files::SECRET_MODE).map_err(failed(&kept))?;
    files::replace(&file, &read(new)?, files::SECRET_MODE).map_err(failed(&file))?;
    Ok(Some(kept))
}

/// A place as it stands on the command line.
fn told(place: &Place) -> String {
    match (&place.config, &place.data) {
        (Some(file), _) => format!("--config {}", file.display()),
        (None, Some(folder)) => format!("--data {}", folder.display()),
        (None, None) => String::new(),
    }
}

async fn retire(options: &Retire) -> Result<(), Failure> {
    let fingerprint = match (&options.former.file, &options.former.fingerprint) {
        (Some(file), _) => master_key::load(file)?.fingerprint().to_owned(),
        (None, named) => named.clone().unwrap_or_default(),
    };
    let opened = place::open(&options.place).await?;
    let retired = opened.store.retire(&fingerprint, ACTOR, clock::now()).await?;
    if options.output.json {
        return Ok(print::json(&Retired { retired: &fingerprint, before: !retired })?);
    }
    let when = if retired { "opens nothing in this store any more" } else { "had been retired before" };
    Ok(print::line(format_args!(
        "master key {fingerprint} {when}; backups made until then still open with it"
    ))?)
}
