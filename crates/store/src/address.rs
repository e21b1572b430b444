//! Where a store is. Parsed once; whoever holds an [`Address`] holds one that can be tried.
use sqlx::ConnectOptions;
use sqlx::any::AnyConnectOptions;
use std::fmt;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The port of a PostgreSQL server that names none.
const PORT: u16 = 5432;
/// How an address is written.
const FORMS: &str =
    "write sqlite:/path/to/doorward.db or postgres://user@host:port/database?sslmode=verify-full";
/// What may follow `?`.
const SETTINGS: [&str; 5] = ["host", "sslmode", "sslrootcert", "sslcert", "sslkey"];
/// What `sslmode` may be, the weakest first.
const TLS_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

/// Where a store is. Shown without its password.
#[derive(Clone)]
pub enum Address {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(Server),
}

/// A database of a PostgreSQL server, and who connects to it.
#[derive(Clone)]
pub struct Server {
    options: AnyConnectOptions,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Address::Postgres(server) => {
                let mut url = server.options.database_url.clone();
                // Addresses that have a user can lose a password.
                let _ = url.set_password(None);
                write!(f, "{url}")
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Address::Postgres(self.clone()), f)
    }
}

impl FromStr for Address {
    type Err = String;

    /// Reads `sqlite:PATH` or `postgres://user[:password]@host[:port]/database[?settings]`. The sentence of a failure
    /// never holds a password.
    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() || path == ":memory:" {
                return Err("an SQLite store is a file; write sqlite:/path/to/doorward.db".to_owned());
            }
            return Ok(Address::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return server(text).map(Address::Postgres);
        }
        // Whatever this is, it may hold a password.
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|s| is_word(s));
        Err(scheme.map_or_else(|| FORMS.to_owned(), |s| format!("`{s}:` is no kind of store; {FORMS}")))
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// An address is read by the same parser that connects; only settings with a meaning here are let through to it.
fn server(text: &str) -> Result<Server, String> {
    let mut options = AnyConnectOptions::from_str(text).map_err(|_| {
        format!(
            "its address can't be read; {FORMS}, with `%40` for `@` and so on in user and password, and \
                 postgres://user@localhost/database?host=/directory for a socket"
        )
    })?;
    let url = &mut options.database_url;
    if url.username().is_empty() {
        return Err(format!("its address names no user; {FORMS}"));
    }
    if url.path().trim_matches('/').is_empty() {
        return Err(format!("its address names no database; {FORMS}"));
    }
    let mut settings: Vec<(String, String)> = Vec::new();
    for (key, value) in url.query_pairs() {
        if !SETTINGS.contains(&&*key) {
            return Err(format!("its address has a setting `{key}`; known: {}", SETTINGS.join(", ")));
        }
        if settings.iter().any(|(known, _)| *known == key) {
            return Err(format!("its address has the setting `{key}` twice"));
        }
        settings.push((key.into_owned(), value.into_owned()));
    }
    let of = |name: &str| settings.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if let Some(mode) = of("sslmode").filter(|mode| !TLS_MODES.contains(mode)) {
        return Err(format!("sslmode `{mode}` is none of {}", TLS_MODES.join(", ")));
    }
    if of("host").is_some_and(|host| !host.starts_with('/')) {
        return Err(
            "the setting `host` is the directory of a socket, as in host=/var/run/postgresql".to_owned()
        );
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let plain = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let socket = of("host").is_some() || host.starts_with("%2F") || host.starts_with("%2f");
    let loopback = plain == "localhost" || plain.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if host.is_empty() && !socket {
        return Err(format!("its address names no host; {FORMS}"));
    }
    if of("sslmode").is_none() {
        // Nobody is in between on this machine; elsewhere whoever answers has to prove who it is.
        let mode = if socket || loopback { "disable" } else { "verify-full" };
        settings.push(("sslmode".to_owned(), mode.to_owned()));
    }
    if plain != host {
        // The driver would look for a host whose name has brackets.
        settings.push(("host".to_owned(), plain));
    }
    // A default of our own: the driver's comes from the environment.
    if url.port().is_none() {
        let _ = url.set_port(Some(PORT));
    }
    url.query_pairs_mut().clear().extend_pairs(settings);
    url.set_fragment(None);
    Ok(Server { options: options.disable_statement_logging() })
}

impl Address {
    /// The file of an SQLite store.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Address::Sqlite(path) => Some(path),
            Address::Postgres(_) => None,
        }
    }

    /// The same address; a file's relative path starts at `folder`.
    #[must_use]
    pub fn under(self, folder: &Path) -> Address {
        match self {
            Address::Sqlite(path) => Address::Sqlite(folder.join(path)),
            server @ Address::Postgres(_) => server,
        }
    }

    /// Whether there is a password in it.
    pub fn has_password(&self) -> bool {
        match self {
            Address::Sqlite(_) => false,
            Address::Postgres(server) => server.options.database_url.password().is_some(),
        }
    }

    /// The same address with a password; a file takes none, and stays as it is.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Address {
        if let Address::Postgres(Server { options }) = &mut self {
            // The driver decodes percent escapes, and this setter leaves them as they are.
            let mut escaped = String::with_capacity(password.len());
            for b in password.bytes() {
                if b.is_ascii_alphanumeric() {
                    escaped.push(char::from(b));
                } else {
                    // Writing to a string does not fail.
                    let _ = write!(escaped, "%{b:02X}");
                }
            }
            let _ = options.database_url.set_password(Some(&escaped));
        }
        self
    }
}

impl Server {
    /// What the driver connects with.
    pub(crate) fn options(&self) -> AnyConnectOptions {
        self.options.clone()
    }

    /// `host:port`, or the directory of a socket.
    pub(crate) fn place(&self) -> String {
        let url = &self.options.database_url;
        match url.query_pairs().find(|(key, value)| key == "host" && value.starts_with('/')) {
            Some((_, socket)) => socket.into_owned(),
            None => format!("{}:{}", url.host_str().unwrap_or("?"), url.port().unwrap_or(PORT)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Address>().map_or_else(|why| why, |address| address.to_string())
    }

    /// Whatever is written, a password is in nothing that can be shown.
    #[test]
    fn a_password_is_never_shown() {
        let good = "postgres://ann:hush%2Fhush@db.example:5433/doorward?sslmode=require";
        let address: Address = good.parse().unwrap();
        assert!(address.has_password());
        for text in [format!("{address} {address:?}"), shown("postgres://ann:hush/hush@db.example/doorward")]
        {
            assert!(!text.contains("hush") && text.contains("postgres"), "{text}");
        }
        for bad in [
            "postgres://ann:hush@/d",
            "mysql://ann:hush@h/d",
            "ann:hush@h/d",
            "postgres:ann:hush@h",
            "postgres://ann:hush@h:x/d",
            "postgres://h/d?password=hush",
            "postgres://ann@h/d?password=hush",
            "postgres://ann:hush@h",
            "",
        ] {
            let why = bad.parse::<Address>().unwrap_err();
            assert!(!why.contains("hush"), "{bad}: {why}");
        }
    }

    #[test]
    fn what_is_left_out_is_filled_in_safely() {
        assert_eq!(shown("postgres://u@db/d"), "postgres://u@db:5432/d?sslmode=verify-full");
        assert_eq!(shown("postgresql://u@127.0.0.1:1/d"), "postgresql://u@127.0.0.1:1/d?sslmode=disable");
        assert_eq!(shown("postgres://u@[::1]/d"), "postgres://u@[::1]:5432/d?sslmode=disable&host=%3A%3A1");
        let socket: Address = "postgres://u@localhost/d?host=/var/run/postgresql".parse().unwrap();
        let Address::Postgres(server) = &socket else { panic!("it is a server") };
        assert_eq!(server.place(), "/var/run/postgresql");
        assert!(shown("postgres://u@db/d?sslmode=allow").contains("none of disable, prefer"));
        assert!(shown("postgres://u@db/d?options=x").contains("a setting `options`"));
        assert!(
            shown("sqlite:").contains("is a file") && shown("mysql://h/d").contains("`mysql:` is no kind")
        );
    }

    #[test]
    fn odd_passwords_arrive_as_they_are() {
        let address = "postgres://u@db/d".parse::<Address>().unwrap().with_password("a%41 /@:?#\u{e4}");
        let Address::Postgres(server) = address else { panic!("it is a server") };
        let escaped = "a%2541%20%2F%40%3A%3F%23%C3%A4";
        assert_eq!(server.options.database_url.password(), Some(escaped));
    }
}
