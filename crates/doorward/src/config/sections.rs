//! Each section of the file by itself.
use super::listeners::{self, Listeners};
use super::{Config, StoreSettings, captcha, ledger, numbers, tokens};
use crate::role::Role;
use doorward_core::document::Table;
use doorward_core::network::{Network, Networks};
use doorward_gateway::{Trusted, TrustedHeader};
use doorward_store::Address;
use std::path::{Path, PathBuf};

/// Seconds without a word from the store after which a node refuses, unless the file says otherwise.
const MAX_STALENESS_S: u64 = 60;
/// A day: whoever wants more wants no limit, and there is none to be had.
const MAX_STALENESS_RANGE_S: std::ops::RangeInclusive<u64> = 1..=86_400;
/// More cores than any machine this was tried on.
const MAX_CORES: u64 = 1024;

/// Reads everything; `None` where something that must be there is missing or wrong, which the document knows then.
pub(super) fn read(root: &Table<'_, '_>, folder: &Path, role: Option<Role>) -> Option<Config> {
    let name = root.parsed("name", word).unwrap_or_else(|| "doorward".to_owned());
    let told = root.parsed("role", Role::parse);
    let role = role.or(told).unwrap_or_default();
    let region = root.parsed("region", word);
    let store = store(root, folder);
    let ledger = ledger::read(root, folder, store.as_ref().map(|store| &store.url));
    let Listeners { listen, tls, plain_http, plain_http2, https_port } = listeners::read(root, folder, role);
    let trusted = trusted(root);
    let upstream_ca_file = section(root, "upstream", |t| t.parsed("ca_file", |f| path(folder, f))).flatten();
    let timeouts = section(root, "timeouts", numbers::timeouts).unwrap_or_default();
    let mut limits = section(root, "limits", numbers::limits).unwrap_or_default();
    let events_file =
        section(root, "events", |t| t.parsed("file", |f| events(folder, f))).flatten().flatten();
    let cores = section(root, "runtime", |t| t.integer("cores", 1..=MAX_CORES)).flatten();
    let tokens = section(root, "tokens", |t| tokens::read(t, &mut limits)).unwrap_or_default();
    let captcha = section(root, "captcha", captcha::read).unwrap_or_default();
    Some(Config {
        name,
        role,
        region,
        store: store?,
        ledger,
        listen,
        tls,
        plain_http,
        plain_http2,
        https_port,
        trusted,
        upstream_ca_file,
        timeouts,
        limits,
        events_file,
        cores: cores.map_or_else(all_cores, |n| n as usize),
        tokens,
        captcha,
    })
}

/// As many cores as there are.
pub(crate) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Reads a table and sees that nothing in it is left over.
pub(super) fn section<T>(
    root: &Table<'_, '_>,
    key: &str,
    read: impl FnOnce(&Table<'_, '_>) -> T,
) -> Option<T> {
    let table = root.table(key)?;
    let value = read(&table);
    table.finish();
    Some(value)
}

fn word(text: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > 64 || !text.bytes().all(ok) {
        return Err(format!("`{text}`: write 1 to 64 letters, digits, `-`, `_` or `.`"));
    }
    Ok(text.to_owned())
}

pub(super) fn path(folder: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("the name of a file is empty".to_owned()) } else { Ok(folder.join(text)) }
}

fn events(folder: &Path, text: &str) -> Result<Option<PathBuf>, String> {
    if text == "-" { Ok(None) } else { path(folder, text).map(Some) }
}

fn url(folder: &Path, text: &str) -> Result<Address, String> {
    if text.strip_prefix("sqlite:").is_some_and(|file| file.starts_with("//") || file.contains('?')) {
        return Err(format!("`{text}` is not a store; write sqlite:/path/to/doorward.db"));
    }
    Ok(text.parse::<Address>()?.under(folder))
}

fn store(root: &Table<'_, '_>, folder: &Path) -> Option<StoreSettings> {
    let Some(table) = root.table("store") else {
        if root.entry("store").is_none() {
            root.wrong("`store` is missing; write [store] with url and master_key_file");
        }
        return None;
    };
    let url = table.required("url", |u| url(folder, u));
    let password_file = table.parsed("password_file", |f| path(folder, f));
    if let (Some(url), Some(entry)) = (&url, table.entry("password_file")) {
        if url.file().is_some() {
            entry.wrong("a file has no password: who may read it is up to its permissions");
        } else if url.has_password() {
            entry.wrong("there is a password in `url` as well; leave it out there");
        }
    }
    let master_key_file = table.required("master_key_file", |f| path(folder, f));
    let max_staleness_s = table.integer("max_staleness_s", MAX_STALENESS_RANGE_S).unwrap_or(MAX_STALENESS_S);
    table.finish();
    Some(StoreSettings { url: url?, password_file, master_key_file: master_key_file?, max_staleness_s })
}

fn proxy(text: &str) -> Result<Network, String> {
    let network = Network::parse(text)?;
    match network.prefix() {
        0 => Err(format!("`{text}` is everybody: whoever connects could then pose as anybody")),
        _ => Ok(network),
    }
}

fn trusted(root: &Table<'_, '_>) -> Trusted {
    let header = |text: &str| match text {
        "x-forwarded-for" => Ok(TrustedHeader::XForwardedFor),
        "forwarded" => Ok(TrustedHeader::Forwarded),
        _ => Err(format!("`{text}` is none of x-forwarded-for, forwarded")),
    };
    section(root, "trusted_proxies", |t| {
        let networks = Networks::new(t.list("networks", proxy).unwrap_or_default());
        if let (true, Some(entry)) = (networks.holds_a_whole_family(), t.entry("networks")) {
            entry.wrong("together they are everybody: whoever connects could then pose as anybody");
        }
        Trusted { networks, header: t.parsed("header", header).unwrap_or_default() }
    })
    .unwrap_or_default()
}
