//! Who issues: the name that stands in every token, and before every address of the token server.
use std::fmt;

/// The issuer: `https://host[:port]`, without a slash at its end. Used exactly as configured.
#[derive(Clone, PartialEq, Eq)]
pub struct Issuer(Box<str>);

impl Issuer {
    /// Reads an issuer. Without TLS only this machine itself is one.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn parse(text: &str) -> Result<Issuer, String> {
        let wrong = |why: &str| format!("`{text}` is no issuer: {why}; write it as in https://api.example");
        let (rest, plain) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => return Err(wrong("it does not begin with https://")),
        };
        if rest.contains(['/', '?', '#', '@']) {
            return Err(wrong(
                "nothing follows the host and the port, not even a slash, and no user stands before",
            ));
        }
        let host_end = rest.rfind(']').map_or_else(|| rest.find(':').unwrap_or(rest.len()), |at| at + 1);
        let (host, port) = rest.split_at(host_end);
        if let Some(port) = port.strip_prefix(':') {
            let number = port.parse::<u16>().ok().filter(|n| *n > 0 && n.to_string() == port);
            number.ok_or_else(|| wrong("the port is not a number from 1 to 65535"))?;
        } else if !port.is_empty() {
            return Err(wrong("after the host stands something else than a port"));
        }
        if !host_is_good(host) {
            return Err(wrong("the host is no name in lower case and no address"));
        }
        if plain && !is_this_machine(host) {
            return Err(wrong("without TLS anybody on the way reads the tokens"));
        }
        Ok(Issuer(text.into()))
    }

    /// As it was configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn host_is_good(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok_and(|a| a.to_string() == inner);
    }
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    host.len() <= 253 && host.split('.').all(label)
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S8414-1: no drift between how an issuer is written here and there.
    #[test]
    fn an_issuer_is_written_in_one_way() {
        for good in [
            "https://api.example",
            "https://api.example:8443",
            "https://10.1.2.3",
            "https://[2001:db8::1]:8443",
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080",
        ] {
            assert_eq!(Issuer::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "api.example",
            "https://",
            "https://api.example/",
            "https://api.example/a",
            "https://api.example?a",
            "https://api.example#",
            "https://u@api.example",
            "https://API.example",
            "HTTPS://api.example",
            "https://api.example:",
            "https://api.example:0",
            "https://api.example:08443",
            "https://api.example:65536",
            "https://api..example",
            "https://-a.example",
            "https://api.example.",
            "https://[::1",
            "https://::1",
            "https://[2001:DB8::1]",
            "https://[0:0:0:0:0:0:0:1]",
            "https://[::1]x",
            "https://a b",
            "http://api.example",
            "http://10.1.2.3",
            "ftp://api.example",
            " https://api.example",
            "https://ä.example",
        ] {
            let why = Issuer::parse(bad).unwrap_err();
            assert!(why.contains("is no issuer: ") && why.ends_with("https://api.example"), "{why}");
        }
    }
}
