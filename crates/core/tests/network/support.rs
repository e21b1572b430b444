//! Networks by lot, and what a list of them holds, worked out in the slowest and plainest way.
use doorward_core::network::Network;
use std::net::IpAddr;

/// A small generator of numbers (splitmix64): tests repeat what they did.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    pub(crate) fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

/// How an address is written, bit by bit, and of which family it is.
fn written(address: IpAddr) -> (bool, String) {
    match address {
        IpAddr::V4(four) => (true, four.octets().iter().map(|b| format!("{b:08b}")).collect()),
        IpAddr::V6(six) => {
            let bits: String = six.octets().iter().map(|b| format!("{b:08b}")).collect();
            // RFC 4291 2.5.5.2.
            let mapped = format!("{}{}", "0".repeat(80), "1".repeat(16));
            match bits.strip_prefix(&mapped) {
                Some(four) => (true, four.to_owned()),
                None => (false, bits),
            }
        }
    }
}

/// Whether a network holds an address, told by their bits as text.
pub(crate) fn holds(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let ((family, bits), (same, others)) = (written(network), written(address));
    let prefix = usize::from(prefix) - if family && network.is_ipv6() { 96 } else { 0 };
    family == same && bits[..prefix] == others[..prefix]
}

pub(crate) fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn net(text: &str) -> Network {
    Network::parse(text).unwrap()
}
