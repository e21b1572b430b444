//! Addresses, taken apart as a client does it.

/// An http or https address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// Over TLS.
    pub(crate) secure: bool,
    /// The value of `Host`: as written, without the port where it is the scheme's own, as every client sends it.
    pub(crate) host: String,
    /// What to connect to: a name, or an address without brackets.
    pub(crate) name: String,
    /// The port to connect to.
    pub(crate) port: u16,
    /// Path and query as written; at least `/`.
    pub(crate) target: String,
}

impl Url {
    /// Takes an address apart. Nothing in it is encoded, decoded or repaired: what is signed has to be what is sent.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Url, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(format!("the address `{text}` must begin with https:// or http://")),
        };
        if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic() || "\"<>".contains(*c)) {
            return Err(unencoded(text, odd));
        }
        if text.contains('#') {
            return Err(format!(
                "the address `{text}` has a `#`, and what follows it is never sent; leave it out, or write %23"
            ));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err("the address names a user before `@`; a signed request has its id in the signature"
                .to_owned());
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let wrong =
            || format!("the address `{text}` does not name a host and, if any, a port from 1 to 65535");
        let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (bare, port) = match colon {
            None => (authority, None),
            Some(at) => {
                let digits = &authority[at + 1..];
                let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
                let port: Option<u16> = digits.parse().ok().filter(|_| plain);
                (&authority[..at], Some(port.ok_or_else(wrong)?))
            }
        };
        let own = if secure { 443 } else { 80 };
        let name = match bare.strip_prefix('[') {
            Some(inside) => inside.strip_suffix(']').ok_or_else(wrong)?,
            None => bare,
        };
        if name.is_empty() {
            return Err(wrong());
        }
        Ok(Url {
            secure,
            host: port.filter(|p| *p != own).map_or(bare.to_owned(), |p| format!("{bare}:{p}")),
            name: name.to_owned(),
            port: port.unwrap_or(own),
            target,
        })
    }

    /// The same address with another target.
    pub(crate) fn with_target(&self, target: &str) -> String {
        format!("{}://{}{target}", if self.secure { "https" } else { "http" }, self.host)
    }
}

fn unencoded(text: &str, odd: char) -> String {
    let mut octets = [0; 4];
    let escaped: String = odd.encode_utf8(&mut octets).bytes().map(|b| format!("%{b:02X}")).collect();
    let shown = odd.escape_default();
    format!(
        "the address `{}` has the character `{shown}`, which has to be sent, and signed, as {escaped}",
        text.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, host, name, port, target) in [
            ("https://api.example", "api.example", "api.example", 443, "/"),
            ("HTTPS://Api.example:443/a?b=c?d", "Api.example", "Api.example", 443, "/a?b=c?d"),
            ("http://api.example:443/", "api.example:443", "api.example", 443, "/"),
            ("http://api.example:80?x", "api.example", "api.example", 80, "/?x"),
            (
                "https://api.example:8443/a/../b//c%2f",
                "api.example:8443",
                "api.example",
                8443,
                "/a/../b//c%2f",
            ),
            ("http://[::1]:8080/", "[::1]:8080", "::1", 8080, "/"),
            ("http://[::1]", "[::1]", "::1", 80, "/"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host.as_str(), url.name.as_str(), url.port), (host, name, port), "{text}");
            assert_eq!(url.target, target);
        }
        let url = Url::parse("https://a:8443/x").unwrap();
        assert_eq!((url.secure, url.with_target("/y?z").as_str()), (true, "https://a:8443/y?z"));
    }

    #[test]
    fn other_addresses_are_refused_in_a_sentence() {
        for (text, words) in [
            ("", "https://"),
            ("api.example/x", "https://"),
            ("ftp://a/", "https://"),
            ("https://", "host"),
            ("https:///x", "host"),
            ("https://a:0/", "port"),
            ("https://a:080/", "port"),
            ("https://a:65536/", "port"),
            ("https://a:/", "port"),
            ("https://a:8o/", "port"),
            ("https://[::1/", "host"),
            ("https://u:p@a/", "user"),
            ("https://a/#b", "%23"),
            ("https://a/b c", "%20"),
            ("https://a/\u{e9}", "%C3%A9"),
            ("https://\u{e9}.example/", "%C3%A9"),
            ("https://a/\n", "%0A"),
            ("https://a/\"", "%22"),
        ] {
            let said = Url::parse(text).unwrap_err();
            assert!(said.contains(words) && !said.contains('\n'), "{text:?}: {said}");
        }
    }
}
