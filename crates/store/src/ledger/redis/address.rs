//! Where a Redis server is. Parsed once; whoever holds an [`Address`] holds one that can be tried.
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The port of a server that names none.
const PORT: u16 = 6379;
/// The last number that a database of a server may have here; servers have 16 unless they are told otherwise.
const MAX_DATABASE: u16 = 9_999;
/// How an address is written.
const FORM: &str =
    "write redis://host:port/database, or rediss://... for TLS; user@ may stand before the host";

/// A database of a Redis server, and who connects to it. A password is told apart from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) tls: bool,
    pub(super) user: Option<String>,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: u16,
}

impl Address {
    /// Whether the server has to prove who it is.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { user, host, port, database, tls } = self;
        f.write_str(if *tls { "rediss://" } else { "redis://" })?;
        if let Some(user) = user {
            write!(f, "{user}@")?;
        }
        if host.contains(':') {
            write!(f, "[{host}]:{port}/{database}")
        } else {
            write!(f, "{host}:{port}/{database}")
        }
    }
}

impl FromStr for Address {
    type Err = String;

    /// Reads `redis://[user@]host[:port][/database]`. The sentence of a failure never holds a password.
    fn from_str(text: &str) -> Result<Address, String> {
        let (tls, rest) = match (text.strip_prefix("redis://"), text.strip_prefix("rediss://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(format!("this is no address of a Redis server; {FORM}")),
        };
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => {
                return Err("there is a password in its address; put it in a file of its own".to_owned());
            }
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.is_empty() || !user.bytes().all(is_plain)) {
            return Err(format!(
                "its address has an odd user: letters, digits, `-`, `_` and `.` are known; {FORM}"
            ));
        }
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match database {
            "" => 0,
            text => text.parse().ok().filter(|n| *n <= MAX_DATABASE).ok_or_else(|| {
                format!("behind the first `/` of its address stands the number of a database, 0 to {MAX_DATABASE}; {FORM}")
            })?,
        };
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => {
                host.parse::<Ipv6Addr>().map_err(|_| format!("its address names no host; {FORM}"))?;
                (host, port.strip_prefix(':').or(if port.is_empty() { Some("") } else { None }))
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, Some("")),
            },
        };
        let port = match port {
            Some("") => Some(PORT),
            Some(port) => port.parse().ok().filter(|port| *port > 0),
            None => None,
        };
        let port = port.ok_or_else(|| format!("its address has an odd port; {FORM}"))?;
        if host.is_empty() || !host.bytes().all(|b| is_plain(b) || b == b':') {
            return Err(format!("its address names no host; {FORM}"));
        }
        Ok(Address { tls, user: user.map(str::to_owned), host: host.to_owned(), port, database })
    }
}

fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Address>().map_or_else(|why| why, |address| address.to_string())
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        assert_eq!(shown("redis://h"), "redis://h:6379/0");
        assert_eq!(shown("redis://h:7/3"), "redis://h:7/3");
        assert_eq!(shown("rediss://ann@h.example/"), "rediss://ann@h.example:6379/0");
        assert_eq!(shown("redis://[::1]:7/0"), "redis://[::1]:7/0");
        assert_eq!(shown("redis://[::1]"), "redis://[::1]:6379/0");
    }

    #[test]
    fn odd_addresses_are_refused_and_passwords_never_shown() {
        for (bad, why) in [
            ("redis://ann:hush@h", "a password in its address"),
            ("redis://:hush@h/0", "a password in its address"),
            ("redis://h:hush@h/0", "a password in its address"),
            ("http://hush", "no address of a Redis server"),
            ("redis:h", "no address of a Redis server"),
            ("", "no address of a Redis server"),
            ("redis://", "names no host"),
            ("redis://a b", "names no host"),
            ("redis://[x]:1", "names no host"),
            ("redis://[::1]7", "odd port"),
            ("redis://h:0", "odd port"),
            ("redis://h:66000", "odd port"),
            ("redis://@h", "odd user"),
            ("redis://h/x", "the number of a database"),
            ("redis://h/0?x=1", "the number of a database"),
            ("redis://h/10000", "the number of a database"),
        ] {
            let told = shown(bad);
            assert!(told.contains(why) && !told.contains("hush"), "{bad}: {told}");
        }
    }
}
