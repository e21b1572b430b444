//! Request target and host (RFC 9112 3.2, RFC 9110 7.2).
use super::{Reject, all_of, octets};
use memchr::memchr;
use std::net::Ipv6Addr;

/// Octets of a path: those of RFC 3986 3.3, and some that clients send unencoded and every reader takes alike.
/// Not among them is `\`, which some take for `/`.
const PATH: [bool; 256] = octets(b"-._~!$&'()*+,;=:@%/[]{}|^", true);

/// Octets of a query: those of a path and `?`, and what browsers leave unencoded.
const QUERY: [bool; 256] = octets(b"-._~!$&'()*+,;=:@%/[]{}|^?\\`", true);

/// Octets of a registered name. Percent-encoding and `!$&'()*+,;=` would be allowed by RFC 3986; no host name needs
/// them, and readers differ about them.
const NAME: [bool; 256] = octets(b"-._~", true);

/// The longest host with its port, in bytes: a DNS name has at most 253.
const MAX_HOST_BYTES: usize = 262;

/// A request target, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Starts with `/`, or is `*`.
    pub(super) path: &'a [u8],
    /// Without the `?`.
    pub(super) query: Option<&'a [u8]>,
    /// Of an absolute form, to be held against `Host`.
    pub(super) authority: Option<&'a [u8]>,
}

/// Takes the target of a request apart: origin form, absolute form of http and https with a path, and `*` of OPTIONS.
pub(super) fn target<'a>(method: &[u8], target: &'a [u8]) -> Result<Target<'a>, Reject> {
    let (authority, rest) = match target {
        [b'/', ..] => (None, target),
        b"*" if method == b"OPTIONS" => {
            return Ok(Target { path: target, query: None, authority: None });
        }
        _ => absolute(target)?,
    };
    let (path, query) = match memchr(b'?', rest) {
        Some(mark) => (&rest[..mark], Some(&rest[mark + 1..])),
        None => (rest, None),
    };
    if all_of(&PATH, path) && all_of(&QUERY, query.unwrap_or_default()) {
        Ok(Target { path, query, authority })
    } else if rest.contains(&b'#') {
        Err(Reject::TargetFragment)
    } else {
        Err(Reject::TargetOctet)
    }
}

/// Splits an absolute form into authority and the rest, which starts with `/`.
fn absolute(target: &[u8]) -> Result<(Option<&[u8]>, &[u8]), Reject> {
    let after = |scheme: &[u8]| {
        let start = target.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &target[scheme.len()..])
    };
    let rest = after(b"http://").or_else(|| after(b"https://")).ok_or(Reject::TargetForm)?;
    let end = rest.iter().position(|c| matches!(c, b'/' | b'?' | b'#')).ok_or(Reject::TargetForm)?;
    let (authority, rest) = rest.split_at(end);
    if rest[0] != b'/' {
        return Err(Reject::TargetForm);
    }
    if authority.contains(&b'@') {
        return Err(Reject::TargetUserinfo);
    }
    Ok((Some(authority), rest))
}

/// Whether this is a host name or address with an optional port (RFC 3986 3.2.2, 3.2.3).
pub(super) fn host(value: &[u8]) -> bool {
    if value.len() > MAX_HOST_BYTES {
        return false;
    }
    if let Some(inside) = value.strip_prefix(b"[") {
        let Some(end) = inside.iter().position(|c| *c == b']') else { return false };
        let address = std::str::from_utf8(&inside[..end]).ok().and_then(|a| a.parse::<Ipv6Addr>().ok());
        return address.is_some() && port(&inside[end + 1..]);
    }
    let end = value.iter().position(|c| !NAME[usize::from(*c)]).unwrap_or(value.len());
    end > 0 && port(&value[end..])
}

/// Nothing, or a colon and a number from 1 to 65535 without leading zeros.
fn port(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] => {
            matches!(digits, [b'1'..=b'9', ..])
                && digits.len() <= 5
                && digits.iter().all(u8::is_ascii_digit)
                && digits.iter().fold(0u32, |n, d| n * 10 + u32::from(d - b'0')) <= 65_535
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &[u8], text: &'static str) -> Result<(&'static str, Option<&'static str>), Reject> {
        let text_of = |b: &'static [u8]| std::str::from_utf8(b).unwrap();
        target(method, text.as_bytes()).map(|t| (text_of(t.path), t.query.map(text_of)))
    }

    #[test]
    fn targets_are_taken_apart() {
        for (text, path, query) in [
            ("/", "/", None),
            ("/a/b", "/a/b", None),
            ("/a?", "/a", Some("")),
            ("/a?b=c?d", "/a", Some("b=c?d")),
            ("//a", "//a", None),
            ("/%2f..;x", "/%2f..;x", None),
            ("/a[0]|{b}^?q[]={\\}`", "/a[0]|{b}^", Some("q[]={\\}`")),
            ("http://a/b?c", "/b", Some("c")),
            ("HTTPS://a:8443/", "/", None),
            ("http://[::1]:80/x", "/x", None),
        ] {
            assert_eq!(parts(b"GET", text), Ok((path, query)), "{text}");
        }
        assert_eq!(parts(b"OPTIONS", "*"), Ok(("*", None)));
        assert_eq!(target(b"GET", b"http://a:1/b").unwrap().authority, Some(&b"a:1"[..]));
    }

    #[test]
    fn other_targets_are_refused() {
        for (text, reject) in [
            ("*", Reject::TargetForm),
            ("a", Reject::TargetForm),
            ("example.com:443", Reject::TargetForm),
            ("?a", Reject::TargetForm),
            ("ftp://a/", Reject::TargetForm),
            ("http:/a", Reject::TargetForm),
            ("http://a", Reject::TargetForm),
            ("http://a?b", Reject::TargetForm),
            ("http://u@a/", Reject::TargetUserinfo),
            ("/#", Reject::TargetFragment),
            ("/a#b", Reject::TargetFragment),
            ("/a?b#c", Reject::TargetFragment),
            ("http://a/b#c", Reject::TargetFragment),
            ("/a\\b", Reject::TargetOctet),
            ("/<", Reject::TargetOctet),
            ("/\"", Reject::TargetOctet),
            ("/?\"", Reject::TargetOctet),
            ("/\u{e4}", Reject::TargetOctet),
            ("/?\u{e4}", Reject::TargetOctet),
            ("/\u{7f}", Reject::TargetOctet),
            ("/?\u{1}", Reject::TargetOctet),
        ] {
            assert_eq!(parts(b"GET", text), Err(reject), "{text}");
        }
        assert_eq!(parts(b"options", "*"), Err(Reject::TargetForm));
    }

    #[test]
    fn s9112_4_hosts() {
        for good in [
            "a",
            "api.example.com",
            "a:1",
            "a:65535",
            "127.0.0.1:80",
            "[::1]",
            "[2001:db8::1]:443",
            "a_b.c-d~",
        ] {
            assert!(host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:080",
            "a:65536",
            "a:99999",
            "a:100000",
            "a:8o",
            "a:+1",
            "a:1:2",
            "a b",
            "a,b",
            "a/b",
            "a@b",
            "a?",
            "a#",
            "a\\b",
            "a%41",
            "[",
            "[]",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:",
            "[1.2.3.4]",
            "[v1.a]",
            "[fe80::1%25e]",
            "a\u{e4}",
            "a\tb",
            "http://a",
        ] {
            assert!(!host(bad.as_bytes()), "{bad}");
        }
        assert!(host(&[b'a'; MAX_HOST_BYTES]));
        assert!(!host(&[b'a'; MAX_HOST_BYTES + 1]));
    }
}
