//! Who called, as proxies tell it: nobody changes that by what stands left of what a trusted proxy wrote.
#![no_main]
use doorward_core::network::{Network, Networks};
use doorward_gateway::meaning::caller;
use doorward_gateway::{Trusted, TrustedHeader};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

/// What may stand in a field.
fn plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == b'\t' || *b >= b' ' && *b != 0x7f)
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first().filter(|(_, rest)| rest.len() < 2000 && plain(rest)) else {
        return;
    };
    let (header, name, ours) = match choice & 1 {
        0 => (TrustedHeader::XForwardedFor, "X-Forwarded-For", ["10.1.1.1", "198.51.100.9", "garbage"]),
        _ => (TrustedHeader::Forwarded, "Forwarded", ["for=10.1.1.1", "for=198.51.100.9", "for=garbage"]),
    };
    let networks = ["10.0.0.0/8", "2001:db8:1::/48"].map(|n| Network::parse(n).expect("a network"));
    let trusted = Trusted { networks: Networks::new(networks), header };
    let proxy: IpAddr = [10, 0, 0, 1].into();
    let told = |lines: &[Vec<u8>]| {
        let mut raw = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
        for line in lines {
            raw.extend_from_slice(&[name.as_bytes(), b": ", line, b"\r\n"].concat());
        }
        raw.extend_from_slice(b"\r\n");
        (caller(&raw, proxy, &trusted), caller(&raw, [192, 0, 2, 50].into(), &trusted))
    };
    let line = rest.to_vec();
    let (behind, stranger) = told(&[line.clone()]);
    // From elsewhere nothing is believed.
    assert_eq!(stranger, None);
    let client = behind.expect("it comes from a trusted proxy");
    assert!(client.is_none_or(|ip| !trusted.networks.contains(ip)), "{client:?} is ours");
    // How a list is spread over lines changes nothing.
    let pieces: Vec<Vec<u8>> = line.split(|b| *b == b',').map(<[u8]>::to_vec).collect();
    if pieces.len() <= 32 {
        assert_eq!(told(&pieces).0, behind);
    }
    let with = |first: &str, last: &str| {
        let between = |a: &[u8], b: &[u8]| {
            let comma: &[u8] = if a.is_empty() || b.is_empty() { b"" } else { b"," };
            [a, comma, b].concat()
        };
        told(&[between(&between(first.as_bytes(), &line), last.as_bytes())]).0
    };
    if !line.is_empty() {
        // One more of our own proxies changes nothing; somebody else is the caller; garbage is nobody.
        assert_eq!(with("", ours[0]), behind);
        assert_eq!(with("", ours[1]), Some(Some([198, 51, 100, 9].into())));
        assert_eq!(with("", ours[2]), Some(None));
        // What a caller writes itself stands left of everything, and changes nothing where somebody is told.
        if client.is_some() {
            for lie in ours {
                assert_eq!(with(lie, ""), behind, "{lie}");
            }
        }
    }
});
