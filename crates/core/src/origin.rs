//! Origins of browsers and apps (RFC 6454), and the list that a publishable key is bound to.
use std::fmt;
use std::net::Ipv6Addr;

/// Longest `Origin` that is read, in bytes.
pub const MAX_ORIGIN_BYTES: usize = 300;

/// An `Origin` field that names an origin. `null` and what is malformed have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Lower case; `None` for the bare spelling that some clients send (`shop.example`).
    scheme: Option<String>,
    /// Lower case.
    host: String,
    /// `None` for the scheme's default.
    port: Option<u16>,
}

/// An entry of a credential's list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OriginEntry {
    /// `*`: any origin but `null`.
    Any,
    /// `https://shop.example:8443`, `capacitor://localhost`: scheme, host and port exactly.
    Exact {
        /// Lower case.
        scheme: Box<str>,
        /// Lower case.
        host: Box<str>,
        /// `None` for the scheme's default.
        port: Option<u16>,
    },
    /// `shop.example`: https, http or no scheme, at this port or the default one.
    Host {
        /// Lower case.
        host: Box<str>,
        /// `None` for the default.
        port: Option<u16>,
    },
    /// `.shop.example`: as `Host`, for subdomains only, however deep.
    Subdomains {
        /// Lower case, with the dot in front.
        suffix: Box<str>,
    },
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn scheme_ok(s: &str) -> bool {
    s.starts_with(|c: char| c.is_ascii_alphabetic())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// A name of dot-separated labels, or an IPv6 address in brackets. No trailing dot: that is another host to a browser.
fn host(s: &str) -> Option<String> {
    if let Some(inner) = s.strip_prefix('[') {
        return inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(|ip| format!("[{ip}]"));
    }
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    (s.len() <= 253 && s.split('.').all(label)).then(|| s.to_ascii_lowercase())
}

/// `host[:port]`. The port is decimal without leading zeros.
fn authority(s: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = match s.rfind(':').filter(|i| !s[*i..].contains(']')) {
        Some(i) => (&s[..i], Some(&s[i + 1..])),
        None => (s, None),
    };
    let port = match port {
        None => None,
        Some(p) if !p.starts_with('0') && p.bytes().all(|b| b.is_ascii_digit()) => Some(p.parse().ok()?),
        Some(_) => return None,
    };
    Some((host(name)?, port))
}

impl Origin {
    /// Reads an `Origin` field. `None` for `null` and for whatever is not one origin.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Origin> {
        let text = std::str::from_utf8(value).ok().filter(|t| t.len() <= MAX_ORIGIN_BYTES && *t != "null")?;
        let (scheme, rest) = match text.split_once("://") {
            Some((s, rest)) => (Some(s).filter(|s| scheme_ok(s)).map(str::to_ascii_lowercase), rest),
            None => (None, text),
        };
        if scheme.is_none() && text.contains("://") {
            return None;
        }
        let (host, port) = authority(rest)?;
        let port = port.filter(|p| scheme.as_deref().and_then(default_port) != Some(*p));
        Some(Origin { scheme, host, port })
    }

    /// Every entry that could stand in a list and match this origin, for looking it up in an index.
    pub fn matching_entries(&self) -> impl Iterator<Item = OriginEntry> + '_ {
        let web = matches!(self.scheme.as_deref(), None | Some("http" | "https"));
        let exact = self.scheme.as_deref().map(|s| OriginEntry::Exact {
            scheme: s.into(),
            host: self.host.as_str().into(),
            port: self.port,
        });
        let named = web.then(|| OriginEntry::Host { host: self.host.as_str().into(), port: self.port });
        let dots = self.host.match_indices('.').map(|(i, _)| i).filter(move |_| web && self.port.is_none());
        let below = dots.map(|i| OriginEntry::Subdomains { suffix: self.host[i..].into() });
        std::iter::once(OriginEntry::Any).chain(exact).chain(named).chain(below)
    }
}

impl OriginEntry {
    /// Reads an entry as an operator writes it.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn parse(text: &str) -> Result<OriginEntry, String> {
        if text == "*" {
            return Ok(OriginEntry::Any);
        }
        if !text.is_ascii() {
            return Err(format!("`{text}`: write international names in their ASCII form (xn--...)"));
        }
        if text.contains('*') {
            return Err(format!("`{text}`: `*` stands alone; for every subdomain write `.shop.example`"));
        }
        if text == "null" {
            return Err("`null` is the origin of whatever has none; it can't be let in".to_owned());
        }
        let bad = || {
            format!(
                "`{text}` is not an origin; write https://shop.example, shop.example, .shop.example or *, without a path"
            )
        };
        if let Some(rest) = text.strip_prefix('.') {
            let name = host(rest).filter(|_| !rest.starts_with('[')).ok_or_else(bad)?;
            return Ok(OriginEntry::Subdomains { suffix: format!(".{name}").into() });
        }
        let o = Origin::parse(text.as_bytes()).ok_or_else(bad)?;
        Ok(match o.scheme {
            Some(scheme) => OriginEntry::Exact { scheme: scheme.into(), host: o.host.into(), port: o.port },
            None => OriginEntry::Host { host: o.host.into(), port: o.port },
        })
    }

    /// Whether this entry lets an origin in.
    #[must_use]
    pub fn matches(&self, o: &Origin) -> bool {
        let web = matches!(o.scheme.as_deref(), None | Some("http" | "https"));
        match self {
            OriginEntry::Any => true,
            OriginEntry::Exact { scheme, host, port } => {
                o.scheme.as_deref() == Some(scheme) && *o.host == **host && o.port == *port
            }
            OriginEntry::Host { host, port } => web && *o.host == **host && o.port == *port,
            // The suffix has its dot in front, so what is left must be a whole label.
            OriginEntry::Subdomains { suffix } => {
                web && o.port.is_none() && o.host.strip_suffix(&**suffix).is_some_and(|l| !l.is_empty())
            }
        }
    }
}

impl fmt::Display for OriginEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = match self {
            OriginEntry::Any => return f.write_str("*"),
            OriginEntry::Subdomains { suffix } => return f.write_str(suffix),
            OriginEntry::Exact { scheme, host, port } => {
                write!(f, "{scheme}://")?;
                (host, port)
            }
            OriginEntry::Host { host, port } => (host, port),
        };
        f.write_str(host)?;
        port.map_or(Ok(()), |p| write!(f, ":{p}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case group O of the defects that gateways had: look-alikes, suffixes, ports, `null`.
    #[test]
    fn entries_let_in_what_they_name_and_nothing_else() {
        for (entry, yes, no) in [
            (
                "https://shop.example",
                &["https://shop.example", "https://shop.example:443", "HTTPS://SHOP.example"][..],
                &[
                    "http://shop.example",
                    "https://shop.example:8443",
                    "https://www.shop.example",
                    "shop.example",
                    "https://shop.example.evil",
                ][..],
            ),
            ("https://shop.example:8443", &["https://shop.example:8443"], &["https://shop.example"]),
            (
                "capacitor://localhost",
                &["capacitor://localhost"],
                &["http://localhost", "ionic://localhost", "localhost"],
            ),
            (
                "shop.example",
                &["https://shop.example", "http://shop.example", "http://shop.example:80", "shop.example"],
                &[
                    "https://shop.example:444",
                    "http://shop.example:443",
                    "app://shop.example",
                    "notshop.example",
                    "www.shop.example",
                ],
            ),
            (
                "localhost:3000",
                &["http://localhost:3000", "https://localhost:3000", "localhost:3000"],
                &["http://localhost"],
            ),
            (
                ".shop.example",
                &["https://www.shop.example", "http://a.b.shop.example", "www.shop.example"],
                &[
                    "https://shop.example",
                    "https://evilshop.example",
                    "https://.shop.example",
                    "https://www.shop.example:444",
                    "app://www.shop.example",
                ],
            ),
            ("*", &["https://anything.example", "capacitor://localhost", "bare"], &[]),
            ("[::1]:8080", &["http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080"], &["http://[::1]"]),
        ] {
            let e = OriginEntry::parse(entry).unwrap();
            assert_eq!(OriginEntry::parse(&e.to_string()), Ok(e.clone()));
            for o in yes {
                let o = Origin::parse(o.as_bytes()).unwrap();
                assert!(e.matches(&o), "{entry} should let {o:?} in");
                assert!(o.matching_entries().any(|m| m == e), "{entry} should be found for {o:?}");
            }
            for o in no.iter().filter_map(|o| Origin::parse(o.as_bytes())) {
                assert!(!e.matches(&o), "{entry} should keep {o:?} out");
                assert!(!o.matching_entries().any(|m| m == e));
            }
        }
    }

    #[test]
    fn what_is_not_one_origin_is_none() {
        for bad in [
            "null",
            "",
            " ",
            "https://",
            "://x",
            "https://a b",
            "https://a,https://b",
            "https://a/",
            "https://a/b",
            "https://u@a",
            "https://a:",
            "https://a:0",
            "https://a:99999",
            "https://a:080",
            "https://a?b",
            "https://a#b",
            "1http://a",
            "https://a.",
            "https://.a",
            "https://\u{e4}.example",
            "https://[::1",
            "https://[x]",
            "https://a\n",
            "https://a..b",
        ] {
            assert_eq!(Origin::parse(bad.as_bytes()), None, "{bad}");
        }
        for bad in
            ["null", "", "*.shop.example", "https://*", "https://a/", "..a", ".", "\u{e4}.example", ".[::1]"]
        {
            assert!(OriginEntry::parse(bad).is_err(), "{bad}");
        }
    }
}
