//! The ledger: where it is remembered what was accepted once, and how much.
use super::sections::{path, section};
use super::{Ledger, LedgerPlace};
use doorward_core::document::Table;
use doorward_store::Address;
use doorward_store::ledger::{RedisAddress, Settings};
use std::path::{Path, PathBuf};

/// More requests than any machine this was tried on can remember.
const ENTRIES_RANGE: std::ops::RangeInclusive<u64> = 1..=1_000_000_000;
/// The folder of the journal of an SQLite store is called like its file, and this.
const JOURNAL_SUFFIX: &str = ".ledger";

enum Url {
    Memory,
    Redis(RedisAddress),
}

fn url(text: &str) -> Result<Url, String> {
    if text == "memory" {
        return Ok(Url::Memory);
    }
    let redis = text.starts_with("redis://") || text.starts_with("rediss://");
    if redis {
        text.parse().map(Url::Redis)
    } else {
        Err("write \"memory\" or \"redis://host:port/database\"".to_owned())
    }
}

/// Reads the section; where there is none, the ledger is in this node's memory.
pub(super) fn read(root: &Table<'_, '_>, folder: &Path, store: Option<&Address>) -> Ledger {
    let told = section(root, "ledger", |table| of_table(table, folder, store));
    told.unwrap_or_else(|| Ledger {
        place: LedgerPlace::Memory { journal: store.and_then(beside) },
        settings: Settings::default(),
    })
}

/// A folder beside the file of an SQLite store.
pub(super) fn beside(store: &Address) -> Option<PathBuf> {
    let mut name = store.file()?.file_name()?.to_owned();
    name.push(JOURNAL_SUFFIX);
    Some(store.file()?.with_file_name(name))
}

fn of_table(table: &Table<'_, '_>, folder: &Path, store: Option<&Address>) -> Ledger {
    let settings = settings(table);
    let file = |key| table.parsed(key, |f| path(folder, f));
    let (journal, password_file, ca_file) = (file("journal"), file("password_file"), file("ca_file"));
    let needless = |keys: &[&str], why: &str| {
        keys.iter().filter_map(|key| table.entry(key)).for_each(|entry| entry.wrong(why));
    };
    let told = table.entry("url").is_some();
    let place = match table.parsed("url", url) {
        // What can't be read was told already, and says nothing about the rest.
        None if told => LedgerPlace::Memory { journal },
        None | Some(Url::Memory) => {
            needless(&["password_file", "ca_file"], "it is for a ledger on Redis: name that in `url`");
            LedgerPlace::Memory { journal: journal.or_else(|| store.and_then(beside)) }
        }
        Some(Url::Redis(url)) => {
            needless(&["journal"], "it is for a ledger in memory: Redis remembers by itself");
            if !url.has_tls() {
                needless(&["ca_file"], "it is for TLS: write rediss:// in `url`");
            }
            LedgerPlace::Redis { url, password_file, ca_file }
        }
    };
    Ledger { place, settings }
}

fn settings(table: &Table<'_, '_>) -> Settings {
    let defaults = Settings::default();
    let entries = table.integer("entries", ENTRIES_RANGE).map_or(defaults.entries, |n| n as usize);
    // By default in the same proportions, whatever the size.
    let part = |default: usize| {
        let scaled = entries as u128 * default as u128 / defaults.entries as u128;
        usize::try_from(scaled).unwrap_or(entries).max(1)
    };
    let share = |key: &str, default: usize| {
        let told = table.integer(key, ENTRIES_RANGE).map(|n| n as usize);
        if let (Some(told), Some(entry)) = (told, table.entry(key))
            && told > entries
        {
            entry.wrong(format!("a share is a part of `entries`, which is {entries}"));
        }
        told.unwrap_or_else(|| part(default))
    };
    Settings {
        entries,
        workspace_entries: share("entries_per_workspace", defaults.workspace_entries),
        credential_entries: share("entries_per_credential", defaults.credential_entries),
        ..defaults
    }
}
