//! `doorward migrate`.
use super::print;
use super::usage::usage;
use crate::cli::Migrate;
use crate::config::{self, StoreSettings};
use crate::role::Role;
use crate::{Failure, place};
use doorward_store::{Address, Counts, Moved, Purpose, Store, Target};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Told {
    from: String,
    to: String,
    dry_run: bool,
    /// It had been done before.
    before: bool,
    epoch: Option<String>,
    seq: Option<i64>,
    #[serde(flatten)]
    counts: Option<CountsTold>,
}

#[derive(Serialize)]
struct CountsTold {
    changes: i64,
    credentials: i64,
    objects: i64,
    displays: i64,
    signing: i64,
    facts: i64,
}

impl From<Counts> for CountsTold {
    fn from(c: Counts) -> CountsTold {
        let Counts { changes, objects, credentials, displays, signing, facts } = c;
        CountsTold { changes, credentials, objects, displays, signing, facts }
    }
}

pub(super) async fn run(options: &Migrate) -> Result<(), Failure> {
    let (from, to) = stores(options)?;
    if !Store::is_at(&place::address(&from)?).await? {
        return Err(format!("{}: there is no store", from.url).into());
    }
    // The key that the new settings name has to be the right one before anything is moved.
    if to.master_key_file != from.master_key_file {
        let under_the_other = StoreSettings { master_key_file: to.master_key_file.clone(), ..from.clone() };
        let tried = place::open_configured(&under_the_other, Purpose::Own).await;
        tried.map_err(|e| format!("{}: {e}", to.master_key_file.display()))?.store.close().await;
    }
    let opened = place::open_configured(&from, Purpose::Own).await?;
    let address = place::address(&to)?;
    let mut told = Told {
        from: from.url.to_string(),
        to: to.url.to_string(),
        dry_run: options.dry_run,
        before: false,
        epoch: None,
        seq: None,
        counts: None,
    };
    if options.dry_run {
        told.before = match opened.store.look_at_target(&address).await? {
            Target::Empty => false,
            Target::Same(_) => true,
        };
        told.counts = Some(opened.store.counts().await?.into());
    } else {
        let head = match opened.store.move_to(&address).await? {
            Moved::Before { head } => {
                told.before = true;
                head
            }
            Moved::Now { head, counts, .. } => {
                told.counts = Some(counts.into());
                head
            }
        };
        (told.epoch, told.seq) = (Some(head.epoch), Some(head.seq));
        // As a node will: with its own settings.
        place::open_configured(&to, Purpose::Own).await?.store.close().await;
    }
    if options.output.json { Ok(print::json(&told)?) } else { tell(&told) }
}

fn tell(told: &Told) -> Result<(), Failure> {
    if let Some(c) = &told.counts {
        print::line(format_args!(
            "{} changes, {} credentials, {} objects, {} secrets that may be shown, {} signing secrets, {} times of last use",
            c.changes, c.credentials, c.objects, c.displays, c.signing, c.facts
        ))?;
    }
    if told.before {
        return Ok(print::line(format_args!("all of it is at {} already", told.to))?);
    }
    if told.dry_run {
        return Ok(print::line("nothing was moved: this was a dry run")?);
    }
    print::line(format_args!("moved to {}, compared and checked", told.to))?;
    Ok(print::line(format_args!(
        "{} takes no changes any more; nodes serve from it until their settings name the new store",
        told.from
    ))?)
}

/// What to do with each of both stores. Words that are no use end the process, as any wrong usage does.
fn stores(options: &Migrate) -> Result<(StoreSettings, StoreSettings), Failure> {
    let from = Named::read("--from", &options.from, options.from_password_file.as_deref())?;
    let to = Named::read("--to", &options.to, options.to_password_file.as_deref())?;
    let named = [&options.master_key_file, &from.key(), &to.key()].into_iter().flatten().next().cloned();
    let Some(key) = named else {
        usage(
            "neither store is named by a file of settings, so name the master key's file: --master-key-file FILE",
        );
    };
    let key_of = |named: &Named| options.master_key_file.clone().or(named.key()).unwrap_or(key.clone());
    let (from_key, to_key) = (key_of(&from), key_of(&to));
    Ok((from.settings(from_key), to.settings(to_key)))
}

/// A store as the command line names it.
enum Named {
    Settings(StoreSettings),
    Address(Address, Option<PathBuf>),
}

impl Named {
    fn read(option: &str, text: &str, password_file: Option<&Path>) -> Result<Named, Failure> {
        let is_address = text.contains("://") || text.starts_with("sqlite:") || text.starts_with("postgres");
        if !is_address || Path::new(text).is_file() {
            if password_file.is_some() {
                usage(format_args!(
                    "{option} names a file of settings, which name the password's file themselves"
                ));
            }
            return Ok(Named::Settings(config::load_as(Path::new(text), Some(Role::Control))?.store));
        }
        let address: Address =
            text.parse().unwrap_or_else(|why: String| usage(format_args!("{option}: {why}")));
        if address.has_password() {
            usage(format_args!(
                "{option} has a password in it, which every user of this machine can read in the list of processes; \
                 put it in a file and name that: {option}-password-file FILE"
            ));
        }
        if address.file().is_some() && password_file.is_some() {
            usage(format_args!("{option}-password-file: a file has no password"));
        }
        // The old store remembers where the new one is, for whoever works from another folder.
        let address = match address {
            Address::Sqlite(file) => Address::Sqlite(std::path::absolute(file)?),
            server @ Address::Postgres(_) => server,
        };
        Ok(Named::Address(address, password_file.map(Path::to_owned)))
    }

    fn key(&self) -> Option<PathBuf> {
        match self {
            Named::Settings(settings) => Some(settings.master_key_file.clone()),
            Named::Address(..) => None,
        }
    }

    fn settings(self, master_key_file: PathBuf) -> StoreSettings {
        match self {
            Named::Settings(settings) => StoreSettings { master_key_file, ..settings },
            Named::Address(url, password_file) => {
                StoreSettings { url, password_file, master_key_file, max_staleness_s: 0 }
            }
        }
    }
}
