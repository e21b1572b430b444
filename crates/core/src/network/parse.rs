//! Reading networks as people write them: what is not plain is refused with a sentence that says why.
use super::{MAPPED_BITS, Network, address, bits};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest network, in bytes: an IPv6 address with an IPv4 address in it, and a prefix.
const MAX_BYTES: usize = 49;

pub(super) fn network(text: &str) -> Result<Network, String> {
    if text.len() > MAX_BYTES {
        return Err(format!(
            "what begins with `{}` is too long for a network, as in {EXAMPLES}",
            start(text)
        ));
    }
    let (written, prefix) = match text.split_once('/') {
        Some((written, prefix)) => (written, Some(prefix)),
        None => (text, None),
    };
    let Some(read) = address(written) else { return Err(format!("`{text}` {}", why(written))) };
    let Some(prefix) = prefix else { return Ok(Network::from(read)) };
    let Some(length) = length(prefix) else {
        let why = match prefix.parse::<Ipv4Addr>() {
            Ok(_) => "has a mask; write the length of the prefix instead, as in /24",
            Err(_) => "has no length of a prefix behind the slash, as in /24",
        };
        return Err(format!("`{text}` {why}"));
    };
    let mapped = read.is_ipv4() && written.contains(':');
    let most = if mapped { 128 } else { u16::from(bits(read)) };
    if mapped && length < MAPPED_BITS.into() {
        return Err(format!(
            "`{text}` is an IPv4 address in IPv6, whose prefixes begin at /96; write it as IPv4, as in {read}/24"
        ));
    }
    let length = if length <= most { u8::try_from(length).ok() } else { None };
    let as_written: IpAddr = match (mapped, read) {
        (true, IpAddr::V4(four)) => four.to_ipv6_mapped().into(),
        _ => read,
    };
    let family = if read.is_ipv4() && !mapped { "IPv4" } else { "IPv6" };
    length
        .and_then(|length| Network::new(as_written, length))
        .ok_or_else(|| format!("`{text}` has a prefix longer than its address; {family} ends at /{most}"))
}

const EXAMPLES: &str = "10.0.0.0/8, 192.0.2.7 or 2001:db8::/32";

/// Up to three digits, without leading zeros.
fn length(text: &str) -> Option<u16> {
    let plain = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if plain && !padded { text.parse().ok() } else { None }
}

fn start(text: &str) -> &str {
    let end = (0..=MAX_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// Why an address is none.
fn why(text: &str) -> String {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split('.').collect();
    let padded = |part: &&str| part.len() > 1 && part.starts_with('0');
    let hexadecimal = |part: &&str| part.starts_with("0x") || part.starts_with("0X");
    let four = |part: &str| part.parse::<Ipv4Addr>().is_ok();
    let with_port = |(ip, port): (&str, &str)| digits(port) && four(ip);
    match text {
        _ if text.contains(|c: char| c.is_whitespace()) => "has white space in it; leave that out".into(),
        _ if text.contains('%') => {
            "has a zone, which means something on one machine only; leave it out".into()
        }
        _ if text.contains(['[', ']']) => {
            "has brackets; write the address without them, and without a port".into()
        }
        _ if text.rsplit_once(':').is_some_and(with_port) => {
            "has a port; callers come from any, so leave it out".into()
        }
        _ if parts.iter().any(hexadecimal) || (parts.len() == 1 && digits(text)) => {
            "is not four decimal numbers; write it as in 192.0.2.7".into()
        }
        _ if parts.len() == 4 && parts.iter().all(|p| digits(p)) && parts.iter().any(padded) => {
            "has numbers that begin with 0, which some read as octal; leave the zeros out".into()
        }
        _ if text.split_once('-').is_some_and(|(a, b)| four(a) && (four(b) || digits(b))) => {
            format!("is a range; write it as networks, as in {EXAMPLES}")
        }
        _ if text.parse::<Ipv6Addr>().is_ok() => {
            "is an IPv4-compatible address, which are not used any more; write the IPv4 address alone".into()
        }
        _ => format!("is not a network, as in {EXAMPLES}"),
    }
}
