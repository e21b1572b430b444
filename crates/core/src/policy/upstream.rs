//! Where requests go: the addresses of one service, and how they are spoken to.
use super::draft::ServiceDraft;
use std::collections::HashSet;
use std::sync::Arc;

/// Most addresses of one service.
pub const MAX_ADDRESSES: usize = 32;
/// Most requests at a time that may be allowed to one address.
pub const MAX_UPSTREAM_CONNECTIONS: u64 = 100_000;

/// What answers an API's requests in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it is: at least one address, all of one scheme.
    pub addresses: Box<[Arc<Address>]>,
    /// Whether it is spoken to in HTTP/2: by ALPN where its addresses are https, with prior knowledge where they are http
    /// (RFC 9113 3).
    pub http2: bool,
    /// How many requests may be on their way to one address at a time, of a whole node; `None`: no such limit.
    pub connections: Option<u32>,
    /// How its addresses are asked whether they are well.
    pub probe: Option<Probe>,
}

/// How an address is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is asked for with GET; 200 to 399 is well.
    pub path: Box<str>,
    /// How often, in seconds.
    pub every_s: u64,
    /// How long the answer may take, in milliseconds.
    pub timeout_ms: u64,
    /// After how many good answers in a row an address is well again.
    pub healthy_after: u32,
    /// After how many failures in a row it is not.
    pub unhealthy_after: u32,
}

impl Upstream {
    /// What was written, made ready for use.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn of(draft: &ServiceDraft) -> Result<Upstream, String> {
        let addresses: Box<[_]> = draft
            .addresses()
            .iter()
            .map(|url| Address::parse(url).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let Some(first) = addresses.first() else {
            return Err("an upstream has at least one address".to_owned());
        };
        if addresses.len() > MAX_ADDRESSES {
            return Err(format!("an upstream has at most {MAX_ADDRESSES} addresses"));
        }
        if addresses.iter().any(|a| a.tls != first.tls) {
            return Err("the addresses of an upstream are all http or all https".to_owned());
        }
        let mut seen = HashSet::new();
        if let Some(twice) = addresses.iter().find(|a| !seen.insert(&***a)) {
            return Err(format!("{twice} stands there twice"));
        }
        let full = draft.full();
        let probe = full.and_then(|f| f.probe.as_ref()).map(|p| Probe {
            path: p.path.as_str().into(),
            every_s: p.every_s.unwrap_or(5),
            timeout_ms: p.timeout_ms.unwrap_or(2_000),
            healthy_after: p.healthy_after.unwrap_or(2) as u32,
            unhealthy_after: p.unhealthy_after.unwrap_or(3) as u32,
        });
        let connections = full.and_then(|f| f.connections).map(|n| n as u32);
        Ok(Upstream { addresses, http2: full.is_some_and(|f| f.http2), connections, probe })
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.addresses.first().is_some_and(|a| a.tls)
    }
}

/// One address of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// Reads `http://host[:port]` or `https://host[:port]`.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn parse(url: &str) -> Result<Address, String> {
        let bad = || {
            format!("`{url}` is not an upstream; write http://host:port or https://host:port, without a path")
        };
        let (tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(bad()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rfind(':').filter(|i| !rest[*i..].contains(']')) {
            Some(i) => (&rest[..i], rest[i + 1..].parse().map_err(|_| bad())?),
            None => (rest, if tls { 443 } else { 80 }),
        };
        let inner = host.strip_prefix('[').map_or(Some(host), |h| h.strip_suffix(']')).ok_or_else(bad)?;
        let six = host.starts_with('[');
        let named = |h: &str| {
            !h.is_empty() && h.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        if port == 0 || if six { inner.parse::<std::net::Ipv6Addr>().is_err() } else { !named(inner) } {
            return Err(bad());
        }
        Ok(Address { tls, host: inner.to_ascii_lowercase(), port })
    }
}

/// `http://host:port`.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let host = &self.host;
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{}", self.port)
        } else {
            write!(f, "{scheme}://{host}:{}", self.port)
        }
    }
}

/// A protocol that a connection may change to, in lower case.
///
/// # Errors
/// A sentence for an operator.
pub fn upgrade_protocol(text: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&b);
    let lower = text.to_ascii_lowercase();
    if text.is_empty() || text.len() > 32 || !text.bytes().all(ok) {
        return Err(format!("`{text}` is not the name of a protocol, as in `websocket`"));
    }
    // What speaks HTTP again could carry requests that nobody has looked at.
    if ["h2", "h2c", "h3"].contains(&lower.as_str()) || lower.starts_with("http") || lower.starts_with("tls")
    {
        return Err(format!("`{text}` would carry requests that nobody has looked at"));
    }
    Ok(lower)
}
