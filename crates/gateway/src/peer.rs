//! Who is on the other side: the caller's real address, and whether it came over HTTPS. Fixed once a request.
use crate::settings::{Trusted, TrustedHeader};
use doorward_core::request::{Field, PlainHttp, Transport};
use std::net::{IpAddr, Ipv6Addr};

/// The caller, as far as this node can know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its address; `None` where a trusted proxy does not tell.
    pub(crate) client: Option<IpAddr>,
    /// The address as text; empty where it is unknown.
    pub(crate) text: String,
    pub(crate) transport: Transport,
}

/// What is known from the connection alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connected {
    /// IPv4 in IPv6 is IPv4 here.
    pub(crate) socket: IpAddr,
    pub(crate) tls: bool,
    pub(crate) plain_http: PlainHttp,
}

impl Peer {
    /// The caller where no proxy has to be asked.
    pub(crate) fn direct(at: Connected) -> Peer {
        let transport = if at.tls { Transport::Secure } else { Transport::Plain(at.plain_http) };
        Peer { client: Some(at.socket), text: at.socket.to_string(), transport }
    }

    /// The caller as a trusted proxy reports it; `None` where the peer is no trusted proxy, whatever it says.
    pub(crate) fn behind(at: Connected, trusted: &Trusted, raw: &[u8], fields: &[Field]) -> Option<Peer> {
        if !is_trusted(trusted, at.socket) {
            return None;
        }
        let values = |name: &str| {
            let of = fields.iter().filter(|f| f.name.on(raw).eq_ignore_ascii_case(name.as_bytes()));
            of.map(|f| f.value.on(raw)).collect::<Vec<_>>()
        };
        let (hops, https) = match trusted.header {
            TrustedHeader::XForwardedFor => {
                let hops: Vec<Hop> = listed(&values("x-forwarded-for")).into_iter().map(hop).collect();
                let proto = listed(&values("x-forwarded-proto"));
                (hops, (!proto.is_empty()).then(|| proto.iter().all(|p| p.eq_ignore_ascii_case(b"https"))))
            }
            TrustedHeader::Forwarded => forwarded(&listed(&values("forwarded")), trusted),
        };
        // From the right: what our own proxies added, then the first that is none of them.
        let client = hops.into_iter().rev().find(|h| !matches!(h, Hop::At(ip) if is_trusted(trusted, *ip)));
        let client = match client {
            Some(Hop::At(ip)) => Some(ip),
            _ => None,
        };
        // Our own TLS says nothing about how the caller came to the proxy, where that tells.
        let transport =
            if https.unwrap_or(at.tls) { Transport::Secure } else { Transport::Plain(at.plain_http) };
        Some(Peer { client, text: client.map(|ip| ip.to_string()).unwrap_or_default(), transport })
    }
}

fn is_trusted(trusted: &Trusted, ip: IpAddr) -> bool {
    trusted.networks.iter().any(|n| n.contains(&ip))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hop {
    At(IpAddr),
    /// Not an address: whatever lies beyond can't be told.
    Unknown,
}

/// The elements of a list field, over all its lines.
fn listed<'a>(values: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let all = values.iter().flat_map(|v| v.split(|b| *b == b','));
    all.map(<[u8]>::trim_ascii).filter(|e| !e.is_empty()).collect()
}

/// An address with or without a port. No zone ids, no leading zeros, no other spellings of IPv4.
fn hop(text: &[u8]) -> Hop {
    let Ok(text) = std::str::from_utf8(text) else { return Hop::Unknown };
    let ip = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((ip, port)) if port.is_empty() || port_ok(port) => {
                ip.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
            }
            _ => None,
        },
        None => text.parse::<IpAddr>().ok().or_else(|| {
            let (ip, _) = text.split_once(':').filter(|(ip, _)| port_ok(&text[ip.len()..]))?;
            ip.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4)
        }),
    };
    ip.map_or(Hop::Unknown, |ip| Hop::At(ip.to_canonical()))
}

fn port_ok(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|p| !p.is_empty() && p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()))
}

/// The hops of `Forwarded` elements (RFC 7239 4), and whether those that our own proxies added say https; `None` where
/// none of them says anything.
fn forwarded(elements: &[&[u8]], trusted: &Trusted) -> (Vec<Hop>, Option<bool>) {
    let read: Vec<(Hop, Option<bool>)> = elements.iter().map(|element| one_forwarded(element)).collect();
    let mut told = Vec::new();
    for (of, https) in read.iter().rev() {
        told.push(*https);
        // Whoever this one is about added the element before it.
        if !matches!(of, Hop::At(ip) if is_trusted(trusted, *ip)) {
            break;
        }
    }
    let https = told.iter().any(Option::is_some).then(|| told.iter().all(|https| *https == Some(true)));
    (read.into_iter().map(|(of, _)| of).collect(), https)
}

fn one_forwarded(element: &[u8]) -> (Hop, Option<bool>) {
    let (mut of, mut seen, mut https) = (Hop::Unknown, false, None);
    for pair in element.split(|b| *b == b';') {
        let Some(eq) = pair.iter().position(|b| *b == b'=') else { return (Hop::Unknown, https) };
        let (name, value) = (pair[..eq].trim_ascii(), unquoted(pair[eq + 1..].trim_ascii()));
        if name.eq_ignore_ascii_case(b"for") {
            of = if seen { Hop::Unknown } else { hop(value) };
            seen = true;
        } else if name.eq_ignore_ascii_case(b"proto") {
            https = Some(https != Some(false) && value.eq_ignore_ascii_case(b"https"));
        }
    }
    (of, https)
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    fn behind(socket: &str, header: TrustedHeader, lines: &[&str]) -> Option<(String, bool)> {
        over(socket, header, lines, false)
    }

    fn over(socket: &str, header: TrustedHeader, lines: &[&str], tls: bool) -> Option<(String, bool)> {
        let raw = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", lines.join("\r\n"));
        let mut head = wire::Head::default();
        wire::request(
            raw.replace("\r\n\r\n\r\n", "\r\n\r\n").as_bytes(),
            &wire::Limits::default(),
            &mut head,
        )
        .unwrap();
        let at = Connected { socket: socket.parse().unwrap(), tls, plain_http: PlainHttp::Refuse };
        let networks = ["10.0.0.0/8", "::1/128"].iter().map(|n| n.parse().unwrap()).collect();
        let peer = Peer::behind(at, &Trusted { networks, header }, raw.as_bytes(), &head.fields)?;
        Some((peer.text, peer.transport == Transport::Secure))
    }

    /// SXFF-1, SXFF-2, SXFF-3: the rightmost hop that is not ours, over all lines; whatever is no address is nobody.
    #[test]
    fn the_caller_is_the_rightmost_hop_that_is_not_ours() {
        let xff = |lines: &[&str]| behind("10.0.0.1", TrustedHeader::XForwardedFor, lines).unwrap().0;
        for (lines, want) in [
            (&["X-Forwarded-For: 1.2.3.4"][..], "1.2.3.4"),
            (&["X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.1.1.1"], "1.2.3.4"),
            (
                &["X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 1.2.3.4", "X-FORWARDED-FOR: 10.1.1.1"],
                "1.2.3.4",
            ),
            (&["X-Forwarded-For: 1.2.3.4:5678"], "1.2.3.4"),
            (&["X-Forwarded-For: [2001:db8::1]:443"], "2001:db8::1"),
            (&["X-Forwarded-For: 2001:db8::1"], "2001:db8::1"),
            (&["X-Forwarded-For: ::ffff:1.2.3.4"], "1.2.3.4"),
            (&["X-Forwarded-For: 1.2.3.4, unknown"], ""),
            (&["X-Forwarded-For: 1.2.3.4, 010.0.0.1"], ""),
            (&["X-Forwarded-For: 1.2.3.4, 0x0a000001"], ""),
            (&["X-Forwarded-For: 1.2.3.4, fe80::1%eth0"], ""),
            (&["X-Forwarded-For: 10.1.1.1, 10.2.2.2"], ""),
            (&["X-Real-IP: 1.2.3.4", "Forwarded: for=1.2.3.4"], ""),
            (&[], ""),
        ] {
            let lines = if lines.is_empty() { &["A: b"][..] } else { lines };
            assert_eq!(xff(lines), want, "{lines:?}");
        }
        assert_eq!(behind("11.0.0.1", TrustedHeader::XForwardedFor, &["X-Forwarded-For: 1.2.3.4"]), None);
        let fwd = |line: &str| behind("10.0.0.1", TrustedHeader::Forwarded, &[line]).unwrap();
        assert_eq!(
            fwd("Forwarded: for=6.6.6.6, for=\"[2001:db8::1]:80\";proto=https, for=10.0.0.2;proto=https"),
            ("2001:db8::1".into(), true)
        );
        // What the caller wrote itself counts for nothing, and one of ours that is silent does not help.
        assert_eq!(fwd("Forwarded: for=6.6.6.6;proto=https, for=9.9.9.9"), ("9.9.9.9".into(), false));
        assert_eq!(fwd("Forwarded: for=9.9.9.9;proto=https, for=10.0.0.2"), ("9.9.9.9".into(), false));
        assert_eq!(fwd("Forwarded: for=1.2.3.4, for=_hidden"), (String::new(), false));
        assert_eq!(fwd("Forwarded: for=1.2.3.4;for=5.6.7.8;proto=http"), (String::new(), false));
        assert_eq!(fwd("X-Forwarded-For: 1.2.3.4"), (String::new(), false));
    }

    #[test]
    fn https_counts_only_where_every_value_says_so() {
        let secure = |lines: &[&str]| behind("10.0.0.1", TrustedHeader::XForwardedFor, lines).unwrap().1;
        assert!(secure(&["X-Forwarded-Proto: https"]) && secure(&["X-Forwarded-Proto: HTTPS, https"]));
        assert!(
            !secure(&["X-Forwarded-Proto: http"])
                && !secure(&["X-Forwarded-Proto: https, http"])
                && !secure(&["A: b"])
        );
        assert!(!secure(&["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"]));
        // Over our own TLS, a proxy that says how the caller came is believed; a silent one leaves it at ours.
        let over_tls =
            |lines: &[&str]| over("10.0.0.1", TrustedHeader::XForwardedFor, lines, true).unwrap().1;
        assert!(
            over_tls(&["A: b"])
                && over_tls(&["X-Forwarded-Proto: https"])
                && !over_tls(&["X-Forwarded-Proto: http"])
        );
    }
}
