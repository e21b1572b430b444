//! Lists of networks that callers may come from.
use std::fmt;
use std::net::IpAddr;

/// A network: an address and how many of its leading bits count. IPv4 addresses that are mapped into IPv6 are IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The leading `bits` of an address of `width` bits.
fn masked(value: u128, bits: u8, width: u8) -> u128 {
    match width - bits {
        128 => 0,
        host => value >> host << host,
    }
}

impl Network {
    /// Reads an address, or an address with a prefix length; bits beyond it are masked.
    ///
    /// # Errors
    /// A sentence for an operator.
    pub fn parse(text: &str) -> Result<Network, String> {
        let bad = || {
            format!(
                "`{text}` is not a network; write an address, as in 192.168.1.2, or a range, as in 192.168.0.0/24 or 2001:db8::/32"
            )
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                let plain = digits == "0" || !digits.starts_with('0');
                digits.parse::<u8>().ok().filter(|bits| plain && *bits <= width).ok_or_else(bad)?
            }
            Some(_) => return Err(bad()),
        };
        let network = match address {
            IpAddr::V4(v4) => {
                let v4 = masked(u128::from(u32::from(v4)), bits, 32) as u32;
                Network { address: IpAddr::V4(v4.into()), bits }
            }
            IpAddr::V6(v6) => {
                let v6 = std::net::Ipv6Addr::from(masked(v6.into(), bits, 128));
                match v6.to_ipv4_mapped() {
                    Some(v4) if bits >= 96 => Network { address: IpAddr::V4(v4), bits: bits - 96 },
                    _ => Network { address: IpAddr::V6(v6), bits },
                }
            }
        };
        Ok(network)
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let masked = |a: std::net::Ipv4Addr| masked(u128::from(u32::from(a)), self.bits, 32);
                masked(own) == masked(other)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                masked(own.into(), self.bits, 128) == masked(other.into(), self.bits, 128)
            }
            _ => false,
        }
    }
}

/// `192.168.0.0/24`; a single address stands alone.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        write!(f, "{}", self.address)?;
        if self.bits < width { write!(f, "/{}", self.bits) } else { Ok(()) }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A list of networks. An empty one contains nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Box<[Network]>);

impl Networks {
    /// The list of these, in order, each once.
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Networks {
        let mut all: Vec<Network> = networks.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Networks(all.into())
    }

    /// Whether an address lies in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Network> {
        self.0.iter().copied()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_strictly_and_masked() {
        for (text, told) in [
            ("192.168.0.3/24", "192.168.0.0/24"),
            ("192.168.1.2", "192.168.1.2"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1/104", "10.0.0.0/8"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(Network::parse(text).map(|n| n.to_string()).as_deref(), Ok(told), "{text}");
        }
        for bad in [
            "",
            "10.0.0.1/33",
            "::/129",
            "010.0.0.1",
            "[::1]",
            "fe80::1%eth0",
            "10.0.0.1:80",
            "10.0.0.0/08",
            "10.0.0.0/",
            "10/8",
        ] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_contains_what_lies_in_one_of_its_networks() {
        let list = |all: &[&str]| Networks::new(all.iter().map(|n| Network::parse(n).unwrap()));
        let within = |all: &[&str], address: &str| list(all).contains(address.parse().unwrap());
        assert!(
            within(&["192.168.0.3/24"], "192.168.0.255") && within(&["192.168.0.3/24"], "::ffff:192.168.0.7")
        );
        assert!(!within(&["192.168.0.3/24", "192.168.1.2"], "192.168.1.3"));
        assert!(!within(&[], "127.0.0.1") && !within(&["0.0.0.0/0"], "::1") && within(&["::/0"], "::1"));
    }
}
