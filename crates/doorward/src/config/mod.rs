//! The settings of a process: the file given with `--config`, and the one variable of the environment.
//!
//! Everything else (workspaces, APIs, credentials) is in the store.
use crate::role::Role;
use doorward_control::oauth::PasswordRules;
use doorward_core::document::{Document, Mistake};
use doorward_core::jwt::Algorithm;
use doorward_core::request::PlainHttp;
use doorward_core::token::Issuer;
use doorward_gateway::{Hsts, Limits, Timeouts, Trusted};
use doorward_store::Address;
use doorward_store::ledger::{RedisAddress, Settings};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

mod captcha;
mod ledger;
mod listeners;
mod numbers;
mod sections;
mod tokens;

pub(crate) use captcha::CaptchaUrls;
pub(crate) use sections::all_cores;

/// The settings of one process.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The node's name, for people.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The node's region; workspaces of another one are refused.
    pub(crate) region: Option<String>,
    pub(crate) store: StoreSettings,
    pub(crate) ledger: Ledger,
    pub(crate) listen: Listen,
    pub(crate) tls: Tls,
    pub(crate) plain_http: PlainHttp,
    /// Whether HTTP/2 is spoken over plain HTTP as well.
    pub(crate) plain_http2: bool,
    /// The port that redirects name; `None`: that of `listen.tls`.
    pub(crate) https_port: Option<u16>,
    pub(crate) trusted: Trusted,
    /// Further roots for https upstreams, PEM.
    pub(crate) upstream_ca_file: Option<PathBuf>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limits: Limits,
    /// Where event lines are appended; `None`: standard output.
    pub(crate) events_file: Option<PathBuf>,
    /// Cores that serve.
    pub(crate) cores: usize,
    pub(crate) tokens: Tokens,
    pub(crate) captcha: CaptchaUrls,
}

/// Access tokens: who issues them, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Who issues them; `None`: no tokens are issued, and none is taken.
    pub(crate) issuer: Option<Issuer>,
    /// How those of the standard dialect are signed; those of others are signed as their dialects say.
    pub(crate) algorithm: Algorithm,
    /// Seconds for which a key is published before it signs.
    pub(crate) publish_before_s: u64,
    /// How passwords are tried; no setting, only a demo has its own.
    pub(crate) passwords: PasswordRules,
}

/// Where everything is remembered.
#[derive(Clone, Debug)]
pub(crate) struct StoreSettings {
    pub(crate) url: Address,
    /// Where the password for `url` is, if it has one that is not in `url` itself.
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) master_key_file: PathBuf,
    /// Seconds without a word from the store after which this node refuses.
    pub(crate) max_staleness_s: u64,
}

/// Where it is remembered what was accepted once.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) place: LedgerPlace,
    pub(crate) settings: Settings,
}

/// What remembers.
#[derive(Clone, Debug)]
pub(crate) enum LedgerPlace {
    /// This node, and no other one beside it.
    Memory {
        /// The journal's folder; `None`: the settings name none, and so this node can't remember.
        journal: Option<PathBuf>,
    },
    /// A server, for any number of nodes.
    Redis {
        url: RedisAddress,
        password_file: Option<PathBuf>,
        /// The authorities of its certificate, PEM; `None`: the system's.
        ca_file: Option<PathBuf>,
    },
}

/// The ledger of a store whose settings say nothing about it.
pub(crate) fn default_ledger(store: &Address) -> Ledger {
    Ledger { place: LedgerPlace::Memory { journal: ledger::beside(store) }, settings: Settings::default() }
}

/// Addresses. Port 0 picks a free one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Listen {
    pub(crate) plain: Option<SocketAddr>,
    pub(crate) tls: Option<SocketAddr>,
    /// `/metrics`, `/healthz`, `/readyz`.
    pub(crate) operations: Option<SocketAddr>,
}

/// TLS towards callers.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// The chain, PEM.
    pub(crate) certificate_file: Option<PathBuf>,
    /// The key, PEM.
    pub(crate) key_file: Option<PathBuf>,
    /// `Strict-Transport-Security`; `None`: not sent.
    pub(crate) hsts: Option<Hsts>,
}

/// Settings that can't be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file can't be read.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// Every mistake in it.
    #[error("{}", AllMistakes(.0, .1))]
    Mistakes(PathBuf, Vec<Mistake>),
}

/// `FILE: line N, place: message`, a line each.
pub(crate) struct AllMistakes<'a>(pub(crate) &'a Path, pub(crate) &'a [Mistake]);

impl fmt::Display for AllMistakes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.1.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{}: {mistake}", self.0.display())?;
        }
        Ok(())
    }
}

/// Reads a file of settings.
///
/// # Errors
/// That it can't be read, or every mistake in it.
pub(crate) fn load(file: &Path) -> Result<Config, ConfigError> {
    load_as(file, None)
}

/// Reads a file of settings for a node of a certain role, whatever the file says about that; `None`: what the file says.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_as(file: &Path, role: Option<Role>) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|e| ConfigError::Unreadable(file.to_owned(), e))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    read(&text, folder, role).map_err(|m| ConfigError::Mistakes(file.to_owned(), m))
}

/// Reads settings. Relative paths in them start at `folder`.
///
/// # Errors
/// Every mistake, with its line; the first one where it is not TOML.
fn read(text: &str, folder: &Path, role: Option<Role>) -> Result<Config, Vec<Mistake>> {
    let document = Document::parse(text)?;
    let root = document.root();
    let config = sections::read(&root, folder, role);
    root.finish();
    match (config, document.finish()) {
        (Some(config), mistakes) if mistakes.is_empty() => Ok(config),
        (_, mistakes) => Err(mistakes),
    }
}

/// The level of the operator's log, where the environment names one (`DOORWARD_LOG`).
pub(crate) fn log_level() -> Option<String> {
    std::env::var("DOORWARD_LOG").ok().filter(|level| !level.is_empty())
}

/// Where the system keeps what need not last (`TMPDIR`).
pub(crate) fn temporary_folder() -> PathBuf {
    std::env::temp_dir()
}

#[cfg(test)]
mod tests;
