//! Who is on the other side: the caller's real address, and whether it came over HTTPS. Fixed once a request.
//!
//! Where a trusted proxy reports somebody else, the caller is the rightmost hop, over all lines of the field, that is no
//! trusted proxy: what stands left of it was written by the caller. Where that hop can't be read, the caller is unknown;
//! what stands further left is never taken instead.
use crate::settings::{Trusted, TrustedHeader};
use doorward_core::network;
use doorward_core::request::{Field, PlainHttp, Transport};
use std::net::IpAddr;

/// The caller, as far as this node can know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its address; `None` where a trusted proxy does not tell.
    pub(crate) client: Option<IpAddr>,
    /// The address as text; empty where it is unknown.
    pub(crate) text: String,
    /// The trusted proxy that reported it.
    pub(crate) proxy: Option<IpAddr>,
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
        Peer { client: Some(at.socket), text: at.socket.to_string(), proxy: None, transport }
    }

    /// The caller as a trusted proxy reports it; `None` where the peer is no trusted proxy, whatever it says.
    pub(crate) fn behind(at: Connected, trusted: &Trusted, raw: &[u8], fields: &[Field]) -> Option<Peer> {
        if !trusted.networks.contains(at.socket) {
            return None;
        }
        let values = |name: &str| {
            let of = fields.iter().filter(|f| f.name.on(raw).eq_ignore_ascii_case(name.as_bytes()));
            of.map(|f| f.value.on(raw)).collect::<Vec<_>>()
        };
        let (hops, https) = match trusted.header {
            TrustedHeader::XForwardedFor => {
                let hops = listed(&values("x-forwarded-for")).map(hop).collect();
                let proto: Vec<&[u8]> =
                    listed(&values("x-forwarded-proto")).filter(|told| !told.is_empty()).collect();
                (hops, (!proto.is_empty()).then(|| proto.iter().all(|p| p.eq_ignore_ascii_case(b"https"))))
            }
            TrustedHeader::Forwarded => forwarded(listed(&values("forwarded")), trusted),
        };
        // From the right: what our own proxies added, then the first that is none of them.
        let client = hops.into_iter().rev().find(|hop| !hop.is_ours(trusted)).and_then(Hop::address);
        // Our own TLS says nothing about how the caller came to the proxy, where that tells.
        let transport =
            if https.unwrap_or(at.tls) { Transport::Secure } else { Transport::Plain(at.plain_http) };
        let text = client.map(|ip| ip.to_string()).unwrap_or_default();
        Some(Peer { client, text, proxy: Some(at.socket), transport })
    }
}

/// Somebody who passed a request on, or sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hop {
    At(IpAddr),
    /// Not an address: whatever lies beyond can't be told.
    Unknown,
}

impl Hop {
    fn address(self) -> Option<IpAddr> {
        match self {
            Hop::At(ip) => Some(ip),
            Hop::Unknown => None,
        }
    }

    fn is_ours(self, trusted: &Trusted) -> bool {
        self.address().is_some_and(|ip| trusted.networks.contains(ip))
    }
}

/// The elements of a list field, over all its lines. One may be empty: whoever wrote that did not tell.
fn listed<'a>(values: &[&'a [u8]]) -> impl Iterator<Item = &'a [u8]> {
    values.iter().flat_map(|v| v.split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

/// An address with or without a port. No zone ids, no leading zeros, no other spellings of IPv4.
fn hop(text: &[u8]) -> Hop {
    let read = std::str::from_utf8(text).ok().and_then(|text| {
        if let Some(rest) = text.strip_prefix('[') {
            let (ip, port) = rest.split_once(']')?;
            let fits = ip.contains(':') && (port.is_empty() || port_ok(port));
            return if fits { network::address(ip) } else { None };
        }
        network::address(text).or_else(|| {
            let (ip, _) = text.split_once(':').filter(|(ip, _)| port_ok(&text[ip.len()..]))?;
            network::address(ip).filter(IpAddr::is_ipv4)
        })
    });
    read.map_or(Hop::Unknown, Hop::At)
}

fn port_ok(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|p| !p.is_empty() && p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()))
}

/// The hops of `Forwarded` elements (RFC 7239 4), and whether those that our own proxies added say https; `None` where
/// none of them says anything.
fn forwarded<'a>(elements: impl Iterator<Item = &'a [u8]>, trusted: &Trusted) -> (Vec<Hop>, Option<bool>) {
    let read: Vec<(Hop, Option<bool>)> =
        elements.map(|e| one_forwarded(e).unwrap_or((Hop::Unknown, None))).collect();
    let mut told = Vec::new();
    for (of, https) in read.iter().rev() {
        told.push(*https);
        // Whoever this one is about added the element before it.
        if !of.is_ours(trusted) {
            break;
        }
    }
    let https = told.iter().any(Option::is_some).then(|| told.iter().all(|https| *https == Some(true)));
    (read.into_iter().map(|(of, _)| of).collect(), https)
}

/// `None` where the element can't be read. A comma inside a quoted value ends an element all the same: both halves have a
/// quote too few then, and neither can be read.
fn one_forwarded(element: &[u8]) -> Option<(Hop, Option<bool>)> {
    let (mut of, mut seen, mut https) = (Hop::Unknown, false, None);
    for pair in element.split(|b| *b == b';') {
        let (name, value) = parameter(pair.trim_ascii())?;
        if name.eq_ignore_ascii_case(b"for") {
            of = if seen { Hop::Unknown } else { hop(value) };
            seen = true;
        } else if name.eq_ignore_ascii_case(b"proto") {
            https = Some(https != Some(false) && value.eq_ignore_ascii_case(b"https"));
        }
    }
    Some((of, https))
}

/// `name=value` or `name="value"`, without anything escaped: no address needs that.
fn parameter(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let eq = pair.iter().position(|b| *b == b'=')?;
    let (name, value) = (&pair[..eq], &pair[eq + 1..]);
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let bare = match value.strip_prefix(b"\"") {
        Some(rest) => rest.strip_suffix(b"\"")?,
        None => value,
    };
    let plain = !bare.iter().any(|b| matches!(b, b'"' | b'\\'));
    (plain && !name.is_empty() && name.iter().all(word)).then_some((name, bare))
}

#[cfg(test)]
#[path = "peer_matrix_tests.rs"]
mod matrix;
#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
